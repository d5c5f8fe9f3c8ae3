"""What an action leaves of the state before it."""

from __future__ import annotations

import pytest

from tests.support.triage import NOW, action_request, record_in_state
from zofbot.triage import Action, Actor, EscalationPolicy, RunFacts, TriageState, apply_action, effective_record

FACTS, POLICY = RunFacts(failures=3), EscalationPolicy()


@pytest.mark.parametrize("action", [Action.ACKNOWLEDGE, Action.WAKE, Action.RESOLVE])
def test_nothing_of_a_snooze_is_left_after_the_next_action(action: Action) -> None:
    asleep = apply_action(
        record_in_state(TriageState.OPEN), action_request(Action.SNOOZE, until=NOW + 60, more=2), FACTS, POLICY
    )
    done = apply_action(asleep, action_request(action, NOW + 5), FACTS, POLICY)
    assert (done.until, done.more, done.counted) == (None, 0, 0)
    assert effective_record(done, RunFacts(failures=9), NOW + 61).state is done.state


def test_an_acknowledgement_is_asked_about_and_lapses_without_an_answer() -> None:
    asking = EscalationPolicy(reack=3600)
    owned = apply_action(record_in_state(TriageState.OPEN), action_request(Action.ACKNOWLEDGE), FACTS, asking)
    assert (owned.asks, owned.until) == (NOW + 3600, NOW + 3600 + 15 * 60)
    assert effective_record(owned, FACTS, NOW + 3600 + 15 * 60 - 1) == owned
    lapsed = effective_record(owned, FACTS, NOW + 3600 + 15 * 60)
    assert (lapsed.state, lapsed.owner, lapsed.asks) == (TriageState.OPEN, Actor(), None)
    asleep = apply_action(owned, action_request(Action.SNOOZE, NOW + 60, until=NOW + 7200), FACTS, asking)
    assert asleep.asks is None, "nobody is asked about a failure that is snoozed"
