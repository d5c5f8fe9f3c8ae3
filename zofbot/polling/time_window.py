"""A window on one of Zof's listings: what happened since a moment, read as far as a page cap allows."""

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
    """Begin to read back to ``back`` (Unix seconds), and a little further, for a run is listed where it was made.

    ``order`` is that of Zof's listings where an operator named it, ``known`` what an earlier walk made out of it.
    """
    return (known or FeedCursor(order)).start_scan(now, back - OVERLAP_SECONDS)


async def read_window(
    pages: AsyncGenerator[Page[ListedT], None],
    kept: dict[str, ListedT],
    walk: FeedCursor,
    order: ListOrder | None = None,
) -> bool:
    """Keep what the pages show, by its id; whether the page cap came before the end. Raises ZofError.

    Zof names no order, so a walk ends at ``back`` only where the pages show that they go back in time.
    """
    async with aclosing(pages):
        async for page in pages:
            kept |= {item.id: item for item in page}
            walk = walk.advance_past(page, known=True, order=order)
            if walk.began is None:
                return False
    return True
