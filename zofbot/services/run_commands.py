"""What people order at Zof: stored before Slack hears that it was pressed, so that it is done once and never lost.

An order is offered with a question and taken by the button that answers it. Whoever took it carries it out at once;
what is left over by a process that died is carried out by a worker. Both use the order's name as Zof's idempotency key.
"""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any, Literal

import structlog
from pydantic import BaseModel, ConfigDict, ValidationError

from zofbot.alerting.reruns import refresh_card
from zofbot.alerting.state import PENDING_COMMANDS_HASH, RERUN_FIELD, command_hash, failure_hash, rerun_hash
from zofbot.clock import Clock
from zofbot.domain.errors import BadInput, StoreUnavailable, ZofError, ZofRejected, ZofUnavailable
from zofbot.domain.model import is_valid_id
from zofbot.notifications.notification import NOTIFICATION_SCHEMA, Notification, NotificationKind
from zofbot.slack.views import channel_notes
from zofbot.store.audit import REFUSED_ACTION, AuditRecord
from zofbot.store.outbox import CommitConflict, Outbox
from zofbot.store.pending_runs import PENDING_RUNS_HASH as HINTS
from zofbot.store.pending_runs import PendingRun
from zofbot.triage import Actor, Rerun, parse_active_rerun
from zofbot.zof.client import TimeBudget, ZofClient, ZofReply

log = structlog.get_logger()

STALE_AFTER_SECONDS = 60.0
"""Seconds after which an order counts as left over: longer than whoever took it tries."""

RESUME_INTERVAL_SECONDS = 20.0
"""Seconds between two looks for what was left over."""

RERUN_PHRASE, CANCEL_PHRASE = "run the failed cases again", "cancel a run"
"""What is ordered, as it follows "You cannot"."""

MAX_RETRY_SECONDS = 3600.0
"""Seconds after which an order that Zof does not take is given up."""


