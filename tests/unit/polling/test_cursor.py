"""How far a scan goes: what shows the order of a listing, and what is enough to end before its last page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from tests.support.poller_bench import START_TIME, poller_bench
from zofbot.domain.model import Outcome, Run, utc_datetime
from zofbot.polling.cursor import MIN_ORDER_TIMES, MIN_PASSED_ITEMS, OVERLAP_SECONDS, FeedCursor, ListOrder
from zofbot.simulator.zof.state import ZofRecord
from zofbot.zof.protocol import Page


def page_of(*minutes: float | None, listed: int | None = None) -> Page[Run]:
    """Return a page, of which there are more, with runs created so many minutes ago."""
    items = tuple(
        Run(
            id=f"run_{number}",
            outcome=Outcome.FAILED,
            created=None if ago is None else utc_datetime(START_TIME - 60 * ago),
        )
        for number, ago in enumerate(minutes)
    )
    return Page(items, f"after_{minutes}", more=True, listed=len(items) if listed is None else listed)


def scan_past(scan: FeedCursor, *pages: Page[Run], order: ListOrder | None = None) -> FeedCursor:
    """Advance past these pages; each item is known."""
    for page in pages:
        scan = FeedCursor.load(scan.advance_past(page, known=True, order=order).dump())
    return scan


def started(order: ListOrder | None = None) -> FeedCursor:
    return FeedCursor(order=order, complete=START_TIME).start_scan(START_TIME + 60, START_TIME - OVERLAP_SECONDS)


def pages_of(minutes: Sequence[float], size: int) -> list[Page[Run]]:
    return [page_of(*minutes[start : start + size]) for start in range(0, len(minutes), size)]


@pytest.mark.parametrize("size", [1, 2, 3, 10])
def test_an_order_shows_in_five_times_however_they_are_divided_into_pages(size: int) -> None:
    for minutes, order in ((range(20, 30), "newest"), (range(30, 20, -1), "oldest")):
        shown = [scan_past(started(), *pages_of(minutes[:count], size)).order for count in range(1, 11)]
        assert shown == [None] * (MIN_ORDER_TIMES - 1) + [order] * (11 - MIN_ORDER_TIMES)


def test_equal_and_missing_times_show_no_order() -> None:
    assert scan_past(started(), page_of(20, None, 21, 21, 22, 23, 23, 23, None, 23)).order is None


def test_an_order_that_is_known_stands_though_an_item_is_out_of_place() -> None:
    for place in range(10):
        minutes = [*range(20, 30)]
        minutes.insert(place, 120)
        assert scan_past(started("newest"), page_of(*minutes)).order == "newest"


@pytest.mark.parametrize(
    "minutes", [[20, 90, 30, 80, 40, 70], [30, 29, 28, 27, 26, 25], [25, 120, 180, 1, 300, 2, 400, 3]]
)
@pytest.mark.parametrize("size", [2, 8])
def test_an_order_that_most_times_contradict_is_known_no_more(minutes: list[int], size: int) -> None:
    assert scan_past(started("newest"), *pages_of(minutes, size)).order != "newest"


def test_a_scan_of_full_pages_ends_after_one() -> None:
    assert scan_past(started("newest"), page_of(*range(100))).began is None
    assert scan_past(started("newest"), page_of(20, listed=100)).began is None  # others have another status


def test_a_scan_of_short_pages_passes_so_many_items_before_it_ends() -> None:
    pages = pages_of(range(20, 20 + MIN_PASSED_ITEMS), 4)
    assert scan_past(started("newest"), *pages[:-1]).began is not None
    assert scan_past(started("newest"), *pages).began is None


def test_a_scan_in_an_order_that_an_operator_set_ends_after_one_page() -> None:
    assert scan_past(started(), page_of(20, 21), order="newest").began is None


def test_each_scan_counts_its_own_items() -> None:
    ended = scan_past(started("newest"), page_of(*range(100)))
    again = ended.start_scan(START_TIME + 120, START_TIME - OVERLAP_SECONDS)
    assert scan_past(again, page_of(20, 21)).began is not None


async def test_a_failure_behind_a_page_of_older_ones_is_told_at_once() -> None:
    async with poller_bench(page=2) as built:
        listed: list[ZofRecord] = []
        built.world.zof.in_list_order = lambda kept: [run for run in listed if run in kept]  # type: ignore[method-assign]
        listed += [built.finish_run(bad=0, ago=60 * minutes) for minutes in (120, 180, 300)]
        await built.poll_until_settled()
        new = built.finish_run(bad=0, ago=60)
        listed.insert(2, new)
        await built.run_cycle()
        assert f"run:{new['id']}:failed:C0QA" in await built.committed_keys()


async def test_a_run_that_took_long_is_told_though_short_pages_of_later_ones_come_before_it() -> None:
    async with poller_bench(page=3) as built:
        for number in range(30):
            built.finish_run(bad=0, ago=3000 - 60 * number)
        slow = built.world.zof.start_run({"project_id": "proj_x"})
        for _ in range(4):
            built.clock.at += 600
            built.finish_run(bad=0)
        await built.poll_until_settled(100)
        built.world.zof.finish_run(slow["id"], "failed")
        slow["completed_at"] = utc_datetime(built.clock.at).isoformat()
        for _ in range(3):
            await built.run_cycle()
        assert f"run:{slow['id']}:failed:C0QA" in await built.committed_keys()


def test_a_scan_that_is_stopped_leaves_what_the_next_one_is_to_reach() -> None:
    for stop in (FeedCursor.postpone_scan, FeedCursor.restart_scan, FeedCursor.finish_scan):
        for minutes in (30, 5):
            wanted = START_TIME - 60 * minutes
            after = stop(started().reach_back(wanted))
            mark = wanted if stop is FeedCursor.finish_scan else min(wanted, START_TIME - OVERLAP_SECONDS)
            assert after.start_scan(START_TIME + 120, START_TIME).mark == mark


def test_a_page_of_which_a_filter_leaves_nothing_ends_a_scan_only_by_its_times() -> None:
    for minutes, is_over in ((range(20, 40), True), ([None] * 20, False), (range(5), False)):
        unfiltered = page_of(*minutes)
        page = replace(unfiltered, items=(), unfiltered=unfiltered.items)
        for order in (None, "newest"):
            assert (scan_past(started("newest"), page, order=order).began is None) == is_over


async def test_runs_in_progress_that_were_listed_instead_of_failed_ones_hide_no_failure_behind_them() -> None:
    def without_start(path: str, body: Any) -> Any:
        for item in body.get("data", ()):
            for name in ("created_at", "started_at"):
                item.pop(name, None)
        return body

    async with poller_bench(page=20) as built:
        built.zof.ignored, built.zof.change = {"status"}, without_start
        for number in range(30):
            built.finish_run(bad=0, ago=3000 - 60 * number)
        for _ in range(20):
            await built.run_cycle()
        run = built.finish_run(bad=0)
        for _ in range(20):
            built.world.zof.start_run({"project_id": "proj_x", "environment": "staging"})
        for _ in range(3):
            await built.run_cycle()
        assert f"run:{run['id']}:failed:C0QA" in await built.committed_keys()
