"""The only writer to Slack's Web API: send, update, find; every failure becomes deferred, refused or unknown."""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar, overload

import aiohttp
import stamina
import structlog
from slack_sdk.errors import SlackApiError, SlackRequestError
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from zofbot.clock import Clock, timeout
from zofbot.domain.errors import SlackDeferred, SlackError, SlackRefused, SlackUnknown
from zofbot.notifications.notification import Receipt
from zofbot.observability import tracing
from zofbot.observability.metrics import Metrics, status_label
from zofbot.slack import responses
from zofbot.slack.errors import RefusalHandling, classify_error, handling_for
from zofbot.slack.history import HistorySearch, HistorySearches
from zofbot.slack.responses import METADATA_EVENT_TYPE, ReplyT
from zofbot.slack.views.blocks import Message
from zofbot.slack.web_client import BoundedWebClient, send_request

log = structlog.get_logger()

CALL_DEADLINE_SECONDS = 8.0
"""Seconds one call to Slack may take."""


MAX_HISTORY_PAGES = 5
"""Pages of 999 channels that are read of one person."""

PEOPLE_PER_PAGE, MAX_PEOPLE_PAGES = 200, 20
"""How many people of the workspace are read: Slack recommends pages of 200, and allows 20 calls a minute."""


@dataclass(frozen=True)
class BotIdentity:
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


def message_metadata(key: str, **facts: str) -> dict[str, Any]:
    """Our key on a message, readable by every app of the workspace: ids only, nothing secret."""
    return {"event_type": METADATA_EVENT_TYPE, "event_payload": {"key": key, **facts}}


SdkCall = Callable[[], Awaitable[AsyncSlackResponse]]
T = TypeVar("T")


