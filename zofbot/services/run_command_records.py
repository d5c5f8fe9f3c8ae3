"""Stored run commands, and the audit records and messages about them."""

from __future__ import annotations

import json
from typing import Any, Literal

from pydantic import Field

from zofbot.alerting.reruns import refresh_card
from zofbot.alerting.state import RERUN_FIELD, failure_hash, rerun_hash
from zofbot.domain.errors import BadInput, ZofError, ZofUnreadable
from zofbot.domain.frozen_model import FrozenModel
from zofbot.domain.model import is_valid_id
from zofbot.notifications import payloads
from zofbot.notifications.notification import NOTIFICATION_SCHEMA, Notification, NotificationKind
from zofbot.notifications.other_payloads import NotePayload
from zofbot.store.audit import REFUSED_ACTION, AuditRecord
from zofbot.store.pending_runs import PENDING_RUNS_HASH, PendingRun
from zofbot.triage import Actor, Rerun
from zofbot.zof.client import ZofReply
from zofbot.zof.coerce import as_identifier
from zofbot.zof.field_names import first_value, unwrap_object

RERUN_PHRASE, CANCEL_PHRASE = "re-run failed cases", "cancel a run"
"""Descriptions of the commands, to follow "You cannot"."""


class RunCommand(FrozenModel):
    """A command: to rerun the cases in ``body`` for the failure ``key``, or to cancel ``run``.

    ``by``, ``request`` (Slack's id) and ``at`` (Unix seconds) describe the confirmation, and are empty until then.
    """

    sort: Literal["rerun", "cancel"]
    channel: str
    key: str = ""
    title: str = ""
    run: str = ""
    body: dict[str, Any] = Field(default_factory=dict)
    cases: tuple[tuple[str, str], ...] = ()
    """Id and title of each case to rerun."""
    by: Actor = Actor()
    request: str = ""
    at: float = 0.0
    refusals: int = 0
    """How often Zof refused it; an attempt after a refusal has an idempotency key of its own."""


def dump_rerun(rerun: Rerun) -> str:
    """Return a rerun as stored."""
    return rerun.model_dump_json(exclude_defaults=True)


def already_running_error(rerun: Rerun) -> BadInput:
    """Build the error for cases that are being rerun already."""
    which = f": run `{rerun.run}`" if is_valid_id(rerun.run) else ""
    return BadInput(f"{rerun.by.name or 'Someone'} is already re-running these cases{which}.",
                    "The result will be posted in the thread.")  # fmt: skip


def started_run_id(reply: ZofReply) -> str:
    """Return the id of the run that Zof started; empty if the reply has none."""
    try:
        data = unwrap_object(reply.document, "run")
    except ZofUnreadable:
        return ""
    found = first_value(data, "id", as_identifier) or first_value(data, "run_id", as_identifier) or ""
    return found if is_valid_id(found) else ""


def execution_record(command: RunCommand, run: str, reply: ZofReply, at: float) -> AuditRecord:
    """Build the audit record of a command that Zof accepted."""
    return AuditRecord(
        at=at,
        act=command.sort,
        user=command.by.id,
        name=command.by.name,
        channel=command.channel,
        key=command.key,
        details={"run": run},
        request=command.request,
        zof_requests=(reply.request_id,) if reply.request_id else (),
    )


def refusal_record(command: RunCommand, error: ZofError, at: float) -> AuditRecord:
    """Build the audit record of a command that Zof refused."""
    tried = RERUN_PHRASE if command.sort == "rerun" else CANCEL_PHRASE
    details = {"tried": tried, "reason": f"Zof: {error.kind}", "run": command.run}
    return AuditRecord(
        at=at,
        act=REFUSED_ACTION,
        user=command.by.id,
        name=command.by.name,
        channel=command.channel,
        key=command.key,
        details={name: value for name, value in details.items() if value},
        request=command.request,
        zof_requests=(error.request_id,) if error.request_id else (),
    )


def follow_up_changes(
    command: RunCommand, name: str, run: str, at: float
) -> tuple[list[Notification], dict[str, dict[str, str | None]]]:
    """Return the follow-ups of a rerun: a thread reply, and the records that make the poller watch the new run."""
    if command.sort == "cancel":
        return [], {}
    unnamed = ". Zof returned no run ID, so the result can't be posted here. Look for the run in Zof."
    sentence = f"🔁 {command.by.name} started a re-run of the failed cases" + (f": {run}" if run else unnamed)
    note = thread_line(command, f"rerun:{name}:{command.key}", NotePayload(said=sentence), at)
    if not run:  # without an id, its end cannot be observed
        return [note, refresh_card(command.key, at)], {failure_hash(command.key): {RERUN_FIELD: None}}
    watch = PendingRun("run", run, "rerun", at)
    started = Rerun(order=name, run=run, by=command.by, at=at)
    return [note], {
        rerun_hash(run): {"root": command.key, "cases": json.dumps(command.cases)},
        failure_hash(command.key): {RERUN_FIELD: dump_rerun(started)},
        PENDING_RUNS_HASH: {watch.hash_field: watch.dump()},
    }


def thread_line(command: RunCommand, key: str, body: NotePayload, at: float, *, personal: bool = False) -> Notification:
    """Build a line about a command: in the thread of its failure, or ``personal`` to whoever confirmed it."""
    return Notification(
        key=key,
        kind=NotificationKind.ROOT if personal else NotificationKind.REPLY,
        channel=command.by.id if personal else command.channel,
        root="" if personal else command.key,
        body=payloads.dump_payload(body),
        happened=at,
        schema=NOTIFICATION_SCHEMA,
    )
