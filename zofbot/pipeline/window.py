"""A window on one of Zof's listings: what happened since a moment, read as far as a page cap allows."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TypeVar

from zofbot.model import Result, Run
from zofbot.pipeline.feeds import OVERLAP, Order, Progress
from zofbot.zof.client import Page

Seen = TypeVar("Seen", Run, Result)


def begun(now: float, back: float, order: Order | None = None, known: Progress | None = None) -> Progress:
    """Begin to read back to ``back`` (Unix seconds), and a little further, for a run is listed where it was made.

    ``order`` is that of Zof's listings where an operator named it, ``known`` what an earlier walk made out of it.
    """
    return (known or Progress(order)).begin(now, back - OVERLAP)


async def read(
    pages: AsyncGenerator[Page[Seen], None], kept: dict[str, Seen], walk: Progress, order: Order | None = None
) -> bool:
    """Keep what the pages show, by its id; whether the page cap came before the end. Raises ZofError.

    Zof names no order, so a walk ends at ``back`` only where the pages show that they go back in time.
    """
    async with aclosing(pages):
        async for page in pages:
            kept |= {item.id: item for item in page}
            walk = walk.after(page, known=True, order=order)
            if walk.began is None:
                return False
    return True
