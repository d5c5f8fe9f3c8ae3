"""What forms have in common: the values of their fields, their blocks, and the data that they carry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from zofbot.domain.errors import BadInput
from zofbot.domain.text import read_input

T = TypeVar("T")


def form_values(view: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
    """Return the values of a form's fields, by block id and action id."""
    values: Mapping[str, Mapping[str, Any]] = (view.get("state") or {}).get("values") or {}
    return values


def field_value(view: Mapping[str, Any], block: str, action: str) -> str:
    """Return a field's typed or selected value; empty if there is none."""
    value = (form_values(view).get(block) or {}).get(action) or {}
    chosen = value.get("selected_option") or {}
    typed = read_input(str(value.get("value") or ""), markup=False)
    return typed or str(value.get("selected_user") or chosen.get("value") or "")


def with_blocks(view: Mapping[str, Any], blocks: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the form with other blocks; Slack keeps the input of fields that remain."""
    kept = ("type", "callback_id", "title", "submit", "close", "private_metadata")
    return {**{name: view[name] for name in kept if view.get(name)}, "blocks": list(blocks)}


def parse_private_metadata(kind: type[T], view: Mapping[str, Any]) -> T:
    """Parse a form's ``private_metadata`` (JSON) as ``kind``. Raises BadInput if it does not match."""
    try:
        return TypeAdapter(kind).validate_json(str(view.get("private_metadata") or ""))
    except ValidationError:
        raise BadInput("This form is from another version of zofbot.", "Close it, and open it again.") from None
