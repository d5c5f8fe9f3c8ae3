"""Storms: so many alerts for one channel in a minute that one rolling summary takes their place.

A storm takes in alerts of one sort: those that mention the same people, have the same escalation and are all critical
or all not, so that nobody misses what they alone are to hear of. A few alerts of another sort, and critical ones, stand
by themselves beside it. What becomes of a storm afterwards is in ``storm_record``.
"""

from __future__ import annotations

from typing import NamedTuple

from pydantic import BaseModel, ConfigDict

from zofbot.notification import SCHEMA, Kind, Notification
from zofbot.pipeline.keys import key
from zofbot.pipeline.memory import Draft, digest, storms_in
from zofbot.pipeline.pings import take_mentions
from zofbot.pipeline.storm_record import (
    EVERY_SECONDS,
    MINUTE,
    Storm,
    add_member,
    follow_storm,
    forget_storms,
    keep_storm,
    load_storm,
    storm_edit,
    turn_storm,
)
from zofbot.slack import bodies
from zofbot.slack.bodies import Member, Place
from zofbot.triage import Policy, Triage

MOST = 20
"""Alerts a minute that a channel gets one by one."""

MAX_BESIDE = 5
"""Alerts of one sort a minute that stand alone although the channel gets more than it can take of others."""

KEPT_LANE_SECONDS = 3600.0


