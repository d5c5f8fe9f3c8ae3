"""Failures that people work on: how each stands, and the one step in which an act on it is stored with all it leads to.

An act is decided on what was read and committed only where that still holds, so of two at once one goes first and the
other is decided anew. Slack's request is remembered with the act, so one that is delivered twice acts once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace

import structlog
from pydantic import ValidationError

from zofbot import tracing
from zofbot.clock import Clock
from zofbot.errors import StoreUnavailable
from zofbot.metrics import Metrics
from zofbot.notification import SCHEMA, Kind, Notification, Receipt
from zofbot.pipeline.keys import edit_of, root_of
from zofbot.pipeline.memory import FAILURES, failure_of, triage_in
from zofbot.pipeline.timers import follow
from zofbot.slack import bodies
from zofbot.slack.bodies import ActBody, CaseBody, FailureBody, RunBody, StormBody
from zofbot.store.audit import Entry
from zofbot.store.outbox import Changed, Outbox
from zofbot.triage import Act, Illegal, Triage, Wish, current, stand_in_storm
from zofbot.triage import act as move
from zofbot.triage.life import next_step

log = structlog.get_logger()

TRIES = 20
"""How often an act is decided anew because somebody else was faster; each time somebody got on."""

LET_GO = 500
"""How many failures that have faded one look takes off the list at most."""

SAME = 10.0
"""Seconds within which the same act by the same person is the same click."""


@dataclass(frozen=True)
class Failure:
    """A failure as it stands at present: the body its root shows, and what people made of it.

    ``storm`` is the key of the storm that it is part of, whose acts are its own.
    """

    key: str
    channel: str
    body: FailureBody
    present: Triage
    storm: str = ""

    @property
    def title(self) -> str:
        """As the channel knows it."""
        return self.body.title or self.body.run.id

    def allows(self, wish: Wish) -> bool:
        """Whether the act can be done as the failure stands."""
        try:
            move(self.present, wish, self.body.course, self.body.policy)
        except Illegal:
            return False
        return True


@dataclass(frozen=True)
class _Kept:
    """What is stored of a failure: the ``body`` that its root shows, what people made of it, and its ``storm``."""

    key: str
    body: str | None = None
    record: str | None = None
    storm: str | None = None


class Stale(Exception):
    """The card that was pressed shows what has passed: ``failure`` is how it stands now."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.key)
        self.failure = failure


class Gone(Exception):
    """Nothing is known of the failure any more."""


class Forbidden(Exception):
    """The table does not allow the act; ``failure`` is how it stands."""

    def __init__(self, failure: Failure, act: Act) -> None:
        super().__init__(failure.key)
        self.failure, self.act = failure, act


