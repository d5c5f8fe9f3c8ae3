"""The record of a storm: one failure to work on, the list of its members, and how both change with each of them.

All of it is kept in one hash for each channel (``storms_hash``): ``storm:<key>`` is the storm, ``page:<key>:<number>``
a page of its members, and ``in:<key of a member's root>`` says on which page of which storm that one is.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, ConfigDict

from zofbot.alerting.reminders import schedule_reminders
from zofbot.alerting.state import FAILURES_HASH, DecisionBuilder, failure_hash, storms_hash
from zofbot.notifications import payloads
from zofbot.notifications.idempotency import edit_key, idempotency_key
from zofbot.notifications.notification import NOTIFICATION_SCHEMA, Notification, NotificationKind
from zofbot.notifications.payloads import (
    AlertStatus,
    Payload,
    RunSummary,
    StormMember,
    StormMembersPayload,
    StormPayload,
)
from zofbot.triage import EscalationPolicy, TriageRecord

MINUTE_SECONDS = 60.0
EDIT_INTERVAL_SECONDS = 10.0
"""Between two edits of the summary while it grows."""

MAX_PLACES = 200
"""Projects and environments that are counted apart; what is beyond is counted together."""

MEMBERS_PER_PAGE = 25
"""Members in one message of the list."""

MAX_MEMBERS = 2000
"""Members that a channel remembers; where there are more, the oldest storms are let go."""

OPEN_RETENTION_SECONDS, RECOVERED_RETENTION_SECONDS = 14 * 86400.0, 6 * 3600.0
"""For how long after its last change a storm may change."""


class Storm(BaseModel):
    """A storm as the rules remember it. Its key is made from the ``id`` and ``category`` of the first that it took in.

    ``edit_at`` is when the summary is edited next or was last; times are Unix seconds. ``recovered`` counts members.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str
    category: str
    channel: str
    since: float
    last: float
    failed: float = 0.0
    edit_at: float = 0.0
    alerts: int = 0
    failures: int = 0
    places: dict[str, dict[str, int]] = {}
    elsewhere: int = 0
    members: int = 0
    followed: int = 0
    recovered: int = 0
    cards: tuple[str, ...] = ()
    closed: bool = False
    standing: AlertStatus = AlertStatus.OPEN
    turned: float | None = None
    turner: str = ""
    turn: int = 0
    opened: float = 0.0
    mention: tuple[str, ...] = ()
    unmentioned: int = 0
    policy: EscalationPolicy = EscalationPolicy()
    takers: tuple[str, ...] = ()
    critical: bool = False
    run: RunSummary = RunSummary(id="")

    @property
    def storm_key(self) -> str:
        return idempotency_key("storm", self.id, self.category, self.channel)

    @property
    def open_members(self) -> int:
        """Members that may recover and have not."""
        return self.followed - self.recovered

    def with_failures(self, project: str, environment: str, failures: int) -> Storm:
        """With one more alert in it."""
        counted = {name: dict(inside) for name, inside in self.places.items()}
        room = sum(map(len, counted.values())) < MAX_PLACES or environment in counted.get(project, {})
        if room:
            inside = counted.setdefault(project, {})
            inside[environment] = inside.get(environment, 0) + failures
        more = {
            "alerts": self.alerts + 1,
            "failures": self.failures + failures,
            "elsewhere": self.elsewhere + (0 if room else failures),
        }
        return self.model_copy(update={"places": counted, **more})

    def summary_body(self) -> StormPayload:
        """The summary as it stands; it counts as over a minute after ``last`` even when nothing closes it."""
        rows = [
            (project, environment, count)
            for project, inside in self.places.items()
            for environment, count in inside.items()
        ]
        rows.sort(key=lambda row: (-row[2], row))
        shared = self.model_dump(include=set(StormPayload.model_fields) - {"card", "places", "elsewhere", "members"})
        elsewhere = self.elsewhere + sum(count for *_, count in rows[30:])
        return StormPayload(
            **shared, places=tuple(rows[:30]), elsewhere=elsewhere, members=self.followed, open=self.open_members
        )


