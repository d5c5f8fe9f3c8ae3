"""Cards for runs and results; missing values are left out."""

from __future__ import annotations

from collections.abc import Sequence

from zofbot.domain.model import Result, Run, is_valid_id
from zofbot.notifications import text
from zofbot.notifications.extra_summaries import summarize_extras
from zofbot.slack.links import ZofLinks
from zofbot.slack.views.blocks import (
    Block,
    Message,
    button_row,
    context_block,
    field_blocks,
    header_block,
    link_button,
    preformatted_block,
    section_block,
)
from zofbot.slack.views.components import lookup_button
from zofbot.slack.views.extras import extra_field_pairs, link_blocks
from zofbot.slack.views.outcomes import (
    OUTCOME_EXPLANATIONS,
    OUTCOME_STYLES,
    format_counts,
    format_headline,
    format_one_line,
    format_tally,
    style_of_run,
)
from zofbot.slack.views.run_list import ROWS_PER_PAGE, PageWindow, page_controls


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
            ("Quarantine", "In quarantine in Zof" if result.quarantined else ""),
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
        lookup_button("View run", "zof_run", result.run_id, "View the run of this result"),
        lookup_button(
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


def run_card(  # noqa: PLR0913  (each is one thing that the card shows)
    run: Run, bad: Sequence[Result], links: ZofLinks, *, start: int = 0, more: bool = False, by: str = ""
) -> Message:
    """Render a run with its failed and errored cases from ``start`` on; ``more``: Zof has more than were read.

    ``by`` names who shared it (unescaped); then it has no paging, which would turn the page for everyone.
    """
    look = style_of_run(run, len(bad))
    shown = bad[start : start + ROWS_PER_PAGE]
    notes = [f"Run {text.inline_code(run.id)}", *([f"Shared by {text.escape_line(by, 80)}"] if by else [])]
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
            {"id": run.id} if is_valid_id(run.id) and not by else None,
            link_button("Open in Zof", "zof_open", links.run_url(run)),
            lookup_button("Share to channel", "zof_share_run", None if by else run.id, "Share this run to the channel"),
        ),
        *([context_block("Zof has more failed cases than shown here.")] if more else []),
        context_block(" · ".join(notes)),
    ]
    counts = format_counts(run)
    sentence = format_one_line(run, look) + (f" · {counts}" if counts else "")
    return Message(sentence, [header_block(format_headline(run, look))], look.colour, body)


def _schedule_name(run: Run) -> str:
    """Return the name, or else the id, of the schedule that started a run; empty for other runs."""
    return text.escape_line(run.schedule_name or "", 300) or text.inline_code(run.schedule_id or "")


def _case_row(result: Result) -> Block:
    look = OUTCOME_STYLES[result.outcome]
    tries = f" · {result.attempt} attempts" if result.attempt and result.attempt > 1 else ""
    title = f"{look.emoji} *{text.escape_line(result.title or result.id, 150)}*{tries}"
    reason = text.escape_line((result.failure or "").strip().partition("\n")[0], 200)
    return section_block(
        f"{title}\n{reason}" if reason else title,
        lookup_button("View details", "zof_result", result.id, "View this result"),
    )
