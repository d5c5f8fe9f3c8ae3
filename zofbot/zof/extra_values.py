"""Read extra fields from Zof's objects."""

from __future__ import annotations

from zofbot.domain.extra_fields import ExtraFields, ExtraValue, FieldType
from zofbot.zof.coerce import as_number, as_text, value_at

MAX_VALUES = 10
MAX_VALUE_CHARACTERS = 2000
"""Characters of one value; a longer link or address counts as missing."""


def read_extra_values(data: dict[str, object], extra_fields: ExtraFields) -> tuple[ExtraValue, ...]:
    """Return the values that an object has, in the order of the fields; most objects have none."""
    if extra_fields.roots.isdisjoint(data):
        return ()
    found = []
    for field in extra_fields.fields:
        lists = (_read_values(value_at(data, path), field.type) for path in field.paths)
        if values := next(filter(None, lists), ()):
            found.append(ExtraValue(field.label, field.type, values))
    return tuple(found)


def _read_values(value: object, kind: FieldType) -> tuple[str, ...]:
    """Return a value, or those of a list, as text; empty if they are of another kind than the field's."""
    several = value if isinstance(value, list) else [value]
    texts = (_read_text(each) for each in several[: 2 * MAX_VALUES])
    return tuple(dict.fromkeys(text for text in texts if text and _fits_type(text, kind)))[:MAX_VALUES]


def _read_text(value: object) -> str | None:
    if isinstance(value, dict):  # such as {"name": "smoke"} or {"url": "https://…"}
        value = next((value[name] for name in ("url", "name") if isinstance(value.get(name), str)), None)
    if isinstance(value, bool):
        return str(value).lower()
    return as_text(value) or (str(value) if as_number(value) is not None else None)


def _fits_type(text: str, kind: FieldType) -> bool:
    match kind:
        case FieldType.LINK | FieldType.IMAGE:
            return text.startswith("https://") and len(text) <= MAX_VALUE_CHARACTERS
        case FieldType.PERSON:
            return "@" in text and not any(map(str.isspace, text)) and len(text) <= 254
        case _:
            return True
