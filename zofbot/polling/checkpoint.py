"""The poller's state while it holds the lease: a copy of what is stored, and the changes for the next commit."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import TypeVar

import structlog

from zofbot.alerting.state import scope_key
from zofbot.polling.cursor import ALL_RUNS_FEED, FAILURE_FEED_NAMES, FEEDS, OVERLAP_SECONDS, FeedCursor
from zofbot.polling.handled_items import HandledItems
from zofbot.polling.open_scope import OpenScope
from zofbot.polling.pending_changes import PendingChanges
from zofbot.polling.reading_order import sort_pending
from zofbot.store.pending_runs import PENDING_RUNS_HASH, PendingRun
from zofbot.subscriptions import RunFinding

log = structlog.get_logger()

T = TypeVar("T")

HANDLED_HASH, CURSORS_HASH, OPEN_SCOPES_HASH = "noted", "feeds", "failing"
CHECKPOINT_HASHES = (HANDLED_HASH, CURSORS_HASH, OPEN_SCOPES_HASH)
"""Hashes: items handled, and when they happened; each feed's cursor; scopes with failures that may recover."""

MAX_OPEN_FAILURE_SECONDS = 14 * 86400.0
"""Seconds after a failure for which passing runs are read."""

FLOOR_FIELD = "floor"