def load_storm(draft: DecisionBuilder, channel: str, storm: str) -> Storm | None:
    """The storm whose summary has the key ``storm``, while it may change."""
    kept = draft.read_hash(storms_hash(channel)).get(f"storm:{storm}")
    return Storm.model_validate_json(kept) if kept else None


def save_storm(draft: DecisionBuilder, storm: Storm) -> None:
    """Remember a storm; one with members is a failure to work on."""
    draft.set_field(
        storms_hash(storm.channel), f"storm:{storm.storm_key}", storm.model_dump_json(exclude_defaults=True)
    )
    if storm.followed:
        draft.set_field(FAILURES_HASH, storm.storm_key, f"{storm.since:.0f}")
        draft.set_field(failure_hash(storm.storm_key), "body", payloads.dump_payload_json(storm.summary_body()))


def storm_key_of(draft: DecisionBuilder, channel: str, member: str) -> str:
    """The key of the storm that the root under the key ``member`` is part of; empty for none."""
    return draft.read_hash(storms_hash(channel)).get(f"in:{member}", "").partition(" ")[2]


def add_member(draft: DecisionBuilder, storm: Storm, member: StormMember, *, card: bool, held: float) -> Storm:
    """List one more, which is worked on with the others from now on; ``card``: it has a message of its own.

    Where quiet hours hold the storm, ``held`` is when they end (Unix seconds).
    """
    name, page = storms_hash(storm.channel), storm.members // MEMBERS_PER_PAGE
    draft.set_field(name, f"in:{member.key}", f"{page} {storm.storm_key}")
    listed = (*_load_page(draft, storm.channel, storm.storm_key, page), member)
    _save_page(draft, storm, page, listed, held)
    more: dict[str, Any] = {"members": storm.members + 1, "followed": storm.followed + member.followed}
    if member.followed:
        draft.set_field(failure_hash(member.key), "storm", storm.storm_key)
    if card:
        more["cards"] = (*storm.cards, member.key)
        draft.add_notifications(build_storm_edit(storm, member.key, {}, held))
    return storm.model_copy(update=more)


def update_member(draft: DecisionBuilder, channel: str, member: str, body: dict[str, Any], held: float = 0.0) -> None:
    """Show in a storm what became of a member whose root shows ``body`` now; nothing for what is in none."""
    pointer = draft.read_hash(storms_hash(channel)).get(f"in:{member}", "")
    number, _, storm_key = pointer.partition(" ")
    storm = load_storm(draft, channel, storm_key)
    if storm is None:
        return
    listed = _load_page(draft, channel, storm_key, int(number))
    before = next((each for each in listed if each.key == member), None)
    if before is None:
        return
    after = before.model_copy(
        update={"standing": AlertStatus(body.get("standing", AlertStatus.OPEN)), "count": body.get("count", 1)}
    )
    failed = max(storm.failed, float(body.get("last", 0.0)))
    if after == before and failed == storm.failed:
        return
    _save_page(draft, storm, int(number), tuple(after if each.key == member else each for each in listed), held)
    recovered = (after.standing is AlertStatus.RECOVERED) - (before.standing is AlertStatus.RECOVERED)
    changed = storm.model_copy(update={"recovered": storm.recovered + recovered, "failed": failed})
    at, run = float(body.get("turned") or failed), str(body.get("turner", ""))
    changed = update_standing(draft, changed, at, run)
    if failed > storm.failed:
        draft.add_notifications(
            *schedule_escalations(changed, TriageRecord(turn=changed.turn, opened=failed), draft.now)
        )
    save_storm(draft, changed)
    draft.add_notifications(
        build_storm_edit(changed, changed.storm_key, payloads.dump_payload(changed.summary_body()), held)
    )


def update_standing(draft: DecisionBuilder, storm: Storm, at: float, run: str) -> Storm:
    """Have it recover once all of it has, or open again once one of them fails; ``at`` is Unix seconds."""
    over = storm.open_members == 0
    if over == (storm.standing is AlertStatus.RECOVERED):
        return storm
    turned: dict[str, Any] = {"turned": at, "turner": run, "turn": storm.turn + 1}
    if over:
        return storm.model_copy(update={"standing": AlertStatus.RECOVERED, **turned})
    again = storm.model_copy(update={"standing": AlertStatus.AGAIN, "opened": max(at, draft.now), **turned})
    draft.add_notifications(*schedule_escalations(again, TriageRecord(turn=again.turn, opened=again.opened), draft.now))
    return again


