"""Reading of the rules' stored state, of which a value may be damaged or written by a newer version."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import structlog

log = structlog.get_logger()

T = TypeVar("T")
D = TypeVar("D")


def parse_stored(kind: str, stored: str, parse: Callable[[str], T], otherwise: D) -> T | D:
    """Parse a stored value of some ``kind``; one that cannot be read is logged, and ``otherwise`` is returned."""
    try:
        return parse(stored)
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        log.error("unreadable state", kind=kind, stored=stored[:100], error=type(error).__name__,
                  fix="run the version of zofbot that wrote it; this one goes on as without it")  # fmt: skip
        return otherwise
