"""How a failure stands with the people who work on it, and what they can press about it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from zofbot.model import is_id
from zofbot.slack import text
from zofbot.slack.message import Block, button, plain_text, section
from zofbot.slack.pieces import count, moment, planned
from zofbot.triage import Act, State, Triage, Wish
from zofbot.triage.life import TABLE

BLOCK = "zof_triage"
"""Begins the ``block_id`` of the row of controls; version and key of the failure follow."""

MORE = "zof_triage_more"


class Look(NamedTuple):
    """How a state looks: never colour alone, always the word too."""

    word: str
    emoji: str
    colour: str


LOOKS = {
    State.ACKNOWLEDGED: Look("Acknowledged", "👀", "#2a6fdb"),
    State.SNOOZED: Look("Snoozed", "💤", "#8b93a1"),
    State.RESOLVED: Look("Resolved", "☑️", "#1a8f5c"),
    State.RECOVERED: Look("Recovered", "✅", "#1a8f5c"),
}
"""An open failure looks as its outcome does."""

REASONS = {
    "product": "Product bug",
    "test": "Test bug",
    "flaky": "Flaky",
    "environment": "Environment",
    "platform": "Zof or infrastructure",
    "other": "Other",
}
"""Why a failure was resolved: the word that is typed and stored, and how it reads."""

LABELS = {
    Act.ACKNOWLEDGE: "Acknowledge",
    Act.UNACKNOWLEDGE: "Release",
    Act.CONFIRM: "Still on it",
    Act.ASSIGN: "Assign…",
    Act.SNOOZE: "Snooze…",
    Act.WAKE: "Wake",
    Act.ESCALATE: "Escalate now",
    Act.RESOLVE: "Resolve…",
    Act.REOPEN: "Reopen",
    Act.UNDO: "Undo",
}
"""What the button for an act says; three dots where it asks something first."""

_SHOWN = {
    State.OPEN: (Act.ACKNOWLEDGE, Act.ASSIGN, Act.SNOOZE),
    State.ACKNOWLEDGED: (Act.RESOLVE, Act.ASSIGN, Act.SNOOZE),
    State.SNOOZED: (Act.WAKE, Act.ACKNOWLEDGE, Act.ASSIGN),
    State.RESOLVED: (Act.REOPEN,),
    State.RECOVERED: (Act.REOPEN,),
}
"""The buttons; every other act that the table allows is in the menu beside them."""

_BY_MENU = (Act.RESOLVE, Act.ESCALATE, Act.UNACKNOWLEDGE)
"""Acts that the menu may hold; to reopen and to resolve what has recovered is typed in the thread."""


class About(NamedTuple):
    """Which failure, as a button carries it: its root's key and the version that the card shows."""

    key: str
    version: str

    @property
    def block_id(self) -> str:
        return f"{BLOCK}:{self.version}:{self.key}"

    @classmethod
    def read(cls, block_id: str) -> About | None:
        """Read a ``block_id`` back; None for one that is not of these."""
        name, _, rest = block_id.partition(":")
        version, _, key = rest.partition(":")
        return cls(key, version) if name == BLOCK and version and key else None


FILLED = {"owner", "until", "more", "reason", "note"}
"""What of a wish a form asks for."""


class Offers(NamedTuple):
    """What a card offers besides the acts."""

    escalate: bool = False
    """Whether there is anybody to escalate to."""
    rerun: bool = False
    link: str = ""
    """The failure's page in Zof."""
    run_id: str = ""


def controls(about: About, present: Triage, offers: Offers) -> list[Block]:
    """Up to three buttons and a menu with the rest; nothing where Slack could not carry what they are about."""
    if len(about.block_id) > 255:
        return []
    shown = [_button(act, about, primary=act is Act.ACKNOWLEDGE and not present.state.closed)
             for act in _SHOWN[present.state]]  # fmt: skip
    elements = [*shown, *_menu(present, offers)]
    return [{"type": "actions", "block_id": about.block_id, "elements": elements}]


def act_button(act: Act, about: About) -> Block | None:
    """One act as a button that says itself what it is about, for answers."""
    return button(LABELS[act], f"zof_do_{act}", {"key": about.key, "version": about.version})


def insisting(wish: Wish, about: About) -> Block | None:
    """The same act once more, on the version that ``about`` names; with what was filled in, as far as it fits."""
    action = f"zof_do_{wish.act}"
    value = {"key": about.key, "version": about.version, "again": True}
    full = button("Do it anyway", action, value | {"filled": wish.model_dump(include=FILLED, exclude_defaults=True)})
    return full or button("Do it anyway", action, value)


