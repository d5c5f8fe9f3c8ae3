"""The items that were handled, so that a listing does not have them read again."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

MAX_HANDLED_ITEMS = 40_000
"""Handled items kept; beyond that the oldest are deleted, and nothing that old is reported any more."""

_LISTED_PREFIX = "listed:"


class HandledItems:
    """When each handled item happened, and when runs without times were first listed (Unix seconds).

    ``add_change`` is called with each field to store and its value, or None to delete it.
    """

    def __init__(self, times: dict[str, float], add_change: Callable[[str, str | None], None]) -> None:
        self._times = times
        self._add_change = add_change

    def __contains__(self, field: str) -> bool:
        return field in self._times

    def add(self, fields: Iterable[str], at: float) -> None:
        """Record items as handled."""
        for field in fields:
            if field not in self._times:
                self._times[field] = at
                self._add_change(field, f"{at:.0f}")

    def first_listing(self, key: str, at: float) -> float:
        """Return when an item was first listed, in whole seconds: ``at``, which is recorded, if it was not before."""
        self.add([_LISTED_PREFIX + key], math.floor(at))
        return self._times[_LISTED_PREFIX + key]

    def delete_surplus(self) -> float | None:
        """Delete what exceeds the limit. Return up to when handled items were deleted, if any.

        First listings are deleted first: without them, nothing is reported again.
        """
        if len(self._times) <= MAX_HANDLED_ITEMS:
            return None
        fields = sorted(self._times, key=lambda field: (not field.startswith(_LISTED_PREFIX), self._times[field]))
        deleted = {field: self._times.pop(field) for field in fields[: MAX_HANDLED_ITEMS // 10]}
        for field in deleted:
            self._add_change(field, None)
        return max((at for field, at in deleted.items() if not field.startswith(_LISTED_PREFIX)), default=None)
