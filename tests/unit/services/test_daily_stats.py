"""What is read from Zof for everybody: it counts against nobody's share of its quota."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from tests.support.virtual_time import SetClock, test_clock
from zofbot.clock import Clock
from zofbot.domain.errors import PersonalQuotaExceeded
from zofbot.observability.emitter import EventEmitter
from zofbot.services.catalog import Catalog
from zofbot.services.daily_stats import DailyStatsReader
from zofbot.zof.client import ZofClient
from zofbot.zof.personal_quota import charge_to_person

LIMIT = 10


@pytest.fixture
async def clock() -> Clock:
    return test_clock()


@pytest.fixture
async def zof(clock: Clock) -> AsyncIterator[ZofClient]:
    """A client whose Zof lists nothing and reports a quota of ``LIMIT``."""

    def answer_request(request: httpx.Request) -> httpx.Response:
        reset = str(int(clock.time()) + 30)
        names = ("X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset")
        headers = dict(zip(names, (str(LIMIT), str(LIMIT - 1), reset), strict=True))
        return httpx.Response(200, json={"data": [], "has_more": False}, headers=headers)

    transport = httpx.MockTransport(answer_request)
    client = ZofClient(
        base_url="https://zof.test/v1", key="key", clock=clock, events=EventEmitter(), transport=transport
    )
    yield client
    await client.aclose()


async def list_runs(zof: ZofClient) -> None:
    async for _ in zof.list_runs():
        pass


async def test_what_all_see_is_read_though_whoever_asked_has_used_up_their_share(zof: ZofClient, clock: Clock) -> None:
    day, catalog = DailyStatsReader(zof, clock, None), Catalog(zof, clock)
    with charge_to_person("U0ANA"):
        for _ in range(LIMIT // 2):
            await list_runs(zof)
        with pytest.raises(PersonalQuotaExceeded):
            await list_runs(zof)
        await day.refresh()
        await catalog.refresh()
        with pytest.raises(PersonalQuotaExceeded):  # and what is theirs still counts
            await list_runs(zof)
    assert day.figures is not None
    assert (day.trouble, catalog.projects.error, catalog.schedules.error) == (None, None, None)


async def test_what_all_see_takes_nothing_from_the_share_of_whoever_asked(zof: ZofClient, clock: Clock) -> None:
    day, catalog = DailyStatsReader(zof, clock, None), Catalog(zof, clock)
    with charge_to_person("U0ANA"):
        await list_runs(zof)
        await day.refresh()
        await catalog.refresh()
        for _ in range(LIMIT // 2 - 1):
            await list_runs(zof)


@pytest.mark.parametrize("step", [60, 86400])
async def test_the_figures_are_read_again_once_the_clock_was_set_back(zof: ZofClient, step: float) -> None:
    clock = SetClock()
    day = DailyStatsReader(zof, clock, None)
    await day.refresh()
    clock.at -= step
    await day.refresh()
    assert day.figures is not None
    assert day.figures.at == clock.at
