"""Searches for the bot's own messages, by the idempotency keys in their metadata."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zofbot.domain.errors import SlackRefused
from zofbot.notifications.notification import Receipt
from zofbot.slack import responses
from zofbot.slack.calls import SlackCalls
from zofbot.slack.errors import RefusalHandling, classify_error, handling_for
from zofbot.slack.history import FoundMessage, HistorySearch, HistorySearches
from zofbot.slack.identity import IdentityReader


class MessageSearch:
    """Finds messages that this app posted: any app can write the same metadata, so their author counts too."""

    def __init__(self, calls: SlackCalls, identity: IdentityReader) -> None:
        self._calls = calls
        self._identity = identity
        self._searches = HistorySearches()
        self._direct_messages: dict[str, str] = {}

    def note_conversation(self, asked: str, found: str) -> None:
        """Remember in which conversation a message to ``asked``, the id of a person or a channel, was posted."""
        if _is_user_id(asked) and not _is_user_id(found):
            self._direct_messages[asked] = found

    async def find_message(self, channel: str, key: str, since: float, *, thread: str = "") -> FoundMessage | None:
        """Find the bot's message with ``key``, posted since ``since`` (Unix seconds), in the channel or a thread.

        One call per page. Raises SlackError if a page could not be read; the next call resumes there.
        """
        found = await self._search_history(channel, thread, key, since, key=key)
        return found.get(key)

    async def find_by_prefix(self, channel: str, prefix: str, since: float) -> dict[str, Receipt]:
        """Find the bot's messages since ``since`` (Unix seconds) with keys starting so. Raises SlackError."""
        found = await self._search_history(channel, "", f"{prefix}*", since)
        return {key: message.receipt for key, message in found.items() if key.startswith(prefix)}

    async def has_message(self, receipt: Receipt) -> bool:
        """Return whether a message still exists, in the channel or in a thread. Raises SlackError.

        The tombstone of a deleted message with replies does not count.
        """
        channel = await self._conversation_id(receipt.channel)
        try:
            page = await self._calls.call_method(
                "conversations.replies",
                lambda: self._calls.client.conversations_replies(
                    channel=channel, ts=receipt.ts, oldest=receipt.ts, inclusive=True, limit=200
                ),
                responses.HistoryReply,
            )
        except SlackRefused as error:
            if handling_for(error.reason) is RefusalHandling.REPOST:
                return False
            raise
        return any(message.ts == receipt.ts and message.subtype != "tombstone" for message in page.messages)

    async def key_at(self, channel: str, ts: str) -> str:
        """Return the key of the message at ``ts``; empty if this app did not post it. Raises SlackError."""
        reply = await self._calls.call_method(
            "conversations.replies",
            lambda: self._calls.client.conversations_replies(
                channel=channel, ts=ts, limit=1, include_all_metadata=True
            ),
            responses.HistoryReply,
        )
        own_ids = await self._identity.fetch_own_ids()
        return next(
            (message.key for message in reply.messages[:1] if message.ts == ts and message.is_posted_by(own_ids)), ""
        )

    async def is_own_message(self, message: Mapping[str, Any]) -> bool:
        """Return whether this app posted ``message`` (as in Slack's payloads). Raises SlackError."""
        return not (await self._identity.fetch_own_ids()).isdisjoint(
            str(message.get(name)) for name in ("bot_id", "user")
        )

    async def _search_history(
        self, channel: str, thread: str, search_key: str, since: float, *, key: str = ""
    ) -> dict[str, FoundMessage]:
        """Read pages until ``key`` is found, or all messages posted before this call have been read.

        A search for a ``key`` is kept: the next one returns what it found, or reads only what was posted since.
        """
        channel = await self._conversation_id(channel)
        search = await self._resume_search(channel, thread, search_key, since)
        if key in search.found:
            return search.found
        if not search.cursor:
            search.begin_window(self._calls.clock.time())
        resumed = bool(search.cursor)
        own_ids = await self._identity.fetch_own_ids()
        while True:
            page = await self._read_page(search)
            search.found |= {
                message.key: FoundMessage(Receipt(channel, message.ts), message.thread_ts)
                for message in page.messages
                if message.key and message.is_posted_by(own_ids)
            }
            more = search.turn_page(page)
            if key in search.found:
                break
            if more:
                continue
            if not resumed or thread:  # threads are returned oldest first
                break
            search.begin_window(self._calls.clock.time())  # messages posted since this window began
            resumed = False
        if key:
            search.found = {name: message for name, message in search.found.items() if name == key}
        else:
            self._searches.finish_search(channel, thread, search_key)
        return search.found

    async def _resume_search(self, channel: str, thread: str, search_key: str, since: float) -> HistorySearch:
        """Return the kept search or a new one, also if the message that it found is older than ``since`` or deleted."""
        search = self._searches.resume_search(channel, thread, search_key, since)
        found = search.found.get(search_key)
        if found is None or (float(found.receipt.ts) >= since and await self.has_message(found.receipt)):
            return search
        self._searches.finish_search(channel, thread, search_key)
        return self._searches.resume_search(channel, thread, search_key, since)

    async def _read_page(self, search: HistorySearch) -> responses.HistoryReply:
        """Read one page. If Slack rejects the cursor as unknown, restart the search and raise SlackUnknown."""
        arguments = search.request_arguments()
        method, call = (
            ("conversations.replies", self._calls.client.conversations_replies)
            if search.thread
            else ("conversations.history", self._calls.client.conversations_history)
        )
        try:
            page = await self._calls.call_method(method, lambda: call(**arguments), responses.HistoryReply)
        except SlackRefused as error:
            if error.reason != "invalid_cursor":
                raise
            search.newest = search.cursor = ""
            raise classify_error(None, "invalid_cursor", {}) from error
        if page.page_cursor and page.page_cursor == search.cursor:  # the same page again: the rest cannot be read
            raise responses.unreadable_error("response_metadata.next_cursor")
        return page

    async def _conversation_id(self, channel: str) -> str:
        """Return the conversation's id; for a person's id, that of their direct messages with the bot, opened once.

        Only ``chat.postMessage`` takes the id of a person (https://docs.slack.dev/reference/methods/conversations.open).
        """
        if not _is_user_id(channel):
            return channel
        if channel not in self._direct_messages:
            reply = await self._calls.call_method(
                "conversations.open",
                lambda: self._calls.client.conversations_open(users=channel),
                responses.OpenConversationReply,
            )
            self._direct_messages[channel] = reply.channel.id
        return self._direct_messages[channel]


def _is_user_id(identifier: str) -> bool:
    return identifier.startswith(("U", "W"))
