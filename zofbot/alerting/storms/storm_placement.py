"""Storms: when one channel gets too many alerts in a minute, a summary that is updated replaces single messages.

A storm combines alerts of one sort: those with the same mentions and escalation that are all critical or all not, so
that nobody misses an alert meant for them alone. A few alerts of another sort, and critical ones, are still posted
separately. ``storm_record`` has what happens to a storm afterwards.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict

from zofbot.alerting.mention_limit import take_mentions
from zofbot.alerting.state import DecisionBuilder, short_hash, storms_hash
from zofbot.alerting.storms.storm_lanes import (
    MAX_ALERTS_PER_MINUTE,
    StormLane,
    change_separate_alert,
    parse_lane,
    prune_lanes,
)
from zofbot.alerting.storms.storm_members import (
    add_member,
    describe_member,
    storm_key_of,
    unfollow_member,
    update_member,
    update_standing,
)
from zofbot.alerting.storms.storm_messages import (
    build_storm_edit,
    build_summary,
    report_wake_up,
    schedule_escalations,
    schedule_more_escalations,
)
from zofbot.alerting.storms.storm_pruning import prune_storms
from zofbot.alerting.storms.storm_record import (
    EDIT_INTERVAL_SECONDS,
    MINUTE_SECONDS,
    Storm,
    claim_cause,
    load_storm,
    save_storm,
)
from zofbot.notifications import payloads
from zofbot.notifications.idempotency import idempotency_key
from zofbot.notifications.payload_parts import RunSummary
from zofbot.notifications.storm_payloads import StormMember, find_sole_cause
from zofbot.triage import EscalationPolicy, TriageRecord

MAX_BESIDE = 5
"""Alerts of one sort a minute that are posted separately although the channel as a whole is over the limit."""


class StormCandidate(BaseModel):
    """An alert for a channel that may go into a storm.

    ``burst``: it is part of a run with too many alerts of its sort for single messages. ``happened`` and ``held``, the
    end of quiet hours, are Unix seconds; ``category`` is part of the key of a storm that starts with it.
    """

    model_config = ConfigDict(defer_build=True, frozen=True)

    channel: str
    member: StormMember
    category: str
    happened: float
    held: float = 0.0
    failures: int = 1
    mention: tuple[str, ...] = ()
    policy: EscalationPolicy = EscalationPolicy()
    takers: tuple[str, ...] = ()
    critical: bool = False
    run: RunSummary = RunSummary(id="")
    burst: bool = False
    apart: bool = False
    """Whether its own message is worked on as a whole, so that no storm takes it in later."""

    @property
    def all_lane(self) -> str:
        """The hash field that counts all of the channel's alerts due at that time."""
        return f"lane:@{self.held:.0f}"

    @property
    def lane_field(self) -> str:
        """The hash field that counts alerts of the same sort due at that time."""
        return f"lane:{self.sort}@{self.held:.0f}"

    @property
    def sort(self) -> str:
        """The sort of the alert."""
        return alert_sort(self.mention, self.policy, critical=self.critical, followed=self.member.followed)


class StormPlacement(NamedTuple):
    """Where an alert goes: ``storm`` is the storm's key, or empty if it is posted separately.

    ``mention`` are the ids that it mentions in that case.
    """

    storm: str
    mention: tuple[str, ...]


def alert_sort(mention: tuple[str, ...], policy: EscalationPolicy, *, critical: bool, followed: bool = True) -> str:
    """Return a digest of what the alerts of a storm have in common."""
    apart = "critical" if critical else "", "" if followed else "notice"
    return short_hash(*apart, ",".join(sorted(mention)), policy.model_dump_json(include={"escalate"}))


def find_bursts(sorts: Sequence[str], *, critical: bool) -> set[str]:
    """Return the sorts of which a run has too many new alerts for single messages, given the sort of each."""
    is_crowded = len(sorts) > MAX_ALERTS_PER_MINUTE and not critical
    most = MAX_BESIDE if is_crowded else MAX_ALERTS_PER_MINUTE
    return {sort for sort, count in Counter(sorts).items() if count > most}


def absorb_into_storm(draft: DecisionBuilder, alert: StormCandidate) -> StormPlacement:
    """Decide whether an alert goes into a storm or is posted separately, and count it.

    Alerts held back by quiet hours are all sent when these end, so they are counted for that moment.
    """
    name, due = storms_hash(alert.channel), alert.held or draft.now
    if alert.lane_field not in draft.read_hash(name):
        prune_lanes(draft, alert.channel)
    everything = parse_lane(draft.read_hash(name).get(alert.all_lane, "{}")).with_alert_at(due)
    lane = parse_lane(draft.read_hash(name).get(alert.lane_field, "{}")).with_alert_at(due)
    storm = load_storm(draft, alert.channel, lane.storm) if lane.storm else None
    mention: tuple[str, ...] = ()
    crowded = everything.rate > MAX_ALERTS_PER_MINUTE and lane.rate > MAX_BESIDE and not alert.critical
    swells = lane.rate > MAX_ALERTS_PER_MINUTE or crowded or alert.burst
    if storm and not (swells and due - storm.last < MINUTE_SECONDS):
        _close_storm(draft, storm)
        storm = None
    if swells:
        storm = _grow_storm(draft, storm or _begin_storm(draft, lane, alert, due), alert, due)
        lane = StormLane(times=lane.times, storm=storm.storm_key)
    else:
        mention = take_mentions(draft, alert.channel, alert.mention, due)
        own = () if alert.apart else ((due, alert.member, len(alert.mention) - len(mention)),)
        alone = (*lane.alone, *own)[-MAX_ALERTS_PER_MINUTE:]
        lane = StormLane(times=lane.times, alone=alone)
    draft.set_field(name, alert.all_lane, everything.model_dump_json(exclude_defaults=True))
    draft.set_field(name, alert.lane_field, lane.model_dump_json(exclude_defaults=True))
    return StormPlacement(storm.storm_key if storm else "", mention)


