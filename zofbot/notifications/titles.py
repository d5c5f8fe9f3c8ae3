"""How messages name a run, a case or a failure: its title with its place."""

from __future__ import annotations

from zofbot.notifications import text

MAX_TITLE_LENGTH, MAX_PLACE_PART_LENGTH = 118, 24
"""Length of a title with its place, and of a project's or environment's name in it."""


def format_title(title: str, project: str, environment: str) -> str:
    """Return ``cart (checkout, staging)``, not escaped; a title that contains its place says it once.

    Zof's own titles are ``checkout: cart on staging``.
    """
    place = format_place(project, environment, MAX_PLACE_PART_LENGTH)
    if not place:
        return format_name(title, project, environment)
    return f"{format_name(title, project, environment, MAX_TITLE_LENGTH - len(place) - 3)} ({place})"


def format_name(title: str, project: str, environment: str, most: int = MAX_TITLE_LENGTH) -> str:
    """Return ``cart``: a title without its place, not escaped."""
    return text.redact_line(title.removeprefix(f"{project}: ").removesuffix(f" on {environment}") or title, most)


def format_place(project: str, environment: str, most: int = 300) -> str:
    """Return project and environment with at most ``most`` characters each, not escaped."""
    return ", ".join(filter(None, (text.redact_line(part, most) for part in (project, environment))))
