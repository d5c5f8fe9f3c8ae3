"""Run commands to Zof (rerun, cancel): stored before Slack gets an answer, so each runs once and none is lost.

A command is proposed with a question and confirmed by a button. The process that handles the button executes it; a
worker resumes commands of a process that died. Both use the command's name as Zof's idempotency key. Zof repeats its
first answer to a key (https://zof.ai/docs/api/results), so the name is followed by a count once Zof has refused.
"""

from __future__ import annotations

from contextlib import suppress

import structlog
from pydantic import ValidationError

from zofbot.alerting.reruns import refresh_card
from zofbot.alerting.state import PENDING_COMMANDS_HASH, RERUN_FIELD, command_hash, failure_hash
from zofbot.clock import Clock
from zofbot.domain.errors import BadInput, StoreUnavailable, ZofError, ZofRejected, ZofUnavailable
from zofbot.notifications.notification import Notification
from zofbot.notifications.other_payloads import NotePayload
from zofbot.services.run_command_records import (
    RunCommand,
    already_running_error,
    dump_rerun,
    execution_record,
    follow_up_changes,
    refusal_record,
    started_run_id,
    thread_line,
)
from zofbot.store.outbox import CommitConflict, Outbox
from zofbot.triage import Actor, Rerun, parse_active_rerun
from zofbot.zof.client import TimeBudget, ZofClient, ZofReply

log = structlog.get_logger()

STALE_AFTER_SECONDS = 60.0
"""Seconds after which a pending command counts as stale: longer than the first process tries."""

RESUME_INTERVAL_SECONDS = 20.0
"""Seconds between checks for stale commands."""

MAX_RETRY_SECONDS = 3600.0
"""Seconds after which a command that Zof does not accept is abandoned."""


