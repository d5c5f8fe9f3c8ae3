"""How outcomes look: word, emoji, color, headline and counts."""

from __future__ import annotations

from typing import NamedTuple

from zofbot.domain.model import Outcome, Result, Run
from zofbot.notifications import text
from zofbot.notifications.titles import MAX_PLACE_PART_LENGTH, format_place, format_title


class OutcomeStyle(NamedTuple):
    """Appearance of an outcome: the color always comes with a word."""

    word: str
    emoji: str
    color: str


OUTCOME_STYLES = {
    Outcome.PASSED: OutcomeStyle("Passed", "✅", "#1a8f5c"),
    Outcome.FAILED: OutcomeStyle("Failed", "❌", "#d0342c"),
    Outcome.ERROR: OutcomeStyle("Error", "⚠️", "#e07b00"),
    Outcome.CANCELED: OutcomeStyle("Canceled", "🚫", "#6b7280"),
    Outcome.QUEUED: OutcomeStyle("Queued", "🕓", "#8b93a1"),
    Outcome.RUNNING: OutcomeStyle("Running", "🔵", "#2a6fdb"),
    Outcome.SKIPPED: OutcomeStyle("Skipped", "⏭️", "#8b93a1"),
    Outcome.UNKNOWN: OutcomeStyle("", "❔", "#8b93a1"),
}

OUTCOME_EXPLANATIONS = {
    Outcome.ERROR: "The platform failed, not necessarily the product.",
}
"""An error does not concern those who own the failing tests, so the card says what it is."""

COUNT_WORDS = {Outcome.FAILED: "failed", Outcome.ERROR: "errored", Outcome.PASSED: "passed", Outcome.SKIPPED: "skipped"}
"""Words for the numbers of cases, the worst first."""


def style_with_failures(cases: int) -> OutcomeStyle:
    """Return the style of a passed run with ``cases`` failed cases, which are quarantined in Zof."""
    noun = "case" if cases == 1 else "cases"
    return OutcomeStyle(f"Passed with {cases} failed {noun}", "🟡", "#b58900")


def style_of_run(run: Run, failed: int) -> OutcomeStyle:
    """Return the style of a run with ``failed`` known failed cases."""
    return style_with_failures(failed) if run.outcome is Outcome.PASSED and failed else OUTCOME_STYLES[run.outcome]


def outcome_word(thing: Result | Run) -> str:
    """Return the outcome as a word, not escaped: an unknown one is as Zof spells it."""
    return (
        OUTCOME_STYLES[thing.outcome].word
        or text.clean_literal(" ".join((thing.status or "").split()), 40)
        or "Status unknown"
    )


def format_headline(thing: Result | Run, look: OutcomeStyle | None = None) -> str:
    """Return emoji, outcome and title with its place, for a header's plain text."""
    look = look or OUTCOME_STYLES[thing.outcome]
    return f"{look.emoji} {look.word or outcome_word(thing)}: {text.clean_literal(_title_of(thing))}"


def title_line(thing: Result | Run) -> str:
    """Return the title with its place, escaped for a sentence (mrkdwn)."""
    return text.escape_line(_title_of(thing), 200)


def _title_of(thing: Result | Run) -> str:
    title = text.redact_line(thing.title or "", 150) or f"{'Run' if isinstance(thing, Run) else 'Result'} {thing.id}"
    return format_title(title, thing.project or "", thing.environment or "")


def format_long_place(project: str, environment: str) -> str:
    """Return the place, escaped, if it is too long for a title; else an empty string."""
    cut = max(len(project), len(environment)) > MAX_PLACE_PART_LENGTH
    return text.escape_line(format_place(project, environment), 600) if cut else ""


def format_one_line(thing: Result | Run, look: OutcomeStyle | None = None) -> str:
    """Return the card in one line of escaped text, for notifications and screen readers."""
    sentence = (look and look.word) or outcome_word(thing)
    parts = [
        text.escape_line(f"{sentence}: {_title_of(thing)}", 200),
        text.describe_duration(thing.duration) if thing.duration is not None else "",
        text.escape_line(thing.id, 128) if thing.title else "",
    ]
    return " · ".join(part for part in parts if part)


def format_counts(run: Run) -> str:
    """Return the outcomes of the cases in numbers, the worst first: ``8 failed · 4 errored · 2 passed of 14``."""
    counts = run.counts
    numbers = {
        Outcome.FAILED: counts.failed,
        Outcome.ERROR: counts.error,
        Outcome.PASSED: counts.passed,
        Outcome.SKIPPED: counts.skipped,
    }
    shown = " · ".join(f"{numbers[outcome]} {word}" for outcome, word in COUNT_WORDS.items() if numbers[outcome])
    if counts.total is None:
        return shown
    return f"{shown} of {counts.total}" if shown else f"{counts.total} cases"
