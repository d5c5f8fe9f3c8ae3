"""Client for Slack's Web API; each error becomes SlackDeferred, SlackRefused or SlackUnknown."""

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
from zofbot.observability.emitter import EventEmitter
from zofbot.observability.events.calls import SlackCall
from zofbot.slack import responses
from zofbot.slack.errors import RefusalHandling, classify_error, handling_for
from zofbot.slack.history import HistorySearch, HistorySearches
from zofbot.slack.responses import METADATA_EVENT_TYPE, ReplyT
from zofbot.slack.views.blocks import Message
from zofbot.slack.web_client import BoundedWebClient, send_request

log = structlog.get_logger()

CALL_DEADLINE_SECONDS = 8.0
"""Timeout of one call to Slack, in seconds."""


MAX_HISTORY_PAGES = 5
"""Maximum pages of 999 channels to read for one person."""

PEOPLE_PER_PAGE, MAX_PEOPLE_PAGES = 200, 20
"""Page size and maximum pages for ``users.list``: Slack recommends 200, and allows 20 calls a minute."""


@dataclass(frozen=True)
class BotIdentity:
    """The bot's ids in its workspace, from ``auth.test``."""

    team: str
    user: str
    bot: str
    enterprise: str = ""
    """The organization that the workspace belongs to, on Enterprise Grid."""
    scopes: frozenset[str] | None = None
    """The token's scopes; None if Slack did not list them."""
    date: str = ""
    """The reply's Date header."""


def message_metadata(key: str, **facts: str) -> dict[str, Any]:
    """Return metadata with the idempotency key. Every app in the workspace can read it: ids only, nothing secret."""
    return {"event_type": METADATA_EVENT_TYPE, "event_payload": {"key": key, **facts}}


SdkCall = Callable[[], Awaitable[AsyncSlackResponse]]
T = TypeVar("T")