class RunCommand(BaseModel):
    """What is to be done: ``body`` is what to run again for the failure under ``key``, ``run`` what to cancel.

    ``by``, ``request`` (Slack's) and ``at`` (Unix seconds) say who took it, and are empty until somebody
    did.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    sort: Literal["rerun", "cancel"]
    channel: str
    key: str = ""
    title: str = ""
    run: str = ""
    body: dict[str, Any] = {}
    cases: tuple[tuple[str, str], ...] = ()
    """The id and title of each case that is run again."""
    by: Actor = Actor()
    request: str = ""
    at: float = 0.0


class RunCommands:
    """The orders of one organization. Every method raises StoreUnavailable."""

    def __init__(self, outbox: Outbox, zof: ZofClient, clock: Clock) -> None:
        self._outbox, self._zof, self._clock = outbox, zof, clock

    async def propose_command(self, name: str, order: RunCommand) -> None:
        """Keep an order under its ``name`` (64 characters at most), for whoever takes it."""
        await self._outbox.commit(
            [], changes={command_hash(name): {"order": order.model_dump_json(exclude_defaults=True)}}
        )

    async def active_rerun(self, key: str) -> Rerun | None:
        """The run of the failed cases of the failure under ``key`` that has not ended yet."""
        (kept,) = await self._outbox.read_fields((failure_hash(key), RERUN_FIELD))
        return parse_active_rerun(kept, self._unix_time())

    async def confirm_command(self, name: str, by: Actor, request: str, channel: str) -> None:
        """Promise that it will be done, for somebody in its channel. One that is done stays so.

        Raises BadInput for one that nobody knows, for one of another channel, and where the same cases are being run.
        """
        order = await self._load_command(name)
        if order.channel != channel:
            raise BadInput("This button belongs to another channel.", "Ask for it again here.")
        at = self._unix_time()
        taken = order.model_copy(update={"by": by, "request": request, "at": at}).model_dump_json(exclude_defaults=True)
        changes: dict[str, dict[str, str | None]] = {
            command_hash(name): {"order": taken},
            PENDING_COMMANDS_HASH: {name: f"{at:.0f}"},
        }
        expect: dict[str, dict[str, str | None]] = {command_hash(name): {"done": None}}
        notes: list[Notification] = []
        done, kept = await self._outbox.read_fields(
            (command_hash(name), "done"), (failure_hash(order.key), RERUN_FIELD)
        )
        if done is None and order.sort == "rerun":
            other = parse_active_rerun(kept, at)
            if other and other.order != name:
                raise _already_running(other)
            changes[failure_hash(order.key)] = {RERUN_FIELD: _dump_rerun(Rerun(order=name, by=by, at=at))}
            expect[failure_hash(order.key)] = {RERUN_FIELD: kept}
            notes.append(refresh_card(order.key, at))
        try:
            await self._outbox.commit(notes, changes=changes, expect=expect)
        except CommitConflict:
            await self._check_conflict(order, name)

    async def _check_conflict(self, order: RunCommand, name: str) -> None:
        """Somebody was faster. Raises BadInput where it was with another order for the same cases."""
        other = await self.active_rerun(order.key) if order.sort == "rerun" else None
        if other and other.order != name:
            raise _already_running(other)
        log.info("order taken or done already", name=name)

    async def execute_command(self, name: str, patience: TimeBudget = TimeBudget.FOLLOW_UP) -> tuple[RunCommand, str]:
        """Do it unless it was done, and write that down with all that it leads to; gives the run that it came to.

        No run where Zof did not name it, or where there was none left to cancel. Raises ZofError, and BadInput for an
        order that nobody knows.
        """
        order = await self._load_command(name)
        (done,) = await self._outbox.read_fields((command_hash(name), "done"))
        if done is not None:
            return order, done
        try:
            reply = await self._call_zof(order, name, patience)
        except ZofRejected as error:
            if order.sort != "cancel" or error.status != 409:
                raise
            await self.abandon_command(name)  # it had ended, which is what was wanted
            return order, ""
        run = order.run or _started_run_id(reply)
        note, changes = self._follow_up_changes(order, name, run)
        entry = AuditRecord(
            at=self._unix_time(),
            act=order.sort,
            user=order.by.id,
            name=order.by.name,
            channel=order.channel,
            key=order.key,
            details={"run": run},
            request=order.request,
            zof_requests=(reply.request_id,) if reply.request_id else (),
        )
        try:
            await self._outbox.commit(
                note, changes={**changes, command_hash(name): {"done": run}, PENDING_COMMANDS_HASH: {name: None}},
                expect={command_hash(name): {"done": None}}, acts=[entry.model_dump_json()],
            )  # fmt: skip
        except CommitConflict:
            log.info("order done by another", name=name)
        return order, run

    async def abandon_command(self, name: str, error: ZofError | None = None) -> None:
        """Give up doing it; whoever took it was told.

        The audit notes an ``error`` with which Zof refused it.
        """
        await self._end_command(name, [], error)

    async def _end_command(self, name: str, notes: list[Notification], error: ZofError | None = None) -> None:
        """Leave an order undone, and offer what it was for again; ``notes`` say so."""
        changes: dict[str, dict[str, str | None]] = {PENDING_COMMANDS_HASH: {name: None}}
        expect: dict[str, dict[str, str | None]] = {}
        order: RunCommand | None = None
        with suppress(BadInput):  # what cannot be read was for nobody
            order = await self._load_command(name)
        if order and order.sort == "rerun":
            (running,) = await self._outbox.read_fields((failure_hash(order.key), RERUN_FIELD))
            own = parse_active_rerun(running, self._unix_time())
            if own and own.order == name:
                changes[failure_hash(order.key)], expect[failure_hash(order.key)] = (
                    {RERUN_FIELD: None},
                    {RERUN_FIELD: running},
                )
                notes = [*notes, refresh_card(order.key, self._unix_time())]
        acts = [self._refusal_record(order, error).model_dump_json()] if order and error else []
        with suppress(CommitConflict):  # another has ended it
            await self._outbox.commit(notes, changes=changes, expect=expect, acts=acts)

    def _refusal_record(self, order: RunCommand, error: ZofError) -> AuditRecord:
        tried = RERUN_PHRASE if order.sort == "rerun" else CANCEL_PHRASE
        details = {"tried": tried, "reason": f"Zof: {error.kind}", "run": order.run}
        return AuditRecord(
            at=self._unix_time(),
            act=REFUSED_ACTION,
            user=order.by.id,
            name=order.by.name,
            channel=order.channel,
            key=order.key,
            details={name: value for name, value in details.items() if value},
            request=order.request,
            zof_requests=(error.request_id,) if error.request_id else (),
        )

    async def run(self) -> None:
        """Carry out what is left over, until this is cancelled."""
        while True:
            try:
                await self.resume_stale()
            except StoreUnavailable as error:
                log.warning("orders out of reach", error=error.sentence)
            await self._clock.sleep(RESUME_INTERVAL_SECONDS)

    async def resume_stale(self) -> None:
        """Look once for what was taken so long ago that nobody is at it any more."""
        kept = (await self._outbox.read_hashes(PENDING_COMMANDS_HASH))[PENDING_COMMANDS_HASH]
        for name, at in kept.items():
            age = self._unix_time() - float(at)
            if age >= STALE_AFTER_SECONDS:
                await self._retry_command(name, age)

    async def _retry_command(self, name: str, age: float) -> None:
        try:
            await self.execute_command(name, TimeBudget.BACKGROUND)
            log.info("order carried out late", name=name, seconds=round(age))
        except ZofUnavailable as error:
            if age >= MAX_RETRY_SECONDS:
                await self._report_refusal(name, error)
        except ZofError as error:
            await self._report_refusal(name, error)
        except BadInput:
            await self.abandon_command(name)

    async def _report_refusal(self, name: str, error: ZofError) -> None:
        """Say where it was ordered, or to whom ordered it, that it was not done."""
        order = await self._load_command(name)
        log.error("order refused", name=name, sort=order.sort, cause=error.sentence, request_id=error.request_id)
        again = order.sort == "rerun"
        undone = "The failed cases were not run again" if again else f"The run {order.run} was not cancelled"
        traced = f"Request ID: {error.request_id}" if error.request_id else "Zof returned no request id."
        said = f"⚠️ {undone}, as {order.by.name} had asked. {error.sentence} {traced}"
        await self._end_command(
            name, [self._thread_line(order, f"order-refused:{name}", said, personal=not again)], error
        )

    async def _call_zof(self, order: RunCommand, name: str, patience: TimeBudget) -> ZofReply:
        if order.sort == "rerun":
            return await self._zof.post("/runs", what="run", deed="start", body=order.body, idempotency_key=name,
                                        patience=patience)  # fmt: skip
        return await self._zof.post("/runs/{id}/cancel", order.run, what="run", deed="cancel", idempotency_key=name,
                                    patience=patience)  # fmt: skip

    def _follow_up_changes(
        self, order: RunCommand, name: str, run: str
    ) -> tuple[list[Notification], dict[str, dict[str, str | None]]]:
        """A line in the failure's thread, and that the new run is watched to its end."""
        if order.sort == "cancel":
            return [], {}
        said = f"🔁 {order.by.name} runs the failed cases again" + (f": {run}" if run else "")
        note = self._thread_line(order, f"rerun:{name}:{order.key}", said)
        if not run:  # its end cannot be heard of
            return [note, refresh_card(order.key, self._unix_time())], {failure_hash(order.key): {RERUN_FIELD: None}}
        watch = PendingRun("run", run, "rerun", self._unix_time())
        started = Rerun(order=name, run=run, by=order.by, at=self._unix_time())
        return [note], {
            rerun_hash(run): {"root": order.key, "cases": json.dumps(order.cases)},
            failure_hash(order.key): {RERUN_FIELD: _dump_rerun(started)},
            HINTS: {watch.hash_field: watch.dump()},
        }

    def _thread_line(self, order: RunCommand, key: str, said: str, *, personal: bool = False) -> Notification:
        return Notification(
            key=key,
            kind=NotificationKind.ROOT if personal else NotificationKind.REPLY,
            channel=order.by.id if personal else order.channel,
            root="" if personal else order.key,
            body=channel_notes.note_payload(said),
            happened=self._unix_time(),
            schema=NOTIFICATION_SCHEMA,
        )

    async def _load_command(self, name: str) -> RunCommand:
        (kept,) = await self._outbox.read_fields((command_hash(name), "order"))
        try:
            return RunCommand.model_validate_json(kept or "")
        except ValidationError as error:
            if kept:
                log.error("unreadable order", name=name, problems=error.error_count())
            raise BadInput("This question is not known any more.", "Ask for it again.") from error

    def _unix_time(self) -> float:
        return self._clock.time()


def _dump_rerun(rerun: Rerun) -> str:
    return rerun.model_dump_json(exclude_defaults=True)


def _already_running(rerun: Rerun) -> BadInput:
    which = f": run `{rerun.run}`" if is_valid_id(rerun.run) else ""
    return BadInput(f"{rerun.by.name or 'Somebody'} is running these cases again already{which}.",
                    "The thread says how that ends.")  # fmt: skip


def _started_run_id(reply: ZofReply) -> str:
    """The run that Zof says it has started; empty where it does not say."""
    document = reply.document if isinstance(reply.document, dict) else {}
    found = document.get("id") or document.get("run_id")
    return found if isinstance(found, str) and is_valid_id(found) else ""