class RunCommands:
    """The run commands of one organization. Every method raises StoreUnavailable."""

    def __init__(self, outbox: Outbox, zof: ZofClient, clock: Clock) -> None:
        self._outbox, self._zof, self._clock = outbox, zof, clock

    async def propose_command(self, name: str, command: RunCommand) -> None:
        """Store a command under its ``name`` (at most 64 characters) until somebody confirms it."""
        await self._outbox.commit(
            [], changes={command_hash(name): {"order": command.model_dump_json(exclude_defaults=True)}}
        )

    async def active_rerun(self, key: str) -> Rerun | None:
        """Return the rerun in progress for the failure ``key``; None if there is none."""
        (stored,) = await self._outbox.read_fields((failure_hash(key), RERUN_FIELD))
        return parse_active_rerun(stored, self._unix_time())

    async def confirm_command(self, name: str, by: Actor, request: str, channel: str) -> None:
        """Mark a command as confirmed, to be executed. Does nothing if it was executed already.

        Raises BadInput for an unknown command, one of another channel, and if the same cases are being rerun.
        """
        command = await self._load_command(name)
        if command.channel != channel:
            raise BadInput("This button is in another channel.", "Start over here.")
        at = self._unix_time()
        taken = command.model_copy(update={"by": by, "request": request, "at": at}).model_dump_json(
            exclude_defaults=True
        )
        changes: dict[str, dict[str, str | None]] = {
            command_hash(name): {"order": taken},
            PENDING_COMMANDS_HASH: {name: f"{at:.0f}"},
        }
        expect: dict[str, dict[str, str | None]] = {command_hash(name): {"done": None}}
        notes: list[Notification] = []
        done, stored = await self._outbox.read_fields(
            (command_hash(name), "done"), (failure_hash(command.key), RERUN_FIELD)
        )
        if done is None and command.sort == "rerun":
            other = parse_active_rerun(stored, at)
            if other and other.order != name:
                raise already_running_error(other)
            changes[failure_hash(command.key)] = {RERUN_FIELD: dump_rerun(Rerun(order=name, by=by, at=at))}
            expect[failure_hash(command.key)] = {RERUN_FIELD: stored}
            notes.append(refresh_card(command.key, at))
        try:
            await self._outbox.commit(notes, changes=changes, expect=expect)
        except CommitConflict:
            await self._check_conflict(command, name)

    async def _check_conflict(self, command: RunCommand, name: str) -> None:
        """Handle a commit conflict. Raises BadInput if another command reruns the same cases."""
        other = await self.active_rerun(command.key) if command.sort == "rerun" else None
        if other and other.order != name:
            raise already_running_error(other)
        log.info("run command claimed or done already", name=name)

    async def execute_command(
        self, name: str, time_budget: TimeBudget = TimeBudget.FOLLOW_UP
    ) -> tuple[RunCommand, str]:
        """Execute a command unless it was done, and commit the result and its follow-ups; returns (command, run id).

        The run id is empty if Zof did not return one, or if the run to cancel had ended. Raises ZofError, and BadInput
        for an unknown command.
        """
        command = await self._load_command(name)
        (done,) = await self._outbox.read_fields((command_hash(name), "done"))
        if done is not None:
            return command, done
        try:
            reply = await self._call_zof(command, name, time_budget)
        except ZofRejected as error:
            if command.sort != "cancel" or error.status != 409:
                raise
            await self.abandon_command(name)  # it had ended already
            return command, ""
        run = command.run or started_run_id(reply)
        note, changes = follow_up_changes(command, name, run, self._unix_time())
        entry = execution_record(command, run, reply, self._unix_time())
        try:
            await self._outbox.commit(
                note, changes={**changes, command_hash(name): {"done": run}, PENDING_COMMANDS_HASH: {name: None}},
                expect={command_hash(name): {"done": None}}, acts=[entry.model_dump_json()],
            )  # fmt: skip
        except CommitConflict:
            log.info("run command done by another worker", name=name)
        return command, run

    async def abandon_command(self, name: str, error: ZofError | None = None) -> None:
        """Abandon a command after the person was informed; Zof's ``error``, if any, goes into the audit log."""
        await self._end_command(name, [], error)

    async def _end_command(self, name: str, notes: list[Notification], error: ZofError | None = None) -> None:
        """End a command without executing it, and make a rerun available again; commits ``notes`` with it."""
        changes: dict[str, dict[str, str | None]] = {PENDING_COMMANDS_HASH: {name: None}}
        expect: dict[str, dict[str, str | None]] = {}
        command: RunCommand | None = None
        with suppress(BadInput):  # unknown or unreadable: nothing to undo
            command = await self._load_command(name)
        if command and isinstance(error, ZofRejected):
            refused = command.model_copy(update={"refusals": command.refusals + 1})
            changes[command_hash(name)] = {"order": refused.model_dump_json(exclude_defaults=True)}
        if command and command.sort == "rerun":
            (running,) = await self._outbox.read_fields((failure_hash(command.key), RERUN_FIELD))
            own = parse_active_rerun(running, self._unix_time())
            if own and own.order == name:
                changes[failure_hash(command.key)], expect[failure_hash(command.key)] = (
                    {RERUN_FIELD: None},
                    {RERUN_FIELD: running},
                )
                notes = [*notes, refresh_card(command.key, self._unix_time())]
        acts = [refusal_record(command, error, self._unix_time()).model_dump_json()] if command and error else []
        with suppress(CommitConflict):  # another process ended it
            await self._outbox.commit(notes, changes=changes, expect=expect, acts=acts)

    async def run(self) -> None:
        """Resume stale commands until cancelled."""
        while True:
            try:
                await self.resume_stale()
            except StoreUnavailable as error:
                log.warning("run commands unavailable", error=error.sentence)
            await self._clock.sleep(RESUME_INTERVAL_SECONDS)

    async def resume_stale(self) -> None:
        """Execute commands that were confirmed long ago and are still pending."""
        stored = (await self._outbox.read_hashes(PENDING_COMMANDS_HASH))[PENDING_COMMANDS_HASH]
        for name, at in stored.items():
            age = self._age_of(name, at)
            if age >= STALE_AFTER_SECONDS:
                await self._retry_command(name, age)

    def _age_of(self, name: str, at: str) -> float:
        """Return the age of a pending command in seconds; one whose time cannot be read is tried for the last time."""
        try:
            return self._unix_time() - int(at)
        except ValueError:
            log.error(
                "unreadable time of a run command", name=name, fix="none is needed: it is carried out or reported now"
            )
            return MAX_RETRY_SECONDS

    async def _retry_command(self, name: str, age_seconds: float) -> None:
        try:
            await self.execute_command(name, TimeBudget.BACKGROUND)
            log.info("run command carried out late", name=name, seconds=round(age_seconds))
        except ZofUnavailable as error:
            if age_seconds >= MAX_RETRY_SECONDS:
                await self._report_refusal(name, error)
        except ZofError as error:
            await self._report_refusal(name, error)
        except BadInput:
            await self.abandon_command(name)

    async def _report_refusal(self, name: str, error: ZofError) -> None:
        """Report a failed command: a rerun in its thread, a cancellation to the person who confirmed it."""
        command = await self._load_command(name)
        log.error(
            "run command refused", name=name, sort=command.sort, cause=error.sentence, request_id=error.request_id
        )
        again = command.sort == "rerun"
        undone = "The failed cases were not re-run" if again else f"Run {command.run} was not canceled"
        body = NotePayload(
            said=f"⚠️ {undone} (requested by {command.by.name}).",
            trouble=error.sentence,
            request_id=error.request_id or "",
        )
        note = thread_line(
            command, f"order-refused:{name}-{command.refusals}", body, self._unix_time(), personal=not again
        )
        await self._end_command(name, [note], error)

    async def _call_zof(self, command: RunCommand, name: str, time_budget: TimeBudget) -> ZofReply:
        key = f"{name}-{command.refusals}" if command.refusals else name
        if command.sort == "rerun":
            return await self._zof.post("/runs", what="run", verb="start", body=command.body, idempotency_key=key,
                                        time_budget=time_budget)  # fmt: skip
        return await self._zof.post("/runs/{id}/cancel", command.run, what="run", verb="cancel", idempotency_key=key,
                                    time_budget=time_budget)  # fmt: skip

    async def _load_command(self, name: str) -> RunCommand:
        (stored,) = await self._outbox.read_fields((command_hash(name), "order"))
        try:
            return RunCommand.model_validate_json(stored or "")
        except ValidationError as error:
            if stored:
                log.error("unreadable run command", name=name, problems=error.error_count())
            raise BadInput("This confirmation has expired.", "Start over.") from error

    def _unix_time(self) -> float:
        return self._clock.time()
