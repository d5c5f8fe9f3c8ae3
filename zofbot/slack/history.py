"""Resumable searches of a channel's history, for when Slack limits the rate of page reads.

Apps distributed outside Slack's Marketplace may read one page of 15 messages a minute
(https://docs.slack.dev/apis/web-api/rate-limits). A search that restarted after each refusal would never end, so the
next call resumes where the last one stopped. So it does after a search for one message: if its pages were slow, too
little of the lease is left to send the message, or to store that it was found, and reading them all again would take as
long.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from zofbot.notifications.notification import Receipt
from zofbot.slack.responses import HistoryReply

PAGE_SIZE = 200
"""Messages requested per call; Slack may return fewer."""

MAX_SEARCHES = 500
"""Maximum searches kept; the least recently used is dropped first, and restarts if needed."""

CLOCK_SKEW_SECONDS = 300.0
"""Maximum difference between this machine's clock and Slack's: the age limit of signed requests, in seconds."""

MAX_CLOCK_LAG_SECONDS = 86_400.0
"""How far this machine's clock may lag behind Slack's for a search to include the latest message, in seconds.

Socket Mode requests are not signed, so a lag can go unnoticed for long.
"""


HISTORY_LAG_SECONDS = 3.0
"""Seconds after which a posted message can be found. That Slack's history lags is known, by how much is believed.

https://github.com/korotovsky/slack-mcp-server/pull/284
"""


class FoundMessage(NamedTuple):
    """One of the bot's messages, and the timestamp of its thread's root; None outside threads."""

    receipt: Receipt
    thread: str | None


@dataclass
class HistorySearch:
    """A search of one channel or thread: the time window being read, and the messages found so far.

    Times are Slack timestamps: Unix seconds with six decimals.
    """

    channel: str
    thread: str
    oldest: str
    latest: str = ""
    cursor: str = ""
    newest: str = ""
    """Timestamp of the newest message of the window's first page; the next window starts there."""
    found: dict[str, FoundMessage] = field(default_factory=dict)

    def request_arguments(self) -> dict[str, Any]:
        """Return the arguments of the call for the next page."""
        return {
            "channel": self.channel, "oldest": self.oldest, "latest": self.latest, "inclusive": True,
            "limit": PAGE_SIZE, "include_all_metadata": True,
            **({"cursor": self.cursor} if self.cursor else {}),
            **({"ts": self.thread} if self.thread else {}),
        }  # fmt: skip

    def begin_window(self, now: float) -> None:
        """Start a window from the newest known message, or else from the beginning, up to ``now`` (Unix seconds)."""
        self.oldest, self.newest, self.cursor = self.newest or self.oldest, "", ""
        self.latest = format_timestamp(now + MAX_CLOCK_LAG_SECONDS)

    def turn_page(self, page: HistoryReply) -> bool:
        """Advance past a page; returns False if it was the window's last."""
        if not self.cursor:
            self.newest = max((message.ts for message in page.messages), default="")
        self.cursor = page.page_cursor
        return bool(self.cursor)


class HistorySearches:
    """Searches that are unfinished or for one message, by channel, thread and search key."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, str, str], HistorySearch] = OrderedDict()

    def resume_search(self, channel: str, thread: str, wanted: str, since: float) -> HistorySearch:
        """Return the kept search, or a new one starting at ``since`` (Unix seconds)."""
        name = (channel, thread, wanted)
        search = self._kept.setdefault(name, HistorySearch(channel, thread, format_timestamp(since)))
        self._kept.move_to_end(name)
        if len(self._kept) > MAX_SEARCHES:
            self._kept.popitem(last=False)
        return search

    def finish_search(self, channel: str, thread: str, wanted: str) -> None:
        """Forget a search."""
        self._kept.pop((channel, thread, wanted), None)


def format_timestamp(seconds: float) -> str:
    """Format Unix seconds as a Slack timestamp."""
    return f"{seconds:.6f}"
