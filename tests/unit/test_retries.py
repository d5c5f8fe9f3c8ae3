"""Retries: how often, after which pause and for how long a call is made again, in virtual time."""

from __future__ import annotations

import pytest

from tests.support.virtual_time import stand_still, test_clock
from zofbot.clock import Clock
from zofbot.domain.errors import StoreUnavailable, ZofbotError
from zofbot.retries import RetryLimits, call_with_retries


class BrokenCall:
    """A call that takes ``seconds``, and fails ``times`` times; ``began`` are the seconds at which each one began."""

    def __init__(self, times: int, *, seconds: float = 0.0) -> None:
        self._clock, self._left, self._seconds = Clock(), times, seconds
        self._start = self._clock.monotonic()
        self.began: list[float] = []

    async def make(self) -> str:
        self.began.append(round(self._clock.monotonic() - self._start, 3))
        await self._clock.sleep(self._seconds)
        self._left -= 1
        if self._left >= 0:
            raise StoreUnavailable(f"attempt {len(self.began)}")
        return "done"


def ten_seconds(error: ZofbotError) -> float | None:
    return 10.0


def never(error: ZofbotError) -> float | None:
    return None


async def test_a_call_is_made_again_after_a_pause_until_it_succeeds() -> None:
    call = BrokenCall(2)
    assert await call_with_retries(call.make, ten_seconds, RetryLimits(5), test_clock()) == "done"
    assert call.began == [0, 10, 20]


async def test_the_last_of_its_attempts_tells_why_it_failed() -> None:
    call = BrokenCall(9)
    with pytest.raises(StoreUnavailable, match="attempt 3"):
        await call_with_retries(call.make, ten_seconds, RetryLimits(3), test_clock())
    assert call.began == [0, 10, 20]


@pytest.mark.parametrize(
    ("seconds", "began"), [(29.9, [0, 10, 20]), (30, [0, 10, 20]), (30.1, [0, 10, 20, 30]), (5, [0])]
)
async def test_no_attempt_begins_after_the_limit(seconds: float, began: list[float]) -> None:
    call = BrokenCall(9)
    with pytest.raises(StoreUnavailable):
        await call_with_retries(call.make, ten_seconds, RetryLimits(4, seconds), test_clock())
    assert call.began == began


async def test_the_time_that_the_attempts_take_counts_and_none_is_ended() -> None:
    call = BrokenCall(9, seconds=40)
    with pytest.raises(StoreUnavailable, match="attempt 2"):
        await call_with_retries(call.make, ten_seconds, RetryLimits(4, 60), test_clock())
    assert call.began == [0, 50]


async def test_an_error_that_is_not_to_be_retried_ends_it_at_once() -> None:
    call = BrokenCall(9)
    with pytest.raises(StoreUnavailable, match="attempt 1"):
        await call_with_retries(call.make, never, RetryLimits(4), test_clock())


async def test_an_error_of_the_program_is_not_retried() -> None:
    async def fail() -> None:
        raise KeyError("unexpected")

    with pytest.raises(KeyError):
        await call_with_retries(fail, ten_seconds, RetryLimits(4), test_clock())


async def test_after_a_standstill_no_attempt_begins_that_is_too_late() -> None:
    call = BrokenCall(9)

    async def stand_still_and_fail() -> str:
        if len(call.began) == 1:
            stand_still(60)
        return await call.make()

    with pytest.raises(StoreUnavailable, match="attempt 2"):
        await call_with_retries(stand_still_and_fail, ten_seconds, RetryLimits(4, 60), test_clock())