class SlackClient:
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
        deadline: float = CALL_DEADLINE_SECONDS,
    ) -> None:
        self.deadline = deadline
        # Without handlers: the SDK would resend after a lost connection, and the message might be there already.
        self.client = BoundedWebClient(
            token=token, base_url=api_url, session=session, retry_handlers=[], logger=_quiet_logger()
        )
        self._session = session
        self._metrics = metrics
        self._clock = clock
        self._searches = HistorySearches()
        self._identity: BotIdentity | None = None
        self._direct_messages: dict[str, str] = {}

    def use_token(self, token: str) -> None:
        """Use another token from the next call on; the app may have been installed anew under another bot id."""
        self.client.token = token
        self._identity = None

    async def fetch_identity(self) -> BotIdentity:
        """Ask Slack who this token is. Raises SlackError."""
        headers: dict[str, str] = {}

        async def call_auth_test() -> AsyncSlackResponse:
            said = await self.client.auth_test()
            headers.update((name.lower(), str(value)) for name, value in said.headers.items())
            return said

        who = await self._call_method("auth.test", call_auth_test, responses.AuthTestReply)
        told = headers.get("x-oauth-scopes")
        scopes = None if told is None else frozenset(scope.strip() for scope in told.split(","))
        team, bot, enterprise = (item or "" for item in (who.team_id, who.bot_id, who.enterprise_id))
        self._identity = BotIdentity(team, who.user_id, bot, enterprise, scopes, headers.get("date", ""))
        return self._identity

    async def open_socket(self, app_token: str) -> str:
        """Ask for the address of one Socket Mode connection, with the ticket that admits to it. Raises SlackError."""
        reply = await self._call_method(
            "apps.connections.open",
            lambda: self.client.apps_connections_open(app_token=app_token),
            responses.SocketUrlReply,
        )
        return reply.url

    async def connect_socket(self, url: str, ping_seconds: float) -> aiohttp.ClientWebSocketResponse:
        """Connect to what ``open_socket`` gave. Raises aiohttp.ClientError, OSError or ValueError.

        As http(s), because the environment's proxies are for that; aiohttp knows none for ws(s).
        """
        address = re.sub(r"^ws(?=s?://)", "http", url)
        return await self._session.ws_connect(address, heartbeat=ping_seconds)

    async def post_message(
        self, channel: str, message: Message, meta: Mapping[str, Any], *, thread: str = "", broadcast: bool = False
    ) -> Receipt:
        """Post once, with ``meta`` on it. Raises SlackDeferred, SlackRefused, or SlackUnknown: then look first.

        ``thread`` is the time stamp of the message to reply to, and ``broadcast`` shows a reply in the channel as well.
        """
        place: dict[str, Any] = {"thread_ts": thread, "reply_broadcast": broadcast} if thread else {}
        reply = await self._call_method(
            "chat.postMessage",
            lambda: self.client.chat_postMessage(
                channel=channel, metadata=dict(meta), unfurl_links=False, unfurl_media=False, parse="none",
                **place, **message.message_fields(),
            ),
            responses.PostMessageReply,
        )  # fmt: skip
        there = reply.channel or channel
        if _is_user_id(channel) and not _is_user_id(there):
            self._direct_messages[channel] = there
        return Receipt(there, reply.ts)

    async def update_message(
        self, receipt: Receipt, message: Message, meta: Mapping[str, Any] | None = None
    ) -> Receipt:
        """Make a message of ours show this instead; repeating it harms nobody. Without ``meta`` it keeps its own.

        Raises SlackError.
        """
        given: dict[str, Any] = {"metadata": dict(meta)} if meta else {}
        await self._call_method(
            "chat.update",
            lambda: self.client.chat_update(
                channel=receipt.channel, ts=receipt.ts, parse="none", **given, **message.message_fields()
            ),
        )
        return receipt

    async def find_message(self, channel: str, key: str, since: float, *, thread: str = "") -> Receipt | None:
        """Look for our own message with ``key`` among all since ``since`` (Unix seconds), in the channel or a thread.

        One call for each page; one that Slack refuses for a while is where the next call goes on. Raises SlackError:
        nothing is known then.
        """
        found = await self._search_history(channel, thread, key, since, lambda found: key in found)
        return found.get(key)

    async def find_by_prefix(self, channel: str, prefix: str, since: float) -> dict[str, Receipt]:
        """Our own messages in the channel since ``since`` (Unix seconds) whose keys begin so. Raises SlackError."""
        found = await self._search_history(channel, "", f"{prefix}*", since, lambda found: False)
        return {key: receipt for key, receipt in found.items() if key.startswith(prefix)}

    async def _search_history(
        self, channel: str, thread: str, wanted: str, since: float, enough: Callable[[Mapping[str, Receipt]], bool]
    ) -> dict[str, Receipt]:
        """Read until there is ``enough``, or all that stood there when this call began."""
        channel = await self._conversation_id(channel)
        search = self._searches.resume_search(channel, thread, wanted, since)
        if not search.cursor:
            search.begin_window(self._clock.time())
        resumed = bool(search.cursor)
        ours = await self._fetch_own_ids()
        while True:
            page = await self._read_page(search)
            search.found |= {
                message.key: Receipt(channel, message.ts)
                for message in page.messages
                if message.key and message.is_posted_by(ours)
            }
            more = search.turn_page(page)
            if enough(search.found):
                break
            if more:
                continue
            if not resumed or thread:  # a thread is read towards the present
                break
            search.begin_window(self._clock.time())  # what came since the window was begun
            resumed = False
        self._searches.finish_search(channel, thread, wanted)
        return search.found

    async def _read_page(self, search: HistorySearch) -> responses.HistoryReply:
        """Read one page. A cursor that Slack does not know any more is given up with the search."""
        asked = search.request_arguments()
        method, call = (
            ("conversations.replies", self.client.conversations_replies)
            if search.thread
            else ("conversations.history", self.client.conversations_history)
        )
        try:
            page = await self._call_method(method, lambda: call(**asked), responses.HistoryReply)
        except SlackRefused as no:
            if no.reason != "invalid_cursor":
                raise
            search.newest = search.cursor = ""
            raise classify_error(None, "invalid_cursor", {}) from no
        if (
            page.page_cursor and page.page_cursor == search.cursor
        ):  # whether what is looked for comes later, nobody knows
            raise responses.unreadable_error("response_metadata.next_cursor")
        return page

    async def has_message(self, receipt: Receipt) -> bool:
        """Whether a message of ours is still there, in the channel or in a thread. Raises SlackError.

        What is left of a removed message that had replies is not the message.
        """
        channel = await self._conversation_id(receipt.channel)
        try:
            page = await self._call_method(
                "conversations.replies",
                lambda: self.client.conversations_replies(
                    channel=channel, ts=receipt.ts, oldest=receipt.ts, inclusive=True, limit=200
                ),
                responses.HistoryReply,
            )
        except SlackRefused as no:
            if handling_for(no.reason) is RefusalHandling.REPOST:
                return False
            raise
        return any(message.ts == receipt.ts and message.subtype != "tombstone" for message in page.messages)

    async def is_own_message(self, message: Mapping[str, Any]) -> bool:
        """Whether our own app posted a message, as Slack shows it. Raises SlackError."""
        return not (await self._fetch_own_ids()).isdisjoint(str(message.get(name)) for name in ("bot_id", "user"))

    async def _fetch_own_ids(self) -> frozenset[str]:
        """The ids by which our own messages are known: any app can write our metadata. Raises SlackError."""
        identity = self._identity or await self.fetch_identity()
        return frozenset(item for item in (identity.bot, identity.user) if item)

    async def _conversation_id(self, channel: str) -> str:
        """The id of a channel; for a person's id, that of their direct messages with the bot, which is opened once.

        Only ``chat.postMessage`` takes the id of a person (https://docs.slack.dev/reference/methods/conversations.open).
        """
        if not _is_user_id(channel):
            return channel
        if channel not in self._direct_messages:
            reply = await self._call_method(
                "conversations.open",
                lambda: self.client.conversations_open(users=channel),
                responses.OpenConversationReply,
            )
            self._direct_messages[channel] = reply.channel.id
        return self._direct_messages[channel]

    async def delete_message(self, receipt: Receipt) -> None:
        """Delete a message of ours. Raises SlackError."""
        await self._call_method("chat.delete", lambda: self.client.chat_delete(channel=receipt.channel, ts=receipt.ts))

    async def join_channel(self, channel: str) -> None:
        """Become a member of a public channel. Raises SlackError."""
        await self._call_method("conversations.join", lambda: self.client.conversations_join(channel=channel))

    async def fetch_permalink(self, receipt: Receipt) -> str:
        """The message's link. Raises SlackError."""
        reply = await self._call_method(
            "chat.getPermalink",
            lambda: self.client.chat_getPermalink(channel=receipt.channel, message_ts=receipt.ts),
            responses.PermalinkReply,
        )
        return reply.permalink

    async def key_at(self, channel: str, ts: str) -> str:
        """Under which key we posted the message at ``ts``; empty for one that is not ours. Raises SlackError."""
        reply = await self._call_method(
            "conversations.replies",
            lambda: self.client.conversations_replies(channel=channel, ts=ts, limit=1, include_all_metadata=True),
            responses.HistoryReply,
        )
        ours = await self._fetch_own_ids()
        return next(
            (message.key for message in reply.messages[:1] if message.ts == ts and message.is_posted_by(ours)), ""
        )

    async def post_ephemeral(self, channel: str, user: str, message: Message, *, thread: str = "") -> None:
        """Say something that only one person sees, in a thread or the channel; tried three times. Raises SlackError."""
        place: dict[str, Any] = {"thread_ts": thread} if thread else {}

        async def post_once() -> None:
            await self._call_method(
                "chat.postEphemeral",
                lambda: self.client.chat_postEphemeral(
                    channel=channel, user=user, parse="none", **place, **message.message_fields()
                ),
            )

        await _post_with_retries(post_once)

    async def unfurl_links(self, place: Mapping[str, Any], cards: Mapping[str, Mapping[str, Any]]) -> None:
        """Show cards beneath somebody's message, by the links in it; once more does no harm. Raises SlackError.

        ``place`` has ``unfurl_id`` and ``source``, or else ``channel`` and ``ts``, as Slack told of the links.
        """
        unfurls = {link: dict(card) for link, card in cards.items()}
        await self._call_method("chat.unfurl", lambda: self.client.chat_unfurl(unfurls=unfurls, **place))

    async def fetch_user(self, identifier: str) -> dict[str, Any]:
        """Somebody as Slack describes them (https://docs.slack.dev/reference/objects/user-object).

        Raises SlackError.
        """
        reply = await self._call_method(
            "users.info", lambda: self.client.users_info(user=identifier), responses.UserInfoReply
        )
        return reply.user.model_dump(exclude_unset=True)

    async def fetch_admins(self) -> frozenset[str]:
        """The admins and owners of the workspace, among the first ``MAX_PEOPLE_PAGES`` pages of its people.

        https://docs.slack.dev/reference/methods/users.list . Raises SlackError.
        """
        found: set[str] = set()
        cursor = ""
        for _ in range(MAX_PEOPLE_PAGES):
            page = await self._fetch_people_page(cursor)
            ranks = (
                (member.id, member.is_admin or member.is_owner or member.is_primary_owner) for member in page.members
            )
            found.update(identifier for identifier, ranks_high in ranks if identifier and ranks_high)
            cursor = page.page_cursor
            if not cursor:
                break
        return frozenset(found)

    async def _fetch_people_page(self, cursor: str) -> responses.UserListReply:
        return await self._call_method(
            "users.list",
            lambda: self.client.users_list(limit=PEOPLE_PER_PAGE, cursor=cursor or None),
            responses.UserListReply,
        )

    async def fetch_group_members(self, identifier: str) -> frozenset[str]:
        """Who is in a user group. Raises SlackError."""
        reply = await self._call_method(
            "usergroups.users.list",
            lambda: self.client.usergroups_users_list(usergroup=identifier),
            responses.GroupMembersReply,
        )
        return reply.users

    async def fetch_group_handles(self) -> dict[str, str]:
        """What the workspace's user groups are called, by id. Raises SlackError."""
        reply = await self._call_method("usergroups.list", self.client.usergroups_list, responses.GroupListReply)
        return {group.id: group.handle for group in reply.usergroups if group.handle}

    async def fetch_channel(self, identifier: str) -> dict[str, Any]:
        """A channel as Slack describes it (https://docs.slack.dev/reference/objects/conversation-object).

        Raises SlackError.
        """
        reply = await self._call_method(
            "conversations.info",
            lambda: self.client.conversations_info(channel=identifier),
            responses.ConversationInfoReply,
        )
        return reply.channel.model_dump(exclude_unset=True)

    async def fetch_channel_members(self, channel: str) -> frozenset[str]:
        """Who is in a conversation of a few people; of a large channel only the first are told. Raises SlackError."""
        reply = await self._call_method(
            "conversations.members",
            lambda: self.client.conversations_members(channel=channel, limit=200),
            responses.ChannelMembersReply,
        )
        return reply.members

    async def fetch_channels_of(self, user: str) -> frozenset[str]:
        """The channels that somebody is in, of the private ones those that the bot is in, too; archived ones left out.

        One call for each 999, and no more than ``MAX_HISTORY_PAGES``. Raises SlackError.
        """
        found: set[str] = set()
        cursor = ""
        for _ in range(MAX_HISTORY_PAGES):
            more = {"cursor": cursor} if cursor else {}
            page = await self._fetch_channels_page(user, more)
            found.update(channel.id for channel in page.channels)
            cursor = page.page_cursor
            if not cursor:
                break
        return frozenset(found)

    async def _fetch_channels_page(self, user: str, more: Mapping[str, str]) -> responses.UserChannelsReply:
        return await self._call_method(
            "users.conversations",
            lambda: self.client.users_conversations(
                user=user, types="public_channel,private_channel", exclude_archived=True, limit=999, **more
            ),
            responses.UserChannelsReply,
        )

    async def publish_home(self, user: str, view: dict[str, Any], version: str = "") -> str:
        """Show ``view`` as the App Home of ``user``, and give Slack's hash of it.

        With ``version``, only in the place of the one with that hash: what was read before another view was
        published must not take its place (https://docs.slack.dev/reference/methods/views.publish). Raises SlackError.
        """
        given = {"hash": version} if version else {}
        reply = await self._call_method(
            "views.publish", lambda: self.client.views_publish(user_id=user, view=view, **given), responses.ViewReply
        )
        return reply.view.hash or ""

    async def open_view(self, trigger: str, view: dict[str, Any]) -> None:
        """Show a modal to whoever did what ``trigger`` came with, within three seconds of it. Raises SlackError."""
        await self._call_method("views.open", lambda: self.client.views_open(trigger_id=trigger, view=view))

    async def update_view(self, identifier: str, view: dict[str, Any], version: str = "") -> str:
        """Change a modal that stands as ``version`` (Slack's hash) knows it, or as it may; gives the new version.

        Slack refuses another version with ``hash_conflict`` (https://docs.slack.dev/reference/methods/views.update).
        Raises SlackError.
        """
        given = {"hash": version} if version else {}
        reply = await self._call_method(
            "views.update",
            lambda: self.client.views_update(view_id=identifier, view=view, **given),
            responses.ViewReply,
        )
        return reply.view.hash or ""

    async def respond_by_url(self, url: str, message: Message, *, replace: bool = False, thread: str = "") -> None:
        """Answer one person through a ``response_url``, which works five times in half an hour, also for no member.

        ``replace`` puts it in the place of the message that was clicked on; where none was, as for a slash
        command, Slack posts another. It is tried three times, for a second one harms nobody. Raises SlackError.
        """
        place = {"thread_ts": thread} if thread and not replace else {}
        body = message.message_fields() | {"response_type": "ephemeral", "replace_original": replace, **place}
        await _post_with_retries(lambda: self._post_to_url(url, body))

    async def respond_in_channel(self, url: str, message: Message, meta: Mapping[str, Any]) -> None:
        """Post through a ``response_url`` for all to see: once, and with ``meta`` on it. Raises SlackError."""
        shown = {"response_type": "in_channel", "replace_original": False, "metadata": dict(meta)}
        await self._post_to_url(url, message.message_fields() | shown)

    async def _post_to_url(self, url: str, body: dict[str, Any]) -> None:
        async def post_once() -> None:
            reply = await send_request(self._session, "POST", url, json=body, proxy=self.client.proxy)
            responses.check_response_url_reply(reply)

        await self._run_call("response_url", post_once)

    @overload
    async def _call_method(self, method: str, send: SdkCall) -> responses.SlackReply: ...

    @overload
    async def _call_method(self, method: str, send: SdkCall, kind: type[ReplyT]) -> ReplyT: ...

    async def _call_method(
        self, method: str, send: SdkCall, kind: type[responses.SlackReply] = responses.SlackReply
    ) -> responses.SlackReply:
        async def call() -> responses.SlackReply:
            try:
                reply = await send()
            except SlackApiError as error:
                raise _refusal_error(error) from error
            except SlackRequestError as error:  # the SDK does not even ask
                raise classify_error(200, "invalid_arguments", {}) from error
            said = reply.data if isinstance(reply.data, dict) else {}
            if kept := said.get("warning"):  # https://docs.slack.dev/messaging/message-metadata
                warning, details = responses.printable_text(kept, 100), responses.parse_details(said)
                log.warning("slack warned", method=method, warning=warning, details=details)
            return responses.parse_reply(kind, said)

        return await self._run_call(method, call)

    async def _run_call(self, method: str, call: Callable[[], Awaitable[T]]) -> T:
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
            raise classify_error(None, type(error).__name__, {}) from error
        except SlackError as error:
            outcome, status = type(error).__name__.removeprefix("Slack").lower(), status_label(error.status)
            reason = error.reason
            raise
        finally:
            self._metrics.slack_calls.labels(method, outcome, status).inc()
            seconds = self._clock.monotonic() - began
            self._metrics.slack_seconds.labels(method).observe(seconds)
            came = f"{outcome}, HTTP {status}: {tracing.safe_word(reason)}" if reason else outcome
            tracing.record_step("slack", method, came, bad=bool(reason), ms=round(seconds * 1000))


