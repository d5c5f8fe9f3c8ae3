"""Which reminders are scheduled for a failure's state: whom each mentions, and when."""

from __future__ import annotations

from tests.support.triage import NOW, POLICY, action_request, record_in_state
from zofbot.alerting.escalation_reminders import schedule_reminders
from zofbot.triage import Action, RunFacts, TriageRecord, TriageState, apply_action

ROOT, CHANNEL = "case:1:C1", "C1"
OPEN = TriageRecord(opened=NOW)


def reminders(record: TriageRecord, *, notified_at: float = 0.0) -> list[tuple[str, int, tuple[str, ...], float]]:
    """Return each reminder's kind, step, mentions, and the seconds from ``NOW`` until it is due."""
    found = schedule_reminders(ROOT, CHANNEL, record, POLICY, notified_at=notified_at)
    return [
        (note.body["sort"], note.body.get("step", 0), tuple(note.body.get("mention", ())), note.not_before - NOW)
        for note in found
        if note.body
    ]


def test_each_step_mentions_its_own_people_at_its_own_time() -> None:
    assert reminders(OPEN) == [("escalate", 0, ("S0AA",), 900), ("escalate", 1, ("U0LEAD",), 2700)]


def test_steps_count_from_the_message_where_the_channel_heard_of_the_failure_later() -> None:
    assert [due for *_, due in reminders(OPEN, notified_at=NOW + 3600)] == [3600 + 900, 3600 + 2700]


def test_a_step_that_a_person_took_is_not_scheduled_again_until_the_failure_opens_anew() -> None:
    facts = RunFacts()
    escalated = apply_action(OPEN, action_request(Action.ESCALATE, NOW + 60), facts, POLICY)
    assert [step for _, step, *_ in reminders(escalated)] == [1]
    resolved = apply_action(escalated, action_request(Action.RESOLVE, NOW + 70), facts, POLICY)
    assert reminders(resolved) == []
    reopened = apply_action(resolved, action_request(Action.REOPEN, NOW + 80), facts, POLICY)
    assert [(step, due) for _, step, _, due in reminders(reopened)] == [(0, 980), (1, 2780)]


def test_the_end_of_a_snooze_is_announced_to_whoever_snoozed_and_escalation_begins_there() -> None:
    snooze = action_request(Action.SNOOZE, until=NOW + 3600)
    asleep = apply_action(record_in_state(TriageState.OPEN), snooze, RunFacts(), POLICY)
    assert reminders(asleep) == [
        ("wake", 0, ("U0ANA",), 3600),
        ("escalate", 0, ("S0AA",), 3600 + 900),
        ("escalate", 1, ("U0LEAD",), 3600 + 2700),
    ]


def test_scheduling_twice_schedules_the_same() -> None:
    keys = [[note.key for note in schedule_reminders(ROOT, CHANNEL, OPEN, POLICY)] for _ in range(2)]
    assert keys[0] == keys[1]
    assert len({*keys[0]}) == 2
