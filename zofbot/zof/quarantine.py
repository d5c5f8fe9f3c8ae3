"""Whether Zof marks a case as quarantined: its failures are known, and not to be worked on now.

Zof's documentation names quarantine (https://zof.ai/docs/test-health), but no field for it, so several are accepted.
"""

from __future__ import annotations

import re

from zofbot.zof.coerce import as_text, value_at
from zofbot.zof.field_names import FIELD_PATHS, JsonObject, first_value

_IN_FORCE = ("quarantined", "quarantine", "in_quarantine", "active", "in_force", "true", "yes", "on")
_OVER = ("false", "no", "off", "none", "inactive", "released", "ended", "expired", "not_quarantined")
_STATES = dict.fromkeys(_IN_FORCE, True) | dict.fromkeys(_OVER, False)

_STATE_NAMES = ("quarantined", "active", "enabled", "status", "state")

_TAGS = ("quarantine", "quarantined")


def is_quarantined(data: JsonObject) -> bool:
    """Whether a result or its case is marked: by a flag, a state, an object in force, or a tag."""
    marked = first_value(data, "quarantined", _as_quarantine)
    if marked is not None:
        return marked
    listed = (value_at(data, path) for path in FIELD_PATHS["tags"])
    tags = (tag for tags in listed if isinstance(tags, list) for tag in tags)
    names = (as_text(tag.get("name") if isinstance(tag, dict) else tag) for tag in tags)
    return any(name.casefold() in _TAGS for name in names if name)


def _as_quarantine(value: object) -> bool | None:
    """Convert a flag, a word, or an object; one without a state is believed to be in force until it was released."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _STATES.get(re.sub(r"[\s_-]+", "_", value.strip().casefold()))
    if not isinstance(value, dict) or not value:
        return None
    states = (_as_quarantine(value[name]) for name in _STATE_NAMES if name in value)
    return next((state for state in states if state is not None), value.get("released_at") is None)
