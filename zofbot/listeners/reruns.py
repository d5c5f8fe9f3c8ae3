"""Running a failure's cases again in Zof: offered with a question, done once however often the button is pressed."""

from __future__ import annotations

import hashlib
from typing import Any

from slack_bolt.async_app import AsyncApp

from zofbot.access import Role
from zofbot.errors import BadInput
from zofbot.listeners import lookups
from zofbot.listeners.actions import value_of
from zofbot.listeners.desk import Asked, Desk, asked
from zofbot.listeners.known import known, may
from zofbot.model import is_id
from zofbot.notification import SCHEMA, Kind, Notification
from zofbot.pipeline.failures import Failure, Gone
from zofbot.pipeline.memory import rerun_in
from zofbot.slack import acts, lines
from zofbot.slack.bodies import CaseBody
from zofbot.slack.controls import About
from zofbot.slack.message import Message
from zofbot.store.audit import Entry
from zofbot.store.hints import HASH as HINTS
from zofbot.store.hints import Watch

RERUN = "zof_rerun"


def register(app: AsyncApp, desk: Desk) -> None:
    """Listen to the button that answers the question."""

    async def pressed(ack: Any, body: dict[str, Any], action: dict[str, Any]) -> None:
        await ack()
        value = value_of(action)
        about = About(str(value.get("key") or ""), "")
        who = asked(body)
        desk.answer_later(who, _rerun(desk, who, about, str(value.get("click") or "")), replace=True)

    app.action(RERUN)(pressed)


async def offered(desk: Desk, who: Asked, about: About) -> Message:
    """Ask whether the failed cases are to be run again. Raises ZofbotError."""
    await may(desk, who, Role.OPERATOR)
    try:
        failure = await known(desk, who, about)
    except Gone:
        return acts.gone(about.key)
    return acts.rerun(failure.title, RERUN, {"key": about.key, "click": who.request})


async def _rerun(desk: Desk, who: Asked, about: About, click: str) -> Message:
    """Start the run, and let the thread know. Raises ZofbotError."""
    person = await may(desk, who, Role.OPERATOR)
    try:
        failure = await known(desk, who, about)
    except Gone:
        return acts.gone(about.key)
    wanted = await _wanted(desk, failure)
    once = hashlib.blake2s(f"{about.key}:{click}".encode(), digest_size=16).hexdigest()
    reply = await desk.zof.post("/runs", what="run", deed="start", body=wanted, idempotency_key=once)
    document = reply.document if isinstance(reply.document, dict) else {}
    found = document.get("id") or document.get("run_id")
    started = found if isinstance(found, str) and is_id(found) else ""
    name = person.name or who.name
    line = f"🔁 {name} runs the failed cases again" + (f": {started}" if started else "")
    now = desk.clock().timestamp()
    note = Notification(key=f"rerun:{once}:{about.key}", kind=Kind.REPLY, channel=failure.channel, root=about.key,
                        body=lines.body(line), happened=now, schema=SCHEMA)  # fmt: skip
    entry = Entry(at=now, act="rerun", user=who.user, name=name, channel=failure.channel, key=about.key,
                  details={"run": started}, request=who.request,
                  zof_requests=(reply.request_id,) if reply.request_id else ())  # fmt: skip
    watch = Watch("run", started, "rerun", now) if started else None
    changes = {rerun_in(started): {"root": about.key}, HINTS: {watch.field: watch.dump()}} if watch else {}
    await desk.outbox.commit([note], changes=changes, acts=[entry.model_dump_json()])
    return acts.rerunning(failure.title, started)


async def _wanted(desk: Desk, failure: Failure) -> dict[str, Any]:
    """What Zof is to run. Raises BadInput where Zof does not say which cases failed."""
    run = await desk.zof.run(failure.body.run.id)
    if isinstance(failure.body, CaseBody):
        result = await desk.zof.result(failure.body.case.id)
        cases = [result.case_id]
    else:
        bad, _ = await lookups.bad_results(desk, run)
        cases = [result.case_id for result in bad]
    named = list(dict.fromkeys(case for case in cases if case))
    if not named or not run.project_id:
        raise BadInput("Zof does not say which cases these are.", "Start the run in Zof.")
    where = {"environment": run.environment} if run.environment else {}
    return {"project_id": run.project_id, **where, "test_case_ids": named}
