"""A finding: the result of one check, and its fix."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """Severity: fine or not checked; works with a problem; does not work."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True)
class Finding:
    """The result of one check: ``about`` names the subject, ``what`` the state, and ``fix`` what to do."""

    level: Level
    about: str
    what: str
    fix: str = ""


def ok_finding(about: str, what: str) -> Finding:
    """Report that something is fine, or was not checked; ``what`` says why."""
    return Finding(Level.OK, about, what)


def warning_finding(about: str, what: str, fix: str) -> Finding:
    """Report that something works, but with a problem."""
    return Finding(Level.WARNING, about, what, fix)


def error_finding(about: str, what: str, fix: str) -> Finding:
    """Report that something does not work."""
    return Finding(Level.ERROR, about, what, fix)


def check_unknown_settings(nearest: Mapping[str, str]) -> list[Finding]:
    """Report environment variables with zofbot's prefixes that are no settings; ``nearest`` is the similar setting."""
    return [
        warning_finding(
            name,
            "There is no setting with this name, so it has no effect.",
            f"Rename it to {similar}." if similar else "Remove it.",
        )
        for name, similar in nearest.items()
    ]
