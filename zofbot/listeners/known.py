"""Which failure is meant and who may work on it: what stands before every act."""

from __future__ import annotations

import structlog

from zofbot import tracing
from zofbot.access import Person, Role, refusal, role_of
from zofbot.errors import NotAllowed, ZofError
from zofbot.listeners.desk import Asked, Desk
from zofbot.model import Outcome
from zofbot.pipeline.failures import Failure, Gone
from zofbot.slack.bodies import Case, CaseBody, Place, RunBody
from zofbot.slack.controls import About

log = structlog.get_logger()


async def may(desk: Desk, who: Asked, needed: Role) -> Person:
    """Who somebody is, if they may do what takes that role. Raises NotAllowed with the reason else."""
    person = await desk.people.person(who.user)
    reason = refusal(needed, person, desk.roles)
    tracing.step(
        "permission", f"needs {needed.name.lower()}", "refused" if reason else "granted", bad=bool(reason),
        has=role_of(person, desk.roles).name.lower(), standing=person.standing.value,
    )  # fmt: skip
    if reason:
        raise NotAllowed(reason)
    return person


async def known(desk: Desk, about: About) -> Failure:
    """The failure, read from Zof again if it has to be. Raises Gone."""
    failure = await desk.failures.get(about.key)
    if failure is None and await adopted(desk, about):
        failure = await desk.failures.get(about.key)
    if failure is None:
        raise Gone(about.key)
    return failure


async def adopted(desk: Desk, about: About) -> bool:
    """Know a failure again whose record is gone, by reading from Zof what its key names; False when that fails."""
    kind, _, rest = about.key.partition(":")
    identifier = rest.partition(":")[0]
    now = desk.clock().timestamp()
    try:
        if kind == "case":
            result = await desk.zof.result(identifier)
            run = await desk.zof.run(result.run_id) if result.run_id else None
            place = Place.of(run, run.outcome) if run else Place(id="")
            at = result.when.timestamp() if result.when else now
            body: RunBody | CaseBody = CaseBody(run=place, case=Case.of(result, 1500), first=at, last=at, opened=at)
        elif kind == "run":
            run = await desk.zof.run(identifier)
            at = run.when.timestamp() if run.when else now
            bad = [result for result in run.results or () if result.outcome.bad]
            top = tuple(map(Case.of, bad[:3]))
            outcome = run.outcome if run.outcome.bad else Outcome.FAILED
            body = RunBody(run=Place.of(run, outcome), bad=run.counts.bad or len(bad), top=top, last=at, opened=at)
        else:
            return False
    except ZofError as error:
        log.info("failure not adopted", key=about.key, cause=error.sentence, request_id=error.request_id)
        return False
    await desk.failures.adopt(about.key, body)
    return True
