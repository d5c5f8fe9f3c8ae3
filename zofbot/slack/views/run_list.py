"""The list of the latest runs, and the paging of lists."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import NamedTuple

from zofbot.domain.model import Run, is_valid_id
from zofbot.notifications import text
from zofbot.notifications.titles import format_name, format_place
from zofbot.slack.views.blocks import (
    Block,
    Message,
    build_button,
    button_row,
    context_block,
    header_block,
    plain_text,
    section_block,
    table_block,
    text_cell,
    time_cell,
)
from zofbot.slack.views.components import lookup_button
from zofbot.slack.views.outcomes import (
    OUTCOME_STYLES,
    format_counts,
    format_one_line,
    outcome_word,
)

MAX_OPTION_VALUE_CHARS = 150
"""https://docs.slack.dev/reference/block-kit/composition-objects/option-object"""

ROWS_PER_PAGE = 10
"""Rows per page of a list."""


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


def runs_card(runs: Sequence[Run], filters: str, *, start: int = 0, partial: bool = False, hint: str = "") -> Message:
    """Render the latest runs, newest first; ``partial``: Zof has others that were not read.

    ``hint`` (mrkdwn) explains why there may be none.
    """
    title = f"Latest runs ({filters})" if filters else "Latest runs"
    shown = runs[start : start + ROWS_PER_PAGE]
    if not runs:
        sentence = f"{_no_runs_text(filters, partial=partial)} {hint}".strip()
        return Message(sentence, [section_block(sentence)])
    head = header_block(text.clean_literal(title, 150))
    window = PageWindow(start, len(shown), len(runs), "runs")
    note = [context_block("Zof has more runs. Add filters to narrow the list.")] if partial else []
    sentence = f"{text.escape_mrkdwn(title, 200)}: {len(runs)}"

    def build_blocks(rows: Sequence[Block], *below: Block | None) -> list[Block]:
        return [head, *rows, *page_controls(window, "zof_runs_page", {"filters": filters}, *below), *note]

    plain = Message(sentence, build_blocks([_list_row(run) for run in shown]))
    if not shown:
        return plain
    lines = "\n".join([sentence, *map(format_one_line, shown)])
    return Message(lines, build_blocks([table_block(_HEADS, map(_table_row, shown))], _run_menu(shown)), instead=plain)


def _no_runs_text(filters: str, *, partial: bool) -> str:
    if not filters:
        return "No runs in Zof yet."
    if not partial:
        return f"No runs match {text.inline_code(filters)}."
    missing = [name for name in ("status:", "project:") if name not in filters]
    step = (
        f"Add {' or '.join(map(text.inline_code, missing))} for a shorter list." if missing else "Look it up by its ID."
    )
    return f"None of the runs that were read match {text.inline_code(filters)}, but Zof has more. {step}"


_HEADS = ("ID", "Run", "When", "Project and environment", "Results")


def _table_row(run: Run) -> list[Block]:
    """Return a run's cells, each short enough for one line: together they are hardly wider than a channel."""
    project, environment, when = run.project or "", run.environment or "", run.latest_time
    name = text.clean_literal(format_name(run.title or "", project, environment), 60)
    return [
        text_cell(text.clean_literal(run.id, 128), code=True),
        text_cell(f"{OUTCOME_STYLES[run.outcome].emoji} {outcome_word(run)}{f': {name}' if name else ''}"),
        time_cell(when.timestamp(), text.format_utc(when)) if when else text_cell(""),
        text_cell(text.clean_literal(format_place(project, environment, 60), 120)),
        text_cell(format_counts(run)),
    ]


def _run_menu(runs: Sequence[Run]) -> Block | None:
    """Return a menu of the runs to view: a table's cells hold no buttons."""
    options = [
        {"text": plain_text(text.clean_literal(f"{run.id}: {run.title or outcome_word(run)}", 75)), "value": value}
        for run in {run.id: run for run in runs}.values()
        if is_valid_id(run.id) and len(value := json.dumps({"id": run.id})) <= MAX_OPTION_VALUE_CHARS
    ]
    menu = {
        "type": "static_select",
        "action_id": "zof_run",
        "placeholder": plain_text("View a run"),
        "options": options,
    }
    return menu if options else None


def _list_row(run: Run) -> Block:
    facts = [
        text.inline_code(run.id),
        text.format_local_time(run.latest_time) if run.latest_time else "",
        text.escape_line(run.project or "", 80),
        text.escape_line(run.environment or "", 80),
        format_counts(run),
        text.describe_duration(run.duration) if run.duration is not None else "",
    ]
    title = (
        f"{OUTCOME_STYLES[run.outcome].emoji} *{text.escape_line(f'{outcome_word(run)}: {run.title or run.id}', 160)}*"
    )
    return section_block(
        f"{title}\n{' · '.join(fact for fact in facts if fact)}",
        lookup_button("View run", "zof_run", run.id, "View this run"),
    )
