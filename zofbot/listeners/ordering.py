"""Failed cases run again, and runs cancelled: asked about first, and done once however often it is pressed."""

from __future__ import annotations

import hashlib
from typing import Any

from slack_bolt.async_app import AsyncApp

from zofbot.access import Role
from zofbot.errors import BadInput, ZofError
from zofbot.listeners import lookups
from zofbot.listeners.actions import value_of
from zofbot.listeners.desk import Asked, Desk, asked
from zofbot.listeners.known import known, may
from zofbot.pipeline.failures import Failure, Gone
from zofbot.pipeline.orders import TO_CANCEL, TO_RERUN, Order
from zofbot.slack import acts, bodies
from zofbot.slack.bodies import CaseBody
from zofbot.slack.controls import About
from zofbot.slack.message import Message
from zofbot.triage import Who

RERUN, CANCEL = "zof_rerun", "zof_cancel"


def register(app: AsyncApp, desk: Desk) -> None:
    """Listen to the buttons that answer the questions."""

    async def pressed(ack: Any, body: dict[str, Any], action: dict[str, Any]) -> None:
        who, name = asked(body), str(value_of(action).get("order") or "")
        tried = TO_RERUN if action.get("action_id") == RERUN else TO_CANCEL
        told = await desk.told(_taken(desk, who, name, tried))  # it is stored before Slack is told that we have it
        await ack()
        if told.failed:
            desk.errands.start(desk.respond(who, told.message))
        else:
            desk.answer_later(who, _carried_out(desk, name), replace=True)

    app.action(RERUN)(pressed)
    app.action(CANCEL)(pressed)


async def offer_rerun(desk: Desk, who: Asked, about: About) -> Message:
    """Ask whether the failed cases are to be run again. Raises ZofbotError."""
    await may(desk, who, Role.OPERATOR, TO_RERUN, about.key)
    try:
        failure = await known(desk, who, about)
    except Gone:
        return acts.gone(about.key)
    if running := await desk.orders.under_way(failure.key):
        return acts.rerun_under_way(failure.title, running, desk.clock.time())
    order = await _rerun_of(desk, failure)
    name = await _offered(desk, who, order)
    return acts.rerun(failure.title, len(order.cases), order.body.get("environment", ""), RERUN, {"order": name})


async def offer_cancel(desk: Desk, who: Asked, identifier: str) -> Message:
    """Show which run it is, for ids are mistyped. Raises ZofbotError."""
    await may(desk, who, Role.OPERATOR, TO_CANCEL)
    run = await desk.zof.run(identifier)
    if run.outcome.final:
        return acts.ended_already(run)
    name = await _offered(desk, who, Order(sort="cancel", channel=who.channel, run=run.id))
    return acts.cancel(run, CANCEL, {"order": name})


async def _offered(desk: Desk, who: Asked, order: Order) -> str:
    """Keep the order; its name is made from the request that asked for it, so one asked for twice is one."""
    about = f"{order.sort}:{order.key or order.run}:{who.request}"
    name = hashlib.blake2s(about.encode(), digest_size=16).hexdigest()
    await desk.orders.offer(name, order)
    return name


async def _taken(desk: Desk, who: Asked, name: str, tried: str) -> Message:
    person = await may(desk, who, Role.OPERATOR, tried)
    await desk.orders.take(name, Who(id=who.user, name=person.name or who.name), who.request, who.channel)
    return Message("")


async def _carried_out(desk: Desk, name: str) -> Message:
    """Do it, and say what it came to; where Zof refuses, the person hears of it and may press again."""
    try:
        order, run = await desk.orders.carry_out(name)
    except ZofError as error:
        await desk.orders.give_up(name, error)
        raise
    if order.sort == "rerun":
        return acts.rerunning(order.title, run)
    return acts.cancelled(run) if run else acts.ended_already(await desk.zof.run(order.run))


async def _rerun_of(desk: Desk, failure: Failure) -> Order:
    """What Zof is to run. Raises ZofError, and BadInput where Zof does not say which cases failed."""
    if not failure.body.run.id:
        raise BadInput("These alerts are of several runs.", "Run their cases again from the runs in Zof.")
    run = await desk.zof.run(failure.body.run.id)
    if isinstance(failure.body, CaseBody):
        bad = [await desk.zof.result(failure.body.case.id)]
    else:
        bad, _ = await lookups.bad_results(desk, run)
    named = {result.case_id: bodies.said(result.title or result.case_id, 100) for result in bad if result.case_id}
    if not named or not run.project_id:
        raise BadInput("Zof does not say which cases these are.", "Start the run in Zof.")
    where = {"environment": run.environment} if run.environment else {}
    body = {"project_id": run.project_id, **where, "test_case_ids": list(named)}
    return Order(sort="rerun", channel=failure.channel, key=failure.key, title=failure.title, body=body,
                 cases=tuple(named.items()))  # fmt: skip
