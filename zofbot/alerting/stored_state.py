"""Reading of the rules' stored state, of which a value may be damaged or written by a newer version."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import structlog
from pydantic import ValidationError

from zofbot.alerting.state import DecisionBuilder, triage_hash
from zofbot.triage import RunFacts, TriageRecord, find_reopening

log = structlog.get_logger()

T = TypeVar("T")
D = TypeVar("D")


def parse_stored(kind: str, stored: str, parse: Callable[[str], T], otherwise: D) -> T | D:
    """Parse a stored value of some ``kind``; one that cannot be read is logged, and ``otherwise`` is returned."""
    try:
        return parse(stored)
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        log.error("unreadable state", kind=kind, stored=stored[:100], error=type(error).__name__,
                  fix="run the version of zofbot that wrote it; this one goes on as without it")  # fmt: skip
        return otherwise


def read_triage_record(draft: DecisionBuilder, channel: str, key: str) -> TriageRecord:
    """Return a failure's triage record; an empty one if a newer version wrote something this version cannot read."""
    try:
        return TriageRecord.model_validate_json(draft.read_hash(triage_hash(channel)).get(key, "{}"))
    except ValidationError:
        return TriageRecord()


def is_acted_on(draft: DecisionBuilder, channel: str, key: str) -> bool:
    """Whether anybody has done anything about a failure; about most, and most storms, nobody has."""
    return key in draft.read_hash(triage_hash(channel))


def read_reopening(draft: DecisionBuilder, channel: str, key: str, facts: RunFacts) -> dict[str, float]:
    """Return what to store of a failure if the latest of its ``facts`` ends a snooze or resolution, else nothing."""
    if not is_acted_on(draft, channel, key):
        return {}
    return find_reopening(read_triage_record(draft, channel, key), facts, draft.now)
