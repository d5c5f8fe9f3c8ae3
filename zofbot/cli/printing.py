"""JSON on the terminal: redacted and cleaned like everything that people see."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any


def print_json(known: object, *, indent: int | None = 2) -> None:
    """Print ``known`` as JSON; without ``indent`` in one line."""
    sys.stdout.write(json.dumps(clean_data(known), indent=indent, ensure_ascii=False, default=str) + "\n")


def clean_data(known: Any) -> Any:
    """The same data without secrets, control characters and what reorders or hides text; names of fields as well."""
    from zofbot.domain.redaction import MASK, is_secret_name  # noqa: PLC0415  (--help must not wait for these)
    from zofbot.notifications.text import sanitize_text  # noqa: PLC0415

    if isinstance(known, str):
        return sanitize_text(known)
    if isinstance(known, Mapping):
        return {
            sanitize_text(str(name)): MASK
            if isinstance(value, str) and value and is_secret_name(str(name))
            else clean_data(value)
            for name, value in known.items()
        }
    if isinstance(known, list | tuple | set | frozenset):
        return [clean_data(item) for item in known]
    return known
