"""The only writer to Slack's Web API: send, update, find; every failure becomes deferred, refused or unknown."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
import stamina
import structlog
from slack_sdk.errors import SlackApiError, SlackRequestError
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.web.async_slack_response import AsyncSlackResponse
from slack_sdk.webhook.async_client import AsyncWebhookClient

from zofbot import tracing
from zofbot.clock import Clock, timeout
from zofbot.errors import SlackDeferred, SlackError, SlackRefused, SlackUnknown
from zofbot.metrics import Metrics, status_of
from zofbot.notification import Receipt
from zofbot.slack.history import Search, Searches
from zofbot.slack.message import Message
from zofbot.slack.verdict import verdict

log = structlog.get_logger()

EVENT_TYPE = "zofbot_notification"
"""``event_type`` of the metadata on every channel message."""

DEADLINE = 8.0
"""Seconds one call to Slack may take."""


MOST_PAGES = 5
"""Pages of 999 channels that are read of one person."""


@dataclass(frozen=True)
class Identity:
    """Who the bot is in its workspace."""

    team: str
    user: str
    bot: str
    enterprise: str = ""
    """The organization that the workspace belongs to, on Enterprise Grid."""
    scopes: frozenset[str] | None = None
    """What the token may do, where Slack said so."""
    date: str = ""
    """Slack's clock, as its reply had it."""


def metadata(key: str, **facts: str) -> dict[str, Any]:
    """Our key on a message, readable by every app of the workspace: ids only, nothing secret."""
    return {"event_type": EVENT_TYPE, "event_payload": {"key": key, **facts}}


