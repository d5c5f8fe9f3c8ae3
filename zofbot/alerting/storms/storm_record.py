"""The record of a storm and of its members, and how both change when a member does. A storm is triaged as one failure.

Stored in one hash per channel (``storms_hash``): ``storm:<key>`` is the storm, ``page:<key>:<number>`` a page of its
members, and ``in:<member's alert key>`` holds the page and storm of a member. ``cause:<signature>`` holds the
key of the storm that all failures with that signature belong to.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import NamedTuple

from pydantic import Field

from zofbot.alerting.state import FAILURES_HASH, DecisionBuilder, failure_hash, storms_hash
from zofbot.alerting.stored_state import parse_stored
from zofbot.domain.frozen_model import FrozenModel
from zofbot.notifications import payloads
from zofbot.notifications.alert_payloads import AlertStatus
from zofbot.notifications.idempotency import idempotency_key
from zofbot.notifications.past_causes import PastCause, Resolution
from zofbot.notifications.payload_parts import CauseSummary, RunSummary
from zofbot.notifications.storm_payloads import StormPayload, find_sole_cause
from zofbot.triage import EscalationPolicy

MINUTE_SECONDS = 60.0
EDIT_INTERVAL_SECONDS = 10.0
"""Seconds between two edits of the summary while the storm grows."""

MAX_PLACES = 200
"""Project and environment pairs counted separately; further ones are counted together."""

MAX_CACHED_STORMS = 500
"""Parsed storms kept in memory: when one begins, all of a channel's are looked at."""

MAX_TURNS_REPORTED = 4
"""Recoveries and relapses of a cause that are said in its thread; after these only its message changes."""

MAX_CAUSES_COUNTED = 10
"""Causes whose failures are counted separately."""

OPEN_RETENTION_SECONDS, RECOVERED_RETENTION_SECONDS = 14 * 86400.0, 6 * 3600.0
"""Seconds after its last change for which a storm is kept."""


class Storm(FrozenModel):
    """A storm as stored. Its key is made from the ``id`` and ``category`` of the alert that started it.

    ``edit_at`` is when the next edit of the summary is due, or the last one was; times are Unix seconds.
    ``recovered`` counts members, ``repeats`` how often they have failed again. ``by_cause``: it is the message of one
    cause, whose members are its alerts in each project and environment; ``flat``: they are not listed in its thread.
    ``held`` is when the quiet hours or mute that delay its summary are to end, 0 for none; changes of that are in its
    catch-up entry. ``unposted``: it recovered before that; ``posted_late`` is when it was reopened after that, and
    posted after all.
    ``causes`` and ``uncaused`` are as in ``StormPayload``. ``sort`` is that of its alerts, empty for a cause's message
    and in records of earlier versions.
    """

    id: str
    category: str
    channel: str
    since: float
    last: float
    failed: float = 0.0
    edit_at: float = 0.0
    held: float = 0.0
    alerts: int = 0
    failures: int = 0
    places: dict[str, dict[str, int]] = Field(default_factory=dict)
    elsewhere: int = 0
    members: int = 0
    repeats: int = 0
    followed: int = 0
    recovered: int = 0
    cards: tuple[str, ...] = ()
    closed: bool = False
    standing: AlertStatus = AlertStatus.OPEN
    turned: float | None = None
    turner: str = ""
    turn: int = 0
    opened: float = 0.0
    reopened: float = 0.0
    reopened_from: float | None = None
    mention: tuple[str, ...] = ()
    unmentioned: int = 0
    policy: EscalationPolicy = EscalationPolicy()
    takers: tuple[str, ...] = ()
    silent: tuple[str, ...] = ()
    critical: bool = False
    run: RunSummary = RunSummary(id="")
    sort: str = ""
    by_cause: bool = False
    flat: bool = False
    causes: tuple[CauseSummary, ...] = ()
    uncaused: int = 0
    projects: tuple[str, ...] = ()
    unposted: bool = False
    posted_late: float = 0.0
    past: tuple[PastCause, ...] = ()
    resolved: Resolution | None = None

    @property
    def storm_key(self) -> str:
        return idempotency_key("storm", self.id, self.category, self.channel)

    @property
    def open_members(self) -> int:
        """The number of members that can recover and have not."""
        return self.followed - self.recovered

    def reports_turn(self, *, loud: bool) -> bool:
        """Whether its thread gets a reply about the latest recovery or relapse, which the channel sees if ``loud``.

        That of a cause gets none after several, for then it is flapping, and none if it has no thread.
        """
        return not self.by_cause or (self.turn <= MAX_TURNS_REPORTED and (loud or not self.flat))

    def with_failures(self, project: str, environment: str, failures: int) -> Storm:
        """Return a copy that counts one more alert."""
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

    def with_causes(self, causes: Iterable[CauseSummary], failures: int) -> Storm:
        """Return a copy that counts so many more failures, by cause as far as ``causes`` says."""
        known = {cause.signature: cause for cause in self.causes}
        left = failures if self.causes or self.uncaused else failures + self.failures  # of an earlier version
        for cause in causes:
            before = known.get(cause.signature)
            if before or len(known) < MAX_CAUSES_COUNTED:
                shown, count = before or cause, cause.count + (before.count if before else 0)
                known[cause.signature] = shown.model_copy(update={"count": count})
                left -= cause.count
        return self.model_copy(update={"causes": tuple(known.values()), "uncaused": self.uncaused + max(0, left)})

    def summary_body(self) -> StormPayload:
        """Build the summary's payload; a minute after ``last`` it is shown as over even if nothing closed the storm."""
        rows = [
            (project, environment, count)
            for project, inside in self.places.items()
            for environment, count in inside.items()
        ]
        rows.sort(key=lambda row: (-row[2], row))
        own = {"card", "places", "elsewhere", "members", "causes"}
        shared = self.model_dump(include=set(StormPayload.model_fields) - own)
        elsewhere = self.elsewhere + sum(count for *_, count in rows[30:])
        return StormPayload(
            **shared, places=tuple(rows[:30]), elsewhere=elsewhere, members=self.followed, open=self.open_members,
            causes=tuple(sorted(self.causes, key=lambda cause: (not cause.signature, -cause.count))),
        )  # fmt: skip