class Failures:
    """The failures of all channels. Every method raises StoreUnavailable."""

    def __init__(self, outbox: Outbox, clock: Clock, metrics: Metrics) -> None:
        self._outbox = outbox
        self._clock = clock
        self._metrics = metrics

    async def get(self, key: str) -> Failure | None:
        """How the failure stands whose root has ``key``; None when nothing is known of it."""
        [kept], storms = await self._read([key])
        return self._failure(kept, storms)

    async def all(self, channel: str = "") -> list[Failure]:
        """All failures that are known, or those of one channel, by when they were first told."""
        known = (await self._outbox.hashes(FAILURES))[FAILURES]
        keys = [key for key, _ in sorted(known.items(), key=lambda item: float(item[1])) if _in(key, channel)]
        found, storms = await self._read(keys)
        if gone := [kept.key for kept in found if kept.body is None]:
            await self._let_go(gone[:LET_GO])
        return [failure for kept in found if (failure := self._failure(kept, storms))]

    async def root_at(self, place: Receipt) -> str:
        """The key of the failure whose message stands there, by the receipts that we keep; empty for none of them."""
        known = (await self._outbox.hashes(FAILURES))[FAILURES]
        entries = await self._outbox.show_all([key for key in known if _in(key, place.channel)])
        again = await self._outbox.show_all([entry.replaced_by for entry in entries if entry.replaced_by])
        return next((root_of(entry.key, place.channel) for entry in [*entries, *again] if entry.receipt == place), "")

    async def do(self, key: str, wish: Wish, *, version: str = "") -> Failure:
        """Do what somebody wishes, and promise all that it leads to, in one step; gives how it stands then.

        Raises Gone, Forbidden, and Stale where the failure is not at ``version`` any more (empty: whatever it is at).
        A wish whose request has been carried out changes nothing.
        """
        for _ in range(TRIES):
            failure, kept = await self._raw(key)
            present = failure.present
            if (wish.request and wish.request in present.requests) or _twice(present, wish):
                return failure
            if version and version != present.version:
                tracing.step("redis", wish.act.value, "refused: the card shows what has passed", ids=(key,))
                raise Stale(failure)
            try:
                after = move(present, wish, failure.body.course, failure.body.policy)
            except Illegal as error:
                tracing.step("redis", wish.act.value, f"refused: not allowed from {present.state.value}", ids=(key,))
                raise Forbidden(failure, error.act) from error
            done = replace(failure, present=after)
            try:
                await self._commit(failure, done, wish, kept)
            except Changed:
                continue
            self._metrics.triage.labels(wish.act.value).inc()
            tracing.step("redis", wish.act.value, f"stored: {present.state.value} to {after.state.value}", ids=(key,))
            log.info("triage", act=wish.act, key=key, before=present.state, after=after.state, by=wish.who.id)
            return done
        raise StoreUnavailable("Too many people act on this failure at once.", "Look how it stands, and try again.")

    async def adopt(self, key: str, body: RunBody | CaseBody, stands: Receipt | None) -> None:
        """Know a failure again that was forgotten, from what its card could still tell, and where that ``stands``."""
        if stands:
            await self._outbox.found(key, stands)
        changes = {failure_of(key): {"body": bodies.stored_json(body)}, FAILURES: {key: f"{self._clock.time():.0f}"}}
        with suppress(Changed):  # somebody else was asked at the same time, and it is known again
            await self._outbox.commit([], changes=changes, expect={failure_of(key): {"body": None}})

    async def _let_go(self, keys: list[str]) -> None:
        """List no longer what has faded, nor keep what people made of it."""
        changes: dict[str, dict[str, str | None]] = {FAILURES: dict.fromkeys(keys)}
        for key in keys:
            changes.setdefault(triage_in(_channel(key)), {})[key] = None
        with suppress(Changed):  # one of them is known again; the others wait for the next look
            await self._outbox.commit([], changes=changes, expect={failure_of(key): {"body": None} for key in keys})

    async def _commit(self, before: Failure, after: Failure, wish: Wish, kept: _Kept) -> None:
        place = triage_in(after.channel)
        record, acted = after.present.model_dump_json(exclude_defaults=True), f"{self._clock.time():.0f}"
        await self._outbox.commit(
            list(_led_to(before, after, wish)),
            changes={place: {after.key: record}, failure_of(after.key): {"acted": acted}},  # which fades later for it
            expect={failure_of(after.key): {"body": kept.body, "storm": kept.storm}, place: {after.key: kept.record}},
            acts=[_entry(before, after, wish).model_dump_json()],
        )

    async def _raw(self, key: str) -> tuple[Failure, _Kept]:
        """A failure and what was read of it. Raises Gone."""
        [kept], storms = await self._read([key])
        failure = self._failure(kept, storms)
        if failure is None:
            raise Gone(key)
        return failure, kept

    async def _read(self, keys: list[str]) -> tuple[list[_Kept], dict[str, _Kept]]:
        """What is stored of each, and of the storms that they are part of: one round trip more for these."""
        found = await self._fields(keys)
        by_key = {kept.key: kept for kept in found}
        more = {kept.storm for kept in found if kept.storm} - set(by_key)
        return found, by_key | {kept.key: kept for kept in await self._fields(sorted(more))}

    async def _fields(self, keys: list[str]) -> list[_Kept]:
        names = [
            pair
            for key in keys
            for pair in ((failure_of(key), "body"), (triage_in(_channel(key)), key), (failure_of(key), "storm"))
        ]
        found = await self._outbox.fields(*names) if names else []
        return [_Kept(*each) for each in zip(keys, found[::3], found[1::3], found[2::3], strict=True)]

    def _failure(self, kept: _Kept, others: Mapping[str, _Kept]) -> Failure | None:
        if kept.body is None:
            return None
        try:
            shown = bodies.read_json(kept.body)
            record = Triage.model_validate_json(kept.record) if kept.record else Triage()
        except ValidationError as error:
            log.error("unreadable failure", key=kept.key, problems=error.error_count())
            return None
        if not isinstance(shown, FailureBody):
            return None
        present = current(record, shown.course, self._clock.time())
        storm = self._failure(others[kept.storm], {}) if kept.storm else None
        if storm:
            present = stand_in_storm(present, storm.present)
        return Failure(kept.key, _channel(kept.key), shown, present, storm.key if storm else "")


