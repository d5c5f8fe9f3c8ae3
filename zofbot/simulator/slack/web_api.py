"""Web API of the simulated Slack: methods, scopes and rate limits."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from zofbot.simulator.quota import MinuteQuota
from zofbot.simulator.slack import chat_api, directory_api, unfurl_api, views_api
from zofbot.simulator.slack.chat_api import Arguments, ResponseBody
from zofbot.simulator.slack.model import APP_ID, BOT_ID, BOT_USER_ID, TEAM_ID
from zofbot.simulator.slack.state import SlackRefusal, Workspace


class ApiMethod(NamedTuple):
    """One Web API method: ``scope`` is empty if any bot token is enough, ``app`` for the app-level token."""

    handler: Callable[[Workspace, Arguments], ResponseBody]
    tier: int
    imitates: str
    scope: str = ""


def auth_test(slack: Workspace, given: Arguments) -> ResponseBody:
    """``auth.test``."""
    who = {"user": "zofbot", "user_id": BOT_USER_ID, "bot_id": BOT_ID}
    return {
        "url": "https://acme.slack.example/",
        "team": slack.team,
        "team_id": TEAM_ID,
        **who,
        "is_enterprise_install": False,
    }


def open_connection(slack: Workspace, given: Arguments) -> ResponseBody:
    """``apps.connections.open``."""
    ticket = slack.new_id("ticket")
    slack.tickets.add(ticket)
    return {"url": f"{slack.url.replace('http', 'ws', 1)}/link/?ticket={ticket}&app_id={APP_ID}"}


_POST_CHECKS = "membership, archived and restricted channels, Block Kit limits, escaping, thread parents"
_HISTORY_CHECKS = (
    "order, cursors, time bounds, metadata on request; members only"
    "; optionally one request a minute and 15 messages a page, as for apps sold outside the Marketplace"
)
_UNFURL_CHECKS = "links from an event that the app received, per message; checked like attachments"
_VIEW_CHECKS = "trigger IDs that work once within 3 s, view limits, a stack of three, hashes"

METHODS: dict[str, ApiMethod] = {
    "apps.connections.open": ApiMethod(
        open_connection,
        1,
        "a ticket for one Socket Mode connection, used up by its first handshake (python-slack-sdk 1379, 1446)",
        "app",
    ),
    "auth.test": ApiMethod(auth_test, 4, "the bot's identity, and its scopes in a header"),
    "chat.delete": ApiMethod(
        chat_api.delete_message, 3, "own messages only; none if the workspace keeps everything", "chat:write"
    ),
    "chat.getPermalink": ApiMethod(chat_api.get_permalink, 4, "a well-formed link that leads nowhere"),
    "chat.postEphemeral": ApiMethod(chat_api.post_ephemeral, 4, f"{_POST_CHECKS}; channel members only", "chat:write"),
    "chat.postMessage": ApiMethod(
        chat_api.post_message, 4, f"{_POST_CHECKS}; metadata; one message a second per channel", "chat:write"
    ),
    "chat.unfurl": ApiMethod(unfurl_api.unfurl_links, 3, _UNFURL_CHECKS, "links:write"),
    "chat.update": ApiMethod(
        chat_api.update_message,
        3,
        "own messages only, checked like new ones; metadata is kept; edit window",
        "chat:write",
    ),
    "conversations.history": ApiMethod(directory_api.channel_history, 3, _HISTORY_CHECKS, "channels:history"),
    "conversations.info": ApiMethod(
        directory_api.channel_info, 3, "type, membership, archived, shared", "channels:read"
    ),
    "conversations.join": ApiMethod(directory_api.join_channel, 3, "public channels only", "channels:join"),
    "conversations.members": ApiMethod(directory_api.channel_members, 4, "all members in one page", "channels:read"),
    "conversations.open": ApiMethod(directory_api.open_dm, 3, "a direct message with one person", "im:write"),
    "conversations.replies": ApiMethod(directory_api.thread_replies, 3, _HISTORY_CHECKS, "channels:history"),
    "reactions.add": ApiMethod(chat_api.add_reaction, 3, "stored, once each", "reactions:write"),
    "usergroups.list": ApiMethod(directory_api.group_list, 2, "with members on request", "usergroups:read"),
    "usergroups.users.list": ApiMethod(directory_api.group_users, 2, "all members", "usergroups:read"),
    "users.conversations": ApiMethod(
        directory_api.user_channels,
        3,
        "types, cursors, optionally without archived ones; private channels that the bot is in",
    ),
    "users.info": ApiMethod(
        directory_api.user_info, 4, "names, time zone, guest, admin, other organization, bot", "users:read"
    ),
    "users.list": ApiMethod(directory_api.user_list, 2, "everybody, as in users.info; cursors", "users:read"),
    "users.lookupByEmail": ApiMethod(
        directory_api.user_by_email, 3, "members by their e-mail address", "users:read.email"
    ),
    "views.open": ApiMethod(views_api.open_view, 4, _VIEW_CHECKS),
    "views.publish": ApiMethod(views_api.publish_view, 4, "one Home per person, view limits, hashes"),
    "views.push": ApiMethod(views_api.push_view, 4, _VIEW_CHECKS),
    "views.update": ApiMethod(views_api.update_view, 4, "by ID or external ID, hashes; typed input is kept"),
}
"""Supported methods; any other returns ``unknown_method``."""

CALLS_PER_MINUTE = {1: 1, 2: 20, 3: 50, 4: 100}
"""Calls per minute by tier: https://docs.slack.dev/apis/web-api/rate-limits"""