class SlackNotifier:
    """Speaks to one workspace. ``session`` is shared by all calls, because the SDK else opens a connection each.

    ``deadline`` is the seconds that one call may take.
    """

    def __init__(  # noqa: PLR0913  (each from outside)
        self,
        session: aiohttp.ClientSession,
        *,
        token: str,
        api_url: str,
        metrics: Metrics,
        clock: Clock,
        deadline: float = DEADLINE,
    ) -> None:
        self.deadline = deadline
        # Without handlers: the SDK would resend after a lost connection, and the message might be there already.
        self.client = AsyncWebClient(token=token, base_url=api_url, session=session, retry_handlers=[], logger=_quiet())
        self._session = session
        self._metrics = metrics
        self._clock = clock
        self._searches = Searches()
        self._identity: Identity | None = None
        self._direct_messages: dict[str, str] = {}

    def rekey(self, token: str) -> None:
        """Use another token from the next call on; the app may have been installed anew under another bot id."""
        self.client.token = token
        self._identity = None

    async def identify(self) -> Identity:
        """Ask Slack who this token is. Raises SlackError."""
        headers: dict[str, str] = {}

        async def ask() -> AsyncSlackResponse:
            said = await self.client.auth_test()
            headers.update((name.lower(), str(value)) for name, value in said.headers.items())
            return said

        reply = await self._call("auth.test", ask)
        team, user, bot, enterprise = (
            reply.get(name) or "" for name in ("team_id", "user_id", "bot_id", "enterprise_id")
        )
        told = headers.get("x-oauth-scopes")
        scopes = None if told is None else frozenset(scope.strip() for scope in told.split(","))
        self._identity = Identity(team, user, bot, enterprise, scopes, headers.get("date", ""))
        return self._identity

    async def open_socket(self, app_token: str) -> str:
        """Ask for the address of one Socket Mode connection, with the ticket that admits to it. Raises SlackError."""
        reply = await self._call(
            "apps.connections.open", lambda: self.client.apps_connections_open(app_token=app_token)
        )
        return str(reply.get("url") or "")

    async def connect_socket(self, url: str, ping_seconds: float) -> aiohttp.ClientWebSocketResponse:
        """Connect to what ``open_socket`` gave. Raises aiohttp.ClientError, OSError or ValueError.

        As http(s), because the environment's proxies are for that; aiohttp knows none for ws(s).
        """
        address = re.sub(r"^ws(?=s?://)", "http", url)
        return await self._session.ws_connect(address, heartbeat=ping_seconds)

    async def send(
        self, channel: str, message: Message, meta: Mapping[str, Any], *, thread: str = "", broadcast: bool = False
    ) -> Receipt:
        """Post once, with ``meta`` on it. Raises SlackDeferred, SlackRefused, or SlackUnknown: then look first.

        ``thread`` is the time stamp of the message to reply to, and ``broadcast`` shows a reply in the channel as well.
        """
        place: dict[str, Any] = {"thread_ts": thread, "reply_broadcast": broadcast} if thread else {}
        reply = await self._call(
            "chat.postMessage",
            lambda: self.client.chat_postMessage(
                channel=channel, metadata=dict(meta), unfurl_links=False, unfurl_media=False, parse="none",
                **place, **message.payload(),
            ),
        )  # fmt: skip
        _heed(reply)
        there = reply.get("channel") or channel
        if _is_person(channel) and not _is_person(there):
            self._direct_messages[channel] = there
        return Receipt(there, reply["ts"])

    async def update(self, receipt: Receipt, message: Message, meta: Mapping[str, Any] | None = None) -> Receipt:
        """Make a message of ours show this instead; repeating it harms nobody. Without ``meta`` it keeps its own.

        Raises SlackError.
        """
        given: dict[str, Any] = {"metadata": dict(meta)} if meta else {}
        reply = await self._call(
            "chat.update",
            lambda: self.client.chat_update(
                channel=receipt.channel, ts=receipt.ts, parse="none", **given, **message.payload()
            ),
        )
        _heed(reply)
        return receipt

    async def find(self, channel: str, key: str, since: float, *, thread: str = "") -> Receipt | None:
        """Look for our own message with ``key`` among all since ``since`` (Unix seconds), in the channel or a thread.

        One call for each page; one that Slack refuses for a while is where the next call goes on. Raises SlackError:
        nothing is known then.
        """
        found = await self._search(channel, thread, key, since, lambda found: key in found)
        return found.get(key)

    async def standing(self, channel: str, prefix: str, since: float) -> dict[str, Receipt]:
        """Our own messages in the channel since ``since`` (Unix seconds) whose keys begin so. Raises SlackError."""
        found = await self._search(channel, "", f"{prefix}*", since, lambda found: False)
        return {key: receipt for key, receipt in found.items() if key.startswith(prefix)}

    async def _search(
        self, channel: str, thread: str, wanted: str, since: float, enough: Callable[[Mapping[str, Receipt]], bool]
    ) -> dict[str, Receipt]:
        """Read until there is ``enough``, or all that stood there when this call began."""
        channel = await self._conversation(channel)
        search = self._searches.resume(channel, thread, wanted, since)
        if not search.cursor:
            search.begin_window(self._clock.time())
        resumed = bool(search.cursor)
        ours = await self._own_ids()
        while True:
            reply = await self._page(search)
            search.found |= {
                key: Receipt(channel, message["ts"])
                for message in reply.get("messages") or []
                if (key := _key_in(message, ours))
            }
            more = search.turn_page(reply)
            if enough(search.found):
                break
            if more:
                continue
            if not resumed or thread:  # a thread is read towards the present
                break
            search.begin_window(self._clock.time())  # what came since the window was begun
            resumed = False
        self._searches.finish(channel, thread, wanted)
        return search.found

    async def _page(self, search: Search) -> dict[str, Any]:
        """Read one page. A cursor that Slack does not know any more is given up with the search."""
        asked = search.arguments()
        method, call = (
            ("conversations.replies", self.client.conversations_replies)
            if search.thread
            else ("conversations.history", self.client.conversations_history)
        )
        try:
            return await self._call(method, lambda: call(**asked))
        except SlackRefused as no:
            if no.reason != "invalid_cursor":
                raise
            search.newest = search.cursor = ""
            raise verdict(None, "invalid_cursor", {}) from no

    async def wrote(self, message: Mapping[str, Any]) -> bool:
        """Whether our own app posted a message, as Slack shows it. Raises SlackError."""
        return _is_of(message, await self._own_ids())

    async def _own_ids(self) -> frozenset[str]:
        """The ids by which our own messages are known: any app can write our metadata. Raises SlackError."""
        identity = self._identity or await self.identify()
        return frozenset(one for one in (identity.bot, identity.user) if one)

    async def _conversation(self, channel: str) -> str:
        """The id of a channel; for a person's id, that of their direct messages with the bot, which is opened once.

        Only ``chat.postMessage`` takes the id of a person (https://docs.slack.dev/reference/methods/conversations.open).
        """
        if not _is_person(channel):
            return channel
        if channel not in self._direct_messages:
            reply = await self._call("conversations.open", lambda: self.client.conversations_open(users=channel))
            opened = str((reply.get("channel") or {}).get("id") or "")
            if not opened:
                raise verdict(None, "no_channel_opened", {})
            self._direct_messages[channel] = opened
        return self._direct_messages[channel]

    async def delete(self, receipt: Receipt) -> None:
        """Delete a message of ours. Raises SlackError."""
        await self._call("chat.delete", lambda: self.client.chat_delete(channel=receipt.channel, ts=receipt.ts))

    async def join(self, channel: str) -> None:
        """Become a member of a public channel. Raises SlackError."""
        await self._call("conversations.join", lambda: self.client.conversations_join(channel=channel))

    async def permalink(self, receipt: Receipt) -> str:
        """The message's link. Raises SlackError."""
        reply = await self._call(
            "chat.getPermalink",
            lambda: self.client.chat_getPermalink(channel=receipt.channel, message_ts=receipt.ts),
        )
        return str(reply.get("permalink") or "")

    async def key_of(self, channel: str, ts: str) -> str:
        """Under which key we posted the message at ``ts``; empty for one that is not ours. Raises SlackError."""
        reply = await self._call(
            "conversations.replies",
            lambda: self.client.conversations_replies(channel=channel, ts=ts, limit=1, include_all_metadata=True),
        )
        first: dict[str, Any] = next(iter(reply.get("messages") or ()), {})
        return _key_in(first, await self._own_ids()) if first.get("ts") == ts else ""

    async def whisper(self, channel: str, user: str, message: Message, *, thread: str = "") -> None:
        """Say something that only one person sees, in a thread or the channel; tried three times. Raises SlackError."""
        place: dict[str, Any] = {"thread_ts": thread} if thread else {}

        async def post() -> None:
            await self._call(
                "chat.postEphemeral",
                lambda: self.client.chat_postEphemeral(
                    channel=channel, user=user, parse="none", **place, **message.payload()
                ),
            )

        await _three_times(post)

    async def unfurl(self, place: Mapping[str, Any], cards: Mapping[str, Mapping[str, Any]]) -> None:
        """Show cards beneath somebody's message, by the links in it; once more does no harm. Raises SlackError.

        ``place`` has ``unfurl_id`` and ``source``, or else ``channel`` and ``ts``, as Slack told of the links.
        """
        unfurls = {link: dict(card) for link, card in cards.items()}
        await self._call("chat.unfurl", lambda: self.client.chat_unfurl(unfurls=unfurls, **place))

    async def user(self, identifier: str) -> dict[str, Any]:
        """Somebody as Slack describes them (https://docs.slack.dev/reference/objects/user-object).

        Raises SlackError.
        """
        reply = await self._call("users.info", lambda: self.client.users_info(user=identifier))
        return reply.get("user") or {}

    async def group(self, identifier: str) -> frozenset[str]:
        """Who is in a user group. Raises SlackError."""
        reply = await self._call(
            "usergroups.users.list", lambda: self.client.usergroups_users_list(usergroup=identifier)
        )
        return frozenset(reply.get("users") or ())

    async def handles(self) -> dict[str, str]:
        """What the workspace's user groups are called, by id. Raises SlackError."""
        reply = await self._call("usergroups.list", self.client.usergroups_list)
        groups = reply.get("usergroups") or ()
        return {group["id"]: group["handle"] for group in groups if group.get("id") and group.get("handle")}

    async def channel(self, identifier: str) -> dict[str, Any]:
        """A channel as Slack describes it (https://docs.slack.dev/reference/objects/conversation-object).

        Raises SlackError.
        """
        reply = await self._call("conversations.info", lambda: self.client.conversations_info(channel=identifier))
        return reply.get("channel") or {}

    async def members(self, channel: str) -> frozenset[str]:
        """Who is in a conversation of a few people; of a large channel only the first are told. Raises SlackError."""
        reply = await self._call(
            "conversations.members", lambda: self.client.conversations_members(channel=channel, limit=200)
        )
        return frozenset(str(one) for one in reply.get("members") or ())

    async def rooms(self, user: str) -> frozenset[str]:
        """The channels that somebody is in, of the private ones those that the bot is in, too; archived ones left out.

        One call for each 999, and no more than ``MOST_PAGES``. Raises SlackError.
        """
        found: set[str] = set()
        cursor = ""
        for _ in range(MOST_PAGES):
            more = {"cursor": cursor} if cursor else {}
            reply = await self._rooms(user, more)
            found.update(str(one.get("id")) for one in reply.get("channels") or ())
            cursor = (reply.get("response_metadata") or {}).get("next_cursor") or ""
            if not cursor:
                break
        return frozenset(found)

    async def _rooms(self, user: str, more: Mapping[str, str]) -> dict[str, Any]:
        return await self._call(
            "users.conversations",
            lambda: self.client.users_conversations(
                user=user, types="public_channel,private_channel", exclude_archived=True, limit=999, **more
            ),
        )

    async def publish_home(self, user: str, view: dict[str, Any], version: str = "") -> str:
        """Show ``view`` as the App Home of ``user``, and give Slack's hash of it.

        With ``version``, only in the place of the one with that hash: what was read before another view was published
        must not take its place (https://docs.slack.dev/reference/methods/views.publish). Raises SlackError.
        """
        given = {"hash": version} if version else {}
        reply = await self._call("views.publish", lambda: self.client.views_publish(user_id=user, view=view, **given))
        return str((reply.get("view") or {}).get("hash") or "")

    async def open_view(self, trigger: str, view: dict[str, Any]) -> None:
        """Show a modal to whoever did what ``trigger`` came with, within three seconds of it. Raises SlackError."""
        await self._call("views.open", lambda: self.client.views_open(trigger_id=trigger, view=view))

    async def update_view(self, identifier: str, view: dict[str, Any], version: str) -> str:
        """Change a modal that stands as ``version`` (Slack's hash) knows it; gives the new one. Raises SlackError."""
        reply = await self._call(
            "views.update", lambda: self.client.views_update(view_id=identifier, view=view, hash=version)
        )
        return str((reply.get("view") or {}).get("hash") or "")

    async def respond(self, url: str, message: Message, *, replace: bool = False, thread: str = "") -> None:
        """Answer one person through a ``response_url``, which works five times in half an hour, also for no member.

        ``replace`` puts it in the place of the message that was clicked on; where none was, as for a slash command,
        Slack posts another. It is tried three times, for a second one harms nobody. Raises SlackError.
        """
        place = {"thread_ts": thread} if thread and not replace else {}
        body = message.payload() | {"response_type": "ephemeral", "replace_original": replace, **place}
        await _three_times(lambda: self._post(url, body))

    async def respond_in_channel(self, url: str, message: Message, meta: Mapping[str, Any]) -> None:
        """Post through a ``response_url`` for all to see: once, and with ``meta`` on it. Raises SlackError."""
        shown = {"response_type": "in_channel", "replace_original": False, "metadata": dict(meta)}
        await self._post(url, message.payload() | shown)

    async def _post(self, url: str, body: dict[str, Any]) -> None:
        hook = AsyncWebhookClient(url, session=self._session, retry_handlers=[], logger=_quiet())

        async def call() -> dict[str, Any]:
            reply = await hook.send_dict(body)
            refusal = _refusal_word(reply.status_code, reply.body)
            if refusal is not None:
                raise verdict(reply.status_code, refusal, reply.headers)
            return {}

        await self._settled("response_url", call)

    async def _call(self, method: str, send: Callable[[], Awaitable[AsyncSlackResponse]]) -> dict[str, Any]:
        async def call() -> dict[str, Any]:
            try:
                reply = await send()
            except SlackApiError as error:
                raise _refusal(error) from error
            except SlackRequestError as error:  # the SDK does not even ask
                raise verdict(200, "invalid_arguments", {}) from error
            return reply.data if isinstance(reply.data, dict) else {}

        return await self._settled(method, call)

    async def _settled(self, method: str, call: Callable[[], Awaitable[dict[str, Any]]]) -> dict[str, Any]:
        """Run one call within the deadline, count it, and give every way of failing one of the three names."""
        outcome, status, reason = "ok", "200", "canceled"
        began = self._clock.monotonic()
        try:
            async with timeout(self.deadline):
                said = await call()
            reason = ""
            return said
        except aiohttp.ClientConnectorError as error:
            outcome, status, reason = "deferred", "none", "unreachable"
            raise SlackDeferred("unreachable", "Slack is out of reach.", "Try again in a moment.") from error
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            outcome, status, reason = "unknown", "none", type(error).__name__
            raise verdict(None, type(error).__name__, {}) from error
        except SlackError as error:
            outcome, status = type(error).__name__.removeprefix("Slack").lower(), status_of(error.status)
            reason = error.reason
            raise
        finally:
            self._metrics.slack_calls.labels(method, outcome, status).inc()
            seconds = self._clock.monotonic() - began
            self._metrics.slack_seconds.labels(method).observe(seconds)
            came = f"{outcome}, HTTP {status}: {tracing.word(reason)}" if reason else outcome
            tracing.step("slack", method, came, bad=bool(reason), ms=round(seconds * 1000))


