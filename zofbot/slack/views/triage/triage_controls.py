"""Triage controls on a failure's card: its state, buttons and menu, and parsing of clicks."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from zofbot.domain.model import is_valid_id
from zofbot.notifications import text
from zofbot.slack.views.blocks import Block, build_button, plain_text, section_block
from zofbot.slack.views.components import count_noun, format_moment, format_planned_time
from zofbot.triage import Action, ActionRequest, TriageRecord, TriageState
from zofbot.triage.state_machine import TRANSITIONS

CONTROLS_BLOCK_PREFIX = "zof_triage"
"""Prefix of the control row's ``block_id``; the failure's version and key follow."""

MENU_ACTION_ID = "zof_triage_more"


class StateStyle(NamedTuple):
    """Appearance of a state: the color always comes with a word."""

    word: str
    emoji: str
    colour: str


STATE_STYLES = {
    TriageState.ACKNOWLEDGED: StateStyle("Acknowledged", "👀", "#2a6fdb"),
    TriageState.SNOOZED: StateStyle("Snoozed", "💤", "#8b93a1"),
    TriageState.RESOLVED: StateStyle("Resolved", "☑️", "#1a8f5c"),
    TriageState.RECOVERED: StateStyle("Recovered", "✅", "#1a8f5c"),
}
"""Styles by state; an open failure has the style of its outcome."""

RESOLUTION_REASONS = {
    "product": "Product bug",
    "test": "Test bug",
    "flaky": "Flaky",
    "environment": "Environment",
    "platform": "Zof or infrastructure",
    "other": "Other",
}
"""Reasons for resolving a failure: typed and stored word -> label."""

ACTION_LABELS = {
    Action.ACKNOWLEDGE: "Acknowledge",
    Action.UNACKNOWLEDGE: "Release",
    Action.CONFIRM: "Still on it",
    Action.ASSIGN: "Assign…",
    Action.SNOOZE: "Snooze…",
    Action.WAKE: "Wake",
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


class FailureRef(NamedTuple):
    """Reference to a failure in a button: its alert's key and the version that the card shows."""

    key: str
    version: str

    @property
    def block_id(self) -> str:
        return f"{CONTROLS_BLOCK_PREFIX}:{self.version}:{self.key}"

    @classmethod
    def parse_block_id(cls, block_id: str) -> FailureRef | None:
        """Parse a ``block_id``; None if it is not of a control row."""
        name, _, rest = block_id.partition(":")
        version, _, key = rest.partition(":")
        return cls(key, version) if name == CONTROLS_BLOCK_PREFIX and version and key else None


FORM_FIELDS = {"owner", "until", "more", "reason", "note"}
"""Fields of an ActionRequest that a form asks for."""


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
        "Do it anyway", action, value | {"filled": request.model_dump(include=FORM_FIELDS, exclude_defaults=True)}
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
    options.append(_build_option("Why am I seeing this?", "why"))
    if 0 < len(offers.link) <= 3000:
        options.append(_build_option("Open in Zof", "open") | {"url": offers.link})
    if len(options) < 5 and is_valid_id(offers.run_id):
        options.append(_build_option("Show run", "run"))
    return [{"type": "overflow", "action_id": MENU_ACTION_ID, "options": options[:5]}] if len(options) > 1 else []


def _build_option(label: str, value: str) -> Block:
    return {"text": plain_text(label), "value": value}


def status_blocks(present: TriageRecord) -> list[Block]:
    """Return a line with the state, person and time; empty if nobody has acted on it."""
    status = _status_text(present)
    own = present.state is TriageState.ACKNOWLEDGED and present.owner.id == present.moved_by.id
    has = bool(present.owner.id) and not present.state.is_closed and not own
    parts = [part for part in (status, f"assigned to {person_name(present.owner.name)}" if has else "") if part]
    return [section_block(" · ".join(parts))] if parts else []


def _status_text(present: TriageRecord) -> str:
    match present.state:
        case TriageState.OPEN:
            return _open_status(present)
        case TriageState.ACKNOWLEDGED:
            return f"👀 *Acknowledged* by {person_name(present.moved_by.name)} {format_moment(present.since)}"
        case TriageState.SNOOZED:
            return (
                f"💤 *Snoozed* by {person_name(present.moved_by.name)} {snooze_end_text(present.until, present.more)}"
            )
        case TriageState.RESOLVED:
            return _resolved_status(present)
        case _:
            return f"💤 {hidden_failures_text(present.hid)}" if present.hid else ""


def _open_status(present: TriageRecord) -> str:
    if present.did is Action.REOPEN:
        return f"↩️ *Reopened* by {person_name(present.by.name)} {format_moment(present.since)}"
    if present.did is Action.LAPSE:
        return f"⏰ *Open again* {format_moment(present.since)}: nobody said that they are still on it"
    if present.did is Action.WAKE:
        return " · ".join(
            filter(None, (f"⏰ *Awake again* {format_moment(present.since)}", hidden_failures_text(present.hid)))
        )
    if present.did is Action.UNACKNOWLEDGE:
        return f"✋ *Released* by {person_name(present.by.name)} {format_moment(present.since)}"
    return ""


def _resolved_status(present: TriageRecord) -> str:
    reason = RESOLUTION_REASONS.get(present.reason, "")
    status = f"☑️ *Resolved* by {person_name(present.moved_by.name)} {format_moment(present.since)}" + (
        f": {reason}" if reason else ""
    )
    return status + (f"\n> {text.escape_line(present.note, 500)}" if present.note else "")


def snooze_end_text(at: float | None, more: int) -> str:
    """Describe the end of a snooze: a time (Unix seconds), after ``more`` failures, or on recovery."""
    if at is not None:
        return f"until {format_planned_time(at)}"
    again = "once more" if more == 1 else f"{more} more times"
    return f"until it fails {again}" if more else "until it passes"


def hidden_failures_text(failures: int) -> str:
    """Describe the failures hidden by a snooze; empty if there were none."""
    return f"{count_noun(failures, 'failure')} since it was snoozed" if failures else ""


def person_name(person: str) -> str:
    """Return a person's name, escaped, without mentioning them."""
    return text.escape_line(person, 80) or "somebody"


def parse_press(action: dict[str, Any]) -> tuple[str, FailureRef | None]:
    """Parse a click on a card: an action or one of ``rerun``, ``why``, ``open``, ``run``, and the failure."""
    word = str((action.get("selected_option") or {}).get("value") or action.get("value") or "")
    return word, FailureRef.parse_block_id(str(action.get("block_id") or ""))


class RepeatedAction(NamedTuple):
    """A click in a reply: the failure, whether it repeats an action (``again``), and the form input (``filled``)."""

    about: FailureRef | None = None
    again: bool = False
    filled: Mapping[str, Any] = {}


def parse_repeated_action(action: dict[str, Any]) -> RepeatedAction:
    """Parse a click in a reply; without a failure reference if it is malformed."""
    try:
        value = json.loads(action.get("value") or "{}")
    except ValueError:
        return RepeatedAction()
    if not (isinstance(value, dict) and isinstance(value.get("key"), str) and isinstance(value.get("version"), str)):
        return RepeatedAction()
    filled = value.get("filled")
    kept = {name: filled[name] for name in FORM_FIELDS if name in filled} if isinstance(filled, dict) else {}
    return RepeatedAction(FailureRef(value["key"], value["version"]), bool(value.get("again")), kept)
