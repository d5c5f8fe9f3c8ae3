"""Client for Slack's Web API: what the bot posts, and the parts that search and read."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import aiohttp
import structlog

from zofbot.config.proxy import proxy_for
from zofbot.domain.errors import SlackDeferred, SlackError, SlackRefused, SlackUnknown, ZofbotError
from zofbot.notifications.notification import Receipt
from zofbot.retries import RetryLimits, call_with_retries
from zofbot.slack import responses
from zofbot.slack.calls import SlackCalls
from zofbot.slack.errors import RefusalHandling, classify_error, handling_for
from zofbot.slack.identity import IdentityReader
from zofbot.slack.message_search import MessageSearch
from zofbot.slack.responses import METADATA_EVENT_TYPE
from zofbot.slack.view_calls import ViewCalls
from zofbot.slack.views.blocks import Message
from zofbot.slack.workspace import WorkspaceReader

log = structlog.get_logger()

MAX_REPLY_SECONDS = 30.0
"""Seconds within which the last attempt to post a private reply begins; a longer wait for Slack is given up."""

REPLY_PAUSE_SECONDS = 0.5
"""Seconds from an attempt to post a private reply without a known outcome to the next one."""


def message_metadata(key: str, **facts: str) -> dict[str, Any]:
    """Return metadata with the idempotency key. Every app in the workspace can read it: ids only, nothing secret."""
    return {"event_type": METADATA_EVENT_TYPE, "event_payload": {"key": key, **facts}}


class SlackClient:
    """Client for one workspace, through ``calls``; ``deadline`` is the timeout of one call, in seconds."""

    def __init__(self, calls: SlackCalls) -> None:
        self._calls = calls
        self.client, self.deadline = calls.client, calls.deadline
        self.identity = IdentityReader(calls)
        self.search = MessageSearch(calls, self.identity)
        self.workspace = WorkspaceReader(calls)
        self.views = ViewCalls(calls)

    def use_token(self, token: str) -> None:
        """Use another token from the next call on, and reread the identity."""
        self._calls.client.token = token
        self.identity.forget()

    async def find_message(self, channel: str, key: str, since: float, *, thread: str = "") -> Receipt | None:
        """Find the bot's message with ``key``, see ``MessageSearch.find_message``.

        A reply that is not in its thread is looked for in the channel, too, if the thread was deleted, or its root is
        newer than ``since`` and so may be the second one.
        """
        try:
            found = await self.search.find_message(channel, key, since, thread=thread)
        except SlackRefused as error:
            if not thread or handling_for(error.reason) is not RefusalHandling.REPOST:
                raise
            if copy := await self._find_reply_in_channel(channel, key, since, thread):
                return copy
            raise
        if thread and not found and float(thread) > since:
            return await self._find_reply_in_channel(channel, key, since, thread)
        return found.receipt if found else None

    async def _find_reply_in_channel(self, channel: str, key: str, since: float, thread: str) -> Receipt | None:
        """Find a reply that the channel shows; if it is not in ``thread``, delete it instead. Raises SlackError.

        A broadcast reply is listed in both, with its thread (https://docs.slack.dev/reference/events/message/thread_broadcast).
        """
        found = await self.search.find_message(channel, key, since)
        if found and found.thread == thread:
            return found.receipt
        await self._delete_stray_reply(found.receipt if found else None)
        return None

    async def has_message(self, receipt: Receipt) -> bool:
        """Return whether a message still exists, see ``MessageSearch.has_message``."""
        return await self.search.has_message(receipt)

    async def open_socket(self, app_token: str) -> str:
        """Fetch the URL, including its ticket, for one Socket Mode connection. Raises SlackError."""
        reply = await self._calls.call_method(
            "apps.connections.open",
            lambda: self._calls.client.apps_connections_open(app_token=app_token),
            responses.SocketUrlReply,
        )
        return reply.url

    async def connect_socket(self, url: str, ping_seconds: float) -> aiohttp.ClientWebSocketResponse:
        """Connect to a URL from ``open_socket``. Raises aiohttp.ClientError, OSError or ValueError.

        Uses http(s) instead of ws(s), because the environment's proxies are those of http(s).
        """
        address = re.sub(r"^ws(?=s?://)", "http", url)
        return await self._calls.session.ws_connect(address, heartbeat=ping_seconds, proxy=proxy_for(address))

    async def post_message(
        self, channel: str, message: Message, meta: Mapping[str, Any], *, thread: str = "", broadcast: bool = False
    ) -> Receipt:
        """Post a message with metadata ``meta``, without retries.

        ``thread`` is the timestamp of the message to reply to; ``broadcast`` also shows the reply in the channel.
        Raises SlackDeferred, SlackRefused, or SlackUnknown: search for the message before posting again.
        """
        place: dict[str, Any] = {"thread_ts": thread, "reply_broadcast": broadcast} if thread else {}
        body = {"channel": channel, "metadata": meta, "unfurl_links": False, "unfurl_media": False, "parse": "none"}
        reply = await self._calls.post_json(
            "chat.postMessage", body | place | message.message_fields(), responses.PostMessageReply
        )
        there = reply.channel or channel
        self.search.note_conversation(channel, there)
        receipt = Receipt(there, reply.ts)
        if thread and reply.message and reply.message.thread_ts != thread:
            await self._confirm_thread(receipt, thread)
        return receipt

    async def _confirm_thread(self, receipt: Receipt, thread: str) -> None:
        """Check that the thread exists of a reply whose answer names another thread, or none.

        Slack posts a reply to a deleted message in the channel, and this is the only sign of it
        (https://github.com/slack-go/slack/issues/1571). Then delete the reply, and raise SlackRefused as if Slack had
        refused it. Raises SlackUnknown if a call failed: the reply is posted, and the search for it deletes it.
        """
        try:
            if await self.has_message(Receipt(receipt.channel, thread)):
                return
            await self._delete_stray_reply(receipt)
        except SlackError as error:
            raise classify_error(None, f"thread not confirmed: {error.reason}", {}) from error
        raise classify_error(200, "thread_not_found", {})

    async def _delete_stray_reply(self, receipt: Receipt | None) -> None:
        """Delete a reply outside its thread, if there is one. If Slack refuses, log it. Raises other SlackErrors."""
        if not receipt:
            return
        try:
            await self.delete_message(receipt)
        except SlackRefused as error:
            log.warning("reply outside its thread not deleted", channel=receipt.channel, ts=receipt.ts,
                        reason=error.reason)  # fmt: skip

    async def update_message(
        self, receipt: Receipt, message: Message, meta: Mapping[str, Any] | None = None
    ) -> Receipt:
        """Replace the content of one of the bot's messages; idempotent. Without ``meta`` it keeps its metadata.

        Raises SlackError.
        """
        body: dict[str, Any] = {"channel": receipt.channel, "ts": receipt.ts, "parse": "none"}
        metadata = {"metadata": meta} if meta else {}
        await self._calls.post_json("chat.update", body | metadata | message.message_fields())
        return receipt

    async def delete_message(self, receipt: Receipt) -> None:
        """Delete one of the bot's messages. Raises SlackError."""
        await self._calls.call_method(
            "chat.delete", lambda: self._calls.client.chat_delete(channel=receipt.channel, ts=receipt.ts)
        )

    async def join_channel(self, channel: str) -> None:
        """Join a public channel. Raises SlackError."""
        await self._calls.call_method(
            "conversations.join", lambda: self._calls.client.conversations_join(channel=channel)
        )

    async def fetch_permalink(self, receipt: Receipt) -> str:
        """Fetch the message's permalink. Raises SlackError."""
        reply = await self._calls.call_method(
            "chat.getPermalink",
            lambda: self._calls.client.chat_getPermalink(channel=receipt.channel, message_ts=receipt.ts),
            responses.PermalinkReply,
        )
        return reply.permalink

    async def post_ephemeral(self, channel: str, user: str, message: Message, *, thread: str = "") -> None:
        """Post a message that only one person sees, in up to three attempts. Raises SlackError."""
        place: dict[str, Any] = {"thread_ts": thread} if thread else {}

        async def post_once() -> None:
            await self._calls.call_method(
                "chat.postEphemeral",
                lambda: self._calls.client.chat_postEphemeral(
                    channel=channel, user=user, parse="none", **place, **message.message_fields()
                ),
            )

        await self._post_with_retries(post_once)

    async def unfurl_links(self, place: Mapping[str, Any], cards: Mapping[str, Mapping[str, Any]]) -> None:
        """Show a preview card for each link in somebody's message; idempotent. Raises SlackError.

        ``place`` has ``unfurl_id`` and ``source``, or ``channel`` and ``ts``, from Slack's ``link_shared`` event.
        """
        unfurls = {link: dict(card) for link, card in cards.items()}
        await self._calls.call_method("chat.unfurl", lambda: self._calls.client.chat_unfurl(unfurls=unfurls, **place))

    async def respond_by_url(self, url: str, message: Message, *, replace: bool = False, thread: str = "") -> None:
        """Reply to one person through a ``response_url``, valid five times in 30 minutes, even if the bot is no member.

        ``replace`` replaces the message that was clicked; for a slash command there is none, and Slack posts a new one.
        Up to three attempts, since a duplicate private reply is harmless. Raises SlackError.
        """
        place = {"thread_ts": thread} if thread and not replace else {}
        body = message.message_fields() | {"response_type": "ephemeral", "replace_original": replace, **place}
        await self._post_with_retries(lambda: self._calls.post_to_url(url, body))

    async def delete_by_url(self, url: str) -> None:
        """Delete the message that was clicked, through its ``response_url``. Raises SlackError.

        https://docs.slack.dev/interactivity/handling-user-interaction#updating_a_source_message
        """
        await self._post_with_retries(lambda: self._calls.post_to_url(url, {"delete_original": True}))

    async def respond_in_channel(self, url: str, message: Message, meta: Mapping[str, Any]) -> None:
        """Post to the whole channel through a ``response_url``, with metadata, without retries. Raises SlackError."""
        shown = {"response_type": "in_channel", "replace_original": False, "metadata": dict(meta)}
        await self._calls.post_to_url(url, message.message_fields() | shown)

    async def _post_with_retries(self, post: Callable[[], Awaitable[None]]) -> None:
        """Post a private reply in up to three attempts; a duplicate is harmless."""
        await call_with_retries(post, _retry_delay, RetryLimits(3, MAX_REPLY_SECONDS), self._calls.clock)


def _retry_delay(error: ZofbotError) -> float | None:
    """Return the seconds until a private reply is tried again, or None if that cannot help."""
    if isinstance(error, SlackDeferred):
        return error.retry_after
    return REPLY_PAUSE_SECONDS if isinstance(error, SlackUnknown) else None