class PollCheckpoint:
    """The poller's state. Times are Unix seconds.

    What happened before ``floor`` is never reported; ``first``: the store was empty. ``pending_runs`` are by hash
    field, ``open_scopes`` (scopes with open failures) by scope key.
    """

    def __init__(self, hashes: Mapping[str, Mapping[str, str]], now: float, lookback: float) -> None:
        kept = dict(hashes[CURSORS_HASH])
        self.opened = now
        self.first = FLOOR_FIELD not in kept
        self._changes: dict[str, dict[str, str | None]] = {}
        floors = {FLOOR_FIELD: kept.pop(FLOOR_FIELD)} if not self.first else {}
        self._lookback = lookback
        self.floor = _parse_fields(CURSORS_HASH, floors, float).get(FLOOR_FIELD, 0.0)
        if not self.floor:
            self._set_floor(now - lookback)
        handled = _parse_fields(HANDLED_HASH, hashes[HANDLED_HASH], float)
        self._handled = HandledItems(handled, partial(self._add_change, HANDLED_HASH))
        self._progress = _parse_fields(CURSORS_HASH, kept, FeedCursor.load)
        self._scanned: set[str] = set()
        self.open_scopes = _parse_fields(OPEN_SCOPES_HASH, hashes[OPEN_SCOPES_HASH], OpenScope.load)
        self.pending_runs: dict[str, PendingRun] = {}
        self._waiting: set[str] = set()
        self._pending_changes = PendingChanges()

    def correct_times(self, now: float) -> None:
        """Correct what is later than ``now``, as a clock was ahead: new failures would be too old, audits not due."""
        self.opened = min(self.opened, now)
        for name, progress in self._progress.items():
            if progress.complete is not None and progress.complete > now:
                self.start_scan(name, replace(progress, complete=now))
        if self.floor > now:
            log.error("look-back start was in the future", seconds=round(self.floor - now),
                      fix="keep the clocks of the machines that run zofbot synchronized (NTP)")  # fmt: skip
            self._set_floor(now - self._lookback)

    def load_pending(self, hints: Mapping[str, str]) -> None:
        """Replace the pending runs by those in the store."""
        before, self.pending_runs = self.pending_runs, {}
        self._waiting.clear()
        self._pending_changes.set_stored(hints)
        for field, stored in _parse_fields(PENDING_RUNS_HASH, hints, PendingRun.load).items():
            pending = stored.with_present_meaning()
            if pending != stored or field != pending.hash_field:  # an earlier version stored it
                self._pending_changes.note_change(field)
                self.add_pending(pending)
            else:
                self._add_stored(pending, before.get(field))

    def add_hints(self, hints: Iterable[PendingRun]) -> bool:
        """Add hints that were just stored; False if the store may know more, as one's run was read meanwhile."""
        added = {hint.hash_field: hint for hint in hints}
        if not self._pending_changes.are_as_loaded(added):
            return False
        for field, hint in added.items():
            self._pending_changes.add_stored(field, hint.dump())
            self._add_stored(hint, self.pending_runs.get(field))
        return True

    def merge_arrived(self, hints: Mapping[str, str | None]) -> None:
        """Add to the changed pending runs what has arrived of them, of what the store has in ``expected_pending``."""
        arrived = self._pending_changes.take_arrived(hints)
        for field, hint in _parse_fields(PENDING_RUNS_HASH, arrived, PendingRun.load).items():
            self.add_pending(hint.with_known(self.pending_runs.get(field)))

    def _add_stored(self, pending: PendingRun, known: PendingRun | None) -> None:
        """Add a run as the store has it, with what was ``known`` of it before a hint replaced it there."""
        if (merged := pending.with_known(known)) != pending:
            self.add_pending(merged)
            return
        self.pending_runs[pending.hash_field] = pending
        self._waiting.update(pending.seen)

    def is_known(self, field: str) -> bool:
        """Whether an item was handled or is waiting to be read."""
        return field in self._handled or field in self._waiting

    def is_handled(self, field: str) -> bool:
        """Whether an item was handled, though its run may be read again."""
        return field in self._handled

    def mark_handled(self, fields: Iterable[str], at: float) -> None:
        """Record items as handled, so that a listing does not have them read; for other reasons a run may be."""
        self._handled.add(fields, at)
        self._delete_surplus()

    def first_listing(self, field: str, at: float) -> float:
        """Return when an item without times was first listed (Unix seconds): ``at``, unless it was before."""
        first = self._handled.first_listing(field, at)
        self._delete_surplus()
        return first

    def mark_truncated(self, run: str, at: float) -> None:
        """Record that a run has more failures than are read, so that its listed results are not read one by one."""
        self.mark_handled([f"rest:{run}"], at)

    def is_truncated(self, run: str | None) -> bool:
        return f"rest:{run}" in self._handled

    def add_pending(self, pending: PendingRun) -> None:
        """Add or update a run to read."""
        self.pending_runs[pending.hash_field] = pending
        self._pending_changes.note_change(pending.hash_field)
        self._waiting.update(pending.seen)

    def remove_pending(self, pending: PendingRun, *, is_final: bool = False) -> None:
        """Remove a run that needs no further reading, even if a webhook arrives meanwhile with ``is_final``."""
        self.pending_runs.pop(pending.hash_field, None)
        self._pending_changes.note_change(pending.hash_field, is_final=is_final)

    def due_runs(self, now: float, affordable: int) -> list[PendingRun]:
        """Return the runs to read now, in the order of ``sort_pending``.

        What a newest-first scan finds waits until that scan ends, so that earlier failures are read first.
        """
        scans = (item for name, item in self._progress.items() if name in FAILURE_FEED_NAMES)
        backwards = (scan.began or 0.0 for scan in scans if scan.order == "newest" and scan.cursor is not None)
        began = min(backwards, default=math.inf)
        due = (
            pending
            for pending in self.pending_runs.values()
            if pending.is_due(now) and not (pending.since >= began and pending.why in FAILURE_FEED_NAMES)
        )
        return sort_pending(due, affordable)

    def cursor_of(self, name: str) -> FeedCursor:
        """Return how far the feed or audit of that name was read."""
        return self._progress.get(name, FeedCursor())

    @property
    def last_scan(self) -> float:
        """When the last scan began that read a feed to its end; 0 if none has."""
        return max(self.cursor_of(feed.name).complete or 0.0 for feed in FEEDS)

    def start_scan(self, name: str, progress: FeedCursor) -> None:
        """Record the start of a scan. This alone does not cause a commit, as nothing was read yet."""
        self._progress[name] = progress
        self._scanned.add(name)

    def save_cursor(self, name: str, progress: FeedCursor) -> None:
        """Record how far a feed was read. The end of a scan is only stored with the next change."""
        self.start_scan(name, progress)
        if progress.cursor is not None and progress.began is not None:
            self._add_change(CURSORS_HASH, name, progress.dump())

    @property
    def active_scans(self) -> int:
        """The number of unfinished scans."""
        return sum(item.began is not None for item in self._progress.values())

    def watch_recoveries(self, scope: str, current: OpenScope | None, now: float) -> None:
        """Watch a scope for passing runs; if all has recovered, only while an earlier passing run may turn up."""
        old = self.open_scopes.get(scope)
        if current is None:
            current = replace(old, open=None) if old else None
        if current is not None:
            self._set_open_scope(scope, current.merge_previous(old, now))

    def _set_open_scope(self, scope: str, current: OpenScope | None) -> None:
        old = self.open_scopes.get(scope)
        if old == current:
            return
        self._add_change(OPEN_SCOPES_HASH, scope, current.dump() if current else None)
        if current is None:
            del self.open_scopes[scope]
            return
        self.open_scopes[scope] = current
        if old is None or current.since < old.since:
            self.start_scan(ALL_RUNS_FEED.name, self.cursor_of(ALL_RUNS_FEED.name).reach_back(current.since))

    def may_recover(self, found: RunFinding) -> bool:
        """Whether what passes in a run may end a failure: one is open in its scope, or was until recently."""
        failed = self.open_scopes.get(scope_key(found))
        return failed is not None and found.happened > failed.since

    def has_open_scope_before(self, at: float) -> bool:
        """Whether what passes at that time (Unix seconds) may end a failure in any scope."""
        return any(at > failed.since for failed in self.open_scopes.values())

    def prune_recovery_watches(self, now: float) -> None:
        """Stop watching scopes whose passing runs have all been read, including those that Zof lists late.

        Also those without news for so long that not even a failure as long after the first as possible is recent.
        """
        complete = self.cursor_of(ALL_RUNS_FEED.name).complete
        for scope, item in list(self.open_scopes.items()):
            if max(item.since, item.open or 0.0) < now - 2 * MAX_OPEN_FAILURE_SECONDS:
                self._set_open_scope(scope, None)
            elif item.at is not None and complete is not None and complete >= item.at + OVERLAP_SECONDS:
                self._set_open_scope(
                    scope, None if item.open is None else OpenScope(item.open, item.channels, item.open)
                )

    def collect_changes(self) -> dict[str, dict[str, str | None]]:
        """Return the changes to store; empty if there are none."""
        pending = self._pending_changes.collect(self.pending_runs)
        if self._changes or pending:
            for name in self._scanned:
                self._add_change(CURSORS_HASH, name, self._progress[name].dump())
            self._scanned.clear()
        return self._changes | ({PENDING_RUNS_HASH: pending} if pending else {})

    @property
    def expected_pending(self) -> dict[str, str | None]:
        """What the store must still have of the changed pending runs, unless a webhook has arrived; None: nothing."""
        return self._pending_changes.list_expected()

    def clear_changes(self) -> None:
        """Forget the changes, which have been stored."""
        self._changes = {}
        self._pending_changes.clear()

    def _add_change(self, name: str, field: str, value: str | None) -> None:
        self._changes.setdefault(name, {})[field] = value

    def _set_floor(self, floor: float) -> None:
        self.floor = floor
        self._add_change(CURSORS_HASH, FLOOR_FIELD, f"{self.floor:.3f}")

    def _delete_surplus(self) -> None:
        deleted = self._handled.delete_surplus()
        if deleted is not None:
            self._set_floor(max(self.floor, deleted))
            log.warning("oldest handled items deleted", floor=self.floor)


def _parse_fields(name: str, fields: Mapping[str, str], parse: Callable[[str], T]) -> dict[str, T]:
    """Parse the fields of a hash; those that cannot be read are logged and skipped: what they are about is read again.

    ``parse`` raises ValueError for these.
    """
    parsed = {}
    for field, text in fields.items():
        try:
            parsed[field] = parse(text)
        except ValueError:
            event = "hint not understood" if name == PENDING_RUNS_HASH else "progress not understood"
            log.error(event, hash=name, field=field, fix="run the version of zofbot that wrote it, or delete the field")
    return parsed