class MemberPointer(NamedTuple):
    """The page on which a member of a storm is listed, and the storm's key; stored as ``PAGE KEY``."""

    page: int
    storm: str

    @classmethod
    def load(cls, text: str) -> MemberPointer | None:
        """Parse what ``dump`` made; None for any other text."""
        page, _, storm = text.partition(" ")
        return cls(int(page), storm) if storm and page.isdecimal() else None

    def dump(self) -> str:
        """Format as stored."""
        return f"{self.page} {self.storm}"


@lru_cache(maxsize=MAX_CACHED_STORMS)
def _parse_storm(stored: str) -> Storm:
    return Storm.model_validate_json(stored)


def stored_storm_keys(stored: Mapping[str, str]) -> list[str]:
    """Return the keys of a channel's storms, from the hash that keeps them."""
    return [name.removeprefix("storm:") for name in stored if name.startswith("storm:")]


def load_storm(draft: DecisionBuilder, channel: str, storm: str) -> Storm | None:
    """Return the storm with the key ``storm``, or None if it is no longer stored."""
    stored = draft.read_hash(storms_hash(channel)).get(f"storm:{storm}")
    return _read_storm(stored) if stored else None


def is_storm_stored(draft: DecisionBuilder, channel: str, storm: str) -> bool:
    """Whether the storm with the key ``storm`` is still stored."""
    return f"storm:{storm}" in draft.read_hash(storms_hash(channel))


def list_storms(draft: DecisionBuilder, channel: str) -> list[Storm]:
    """Return a channel's storms and messages of causes."""
    fields = draft.read_hash(storms_hash(channel))
    return [storm for name, value in fields.items() if name.startswith("storm:") and (storm := _read_storm(value))]


def _read_storm(stored: str) -> Storm | None:
    return parse_stored("storm", stored, _parse_storm, None)


def save_storm(draft: DecisionBuilder, storm: Storm) -> None:
    """Store a storm; one with members that can recover is open to triage."""
    draft.set_field(
        storms_hash(storm.channel), f"storm:{storm.storm_key}", storm.model_dump_json(exclude_defaults=True)
    )
    if storm.followed:
        draft.set_field(FAILURES_HASH, storm.storm_key, f"{storm.since:.0f}")
        draft.set_field(failure_hash(storm.storm_key), "body", payloads.dump_payload_json(storm.summary_body()))


def claim_cause(draft: DecisionBuilder, storm: Storm, signature: str, *, anew: bool = False) -> None:
    """Let further failures with that signature count in the storm, unless another has them; ``anew``: even then."""
    name, field = storms_hash(storm.channel), f"cause:{signature}"
    known = draft.read_hash(name).get(field, "")
    if known != storm.storm_key and (anew or load_storm(draft, storm.channel, known) is None):
        draft.set_field(name, field, storm.storm_key)


def load_storm_of_cause(draft: DecisionBuilder, channel: str, signature: str) -> Storm | None:
    """Return the storm in which failures with that signature count: one that is of this cause alone."""
    storm = load_storm(draft, channel, draft.read_hash(storms_hash(channel)).get(f"cause:{signature}", ""))
    return storm if storm and (storm.by_cause or find_sole_cause(storm.causes, storm.uncaused)) else None


def cause_messages_of_other_versions(draft: DecisionBuilder, channel: str, version: str) -> Iterator[Storm]:
    """Yield a channel's messages of causes whose signature does not begin with ``version``."""
    own = f'"signature":"{version}-'
    for name, value in draft.read_hash(storms_hash(channel)).items():
        is_other = name.startswith("storm:") and '"by_cause":true' in value and own not in value
        if is_other and (storm := _read_storm(value)):
            yield storm
