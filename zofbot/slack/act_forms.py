"""The forms that ask something before an act: whom to assign, until when to snooze, why it is resolved."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from zofbot.domain.text import read_input
from zofbot.slack import text
from zofbot.slack.controls import LABELS, REASONS
from zofbot.slack.message import Block, context, plain_text, section
from zofbot.slack.payload import filled_in, redrawn
from zofbot.triage import Act
from zofbot.triage.times import Choice

FORM = "zof_act"
"""Begins the ``callback_id`` of these forms; the act follows."""

CHOOSE = "zof_choose"
"""``callback_id`` of the form that asks which act."""

WAKES = "zof_wakes"
"""``action_id`` of the fields whose preview is drawn anew when they change."""

MORE = 5
"""Further failures after which a snooze by condition ends."""

RECOVERS, FAILS_MORE = "recovers", f"more:{MORE}"


@dataclass(frozen=True)
class Meant:
    """What a form carries along unseen: the failure, the version that was pressed, and where to answer."""

    key: str
    version: str
    channel: str
    url: str = ""
    thread: str = ""

    def dump(self) -> str:
        """As ``private_metadata``; Slack takes 3,000 characters."""
        return json.dumps(asdict(self), separators=(",", ":"))


def assign(meant: Meant, title: str, user: str) -> Block:
    """Whom to assign it to, whoever asks first."""
    owner = {"type": "users_select", "action_id": "owner", "initial_user": user}
    return _form(Act.ASSIGN, meant, "Assign", [_about(title), _input("owner", "To", owner)])


def snooze(meant: Meant, title: str, choices: Sequence[Choice], foreseen: str, *, counts: bool) -> Block:
    """Until when; ``counts``: it may also be until it fails so many more times. ``foreseen`` is the preview."""
    conditions = [Choice("until it passes", RECOVERS)]
    if counts:
        conditions.append(Choice(f"until it fails {MORE} more times", FAILS_MORE))
    options = [_option(one.label, one.value) for one in [*choices, *conditions]]
    chosen = {"type": "static_select", "action_id": WAKES, "options": options, "initial_option": options[1]}
    words = {
        "type": "plain_text_input", "action_id": WAKES, "max_length": 60,
        "placeholder": plain_text("90m, fri 14:00, tomorrow"),
        "dispatch_action_config": {"trigger_actions_on": ["on_character_entered"]},
    }  # fmt: skip
    blocks = [
        _about(title),
        _input("choice", "For how long", chosen) | {"dispatch_action": True},
        _input("words", "Or in your own words", words, optional=True) | {"dispatch_action": True},
        foresight(foreseen),
    ]
    return _form(Act.SNOOZE, meant, "Snooze", blocks)


def snooze_words(view: Mapping[str, Any]) -> str:
    """What stands in the form of a snooze: the person's own words, else what is chosen."""
    return filled(view, "words", WAKES) or filled(view, "choice", WAKES)


def foresight(said: str) -> Block:
    """When it would wake (mrkdwn)."""
    return context(said) | {"block_id": "foreseen"}


def foretold(view: Mapping[str, Any], said: str) -> Block:
    """The same form with another preview."""
    blocks = [foresight(said) if block.get("block_id") == "foreseen" else block for block in view.get("blocks") or ()]
    return redrawn(view, blocks)


def resolve(meant: Meant, title: str, *, note: bool) -> Block:
    """Why it is resolved; ``note`` says whether a note is compulsory."""
    options = [_option(label, word) for word, label in REASONS.items()]
    blocks = [
        _about(title),
        _input("reason", "Why", {"type": "static_select", "action_id": "reason", "options": options}),
        _input(
            "note", "Note", {"type": "plain_text_input", "action_id": "note", "multiline": True, "max_length": 1000},
            optional=not note,
        ),
    ]  # fmt: skip
    return _form(Act.RESOLVE, meant, "Resolve", blocks)


def choose(meant: Meant, title: str, stands: str, acts: Sequence[Act]) -> Block:
    """Which act; the ones that ask something lead to their own form."""
    options = [_option(LABELS[act], act.value) for act in acts]
    radio = {"type": "radio_buttons", "action_id": "act", "options": options, "initial_option": options[0]}
    view = _form(Act.UNDO, meant, "Go on", [_about(title), context(stands), _input("act", "What to do", radio)])
    return view | {"callback_id": CHOOSE, "title": plain_text("Triage")}


def filled(view: Mapping[str, Any], block: str, action: str) -> str:
    """What was filled in or chosen; empty where nothing was."""
    value = (filled_in(view).get(block) or {}).get(action) or {}
    chosen = value.get("selected_option") or {}
    typed = read_input(str(value.get("value") or ""), markup=False)
    return typed or str(value.get("selected_user") or chosen.get("value") or "")


def _form(act: Act, meant: Meant, submit: str, blocks: list[Block]) -> Block:
    return {
        "type": "modal",
        "callback_id": f"{FORM}_{act}",
        "title": plain_text(LABELS[act].rstrip("…")),
        "submit": plain_text(submit),
        "close": plain_text("Cancel"),
        "private_metadata": meant.dump(),
        "blocks": blocks,
    }


def _about(title: str) -> Block:
    return section(f"*{text.line(title, 150) or 'This failure'}*")


def _input(block: str, label: str, element: Block, *, optional: bool = False) -> Block:
    return {"type": "input", "block_id": block, "label": plain_text(label), "element": element, "optional": optional}


def _option(label: str, value: str) -> Block:
    return {"text": plain_text(label), "value": value}
