"""Private replies to triage actions: confirmed, overtaken by another action, or not possible."""

from __future__ import annotations

from zofbot.notifications import text
from zofbot.slack.views.blocks import Message, button_row, context_block, section_block
from zofbot.slack.views.triage.pressed_button import FailureRef
from zofbot.slack.views.triage.triage_controls import ACTION_LABELS, action_button, repeat_button
from zofbot.slack.views.triage.triage_status import (
    LAST_ACTION_WORDS,
    RESOLUTION_REASONS,
    STATE_STYLES,
    hidden_failures_text,
    person_name,
    snooze_end_text,
)
from zofbot.triage import TRANSITIONS, Action, ActionRequest, TriageRecord, TriageState
from zofbot.triage.actions import UNDO_SECONDS

ACTION_CONFIRMATIONS = {
    Action.ACKNOWLEDGE: "You acknowledged",
    Action.UNACKNOWLEDGE: "You unacknowledged",
    Action.ASSIGN: "You assigned",
    Action.SNOOZE: "You snoozed",
    Action.WAKE: "You unsnoozed",
    Action.ESCALATE: "You escalated",
    Action.RESOLVE: "You resolved",
    Action.REOPEN: "You reopened",
}

ACTION_INFINITIVES = {
    Action.ACKNOWLEDGE: "acknowledge",
    Action.UNACKNOWLEDGE: "unacknowledge",
    Action.CONFIRM: "confirm",
    Action.ASSIGN: "assign",
    Action.SNOOZE: "snooze",
    Action.WAKE: "unsnooze",
    Action.ESCALATE: "escalate",
    Action.RESOLVE: "resolve",
    Action.REOPEN: "reopen",
    Action.UNDO: "undo the last action on",
}
"""Actions to follow "You can't"; an object follows them."""


def describe_attempt(act: Action) -> str:
    """Describe an attempted action, to follow "You can't"."""
    return f"{ACTION_INFINITIVES[act]} this failure"


STATE_SENTENCES = {
    TriageState.OPEN: "It is open",
    TriageState.ACKNOWLEDGED: "It is acknowledged",
    TriageState.SNOOZED: "It is snoozed",
    TriageState.RESOLVED: "It is resolved",
    TriageState.RECOVERED: "It has recovered",
}

REQUIRED_FIRST_STEPS = {
    TriageState.SNOOZED: "Unsnooze it first.",
    TriageState.RESOLVED: "Reopen it first.",
    TriageState.RECOVERED: "Reopen it first.",
}
"""What makes an action possible that is possible for an open failure."""

OTHER_STEPS = {
    TriageState.OPEN: "Acknowledge, assign, snooze or resolve it.",
    TriageState.ACKNOWLEDGED: "Unacknowledge, assign, snooze or resolve it.",
    TriageState.SNOOZED: "Unsnooze, acknowledge or resolve it.",
    TriageState.RESOLVED: "Reopen it if there is more to do.",
    TriageState.RECOVERED: "Reopen it if there is more to do.",
}
"""What to do instead of any other action."""


def action_done_reply(act: Action, title: str, about: FailureRef, present: TriageRecord) -> Message:
    """Confirm an action, with an *Undo* button; empty where the card or its thread says it and nobody would undo it."""
    if act in (Action.UNDO, Action.CONFIRM):
        return Message("")
    sentence = f"{ACTION_CONFIRMATIONS[act]} {text.escape_line(title, 150)}"
    if act is Action.ASSIGN:
        sentence += f" to {person_name(present.owner.name)}"
    if act is Action.SNOOZE:
        sentence += f" {snooze_end_text(present.until, present.more)}"
    if act is Action.WAKE and present.hid:
        sentence += f": {hidden_failures_text(present.hid)}"
    if act is Action.RESOLVE and present.reason in RESOLUTION_REASONS:
        sentence += f": {RESOLUTION_REASONS[present.reason]}"
    return Message(sentence, [section_block(f"{sentence}."), *button_row(action_button(Action.UNDO, about))])