def list_members(failures: Iterable[Failure]) -> list[Failure]:
    """Leave out each storm some of whose members are open: they stand for it."""
    known = list(failures)
    open_ = {failure.storm for failure in known if not failure.present.state.closed}
    return [failure for failure in known if failure.key not in open_]


def list_storms(failures: Iterable[Failure]) -> list[Failure]:
    """Leave out what is part of a storm: the storm stands for it."""
    return [failure for failure in failures if not failure.storm]


def _channel(key: str) -> str:
    """Where a root stands: its key ends with it."""
    return key.rpartition(":")[2]


def _in(key: str, channel: str) -> bool:
    return not channel or _channel(key) == channel


def _twice(present: Triage, wish: Wish) -> bool:
    """Whether this is the second click of a double one, or a form that was sent once more."""
    same = present.did is wish.act and present.by.id == wish.who.id and present.by.id != ""
    return same and wish.at - present.at < SAME and _alike(present, wish)


def _alike(present: Triage, wish: Wish) -> bool:
    """Whether what was filled in is what stands there already."""
    match wish.act:
        case Act.ASSIGN:
            return wish.owner is not None and wish.owner.id == present.owner.id
        case Act.SNOOZE:
            return wish.more == present.more and abs((wish.until or 0.0) - (present.until or 0.0)) < SAME
        case Act.RESOLVE:
            return (wish.reason, wish.note) == (present.reason, present.note)
        case _:
            return True


def _led_to(before: Failure, after: Failure, wish: Wish) -> Iterator[Notification]:
    """What an act leads to: the card drawn anew, a line in the thread, a word to whom it was assigned, timers."""
    present, at = after.present, wish.at

    def made(kind: Kind, name: str, body: ActBody | None, channel: str = "", root: str = "") -> Notification:
        return Notification(
            key=name,
            kind=kind,
            channel=channel or after.channel,
            root="" if kind is Kind.ROOT else root or after.key,
            body=bodies.stored(body) if body else {},
            happened=at,
            critical=kind is Kind.ROOT,
            schema=SCHEMA,
        )

    steps = after.body.policy.escalate
    called: tuple[str, ...] = ()
    if wish.act is Act.ESCALATE and steps:
        called = steps[next_step(before.present, after.body.policy, at)].mention
    elif wish.act is Act.WAKE:
        called = tuple(filter(None, (before.present.put.id,)))
    mention = tuple(one for one in called if one != wish.who.id)
    told = ActBody(
        act=wish.act, who=wish.who.name or wish.who.id, owner=present.owner.name, state=present.state,
        until=present.until, more=present.more, hid=present.hid, reason=present.reason, note=present.note,
        mention=mention, title=bodies.said(after.title, 150), channel=after.channel, run_id=after.body.run.id,
    )  # fmt: skip
    cards = after.body.cards if isinstance(after.body, StormBody) else ()
    yield from (made(Kind.EDIT, edit_of(card), None, root=card) for card in (after.key, *cards))
    yield made(Kind.REPLY, f"act:{present.rev}:{after.key}", told)
    if wish.act is Act.ASSIGN and present.owner.id not in ("", wish.who.id):
        yield made(Kind.ROOT, f"assigned:{present.rev}:{after.key}", told, present.owner.id)
    yield from follow(after.key, after.channel, present, after.body.policy)


def _entry(before: Failure, after: Failure, wish: Wish) -> Entry:
    present = after.present
    details = {
        "reason": present.reason, "note": present.note, "assignee": present.owner.id,
        "until": f"{present.until:.0f}" if present.until else "", "more": str(present.more or ""),
        "run": after.body.run.id,
    }  # fmt: skip
    return Entry(
        at=wish.at, act=wish.act.value, user=wish.who.id, name=wish.who.name, channel=after.channel, key=after.key,
        before=before.present.state.value, after=present.state.value, request=wish.request,
        details={name: value for name, value in details.items() if value},
    )  # fmt: skip
