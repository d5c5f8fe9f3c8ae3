"""Searches of a channel's history that keep their place while Slack lets no further page be read.

Apps that are sold outside of Slack's Marketplace read one page a minute, of 15 messages
(https://docs.slack.dev/apis/web-api/rate-limits). A search that began anew after each refusal would never end, so the
next call goes on where the last one was stopped.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

from zofbot.notifications.notification import Receipt
from zofbot.slack.responses import HistoryReply

PAGE_SIZE = 200
"""Messages asked for in one call; Slack may give fewer."""

MAX_SEARCHES = 500
"""Unfinished searches remembered; the one longest untouched is forgotten first, and begins anew if it has to."""

CLOCK_SKEW_SECONDS = 300.0
"""By how much our clock and Slack's may differ: Slack takes no request that was signed further away than that."""

MAX_CLOCK_LAG_SECONDS = 86_400.0
"""By how much our clock may be behind Slack's for a search to see the latest message; over Socket Mode nothing is
signed, so nobody notices for long."""


@dataclass
class HistorySearch:
    """A search of one channel or thread: the window of time that is read at present, and what was found so far.

    Times are as Slack writes them: seconds with six decimals.
    """

    channel: str
    thread: str
    oldest: str
    latest: str = ""
    cursor: str = ""
    newest: str = ""
    """Time stamp of the newest message of the window's first page: all before it is covered once the window is."""
    found: dict[str, Receipt] = field(default_factory=dict)

    def request_arguments(self) -> dict[str, Any]:
        """What the next page is asked for with."""
        return {
            "channel": self.channel, "oldest": self.oldest, "latest": self.latest, "inclusive": True,
            "limit": PAGE_SIZE, "include_all_metadata": True,
            **({"cursor": self.cursor} if self.cursor else {}),
            **({"ts": self.thread} if self.thread else {}),
        }  # fmt: skip

    def begin_window(self, now: float) -> None:
        """Read from the newest message that is known, or else from the beginning, up to the present."""
        self.oldest, self.newest, self.cursor = self.newest or self.oldest, "", ""
        self.latest = format_timestamp(now + MAX_CLOCK_LAG_SECONDS)

    def turn_page(self, page: HistoryReply) -> bool:
        """Note that a page was read; False when it was the window's last."""
        if not self.cursor:
            self.newest = max((message.ts for message in page.messages), default="")
        self.cursor = page.page_cursor
        return bool(self.cursor)


class HistorySearches:
    """Unfinished searches by what they look for."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, str, str], HistorySearch] = OrderedDict()

    def resume_search(self, channel: str, thread: str, wanted: str, since: float) -> HistorySearch:
        """Give the search as it was left, or a new one from ``since`` (Unix seconds) on."""
        name = (channel, thread, wanted)
        search = self._kept.setdefault(name, HistorySearch(channel, thread, format_timestamp(since)))
        self._kept.move_to_end(name)
        if len(self._kept) > MAX_SEARCHES:
            self._kept.popitem(last=False)
        return search

    def finish_search(self, channel: str, thread: str, wanted: str) -> None:
        """Forget a search that has come to its end."""
        self._kept.pop((channel, thread, wanted), None)


def format_timestamp(seconds: float) -> str:
    """Unix seconds as Slack writes them."""
    return f"{seconds:.6f}"
