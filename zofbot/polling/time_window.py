"""Read one of Zof's listings back to a given time, within a page limit."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TypeVar

from zofbot.domain.model import Result, Run
from zofbot.polling.cursor import OVERLAP_SECONDS, FeedCursor, ListOrder
from zofbot.zof.client import Page

ListedT = TypeVar("ListedT", Run, Result)


def start_window(
    now: float, back: float, order: ListOrder | None = None, known: FeedCursor | None = None
) -> FeedCursor:
    """Start a scan to ``back`` (Unix seconds), with an overlap because a run is listed by its creation time.

    ``order`` is the order of Zof's listings if an operator set it, ``known`` the cursor of an earlier scan.
    """
    return (known or FeedCursor(order)).start_scan(now, back - OVERLAP_SECONDS)


async def read_window(
    pages: AsyncGenerator[Page[ListedT], None],
    kept: dict[str, ListedT],
    scan: FeedCursor,
    order: ListOrder | None = None,
) -> bool:
    """Collect the listed items by id into ``kept``. Return whether the page limit cut the listing. Raises ZofError.

    Zof documents no order, so the scan stops early only if the pages turn out to be newest first.
    """
    async with aclosing(pages):
        async for page in pages:
            kept |= {item.id: item for item in page}
            scan = scan.advance_past(page, known=True, order=order)
            if scan.began is None:
                return False
    return True
