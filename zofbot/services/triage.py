"""Triage: the current state of failures, and actions on them, stored with their follow-ups in one transaction.

Optimistic locking: an action commits only if the state it was decided on is unchanged, else it is decided again.
Slack's request id is stored with the action, so a request that is delivered twice acts once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

import structlog
from pydantic import ValidationError

from zofbot.alerting.reminders import schedule_reminders
from zofbot.alerting.state import FAILURES_HASH, failure_hash, triage_hash
from zofbot.clock import Clock
from zofbot.domain.errors import StoreUnavailable
from zofbot.notifications import payloads
from zofbot.notifications.idempotency import alert_key_of, edit_key
from zofbot.notifications.notification import NOTIFICATION_SCHEMA, Notification, NotificationKind, Receipt
from zofbot.notifications.payloads import ActionPayload, CaseAlertPayload, FailurePayload, RunAlertPayload, StormPayload
from zofbot.observability.emitter import EventEmitter
from zofbot.observability.events.requests import TriageAct, TriageRefused
from zofbot.store.audit import AuditRecord
from zofbot.store.outbox import CommitConflict, Outbox
from zofbot.triage import (
    Action,
    ActionRequest,
    IllegalAction,
    TriageRecord,
    TriageState,
    effective_record,
    merge_storm_record,
)
from zofbot.triage import apply_action as move
from zofbot.triage.actions import next_step
from zofbot.triage.policy import REACK_ANSWER_SECONDS

log = structlog.get_logger()

MAX_COMMIT_ATTEMPTS = 20
"""Attempts to commit an action while others commit first; each conflict means that somebody else succeeded."""

MAX_PRUNED_FAILURES = 500
"""Maximum expired failures removed from the index in one read."""

DOUBLE_CLICK_SECONDS = 10.0
"""Seconds within which the same action by the same person counts as a double click."""


@dataclass(frozen=True)
class Failure:
    """A failure's current state: the payload its alert shows (``body``), and its triage record (``present``).

    ``storm`` is the key of the storm that it belongs to; actions on the storm apply to it, too.
    """

    key: str
    channel: str
    body: FailurePayload
    present: TriageRecord
    storm: str = ""

    @property
    def title(self) -> str:
        """Title shown in the channel, or the run's id."""
        return self.body.title or self.body.run.id

    def allows_action(self, request: ActionRequest) -> bool:
        """Return whether the action is allowed in the current state."""
        try:
            move(self.present, request, self.body.test_facts, self.body.policy)
        except IllegalAction:
            return False
        return True


@dataclass(frozen=True)
class _StoredFailure:
    """Stored fields of a failure: the payload (``body``), the triage ``record``, the key of its ``storm``."""

    key: str
    body: str | None = None
    record: str | None = None
    storm: str | None = None


