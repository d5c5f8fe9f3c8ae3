"""Feeds, which are Zof's listings, and how far each was read. Zof documents no order, so the order is detected."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from itertools import pairwise
from typing import Any, Literal

from pydantic import TypeAdapter

from zofbot.domain.json_encoding import encode_json
from zofbot.domain.model import Outcome, Result, Run
from zofbot.zof.protocol import Page, detect_order

ListOrder = Literal["newest", "oldest"]
OrderField = Literal["created", "ended", "started"]
ListedItem = Run | Result
ListingName = Literal["runs", "results"]

OVERLAP_SECONDS = 600.0
"""Seconds by which each scan overlaps the previous one: a run is listed by its creation time, not its end, and may be
listed late."""

MAX_TRAIL_PAGES = 100
"""Pages of an oldest-first listing whose cursors are kept."""

MIN_ORDER_TIMES = 5
"""Different times in a row that show a listing's order; fewer are often in order by chance."""

MIN_PASSED_ITEMS = 10
"""Items that a scan of a newest-first listing passes before it ends early: where pages are short, what was created
before the items of the first page may have failed since. Fewer than on a full page, which is enough."""

MAX_SCAN_PAGES = 2000
"""Pages that a scan reads at most, which takes hours: a listing may go on for ever, with new cursors and no items."""

_ORDER_FIELDS: tuple[OrderField, ...] = ("created", "ended", "started")


@dataclass(frozen=True, slots=True)
class Feed:
    """A listing of runs or results with one outcome, or with any."""

    noun: ListingName
    outcome: Outcome | None = None

    @property
    def name(self) -> str:
        return f"{self.noun} {self.outcome}" if self.outcome else self.noun

    def item_key(self, item: ListedItem) -> str:
        """Return the key under which an item of this feed is recorded."""
        return f"{self.noun}:{self.outcome or item.outcome}:{item.id}"


FAILURE_FEEDS = tuple(
    Feed(noun, outcome) for noun in ("runs", "results") for outcome in (Outcome.FAILED, Outcome.ERROR)
)
FAILURE_FEED_NAMES = frozenset(feed.name for feed in FAILURE_FEEDS)
RESULT_FEEDS = tuple(feed for feed in FAILURE_FEEDS if feed.noun == "results")
ALL_RUNS_FEED = Feed("runs")
"""Shows what the failure feeds cannot: recoveries, failures under a status that is not asked for, and counted ones."""
FEEDS = (*FAILURE_FEEDS, ALL_RUNS_FEED)


def has_plain_status(item: ListedItem) -> bool:
    """Whether Zof lists it under the status of its outcome, though it may compare that exactly, capitals included."""
    return (item.status or item.outcome) == item.outcome


def item_key(item: ListedItem) -> str:
    """Return the key under which an item read in full is recorded."""
    return Feed("runs" if isinstance(item, Run) else "results", item.outcome).item_key(item)


def result_id(key: str) -> str:
    """Return the id in an item's key if the item is a result, else an empty string."""
    noun, _, rest = key.partition(":")
    return rest.partition(":")[2] if noun == "results" else ""


