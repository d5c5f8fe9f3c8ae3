"""What the poller knows while it holds the lease: a copy of what the store has, and the changes to go with a commit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from operator import itemgetter

import structlog

from zofbot.pipeline.feeds import ALL_RUNS, FAILURES, OVERLAP, Progress
from zofbot.store.hints import HASH as HINTS
from zofbot.store.hints import Watch

log = structlog.get_logger()

NOTED, FEEDS, FAILING = "noted", "feeds", "failing"
HASHES = (NOTED, FEEDS, FAILING)
"""Hashes: what was told or left untold, by when; how far each feed was read; scopes with failures that may recover."""

MOST_NOTED = 40_000
"""Of more, those that happened longest ago are forgotten, and nothing as old is told any more."""

LONGEST_FAILING = 14 * 86400.0
"""Seconds after the last failure for which passed runs are looked for."""

FLOOR = "floor"
_WAITS = "~"
"""Begins a word that is no channel; an earlier version takes it for one in which nothing is open."""

_FOUND = frozenset(feed.name for feed in FAILURES)


@dataclass(frozen=True, slots=True)
class Failing:
    """A scope with open failures: since when runs that pass matter (Unix seconds), and which channels have some.

    What recovered may have done so by an earlier run than those heard of, so that ``since`` is raised only a while
    after: to ``open``, when the first was last seen that has not recovered (None when all have), as that stood ``at``.
    ``channels`` is ``None`` where an earlier version noted it, which kept only the time.
    """

    since: float
    channels: tuple[str, ...] | None = None
    open: float | None = None
    at: float | None = None

    @classmethod
    def load(cls, text: str) -> Failing:
        since, *words = text.split()
        channels = tuple(word for word in words if not word.startswith(_WAITS)) or None
        waits = next((word[1:] for word in words if word.startswith(_WAITS)), "")
        if not waits:
            return cls(float(since), channels, float(since))
        at, _, first = waits.partition("/")
        return cls(float(since), channels, float(first) if first else None, float(at))

    def dump(self) -> str:
        first = "" if self.open is None else f"{self.open:.3f}"
        waits = () if self.at is None else (f"{_WAITS}{self.at:.3f}/{first}",)
        return " ".join((f"{self.since:.3f}", *waits, *(self.channels or ())))

    def after(self, old: Failing | None, now: float) -> Failing:
        """This, and what was hoped for before."""
        since = min(self.since, old.since) if old else self.since
        waits = old.at if old and old.at is not None and old.open == self.open else now
        return replace(self, since=since, at=None if since == self.open else waits)


class Notebook:
    """Times are Unix seconds. What happened before ``floor`` is never told; ``first`` says that the store was empty.

    ``watches`` stand by their field; ``failing`` has scopes with open failures, by when the first was last seen.
    """

    def __init__(self, hashes: Mapping[str, Mapping[str, str]], now: float, lookback: float) -> None:
        kept = dict(hashes[FEEDS])
        self.opened = now
        self.first = FLOOR not in kept
        self._changes: dict[str, dict[str, str | None]] = {}
        self.floor = float(kept.pop(FLOOR, 0))
        if self.first:
            self._raise(now - lookback)
        self._noted = {field: float(at) for field, at in hashes[NOTED].items()}
        self._progress = {name: Progress.load(text) for name, text in kept.items()}
        self._walked: set[str] = set()
        kept_failing = {scope: Failing.load(text) for scope, text in hashes[FAILING].items()}
        self.failing = {
            scope: one for scope, one in kept_failing.items() if max(one.since, one.open or 0.0) > now - LONGEST_FAILING
        }
        self.watches: dict[str, Watch] = {}
        self._waiting: set[str] = set()

    def hear(self, hints: Mapping[str, str]) -> None:
        """Take the hints as they stand in the store now."""
        self.watches = {field: watch for field, text in hints.items() if (watch := _watch(field, text))}
        self._waiting = {field for watch in self.watches.values() for field in watch.seen}

    def knows(self, field: str) -> bool:
        """Whether that was told, left untold, or waits to be looked at."""
        return field in self._noted or field in self._waiting

    def note(self, fields: Iterable[str], at: float) -> None:
        """Never look at these again."""
        for field in fields:
            if field not in self._noted:
                self._noted[field] = at
                self._change(NOTED, field, f"{at:.0f}")
        if len(self._noted) > MOST_NOTED:
            self._forget(MOST_NOTED // 10)

    def note_partly(self, run: str, at: float) -> None:
        """A run has more failures than are read of one: they are counted, and not looked at one by one."""
        self.note([f"rest:{run}"], at)

    def partly(self, run: str | None) -> bool:
        return f"rest:{run}" in self._noted

    def watch(self, watch: Watch) -> None:
        """Look at this, or look at it again."""
        self.watches[watch.field] = watch
        self._waiting.update(watch.seen)
        self._change(HINTS, watch.field, watch.dump())

    def close(self, watch: Watch) -> None:
        """It was looked at for the last time."""
        self.watches.pop(watch.field, None)
        self._change(HINTS, watch.field, None)

    def due(self, now: float) -> list[Watch]:
        """What may be looked at, in the order in which it happened.

        While a walk that meets the newest first is under way, what it finds waits for what happened before.
        """
        walks = [one for name, one in self._progress.items() if name in _FOUND]
        backwards = any(one.order == "newest" and one.began is not None for one in walks)
        due = [one for one in self.watches.values() if one.due <= now and not (backwards and one.why in _FOUND)]
        return sorted(due, key=lambda one: (one.happened or one.since, one.field))

    def progress(self, name: str) -> Progress:
        """How far the feed or audit of that name was read."""
        return self._progress.get(name, Progress())

    def begun(self, name: str, progress: Progress) -> None:
        """Keep that a walk begins. Nothing was read yet, so that alone is no reason to store anything."""
        self._progress[name] = progress
        self._walked.add(name)

    def walked(self, name: str, progress: Progress) -> None:
        """Keep how far a feed was read. It is stored with the next change: to read a bit more again does no harm."""
        self.begun(name, progress)
        if progress.cursor is not None and progress.began is not None:
            self._change(FEEDS, name, progress.dump())

    @property
    def walking(self) -> int:
        """How many walks have not come to their end."""
        return sum(one.began is not None for one in self._progress.values())

    def hope(self, scope: str, failing: Failing | None, now: float) -> None:
        """Look for runs of this scope that pass; as long as an earlier one may turn up also where all has recovered."""
        old = self.failing.get(scope)
        if failing is None:
            failing = replace(old, open=None) if old else None
        if failing is not None:
            self._hope(scope, failing.after(old, now))

    def _hope(self, scope: str, failing: Failing | None) -> None:
        old = self.failing.get(scope)
        if old == failing:
            return
        self._change(FAILING, scope, failing.dump() if failing else None)
        if failing is None:
            del self.failing[scope]
            return
        self.failing[scope] = failing
        if old is None or failing.since < old.since:
            known = self.progress(ALL_RUNS.name)
            back = failing.since if known.back is None else min(known.back, failing.since)
            self.begun(ALL_RUNS.name, replace(known, back=back))

    def raise_hopes(self) -> None:
        """Hope for less where all that passed before was looked at, also what Zof lists late."""
        complete = self.progress(ALL_RUNS.name).complete
        for scope, one in list(self.failing.items()):
            if one.at is not None and complete is not None and complete >= one.at + OVERLAP:
                self._hope(scope, None if one.open is None else Failing(one.open, one.channels, one.open))

    def changes(self) -> dict[str, dict[str, str | None]]:
        """Give what has to be stored and forget that it had to be; empty when nothing has."""
        if self._changes:
            for name in self._walked:
                self._change(FEEDS, name, self._progress[name].dump())
            self._walked.clear()
        changes, self._changes = self._changes, {}
        return changes

    def _change(self, name: str, field: str, value: str | None) -> None:
        self._changes.setdefault(name, {})[field] = value

    def _raise(self, floor: float) -> None:
        self.floor = max(self.floor, floor)
        self._change(FEEDS, FLOOR, f"{self.floor:.3f}")

    def _forget(self, count: int) -> None:
        oldest = sorted(self._noted.items(), key=itemgetter(1))[:count]
        for field, _ in oldest:
            del self._noted[field]
            self._change(NOTED, field, None)
        self._raise(oldest[-1][1])
        log.warning("oldest notes forgotten", count=count, floor=self.floor)


def _watch(field: str, text: str) -> Watch | None:
    try:
        return Watch.load(text)
    except (ValueError, TypeError):
        log.error("hint not understood", field=field)
        return None
