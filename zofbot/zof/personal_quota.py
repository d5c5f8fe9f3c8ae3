"""Limit each person's requests to Zof, so that nobody uses up the organization's quota."""

from __future__ import annotations

import math
from collections import OrderedDict, deque
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from datetime import timedelta

from zofbot.clock import Clock
from zofbot.domain.errors import PersonalQuotaExceeded
from zofbot.domain.model import Quota

MAX_PERSONAL_SHARE = 0.5
"""Share of the organization's quota that one person may use per minute."""

WINDOW_SECONDS = 60.0

MAX_PEOPLE = 5000
"""Limit of people tracked; the least recently active are forgotten first."""

_current_person: ContextVar[str] = ContextVar("asking", default="")
"""User id that current requests are charged to; empty for background work, which is not limited."""


@contextmanager
def charge_to_person(person: str) -> Iterator[None]:
    """Charge requests to Zof made inside, and in tasks started inside, to this user id."""
    token = _current_person.set(person)
    try:
        yield
    finally:
        _current_person.reset(token)


def charge_to_nobody() -> AbstractContextManager[None]:
    """Charge requests to Zof made inside to nobody, whoever caused them, because everybody sees what they read."""
    return charge_to_person("")


class PersonalQuotas:
    """Requests per person within the last minute, in this process."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._request_times: OrderedDict[str, deque[float]] = OrderedDict()

    def spend_request(self, quota: Quota | None) -> None:
        """Count one request of the current person. Raises PersonalQuotaExceeded if it exceeds the share.

        ``quota`` is the latest known from Zof's replies; while it is unknown, nobody is limited.
        """
        person = _current_person.get()
        if not person:
            return
        times, now = self._request_times.setdefault(person, deque()), self._clock.monotonic()
        self._request_times.move_to_end(person)
        if len(self._request_times) > MAX_PEOPLE:
            self._request_times.popitem(last=False)
        while times and now - times[0] >= WINDOW_SECONDS:
            times.popleft()
        if quota and len(times) >= max(1, quota.limit * MAX_PERSONAL_SHARE):
            raise _exceeded_error(math.ceil(WINDOW_SECONDS - (now - times[0])), self._clock)
        times.append(now)


def _exceeded_error(seconds: int, clock: Clock) -> PersonalQuotaExceeded:
    wait = "1 second" if seconds == 1 else f"{seconds} seconds"
    error = PersonalQuotaExceeded(f"You've used your share of Zof requests for this minute. Try again in {wait}.")
    error.retry_at = clock.now() + timedelta(seconds=seconds)
    return error
