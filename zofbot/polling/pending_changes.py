"""Changes of pending runs that are to be stored, and what the store must have of these runs until then."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from zofbot.store.pending_runs import PendingRun


class PendingChanges:
    """Changes by hash field. A run is formatted when they are collected, as it may change many times before that."""

    def __init__(self) -> None:
        self._stored: dict[str, str] = {}
        self._changed: dict[str, bool] = {}
        """Whether a webhook that arrives until the change is stored may say more."""
        self._collected: dict[str, str | None] = {}
        self._touched: set[str] = set()
        """Fields changed since all were loaded."""

    def set_stored(self, fields: Mapping[str, str]) -> None:
        """Set what the store has, as all pending runs are loaded."""
        self._stored = dict(fields)
        self._touched.clear()

    def add_stored(self, field: str, text: str) -> None:
        """Add what the store has of one more run."""
        self._stored[field] = text

    def note_change(self, field: str, *, is_final: bool = False) -> None:
        """Note that a run has changed or is gone; ``is_final``: no webhook can say more of it."""
        self._changed[field] = not is_final
        self._touched.add(field)

    def are_as_loaded(self, fields: Iterable[str]) -> bool:
        """Whether none of these has changed since all were loaded."""
        return self._touched.isdisjoint(fields)

    def collect(self, pending_runs: Mapping[str, PendingRun]) -> dict[str, str | None]:
        """Return what to store of each changed run; None for those that are gone."""
        changed = {field: pending_runs.get(field) for field in self._changed}
        self._collected = {field: pending.dump() if pending else None for field, pending in changed.items()}
        return self._collected

    def list_expected(self) -> dict[str, str | None]:
        """Return what the store must still have of changed runs, unless a webhook has arrived; None for nothing."""
        return {field: self._stored.get(field) for field, is_open in self._changed.items() if is_open}

    def clear(self) -> None:
        """Forget the changes last collected, which have been stored."""
        for field, text in self._collected.items():
            self._stored.pop(field, None)
            if text is not None:
                self._stored[field] = text
        self._changed.clear()
        self._collected = {}

    def take_arrived(self, fields: Mapping[str, str | None]) -> dict[str, str]:
        """Return what has arrived, of what the store has now of the fields in ``list_expected``."""
        arrived = {field: text for field, text in fields.items() if text and text != self._stored.get(field)}
        for field in fields:
            self._stored.pop(field, None)
        self._stored |= {field: text for field, text in fields.items() if text}
        return arrived
