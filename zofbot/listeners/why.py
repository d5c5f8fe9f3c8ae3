"""Why a channel was told of a run, or was not: decided once more by the rules, for whoever types, presses or asks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import structlog

from zofbot.errors import ZofError, ZofRejected
from zofbot.listeners import lookups
from zofbot.listeners.desk import Asked, Desk
from zofbot.listeners.known import link, require_reader, require_visible, standing
from zofbot.model import Run
from zofbot.notification import State
from zofbot.pipeline.explanation import Explanation, Part, explained
from zofbot.pipeline.keys import parted
from zofbot.pipeline.memory import Memory
from zofbot.pipeline.notebook import FEEDS, FLOOR
from zofbot.pipeline.reasons import WHY, Answer
from zofbot.pipeline.shares import DEFAULT
from zofbot.routing import Finding, Subscription, spelled
from zofbot.slack import acts, reasons
from zofbot.slack.message import Message
from zofbot.slack.reasons import Stand, Wish
from zofbot.store.entry import Entry
from zofbot.store.hints import HASH as HINTS

log = structlog.get_logger()


async def explain(desk: Desk, channel: str, identifier: str, message: str = "") -> Message:
    """Explain a run, or the run of a result, to a channel; ``message`` is the key of the alert that somebody looks at.

    Raises ZofbotError.
    """
    run = await _run(desk, identifier)
    bad, _ = await lookups.bad_results(desk, run)
    now = desk.clock.time()
    finding = Finding.of(run, {one.id: one for one in [*(run.results or ()), *bad]}.values(), otherwise=now)
    wishes = await desk.subscriptions.all()
    names = Memory.names(finding, wishes, desk.default_channel, [channel])
    kept = await desk.outbox.hashes(FEEDS, HINTS, *names)
    floor = float(kept[FEEDS].get(FLOOR, 0))
    told = explained(
        finding, channel, wishes, Memory.read(kept), now, lookback=now - floor, default_channel=desk.default_channel
    )
    then = _next(told, heard=run.id in kept[HINTS])
    return reasons.why(run, _wishes(told, wishes), await _stands(desk, told, message), now, then)


def _next(told: Explanation, *, heard: bool) -> str:
    """What comes of the run by itself, by a word of ``reasons.NEXT``."""
    if heard and not told.decided:
        return "heard" if told.finding.ended else "watched"
    return "expected" if told.expected else ""


async def of_alert(desk: Desk, who: Asked, key: str) -> Message:
    """Explain the alert under ``key``; what is remembered of it where Zof does not answer. Raises ZofbotError."""
    tried = "see why this was posted"
    await require_reader(desk, who, tried)
    _, identifier, channel = parted(key)
    await require_visible(desk, who, channel, tried)
    try:
        return await explain(desk, channel, identifier, key)
    except ZofError as error:
        log.info("explained from memory", key=key, cause=error.sentence, request_id=error.request_id)
        failure = await desk.failures.get(key)
        if failure is None:
            return acts.gone(key)
        own = {one.id: one for one in await desk.subscriptions.of(channel)}
        takers = [own[taker] for taker in failure.body.takers if taker in own]
        wishes = [Wish(Answer.KNOWN, WHY[Answer.KNOWN], _filters(one), one.by_name) for one in takers]
        now = desk.clock.time()
        return reasons.remembered(failure.title, wishes, await _stood(desk, [Part(key)]), now, error)


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


def _wishes(told: Explanation, subscriptions: Iterable[Subscription]) -> list[Wish]:
    by_id = {one.id: one for one in subscriptions}
    made = []
    for one in told.reasons:
        its = by_id.get(one.subscription, Subscription())
        default = one.subscription == DEFAULT
        made.append(Wish(one.answer, one.why, _filters(its), its.by_name, one.until, default))
    return made


def _filters(subscription: Subscription) -> str:
    """A subscription as it is typed, without what comes only after it was told."""
    return spelled(subscription.model_copy(update={"mention": (), "escalate": (), "reack": 0}))


async def _stands(desk: Desk, told: Explanation, message: str) -> list[Stand]:
    """Where the messages stand that are known of; the one that somebody looks at is among them."""
    parts = list(told.parts)
    if message not in ("", told.storm, *(part.key for part in parts)):
        parts.append(Part(message))
    stands = await _stood(desk, parts)
    if told.storm:
        stands += await _stood(desk, [Part(told.storm)], storm=True)
    if stands or not told.perhaps:
        return stands
    found = [one for one in await _stood(desk, [Part(key) for key in told.perhaps]) if one.state]
    return found or [Stand()]


async def _stood(desk: Desk, parts: Sequence[Part], *, storm: bool = False) -> list[Stand]:
    return [await _stand(desk, part, storm) for part in parts]


async def _stand(desk: Desk, part: Part, storm: bool) -> Stand:
    entry = await standing(desk, part.key)
    failure = await desk.failures.get(part.key)
    if entry is None:
        return Stand(joined=part.joined, storm=storm)
    held = await _held(desk, entry) if entry.state is State.PENDING else ""
    present = failure.present if failure else None
    return Stand(entry.state, await link(desk, entry), entry.reason, entry.attempts, held, present, part.joined, storm)


async def _held(desk: Desk, entry: Entry) -> str:
    parked = next((one.reason for one in await desk.outbox.parked() if one.channel == entry.channel), "")
    quiet = entry.not_before if entry.not_before > desk.clock.time() else 0.0
    return reasons.waits(parked=parked, paused=(await desk.outbox.depth()).paused, quiet=quiet)
