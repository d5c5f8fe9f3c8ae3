"""Replies to triage actions that are not possible: each says what to do next, in every state."""

from __future__ import annotations

import re
from itertools import product

import pytest

from zofbot.slack.views.triage.pressed_button import FailureRef
from zofbot.slack.views.triage.triage_replies import ACTION_INFINITIVES, illegal_action_reply
from zofbot.triage import TRANSITIONS, Action, TriageRecord, TriageState
from zofbot.triage.state_machine import HUMAN_ACTIONS

NOT_ALLOWED = [
    (act, state)
    for act, state in product(HUMAN_ACTIONS, TriageState)
    if act not in TRANSITIONS[state] or (act, state) == (Action.ACKNOWLEDGE, TriageState.ACKNOWLEDGED)
]

VERBS = {verb: act for act, verb in ACTION_INFINITIVES.items()}


@pytest.mark.parametrize(("act", "state"), NOT_ALLOWED)
def test_every_refusal_says_what_to_do_next_also_in_notifications(act: Action, state: TriageState) -> None:
    about = FailureRef("key", "0.0")
    reply = illegal_action_reply(act, "Cart", about, TriageRecord(state=state), 0.0)
    *_, step = reply.text.removesuffix(".").split(". ")
    assert step.split(",")[0].split()[0] in {"Acknowledge", "Unacknowledge", "Unsnooze", "Reopen", "Use"}, reply.text
    assert reply.text in reply.blocks[0]["text"]["text"]


@pytest.mark.parametrize(("act", "state"), NOT_ALLOWED)
def test_what_is_offered_is_possible_and_what_is_to_be_done_first_makes_the_action_possible(
    act: Action, state: TriageState
) -> None:
    reply = illegal_action_reply(act, "Cart", FailureRef("key", "0.0"), TriageRecord(state=state), 0.0)
    *_, step = reply.text.removesuffix(".").split(". ")
    offered = [VERBS[word] for word in re.findall(r"\w+", step.lower()) if word in VERBS]
    assert bool(offered) == (act is not Action.UNDO), "what can be undone has a button of its own"
    assert set(offered) <= set(TRANSITIONS[state])
    is_first_step = step.endswith("it first")
    assert is_first_step == (act in TRANSITIONS[TriageState.OPEN] and state is not TriageState.ACKNOWLEDGED)
    if is_first_step:
        [first] = offered
        assert act in TRANSITIONS[TRANSITIONS[state][first]]
