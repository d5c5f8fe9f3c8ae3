"""``/zof why``: why this channel was told of a run, or was not, decided once more by the rules that told it."""

from __future__ import annotations

import structlog

from zofbot.errors import SlackError, ZofRejected
from zofbot.listeners import lookups, reasons
from zofbot.listeners.desk import Asked, Desk
from zofbot.model import Run
from zofbot.notification import State
from zofbot.pipeline.explanation import explained
from zofbot.pipeline.memory import Memory
from zofbot.pipeline.notebook import FEEDS, FLOOR
from zofbot.routing import Finding, Subscription, quiet_until, spelled
from zofbot.slack import acts
from zofbot.slack.message import Message
from zofbot.store.hints import HASH as HINTS

log = structlog.get_logger()


async def explain(desk: Desk, who: Asked, identifier: str) -> Message:
    """Explain a run, or the run of a result, to whoever asks in this channel. Raises ZofbotError."""
    run = await _run(desk, identifier)
    bad, _ = await lookups.bad_results(desk, run)
    now = desk.clock().timestamp()
    finding = Finding.of(run, {one.id: one for one in [*(run.results or ()), *bad]}.values(), otherwise=now)
    wishes = await desk.subscriptions.all()
    names = Memory.names(finding, wishes, desk.default_channel, [who.channel])
    kept = await desk.outbox.hashes(FEEDS, HINTS, *names)
    floor = float(kept[FEEDS].get(FLOOR, 0))
    told = explained(
        finding, who.channel, wishes, Memory.read(kept), now, lookback=now - floor, default_channel=desk.default_channel
    )
    mine = [one for one in wishes if one.channel == who.channel]
    standing = [await _standing(desk, key, mine, now) for key in told.roots]
    return reasons.why(told, {one.id: spelled(one) for one in mine}, standing, watched=run.id in kept[HINTS])


async def _run(desk: Desk, identifier: str) -> Run:
    """The run that is meant, by its own id or that of one of its results."""
    if identifier.startswith("run_"):
        return await desk.zof.run(identifier)
    try:
        result = await desk.zof.result(identifier)
    except ZofRejected as error:
        if error.status != 404:
            raise
        return await desk.zof.run(identifier)
    if result.run_id:
        return await desk.zof.run(result.run_id)
    where = result.model_dump(include={"title", "project_id", "project_name", "environment", "ended", "started"})
    return Run(id=result.id, outcome=result.outcome, results=(result,), **where)


async def _standing(desk: Desk, key: str, mine: list[Subscription], now: float) -> str:
    entry, failure = await desk.outbox.show(key), await desk.failures.get(key)
    link = ""
    if entry and entry.receipt:
        try:
            link = await desk.notifier.permalink(entry.receipt)
        except SlackError as error:
            log.info("no permalink", key=key, reason=error.reason)
    said = reasons.message(entry, link, f"{acts.happened(failure.present, now)}." if failure else "")
    if entry is None or entry.state is not State.PENDING:
        return said
    parked = next((one.reason for one in await desk.outbox.parked() if one.channel == entry.channel), "")
    quiet = min((quiet_until(one, now) for one in mine), default=0.0)
    return f"{said}: {reasons.waits(parked, (await desk.outbox.depth()).paused, quiet)}"
