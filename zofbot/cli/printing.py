"""Print JSON, redacted and sanitized like everything that is shown to people."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from typing import Any

_CAUSE_ID_PATTERN = re.compile(r"s\d+-[0-9a-f]{16}")
"""The ID of a cause, kept as ``signature``, which is also the name of secrets."""


def print_json(data: object, *, indent: int | None = 2) -> None:
    """Print ``data`` as JSON; on one line if ``indent`` is None."""
    sys.stdout.write(json.dumps(clean_data(data), indent=indent, ensure_ascii=False, default=str) + "\n")


def clean_data(data: Any) -> Any:
    """Redact and sanitize every string in ``data``, including names of fields."""
    from zofbot.domain.redaction import MASK, is_secret_name  # noqa: PLC0415  (--help must not wait for these)
    from zofbot.notifications.text import sanitize_text  # noqa: PLC0415

    if isinstance(data, str):
        return sanitize_text(data)
    if isinstance(data, Mapping):
        return {
            sanitize_text(str(name)): MASK
            if isinstance(value, str) and value and is_secret_name(str(name)) and not _CAUSE_ID_PATTERN.fullmatch(value)
            else clean_data(value)
            for name, value in data.items()
        }
    if isinstance(data, list | tuple | set | frozenset):
        return [clean_data(item) for item in data]
    return data
