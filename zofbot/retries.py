"""Retries: a call is made again after a pause, a limited number of times and for a limited time."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from zofbot.clock import Clock
from zofbot.domain.errors import ZofbotError

T = TypeVar("T")


@dataclass(frozen=True)
class RetryLimits:
    """How often a call may be made, and the ``seconds`` after the first attempt within which the last one begins."""

    attempts: int
    seconds: float = math.inf


async def call_with_retries(
    call: Callable[[], Awaitable[T]],
    retry_delay: Callable[[ZofbotError], float | None],
    limits: RetryLimits,
    clock: Clock,
) -> T:
    """Make a call until it succeeds, and return its result. Raises the error of the last attempt.

    ``retry_delay`` returns the seconds from an error to the next attempt, or None for no further attempt. An attempt
    in progress is never ended: ``call`` limits its own time.
    """
    deadline = clock.monotonic() + limits.seconds
    attempt = 1
    while True:
        try:
            return await call()
        except ZofbotError as error:
            delay = retry_delay(error)
            if delay is None or attempt == limits.attempts or clock.monotonic() + delay >= deadline:
                raise
        await clock.sleep(delay)
        attempt += 1
