"""What happens to a failure without anybody's action: it recovers, relapses, wakes, or its owner falls silent."""

from __future__ import annotations

from typing import Any

from zofbot.triage.record import MAX_KEPT_REQUESTS, Actor, RunFacts, TriageRecord
from zofbot.triage.state_machine import TRANSITIONS, Action, TriageState


def effective_record(record: TriageRecord, facts: RunFacts, now: float) -> TriageRecord:
    """Return a failure's record at ``now`` (Unix seconds), updated by what has happened automatically since."""
    if record.turn != facts.turn:
        hid = count_hidden_failures(record, facts) if facts.recovered else 0
        turned = facts.turned or facts.opened
        record = _apply_automatic(record, Action.RECOVER if facts.recovered else Action.RELAPSE, turned, hid)
        opened = record.opened if facts.recovered else facts.opened
        record = record.model_copy(update={"turn": facts.turn, "opened": opened})
    if not record.opened:
        record = record.model_copy(update={"opened": facts.opened, "since": record.since or facts.opened})
    if record.state is TriageState.SNOOZED and record.more and facts.failures - record.counted >= record.more:
        return _apply_automatic(record, Action.WAKE, _reopened_at(record, facts), count_hidden_failures(record, facts))
    if record.state is TriageState.SNOOZED and record.until is not None and record.until <= now:
        return _apply_automatic(record, Action.WAKE, record.until, count_hidden_failures(record, facts))
    if record.state is TriageState.ACKNOWLEDGED and record.until is not None and record.until <= now:
        return _apply_automatic(record, Action.LAPSE, record.until)
    if record.state is TriageState.RESOLVED and facts.last > record.since:
        return _apply_automatic(record, Action.RELAPSE, _reopened_at(record, facts))
    return record


def find_reopening(record: TriageRecord, facts: RunFacts, now: float) -> dict[str, float]:
    """Return the facts to keep if the latest failure ends a person's snooze or resolution, else nothing.

    They say when that was, so that further failures do not change it. ``now`` is in Unix seconds.
    """
    after = effective_record(record, facts, now)
    began = record.since if record.state in (TriageState.SNOOZED, TriageState.RESOLVED) else None
    if began in (None, facts.reopened_from) or record.turn != facts.turn:
        return {}
    ended = after.state is TriageState.OPEN and after.opened == facts.last
    return {"reopened": facts.last, "reopened_from": record.since} if ended else {}


def _reopened_at(record: TriageRecord, facts: RunFacts) -> float:
    """Return when failures ended a snooze or a resolution: at the latest one, unless it is known which one did."""
    return facts.reopened if facts.reopened_from == record.since else facts.last


def merge_storm_record(own: TriageRecord, storm: TriageRecord, failures: int = 0) -> TriageRecord:
    """Return the record of one failure in a storm: its ``own`` or the storm's, whichever changed last.

    If either has recovered, or its own is resolved, ``own`` is used: what is done about the rest does not reopen it.
    ``failures`` is how often it has failed, 0 if unknown: a storm's snooze that becomes its own counts from there.
    """
    rev, requests = own.rev + storm.rev, (*storm.requests, *own.requests)[-2 * MAX_KEPT_REQUESTS :]
    if own.state.is_closed or storm.state is TriageState.RECOVERED or own.at > storm.at:
        return own.model_copy(update={"rev": rev})
    merged: dict[str, Any] = {"turn": own.turn, "rev": rev, "requests": requests}
    merged["counted"] = failures if storm.counted else 0
    if storm.before:
        before = merge_storm_record(own, storm.before, failures)
        merged["before"] = before.model_copy(update={"before": None, "requests": ()})
    return storm.model_copy(update=merged)


def split_storm_record(merged: TriageRecord, storm: TriageRecord) -> TriageRecord:
    """Return what to store of a failure in a storm, from its ``merged`` record: merging it again gives that version."""
    return merged.model_copy(update={"rev": merged.rev - storm.rev})


def count_hidden_failures(record: TriageRecord, facts: RunFacts) -> int:
    """Return how often it has failed since it was snoozed, 0 if unknown."""
    asleep = record.state is TriageState.SNOOZED and record.counted
    return max(0, facts.failures - record.counted) if asleep else 0


def _apply_automatic(record: TriageRecord, act: Action, at: float, hid: int = 0) -> TriageRecord:
    state = TRANSITIONS[record.state][act]
    if state is record.state and act is not Action.RELAPSE:
        return record
    fresh: dict[str, Any] = {"opened": at, "steps": 0} if state is TriageState.OPEN else {}
    owner = Actor() if act in (Action.RELAPSE, Action.LAPSE) else record.owner
    return record.model_copy(
        update={
            "state": state,
            "since": at,
            "did": act,
            "by": Actor(),
            "mover": Actor(),
            "at": at,
            "owner": owner,
            **CLEARED_FIELDS,
            **fresh,
            "hid": hid,
        }
    )


CLEARED_FIELDS: dict[str, Any] = {
    "reason": "",
    "note": "",
    "until": None,
    "asks": None,
    "more": 0,
    "counted": 0,
    "hid": 0,
}
"""Fields that are reset when the state changes."""
