"""Which runs were decided on already, and how, so that hearing of one twice changes nothing."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from zofbot.pipeline.memory import REMEMBERED, Draft, seen_in

EVERYWHERE = "*"
"""Stands for all channels: a run from before the look-back."""
_MANY = 64


class How(StrEnum):
    """What became of a run in a channel."""

    TOLD = "t"
    BELOW = "b"
    STORM = "s"
    OLD = "o"


class Mark(NamedTuple):
    """``failures`` is how many of the run's failures were meant when it was decided on."""

    how: How
    failures: int


def marks(draft: Draft, run_id: str) -> dict[str, Mark]:
    """What became of a run, by channel."""
    words = draft.hash(seen_in(run_id)).get(run_id, "").split()[1:]
    parted = (word.partition("=") for word in words)
    return {channel: Mark(How(what[0]), int(what[1:])) for channel, _, what in parted}


def mark(draft: Draft, run_id: str, channel: str, what: Mark) -> None:
    """Note what became of a run; what was noted longer ago than keys live is forgotten."""
    name = seen_in(run_id)
    known = {**marks(draft, run_id), channel: what}
    words = [f"{there}={one.how}{one.failures}" for there, one in known.items()]
    if len(draft.hash(name)) >= _MANY:
        aged = draft.now - REMEMBERED
        draft.drop(name, [run for run, value in draft.hash(name).items() if float(value.split()[0]) < aged])
    draft.put(name, run_id, " ".join([f"{draft.now:.0f}", *words]))
