"""A scope with open failures, as the poller stores it."""

from __future__ import annotations

from dataclasses import dataclass, replace

_OPEN_PREFIX = "~"
"""Starts a word that is no channel id; earlier versions take it for a channel in which nothing is open."""


@dataclass(frozen=True, slots=True)
class OpenScope:
    """A scope with open failures: since when passing runs matter (Unix seconds), and in which channels.

    A failure may have recovered in an earlier run than those read so far, so ``since`` is raised only later: to
    ``open``, the last time of the first failure that has not recovered (None if all have), as known ``at`` that time.
    ``channels`` is ``None`` in records of earlier versions, which stored only the time.
    """

    since: float
    channels: tuple[str, ...] | None = None
    open: float | None = None
    at: float | None = None

    @classmethod
    def load(cls, text: str) -> OpenScope:
        """Parse what ``dump`` made, in this version or an earlier one."""
        since, *words = text.split()
        channels = tuple(word for word in words if not word.startswith(_OPEN_PREFIX)) or None
        waits = next((word[1:] for word in words if word.startswith(_OPEN_PREFIX)), "")
        if not waits:
            return cls(float(since), channels, float(since))
        at, _, first = waits.partition("/")
        return cls(float(since), channels, float(first) if first else None, float(at))

    def dump(self) -> str:
        """Format as stored: ``SINCE [~AT/OPEN] CHANNEL …``; an empty OPEN says that all has recovered."""
        first = "" if self.open is None else f"{self.open:.3f}"
        waits = () if self.at is None else (f"{_OPEN_PREFIX}{self.at:.3f}/{first}",)
        return " ".join((f"{self.since:.3f}", *waits, *(self.channels or ())))

    def merge_previous(self, old: OpenScope | None, now: float) -> OpenScope:
        """Return this scope widened by what was already read for."""
        since = min(self.since, old.since) if old else self.since
        waits = old.at if old and old.at is not None and old.open == self.open else now
        return replace(self, since=since, at=None if since == self.open else waits)
