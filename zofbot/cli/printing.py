"""JSON on the terminal: redacted and cleaned like everything that people see."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any


def print_json(known: object, *, indent: int | None = 2) -> None:
    """Print ``known`` as JSON; without ``indent`` in one line."""
    sys.stdout.write(json.dumps(cleaned(known), indent=indent, ensure_ascii=False, default=str) + "\n")


def cleaned(known: Any) -> Any:
    """The same data without secrets, control characters and what reorders or hides text; names of fields as well."""
    from zofbot.redact import MASK, names_secret  # noqa: PLC0415  (--help must not wait for these)
    from zofbot.slack.text import clean  # noqa: PLC0415

    if isinstance(known, str):
        return clean(known)
    if isinstance(known, Mapping):
        return {
            clean(str(name)): MASK if isinstance(value, str) and value and names_secret(str(name)) else cleaned(value)
            for name, value in known.items()
        }
    if isinstance(known, list | tuple | set | frozenset):
        return [cleaned(item) for item in known]
    return known
