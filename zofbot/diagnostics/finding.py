"""A finding: how one thing stands, and what mends it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How bad it is: fine or not tried; works, but not as it should; does not work."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at: ``about`` names it, ``what`` says how it stands, ``mend`` what to do."""

    level: Level
    about: str
    what: str
    mend: str = ""


def ok_finding(about: str, what: str) -> Finding:
    """It is as it should be, or was not tried, and ``what`` says why."""
    return Finding(Level.OK, about, what)


def warning_finding(about: str, what: str, mend: str) -> Finding:
    """It works, but not as it should."""
    return Finding(Level.WARNING, about, what, mend)


def error_finding(about: str, what: str, mend: str) -> Finding:
    """It does not work."""
    return Finding(Level.ERROR, about, what, mend)


def check_unknown_settings(nearest: Mapping[str, str]) -> list[Finding]:
    """Variables that begin as zofbot's do and are none, with the setting that each may have been meant to be."""
    return [
        warning_finding(
            name,
            "No setting has this name, so it changes nothing.",
            f"Rename it to {meant}." if meant else "Remove it.",
        )
        for name, meant in nearest.items()
    ]
