"""Counts of the latest alerts of a channel by sort, from which it follows when a storm begins."""

from __future__ import annotations

from collections.abc import Callable

from zofbot.alerting.state import DecisionBuilder, storms_hash
from zofbot.alerting.stored_state import parse_stored
from zofbot.alerting.storms.storm_record import MINUTE_SECONDS
from zofbot.domain.frozen_model import FrozenModel
from zofbot.notifications.storm_payloads import StormMember

MAX_ALERTS_PER_MINUTE = 20
"""Alerts a minute that a channel gets as single messages."""

LANE_RETENTION_SECONDS = 3600.0


class StormLane(FrozenModel):
    """The latest times (Unix seconds) at which alerts of one sort were due in a channel.

    ``alone`` are the latest posted separately, each with its due time and the number of mentions left out;
    ``storm`` is the key of the current storm, or empty.
    """

    times: tuple[float, ...] = ()
    alone: tuple[tuple[float, StormMember, int], ...] = ()
    storm: str = ""

    def with_alert_at(self, due: float) -> StormLane:
        """Return a copy with one more alert due at that time."""
        return self.model_copy(update={"times": tuple(sorted((*self.times, due))[-MAX_ALERTS_PER_MINUTE - 1 :])})

    @property
    def rate(self) -> int:
        """Alerts in the minute up to the latest one, inclusive; at most ``MAX_ALERTS_PER_MINUTE`` + 1."""
        return sum(self.times[-1] - at < MINUTE_SECONDS for at in self.times)


def change_separate_alert(
    draft: DecisionBuilder, channel: str, alert: str, change: Callable[[StormMember], StormMember | None]
) -> None:
    """Change what is known of an alert that was posted separately; None: no storm is to take it in."""
    name = storms_hash(channel)
    for field, stored in list(draft.read_hash(name).items()):
        if field.startswith("lane:") and alert in stored:
            lane = parse_lane(stored)
            changed = ((at, change(each) if each.key == alert else each, left_out) for at, each, left_out in lane.alone)
            alone = tuple((at, member, left_out) for at, member, left_out in changed if member)
            kept = lane.model_copy(update={"alone": alone})
            draft.set_field(name, field, kept.model_dump_json(exclude_defaults=True))


def prune_lanes(draft: DecisionBuilder, channel: str) -> None:
    """Delete counts for times more than ``LANE_RETENTION_SECONDS`` ago."""
    name, aged = storms_hash(channel), draft.now - LANE_RETENTION_SECONDS
    lanes = {field: parse_lane(stored) for field, stored in draft.read_hash(name).items() if field[:5] == "lane:"}
    draft.delete_fields(name, [field for field, lane in lanes.items() if max(lane.times, default=0.0) < aged])


def parse_lane(stored: str) -> StormLane:
    """Parse counts as they are stored."""
    return parse_stored("counts of alerts", stored, StormLane.model_validate_json, StormLane())
