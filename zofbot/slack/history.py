"""Searches of a channel's history that keep their place while Slack lets no further page be read.

Apps that are sold outside of Slack's Marketplace read one page a minute, of 15 messages
(https://docs.slack.dev/apis/web-api/rate-limits). A search that began anew after each refusal would never end, so the
next call goes on where the last one was stopped.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

from zofbot.notification import Receipt
from zofbot.slack.received import Messages

PAGE_SIZE = 200
"""Messages asked for in one call; Slack may give fewer."""

MAX_SEARCHES = 500
"""Unfinished searches remembered; the one longest untouched is forgotten first, and begins anew if it has to."""

CLOCK_SKEW_SECONDS = 300.0
"""By how much our clock and Slack's may differ: Slack takes no request that was signed further away than that."""

MAX_BEHIND_SECONDS = 86_400.0
"""By how much our clock may be behind Slack's for a search to see the latest message; over Socket Mode nothing is
signed, so nobody notices for long."""


@dataclass
class Search:
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

    def arguments(self) -> dict[str, Any]:
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
        self.latest = stamp(now + MAX_BEHIND_SECONDS)

    def turn_page(self, page: Messages) -> bool:
        """Note that a page was read; False when it was the window's last."""
        if not self.cursor:
            self.newest = max((message.ts for message in page.messages), default="")
        self.cursor = page.cursor
        return bool(self.cursor)


class Searches:
    """Unfinished searches by what they look for."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, str, str], Search] = OrderedDict()

    def resume(self, channel: str, thread: str, wanted: str, since: float) -> Search:
        """Give the search as it was left, or a new one from ``since`` (Unix seconds) on."""
        name = (channel, thread, wanted)
        search = self._kept.setdefault(name, Search(channel, thread, stamp(since)))
        self._kept.move_to_end(name)
        if len(self._kept) > MAX_SEARCHES:
            self._kept.popitem(last=False)
        return search

    def finish(self, channel: str, thread: str, wanted: str) -> None:
        """Forget a search that has come to its end."""
        self._kept.pop((channel, thread, wanted), None)


def stamp(seconds: float) -> str:
    """Unix seconds as Slack writes them."""
    return f"{seconds:.6f}"
