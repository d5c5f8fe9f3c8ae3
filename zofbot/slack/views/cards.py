"""Cards for runs and results; missing values are left out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from zofbot.domain.model import Outcome, Result, Run, is_valid_id
from zofbot.notifications import text
from zofbot.notifications.extra_summaries import summarize_extras
from zofbot.slack.links import ZofLinks
from zofbot.slack.views.blocks import (
    Block,
    Message,
    build_button,
    button_row,
    context_block,
    field_blocks,
    header_block,
    link_button,
    preformatted_block,
    section_block,
)
from zofbot.slack.views.extras import extra_field_pairs, link_blocks

ROWS_PER_PAGE = 10
"""Rows per page of a list."""


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


def _time_fields(thing: Result | Run) -> list[tuple[str, str]]:
    pairs = [("Started", thing.started), ("Finished", thing.ended)]
    if not (thing.started or thing.ended):
        pairs = [("Created", thing.created)]
    shown = [(label, text.format_local_time(at)) for label, at in pairs if at]
    return [*shown, ("Duration", text.describe_duration(thing.duration) if thing.duration is not None else "")]


def _location_fields(thing: Result | Run) -> list[tuple[str, str]]:
    return [
        ("Project", text.escape_line(thing.project or "", 300)),
        ("Environment", text.escape_line(thing.environment or "", 300)),
    ]


def _lookup_button(label: str, action: str, identifier: str | None, aloud: str) -> Block | None:
    """Return a button that looks up an id; None if the id is invalid."""
    return (
        build_button(label, action, {"id": identifier}, aloud=aloud) if identifier and is_valid_id(identifier) else None
    )


# --- one result


def result_card(result: Result, links: ZofLinks, *, share: bool = False, by: str = "") -> Message:
    """Render a result; ``share`` adds a share button, ``by`` names who shared it (unescaped)."""
    look = OUTCOME_STYLES[result.outcome]
    logs = links.allowed_url(result.logs)
    extras = summarize_extras(result.extras)
    details = field_blocks(
        [
            *_location_fields(result),
            ("Run", text.inline_code(result.run_id or "")),
            ("Case", text.inline_code(result.case_id or "") if result.case_id != result.title else ""),
            ("Severity", text.escape_line(result.severity or "", 80)),
            ("Attempts", str(result.attempt) if result.attempt and result.attempt > 1 else ""),
            *_time_fields(result),
            ("Logs", "" if logs else text.inline_code(result.logs or "", 500)),
            *extra_field_pairs(extras),
        ]
    )
    failure = text.clean_literal(result.failure or "", 2600)
    buttons = button_row(
        link_button("Open in Zof", "zof_open", links.result_url(result)),
        link_button("Logs", "zof_logs", logs),
        _lookup_button("Show run", "zof_run", result.run_id, "Show the run of this result"),
        _lookup_button(
            "Share to channel", "zof_share", result.id if share else None, "Share this result to the channel"
        ),
    )
    notes = [f"Result {text.inline_code(result.id)}", *([f"Shared by {text.escape_line(by, 80)}"] if by else [])]
    body = [
        *([section_block(OUTCOME_EXPLANATIONS[result.outcome])] if result.outcome in OUTCOME_EXPLANATIONS else []),
        *details,
        *([preformatted_block(failure)] if failure else []),
        *link_blocks(extras, links),
        *buttons,
        context_block(" · ".join(notes)),
    ]
    return Message(format_one_line(result), [header_block(format_headline(result))], look.colour, body)


# --- one run


def run_card(run: Run, bad: Sequence[Result], links: ZofLinks, *, start: int = 0, more: bool = False) -> Message:
    """Render a run with its failed and errored cases from ``start`` on; ``more``: Zof has more than were read."""
    look = style_of_run(run, len(bad))
    shown = bad[start : start + ROWS_PER_PAGE]
    extras = summarize_extras(run.extras)
    body = [
        *([section_block(format_tally(run))] if format_tally(run) else []),
        *field_blocks(
            [*_location_fields(run), ("Schedule", _schedule_name(run)), *_time_fields(run), *extra_field_pairs(extras)]
        ),
        *link_blocks(extras, links),
        *(_case_row(result) for result in shown),
        *page_controls(
            PageWindow(start, len(shown), len(bad), "failed or errored cases"),
            "zof_run_page",
            {"id": run.id} if is_valid_id(run.id) else None,
            link_button("Open in Zof", "zof_open", links.run_url(run)),
        ),
        *([context_block("Zof listed more failed cases than were read here.")] if more else []),
        context_block(f"Run {text.inline_code(run.id)}"),
    ]
    counts = format_counts(run)
    sentence = format_one_line(run, look) + (f" · {counts}" if counts else "")
    return Message(sentence, [header_block(format_headline(run, look))], look.colour, body)


def _schedule_name(run: Run) -> str:
    """Return the name, or else the id, of the schedule that started a run; empty for other runs."""
    return text.escape_line(run.schedule_name or "", 300) or text.inline_code(run.schedule_id or "")


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


def _case_row(result: Result) -> Block:
    look = OUTCOME_STYLES[result.outcome]
    tries = f" · {result.attempt} attempts" if result.attempt and result.attempt > 1 else ""
    title = f"{look.emoji} *{text.escape_line(result.title or result.id, 150)}*{tries}"
    reason = text.escape_line((result.failure or "").strip().partition("\n")[0], 200)
    return section_block(
        f"{title}\n{reason}" if reason else title,
        _lookup_button("Details", "zof_result", result.id, "Show this result"),
    )


class PageWindow(NamedTuple):
    """Visible part of a list: ``shown`` rows from ``start`` on, of ``total`` items called ``what``."""

    start: int
    shown: int
    total: int
    what: str


def page_controls(window: PageWindow, action: str, value: dict[str, str] | None, *others: Block | None) -> list[Block]:
    """Return the position in a list, with paging buttons if there is a ``value`` for them to carry."""
    start, shown, total, what = window
    if total <= shown and not start:
        return button_row(*others)
    end = start + shown
    left = total - end
    sentence = f"and {left} more {what}" if left > 0 and not start else f"{start + 1} to {end} of {total} {what}"
    back = onward = None
    if value is not None:
        back = (
            build_button("Back", action + "_back", {**value, "from": max(start - ROWS_PER_PAGE, 0)}) if start else None
        )
        more = left > 0 and shown
        onward = build_button(f"Show {min(left, ROWS_PER_PAGE)} more", action, {**value, "from": end}) if more else None
    return [context_block(sentence), *button_row(back, onward, *others)]


# --- many runs


def runs_card(runs: Sequence[Run], filters: str, *, start: int = 0, partial: bool = False, hint: str = "") -> Message:
    """Render the latest runs, newest first; ``partial``: Zof has older ones that were not read.

    ``hint`` (mrkdwn) explains why there may be none.
    """
    title = f"Latest runs ({filters})" if filters else "Latest runs"
    shown = runs[start : start + ROWS_PER_PAGE]
    if not runs:
        sentence = f"No runs match {text.inline_code(filters)}. {hint}".strip() if filters else "Zof lists no runs yet."
        return Message(sentence, [section_block(sentence)])
    blocks = [
        header_block(text.clean_literal(title, 150)),
        *(_run_row(run) for run in shown),
        *page_controls(PageWindow(start, len(shown), len(runs), "runs"), "zof_runs_page", {"filters": filters}),
        *([context_block("Zof has more runs than were read here; a filter narrows the list.")] if partial else []),
    ]
    return Message(f"{text.escape_mrkdwn(title, 200)}: {len(runs)}", blocks)


def _run_row(run: Run) -> Block:
    facts = [
        text.escape_line(run.project or "", 80),
        text.escape_line(run.environment or "", 80),
        format_counts(run),
        text.describe_duration(run.duration) if run.duration is not None else "",
        text.format_local_time(run.latest_time) if run.latest_time else "",
    ]
    title = (
        f"{OUTCOME_STYLES[run.outcome].emoji} *{text.escape_line(f'{outcome_word(run)}: {run.title or run.id}', 160)}*"
    )
    return section_block(
        f"{title}\n{' · '.join(fact for fact in facts if fact)}",
        _lookup_button("Open", "zof_run", run.id, "Show this run"),
    )