class StaleCard(Exception):
    """The button belongs to an outdated card; ``failure`` is the current state."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.key)
        self.failure = failure


class FailureExpired(Exception):
    """The failure is no longer stored."""


class ActionNotAllowed(Exception):
    """The state machine does not allow the action; ``failure`` is the current state."""

    def __init__(self, failure: Failure, act: Action) -> None:
        super().__init__(failure.key)
        self.failure, self.act = failure, act


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

    async def of(self, keys: Sequence[str]) -> list[Failure]:
        """Return those of the failures that are stored, in the order of ``keys``."""
        found, storms = await self._read_with_storms(list(keys))
        return [failure for stored in found if (failure := self._build_failure(stored, storms))]

    async def list_failures(self, channel: str = "") -> list[Failure]:
        """Return all stored failures, or those of one channel, ordered by first alert."""
        known = (await self._outbox.read_hashes(FAILURES_HASH))[FAILURES_HASH]
        keys = [
            key for key, _ in sorted(known.items(), key=lambda item: float(item[1])) if _is_in_channel(key, channel)
        ]
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
            failure, stored = await self._load_stored(key)
            present = failure.present
            if (request.request and request.request in present.requests) or _is_double_click(present, request):
                return failure
            if version and version != present.card_version:
                self._events.emit(TriageRefused(request.act.value, key, "the card shows what has passed"))
                raise StaleCard(failure)
            try:
                after = move(present, request, failure.body.test_facts, failure.body.policy)
            except IllegalAction as error:
                self._events.emit(TriageRefused(request.act.value, key, f"not allowed from {present.state.value}"))
                raise ActionNotAllowed(failure, error.act) from error
            done = replace(failure, present=after)
            try:
                await self._commit_action(failure, done, request, stored)
            except CommitConflict:
                continue
            self._events.emit(TriageAct(request.act.value, key, present.state.value, after.state.value, request.who.id))
            return done
        raise StoreUnavailable("Too many people act on this failure at once.", "Look how it stands, and try again.")

    async def ask_later(self, key: str, at: float) -> None:
        """Postpone the question whether the acknowledgement still holds, and so its expiry, to ``at`` (Unix seconds).

        Not an action by a person, so cards that show the failure stay current. Raises FailureExpired.
        """
        failure, stored = await self._load_stored(key)
        if failure.present.asks is None or failure.present.state is not TriageState.ACKNOWLEDGED:
            return
        present = failure.present.model_copy(update={"asks": at, "until": at + REACK_ANSWER_SECONDS})
        place = triage_hash(failure.channel)
        with suppress(CommitConflict):  # somebody acted meanwhile, which decides
            await self._outbox.commit(
                list(schedule_reminders(key, failure.channel, present, failure.body.policy)),
                changes={place: {key: present.model_dump_json(exclude_defaults=True)}},
                expect={failure_hash(key): {"body": stored.body, "storm": stored.storm}, place: {key: stored.record}},
            )

    async def restore_failure(
        self, key: str, body: RunAlertPayload | CaseAlertPayload, message: Receipt | None
    ) -> None:
        """Restore an expired failure from ``body``; ``message`` is the location of its message, if known."""
        if message:
            await self._outbox.record_receipt(key, message)
        changes = {
            failure_hash(key): {"body": payloads.dump_payload_json(body)},
            FAILURES_HASH: {key: f"{self._clock.time():.0f}"},
        }
        with suppress(CommitConflict):  # restored by another request at the same time
            await self._outbox.commit([], changes=changes, expect={failure_hash(key): {"body": None}})

    async def _prune_expired(self, keys: list[str]) -> None:
        """Remove expired failures from the index, and their triage records."""
        changes: dict[str, dict[str, str | None]] = {FAILURES_HASH: dict.fromkeys(keys)}
        for key in keys:
            changes.setdefault(triage_hash(_channel_of(key)), {})[key] = None
        with suppress(CommitConflict):  # one was restored; the next read prunes the others
            await self._outbox.commit([], changes=changes, expect={failure_hash(key): {"body": None} for key in keys})

    async def _commit_action(
        self, before: Failure, after: Failure, request: ActionRequest, stored: _StoredFailure
    ) -> None:
        place = triage_hash(after.channel)
        record, acted = after.present.model_dump_json(exclude_defaults=True), f"{self._clock.time():.0f}"
        await self._outbox.commit(
            list(_follow_up_notifications(before, after, request)),
            changes={place: {after.key: record}, failure_hash(after.key): {"acted": acted}},  # extends its expiry
            expect={
                failure_hash(after.key): {"body": stored.body, "storm": stored.storm},
                place: {after.key: stored.record},
            },
            acts=[_audit_record(before, after, request).model_dump_json()],
        )

    async def _load_stored(self, key: str) -> tuple[Failure, _StoredFailure]:
        """Return a failure and its stored fields. Raises FailureExpired."""
        [stored], storms = await self._read_with_storms([key])
        failure = self._build_failure(stored, storms)
        if failure is None:
            raise FailureExpired(key)
        return failure, stored

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
            record = TriageRecord.model_validate_json(stored.record) if stored.record else TriageRecord()
        except ValidationError as error:
            log.error("unreadable failure", key=stored.key, problems=error.error_count())
            return None
        if not isinstance(shown, FailurePayload):
            return None
        present = effective_record(record, shown.test_facts, self._clock.time())
        storm = self._build_failure(others[stored.storm], {}) if stored.storm else None
        if storm:
            present = merge_storm_record(present, storm.present)
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


def _is_double_click(present: TriageRecord, request: ActionRequest) -> bool:
    """Return whether this repeats the last action: a double click, or a form submitted again."""
    same = present.did is request.act and present.by.id == request.who.id and present.by.id != ""
    return same and request.at - present.at < DOUBLE_CLICK_SECONDS and _is_same_input(present, request)


def _is_same_input(present: TriageRecord, request: ActionRequest) -> bool:
    """Return whether the input equals the current state."""
    match request.act:
        case Action.ASSIGN:
            return request.owner is not None and request.owner.id == present.owner.id
        case Action.SNOOZE:
            return (
                request.more == present.more
                and abs((request.until or 0.0) - (present.until or 0.0)) < DOUBLE_CLICK_SECONDS
            )
        case Action.RESOLVE:
            return (request.reason, request.note) == (present.reason, present.note)
        case _:
            return True


def _follow_up_notifications(before: Failure, after: Failure, request: ActionRequest) -> Iterator[Notification]:
    """Yield an action's notifications: updated cards, a thread reply, a message to the assignee, reminders."""
    present, at = after.present, request.at

    def build_notification(
        kind: NotificationKind, name: str, body: ActionPayload | None, channel: str = "", root: str = ""
    ) -> Notification:
        return Notification(
            key=name,
            kind=kind,
            channel=channel or after.channel,
            root="" if kind is NotificationKind.ROOT else root or after.key,
            body=payloads.dump_payload(body) if body else {},
            happened=at,
            critical=kind is NotificationKind.ROOT,
            schema=NOTIFICATION_SCHEMA,
        )

    steps = after.body.policy.escalate
    recipients: tuple[str, ...] = ()
    if request.act is Action.ESCALATE and steps:
        recipients = steps[next_step(before.present, after.body.policy, at)].mention
    elif request.act is Action.WAKE:
        recipients = tuple(filter(None, (before.present.moved_by.id,)))
    mention = tuple(item for item in recipients if item != request.who.id)
    payload = ActionPayload(
        act=request.act, who=request.who.name or request.who.id, owner=present.owner.name, state=present.state,
        until=present.until, more=present.more, hid=present.hid, reason=present.reason, note=present.note,
        mention=mention, title=payloads.clean_text(after.title, 150), channel=after.channel, run_id=after.body.run.id,
    )  # fmt: skip
    cards = after.body.cards if isinstance(after.body, StormPayload) else ()
    yield from (
        build_notification(NotificationKind.EDIT, edit_key(card), None, root=card) for card in (after.key, *cards)
    )
    yield build_notification(NotificationKind.REPLY, f"act:{present.rev}:{after.key}", payload)
    if request.act is Action.ASSIGN and present.owner.id not in ("", request.who.id):
        yield build_notification(
            NotificationKind.ROOT, f"assigned:{present.rev}:{after.key}", payload, present.owner.id
        )
    yield from schedule_reminders(after.key, after.channel, present, after.body.policy)


def _audit_record(before: Failure, after: Failure, request: ActionRequest) -> AuditRecord:
    present = after.present
    details = {
        "reason": present.reason, "note": present.note, "assignee": present.owner.id,
        "until": f"{present.until:.0f}" if present.until else "", "more": str(present.more or ""),
        "run": after.body.run.id,
    }  # fmt: skip
    return AuditRecord(
        at=request.at, act=request.act.value, user=request.who.id, name=request.who.name, channel=after.channel,
        key=after.key, before=before.present.state.value, after=present.state.value, request=request.request,
        details={name: value for name, value in details.items() if value},
    )  # fmt: skip
