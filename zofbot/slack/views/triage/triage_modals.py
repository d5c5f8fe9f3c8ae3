"""Triage forms: assign to a person, snooze until a time, resolve with a reason, choose an action."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from zofbot.domain.json_encoding import encode_json
from zofbot.notifications import text
from zofbot.slack.views.blocks import Block, context_block, plain_text, section_block
from zofbot.slack.views.forms import field_value, with_blocks
from zofbot.slack.views.triage.triage_controls import ACTION_LABELS
from zofbot.slack.views.triage.triage_status import RESOLUTION_REASONS
from zofbot.triage import Action
from zofbot.triage.wake_times import SnoozeChoice

FORM_CALLBACK_PREFIX = "zof_act"
"""Prefix of these forms' ``callback_id``; the action follows."""

CHOOSER_CALLBACK_ID = "zof_choose"
"""``callback_id`` of the form to choose an action."""

WAKE_ACTION_ID = "zof_wakes"
"""``action_id`` of the fields whose changes update the preview."""

SNOOZE_FAILURE_COUNT = 5
"""Further failures that end a snooze by count."""

RECOVERS_CHOICE, FAILS_MORE_CHOICE = "recovers", f"more:{SNOOZE_FAILURE_COUNT}"


@dataclass(frozen=True)
class TriageFormState:
    """A form's hidden state: the failure, the version of the clicked card, and where to reply."""

    key: str
    version: str
    channel: str
    url: str = ""
    thread: str = ""

    def dump_metadata(self) -> str:
        """Return the state as ``private_metadata``; Slack allows 3,000 characters."""
        return encode_json(asdict(self))


def assign_modal(form_state: TriageFormState, title: str, user: str) -> Block:
    """Build the form to assign a failure; ``user`` is preselected."""
    owner = {"type": "users_select", "action_id": "owner", "initial_user": user}
    return _build_modal(
        Action.ASSIGN, form_state, "Assign", [_failure_title(title), _input_block("owner", "To", owner)]
    )


def snooze_modal(  # noqa: PLR0913  (the last two are what the failure is)
    form_state: TriageFormState,
    title: str,
    choices: Sequence[SnoozeChoice],
    preview: str,
    *,
    counts: bool,
    by_cause: bool = False,
) -> Block:
    """Build the form to snooze a failure; ``counts`` offers an end by failure count, ``preview`` is the preview.

    ``by_cause``: it is a cause, over many cases.
    """
    conditions = [SnoozeChoice("until this cause stops" if by_cause else "until it passes", RECOVERS_CHOICE)]
    if counts:
        conditions.append(SnoozeChoice(f"until it fails {SNOOZE_FAILURE_COUNT} more times", FAILS_MORE_CHOICE))
    options = [_build_option(choice.label, choice.value) for choice in [*choices, *conditions]]
    chosen = {"type": "static_select", "action_id": WAKE_ACTION_ID, "options": options, "initial_option": options[1]}
    words = {
        "type": "plain_text_input", "action_id": WAKE_ACTION_ID, "max_length": 60,
        "placeholder": plain_text("90m, fri 14:00, tomorrow"),
        "dispatch_action_config": {"trigger_actions_on": ["on_character_entered"]},
    }  # fmt: skip
    blocks = [
        _failure_title(title),
        _input_block("choice", "Snooze for", chosen) | {"dispatch_action": True},
        _input_block("words", "Or type a time", words, optional=True) | {"dispatch_action": True},
        preview_block(preview),
    ]
    return _build_modal(Action.SNOOZE, form_state, "Snooze", blocks)


def snooze_input(view: Mapping[str, Any]) -> str:
    """Return the snooze form's input: the typed text, else the selected option."""
    return field_value(view, "words", WAKE_ACTION_ID) or field_value(view, "choice", WAKE_ACTION_ID)


def preview_block(sentence: str) -> Block:
    """Return the preview of the snooze's end (mrkdwn)."""
    return context_block(sentence) | {"block_id": "foreseen"}


def with_preview(view: Mapping[str, Any], sentence: str) -> Block:
    """Return the form with another preview (mrkdwn)."""
    blocks = [
        preview_block(sentence) if block.get("block_id") == "foreseen" else block for block in view.get("blocks") or ()
    ]
    return with_blocks(view, blocks)


def resolve_modal(form_state: TriageFormState, title: str, *, note: bool) -> Block:
    """Build the form to resolve a failure; ``note``: whether a note is required."""
    options = [_build_option(label, word) for word, label in RESOLUTION_REASONS.items()]
    blocks = [
        _failure_title(title),
        _input_block("reason", "Why", {"type": "static_select", "action_id": "reason", "options": options}),
        _input_block(
            "note", "Note", {"type": "plain_text_input", "action_id": "note", "multiline": True, "max_length": 1000},
            optional=not note,
        ),
    ]  # fmt: skip
    return _build_modal(Action.RESOLVE, form_state, "Resolve", blocks)


def action_chooser_modal(form_state: TriageFormState, title: str, last_action: str, acts: Sequence[Action]) -> Block:
    """Build the form to choose an action; some actions then open their own form."""
    options = [_build_option(ACTION_LABELS[act], act.value) for act in acts]
    radio = {"type": "radio_buttons", "action_id": "act", "options": options, "initial_option": options[0]}
    view = _build_modal(
        Action.UNDO,
        form_state,
        "Continue",
        [_failure_title(title), context_block(last_action), _input_block("act", "Action", radio)],
    )
    return view | {"callback_id": CHOOSER_CALLBACK_ID, "title": plain_text("Triage")}


def _build_modal(act: Action, form_state: TriageFormState, submit: str, blocks: list[Block]) -> Block:
    return {
        "type": "modal",
        "callback_id": f"{FORM_CALLBACK_PREFIX}_{act}",
        "title": plain_text(ACTION_LABELS[act].rstrip("…")),
        "submit": plain_text(submit),
        "close": plain_text("Cancel"),
        "private_metadata": form_state.dump_metadata(),
        "blocks": blocks,
    }


def _failure_title(title: str) -> Block:
    return section_block(f"*{text.escape_line(title, 150) or 'This failure'}*")


def _input_block(block: str, label: str, element: Block, *, optional: bool = False) -> Block:
    return {"type": "input", "block_id": block, "label": plain_text(label), "element": element, "optional": optional}


def _build_option(label: str, value: str) -> Block:
    return {"text": plain_text(label), "value": value}
