"""The members of a storm: its alerts, stored and shown by pages."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache, reduce
from typing import Any, NamedTuple

from zofbot.alerting.catch_up_entries import is_unposted
from zofbot.alerting.state import DecisionBuilder, failure_hash, storms_hash
from zofbot.alerting.stored_state import parse_stored
from zofbot.alerting.storms.storm_messages import (
    build_storm_edit,
    build_storm_reply,
    build_summary,
    report_wake_up,
    schedule_escalations,
    schedule_more_escalations,
    with_reopening,
)
from zofbot.alerting.storms.storm_record import (
    OPEN_RETENTION_SECONDS,
    MemberPointer,
    Storm,
    load_storm,
    save_storm,
)
from zofbot.domain.json_encoding import encode_json
from zofbot.notifications import payloads
from zofbot.notifications.alert_payloads import AlertStatus
from zofbot.notifications.idempotency import idempotency_key
from zofbot.notifications.notification import Notification
from zofbot.notifications.storm_payloads import StormMember, StormMembersPayload
from zofbot.triage import TriageRecord

MEMBERS_PER_PAGE = 25
"""Members listed in one message."""

MAX_CACHED_PAGES = 128
"""Parsed pages kept in memory, 43 KB each: each change of a member of an old storm looks at all of its pages."""

MIN_PLACES_LISTED = 2
"""Projects and environments of a cause from which on they are listed in its thread; the card shows one."""


def storm_key_of(draft: DecisionBuilder, channel: str, member: str) -> str:
    """Return the key of the storm that includes the alert with the key ``member``, or an empty string."""
    pointer = _find_pointer(draft, channel, member)
    return pointer.storm if pointer else ""


def _find_pointer(draft: DecisionBuilder, channel: str, member: str) -> MemberPointer | None:
    return MemberPointer.load(draft.read_hash(storms_hash(channel)).get(f"in:{member}", ""))


def members_of(stored: Mapping[str, str], storm: str) -> list[str]:
    """Return the keys of a storm's members, from the hash that keeps them."""
    pointers = {name: MemberPointer.load(value) for name, value in sorted(stored.items()) if name.startswith("in:")}
    return [name.removeprefix("in:") for name, pointer in pointers.items() if pointer and pointer.storm == storm]


def add_member(draft: DecisionBuilder, storm: Storm, member: StormMember, *, card: bool, held: float) -> Storm:
    """Add a member, which is triaged with the storm from now on; ``card``: it has its own message.

    ``held`` is when quiet hours that delay the storm end (Unix seconds), 0 for none.
    """
    name, page = storms_hash(storm.channel), storm.members // MEMBERS_PER_PAGE
    draft.set_field(name, f"in:{member.key}", MemberPointer(page, storm.storm_key).dump())
    listed = (*_load_page(draft, storm.channel, storm.storm_key, page), member.model_copy(update={"causes": ()}))
    _save_page(draft, storm, page, listed, held)
    more: dict[str, Any] = {"members": storm.members + 1, "followed": storm.followed + member.followed}
    more["recovered"] = storm.recovered + (member.standing is AlertStatus.RECOVERED)
    if member.followed:
        draft.set_field(failure_hash(member.key), "storm", storm.storm_key)
    if card:
        more["cards"] = (*storm.cards, member.key)
        draft.add_notifications(build_storm_edit(storm, member.key, {}, held))
    return storm.model_copy(update=more)


class FoundMember(NamedTuple):
    """A member of a storm: the storm, the number of its page, the lines there and its own."""

    storm: Storm
    page: int
    lines: tuple[StormMember, ...]
    line: StormMember


def _find_member(draft: DecisionBuilder, channel: str, member: str) -> FoundMember | None:
    pointer = _find_pointer(draft, channel, member)
    storm = load_storm(draft, channel, pointer.storm) if pointer else None
    if pointer is None or storm is None:
        return None
    lines = _load_page(draft, channel, pointer.storm, pointer.page)
    line = next((each for each in lines if each.key == member), None)
    return FoundMember(storm, pointer.page, lines, line) if line else None


def describe_member(before: StormMember, body: dict[str, Any]) -> StormMember:
    """Return the line about a member whose alert now has the payload ``body``."""
    counts = {"count": body.get("count", 1), "cases": body.get("cases", 1), "last": float(body.get("last", 0.0))}
    return before.model_copy(update={"standing": AlertStatus(body.get("standing", AlertStatus.OPEN)), **counts})


def update_member(draft: DecisionBuilder, channel: str, member: str, body: dict[str, Any], held: float = 0.0) -> None:
    """Update the storm that includes a member whose alert now has the payload ``body``. No-op outside of storms."""
    found = _find_member(draft, channel, member)
    if found is None:
        return
    storm, page, listed, before = found
    after = describe_member(before, body)
    failed = max(storm.failed, after.last)
    if after == before and failed == storm.failed:
        return
    _save_page(draft, storm, page, tuple(after if each.key == member else each for each in listed), held)
    recovered = (after.standing is AlertStatus.RECOVERED) - (before.standing is AlertStatus.RECOVERED)
    repeats = storm.repeats + max(0, after.count - before.count)
    changed = storm.model_copy(update={"recovered": storm.recovered + recovered, "failed": failed, "repeats": repeats})
    at, run = float(body.get("turned") or failed), str(body.get("turner", ""))
    changed = update_standing(draft, _drop_stale_members(draft, changed), at, run, held)
    if failed > storm.failed or changed.reopened != storm.reopened:
        schedule_more_escalations(draft, changed, failed, max(draft.now, held))
    report_wake_up(draft, storm, changed)
    save_storm(draft, changed)
    draft.add_notifications(
        build_storm_edit(changed, changed.storm_key, payloads.dump_payload(changed.summary_body()), held)
    )


