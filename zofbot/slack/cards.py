"""Runs and results as people read them in Slack; what is missing is left out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from zofbot.model import Outcome, Result, Run, is_id
from zofbot.slack import text
from zofbot.slack.links import Links
from zofbot.slack.message import (
    Block,
    Message,
    actions,
    button,
    context,
    fields,
    header,
    link_button,
    preformatted,
    section,
)

PAGE = 10
"""Rows of a list shown at once."""


class Look(NamedTuple):
    """How an outcome looks: never colour alone, always the word too."""

    word: str
    emoji: str
    square: str
    colour: str


LOOKS = {
    Outcome.PASSED: Look("Passed", "✅", "🟩", "#1a8f5c"),
    Outcome.FAILED: Look("Failed", "❌", "🟥", "#d0342c"),
    Outcome.ERROR: Look("Error", "⚠️", "🟧", "#e07b00"),
    Outcome.CANCELED: Look("Canceled", "🚫", "⬛", "#6b7280"),
    Outcome.QUEUED: Look("Queued", "🕓", "⬜", "#8b93a1"),
    Outcome.RUNNING: Look("Running", "🔵", "🟦", "#2a6fdb"),
    Outcome.SKIPPED: Look("Skipped", "⏭️", "⬜", "#8b93a1"),
    Outcome.UNKNOWN: Look("", "❔", "⬜", "#8b93a1"),
}

BLAME = {
    Outcome.FAILED: "A test or the product failed.",
    Outcome.ERROR: "The platform failed, not necessarily the product.",
}
"""Failed and error call for different people; the card says which it is."""


def with_failures(cases: int) -> Look:
    """How a run looks that Zof calls passed though so many cases failed in it, which are quarantined."""
    noun = "case" if cases == 1 else "cases"
    return Look(f"Passed with {cases} failed {noun}", "🟡", LOOKS[Outcome.PASSED].square, "#b58900")


def look_of(run: Run, failed: int) -> Look:
    """How a run looks in which so many cases are known to have failed."""
    return with_failures(failed) if run.outcome is Outcome.PASSED and failed else LOOKS[run.outcome]


def word(thing: Result | Run) -> str:
    """The outcome as a word; one nobody knows yet is shown as Zof says it."""
    return LOOKS[thing.outcome].word or text.literal(" ".join((thing.status or "").split()), 40) or "Status unknown"


def headline(thing: Result | Run, look: Look | None = None) -> str:
    """Emoji, outcome and title, for a header's plain text."""
    name = text.literal(" ".join((thing.title or "").split()), 110) or text.literal(_kind(thing), 110)
    look = look or LOOKS[thing.outcome]
    return f"{look.emoji} {look.word or word(thing)}: {name}"


def _kind(thing: Result | Run) -> str:
    return f"{'Run' if isinstance(thing, Run) else 'Result'} {thing.id}"


def in_one_line(thing: Result | Run, look: Look | None = None) -> str:
    """The card in one line of escaped text, for notifications and screen readers."""
    said = (look and look.word) or word(thing)
    parts = [
        text.line(f"{said}: {thing.title or _kind(thing)}", 200),
        text.line(thing.project or "", 80),
        text.line(thing.environment or "", 80),
        text.duration(thing.duration) if thing.duration is not None else "",
        text.line(thing.id, 128) if thing.title else "",
    ]
    return " · ".join(part for part in parts if part)


def _times(thing: Result | Run) -> list[tuple[str, str]]:
    pairs = [("Started", thing.started), ("Finished", thing.ended)]
    if not (thing.started or thing.ended):
        pairs = [("Created", thing.created)]
    shown = [(label, text.moment(at)) for label, at in pairs if at]
    return [*shown, ("Duration", text.duration(thing.duration) if thing.duration is not None else "")]


def _where(thing: Result | Run) -> list[tuple[str, str]]:
    return [("Project", text.line(thing.project or "", 300)), ("Environment", text.line(thing.environment or "", 300))]


def _look_up(label: str, action: str, identifier: str | None, aloud: str) -> Block | None:
    """A button about one id; none for what could never be looked up."""
    return button(label, action, {"id": identifier}, aloud=aloud) if identifier and is_id(identifier) else None


# --- one result


def result_card(result: Result, links: Links, *, share: bool = False, by: str = "") -> Message:
    """One result; ``share`` adds the button that posts it, ``by`` names who did (a name as Slack gave it)."""
    look = LOOKS[result.outcome]
    logs = links.allowed(result.logs)
    details = fields(
        [
            *_where(result),
            ("Run", text.code(result.run_id or "")),
            ("Case", text.code(result.case_id or "") if result.case_id != result.title else ""),
            ("Severity", text.line(result.severity or "", 80)),
            ("Attempts", str(result.attempt) if result.attempt and result.attempt > 1 else ""),
            *_times(result),
            ("Logs", "" if logs else text.code(result.logs or "", 500)),
        ]
    )
    failure = text.literal(result.failure or "", 2600)
    buttons = actions(
        link_button("Open in Zof", "zof_open", links.result(result)),
        link_button("Logs", "zof_logs", logs),
        _look_up("Show run", "zof_run", result.run_id, "Show the run of this result"),
        _look_up("Share to channel", "zof_share", result.id if share else None, "Share this result to the channel"),
    )
    notes = [f"Result {text.code(result.id)}", *([f"Shared by {text.line(by, 80)}"] if by else [])]
    body = [
        *([section(BLAME[result.outcome])] if result.outcome in BLAME else []),
        *details,
        *([preformatted(failure)] if failure else []),
        *buttons,
        context(" · ".join(notes)),
    ]
    return Message(in_one_line(result), [header(headline(result))], look.colour, body)


# --- one run


