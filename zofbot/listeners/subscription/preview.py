"""Preview of a subscription: reads recent runs from Zof and simulates what it would have posted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import structlog

from zofbot.alerting.preview import PreviewSimulation, assemble_findings, matches_any_finding, wants_recoveries
from zofbot.clock import timeout
from zofbot.domain.errors import ZofError
from zofbot.domain.model import Outcome, Result, Run
from zofbot.listeners import error_handling
from zofbot.listeners.context import ListenerContext
from zofbot.notifications.preview_result import PreviewResult
from zofbot.polling import time_window
from zofbot.polling.time_window import ListedT
from zofbot.slack.views import preview
from zofbot.subscriptions import RunFinding, Subscription
from zofbot.subscriptions.excluding_filter import KnownNames, find_excluding_filter
from zofbot.zof.client import Page, TimeBudget

log = structlog.get_logger()

MAX_PAGES = 10
"""Maximum pages of one listing to read for a preview."""

READ_TIMEOUT_SECONDS = TimeBudget.FOLLOW_UP.seconds
"""Seconds that a preview may read; then it uses what it has."""

PROJECT_NAMES_TIMEOUT_SECONDS = 10.0
"""Seconds that reading known names may take."""

EVENTS_PER_BATCH = 10
"""Findings simulated before other tasks of the process may run."""


@dataclass
class _PreviewListings:
    """Data read so far; ``cut`` if relevant data may be missing."""

    runs: dict[str, Run] = field(default_factory=dict)
    results: dict[str, Result] = field(default_factory=dict)
    cut: bool = False


async def describe_preview(context: ListenerContext, subscription: Subscription, *, saved: bool = False) -> str:
    """Return the preview as a sentence (mrkdwn), or why there is none; never fails, because it is optional."""
    try:
        return preview.preview_text(await _compute_preview(context, subscription), saved=saved)
    except ZofError as error:
        return preview.preview_error_text(error, error_handling.trace_error(error))
    except Exception as error:
        return preview.unexpected_error_text(error_handling.log_unexpected(error))


async def _compute_preview(context: ListenerContext, subscription: Subscription) -> PreviewResult:
    now = context.clock.now()
    back = now - timedelta(days=preview.PREVIEW_DAYS)
    read = _PreviewListings()

    def collect_findings() -> list[RunFinding]:
        return assemble_findings(read.runs.values(), read.results.values(), back.timestamp(), now.timestamp())

    try:
        async with timeout(READ_TIMEOUT_SECONDS):
            await _read_outcomes(context, read, back, Outcome.FAILED, Outcome.ERROR)
            passed = any(result.run_id not in read.runs for result in read.results.values())
            if passed or (wants_recoveries(subscription) and matches_any_finding(subscription, collect_findings())):
                await _read_outcomes(context, read, back, Outcome.PASSED)
    except TimeoutError:
        read.cut = True
    simulation, findings = PreviewSimulation(subscription), collect_findings()
    for start in range(0, len(findings), EVENTS_PER_BATCH):
        simulation.play_findings(findings[start : start + EVENTS_PER_BATCH])
        await asyncio.sleep(0)
    seen = simulation.preview_result(partial=read.cut)
    if seen.messages:
        return seen
    known = await _load_known_names(context, back)
    exclusion = find_excluding_filter(subscription, findings, known)
    why = preview.exclusion_text(exclusion) if exclusion else ""
    return replace(seen, silence=f"{why} {preview.PROJECTS_FORBIDDEN_NOTE}" if why and known.forbidden else why)


async def _load_known_names(context: ListenerContext, back: datetime) -> KnownNames:
    """Return the names of all projects and those in recent runs, as far as Zof answers in time."""
    runs: list[Run] = []
    listing = context.catalog.projects
    try:
        async with timeout(PROJECT_NAMES_TIMEOUT_SECONDS):
            async for recent in context.zof.list_runs(since=back, pages=1):
                runs += recent
            await listing.refresh()
    except (TimeoutError, ZofError) as error:
        log.info("names not read", cause=type(error).__name__, request_id=getattr(error, "request_id", None))
    projects: list[tuple[str | None, str | None]] = [(each.id, each.name) for each in listing.items]
    projects += [(run.project_id, run.project_name) for run in runs]  # the key may lack projects:read
    environments = tuple(dict.fromkeys(run.environment for run in runs if run.environment))
    return KnownNames(
        [tuple(filter(None, names)) for names in projects],
        environments,
        listing.complete,
        listing.refusal_error is not None,
    )


async def _read_outcomes(context: ListenerContext, read: _PreviewListings, back: datetime, *outcomes: Outcome) -> None:
    """Read runs and results of these outcomes, as far ``back`` as the page cap allows. Raises ZofError."""
    for outcome in outcomes:
        runs = context.zof.list_runs(status=outcome.value, since=back, pages=MAX_PAGES)
        read.cut |= await _read_listing(context, runs, read.runs, back)
        results = context.zof.list_results(status=outcome.value, since=back, pages=MAX_PAGES)
        read.cut |= await _read_listing(context, results, read.results, back)


async def _read_listing(
    context: ListenerContext, pages: AsyncGenerator[Page[ListedT], None], read: dict[str, ListedT], back: datetime
) -> bool:
    """Read a listing like the poller; returns whether the page limit cut it short."""
    cursor = time_window.start_window(context.clock.time(), back.timestamp(), context.settings.list_order)
    return await time_window.read_window(pages, read, cursor, context.settings.list_order)
