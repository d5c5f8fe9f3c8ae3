"""Storms: so many roots for one channel in a minute that one rolling summary takes their place."""

from __future__ import annotations

from collections.abc import Collection

from pydantic import BaseModel, ConfigDict

from zofbot.notification import SCHEMA, Kind, Notification
from zofbot.pipeline.keys import key
from zofbot.pipeline.memory import Draft, storm_in
from zofbot.slack import bodies

MOST = 20
"""Roots a minute that a channel gets one by one."""
MINUTE = 60.0
EVERY = 10.0
"""Seconds between two edits of the summary."""
PLACES = 200
"""Projects and environments that are counted apart; what is beyond is counted together."""
_NOW = "now"


class Storm(BaseModel):
    """The latest times at which roots were due in a channel, and the summary that took their place, if any.

    ``edit_at`` is when the summary is edited next or was last; all times are Unix seconds.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    times: tuple[float, ...] = ()
    id: str = ""
    category: str = ""
    since: float = 0.0
    edit_at: float = 0.0
    alerts: int = 0
    failures: int = 0
    places: dict[str, dict[str, int]] = {}
    elsewhere: int = 0
    mention: tuple[str, ...] = ()
    critical: bool = False

    def at(self, due: float) -> Storm:
        """With one more root due then."""
        return self.model_copy(update={"times": tuple(sorted((*self.times, due))[-MOST - 1 :])})

    @property
    def rages(self) -> bool:
        """Whether the latest root is one too many for its minute."""
        return len(self.times) > MOST and self.times[-1] - self.times[0] < MINUTE

    def counting(self, project: str, environment: str, failures: int) -> Storm:
        """With one more alert in it."""
        counted = {name: dict(inside) for name, inside in self.places.items()}
        room = sum(map(len, counted.values())) < PLACES or environment in counted.get(project, {})
        if room:
            inside = counted.setdefault(project, {})
            inside[environment] = inside.get(environment, 0) + failures
        more = {
            "alerts": self.alerts + 1,
            "failures": self.failures + failures,
            "elsewhere": self.elsewhere + (0 if room else failures),
        }
        return self.model_copy(update={"places": counted, **more})

    def body(self, *, closed: bool) -> bodies.StormBody:
        """The summary as it stands; it counts as over a minute after ``last`` even when nothing closes it."""
        rows = [
            (project, environment, count)
            for project, inside in self.places.items()
            for environment, count in inside.items()
        ]
        rows.sort(key=lambda row: (-row[2], row))
        return bodies.StormBody(
            since=self.since,
            last=self.times[-1],
            alerts=self.alerts,
            failures=self.failures,
            places=tuple(rows[:30]),
            elsewhere=self.elsewhere + sum(count for *_, count in rows[30:]),
            closed=closed,
            mention=self.mention,
        )


class Gust(BaseModel):
    """One root on its way to a channel: what it would count as in a storm."""

    model_config = ConfigDict(frozen=True)

    channel: str
    id: str
    category: str
    held: float = 0.0
    project: str = ""
    environment: str = ""
    failures: int = 1
    mention: tuple[str, ...] = ()
    critical: bool = False


def collapses(draft: Draft, gust: Gust) -> bool:
    """Whether a root goes into the summary of a storm instead of standing alone; either way it is counted.

    What quiet hours hold back comes together when they end, so it is counted apart, for that moment.
    """
    name, lane = storm_in(gust.channel), f"{gust.held:.0f}" if gust.held else _NOW
    due = gust.held or draft.now
    before = Storm.model_validate_json(draft.hash(name).get(lane, "{}"))
    storm = before.at(due)
    if storm.rages:
        storm = _grow(draft, storm, gust, due)
    elif storm.id:
        draft.tell(_notification(storm, gust.channel, "storm-edit", draft.now, closed=True))
        storm = Storm(times=storm.times)
    draft.put(name, lane, storm.model_dump_json(exclude_defaults=True))
    draft.drop(name, _past(draft.hash(name), draft.now))
    return bool(storm.id)


def holding(draft: Draft, channel: str, noted: float) -> str:
    """The key of the summary that counts what was decided on at ``noted`` (Unix seconds), as long as that is known."""
    for lane, kept in draft.hash(storm_in(channel)).items():
        storm = Storm.model_validate_json(kept)
        began, ended = (storm.since - 1, storm.times[-1] + 1) if lane == _NOW else (0.0, float(lane))
        if storm.id and began <= noted <= ended:
            return key("storm", storm.id, storm.category, channel)
    return ""


def _grow(draft: Draft, storm: Storm, gust: Gust, due: float) -> Storm:
    """Count one more, begin the summary with the first, and see to it that the summary is edited."""
    if not storm.id:
        born = {"id": gust.id, "category": gust.category, "since": due, "edit_at": due}
        storm = storm.model_copy(update={**born, "mention": gust.mention, "critical": gust.critical})
        storm = storm.counting(gust.project, gust.environment, gust.failures)
        draft.tell(_notification(storm, gust.channel, "storm", gust.held))
    else:
        edit_at = storm.edit_at if due < storm.edit_at else max(due, storm.edit_at + EVERY)
        storm = storm.counting(gust.project, gust.environment, gust.failures)
        storm = storm.model_copy(update={"edit_at": edit_at})
        draft.tell(_notification(storm, gust.channel, "storm-edit", edit_at))
    draft.tell(*_closings(storm, gust.channel, due))
    return storm


def _closings(storm: Storm, channel: str, due: float) -> list[Notification]:
    """The edits at the next two full minutes: the second comes when the storm is over, if nothing follows.

    An edit that waits keeps its time and takes the latest body, so the time is part of the key.
    """
    minute = (int(due // MINUTE) + 1) * int(MINUTE)
    times = (minute, minute + int(MINUTE))
    return [_notification(storm, channel, "storm-close", at, turn=at) for at in times]


def _notification(  # noqa: PLR0913  (the last two have defaults)
    storm: Storm, channel: str, kind: str, not_before: float, *, turn: int = 0, closed: bool = False
) -> Notification:
    root = key("storm", storm.id, storm.category, channel)
    return Notification(
        key=key(kind, storm.id, storm.category, channel, turn=turn),
        kind=Kind.ROOT if kind == "storm" else Kind.EDIT,
        channel=channel,
        body=bodies.stored(storm.body(closed=closed)),
        root="" if kind == "storm" else root,
        happened=storm.since,
        critical=storm.critical,
        not_before=not_before,
        schema=SCHEMA,
    )


def _past(lanes: Collection[str], now: float) -> list[str]:
    return [lane for lane in lanes if lane != _NOW and float(lane) < now - 3600]
