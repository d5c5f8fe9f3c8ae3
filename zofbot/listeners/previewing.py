"""Reads from Zof what a subscription would have posted over the last days, for somebody who waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import structlog

from zofbot.clock import timeout
from zofbot.errors import ZofError
from zofbot.listeners import endings
from zofbot.listeners.desk import Desk
from zofbot.model import Outcome, Result, Run
from zofbot.pipeline import window
from zofbot.pipeline.feeds import Order
from zofbot.pipeline.preview import Rehearsal, findings, means_any, recovers
from zofbot.pipeline.window import Seen
from zofbot.routing import Finding, Subscription
from zofbot.routing.silence import KnownNames, explain_silence
from zofbot.slack import foresight
from zofbot.slack.foresight import Foresight
from zofbot.zof.client import Page, Patience

log = structlog.get_logger()

PAGES = 10
"""Pages of one listing that are read for a preview."""

SECONDS = Patience.FOLLOW_UP.seconds
"""How long a preview may read; then it says what it has."""

NAMES_SECONDS = 10.0
"""How long the names that there are may take to read."""

AT_ONCE = 10
"""Findings that are played before others get their turn in this process."""


@dataclass
class _Read:
    """What was read so far; ``cut`` once something that may matter was left out."""

    runs: dict[str, Run] = field(default_factory=dict)
    results: dict[str, Result] = field(default_factory=dict)
    cut: bool = False


async def said(desk: Desk, subscription: Subscription) -> str:
    """The preview as a sentence (mrkdwn), or why there is none: a subscription stands without one."""
    try:
        return foresight.sentence(await _seen(desk, subscription))
    except ZofError as error:
        return foresight.unseen(error, endings.noted(error))
    except Exception as error:
        return foresight.broken(endings.unforeseen(error))


async def _seen(desk: Desk, subscription: Subscription) -> Foresight:
    now = desk.clock.now()
    back = now - timedelta(days=foresight.DAYS)
    read = _Read()

    def found() -> list[Finding]:
        return findings(read.runs.values(), read.results.values(), back.timestamp(), now.timestamp())

    try:
        async with timeout(SECONDS):
            await _listed(desk, read, back, Outcome.FAILED, Outcome.ERROR)
            passed = any(result.run_id not in read.runs for result in read.results.values())
            if passed or (recovers(subscription) and means_any(subscription, found())):
                await _listed(desk, read, back, Outcome.PASSED)
    except TimeoutError:
        read.cut = True
    rehearsal, all_of_it = Rehearsal(subscription), found()
    for start in range(0, len(all_of_it), AT_ONCE):
        rehearsal.play(all_of_it[start : start + AT_ONCE])
        await asyncio.sleep(0)
    seen = rehearsal.outcome(partial=read.cut)
    if seen.messages:
        return seen
    known = await _known(desk, back)
    silence = explain_silence(subscription, all_of_it, known)
    why = foresight.excluded(silence) if silence else ""
    return replace(seen, silence=f"{why} {foresight.FORBIDDEN}" if why and known.forbidden else why)


async def _known(desk: Desk, back: datetime) -> KnownNames:
    """The names of all projects, and those of recent runs, as far as Zof shows them soon."""
    runs: list[Run] = []
    listing = desk.catalog.projects
    try:
        async with timeout(NAMES_SECONDS):
            async for recent in desk.zof.runs(since=back, pages=1):
                runs += recent
            await listing.read()
    except (TimeoutError, ZofError) as error:
        log.info("names not read", cause=type(error).__name__, request_id=getattr(error, "request_id", None))
    projects: list[tuple[str | None, str | None]] = [(each.id, each.name) for each in listing.items]
    projects += [(run.project_id, run.project_name) for run in runs]  # a key may lack projects:read
    environments = tuple(dict.fromkeys(run.environment for run in runs if run.environment))
    return KnownNames(
        [tuple(filter(None, names)) for names in projects], environments, listing.complete, listing.refused is not None
    )


async def _listed(desk: Desk, read: _Read, back: datetime, *outcomes: Outcome) -> None:
    """Read runs and results of these outcomes, as far ``back`` as the page cap allows. Raises ZofError."""
    for outcome in outcomes:
        runs = desk.zof.runs(status=outcome.value, since=back, pages=PAGES)
        read.cut |= await _cut(desk, runs, read.runs, back)
        results = desk.zof.results(status=outcome.value, since=back, pages=PAGES)
        read.cut |= await _cut(desk, results, read.results, back)


async def _cut(desk: Desk, pages: AsyncGenerator[Page[Seen], None], read: dict[str, Seen], back: datetime) -> bool:
    """Walk a listing as the poller does; whether the page cap came before the end."""
    named: Order | None = None if desk.list_order == "auto" else desk.list_order
    walk = window.begun(desk.clock.time(), back.timestamp(), named)
    return await window.read(pages, read, walk, named)