class SlackClient:
    """Client for one workspace. All calls share ``session``; without one, the SDK opens a connection per call.

    ``deadline`` is the timeout of one call, in seconds.
    """

    def __init__(  # noqa: PLR0913  (each from outside)
        self,
        session: aiohttp.ClientSession,
        *,
        token: str,
        api_url: str,
        events: EventEmitter,
        clock: Clock,
        deadline: float = CALL_DEADLINE_SECONDS,
    ) -> None:
        self.deadline = deadline
        # No retry handlers: the SDK resends after a lost connection, which could post a message twice.
        self.client = BoundedWebClient(
            token=token, base_url=api_url, session=session, retry_handlers=[], logger=_quiet_logger()
        )
        self._session = session
        self._events = events
        self._clock = clock
        self._searches = HistorySearches()
        self._identity: BotIdentity | None = None
        self._direct_messages: dict[str, str] = {}

    def use_token(self, token: str) -> None:
        """Use another token from the next call on, and reread the identity: the bot id may have changed."""
        self.client.token = token
        self._identity = None

    async def fetch_identity(self) -> BotIdentity:
        """Fetch the identity that the token belongs to (``auth.test``). Raises SlackError."""
        headers: dict[str, str] = {}

        async def call_auth_test() -> AsyncSlackResponse:
            response = await self.client.auth_test()
            headers.update((name.lower(), str(value)) for name, value in response.headers.items())
            return response

        identity = await self._call_method("auth.test", call_auth_test, responses.AuthTestReply)
        scope_header = headers.get("x-oauth-scopes")
        scopes = None if scope_header is None else frozenset(scope.strip() for scope in scope_header.split(","))
        team, bot, enterprise = (item or "" for item in (identity.team_id, identity.bot_id, identity.enterprise_id))
        self._identity = BotIdentity(team, identity.user_id, bot, enterprise, scopes, headers.get("date", ""))
        return self._identity

    async def open_socket(self, app_token: str) -> str:
        """Fetch the URL, including its ticket, for one Socket Mode connection. Raises SlackError."""
        reply = await self._call_method(
            "apps.connections.open",
            lambda: self.client.apps_connections_open(app_token=app_token),
            responses.SocketUrlReply,
        )
        return reply.url

    async def connect_socket(self, url: str, ping_seconds: float) -> aiohttp.ClientWebSocketResponse:
        """Connect to a URL from ``open_socket``. Raises aiohttp.ClientError, OSError or ValueError.

        Uses http(s) instead of ws(s), because aiohttp applies the environment's proxies to http(s) only.
        """
        address = re.sub(r"^ws(?=s?://)", "http", url)
        return await self._session.ws_connect(address, heartbeat=ping_seconds)

    async def post_message(
        self, channel: str, message: Message, meta: Mapping[str, Any], *, thread: str = "", broadcast: bool = False
    ) -> Receipt:
        """Post a message with metadata ``meta``, without retries.

        ``thread`` is the timestamp of the message to reply to; ``broadcast`` also shows the reply in the channel.
        Raises SlackDeferred, SlackRefused, or SlackUnknown: search for the message before posting again.
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
        """Replace the content of one of the bot's messages; idempotent. Without ``meta`` it keeps its metadata.

        Raises SlackError.
        """
        metadata: dict[str, Any] = {"metadata": dict(meta)} if meta else {}
        await self._call_method(
            "chat.update",
            lambda: self.client.chat_update(
                channel=receipt.channel, ts=receipt.ts, parse="none", **metadata, **message.message_fields()
            ),
        )
        return receipt

    async def find_message(self, channel: str, key: str, since: float, *, thread: str = "") -> Receipt | None:
        """Find the bot's message with ``key``, posted since ``since`` (Unix seconds), in the channel or a thread.

        One call per page. Raises SlackError if a page could not be read; the next call resumes there.
        """
        found = await self._search_history(channel, thread, key, since, lambda found: key in found)
        return found.get(key)

    async def find_by_prefix(self, channel: str, prefix: str, since: float) -> dict[str, Receipt]:
        """Find the bot's messages since ``since`` (Unix seconds) with keys starting so. Raises SlackError."""
        found = await self._search_history(channel, "", f"{prefix}*", since, lambda found: False)
        return {key: receipt for key, receipt in found.items() if key.startswith(prefix)}

    async def _search_history(
        self, channel: str, thread: str, search_key: str, since: float, enough: Callable[[Mapping[str, Receipt]], bool]
    ) -> dict[str, Receipt]:
        """Read pages until ``enough`` returns true, or all messages posted before this call have been read."""
        channel = await self._conversation_id(channel)
        search = self._searches.resume_search(channel, thread, search_key, since)
        if not search.cursor:
            search.begin_window(self._clock.time())
        resumed = bool(search.cursor)
        own_ids = await self._fetch_own_ids()
        while True:
            page = await self._read_page(search)
            search.found |= {
                message.key: Receipt(channel, message.ts)
                for message in page.messages
                if message.key and message.is_posted_by(own_ids)
            }
            more = search.turn_page(page)
            if enough(search.found):
                break
            if more:
                continue
            if not resumed or thread:  # threads are returned oldest first
                break
            search.begin_window(self._clock.time())  # messages posted since this window began
            resumed = False
        self._searches.finish_search(channel, thread, search_key)
        return search.found

    async def _read_page(self, search: HistorySearch) -> responses.HistoryReply:
        """Read one page. If Slack rejects the cursor as unknown, restart the search and raise SlackUnknown."""
        arguments = search.request_arguments()
        method, call = (
            ("conversations.replies", self.client.conversations_replies)
            if search.thread
            else ("conversations.history", self.client.conversations_history)
        )
        try:
            page = await self._call_method(method, lambda: call(**arguments), responses.HistoryReply)
        except SlackRefused as error:
            if error.reason != "invalid_cursor":
                raise
            search.newest = search.cursor = ""
            raise classify_error(None, "invalid_cursor", {}) from error
        if page.page_cursor and page.page_cursor == search.cursor:  # the same page again: the rest cannot be read
            raise responses.unreadable_error("response_metadata.next_cursor")
        return page

    async def has_message(self, receipt: Receipt) -> bool:
        """Return whether a message still exists, in the channel or in a thread. Raises SlackError.

        The tombstone of a deleted message with replies does not count.
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
        except SlackRefused as error:
            if handling_for(error.reason) is RefusalHandling.REPOST:
                return False
            raise
        return any(message.ts == receipt.ts and message.subtype != "tombstone" for message in page.messages)

    async def is_own_message(self, message: Mapping[str, Any]) -> bool:
        """Return whether this app posted ``message`` (as in Slack's payloads). Raises SlackError."""
        return not (await self._fetch_own_ids()).isdisjoint(str(message.get(name)) for name in ("bot_id", "user"))

    async def _fetch_own_ids(self) -> frozenset[str]:
        """Return the bot's ids, to recognize its messages: any app can write the same metadata. Raises SlackError."""
        identity = self._identity or await self.fetch_identity()
        return frozenset(item for item in (identity.bot, identity.user) if item)

    async def _conversation_id(self, channel: str) -> str:
        """Return the conversation's id; for a person's id, that of their direct messages with the bot, opened once.

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
        """Delete one of the bot's messages. Raises SlackError."""
        await self._call_method("chat.delete", lambda: self.client.chat_delete(channel=receipt.channel, ts=receipt.ts))

    async def join_channel(self, channel: str) -> None:
        """Join a public channel. Raises SlackError."""
        await self._call_method("conversations.join", lambda: self.client.conversations_join(channel=channel))

    async def fetch_permalink(self, receipt: Receipt) -> str:
        """Fetch the message's permalink. Raises SlackError."""
        reply = await self._call_method(
            "chat.getPermalink",
            lambda: self.client.chat_getPermalink(channel=receipt.channel, message_ts=receipt.ts),
            responses.PermalinkReply,
        )
        return reply.permalink

    async def key_at(self, channel: str, ts: str) -> str:
        """Return the key of the message at ``ts``; empty if this app did not post it. Raises SlackError."""
        reply = await self._call_method(
            "conversations.replies",
            lambda: self.client.conversations_replies(channel=channel, ts=ts, limit=1, include_all_metadata=True),
            responses.HistoryReply,
        )
        own_ids = await self._fetch_own_ids()
        return next(
            (message.key for message in reply.messages[:1] if message.ts == ts and message.is_posted_by(own_ids)), ""
        )

    async def post_ephemeral(self, channel: str, user: str, message: Message, *, thread: str = "") -> None:
        """Post a message that only one person sees, in up to three attempts. Raises SlackError."""
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
        """Show a preview card for each link in somebody's message; idempotent. Raises SlackError.

        ``place`` has ``unfurl_id`` and ``source``, or ``channel`` and ``ts``, from Slack's ``link_shared`` event.
        """
        unfurls = {link: dict(card) for link, card in cards.items()}
        await self._call_method("chat.unfurl", lambda: self.client.chat_unfurl(unfurls=unfurls, **place))

    async def fetch_user(self, identifier: str) -> dict[str, Any]:
        """Fetch a user object (https://docs.slack.dev/reference/objects/user-object).

        Raises SlackError.
        """
        reply = await self._call_method(
            "users.info", lambda: self.client.users_info(user=identifier), responses.UserInfoReply
        )
        return reply.user.model_dump(exclude_unset=True)

    async def fetch_admins(self) -> frozenset[str]:
        """Fetch the ids of the workspace's admins and owners, from the first ``MAX_PEOPLE_PAGES`` pages of users.

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
        """Fetch the members of a user group. Raises SlackError."""
        reply = await self._call_method(
            "usergroups.users.list",
            lambda: self.client.usergroups_users_list(usergroup=identifier),
            responses.GroupMembersReply,
        )
        return reply.users

    async def fetch_group_handles(self) -> dict[str, str]:
        """Fetch the handles of the workspace's user groups, by id. Raises SlackError."""
        reply = await self._call_method("usergroups.list", self.client.usergroups_list, responses.GroupListReply)
        return {group.id: group.handle for group in reply.usergroups if group.handle}

    async def fetch_channel(self, identifier: str) -> dict[str, Any]:
        """Fetch a conversation object (https://docs.slack.dev/reference/objects/conversation-object).

        Raises SlackError.
        """
        reply = await self._call_method(
            "conversations.info",
            lambda: self.client.conversations_info(channel=identifier),
            responses.ConversationInfoReply,
        )
        return reply.channel.model_dump(exclude_unset=True)

    async def fetch_channel_members(self, channel: str) -> frozenset[str]:
        """Fetch the first 200 members of a conversation: all of a group message. Raises SlackError."""
        reply = await self._call_method(
            "conversations.members",
            lambda: self.client.conversations_members(channel=channel, limit=200),
            responses.ChannelMembersReply,
        )
        return reply.members

    async def fetch_channels_of(self, user: str) -> frozenset[str]:
        """Fetch a person's channels, without archived ones and private ones that the bot is not in.

        One call per 999 channels, at most ``MAX_HISTORY_PAGES``. Raises SlackError.
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
        """Publish ``view`` as the App Home of ``user``, and return Slack's hash of it.

        With ``version``, only if the current view has that hash, so that an older view does not overwrite a newer one
        (https://docs.slack.dev/reference/methods/views.publish). Raises SlackError.
        """
        extra = {"hash": version} if version else {}
        reply = await self._call_method(
            "views.publish", lambda: self.client.views_publish(user_id=user, view=view, **extra), responses.ViewReply
        )
        return reply.view.hash or ""

    async def open_view(self, trigger: str, view: dict[str, Any]) -> None:
        """Open a modal for the person whose interaction had this ``trigger``, valid 3 seconds. Raises SlackError."""
        await self._call_method("views.open", lambda: self.client.views_open(trigger_id=trigger, view=view))

    async def update_view(self, identifier: str, view: dict[str, Any], version: str = "") -> str:
        """Update a modal, only if its hash is ``version`` unless that is empty; returns the new hash.

        Slack refuses another version with ``hash_conflict`` (https://docs.slack.dev/reference/methods/views.update).
        Raises SlackError.
        """
        extra = {"hash": version} if version else {}
        reply = await self._call_method(
            "views.update",
            lambda: self.client.views_update(view_id=identifier, view=view, **extra),
            responses.ViewReply,
        )
        return reply.view.hash or ""

    async def respond_by_url(self, url: str, message: Message, *, replace: bool = False, thread: str = "") -> None:
        """Reply to one person through a ``response_url``, valid five times in 30 minutes, even if the bot is no member.

        ``replace`` replaces the message that was clicked; for a slash command there is none, and Slack posts a new one.
        Up to three attempts, since a duplicate private reply is harmless. Raises SlackError.
        """
        place = {"thread_ts": thread} if thread and not replace else {}
        body = message.message_fields() | {"response_type": "ephemeral", "replace_original": replace, **place}
        await _post_with_retries(lambda: self._post_to_url(url, body))

    async def respond_in_channel(self, url: str, message: Message, meta: Mapping[str, Any]) -> None:
        """Post to the whole channel through a ``response_url``, with metadata, without retries. Raises SlackError."""
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
            except SlackRequestError as error:  # rejected by the SDK before sending
                raise classify_error(200, "invalid_arguments", {}) from error
            data = reply.data if isinstance(reply.data, dict) else {}
            if kept := data.get("warning"):  # https://docs.slack.dev/messaging/message-metadata
                warning, details = responses.printable_text(kept, 100), responses.parse_details(data)
                log.warning("slack warned", method=method, warning=warning, details=details)
            return responses.parse_reply(kind, data)

        return await self._run_call(method, call)

    async def _run_call(self, method: str, call: Callable[[], Awaitable[T]]) -> T:
        """Run one call within the deadline, emit it once, and convert errors to the three SlackError types."""
        status: int | None
        outcome, status, reason = "ok", 200, "canceled"
        began = self._clock.monotonic()
        try:
            async with timeout(self.deadline):
                result = await call()
            reason = ""
            return result
        except aiohttp.ClientConnectorError as error:
            outcome, status, reason = "deferred", None, "unreachable"
            raise SlackDeferred("unreachable", "Slack is out of reach.", "Try again in a moment.") from error
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            outcome, status, reason = "unknown", None, type(error).__name__
            raise classify_error(None, type(error).__name__, {}) from error
        except SlackError as error:
            outcome = type(error).__name__.removeprefix("Slack").lower()
            status, reason = error.status, error.reason
            raise
        finally:
            self._events.emit(SlackCall(method, outcome, status, reason, self._clock.monotonic() - began))


def _is_user_id(identifier: str) -> bool:
    return identifier.startswith(("U", "W"))


def _quiet_logger() -> logging.Logger:
    """Return a logger at WARNING level, which spares the SDK from formatting debug lines for each request."""
    quiet = logging.getLogger("zofbot.slack_sdk")
    quiet.setLevel(logging.WARNING)
    return quiet


async def _post_with_retries(post: Callable[[], Awaitable[None]]) -> None:
    """Post a private reply in up to three attempts; a duplicate is harmless."""
    async for attempt in stamina.retry_context(on=_retry_delay, attempts=3, timeout=30):
        with attempt:
            await post()


def _retry_delay(error: Exception) -> bool | float:
    """Return whether to retry a private reply, or the seconds to wait before that."""
    if isinstance(error, SlackDeferred):
        return error.retry_after
    return isinstance(error, SlackUnknown)


def _refusal_error(error: SlackApiError) -> SlackError:
    """Convert the SDK's error; its reason was validated when the reply was parsed."""
    response = error.response
    data = response.data if isinstance(response, AsyncSlackResponse) and isinstance(response.data, dict) else {}
    reason, needed = str(data.get("error") or ""), responses.parse_scope(data.get("needed"))
    log.info("slack refused", reason=reason, needed=needed, details=responses.parse_details(data))
    return classify_error(response.status_code, reason, response.headers, needed)
