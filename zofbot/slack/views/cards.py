"""Cards for runs and results; missing values are left out."""

from __future__ import annotations

from collections.abc import Sequence

from zofbot.domain.model import Result, Run, is_valid_id
from zofbot.notifications import text
from zofbot.notifications.extra_summaries import summarize_extras
from zofbot.notifications.payload_parts import CaseSummary
from zofbot.slack.links import ZofLinks
from zofbot.slack.views.blocks import (
    Block,
    Message,
    button_row,
    context_block,
    header_block,
    link_button,
    preformatted_block,
    section_block,
)
from zofbot.slack.views.components import case_line, lookup_button, meta_block, paragraph_blocks
from zofbot.slack.views.extras import extra_line
from zofbot.slack.views.outcomes import (
    OUTCOME_EXPLANATIONS,
    OUTCOME_STYLES,
    format_counts,
    format_headline,
    format_long_place,
    format_one_line,
    style_of_run,
)
from zofbot.slack.views.run_list import ROWS_PER_PAGE, PageWindow, page_controls


def result_card(result: Result, links: ZofLinks, *, share: bool = False, by: str = "") -> Message:
    """Render a result; ``share`` adds a share button, ``by`` names who shared it (unescaped)."""
    look = OUTCOME_STYLES[result.outcome]
    logs = links.allowed_url(result.logs)
    failure = text.clean_literal(result.failure or "", 2600)
    buttons = button_row(
        link_button("Open in Zof", "zof_open", links.result_url(result)),
        link_button("Logs", "zof_logs", logs),
        lookup_button("View run", "zof_run", result.run_id, "View the run of this result"),
        lookup_button(
            "Share to channel", "zof_share", result.id if share else None, "Share this result to the channel"
        ),
    )
    body = [
        *paragraph_blocks([OUTCOME_EXPLANATIONS.get(result.outcome, "")]),
        *([preformatted_block(failure)] if failure else []),
        *extra_line(summarize_extras(result.extras), links),
        *buttons,
        meta_block(
            f"Result {text.inline_code(result.id)}",
            f"Run {text.inline_code(result.run_id)}" if result.run_id else "",
            f"Case {text.inline_code(result.case_id)}" if result.case_id and result.case_id != result.title else "",
            text.escape_line(result.severity or "", 80),
            "In quarantine in Zof" if result.quarantined else "",
            f"{result.attempt} attempts" if result.attempt and result.attempt > 1 else "",
            *_run_facts(result),
            f"Logs {text.inline_code(result.logs, 500)}" if result.logs and not logs else "",
            f"Shared by {text.escape_line(by, 80)}" if by else "",
        ),
    ]
    return Message(format_one_line(result), [header_block(format_headline(result))], look.color, body)


def run_card(  # noqa: PLR0913  (each is one thing that the card shows)
    run: Run,
    bad: Sequence[Result],
    links: ZofLinks,
    *,
    start: int = 0,
    more: bool = False,
    by: str = "",
    unread: str = "",
) -> Message:
    """Render a run with its failed and errored cases from ``start`` on; ``more``: Zof has more than were read.

    ``by`` names who shared it (unescaped); then it has no paging, which would turn the page for everyone. ``unread``
    says why its cases could not be read (mrkdwn).
    """
    look = style_of_run(run, len(bad))
    shown = bad[start : start + ROWS_PER_PAGE]
    counts = format_counts(run)
    body = [
        *paragraph_blocks([f"*{counts}*" if counts else ""]),
        *(_case_row(result) for result in shown),
        *extra_line(summarize_extras(run.extras), links),
        *page_controls(
            PageWindow(start, len(shown), len(bad), "failed or errored cases"),
            "zof_run_page",
            {"id": run.id} if is_valid_id(run.id) and not by else None,
            link_button("Open in Zof", "zof_open", links.run_url(run)),
            lookup_button("Share to channel", "zof_share_run", None if by else run.id, "Share this run to the channel"),
        ),
        *([context_block("Zof has more failed cases than shown here.")] if more else []),
        *([context_block(unread)] if unread else []),
        meta_block(
            f"Run {text.inline_code(run.id)}",
            _schedule_text(run),
            *_run_facts(run),
            f"Shared by {text.escape_line(by, 80)}" if by else "",
        ),
    ]
    sentence = format_one_line(run, look) + (f" · {counts}" if counts else "")
    return Message(sentence, [header_block(format_headline(run, look))], look.color, body)


def _run_facts(thing: Result | Run) -> list[str]:
    """Return duration and time, and the place if it is too long for the title."""
    times = [("finished", thing.ended), ("started", thing.started), ("created", thing.created)]
    known = [text.format_local_time(at, f"{word} ") for word, at in times if at]
    return [
        format_long_place(thing.project or "", thing.environment or ""),
        text.describe_duration(thing.duration) if thing.duration is not None else "",
        *known[:1],
    ]


def _schedule_text(run: Run) -> str:
    """Name the schedule that started a run, or give its id; empty for other runs."""
    name = text.escape_line(run.schedule_name or "", 300) or text.inline_code(run.schedule_id or "")
    return f"Schedule {name}" if name else ""


def _case_row(result: Result) -> Block:
    return section_block(
        case_line(CaseSummary.from_result(result)),
        lookup_button("View details", "zof_result", result.id, "View this result"),
    )
