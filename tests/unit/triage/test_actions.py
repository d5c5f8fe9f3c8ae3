"""What an action leaves of the state before it."""

from __future__ import annotations

import pytest

from tests.support.triage import NOW, action_request, record_in_state
from zofbot.triage import Action, EscalationPolicy, RunFacts, TriageState, apply_action, effective_record

FACTS, POLICY = RunFacts(failures=3), EscalationPolicy()


@pytest.mark.parametrize("action", [Action.ACKNOWLEDGE, Action.WAKE, Action.RESOLVE])
def test_nothing_of_a_snooze_is_left_after_the_next_action(action: Action) -> None:
    asleep = apply_action(
        record_in_state(TriageState.OPEN), action_request(Action.SNOOZE, until=NOW + 60, more=2), FACTS, POLICY
    )
    done = apply_action(asleep, action_request(action, NOW + 5), FACTS, POLICY)
    assert (done.until, done.more, done.counted) == (None, 0, 0)
    assert effective_record(done, RunFacts(failures=9), NOW + 61).state is done.state