def _is_user_id(identifier: str) -> bool:
    return identifier.startswith(("U", "W"))


def _quiet_logger() -> logging.Logger:
    """A logger with a level of its own: else the SDK words each request and answer for a debug log nobody reads."""
    quiet = logging.getLogger("zofbot.slack_sdk")
    quiet.setLevel(logging.WARNING)
    return quiet


async def _post_with_retries(post: Callable[[], Awaitable[None]]) -> None:
    """Try a private answer again while that may help: a second one harms nobody."""
    async for attempt in stamina.retry_context(on=_retry_delay, attempts=3, timeout=30):
        with attempt:
            await post()


def _retry_delay(error: Exception) -> bool | float:
    """Whether a private answer may be tried again, and after how many seconds."""
    if isinstance(error, SlackDeferred):
        return error.retry_after
    return isinstance(error, SlackUnknown)


def _refusal_error(error: SlackApiError) -> SlackError:
    """Sort what Slack refused; its word was checked when the reply was read."""
    response = error.response
    said = response.data if isinstance(response, AsyncSlackResponse) and isinstance(response.data, dict) else {}
    reason, needed = str(said.get("error") or ""), responses.parse_scope(said.get("needed"))
    log.info("slack refused", reason=reason, needed=needed, details=responses.parse_details(said))
    return classify_error(response.status_code, reason, response.headers, needed)
