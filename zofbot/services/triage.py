"""Triage: the current state of failures, and actions on them, stored with their follow-ups in one transaction.

Optimistic locking: an action commits only if the state it was decided on is unchanged, else it is decided again.
Slack's request id is stored with the action, so a request that is delivered twice acts once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

import structlog
from pydantic import ValidationError

from zofbot.alerting.escalation_reminders import schedule_card_edits, schedule_reminders
from zofbot.alerting.reruns import refresh_card
from zofbot.alerting.state import FAILURES_HASH, failure_hash, triage_hash
from zofbot.alerting.stored_state import parse_stored
from zofbot.clock import Clock
from zofbot.domain.errors import StoreUnavailable
from zofbot.notifications import payloads
from zofbot.notifications.alert_payloads import CaseAlertPayload, RunAlertPayload
from zofbot.notifications.idempotency import alert_key_of
from zofbot.notifications.notification import Receipt
from zofbot.notifications.payloads import FailurePayload
from zofbot.notifications.storm_payloads import StormPayload
from zofbot.observability.emitter import EventEmitter
from zofbot.observability.events.requests import TriageAct, TriageRefused
from zofbot.services.action_follow_ups import build_audit_record, follow_up_notifications, with_thread_line
from zofbot.services.cause_resolutions import resolution_changes
from zofbot.services.double_clicks import is_double_click
from zofbot.services.escalation_steps import count_taken_steps
from zofbot.services.failures import ActionNotAllowed, Failure, FailureExpired, StaleCard
from zofbot.store.outbox import CommitConflict, Outbox
from zofbot.triage import (
    Action,
    ActionRequest,
    IllegalAction,
    TriageRecord,
    TriageState,
    apply_action,
    effective_record,
    merge_storm_record,
    split_storm_record,
)
from zofbot.triage.escalation_policy import REACK_ANSWER_SECONDS

log = structlog.get_logger()

MAX_COMMIT_ATTEMPTS = 20
"""Attempts to commit an action while others commit first; each conflict means that somebody else succeeded."""

MAX_PRUNED_FAILURES = 500
"""Maximum expired failures removed from the index in one read."""


@dataclass(frozen=True)
class _StoredFailure:
    """Stored fields of a failure: the payload (``body``), the triage ``record``, the key of its ``storm``."""

    key: str
    body: str | None = None
    record: str | None = None
    storm: str | None = None

    def parse_record(self) -> TriageRecord:
        """Parse the triage record; an empty one if there is none. Raises ValidationError."""
        return TriageRecord.model_validate_json(self.record) if self.record else TriageRecord()


@dataclass(frozen=True)
class _LoadedFailure:
    """A failure that is about to change, with the stored fields of it and of its ``storm``, if any."""

    failure: Failure
    stored: _StoredFailure
    storm: _StoredFailure | None

    @property
    def expected(self) -> dict[str, dict[str, str | None]]:
        """The stored fields that the change depends on."""
        return {
            failure_hash(self.stored.key): {"body": self.stored.body, "storm": self.stored.storm},
            triage_hash(self.failure.channel): {each.key: each.record for each in (self.stored, self.storm) if each},
        }

    def record_changes(self, present: TriageRecord) -> dict[str, dict[str, str | None]]:
        """Return the change that stores a new triage record."""
        own = split_storm_record(present, self.storm.parse_record()) if self.storm else present
        return {triage_hash(self.failure.channel): {self.stored.key: own.model_dump_json(exclude_defaults=True)}}


class TriageService:
    """Failures of all channels, and actions on them. Every method raises StoreUnavailable."""

    def __init__(self, outbox: Outbox, clock: Clock, events: EventEmitter) -> None:
        self._outbox = outbox
        self._clock = clock
        self._events = events

    async def get(self, key: str) -> Failure | None:
        """Return the failure whose alert has ``key``; None if it is not stored."""
        [stored], storms = await self._read_with_storms([key])
        return self._build_failure(stored, storms)

    async def list_by_keys(self, keys: Sequence[str]) -> list[Failure]:
        """Return those of the failures that are stored, in the order of ``keys``."""
        found, storms = await self._read_with_storms(list(keys))
        return [failure for stored in found if (failure := self._build_failure(stored, storms))]

    async def list_failures(self, channel: str = "") -> list[Failure]:
        """Return all stored failures, or those of one channel, ordered by first alert."""
        known = (await self._outbox.read_hashes(FAILURES_HASH))[FAILURES_HASH]
        times = {key: parse_stored("time of a failure", at, float, 0.0) for key, at in known.items()}
        keys = [key for key in sorted(times, key=times.__getitem__) if _is_in_channel(key, channel)]
        found, storms = await self._read_with_storms(keys)
        if gone := [stored.key for stored in found if stored.body is None]:
            await self._prune_expired(gone[:MAX_PRUNED_FAILURES])
        return [failure for stored in found if (failure := self._build_failure(stored, storms))]

    async def alert_key_at(self, place: Receipt) -> str:
        """Return the key of the failure whose message is at ``place``, by stored receipts; empty if there is none."""
        known = (await self._outbox.read_hashes(FAILURES_HASH))[FAILURES_HASH]
        entries = await self._outbox.get_records([key for key in known if _is_in_channel(key, place.channel)])
        again = await self._outbox.get_records([entry.replaced_by for entry in entries if entry.replaced_by])
        return next(
            (alert_key_of(entry.key, place.channel) for entry in [*entries, *again] if entry.receipt == place), ""
        )

    async def perform_action(self, key: str, request: ActionRequest, *, version: str = "") -> Failure:
        """Apply an action and commit its follow-up notifications in one transaction; returns the new state.

        Raises FailureExpired, ActionNotAllowed, and StaleCard if the failure is no longer at ``version`` (empty: any).
        A request that was carried out before changes nothing.
        """
        for _ in range(MAX_COMMIT_ATTEMPTS):
            loaded = await self._load_failure(key)
            failure = await self._with_taken_steps(loaded.failure) if request.act is Action.ESCALATE else loaded.failure
            present = failure.present
            if (request.request and request.request in present.requests) or is_double_click(present, request):
                return failure
            if version and version != present.card_version:
                self._events.emit(TriageRefused(request.act.value, key, "the card was out of date"))
                raise StaleCard(failure)
            try:
                after = apply_action(present, request, failure.body.test_facts, failure.body.policy)
            except IllegalAction as error:
                self._events.emit(TriageRefused(request.act.value, key, f"not allowed from {present.state.value}"))
                raise ActionNotAllowed(failure, error.act) from error
            done = replace(failure, present=with_thread_line(failure, after, request))
            try:
                await self._commit_action(loaded, done, request)
            except CommitConflict:
                continue
            self._events.emit(TriageAct(request.act.value, key, present.state.value, after.state.value, request.who.id))
            return done
        raise StoreUnavailable("Too many people are changing this failure at once.", "Try again.")

    async def ask_later(self, key: str, at: float) -> None:
        """Postpone the question whether the acknowledgement still holds, and so its expiry, to ``at`` (Unix seconds).

        Not an action by a person, so cards that show the failure stay current. Raises FailureExpired.
        """
        loaded = await self._load_failure(key)
        failure = loaded.failure
        if failure.present.asks is None or failure.present.state is not TriageState.ACKNOWLEDGED:
            return
        present = failure.present.model_copy(update={"asks": at, "until": at + REACK_ANSWER_SECONDS})
        with suppress(CommitConflict):  # somebody acted meanwhile, which decides
            await self._outbox.commit(
                [
                    *schedule_reminders(key, failure.channel, present, failure.body.policy),
                    *schedule_card_edits(failure.cards, failure.channel, present),
                ],
                changes=loaded.record_changes(present),
                expect=loaded.expected,
            )

    async def restore_failure(
        self, key: str, body: RunAlertPayload | CaseAlertPayload, message: Receipt | None
    ) -> None:
        """Restore an expired failure from ``body``, and update its card if the location of its ``message`` is known."""
        now = self._clock.time()
        if message:
            await self._outbox.record_receipt(key, message)
        card = [refresh_card(key, now)] if message else []  # without it the alert would be posted again
        changes = {
            failure_hash(key): {"body": payloads.dump_payload_json(body)},
            FAILURES_HASH: {key: f"{now:.0f}"},
        }
        with suppress(CommitConflict):  # restored by another request at the same time
            await self._outbox.commit(card, changes=changes, expect={failure_hash(key): {"body": None}})

    async def _prune_expired(self, keys: list[str]) -> None:
        """Remove expired failures from the index, and their triage records, unless Redis answers reads only."""
        changes: dict[str, dict[str, str | None]] = {FAILURES_HASH: dict.fromkeys(keys)}
        for key in keys:
            changes.setdefault(triage_hash(_channel_of(key)), {})[key] = None
        try:
            await self._outbox.commit([], changes=changes, expect={failure_hash(key): {"body": None} for key in keys})
        except (CommitConflict, StoreUnavailable) as error:  # one was restored, or Redis answers reads only
            log.info("expired failures not removed", cause=type(error).__name__)  # the next read removes them

    async def _with_taken_steps(self, failure: Failure) -> Failure:
        """Count the escalation steps that reminders took, too: its own, or those of the storm that it opened with."""
        steps = await count_taken_steps(self._outbox, failure)
        storm = await self.get(failure.storm) if failure.storm else None
        if storm and storm.present.opened == failure.present.opened:
            steps = max(steps, await count_taken_steps(self._outbox, storm))
        return replace(failure, present=failure.present.model_copy(update={"steps": steps}))

    async def _commit_action(self, loaded: _LoadedFailure, after: Failure, request: ActionRequest) -> None:
        before, acted = loaded.failure, f"{self._clock.time():.0f}"
        await self._outbox.commit(
            list(follow_up_notifications(before, after, request)),
            changes={
                **loaded.record_changes(after.present),
                failure_hash(after.key): {"acted": acted},  # extends its expiry
                **await resolution_changes(self._outbox, before, after, request),
            },
            expect=loaded.expected,
            acts=[build_audit_record(before, after, request).model_dump_json()],
        )

    async def _load_failure(self, key: str) -> _LoadedFailure:
        """Load a failure to change it. Raises FailureExpired."""
        [stored], storms = await self._read_with_storms([key])
        failure = self._build_failure(stored, storms)
        if failure is None:
            raise FailureExpired(key)
        return _LoadedFailure(failure, stored, storms[failure.storm] if failure.storm else None)

    async def _read_with_storms(self, keys: list[str]) -> tuple[list[_StoredFailure], dict[str, _StoredFailure]]:
        """Read the stored fields of failures and of their storms; the storms take a second round trip."""
        found = await self._read_fields(keys)
        by_key = {stored.key: stored for stored in found}
        more = {stored.storm for stored in found if stored.storm} - set(by_key)
        return found, by_key | {stored.key: stored for stored in await self._read_fields(sorted(more))}

    async def _read_fields(self, keys: list[str]) -> list[_StoredFailure]:
        names = [
            pair
            for key in keys
            for pair in (
                (failure_hash(key), "body"),
                (triage_hash(_channel_of(key)), key),
                (failure_hash(key), "storm"),
            )
        ]
        found = await self._outbox.read_fields(*names) if names else []
        return [_StoredFailure(*each) for each in zip(keys, found[::3], found[1::3], found[2::3], strict=True)]

    def _build_failure(self, stored: _StoredFailure, others: Mapping[str, _StoredFailure]) -> Failure | None:
        if stored.body is None:
            return None
        try:
            shown = payloads.load_payload_json(stored.body)
            record = stored.parse_record()
        except ValidationError as error:
            log.error("unreadable failure", key=stored.key, problems=error.error_count())
            return None
        if not isinstance(shown, FailurePayload):
            return None
        present = effective_record(record, shown.test_facts, self._clock.time())
        storm = self._build_failure(others[stored.storm], {}) if stored.storm else None
        if storm:
            present = merge_storm_record(present, storm.present, shown.test_facts.failures)
        return Failure(stored.key, _channel_of(stored.key), shown, present, storm.key if storm else "")


def without_split_storms(failures: Iterable[Failure]) -> list[Failure]:
    """Leave out each storm with open members, which represent it; of a cause, leave out the members."""
    known = list(failures)
    causes = {each.key for each in known if isinstance(each.body, StormPayload) and each.body.by_cause}
    left = [failure for failure in known if failure.storm not in causes]
    open_ = {failure.storm for failure in left if not failure.present.state.is_closed}
    return [failure for failure in left if failure.key not in open_]


def without_storm_members(failures: Iterable[Failure]) -> list[Failure]:
    """Leave out members of storms: the storm represents them."""
    return [failure for failure in failures if not failure.storm]


def _channel_of(key: str) -> str:
    """Return the channel of an alert, which is the last part of its key."""
    return key.rpartition(":")[2]


def _is_in_channel(key: str, channel: str) -> bool:
    return not channel or _channel_of(key) == channel
