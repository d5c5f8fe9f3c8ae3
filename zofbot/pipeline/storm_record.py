"""The record of a storm: one failure to work on, the list of its members, and how both change with each of them.

All of it is kept in one hash for each channel (``storms_in``): ``storm:<key>`` is the storm, ``page:<key>:<number>`` a
page of its members, and ``in:<key of a member's root>`` says on which page of which storm that one is.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, ConfigDict

from zofbot.notification import SCHEMA, Kind, Notification
from zofbot.pipeline.keys import edit_of, key
from zofbot.pipeline.memory import FAILURES, Draft, failure_of, storms_in
from zofbot.pipeline.timers import follow
from zofbot.slack import bodies
from zofbot.slack.bodies import Body, Member, MembersBody, Place, Standing, StormBody
from zofbot.triage import Policy, Triage

MINUTE = 60.0
EVERY_SECONDS = 10.0
"""Between two edits of the summary while it grows."""

MAX_PLACES = 200
"""Projects and environments that are counted apart; what is beyond is counted together."""

PAGE_SIZE = 25
"""Members in one message of the list."""

MAX_MEMBERS = 2000
"""Members that a channel remembers; where there are more, the oldest storms are let go."""

KEPT_OPEN_SECONDS, KEPT_RECOVERED_SECONDS = 14 * 86400.0, 6 * 3600.0
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
    standing: Standing = Standing.OPEN
    turned: float | None = None
    turner: str = ""
    turn: int = 0
    opened: float = 0.0
    mention: tuple[str, ...] = ()
    unmentioned: int = 0
    policy: Policy = Policy()
    takers: tuple[str, ...] = ()
    critical: bool = False
    run: Place = Place(id="")

    @property
    def key(self) -> str:
        return key("storm", self.id, self.category, self.channel)

    @property
    def open(self) -> int:
        """Members that may recover and have not."""
        return self.followed - self.recovered

    def counting(self, project: str, environment: str, failures: int) -> Storm:
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

    def body(self) -> StormBody:
        """The summary as it stands; it counts as over a minute after ``last`` even when nothing closes it."""
        rows = [
            (project, environment, count)
            for project, inside in self.places.items()
            for environment, count in inside.items()
        ]
        rows.sort(key=lambda row: (-row[2], row))
        shared = self.model_dump(include=set(StormBody.model_fields) - {"card", "places", "elsewhere", "members"})
        elsewhere = self.elsewhere + sum(count for *_, count in rows[30:])
        return StormBody(**shared, places=tuple(rows[:30]), elsewhere=elsewhere, members=self.followed, open=self.open)


def load_storm(draft: Draft, channel: str, storm: str) -> Storm | None:
    """The storm whose summary has the key ``storm``, while it may change."""
    kept = draft.hash(storms_in(channel)).get(f"storm:{storm}")
    return Storm.model_validate_json(kept) if kept else None


def keep_storm(draft: Draft, storm: Storm) -> None:
    """Remember a storm; one with members is a failure to work on."""
    draft.put(storms_in(storm.channel), f"storm:{storm.key}", storm.model_dump_json(exclude_defaults=True))
    if storm.followed:
        draft.put(FAILURES, storm.key, f"{storm.since:.0f}")
        draft.put(failure_of(storm.key), "body", bodies.stored_json(storm.body()))


def storm_with(draft: Draft, channel: str, member: str) -> str:
    """The key of the storm that the root under the key ``member`` is part of; empty for none."""
    return draft.hash(storms_in(channel)).get(f"in:{member}", "").partition(" ")[2]


def add_member(draft: Draft, storm: Storm, member: Member, *, card: bool, held: float) -> Storm:
    """List one more, which is worked on with the others from now on; ``card``: it has a message of its own.

    Where quiet hours hold the storm, ``held`` is when they end (Unix seconds).
    """
    name, page = storms_in(storm.channel), storm.members // PAGE_SIZE
    draft.put(name, f"in:{member.key}", f"{page} {storm.key}")
    listed = (*_page(draft, storm.channel, storm.key, page), member)
    _keep_page(draft, storm, page, listed, held)
    more: dict[str, Any] = {"members": storm.members + 1, "followed": storm.followed + member.followed}
    if member.followed:
        draft.put(failure_of(member.key), "storm", storm.key)
    if card:
        more["cards"] = (*storm.cards, member.key)
        draft.tell(storm_edit(storm, member.key, {}, held))
    return storm.model_copy(update=more)


def update_member(draft: Draft, channel: str, member: str, body: dict[str, Any], held: float = 0.0) -> None:
    """Show in a storm what became of a member whose root shows ``body`` now; nothing for what is in none."""
    pointer = draft.hash(storms_in(channel)).get(f"in:{member}", "")
    number, _, storm_key = pointer.partition(" ")
    storm = load_storm(draft, channel, storm_key)
    if storm is None:
        return
    listed = _page(draft, channel, storm_key, int(number))
    before = next((each for each in listed if each.key == member), None)
    if before is None:
        return
    after = before.model_copy(
        update={"standing": Standing(body.get("standing", Standing.OPEN)), "count": body.get("count", 1)}
    )
    failed = max(storm.failed, float(body.get("last", 0.0)))
    if after == before and failed == storm.failed:
        return
    _keep_page(draft, storm, int(number), tuple(after if each.key == member else each for each in listed), held)
    recovered = (after.standing is Standing.RECOVERED) - (before.standing is Standing.RECOVERED)
    changed = storm.model_copy(update={"recovered": storm.recovered + recovered, "failed": failed})
    at, run = float(body.get("turned") or failed), str(body.get("turner", ""))
    changed = turn_storm(draft, changed, at, run)
    if failed > storm.failed:
        draft.tell(*follow_storm(changed, Triage(turn=changed.turn, opened=failed), draft.now))
    keep_storm(draft, changed)
    draft.tell(storm_edit(changed, changed.key, bodies.stored(changed.body()), held))


def turn_storm(draft: Draft, storm: Storm, at: float, run: str) -> Storm:
    """Have it recover once all of it has, or open again once one of them fails; ``at`` is Unix seconds."""
    over = storm.open == 0
    if over == (storm.standing is Standing.RECOVERED):
        return storm
    turned: dict[str, Any] = {"turned": at, "turner": run, "turn": storm.turn + 1}
    if over:
        return storm.model_copy(update={"standing": Standing.RECOVERED, **turned})
    again = storm.model_copy(update={"standing": Standing.AGAIN, "opened": max(at, draft.now), **turned})
    draft.tell(*follow_storm(again, Triage(turn=again.turn, opened=again.opened), draft.now))
    return again


def follow_storm(storm: Storm, present: Triage, told: float) -> Iterator[Notification]:
    """What follows where nobody acts: one escalation for all of it, however many they are."""
    yield from follow(storm.key, storm.channel, present, storm.policy, told=told)


def storm_reply(storm: Storm, name: str, body: Body, happened: float, held: float) -> Notification:
    """Something said in the thread of a storm, under the key ``name``."""
    return Notification(
        key=name, kind=Kind.REPLY, channel=storm.channel, body=bodies.stored(body), root=storm.key, happened=happened,
        critical=storm.critical, not_before=held, schema=SCHEMA,
    )  # fmt: skip


def storm_edit(storm: Storm, message: str, body: dict[str, Any], not_before: float, name: str = "") -> Notification:
    """An edit of one of a storm's messages: its summary, a page of its list, or a member's own."""
    return Notification(
        key=name or edit_of(message), kind=Kind.EDIT, channel=storm.channel, body=body, root=message,
        happened=storm.since, critical=storm.critical, not_before=not_before, schema=SCHEMA,
    )  # fmt: skip


def forget_storms(draft: Draft, channel: str, current: str) -> None:
    """Let go of what cannot change any more and, where there is too much, of the oldest; never of ``current``."""
    fields = draft.hash(storms_in(channel))
    storms = [Storm.model_validate_json(kept) for name, kept in fields.items() if name.startswith("storm:")]
    storms.sort(key=lambda storm: storm.since, reverse=True)
    kept, members = {current}, 0
    for storm in storms:
        members += storm.members
        if not _is_over(storm, draft.now) and members <= MAX_MEMBERS:
            kept.add(storm.key)
    gone = [name for name, value in fields.items() if (of := _belongs_to(name, value)) and of not in kept]
    draft.drop(storms_in(channel), gone)


def _is_over(storm: Storm, now: float) -> bool:
    if storm.standing is Standing.RECOVERED:
        return max(storm.turned or 0.0, storm.last) < now - KEPT_RECOVERED_SECONDS
    return max(storm.failed, storm.last) < now - KEPT_OPEN_SECONDS


def _belongs_to(name: str, value: str) -> str:
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


def _page(draft: Draft, channel: str, storm: str, number: int) -> tuple[Member, ...]:
    kept = draft.hash(storms_in(channel)).get(f"page:{storm}:{number}", "[]")
    return tuple(Member.model_validate(each) for each in json.loads(kept))


def _keep_page(draft: Draft, storm: Storm, number: int, members: tuple[Member, ...], held: float) -> None:
    """Remember a page and have its message show it: posted with the first on it, edited with each change."""
    rows = [each.model_dump(mode="json", exclude_defaults=True) for each in members]
    draft.put(storms_in(storm.channel), f"page:{storm.key}:{number}", json.dumps(rows, separators=(",", ":")))
    name = key("members", storm.id, storm.category, storm.channel, turn=number + 1)
    body = MembersBody(first=number * PAGE_SIZE + 1, members=members)
    draft.tell(
        storm_reply(storm, name, body, storm.since, held),
        storm_edit(storm, name, bodies.stored(body), held),
    )
