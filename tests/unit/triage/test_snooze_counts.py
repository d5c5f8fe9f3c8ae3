"""How much a snooze hid, and records of before that was counted."""

from __future__ import annotations

from tests.support.triage import NOW, POLICY, standing, wish
from zofbot.triage import Act, Course, State, Triage, act, current


def test_failures_are_counted_from_the_snooze_on() -> None:
    asleep = act(standing(State.OPEN), wish(Act.SNOOZE, until=NOW + 60), Course(failures=3), POLICY)
    assert current(asleep, Course(failures=5), NOW + 59).hid == 0
    assert current(asleep, Course(failures=5), NOW + 60).hid == 2
    assert current(asleep, Course(turn=1, recovered=True, turned=NOW + 9, failures=4), NOW + 60).hid == 1
    assert act(asleep, wish(Act.WAKE, NOW + 5), Course(failures=4), POLICY).hid == 1
    assert act(asleep, wish(Act.ACKNOWLEDGE, NOW + 5), Course(failures=4), POLICY).hid == 0


def test_a_record_from_before_that_was_kept_claims_nothing() -> None:
    old = Triage.model_validate({"state": "snoozed", "since": NOW, "until": NOW + 60})
    assert current(old, Course(failures=9), NOW + 61).hid == 0