def _is_of(message: Mapping[str, Any], ours: frozenset[str]) -> bool:
    """Whether a message has our bot's or its user's id (https://docs.slack.dev/reference/events/message)."""
    return not ours.isdisjoint(one for name in ("bot_id", "user") if isinstance(one := message.get(name), str))


def _key_in(message: Mapping[str, Any], ours: frozenset[str]) -> str:
    """The key of a message that our own app posted; empty for every other."""
    meta = message.get("metadata") or {}
    if meta.get("event_type") != EVENT_TYPE or not _is_of(message, ours):
        return ""
    return str((meta.get("event_payload") or {}).get("key") or "")


def _is_person(identifier: str) -> bool:
    return identifier.startswith(("U", "W"))


def _quiet() -> logging.Logger:
    """A logger with a level of its own: else the SDK words each request and answer for a debug log nobody reads."""
    quiet = logging.getLogger("zofbot.slack_sdk")
    quiet.setLevel(logging.WARNING)
    return quiet


def _heed(reply: Mapping[str, Any]) -> None:
    """Say what Slack dropped of a message it took (https://docs.slack.dev/messaging/message-metadata)."""
    if reply.get("warning"):
        log.warning("slack warned", warning=reply["warning"], details=reply.get("response_metadata"))


async def _three_times(post: Callable[[], Awaitable[None]]) -> None:
    """Try a private answer again while that may help: a second one harms nobody."""
    async for attempt in stamina.retry_context(on=_again, attempts=3, timeout=30):
        with attempt:
            await post()