@dataclass(frozen=True)
class ApiReply:
    """The HTTP reply to a Web API call."""

    body: ResponseBody
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


def _check_token(slack: Workspace, method: ApiMethod, token: str, given: Arguments) -> None:
    if not token:
        raise SlackRefusal("not_authed")
    wanted, other = slack.bot_token, slack.app_token
    if method.scope == "app":
        wanted, other = other, wanted
    if token == other:
        raise SlackRefusal("not_allowed_token_type")
    if token != wanted:
        raise SlackRefusal("invalid_auth")
    if method.scope == "app" and "connections:write" not in slack.app_scopes:
        raise SlackRefusal("missing_scope", needed="connections:write", provided=",".join(sorted(slack.app_scopes)))
    scope = _needed_scope(slack, method, given)
    if scope and scope not in slack.scopes:
        raise SlackRefusal("missing_scope", needed=scope, provided=",".join(sorted(slack.scopes)))


def _needed_scope(slack: Workspace, method: ApiMethod, given: Arguments) -> str:
    """Return the scope a call needs; it differs for private channels and direct messages."""
    if method.scope in ("", "app"):
        return ""
    channel = slack.channels.get(str(given.get("channel")))
    family, _, deed = method.scope.partition(":")
    if family == "channels" and deed in ("read", "history") and channel:
        kinds = {"im": "im", "mpim": "mpim", "private_channel": "groups", "public_channel": "channels"}
        family = kinds[directory_api.channel_type(channel)]
    return f"{family}:{deed}"


def _spend_tier_quota(slack: Workspace, name: str, method: ApiMethod) -> None:
    rare = slack.distributed and method.handler in (directory_api.channel_history, directory_api.thread_replies)
    quota = slack.tiers.setdefault(name, MinuteQuota(1 if rare else CALLS_PER_MINUTE[method.tier]))
    if (slack.enforces_tiers or rare) and not quota.try_spend(slack.now()):
        wait = str(math.ceil(quota.seconds_until_reset(slack.now())))
        raise SlackRefusal("ratelimited", status=429, headers={"Retry-After": wait})


def answer_call(slack: Workspace, name: str, token: str, given: Arguments) -> ApiReply:
    """Answer one call; never raises."""
    method = METHODS.get(name)
    try:
        if method is None:
            raise SlackRefusal("unknown_method")
        _check_token(slack, method, token, given)
        _spend_tier_quota(slack, name, method)
        body = {"ok": True, **method.handler(slack, given)}
    except SlackRefusal as no:
        return ApiReply({"ok": False, "error": no.error, **no.more}, no.status, dict(no.headers))
    scopes = {"x-oauth-scopes": ",".join(sorted(slack.scopes))} if name == "auth.test" else {}
    return ApiReply(body, headers=scopes)
