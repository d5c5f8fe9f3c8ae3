"""What a pressed button of an alert carries: the failure, and the action to repeat."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

CONTROLS_BLOCK_PREFIX = "zof_triage"
"""Prefix of the control row's ``block_id``; the failure's version and key follow."""


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
