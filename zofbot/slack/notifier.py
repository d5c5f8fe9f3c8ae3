"""The only writer to Slack's Web API: send, update, find; every failure becomes deferred, refused or unknown."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar, overload

import aiohttp
import stamina
import structlog
from slack_sdk.errors import SlackApiError, SlackRequestError
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from zofbot import tracing
from zofbot.clock import Clock, timeout
from zofbot.errors import SlackDeferred, SlackError, SlackRefused, SlackUnknown
from zofbot.metrics import Metrics, status_of
from zofbot.notification import Receipt
from zofbot.slack import received
from zofbot.slack.exchange import WebClient, exchange
from zofbot.slack.message import Message
from zofbot.slack.received import EVENT_TYPE, Kind
from zofbot.slack.verdict import Remedy, remedy, verdict

log = structlog.get_logger()

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


Send = Callable[[], Awaitable[AsyncSlackResponse]]
Given = TypeVar("Given")


class SlackNotifier:
    """Speaks to one workspace. ``session`` is shared by all calls, because the SDK else opens a connection each.

    ``deadline`` is the seconds that one call may take.
    """

    def __init__(
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
        self.client = WebClient(token=token, base_url=api_url, session=session, retry_handlers=[], logger=_quiet())
        self._session = session
        self._metrics = metrics
        self._clock = clock

    def rekey(self, token: str) -> None:
        """Use another token from the next call on."""
        self.client.token = token

    async def identify(self) -> Identity:
        """Ask Slack who this token is. Raises SlackError."""
        headers: dict[str, str] = {}

        async def ask() -> AsyncSlackResponse:
            said = await self.client.auth_test()
            headers.update((name.lower(), str(value)) for name, value in said.headers.items())
            return said

        who = await self._call("auth.test", ask, received.Who)
        told = headers.get("x-oauth-scopes")
        scopes = None if told is None else frozenset(scope.strip() for scope in told.split(","))
        team, bot, enterprise = (one or "" for one in (who.team_id, who.bot_id, who.enterprise_id))
        return Identity(team, who.user_id, bot, enterprise, scopes, headers.get("date", ""))

    async def try_socket(self, app_token: str) -> None:
        """Ask for the address of a Socket Mode connection, which nobody will use. Raises SlackError."""
        await self._call("apps.connections.open", lambda: self.client.apps_connections_open(app_token=app_token))

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
                channel=channel, metadata=dict(meta), unfurl_links=False, unfurl_media=False,
                **place, **message.payload(),
            ),
            received.Posted,
        )  # fmt: skip
        return Receipt(reply.channel or channel, reply.ts)

    async def update(self, receipt: Receipt, message: Message, meta: Mapping[str, Any] | None = None) -> Receipt:
        """Make a message of ours show this instead; repeating it harms nobody. Without ``meta`` it keeps its own.

        Raises SlackError.
        """
        given: dict[str, Any] = {"metadata": dict(meta)} if meta else {}
        await self._call(
            "chat.update",
            lambda: self.client.chat_update(channel=receipt.channel, ts=receipt.ts, **given, **message.payload()),
        )
        return receipt

    async def find(self, channel: str, key: str, since: float, *, thread: str = "") -> Receipt | None:
        """Look for our own message with ``key`` among all since ``since`` (Unix seconds), in the channel or a thread.

        One call for each 200 messages. Raises SlackError: nothing is known then.
        """
        async for found, receipt in self._ours(channel, since, thread):
            if found == key:
                return receipt
        return None

    async def standing(self, channel: str, prefix: str, since: float) -> dict[str, Receipt]:
        """Our own messages in the channel since ``since`` (Unix seconds) whose keys begin so. Raises SlackError."""
        return {key: receipt async for key, receipt in self._ours(channel, since, "") if key.startswith(prefix)}

    async def is_standing(self, receipt: Receipt) -> bool:
        """Whether a message of ours is still there, in the channel or in a thread. Raises SlackError.

        What is left of a removed message that had replies is not the message.
        """
        try:
            page = await self._page(receipt.channel, float(receipt.ts), receipt.ts, "")
        except SlackRefused as no:
            if remedy(no.reason) is Remedy.REPOST:
                return False
            raise
        return any(one.ts == receipt.ts and one.subtype != "tombstone" for one in page.messages)

    async def _ours(self, channel: str, since: float, thread: str) -> AsyncGenerator[tuple[str, Receipt], None]:
        cursor = ""
        while True:
            page = await self._page(channel, since, thread, cursor)
            for message in page.messages:
                if message.key:
                    yield message.key, Receipt(channel, message.ts)
            if not page.cursor:
                return
            if page.cursor == cursor:  # whether what is looked for comes later, nobody knows
                raise received.unreadable("response_metadata.next_cursor")
            cursor = page.cursor

    async def _page(self, channel: str, since: float, thread: str, cursor: str) -> received.Messages:
        asked: dict[str, Any] = {
            "channel": channel, "oldest": f"{since:.6f}", "inclusive": True, "limit": 200, "include_all_metadata": True,
            **({"cursor": cursor} if cursor else {}),
        }  # fmt: skip
        if thread:
            return await self._call(
                "conversations.replies",
                lambda: self.client.conversations_replies(ts=thread, **asked),
                received.Messages,
            )
        return await self._call(
            "conversations.history", lambda: self.client.conversations_history(**asked), received.Messages
        )

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
            received.Linked,
        )
        return reply.permalink

    async def key_of(self, channel: str, ts: str) -> str:
        """Under which key we posted the message at ``ts``; empty for one that is not ours. Raises SlackError."""
        reply = await self._call(
            "conversations.replies",
            lambda: self.client.conversations_replies(channel=channel, ts=ts, limit=1, include_all_metadata=True),
            received.Messages,
        )
        return next((one.key for one in reply.messages[:1] if one.ts == ts), "")

    async def whisper(self, channel: str, user: str, message: Message, *, thread: str = "") -> None:
        """Say something that only one person sees, in a thread or the channel. Raises SlackError."""
        place: dict[str, Any] = {"thread_ts": thread} if thread else {}
        await self._call(
            "chat.postEphemeral",
            lambda: self.client.chat_postEphemeral(channel=channel, user=user, **place, **message.payload()),
        )

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
        reply = await self._call("users.info", lambda: self.client.users_info(user=identifier), received.Users)
        return reply.user.model_dump(exclude_unset=True)

    async def group(self, identifier: str) -> frozenset[str]:
        """Who is in a user group. Raises SlackError."""
        reply = await self._call(
            "usergroups.users.list",
            lambda: self.client.usergroups_users_list(usergroup=identifier),
            received.Members,
        )
        return reply.users

    async def handles(self) -> dict[str, str]:
        """What the workspace's user groups are called, by id. Raises SlackError."""
        reply = await self._call("usergroups.list", self.client.usergroups_list, received.Groups)
        return {group.id: group.handle for group in reply.usergroups if group.handle}

    async def channel(self, identifier: str) -> dict[str, Any]:
        """A channel as Slack describes it (https://docs.slack.dev/reference/objects/conversation-object).

        Raises SlackError.
        """
        reply = await self._call(
            "conversations.info",
            lambda: self.client.conversations_info(channel=identifier),
            received.Conversations,
        )
        return reply.channel.model_dump(exclude_unset=True)

    async def rooms(self, user: str) -> frozenset[str]:
        """The channels that somebody is in, of the private ones those that the bot is in, too; archived ones left out.

        One call for each 999, and no more than ``MOST_PAGES``. Raises SlackError.
        """
        found: set[str] = set()
        cursor = ""
        for _ in range(MOST_PAGES):
            more = {"cursor": cursor} if cursor else {}
            page = await self._rooms(user, more)
            found.update(one.id for one in page.channels)
            cursor = page.cursor
            if not cursor:
                break
        return frozenset(found)

    async def _rooms(self, user: str, more: Mapping[str, str]) -> received.Channels:
        return await self._call(
            "users.conversations",
            lambda: self.client.users_conversations(
                user=user, types="public_channel,private_channel", exclude_archived=True, limit=999, **more
            ),
            received.Channels,
        )

    async def publish_home(self, user: str, view: dict[str, Any], version: str = "") -> str:
        """Show ``view`` as the App Home of ``user``, and give Slack's hash of it.

        With ``version``, only in the place of the one with that hash: what was read before another view was published
        must not take its place (https://docs.slack.dev/reference/methods/views.publish). Raises SlackError.
        """
        given = {"hash": version} if version else {}
        reply = await self._call(
            "views.publish",
            lambda: self.client.views_publish(user_id=user, view=view, **given),
            received.Viewed,
        )
        return reply.view.hash or ""

    async def open_view(self, trigger: str, view: dict[str, Any]) -> None:
        """Show a modal to whoever did what ``trigger`` came with, within three seconds of it. Raises SlackError."""
        await self._call("views.open", lambda: self.client.views_open(trigger_id=trigger, view=view))

    async def update_view(self, identifier: str, view: dict[str, Any], version: str) -> str:
        """Change a modal that stands as ``version`` (Slack's hash) knows it; gives the new one. Raises SlackError."""
        reply = await self._call(
            "views.update",
            lambda: self.client.views_update(view_id=identifier, view=view, hash=version),
            received.Viewed,
        )
        return reply.view.hash or ""

    async def respond(
        self, url: str, message: Message, *, replace: bool = False, in_channel: bool = False, meta: Any = None
    ) -> None:
        """Answer through a ``response_url``, which works five times in half an hour, even where the bot is no member.

        Private answers are tried three times, for a second one harms nobody; one that all can see only once. Raises
        SlackError.
        """

        async def post() -> None:
            await self._post(url, message, replace=replace, in_channel=in_channel, meta=meta)

        if in_channel and not replace:
            await post()
            return
        async for attempt in stamina.retry_context(on=_again, attempts=3, timeout=30):
            with attempt:
                await post()

    async def _post(self, url: str, message: Message, *, replace: bool, in_channel: bool, meta: Any) -> None:
        body = message.payload() | {
            "response_type": "in_channel" if in_channel else "ephemeral",
            "replace_original": replace,
            **({"metadata": meta} if meta else {}),
        }

        async def call() -> None:
            reply = await exchange(self._session, "POST", url, json=body, proxy=self.client.proxy)
            received.read_response_url_reply(reply)

        await self._settled("response_url", call)

    @overload
    async def _call(self, method: str, send: Send) -> received.Said: ...

    @overload
    async def _call(self, method: str, send: Send, kind: type[Kind]) -> Kind: ...

    async def _call(self, method: str, send: Send, kind: type[received.Said] = received.Said) -> received.Said:
        async def call() -> received.Said:
            try:
                reply = await send()
            except SlackApiError as error:
                raise _refusal(error) from error
            except SlackRequestError as error:  # the SDK does not even ask
                raise verdict(200, "invalid_arguments", {}) from error
            said = reply.data if isinstance(reply.data, dict) else {}
            if kept := said.get("warning"):  # https://docs.slack.dev/messaging/message-metadata
                log.warning(
                    "slack warned",
                    method=method,
                    warning=received.printable(kept, 100),
                    details=received.details_in(said),
                )
            return received.read(kind, said)

        return await self._settled(method, call)

    async def _settled(self, method: str, call: Callable[[], Awaitable[Given]]) -> Given:
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


def _quiet() -> logging.Logger:
    """A logger with a level of its own: else the SDK words each request and answer for a debug log nobody reads."""
    quiet = logging.getLogger("zofbot.slack_sdk")
    quiet.setLevel(logging.WARNING)
    return quiet


def _again(error: Exception) -> bool | float:
    """Whether a private answer may be tried again, and after how many seconds."""
    if isinstance(error, SlackDeferred):
        return error.retry_after
    return isinstance(error, SlackUnknown)


def _refusal(error: SlackApiError) -> SlackError:
    """Sort what Slack refused; its word was checked when the reply was read."""
    response = error.response
    said = response.data if isinstance(response, AsyncSlackResponse) and isinstance(response.data, dict) else {}
    reason, needed = str(said.get("error") or ""), received.scope_in(said.get("needed"))
    log.info("slack refused", reason=reason, needed=needed, details=received.details_in(said))
    return verdict(response.status_code, reason, response.headers, needed)