def run_card(run: Run, bad: Sequence[Result], links: Links, *, start: int = 0, more: bool = False) -> Message:
    """One run with its failed and errored cases from ``start`` on; ``more``: Zof listed more of them than were read."""
    look = look_of(run, len(bad))
    shown = bad[start : start + PAGE]
    body = [
        *([section(tally(run))] if tally(run) else []),
        *fields([*_where(run), ("Schedule", _schedule(run)), *_times(run)]),
        *(_case_row(result) for result in shown),
        *pages(
            Window(start, len(shown), len(bad), "failed or errored cases"),
            "zof_run_page",
            {"id": run.id} if is_id(run.id) else None,
            link_button("Open in Zof", "zof_open", links.run(run)),
        ),
        *([context("Zof listed more failed cases than were read here.")] if more else []),
        context(f"Run {text.code(run.id)}"),
    ]
    counts = numbers(run)
    said = in_one_line(run, look) + (f" · {counts}" if counts else "")
    return Message(said, [header(headline(run, look))], look.colour, body)


def _schedule(run: Run) -> str:
    """The schedule that started a run, by its name where that is known; empty for other runs."""
    return text.line(run.schedule_name or "", 300) or text.code(run.schedule_id or "")


def tally(run: Run) -> str:
    """How the cases ended, as ten squares and in numbers; empty when Zof sent no counts."""
    said = numbers(run)
    return f"{squares(run)}\n{said}".strip() if said else ""


def _shares(run: Run) -> list[tuple[Outcome, int]]:
    counts = run.counts
    shares = [
        (Outcome.PASSED, counts.passed),
        (Outcome.FAILED, counts.failed),
        (Outcome.ERROR, counts.error),
        (Outcome.SKIPPED, counts.skipped),
    ]
    return [(outcome, number) for outcome, number in shares if number]


def numbers(run: Run) -> str:
    """``11 passed, 2 failed of 13``."""
    words = [f"{number} {outcome.value}" for outcome, number in _shares(run)]
    total = run.counts.total
    if total is None:
        return ", ".join(words)
    return f"{', '.join(words)} of {total}" if words else f"{total} cases"


def squares(run: Run, width: int = 10) -> str:
    """A bar of squares in proportion; what happened at all gets at least one square."""
    shares = _shares(run)
    total = max(sum(number for _, number in shares), run.counts.total or 0)
    if not total or not shares:
        return ""
    widths = {outcome: max(1, round(number * width / total)) for outcome, number in shares}
    while sum(widths.values()) > width:
        largest = max(widths, key=lambda outcome: widths[outcome])
        widths[largest] -= 1
    bar = "".join(LOOKS[outcome].square * count for outcome, count in widths.items())
    return bar + "⬜" * (width - sum(widths.values()))


def _case_row(result: Result) -> Block:
    look = LOOKS[result.outcome]
    tries = f" · {result.attempt} attempts" if result.attempt and result.attempt > 1 else ""
    title = f"{look.emoji} *{text.line(result.title or result.id, 150)}*{tries}"
    reason = text.line((result.failure or "").strip().partition("\n")[0], 200)
    return section(
        f"{title}\n{reason}" if reason else title,
        _look_up("Details", "zof_result", result.id, "Show this result"),
    )


class Window(NamedTuple):
    """The part of a long list that is shown: ``shown`` rows from ``start`` on, of ``total`` named ``what``."""

    start: int
    shown: int
    total: int
    what: str


def pages(window: Window, action: str, value: dict[str, str] | None, *others: Block | None) -> list[Block]:
    """Where in a long list this is, with buttons to go on and back where there is a ``value`` for them to carry."""
    start, shown, total, what = window
    if total <= shown and not start:
        return actions(*others)
    end = start + shown
    left = total - end
    said = f"and {left} more {what}" if left > 0 and not start else f"{start + 1} to {end} of {total} {what}"
    back = onward = None
    if value is not None:
        back = button("Back", action + "_back", {**value, "from": max(start - PAGE, 0)}) if start else None
        more = left > 0 and shown
        onward = button(f"Show {min(left, PAGE)} more", action, {**value, "from": end}) if more else None
    return [context(said), *actions(back, onward, *others)]


# --- many runs


def runs_list(runs: Sequence[Run], filters: str, *, start: int = 0, partial: bool = False, hint: str = "") -> Message:
    """The latest runs, newest first; ``partial``: Zof has more than were read, so that older ones are missing.

    ``hint`` says why there may be none (mrkdwn).
    """
    title = f"Latest runs ({filters})" if filters else "Latest runs"
    shown = runs[start : start + PAGE]
    if not runs:
        said = f"No runs match {text.code(filters)}. {hint}".strip() if filters else "Zof lists no runs yet."
        return Message(said, [section(said)])
    blocks = [
        header(text.literal(title, 150)),
        *(_run_row(run) for run in shown),
        *pages(Window(start, len(shown), len(runs), "runs"), "zof_runs_page", {"filters": filters}),
        *([context("Zof has more runs than were read here; a filter narrows the list.")] if partial else []),
    ]
    return Message(f"{text.mrkdwn(title, 200)}: {len(runs)}", blocks)


def _run_row(run: Run) -> Block:
    facts = [
        text.line(run.project or "", 80),
        text.line(run.environment or "", 80),
        numbers(run),
        text.duration(run.duration) if run.duration is not None else "",
        text.moment(run.when) if run.when else "",
    ]
    title = f"{LOOKS[run.outcome].emoji} *{text.line(f'{word(run)}: {run.title or run.id}', 160)}*"
    return section(
        f"{title}\n{' · '.join(fact for fact in facts if fact)}",
        _look_up("Open", "zof_run", run.id, "Show this run"),
    )
