"""What the poller knows while it holds the lease: a copy of what the store has, and the changes to go with a commit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from operator import itemgetter

import structlog

from zofbot.pipeline.feeds import FAILURES, Progress
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
_FOUND = frozenset(feed.name for feed in FAILURES)


@dataclass(frozen=True, slots=True)
class Failing:
    """A scope with open failures: when the first was last seen (Unix seconds), and which channels have some.

    ``channels`` is ``None`` where an earlier version noted it, which kept only the time.
    """

    since: float
    channels: tuple[str, ...] | None = None

    @classmethod
    def load(cls, text: str) -> Failing:
        since, *channels = text.split()
        return cls(float(since), tuple(channels) or None)

    def dump(self) -> str:
        return " ".join((f"{self.since:.3f}", *(self.channels or ())))


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
        self.failing = {scope: one for scope, one in kept_failing.items() if one.since > now - LONGEST_FAILING}
        self.watches: dict[str, Watch] = {}
        self._waiting: set[str] = set()
        self._passed_over: set[str] = set()

    def hear(self, hints: Mapping[str, str]) -> None:
        """Take the hints as they stand in the store now."""
        self.watches = {field: watch for field, text in hints.items() if (watch := _watch(field, text))}
        self._waiting = {field for watch in self.watches.values() for field in watch.seen}

    def knows(self, field: str) -> bool:
        """Whether that was told, left untold, or waits to be looked at."""
        return field in self._noted or field in self._waiting or field in self._passed_over

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

    def pass_over(self, field: str) -> None:
        """It does not matter as things stand: not worth storing."""
        self._passed_over.add(field)

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

    def leave(self, name: str) -> None:
        """Nobody needs this feed for now: once it is needed again, it begins anew."""
        known = self.progress(name)
        self._progress[name] = Progress(order=known.order, by=known.by)

    def hope(self, scope: str, failing: Failing | None) -> None:
        """Look for runs of this scope that pass; not any longer when nothing is ``failing`` there."""
        if self.failing.get(scope) == failing:
            return
        self._passed_over.clear()
        self._change(FAILING, scope, failing.dump() if failing else None)
        if failing is None:
            del self.failing[scope]
        else:
            self.failing[scope] = failing

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