def _button(act: Act, about: About, *, primary: bool) -> Block:
    made: Block = {
        "type": "button",
        "action_id": f"zof_triage_{act}",
        "text": plain_text(LABELS[act]),
        "value": act.value,
    }
    return made | {"style": "primary"} if primary else made


def _menu(present: Triage, offers: Offers) -> list[Block]:
    allowed = [act for act in _BY_MENU if act in TABLE[present.state] and act not in _SHOWN[present.state]]
    acts = [act for act in allowed if act is not Act.ESCALATE or offers.escalate]
    options = [_option(LABELS[act], act.value) for act in acts if not present.state.closed]
    if offers.rerun and present.state is not State.RECOVERED:
        options.append(_option("Re-run failed cases", "rerun"))
    options.append(_option("Why am I seeing this?", "why"))
    if 0 < len(offers.link) <= 3000:
        options.append(_option("Open in Zof", "open") | {"url": offers.link})
    if len(options) < 5 and is_id(offers.run_id):
        options.append(_option("Show run", "run"))
    return [{"type": "overflow", "action_id": MORE, "options": options[:5]}] if len(options) > 1 else []


def _option(label: str, value: str) -> Block:
    return {"text": plain_text(label), "value": value}


def standing(present: Triage) -> list[Block]:
    """Who has it and since when, in a line; nothing for what nobody has touched."""
    told = _told(present)
    own = present.state is State.ACKNOWLEDGED and present.owner.id == present.put.id
    has = bool(present.owner.id) and not present.state.closed and not own
    parts = [part for part in (told, f"assigned to {name(present.owner.name)}" if has else "") if part]
    return [section(" · ".join(parts))] if parts else []


def _told(present: Triage) -> str:
    match present.state:
        case State.OPEN:
            return _opened(present)
        case State.ACKNOWLEDGED:
            return f"👀 *Acknowledged* by {name(present.put.name)} {moment(present.since)}"
        case State.SNOOZED:
            return f"💤 *Snoozed* by {name(present.put.name)} {until(present.until, present.more)}"
        case State.RESOLVED:
            return _resolved(present)
        case _:
            return f"💤 {hidden(present.hid)}" if present.hid else ""


def _opened(present: Triage) -> str:
    if present.did is Act.REOPEN:
        return f"↩️ *Reopened* by {name(present.by.name)} {moment(present.since)}"
    if present.did is Act.LAPSE:
        return f"⏰ *Open again* {moment(present.since)}: nobody said that they are still on it"
    if present.did is Act.WAKE:
        return " · ".join(filter(None, (f"⏰ *Awake again* {moment(present.since)}", hidden(present.hid))))
    if present.did is Act.UNACKNOWLEDGE:
        return f"✋ *Released* by {name(present.by.name)} {moment(present.since)}"
    return ""


def _resolved(present: Triage) -> str:
    reason = REASONS.get(present.reason, "")
    told = f"☑️ *Resolved* by {name(present.put.name)} {moment(present.since)}" + (f": {reason}" if reason else "")
    return told + (f"\n> {text.line(present.note, 500)}" if present.note else "")


def until(at: float | None, more: int) -> str:
    """When a snooze ends: at a time in Unix seconds, after so many more failures, or when it passes."""
    if at is not None:
        return f"until {planned(at)}"
    again = "once more" if more == 1 else f"{more} more times"
    return f"until it fails {again}" if more else "until it passes"


def hidden(failures: int) -> str:
    """How much a snooze that has ended kept from people; nothing where it was nothing."""
    return f"{count(failures, 'failure')} since it was snoozed" if failures else ""


def name(person: str) -> str:
    """What somebody is called, without mentioning them."""
    return text.line(person, 80) or "somebody"


def pressed(action: dict[str, Any]) -> tuple[str, About | None]:
    """What was pressed, and about which failure: an act's word, or one of ``rerun``, ``why``, ``open``, ``run``."""
    word = str((action.get("selected_option") or {}).get("value") or action.get("value") or "")
    return word, About.read(str(action.get("block_id") or ""))


class Insisted(NamedTuple):
    """A button of an answer: what it is about, whether it insists, and what had been filled in."""

    about: About | None = None
    again: bool = False
    filled: Mapping[str, Any] = {}


def insisted(action: dict[str, Any]) -> Insisted:
    """Read such a button back; one that cannot be read is about nothing."""
    try:
        value = json.loads(action.get("value") or "{}")
    except ValueError:
        return Insisted()
    if not (isinstance(value, dict) and isinstance(value.get("key"), str) and isinstance(value.get("version"), str)):
        return Insisted()
    filled = value.get("filled")
    kept = {name: filled[name] for name in FILLED if name in filled} if isinstance(filled, dict) else {}
    return Insisted(About(value["key"], value["version"]), bool(value.get("again")), kept)