def unfollow_member(draft: DecisionBuilder, channel: str, member: str) -> None:
    """Let a storm recover without an open member whose alert is no longer stored, unless nothing else is left of it."""
    pointer = _find_pointer(draft, channel, member)
    storm = load_storm(draft, channel, pointer.storm) if pointer else None
    if pointer is None or storm is None or storm.followed == 1:
        return
    changed = _drop_members(draft, storm, pointer.page, lambda line: line.key == member)
    if changed == storm:
        return
    changed = update_standing(draft, changed, draft.now, "", 0.0)
    save_storm(draft, changed)
    draft.add_notifications(
        build_storm_edit(changed, changed.storm_key, payloads.dump_payload(changed.summary_body()), 0.0)
    )


def _drop_stale_members(draft: DecisionBuilder, storm: Storm) -> Storm:
    """Leave out members whose alerts are too old to be kept, though their scopes may not have been read since."""
    aged = draft.now - OPEN_RETENTION_SECONDS
    pages = range(0) if storm.since > aged else _pages_of(storm)
    return reduce(lambda left, page: _drop_members(draft, left, page, lambda line: 0 < line.last < aged), pages, storm)


def _drop_members(draft: DecisionBuilder, storm: Storm, page: int, is_gone: Callable[[StormMember], bool]) -> Storm:
    before = _load_page(draft, storm.channel, storm.storm_key, page)
    gone = [line.key for line in before if line.is_open and is_gone(line)]
    if not gone:
        return storm
    after = tuple(line.model_copy(update={"dropped": line.dropped or line.key in gone}) for line in before)
    _save_page(draft, storm, page, after, 0.0)
    return storm.model_copy(update={"followed": storm.followed - len(gone)})


def update_standing(draft: DecisionBuilder, storm: Storm, at: float, run: str, held: float) -> Storm:
    """Recover the storm when all members have recovered, reopen it when one fails; ``at`` is Unix seconds.

    If it recovered before it was posted, it is posted with the list of its members when it is reopened; ``held`` is
    when quiet hours that delay this end. A failure may also end a snooze or a resolution of the storm; when that was is
    kept.
    """
    over = storm.open_members == 0
    if over == (storm.standing is AlertStatus.RECOVERED):
        return with_reopening(draft, storm)
    turned: dict[str, Any] = {"turned": at, "turner": run, "turn": storm.turn + 1}
    if over:
        unposted = is_unposted(draft, storm.channel, storm.storm_key)
        return storm.model_copy(update={"standing": AlertStatus.RECOVERED, "unposted": unposted, **turned})
    opened = {"opened": max(at, draft.now), "unposted": False}
    again = storm.model_copy(update={"standing": AlertStatus.AGAIN, **opened, **turned})
    if storm.unposted:
        late = again.opened if is_dropped(draft, storm) else storm.posted_late
        again = again.model_copy(update={"held": held, "posted_late": late})
        draft.add_notifications(build_summary(again, held), *_list_members(draft, again, held))
    draft.add_notifications(*schedule_escalations(again, TriageRecord(turn=again.turn, opened=again.opened), draft.now))
    return again


def is_dropped(draft: DecisionBuilder, storm: Storm) -> bool:
    """Whether the storm's messages were dropped, as it had recovered when they were due."""
    return storm.unposted and not is_unposted(draft, storm.channel, storm.storm_key)


def _pages_of(storm: Storm) -> range:
    return range(math.ceil(storm.members / MEMBERS_PER_PAGE))


def _load_page(draft: DecisionBuilder, channel: str, storm: str, number: int) -> tuple[StormMember, ...]:
    stored = draft.read_hash(storms_hash(channel)).get(f"page:{storm}:{number}", "[]")
    return parse_stored("page of a storm", stored, _parse_page, ())


@lru_cache(maxsize=MAX_CACHED_PAGES)
def _parse_page(stored: str) -> tuple[StormMember, ...]:
    return tuple(StormMember.model_validate(each) for each in json.loads(stored))


def _save_page(
    draft: DecisionBuilder, storm: Storm, number: int, members: tuple[StormMember, ...], held: float
) -> None:
    """Store a page of members and add its message: posted with its first member, edited with each change."""
    rows = [each.model_dump(mode="json", exclude_defaults=True) for each in members]
    draft.set_field(storms_hash(storm.channel), f"page:{storm.storm_key}:{number}", encode_json(rows))
    for reply in _list_page(storm, number, members, held):
        edit = build_storm_edit(storm, reply.key, reply.body, held)
        draft.add_notifications(reply, edit.model_copy(update={"edits_reply": True}))


def _list_members(draft: DecisionBuilder, storm: Storm, held: float) -> Iterator[Notification]:
    """Yield the replies that list all members."""
    for page in _pages_of(storm):
        yield from _list_page(storm, page, _load_page(draft, storm.channel, storm.storm_key, page), held)


def _list_page(storm: Storm, number: int, members: tuple[StormMember, ...], held: float) -> Iterator[Notification]:
    """Yield the reply that lists a page of members, if that says more than the storm's own message."""
    if not storm.flat and not (storm.by_cause and not number and len(members) < MIN_PLACES_LISTED):
        name = idempotency_key("members", storm.id, storm.category, storm.channel, turn=number + 1)
        body = StormMembersPayload(first=number * MEMBERS_PER_PAGE + 1, members=members, by_cause=storm.by_cause)
        yield build_storm_reply(storm, name, body, storm.since, held)