def schedule_escalations(storm: Storm, present: TriageRecord, told: float) -> Iterator[Notification]:
    """What follows where nobody acts: one escalation for all of it, however many they are."""
    yield from schedule_reminders(storm.storm_key, storm.channel, present, storm.policy, told=told)


def build_storm_reply(storm: Storm, name: str, body: Payload, happened: float, held: float) -> Notification:
    """Something said in the thread of a storm, under the key ``name``."""
    return Notification(
        key=name,
        kind=NotificationKind.REPLY,
        channel=storm.channel,
        body=payloads.dump_payload(body),
        root=storm.storm_key,
        happened=happened,
        critical=storm.critical,
        not_before=held,
        schema=NOTIFICATION_SCHEMA,
    )


def build_storm_edit(
    storm: Storm, message: str, body: dict[str, Any], not_before: float, name: str = ""
) -> Notification:
    """An edit of one of a storm's messages: its summary, a page of its list, or a member's own."""
    return Notification(
        key=name or edit_key(message), kind=NotificationKind.EDIT, channel=storm.channel, body=body, root=message,
        happened=storm.since, critical=storm.critical, not_before=not_before, schema=NOTIFICATION_SCHEMA,
    )  # fmt: skip


def prune_storms(draft: DecisionBuilder, channel: str, current: str) -> None:
    """Let go of what cannot change any more and, where there is too much, of the oldest; never of ``current``."""
    fields = draft.read_hash(storms_hash(channel))
    storms = [Storm.model_validate_json(kept) for name, kept in fields.items() if name.startswith("storm:")]
    storms.sort(key=lambda storm: storm.since, reverse=True)
    kept, members = {current}, 0
    for storm in storms:
        members += storm.members
        if not _is_over(storm, draft.now) and members <= MAX_MEMBERS:
            kept.add(storm.storm_key)
    gone = [name for name, value in fields.items() if (of := _storm_of_field(name, value)) and of not in kept]
    draft.delete_fields(storms_hash(channel), gone)


def _is_over(storm: Storm, now: float) -> bool:
    if storm.standing is AlertStatus.RECOVERED:
        return max(storm.turned or 0.0, storm.last) < now - RECOVERED_RETENTION_SECONDS
    return max(storm.failed, storm.last) < now - OPEN_RETENTION_SECONDS


def _storm_of_field(name: str, value: str) -> str:
    """The storm that a field is about; empty where it is about none."""
    kind, _, rest = name.partition(":")
    match kind:
        case "storm":
            return rest
        case "page":
            return rest.rpartition(":")[0]
        case "in":
            return value.partition(" ")[2]
        case _:
            return ""


def _load_page(draft: DecisionBuilder, channel: str, storm: str, number: int) -> tuple[StormMember, ...]:
    kept = draft.read_hash(storms_hash(channel)).get(f"page:{storm}:{number}", "[]")
    return tuple(StormMember.model_validate(each) for each in json.loads(kept))


def _save_page(
    draft: DecisionBuilder, storm: Storm, number: int, members: tuple[StormMember, ...], held: float
) -> None:
    """Remember a page and have its message show it: posted with the first on it, edited with each change."""
    rows = [each.model_dump(mode="json", exclude_defaults=True) for each in members]
    draft.set_field(
        storms_hash(storm.channel), f"page:{storm.storm_key}:{number}", json.dumps(rows, separators=(",", ":"))
    )
    name = idempotency_key("members", storm.id, storm.category, storm.channel, turn=number + 1)
    body = StormMembersPayload(first=number * MEMBERS_PER_PAGE + 1, members=members)
    draft.add_notifications(
        build_storm_reply(storm, name, body, storm.since, held),
        build_storm_edit(storm, name, payloads.dump_payload(body), held),
    )
