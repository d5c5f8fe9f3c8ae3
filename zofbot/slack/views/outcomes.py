"""How outcomes look: word, emoji, color, headline, counts and bar of squares."""

from __future__ import annotations

from typing import NamedTuple

from zofbot.domain.model import Outcome, Result, Run
from zofbot.notifications import text


class OutcomeStyle(NamedTuple):
    """Appearance of an outcome: the color always comes with a word."""

    word: str
    emoji: str
    square: str
    colour: str


OUTCOME_STYLES = {
    Outcome.PASSED: OutcomeStyle("Passed", "✅", "🟩", "#1a8f5c"),
    Outcome.FAILED: OutcomeStyle("Failed", "❌", "🟥", "#d0342c"),
    Outcome.ERROR: OutcomeStyle("Error", "⚠️", "🟧", "#e07b00"),
    Outcome.CANCELED: OutcomeStyle("Canceled", "🚫", "⬛", "#6b7280"),
    Outcome.QUEUED: OutcomeStyle("Queued", "🕓", "⬜", "#8b93a1"),
    Outcome.RUNNING: OutcomeStyle("Running", "🔵", "🟦", "#2a6fdb"),
    Outcome.SKIPPED: OutcomeStyle("Skipped", "⏭️", "⬜", "#8b93a1"),
    Outcome.UNKNOWN: OutcomeStyle("", "❔", "⬜", "#8b93a1"),
}

OUTCOME_EXPLANATIONS = {
    Outcome.FAILED: "A test or the product failed.",
    Outcome.ERROR: "The platform failed, not necessarily the product.",
}
"""Failed and error concern different people, so the card explains which it is."""


def style_with_failures(cases: int) -> OutcomeStyle:
    """Return the style of a passed run with ``cases`` failed cases, which are quarantined in Zof."""
    noun = "case" if cases == 1 else "cases"
    return OutcomeStyle(f"Passed with {cases} failed {noun}", "🟡", OUTCOME_STYLES[Outcome.PASSED].square, "#b58900")


def style_of_run(run: Run, failed: int) -> OutcomeStyle:
    """Return the style of a run with ``failed`` known failed cases."""
    return style_with_failures(failed) if run.outcome is Outcome.PASSED and failed else OUTCOME_STYLES[run.outcome]


def outcome_word(thing: Result | Run) -> str:
    """Return the outcome as a word; an unknown one as Zof spells it."""
    return (
        OUTCOME_STYLES[thing.outcome].word
        or text.clean_literal(" ".join((thing.status or "").split()), 40)
        or "Status unknown"
    )


def format_headline(thing: Result | Run, look: OutcomeStyle | None = None) -> str:
    """Return emoji, outcome and title, for a header's plain text."""
    name = text.clean_literal(" ".join((thing.title or "").split()), 110) or text.clean_literal(
        _default_title(thing), 110
    )
    look = look or OUTCOME_STYLES[thing.outcome]
    return f"{look.emoji} {look.word or outcome_word(thing)}: {name}"


def _default_title(thing: Result | Run) -> str:
    return f"{'Run' if isinstance(thing, Run) else 'Result'} {thing.id}"


def format_one_line(thing: Result | Run, look: OutcomeStyle | None = None) -> str:
    """Return the card in one line of escaped text, for notifications and screen readers."""
    sentence = (look and look.word) or outcome_word(thing)
    parts = [
        text.escape_line(f"{sentence}: {thing.title or _default_title(thing)}", 200),
        text.escape_line(thing.project or "", 80),
        text.escape_line(thing.environment or "", 80),
        text.describe_duration(thing.duration) if thing.duration is not None else "",
        text.escape_line(thing.id, 128) if thing.title else "",
    ]
    return " · ".join(part for part in parts if part)


def format_tally(run: Run) -> str:
    """Return the outcomes of the cases as ten squares and in numbers; empty if Zof sent no counts."""
    sentence = format_counts(run)
    return f"{square_bar(run)}\n{sentence}".strip() if sentence else ""


def _outcome_counts(run: Run) -> list[tuple[Outcome, int]]:
    counts = run.counts
    shares = [
        (Outcome.PASSED, counts.passed),
        (Outcome.FAILED, counts.failed),
        (Outcome.ERROR, counts.error),
        (Outcome.SKIPPED, counts.skipped),
    ]
    return [(outcome, number) for outcome, number in shares if number]


def format_counts(run: Run) -> str:
    """Return the outcomes of the cases in numbers: ``11 passed, 2 failed of 13``."""
    words = [f"{number} {outcome.value}" for outcome, number in _outcome_counts(run)]
    total = run.counts.total
    if total is None:
        return ", ".join(words)
    return f"{', '.join(words)} of {total}" if words else f"{total} cases"


def square_bar(run: Run, width: int = 10) -> str:
    """Return a proportional bar of ``width`` squares; each outcome that occurred gets at least one."""
    shares = _outcome_counts(run)
    total = max(sum(number for _, number in shares), run.counts.total or 0)
    if not total or not shares:
        return ""
    widths = {outcome: max(1, round(number * width / total)) for outcome, number in shares}
    while sum(widths.values()) > width:
        largest = max(widths, key=lambda outcome: widths[outcome])
        widths[largest] -= 1
    bar = "".join(OUTCOME_STYLES[outcome].square * count for outcome, count in widths.items())
    return bar + "⬜" * (width - sum(widths.values()))
