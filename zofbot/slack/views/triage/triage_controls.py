"""Triage controls on a failure's card: its state, buttons and menu, and parsing of clicks."""

from __future__ import annotations

from typing import NamedTuple

from zofbot.domain.model import is_valid_id
from zofbot.slack.views.blocks import Block, build_button, plain_text
from zofbot.slack.views.triage.pressed_button import FORM_FIELDS, FailureRef
from zofbot.triage import Action, ActionRequest, TriageRecord, TriageState
from zofbot.triage.state_machine import TRANSITIONS

MENU_ACTION_ID = "zof_triage_more"

ACTION_LABELS = {
    Action.ACKNOWLEDGE: "Acknowledge",
    Action.UNACKNOWLEDGE: "Unacknowledge",
    Action.CONFIRM: "Still on it",
    Action.ASSIGN: "Assign…",
    Action.SNOOZE: "Snooze…",
    Action.WAKE: "Unsnooze",
    Action.ESCALATE: "Escalate now",
    Action.RESOLVE: "Resolve…",
    Action.REOPEN: "Reopen",
    Action.UNDO: "Undo",
}
"""Button labels of actions; an ellipsis means that it opens a form."""

_BUTTON_ACTIONS = {
    TriageState.OPEN: (Action.ACKNOWLEDGE, Action.ASSIGN, Action.SNOOZE),
    TriageState.ACKNOWLEDGED: (Action.RESOLVE, Action.ASSIGN, Action.SNOOZE),
    TriageState.SNOOZED: (Action.WAKE, Action.ACKNOWLEDGE, Action.ASSIGN),
    TriageState.RESOLVED: (Action.REOPEN,),
    TriageState.RECOVERED: (Action.REOPEN,),
}
"""Actions shown as buttons, by state; the menu has others that the state machine allows."""

_MENU_ACTIONS = (Action.RESOLVE, Action.ESCALATE, Action.UNACKNOWLEDGE)
"""Actions that the menu may contain; reopening and resolving a recovered failure are typed in the thread."""


class CardOptions(NamedTuple):
    """Options of a card besides the triage actions."""

    escalate: bool = False
    """Whether the failure has an escalation policy."""
    rerun: bool = False
    link: str = ""
    """The failure's page in Zof."""
    run_id: str = ""


def control_blocks(about: FailureRef, present: TriageRecord, offers: CardOptions) -> list[Block]:
    """Return up to three buttons and a menu with the rest; empty if the ``block_id`` exceeds Slack's limit."""
    if len(about.block_id) > 255:
        return []
    shown = [_control_button(act, about, primary=act is Action.ACKNOWLEDGE and not present.state.is_closed)
             for act in _BUTTON_ACTIONS[present.state]]  # fmt: skip
    elements = [*shown, *_overflow_menu(present, offers)]
    return [{"type": "actions", "block_id": about.block_id, "elements": elements}]


def action_button(act: Action, about: FailureRef) -> Block | None:
    """Return an action's button for a reply; it carries the failure's reference itself."""
    return build_button(ACTION_LABELS[act], f"zof_do_{act}", {"key": about.key, "version": about.version})


def repeat_button(request: ActionRequest, about: FailureRef) -> Block | None:
    """Return a button that repeats the action on the version in ``about``, with the form input if it fits."""
    action = f"zof_do_{request.act}"
    value = {"key": about.key, "version": about.version, "again": True}
    full = build_button(
        "Do it anyway", action, value | {"filled": request.model_dump(include=FORM_FIELDS, exclude_unset=True)}
    )
    return full or build_button("Do it anyway", action, value)


def _control_button(act: Action, about: FailureRef, *, primary: bool) -> Block:
    button: Block = {
        "type": "button",
        "action_id": f"zof_triage_{act}",
        "text": plain_text(ACTION_LABELS[act]),
        "value": act.value,
    }
    return button | {"style": "primary"} if primary else button


def _overflow_menu(present: TriageRecord, offers: CardOptions) -> list[Block]:
    allowed = [
        act for act in _MENU_ACTIONS if act in TRANSITIONS[present.state] and act not in _BUTTON_ACTIONS[present.state]
    ]
    acts = [act for act in allowed if act is not Action.ESCALATE or offers.escalate]
    options = [_build_option(ACTION_LABELS[act], act.value) for act in acts if not present.state.is_closed]
    if offers.rerun and present.state is not TriageState.RECOVERED:
        options.append(_build_option("Re-run failed cases", "rerun"))
    options.append(_build_option("Why was this posted?", "why"))
    if 0 < len(offers.link) <= 3000:
        options.append(_build_option("Open in Zof", "open") | {"url": offers.link})
    if len(options) < 5 and is_valid_id(offers.run_id):
        options.append(_build_option("View run", "run"))
    return [{"type": "overflow", "action_id": MENU_ACTION_ID, "options": options[:5]}] if len(options) > 1 else []


def _build_option(label: str, value: str) -> Block:
    return {"text": plain_text(label), "value": value}