def stale_action_reply(
    request: ActionRequest, title: str, about: FailureRef, present: TriageRecord, *, allowed: bool
) -> Message:
    """Reply that the failure changed before the click: its current state, and the action again if ``allowed``.

    Undo is never offered again, because its target is no longer the last action. The text, which is also shown where
    there are no buttons, says what to do instead.
    """
    sentence = f"{last_action_text(present, request.at)}. Nothing changed."
    latest = "The card will refresh."
    row, small, step = (
        button_row(repeat_button(request, about)),
        f"*Do it anyway* will {_describe_intention(request)}. {latest}",
        "Use its card to act anyway.",
    )
    if request.act is Action.UNDO or not allowed:
        row, small, step = [], latest, _next_step(request.act, present.state)
    shown = section_block(f"⚡ *{text.escape_line(title, 150)}*\n{sentence}")
    return Message(f"{sentence} {step}", [shown, *row, context_block(small)])


def _describe_intention(request: ActionRequest) -> str:
    """Describe the requested action, to follow "will"."""
    sentence = f"{ACTION_INFINITIVES[request.act]} it"
    match request.act:
        case Action.ASSIGN if request.owner:
            return f"{sentence} to {person_name(request.owner.name)}"
        case Action.SNOOZE if request.model_fields_set & {"until", "more"}:
            return f"{sentence} {snooze_end_text(request.until, request.more)}"
        case Action.RESOLVE if request.reason in RESOLUTION_REASONS:
            return f"{sentence}: {RESOLUTION_REASONS[request.reason]}"
        case _:
            return sentence


def illegal_action_reply(act: Action, title: str, about: FailureRef, present: TriageRecord, now: float) -> Message:
    """Explain why the action is not possible in the current state."""
    named = f"*{text.escape_line(title, 150)}*\n"
    step = _next_step(act, present.state)
    if act is Action.UNDO:
        why = "Nothing left to undo"
        if present.before is not None and present.by.id:
            why = f"{UNDO_SECONDS:.0f} s have passed, too late to undo"
        sentence = f"{why}: {last_action_text(present, now)}. Use the buttons on the card instead."
    elif act is not Action.ESCALATE:
        sentence = f"{ACTION_LABELS[act].rstrip('…')} isn't possible: {last_action_text(present, now)}. {step}"
    elif act in TRANSITIONS[present.state]:
        sentence = "Everyone in the escalation policy was already mentioned. See the thread."
    else:
        sentence = f"{STATE_SENTENCES[present.state]}: only open or acknowledged failures can be escalated. {step}"
    row = button_row(action_button(Action.REOPEN, about)) if present.state.is_closed and act is not Action.UNDO else []
    return Message(sentence, [section_block(f"💡 {named}{sentence}"), *row])


def _next_step(act: Action, state: TriageState) -> str:
    """Say what to do where an action is not possible in a state."""
    first = REQUIRED_FIRST_STEPS.get(state) if act in TRANSITIONS[TriageState.OPEN] else None
    return first or OTHER_STEPS[state]


def unknown_alert_reply(key: str) -> Message:
    """Reply that the failure has expired and could not be restored from Zof."""
    sentence = "This alert has expired: alerts are kept for 38 days after their last change."
    step = "`/zof run` with the run's ID still shows what failed."
    return Message(
        f"{sentence} {step}", [section_block(f"💡 {sentence}\n{step}"), context_block(text.inline_code(key, 300))]
    )


def last_action_text(present: TriageRecord, now: float) -> str:
    """Describe the last change: ``Resolved by Ana 4 s ago``."""
    ago = f"{text.describe_duration(max(1.0, round(now - present.at)))} ago" if present.at else ""
    if not present.by.id:
        of_itself = {
            Action.WAKE: "Its snooze ended",
            Action.LAPSE: "Its acknowledgement expired",
            Action.RELAPSE: "It failed again",
        }
        sentence = (
            STATE_STYLES[present.state].word
            if present.state in STATE_STYLES
            else of_itself.get(present.did or Action.UNDO, "It is open")
        )
        return f"{sentence} {ago}".strip()
    did = LAST_ACTION_WORDS[present.did or Action.UNDO].capitalize()
    to = f" to {person_name(present.owner.name)}" if present.did is Action.ASSIGN else ""
    return f"{did}{to} by {person_name(present.by.name)} {ago}"
