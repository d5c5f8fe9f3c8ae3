"""Postponing at delivery time: reminders wait for quiet hours and mutes, and held-back alerts for mutes.

Checked again on delivery because quiet hours and mutes may have changed since a reminder was scheduled.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from zofbot.alerting.catch_up_entries import CatchUpEntry, parse_entry
from zofbot.alerting.holds import Hold, compute_hold, dump_held_record, is_critical, matches_failure
from zofbot.alerting.state import MUTES, catch_up_hash, held_hash
from zofbot.clock import Clock
from zofbot.notifications.catch_up_payload import CatchUpLine, CatchUpPayload
from zofbot.notifications.idempotency import split_key
from zofbot.notifications.notification import (
    Claim,
    Notification,
    NotificationKind,
    Obsolete,
    Postponed,
)
from zofbot.notifications.payloads import dump_payload, holds_payload
from zofbot.notifications.storm_payloads import StormPayload
from zofbot.notifications.thread_payloads import ReminderPayload
from zofbot.services.failures import Failure
from zofbot.services.triage import TriageService
from zofbot.store.outbox import CommitConflict, Outbox
from zofbot.store.subscriptions import Subscriptions
from zofbot.subscriptions.mute import active_mutes, read_mutes
from zofbot.triage import TriageState

RETRY_SECONDS = 1.0
"""Seconds until the next check if a mute changed just now."""


class Postponing:
    """Filter applied to each notification before rendering. Raises StoreUnavailable."""

    def __init__(self, outbox: Outbox, subscriptions: Subscriptions, failures: TriageService, clock: Clock) -> None:
        self._outbox, self._subscriptions, self._failures, self._clock = outbox, subscriptions, failures, clock

    async def __call__(self, claim: Claim) -> Claim | Postponed | Obsolete:
        """Return the notification to render, or that it must wait, or Obsolete if it was rescheduled."""
        note = claim.notification
        if holds_payload(note.body, CatchUpPayload):
            return await self._listed(claim)
        if note.not_before and note.kind is not NotificationKind.EDIT:
            return await self._postpone(note) or claim
        return claim

    async def _postpone(self, note: Notification) -> Postponed | Obsolete | None:
        """Make a reminder wait for quiet hours and mutes, and an alert that waited for quiet hours wait for mutes.

        A question whether somebody is still working on a failure is rescheduled instead.
        """
        failure = await self._failures.get(note.root or note.key)
        timer = ReminderPayload.model_validate(note.body) if holds_payload(note.body, ReminderPayload) else None
        if failure is None or (timer and not timer.is_still_wanted(failure.present)):
            return None
        known = (await self._outbox.read_hashes(MUTES))[MUTES]
        hold = await self._hold(failure, note.channel, known, quiet=timer is not None)
        if not hold.until:
            return None
        if timer and timer.sort == "ask":
            await self._failures.ask_later(note.root, hold.until)
            return Obsolete()
        return Postponed(await self._wait(note.key, hold, known))

    async def _hold(self, failure: Failure, channel: str, known: Mapping[str, str], *, quiet: bool) -> Hold:
        """Return what holds back notifications of a failure in a channel (its present id) now."""
        body, now = failure.body, self._clock.time()
        own = await self._subscriptions.list_for_channel(channel) if quiet else ()
        matched = [each for each in own if each.id in body.takers]
        mutes = active_mutes(read_mutes(known), channel, now)
        matching = [mute for mute in mutes if matches_failure(mute, body)]
        critical = body.critical if isinstance(body, StormPayload) else is_critical(body.run.environment)
        return compute_hold(now, matched, matching, critical=critical)

    async def _wait(self, key: str, hold: Hold, known: Mapping[str, str]) -> float:
        """Return the seconds until it is due. It is recorded with its mutes, so that ending one early releases it."""
        changes = {held_hash(mute.id): {key: dump_held_record(hold)} for mute in hold.mutes}
        expected = {MUTES: {mute.id: known[mute.id] for mute in hold.mutes}}
        try:
            if changes:
                await self._outbox.commit([], changes=changes, expect=expected)
        except CommitConflict:
            return RETRY_SECONDS
        return hold.until - self._clock.time()

    async def _listed(self, claim: Claim) -> Claim:
        """Return the summary with the current state of each failure it lists."""
        note = claim.notification
        name = catch_up_hash(split_key(note.key)[2])  # the channel's id when it was committed
        stored = (await self._outbox.read_hashes(name))[name]
        read = {root: parse_entry(value) for root, value in stored.items()}
        items = {root: item for root, item in read.items() if item and item.key == note.key and item.listed}
        found = await self._failures.list_by_keys(sorted(items, key=lambda root: items[root].at))
        lines = tuple(_line(failure, items[failure.key]) for failure in found if not failure.body.is_withdrawn)
        body = CatchUpPayload.model_validate(note.body).model_copy(update={"failures": lines})
        return replace(claim, notification=note.model_copy(update={"body": dump_payload(body)}))


def _line(failure: Failure, item: CatchUpEntry) -> CatchUpLine:
    body, present = failure.body, failure.present
    recovered = present.state is TriageState.RECOVERED
    return CatchUpLine(
        title=failure.title, at=item.at, state=present.state,
        since=(body.turned or 0.0) if recovered else present.since, owner=present.owner.name,
    )  # fmt: skip
