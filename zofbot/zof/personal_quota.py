"""Each person's share of Zof's requests, so that nobody uses up the organization's quota for all others."""

from __future__ import annotations

import math
from collections import OrderedDict, deque
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import timedelta

from zofbot.clock import Clock
from zofbot.domain.errors import PersonalQuotaExceeded
from zofbot.domain.model import Quota

MAX_PERSONAL_SHARE = 0.5
"""How much of the organization's quota one person may use in a minute."""

WINDOW_SECONDS = 60.0

MAX_PEOPLE = 5000
"""People remembered; those who asked longest ago are forgotten first."""

_current_person: ContextVar[str] = ContextVar("asking", default="")
"""The id of the person for whom this is done; empty for background work, which has no share."""


@contextmanager
def charge_to_person(person: str) -> Iterator[None]:
    """Count what is asked of Zof in here, and in tasks that begin in here, as this person's."""
    token = _current_person.set(person)
    try:
        yield
    finally:
        _current_person.reset(token)


class PersonalQuotas:
    """What each person has asked for within the last minute, in this process."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._asked: OrderedDict[str, deque[float]] = OrderedDict()

    def spend_request(self, quota: Quota | None) -> None:
        """Count one request of whoever is asked for. Raises PersonalQuotaExceeded when it would be one too many.

        ``quota`` is what Zof last said, as it does with each reply; while it has said nothing, nobody is held up.
        """
        person = _current_person.get()
        if not person:
            return
        asked, now = self._asked.setdefault(person, deque()), self._clock.monotonic()
        self._asked.move_to_end(person)
        if len(self._asked) > MAX_PEOPLE:
            self._asked.popitem(last=False)
        while asked and now - asked[0] >= WINDOW_SECONDS:
            asked.popleft()
        if quota and len(asked) >= max(1, quota.limit * MAX_PERSONAL_SHARE):
            raise _exceeded_error(math.ceil(WINDOW_SECONDS - (now - asked[0])), self._clock)
        asked.append(now)


def _exceeded_error(seconds: int, clock: Clock) -> PersonalQuotaExceeded:
    wait = "1 second" if seconds == 1 else f"{seconds} seconds"
    error = PersonalQuotaExceeded(f"You have used your share of Zof's requests for this minute: try again in {wait}.")
    error.retry_at = clock.now() + timedelta(seconds=seconds)
    return error