@dataclass(frozen=True, slots=True)
class FeedCursor:
    """How far a feed was read; times are Unix seconds.

    A scan reads the listing once, over several cycles if needed: ``began`` is its start (None if none is active),
    ``cursor`` where it continues, ``mark`` how far back it must go. ``complete`` is the start of the last finished
    scan, ``back`` how far back the next one must go if that is further. ``trail`` has, for the last pages of an
    oldest-first listing, the cursor before each page and the time of its first item. ``failures`` counts the cycles in
    a row in which the page at ``cursor`` could not be read, though others could. Of the active scan, ``pages`` and
    ``passed`` count what was listed so far, ``recent`` has the times of the last items, by order field, and ``anchor``
    is the cursor after a power of two of pages. If it comes again, the cursors run in a circle; that is found within
    three rounds (Brent, https://doi.org/10.1007/BF01933190) without storing all of them.
    """

    order: ListOrder | None = None
    by: OrderField = "created"
    began: float | None = None
    cursor: str | None = None
    mark: float = 0.0
    complete: float | None = None
    back: float | None = None
    trail: tuple[tuple[str | None, float], ...] = ()
    failures: int = 0
    passed: int = 0
    recent: tuple[tuple[float | None, ...], ...] = ()
    pages: int = 0
    anchor: str | None = None

    def dump(self) -> str:
        """Serialize it for the store."""
        return encode_json({name: value for name, value in asdict(self).items() if value})

    @classmethod
    def load(cls, text: str) -> FeedCursor:
        """Parse a stored cursor; fields added by a newer version are ignored. Raises ValueError."""
        return _STORED_CURSOR.validate_json(text)

    def start_scan(self, now: float, mark: float) -> FeedCursor:
        """Start a scan back to ``mark``; in an oldest-first listing it starts at the last known page before that."""
        mark, cursor = min(mark, mark if self.back is None else self.back), None
        if self.order == "oldest":
            cursor = next((cursor for cursor, at in reversed(self.trail) if at <= mark), None)
        return self._at_start(began=now, cursor=cursor, mark=mark, back=None)

    def advance_past(
        self, page: Page[Run] | Page[Result], *, known: bool, order: ListOrder | None = None
    ) -> FeedCursor:
        """Advance by a page. ``known``: none of its items is new; ``order``: the order set by an operator, if any."""
        entries = page.unfiltered or page.items
        seen, by = _detect_order(entries, self, order)
        times = [at for item in entries if (at := _item_time(item, by)) is not None]
        passed = self.passed + page.listed
        is_last = min(times, default=self.mark) <= self.mark and (order or passed >= MIN_PASSED_ITEMS)
        over = not page.more or page.next_cursor is None or self.has_repeated(page)
        if over or (seen == "newest" and (times or page.items) and known and is_last):
            onward = self.finish_scan()
        else:
            recent = (*self.recent, *map(_item_times, entries))[1 - MIN_ORDER_TIMES :]
            onward = replace(self._count_page(page), failures=0, passed=passed, recent=recent)
        return replace(onward, order=seen, by=by, trail=self._extend_trail(times) if seen == "oldest" else ())

    def has_repeated(self, page: Page[Run] | Page[Result]) -> bool:
        """Whether the scan has come to the page's cursor before, so that it must end."""
        return page.more and page.next_cursor is not None and page.next_cursor in (self.cursor, self.anchor)

    def finish_scan(self) -> FeedCursor:
        """End a scan that has read everything listed when it began."""
        return self._at_start(began=None, complete=self.began)

    def restart_scan(self) -> FeedCursor:
        """Discard a cursor that Zof rejects: the next scan starts from the beginning, back to the same mark."""
        return replace(self.postpone_scan(), trail=())

    def postpone_scan(self) -> FeedCursor:
        """Stop a scan because Zof refuses the listing; the next one goes back to the same mark at least."""
        return self.reach_back(self.mark)._at_start(began=None)

    def reach_back(self, mark: float) -> FeedCursor:
        """Have the next scan go back to ``mark`` at least."""
        return replace(self, back=mark if self.back is None else min(self.back, mark))

    def _at_start(self, **changes: Any) -> FeedCursor:
        """Return a copy that has read no page, with these changes."""
        return replace(self, **{"cursor": None, **_NO_PAGE_READ, **changes})

    def _count_page(self, page: Page[Run] | Page[Result]) -> FeedCursor:
        """Return a copy that continues after a page."""
        pages = self.pages + 1
        is_power_of_two = pages & (pages - 1) == 0
        return replace(
            self, cursor=page.next_cursor, pages=pages, anchor=page.next_cursor if is_power_of_two else self.anchor
        )

    def _extend_trail(self, times: Sequence[float]) -> tuple[tuple[str | None, float], ...]:
        places = [cursor for cursor, _ in self.trail]
        kept = self.trail[: places.index(self.cursor)] if self.cursor in places else self.trail
        return (*kept, (self.cursor, times[0]))[-MAX_TRAIL_PAGES:] if times else kept


_NO_PAGE_READ = {"failures": 0, "passed": 0, "recent": (), "pages": 0, "anchor": None}

_STORED_CURSOR = TypeAdapter(FeedCursor)


def _item_time(item: ListedItem, by: OrderField) -> float | None:
    at: datetime | None = getattr(item, by)
    return at.timestamp() if at else None


def _item_times(item: ListedItem) -> tuple[float | None, ...]:
    return tuple(_item_time(item, by) for by in _ORDER_FIELDS)


def _detect_order(
    items: Sequence[ListedItem], known: FeedCursor, named: ListOrder | None
) -> tuple[ListOrder | None, OrderField]:
    """Detect the listing's order and its time field; both stay as known unless most times contradict them."""
    if named:
        found = {by: detect_order(_item_time(item, by) for item in items) for by in _ORDER_FIELDS}
        return named, next((by for by in _ORDER_FIELDS if found[by] == named), known.by)
    rows = [*known.recent, *map(_item_times, items)]
    times = {by: [at for row in rows if (at := row[place]) is not None] for place, by in enumerate(_ORDER_FIELDS)}
    telling = {by: column for by, column in times.items() if len(set(column)) >= MIN_ORDER_TIMES}
    if known.order and (known.by not in telling or _is_mostly(known.order, telling[known.by])):
        return known.order, known.by
    return next(((order, by) for by, column in telling.items() if (order := detect_order(column))), (None, known.by))


def _is_mostly(order: ListOrder, times: Sequence[float]) -> bool:
    """Whether at least three of four neighbours are in that order: items that were listed late are out of place."""
    rises = [a < b for a, b in pairwise(times) if a != b]
    return sum(rise == (order == "oldest") for rise in rises) >= len(rises) * 3 / 4
