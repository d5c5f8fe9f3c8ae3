"""How much a snooze hid, and records of before that was counted."""

from __future__ import annotations

from tests.support.triage import NOW, POLICY, action_request, record_in_state
from zofbot.triage import Action, RunFacts, TriageRecord, TriageState, apply_action, effective_record


def test_failures_are_counted_from_the_snooze_on() -> None:
    asleep = apply_action(
        record_in_state(TriageState.OPEN), action_request(Action.SNOOZE, until=NOW + 60), RunFacts(failures=3), POLICY
    )
    assert effective_record(asleep, RunFacts(failures=5), NOW + 59).hid == 0
    assert effective_record(asleep, RunFacts(failures=5), NOW + 60).hid == 2
    assert effective_record(asleep, RunFacts(turn=1, recovered=True, turned=NOW + 9, failures=4), NOW + 60).hid == 1
    assert apply_action(asleep, action_request(Action.WAKE, NOW + 5), RunFacts(failures=4), POLICY).hid == 1
    assert apply_action(asleep, action_request(Action.ACKNOWLEDGE, NOW + 5), RunFacts(failures=4), POLICY).hid == 0


def test_a_record_from_before_that_was_kept_claims_nothing() -> None:
    old = TriageRecord.model_validate({"state": "snoozed", "since": NOW, "until": NOW + 60})
    assert effective_record(old, RunFacts(failures=9), NOW + 61).hid == 0