def _refusal_word(status: int, body: str) -> str | None:
    """Slack's word for refusing an answer; ``None`` where it took it, empty where it used none that can be read.

    It comes as text (``Expired url``) or as JSON with ``ok`` and ``error``, with 4xx or with 200
    (https://github.com/getsentry/sentry/pull/7955).
    """
    said: Any = body.strip()
    try:
        said = json.loads(said)
    except ValueError:
        pass
    if status == 200 and (said in ("ok", "") or (isinstance(said, dict) and said.get("ok") is True)):
        return None
    word = str(said.get("error") if isinstance(said, dict) else said).strip().lower().replace(" ", "_")
    return word if re.fullmatch(r"[a-z_]{1,60}", word) else ""


def _again(error: Exception) -> bool | float:
    """Whether a private answer may be tried again, and after how many seconds."""
    if isinstance(error, SlackDeferred):
        return error.retry_after
    return isinstance(error, SlackUnknown)


def _refusal(error: SlackApiError) -> SlackError:
    response = error.response
    data = response.data if isinstance(response, AsyncSlackResponse) and isinstance(response.data, dict) else {}
    status = getattr(response, "status_code", None) or getattr(response, "status", None)
    details = (data.get("response_metadata") or {}).get("messages")
    log.info("slack refused", reason=data.get("error"), needed=data.get("needed"), details=details)
    return verdict(status, str(data.get("error") or ""), response.headers, str(data.get("needed") or ""))