def update_placed_alert(
    draft: DecisionBuilder, channel: str, alert: str, body: dict[str, Any], held: float = 0.0
) -> None:
    """Update what is known of an alert with the key ``alert`` and now the payload ``body``.

    That is the storm that includes it, or the alerts posted separately, which a storm may take in. ``held`` is when
    quiet hours that delay the storm's edit end (Unix seconds), 0 for none.
    """
    if storm_key_of(draft, channel, alert):
        update_member(draft, channel, alert, body, held)
        return
    change_separate_alert(draft, channel, alert, lambda member: describe_member(member, body))


def forget_placed_alert(draft: DecisionBuilder, channel: str, alert: str) -> None:
    """Let storms recover without an open alert that is no longer stored, and take it in no more."""
    unfollow_member(draft, channel, alert)
    change_separate_alert(draft, channel, alert, lambda member: None)


def _begin_storm(draft: DecisionBuilder, lane: StormLane, first: StormCandidate, due: float) -> Storm:
    """Create a storm with the alerts of the minute before as its first members."""
    mention = take_mentions(draft, first.channel, first.mention, due)
    storm = Storm(
        id=first.member.id, category=first.category, channel=first.channel, since=due, last=due, edit_at=due,
        held=first.held, opened=due, mention=mention, policy=first.policy, critical=first.critical, run=first.run,
        sort=first.sort,
    )  # fmt: skip
    prune_storms(draft, first.channel, storm.storm_key)
    for at, member, unmentioned in lane.alone:
        if due - at < MINUTE_SECONDS:
            storm = add_member(draft, storm, member, card=member.followed, held=first.held)
            storm = storm.with_causes(member.causes, sum(cause.count for cause in member.causes) or 1)
            more = {"unmentioned": storm.unmentioned + unmentioned, "run": RunSummary(id="")}
            storm = storm.model_copy(update=more)
    draft.add_notifications(*schedule_escalations(storm, TriageRecord(opened=storm.opened), due))
    return storm


def _grow_storm(draft: DecisionBuilder, storm: Storm, alert: StormCandidate, due: float) -> Storm:
    """Add an alert to a storm: post the summary for the first, schedule edits of it for later ones."""
    before, fresh = storm, not storm.alerts
    edit_at = storm.edit_at if due < storm.edit_at or fresh else max(due, storm.edit_at + EDIT_INTERVAL_SECONDS)
    storm = add_member(draft, storm, alert.member, card=False, held=alert.held)
    storm = storm.with_causes(alert.member.causes, alert.failures)
    storm = storm.with_failures(alert.member.project, alert.member.environment, alert.failures)
    unmentioned = len(alert.mention) - (len(storm.mention) if fresh else 0)
    more = {
        "last": max(storm.last, due),
        "failed": max(storm.failed, alert.happened),
        "edit_at": edit_at,
        "unmentioned": storm.unmentioned + unmentioned,
        "takers": tuple(dict.fromkeys((*storm.takers, *alert.takers))),
        "run": storm.run if storm.run.id == alert.run.id else RunSummary(id=""),
    }
    storm = storm.model_copy(update=more)
    if not fresh and alert.member.followed:
        storm = update_standing(draft, storm, alert.happened, alert.run.id, alert.held)
        schedule_more_escalations(draft, storm, storm.failed, due)
    report_wake_up(draft, before, storm)
    save_storm(draft, storm)
    cause = find_sole_cause(storm.causes, storm.uncaused)
    if cause:
        claim_cause(draft, storm, cause.signature)
    body = payloads.dump_payload(storm.summary_body())
    if fresh:
        draft.add_notifications(build_summary(storm, alert.held))
    else:
        draft.add_notifications(build_storm_edit(storm, storm.storm_key, body, edit_at))
    draft.add_notifications(
        *(build_storm_edit(storm, storm.storm_key, body, at, _closing_key(storm, at)) for at in _closing_times(due))
    )
    return storm


def _close_storm(draft: DecisionBuilder, storm: Storm) -> None:
    """Mark a storm as over, so that the next alert is posted separately."""
    closed = storm.model_copy(update={"closed": True})
    save_storm(draft, closed)
    draft.add_notifications(
        build_storm_edit(closed, closed.storm_key, payloads.dump_payload(closed.summary_body()), draft.now)
    )


def _closing_times(due: float) -> tuple[int, int]:
    """Return the next two full minutes (Unix seconds); by the second the storm is over if nothing follows."""
    minute = (int(due // MINUTE_SECONDS) + 1) * int(MINUTE_SECONDS)
    return minute, minute + int(MINUTE_SECONDS)


def _closing_key(storm: Storm, at: int) -> str:
    """Return the key of an edit for that time: a pending edit keeps its due time and takes the latest body."""
    return idempotency_key("storm-close", storm.id, storm.category, storm.channel, turn=at)
