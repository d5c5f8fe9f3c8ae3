"""Lookups of a result, a run or the latest runs, rendered as cards."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

from zofbot.concurrency import wait_for_tasks
from zofbot.domain.commands import SLASH_COMMAND
from zofbot.domain.errors import ZofError, ZofRejected
from zofbot.domain.model import Outcome, Result, Run
from zofbot.listeners.context import ListenerContext
from zofbot.listeners.error_handling import trace_error
from zofbot.listeners.run_filters import RunFilters, parse_run_filters
from zofbot.slack.views import cards, preview, run_list
from zofbot.slack.views.blocks import Message
from zofbot.slack.views.replies import error_replies
from zofbot.subscriptions.case_retries import last_attempts
from zofbot.subscriptions.excluding_filter import KnownNames, explain_projects
from zofbot.zof.protocol import PAGE_SIZE, detect_order

NAMES_SECONDS = 1.0
"""Seconds that a card waits for the names of schedules or projects."""

_EARLIEST_TIME = datetime.min.replace(tzinfo=UTC)


async def show_result(context: ListenerContext, identifier: str) -> Message:
    """Return a result's card with a share button. Raises ZofError."""
    try:
        found = await context.zof.get_result(identifier)
    except ZofRejected as error:
        if error.status == 404 and identifier.startswith("run_"):
            error.next_step = f"That's a run ID. Try `{SLASH_COMMAND} run {identifier}`."
        raise
    return cards.result_card(found, context.links, share=True)


async def show_run(context: ListenerContext, identifier: str, start: int = 0) -> Message:
    """Return a run's card with its failed and errored cases from ``start`` on. Raises ZofError.

    If only its cases cannot be read, the first page says why.
    """
    try:
        found = await context.zof.get_run(identifier)
    except ZofRejected as error:
        if error.status == 404 and identifier.startswith("res_"):
            error.next_step = f"That's a result ID. Try `{SLASH_COMMAND} result {identifier}`."
        raise
    (bad, more, unread), found = await asyncio.gather(
        failed_results_or_reason(context, found, start), _with_schedule(context, found)
    )
    return cards.run_card(found, bad, context.links, start=start, more=more, unread=unread)


async def failed_results_or_reason(
    context: ListenerContext, found: Run, start: int = 0
) -> tuple[list[Result], bool, str]:
    """Return what ``failed_results`` does, or the embedded ones and why the others could not be read (mrkdwn)."""
    try:
        bad, more = await failed_results(context, found)
    except ZofError as error:
        if start:
            raise
        embedded = [result for result in last_attempts(found.results or ()) if result.outcome.is_bad]
        return embedded, False, error_replies.unread_failures_text(error, trace_error(error))
    return bad, more, ""


async def _with_schedule(context: ListenerContext, found: Run) -> Run:
    """Return the run with its schedule's name, if that is available in time."""
    if found.schedule_id is None or found.schedule_name:
        return found
    if context.catalog.schedules.is_stale:
        await wait_for_tasks({context.background_tasks.start(context.catalog.schedules.refresh())}, NAMES_SECONDS)
    return found.model_copy(update={"schedule_name": context.catalog.schedule_name(found.schedule_id)})


async def failed_results(context: ListenerContext, found: Run) -> tuple[list[Result], bool]:
    """Return the run's failed and errored cases, included in it or listed, and whether Zof has more of them."""
    known = {result.id: result for result in found.results or ()}
    more = False
    has_unread = sum(result.outcome.is_bad for result in known.values()) < found.counts.bad_count
    if found.results is None or found.has_unnamed_failures or has_unread:
        for status in _statuses_to_list(found):
            async for page in context.zof.list_results(run_id=found.id, status=status):
                known.update((result.id, result) for result in page.items)
                more = page.more
    return [result for result in last_attempts(known.values()) if result.outcome.is_bad], more


def _statuses_to_list(run: Run) -> tuple[Outcome | None, ...]:
    """Return the result statuses to list: all if they fit on a page, since a failed case may have passed on retry."""
    if run.counts.total is not None and run.counts.total <= PAGE_SIZE:
        return (None,)
    counted = {Outcome.FAILED: run.counts.failed, Outcome.ERROR: run.counts.error}
    return tuple(outcome for outcome, count in counted.items() if count != 0)


async def show_runs(context: ListenerContext, typed: str, start: int = 0) -> Message:
    """Return a card of the latest runs that match the typed filters, newest first. Raises BadInput or ZofError."""
    filters = parse_run_filters(typed)
    found: dict[str, Run] = {}
    partial = False
    for status in filters.statuses_to_list():
        partial |= await _list_runs(context, filters, status, start + run_list.ROWS_PER_PAGE, found)
    newest = sorted(
        found.values(), key=lambda run: run.created or run.started or run.ended or _EARLIEST_TIME, reverse=True
    )
    hint = "" if newest else await suggest_projects(context, filters.project)
    return run_list.runs_card(newest, str(filters), start=start, partial=partial, hint=hint)


async def suggest_projects(context: ListenerContext, patterns: Sequence[str]) -> str:
    """Suggest projects if a filter matches none that Zof lists (mrkdwn)."""
    listing = context.catalog.projects
    if patterns and listing.is_stale:
        await wait_for_tasks({context.background_tasks.start(listing.refresh())}, NAMES_SECONDS)
    names = [tuple(filter(None, (each.id, each.name))) for each in listing.items]
    exclusion = explain_projects(patterns, KnownNames(names, listed=listing.complete))
    return preview.exclusion_text(exclusion) if exclusion else ""


async def _list_runs(
    context: ListenerContext, filters: RunFilters, status: Outcome | None, enough: int, found: dict[str, Run]
) -> bool:
    """Add the matching runs of one status to ``found``; returns whether unread ones may be missing. Raises ZofError.

    Zof does not document its order. If a page is sorted newest first, reading stops once there is enough to show;
    otherwise everything is read, up to the page limit.
    """
    newest_first, more, count = context.settings.list_order == "newest", False, 0
    async for page in context.zof.list_runs(status=status, project=filters.project_id()):
        if (
            context.settings.list_order is None
            and detect_order([run.created or run.started for run in page.items]) == "newest"
        ):
            newest_first = True
        matching = [run for run in page.items if filters.matches_run(run)]
        found.update((run.id, run) for run in matching)
        count, more = count + len(matching), page.more
        if newest_first and count > enough:
            return False
    return more
