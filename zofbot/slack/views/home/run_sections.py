"""App Home's sections on runs: those in progress, and the next scheduled ones."""

from __future__ import annotations

import math

from zofbot.domain.model import Run, Schedule
from zofbot.notifications import text
from zofbot.slack.views.blocks import (
    Block,
    context_block,
    link_button,
    section_block,
)
from zofbot.slack.views.components import format_moment, paragraph_blocks
from zofbot.slack.views.home.channel_sections import list_heading
from zofbot.slack.views.home.home_data import HomeData
from zofbot.slack.views.outcomes import OUTCOME_STYLES, outcome_word

MAX_RUNS_IN_PROGRESS = 5
MAX_NEXT_RUNS = 5

SCHEDULE_GRACE_SECONDS = 60.0
"""Seconds that an overdue run is still shown as the next one: the schedule may not have been read again yet."""


def progress_section(home: HomeData) -> list[Block]:
    """Return the runs in progress; nothing if there are none."""
    runs = home.figures.going if home.figures else ()
    if not runs:
        return []
    more = len(runs) - MAX_RUNS_IN_PROGRESS
    rows = [_run_row(run, home) for run in runs[:MAX_RUNS_IN_PROGRESS]]
    return [
        list_heading("Runs in progress", len(runs)),
        *rows,
        *([context_block(f"and {more} more")] if more > 0 else []),
    ]


def schedule_section(home: HomeData) -> list[Block]:
    """Return the next scheduled runs; schedules without a known time come last, with their cron expression."""
    active = [each for each in home.schedules if not each.paused and (_due_time(each, home.now) or each.cron)]
    if not active:
        return []
    active.sort(key=lambda each: (_due_time(each, home.now) or math.inf, each.name or each.id))
    more = len(active) - MAX_NEXT_RUNS
    lines = [_schedule_line(each, home.now) for each in active[:MAX_NEXT_RUNS]]
    return [
        list_heading("Next runs", len(active)),
        *paragraph_blocks(lines),
        *([context_block(f"and {more} more")] if more > 0 else []),
    ]


def _due_time(schedule: Schedule, now: float) -> float | None:
    """Return the time of a schedule's next run (Unix seconds); None if it is unknown or in the past."""
    at = schedule.next.timestamp() if schedule.next else None
    return at if at is not None and at >= now - SCHEDULE_GRACE_SECONDS else None


def _schedule_line(schedule: Schedule, now: float) -> str:
    at = _due_time(schedule, now)
    facts = [
        format_moment(at) if at else f"cron {text.inline_code(schedule.cron or '', 60)}",
        text.escape_line(schedule.project or "", 60),
        text.escape_line(schedule.environment or "", 60),
    ]
    return f"🕓 *{text.escape_line(schedule.name or schedule.id, 120)}*: {' · '.join(fact for fact in facts if fact)}"


def _run_row(run: Run, home: HomeData) -> Block:
    began = run.started or run.created
    facts = [
        text.escape_line(run.project or "", 60),
        text.escape_line(run.environment or "", 60),
        f"for {text.describe_duration(max(home.now - began.timestamp(), 1))}" if began else "",
        text.inline_code(run.id),
    ]
    title = (
        f"{OUTCOME_STYLES[run.outcome].emoji} *{text.escape_line(f'{outcome_word(run)}: {run.title or run.id}', 160)}*"
    )
    link = link_button("Open in Zof", "zof_open", home.links.run_url(run))
    return section_block(f"{title}\n{' · '.join(fact for fact in facts if fact)}", link)
