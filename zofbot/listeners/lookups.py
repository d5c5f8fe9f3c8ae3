"""Looks a result, a run or the latest runs up, and draws the card."""

from __future__ import annotations

from datetime import UTC, datetime

from zofbot.errors import ZofRejected
from zofbot.listeners.desk import Desk
from zofbot.model import Outcome, Result, Run
from zofbot.slack import cards
from zofbot.slack.message import Message
from zofbot.verbs import COMMAND, spelled
from zofbot.zof.protocol import order_of

_NEVER = datetime.min.replace(tzinfo=UTC)

Filters = tuple[tuple[str, str], ...]


async def result(desk: Desk, identifier: str) -> Message:
    """One result's card, private, with the button that shares it. Raises ZofError."""
    try:
        found = await desk.zof.result(identifier)
    except ZofRejected as error:
        if error.status == 404 and identifier.startswith("run_"):
            error.next_step = f"That looks like a run: try `{COMMAND} run {identifier}`."
        raise
    return cards.result_card(found, desk.links, share=True)


async def run(desk: Desk, identifier: str, start: int = 0) -> Message:
    """One run's card with its failed and errored cases from ``start`` on. Raises ZofError."""
    found = await desk.zof.run(identifier)
    bad, more = await bad_results(desk, found)
    return cards.run_card(found, bad, desk.links, start=start, more=more)


async def bad_results(desk: Desk, found: Run) -> tuple[list[Result], bool]:
    """The run's failed and errored cases, as sent along or else listed, and whether Zof has more of them."""
    bad = [result for result in found.results or () if result.outcome.bad]
    if found.results is not None and len(bad) >= found.counts.bad:
        return bad, False
    listed: dict[str, Result] = {}
    more = False
    for outcome, count in ((Outcome.FAILED, found.counts.failed), (Outcome.ERROR, found.counts.error)):
        if count == 0:
            continue
        async for page in desk.zof.results(run_id=found.id, status=outcome.value):
            listed.update((result.id, result) for result in page.items if result.outcome.bad)
            more = page.more
    return (list(listed.values()), more) if len(listed) >= len(bad) else (bad, more)


async def runs(desk: Desk, filters: Filters, start: int = 0) -> Message:
    """The latest runs that match, newest first. Raises ZofError.

    Zof's order is not published. When the first page shows newest first, reading ends as soon as there is enough to
    show; else all is read, as far as the page cap allows, and sorted here.
    """
    wanted = dict(filters)
    project = wanted.get("project", "")
    matching: list[Run] = []
    newest_first = desk.list_order == "newest"
    partial = False
    pages = desk.zof.runs(status=wanted.get("status"), project=project if project.startswith("proj_") else None)
    async for page in pages:
        if desk.list_order == "auto" and order_of([run.created or run.started for run in page.items]) == "newest":
            newest_first = True
        matching += [run for run in page.items if _matches(run, wanted)]
        partial = page.more
        if newest_first and len(matching) > start + cards.PAGE:
            break
    matching.sort(key=lambda run: run.created or run.started or run.ended or _NEVER, reverse=True)
    return cards.runs_list(matching, spelled(filters), start=start, partial=partial and not newest_first)


def _matches(run: Run, wanted: dict[str, str]) -> bool:
    """Whether it is of this project, by id or name, and environment; Zof's client sees to the status."""
    project, env = (wanted.get(name, "").casefold() for name in ("project", "env"))
    if project and project not in {(run.project_id or "").casefold(), (run.project_name or "").casefold()}:
        return False
    return not env or env == (run.environment or "").casefold()
