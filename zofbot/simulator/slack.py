"""The pretend Slack's Web API: who may call which method, and what becomes of the call."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from zofbot.simulator import lookups, posting, unfurling, views
from zofbot.simulator.entities import APP, BOT, BOT_ID, TEAM
from zofbot.simulator.posting import Answer, Arguments
from zofbot.simulator.quota import PerMinute
from zofbot.simulator.workspace import Refused, Workspace


class Method(NamedTuple):
    """One Web API method: ``scope`` is empty when any bot token will do, ``app`` when it wants the app's."""

    handler: Callable[[Workspace, Arguments], Answer]
    tier: int
    imitates: str
    scope: str = ""


def auth_test(slack: Workspace, given: Arguments) -> Answer:
    """``auth.test``."""
    who = {"user": "zofbot", "user_id": BOT, "bot_id": BOT_ID}
    return {
        "url": "https://acme.slack.example/",
        "team": slack.team,
        "team_id": TEAM,
        **who,
        "is_enterprise_install": False,
    }


def connection(slack: Workspace, given: Arguments) -> Answer:
    """``apps.connections.open``."""
    ticket = slack.new_id("ticket")
    slack.tickets.add(ticket)
    return {"url": f"{slack.url.replace('http', 'ws', 1)}/link/?ticket={ticket}&app_id={APP}"}


_POSTED = "membership, archived and restricted channels, every limit of Block Kit, escapes, parents of threads"
_READ = (
    "newest first or in thread order, cursors, bounds, metadata only when asked for; members only"
    "; once a minute and 15 a page where set, as for apps sold outside of the Marketplace"
)
_UNFURLED = "links the app was told of and answered for, each in its message; checked like attachments"
_VIEWS = "triggers that work once for 3 s, limits of views, a stack of three, hashes"

METHODS: dict[str, Method] = {
    "apps.connections.open": Method(
        connection,
        1,
        "a ticket for one Socket Mode connection, spent by its first handshake (python-slack-sdk 1379, 1446)",
        "app",
    ),
    "auth.test": Method(auth_test, 4, "who the bot is, and its scopes in a header"),
    "chat.delete": Method(posting.delete, 3, "own messages only, and none where everything is kept", "chat:write"),
    "chat.getPermalink": Method(posting.permalink, 4, "a link of the right form that leads nowhere"),
    "chat.postEphemeral": Method(posting.post_ephemeral, 4, f"{_POSTED}; people of the channel only", "chat:write"),
    "chat.postMessage": Method(posting.post_message, 4, f"{_POSTED}; metadata; one a second per channel", "chat:write"),
    "chat.unfurl": Method(unfurling.unfurl, 3, _UNFURLED, "links:write"),
    "chat.update": Method(
        posting.update, 3, "own messages only, checked like new ones; metadata stays; a window for edits", "chat:write"
    ),
    "conversations.history": Method(lookups.history, 3, _READ, "channels:history"),
    "conversations.info": Method(lookups.channel_info, 3, "kind, membership, archived, shared", "channels:read"),
    "conversations.join": Method(lookups.join, 3, "public channels only", "channels:join"),
    "conversations.members": Method(lookups.members, 4, "all in one page", "channels:read"),
    "conversations.open": Method(lookups.open_dm, 3, "direct messages with one person", "im:write"),
    "conversations.replies": Method(lookups.replies, 3, _READ, "channels:history"),
    "reactions.add": Method(posting.add_reaction, 3, "kept, once each", "reactions:write"),
    "usergroups.list": Method(lookups.group_list, 2, "with members when asked for", "usergroups:read"),
    "usergroups.users.list": Method(lookups.group_users, 2, "all members", "usergroups:read"),
    "users.conversations": Method(
        lookups.user_rooms, 3, "by kind, cursors, archived ones left out when asked; private ones that the bot is in"
    ),
    "users.info": Method(lookups.user_info, 4, "names, time zone, guest, admin, other organization, bot", "users:read"),
    "users.list": Method(lookups.user_list, 2, "everybody as users.info has them, cursors", "users:read"),
    "views.open": Method(views.open_view, 4, _VIEWS),
    "views.publish": Method(views.publish, 4, "one Home for each person, limits of views, hashes"),
    "views.push": Method(views.push, 4, _VIEWS),
    "views.update": Method(views.update, 4, "by id or external id, hashes, what was typed stays"),
}
"""Every method that is imitated; any other answers ``unknown_method``."""

PER_MINUTE = {1: 1, 2: 20, 3: 50, 4: 100}
"""Calls a minute by tier: https://docs.slack.dev/apis/web-api/rate-limits"""


@dataclass(frozen=True)
class Answered:
    """The HTTP reply to a Web API call."""

    body: Answer
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


def _authorize(slack: Workspace, method: Method, token: str, given: Arguments) -> None:
    if not token:
        raise Refused("not_authed")
    wanted, other = slack.bot_token, slack.app_token
    if method.scope == "app":
        wanted, other = other, wanted
    if token == other:
        raise Refused("not_allowed_token_type")
    if token != wanted:
        raise Refused("invalid_auth")
    if method.scope == "app" and "connections:write" not in slack.app_scopes:
        raise Refused("missing_scope", needed="connections:write", provided=",".join(sorted(slack.app_scopes)))
    scope = _scope(slack, method, given)
    if scope and scope not in slack.scopes:
        raise Refused("missing_scope", needed=scope, provided=",".join(sorted(slack.scopes)))


def _scope(slack: Workspace, method: Method, given: Arguments) -> str:
    """The scope a call needs: for private channels and direct messages it has another name."""
    if method.scope in ("", "app"):
        return ""
    channel = slack.channels.get(str(given.get("channel")))
    family, _, deed = method.scope.partition(":")
    if family == "channels" and deed in ("read", "history") and channel:
        kinds = {"im": "im", "mpim": "mpim", "private_channel": "groups", "public_channel": "channels"}
        family = kinds[lookups.kind(channel)]
    return f"{family}:{deed}"


def _tier(slack: Workspace, name: str, method: Method) -> None:
    rare = slack.distributed and method.handler in (lookups.history, lookups.replies)
    quota = slack.tiers.setdefault(name, PerMinute(1 if rare else PER_MINUTE[method.tier]))
    if (slack.enforces_tiers or rare) and not quota.take(slack.now()):
        wait = str(math.ceil(quota.wait(slack.now())))
        raise Refused("ratelimited", status=429, headers={"Retry-After": wait})


def answer(slack: Workspace, name: str, token: str, given: Arguments) -> Answered:
    """Carry out one call; never raises."""
    method = METHODS.get(name)
    try:
        if method is None:
            raise Refused("unknown_method")
        _authorize(slack, method, token, given)
        _tier(slack, name, method)
        body = {"ok": True, **method.handler(slack, given)}
    except Refused as no:
        return Answered({"ok": False, "error": no.error, **no.more}, no.status, dict(no.headers))
    scopes = {"x-oauth-scopes": ",".join(sorted(slack.scopes))} if name == "auth.test" else {}
    return Answered(body, headers=scopes)
