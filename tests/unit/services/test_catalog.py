"""A listing of Zof's that cannot be read keeps what was known, and is read again later."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest

from tests.support.virtual_time import SetClock, test_clock
from zofbot.domain.errors import ZofUnavailable
from zofbot.domain.model import Project
from zofbot.services.catalog import CACHE_SECONDS, RETRY_SECONDS, CachedListing
from zofbot.zof.client import Page


@pytest.mark.parametrize("silent", [False, True], ids=["outage", "silence"])
async def test_the_last_known_items_stay_while_zof_does_not_answer(silent: bool) -> None:
    fails = False

    async def read_pages() -> AsyncGenerator[Page[Project], None]:
        if fails and silent:
            await asyncio.Event().wait()
        if fails:
            raise ZofUnavailable("Zof is busy.")
        yield Page((Project(id="proj_1"),))

    clock = test_clock()
    listing = CachedListing(read_pages, clock)
    await listing.refresh()
    clock.advance(CACHE_SECONDS)
    fails = True
    await listing.refresh()
    assert [project.id for project in listing.items] == ["proj_1"]
    assert listing.complete
    assert listing.error is not None
    assert listing.error.sentence == ("Zof did not return the list within 15 s." if silent else "Zof is busy.")
    assert not listing.is_stale
    clock.advance(RETRY_SECONDS)
    fails = False
    await listing.refresh()
    assert listing.error is None


@pytest.mark.parametrize("step", [RETRY_SECONDS, CACHE_SECONDS, 86400], ids=["a minute", "five minutes", "a day"])
@pytest.mark.parametrize("fails", [False, True])
async def test_a_listing_is_read_again_once_the_clock_was_set_back(step: float, fails: bool) -> None:
    reads = 0

    async def read_pages() -> AsyncGenerator[Page[Project], None]:
        nonlocal reads
        reads += 1
        if fails:
            raise ZofUnavailable("Zof is busy.")
        yield Page((Project(id="proj_1"),))

    clock = SetClock()
    listing = CachedListing(read_pages, clock)
    await listing.refresh()
    clock.at -= step
    await listing.refresh()
    assert reads == (1 if step == RETRY_SECONDS and not fails else 2)