class Lane(BaseModel):
    """The latest times (Unix seconds) at which alerts of one sort were due in a channel.

    ``alone`` are the latest that stood alone, each with when it was due and how many mentions it left out; ``storm`` is
    the key of the storm that takes in the others at present.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    times: tuple[float, ...] = ()
    alone: tuple[tuple[float, Member, int], ...] = ()
    storm: str = ""

    def at(self, due: float) -> Lane:
        """With one more alert due then."""
        return self.model_copy(update={"times": tuple(sorted((*self.times, due))[-MOST - 1 :])})

    @property
    def rate(self) -> int:
        """How many there were in the minute before the latest, itself included; no more than ``MOST`` + 1."""
        return sum(self.times[-1] - at < MINUTE for at in self.times)


class StormCandidate(BaseModel):
    """One alert on its way to a channel, and what it would be in a storm.

    ``burst``: it is one of more than a channel gets one by one. ``happened`` and ``held``, the end of quiet hours, are
    Unix seconds; ``category`` is part of the key of a storm that begins with it.
    """

    model_config = ConfigDict(frozen=True)

    channel: str
    member: Member
    category: str
    happened: float
    held: float = 0.0
    failures: int = 1
    mention: tuple[str, ...] = ()
    policy: Policy = Policy()
    takers: tuple[str, ...] = ()
    critical: bool = False
    run: Place = Place(id="")
    burst: bool = False

    @property
    def all_lane(self) -> str:
        """The field of what the channel gets at that time."""
        return f"lane:@{self.held:.0f}"

    @property
    def lane(self) -> str:
        """The field of what it is counted with."""
        apart = "critical" if self.critical else "", "" if self.member.followed else "notice"
        sort = digest(*apart, ",".join(sorted(self.mention)), self.policy.model_dump_json(include={"escalate"}))
        return f"lane:{sort}@{self.held:.0f}"


class Absorbed(NamedTuple):
    """What becomes of an alert: the key of the ``storm`` it went into, empty where it stands alone.

    ``mention`` are those whom it mentions then.
    """

    storm: str
    mention: tuple[str, ...]


def absorb_into_storm(draft: Draft, alert: StormCandidate) -> Absorbed:
    """Decide whether an alert goes into a storm instead of standing alone; either way it is counted.

    What quiet hours hold back comes together when they end, so it is counted apart, for that moment.
    """
    name, due = storms_in(alert.channel), alert.held or draft.now
    if alert.lane not in draft.hash(name):
        _forget_lanes(draft, alert.channel)
    everything = Lane.model_validate_json(draft.hash(name).get(alert.all_lane, "{}")).at(due)
    lane = Lane.model_validate_json(draft.hash(name).get(alert.lane, "{}")).at(due)
    storm = load_storm(draft, alert.channel, lane.storm) if lane.storm else None
    mention: tuple[str, ...] = ()
    crowded = everything.rate > MOST and lane.rate > MAX_BESIDE and not alert.critical
    swells = lane.rate > MOST or crowded or alert.burst
    if storm and not (swells and due - storm.last < MINUTE):
        _close(draft, storm)
        storm = None
    if swells:
        storm = _grow(draft, storm or _begin(draft, lane, alert, due), alert, due)
        lane = Lane(times=lane.times, storm=storm.key)
    else:
        mention = take_mentions(draft, alert.channel, alert.mention, due)
        alone = (*lane.alone, (due, alert.member, len(alert.mention) - len(mention)))[-MOST:]
        lane = Lane(times=lane.times, alone=alone)
    draft.put(name, alert.all_lane, everything.model_dump_json(exclude_defaults=True))
    draft.put(name, alert.lane, lane.model_dump_json(exclude_defaults=True))
    return Absorbed(storm.key if storm else "", mention)


def _begin(draft: Draft, lane: Lane, first: StormCandidate, due: float) -> Storm:
    """A storm, with the alerts of the minute before as its first members."""
    mention = take_mentions(draft, first.channel, first.mention, due)
    storm = Storm(
        id=first.member.id, category=first.category, channel=first.channel, since=due, last=due, edit_at=due,
        opened=due, mention=mention, policy=first.policy, critical=first.critical, run=first.run,
    )  # fmt: skip
    forget_storms(draft, first.channel, storm.key)
    for at, member, unmentioned in lane.alone:
        if due - at < MINUTE:
            storm = add_member(draft, storm, member, card=member.followed, held=first.held)
            more = {"unmentioned": storm.unmentioned + unmentioned, "run": Place(id="")}
            storm = storm.model_copy(update=more)
    draft.tell(*follow_storm(storm, Triage(opened=storm.opened), due))
    return storm


def _grow(draft: Draft, storm: Storm, alert: StormCandidate, due: float) -> Storm:
    """Count one more; begin the summary with the first, and see to it that the summary is edited after that."""
    fresh = not storm.alerts
    edit_at = storm.edit_at if due < storm.edit_at or fresh else max(due, storm.edit_at + EVERY_SECONDS)
    storm = add_member(draft, storm, alert.member, card=False, held=alert.held)
    storm = storm.counting(alert.member.project, alert.member.environment, alert.failures)
    unmentioned = len(alert.mention) - (len(storm.mention) if fresh else 0)
    more = {
        "last": max(storm.last, due),
        "failed": max(storm.failed, alert.happened),
        "edit_at": edit_at,
        "unmentioned": storm.unmentioned + unmentioned,
        "takers": tuple(dict.fromkeys((*storm.takers, *alert.takers))),
        "run": storm.run if storm.run.id == alert.run.id else Place(id=""),
    }
    storm = storm.model_copy(update=more)
    if not fresh and alert.member.followed:
        storm = turn_storm(draft, storm, alert.happened, alert.run.id)
        draft.tell(*follow_storm(storm, Triage(turn=storm.turn, opened=alert.happened), due))
    keep_storm(draft, storm)
    body = bodies.stored(storm.body())
    if fresh:
        draft.tell(_root(storm, alert.held))
    else:
        draft.tell(storm_edit(storm, storm.key, body, edit_at))
    draft.tell(*(storm_edit(storm, storm.key, body, at, _closing(storm, at)) for at in _closing_times(due)))
    return storm


def _root(storm: Storm, held: float) -> Notification:
    return Notification(
        key=storm.key, kind=Kind.ROOT, channel=storm.channel, body=bodies.stored(storm.body()), happened=storm.since,
        critical=storm.critical, not_before=held, schema=SCHEMA,
    )  # fmt: skip


def _close(draft: Draft, storm: Storm) -> None:
    """Say that it is over: the next alert stands alone again."""
    closed = storm.model_copy(update={"closed": True})
    keep_storm(draft, closed)
    draft.tell(storm_edit(closed, closed.key, bodies.stored(closed.body()), draft.now))


def _closing_times(due: float) -> tuple[int, int]:
    """The next two full minutes: at the second the storm is over, if nothing follows."""
    minute = (int(due // MINUTE) + 1) * int(MINUTE)
    return minute, minute + int(MINUTE)


def _closing(storm: Storm, at: int) -> str:
    """The key of an edit for that time: an edit that waits keeps its time and takes the latest body."""
    return key("storm-close", storm.id, storm.category, storm.channel, turn=at)


def _forget_lanes(draft: Draft, channel: str) -> None:
    """Let go of what was counted for a moment that is long past."""
    name, aged = storms_in(channel), draft.now - KEPT_LANE_SECONDS
    lanes = {field: Lane.model_validate_json(kept) for field, kept in draft.hash(name).items() if field[:5] == "lane:"}
    draft.drop(name, [field for field, lane in lanes.items() if lane.times[-1] < aged])
