"""Holds: until when quiet hours or a mute delay a channel's notifications; pure."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from zofbot.alerting.audience import ChannelAudience
from zofbot.alerting.state import MUTES, DecisionBuilder, held_hash
from zofbot.domain.json_encoding import encode_json
from zofbot.domain.model import Result
from zofbot.notifications.alert_payloads import CaseAlertPayload, RunAlertPayload
from zofbot.notifications.notification import Notification
from zofbot.notifications.payloads import FailurePayload
from zofbot.notifications.storm_payloads import StormPayload
from zofbot.subscriptions import Grouping, RunFinding, Subscription, quiet_until
from zofbot.subscriptions.matching import case_names
from zofbot.subscriptions.mute import Mute, active_mutes, read_mutes
from zofbot.subscriptions.patterns import excluding_patterns, matches_patterns

CRITICAL = ("production",)
"""Environments (globs) whose failures are sent first and may ignore quiet hours."""


@dataclass(frozen=True)
class Hold:
    """What delays a notification: ``until`` is when that ends (Unix seconds), 0 for no delay.

    ``mutes`` are the mutes that match; if there are none, quiet hours delay it. ``subscription_ids`` are those
    it is for.
    """

    until: float = 0.0
    mutes: tuple[Mute, ...] = ()
    subscription_ids: tuple[str, ...] = ()
    critical: bool = False

    @property
    def last(self) -> Mute | None:
        """The mute that ends last."""
        return max(self.mutes, key=lambda mute: (mute.until, mute.id), default=None)


def compute_hold(now: float, subscriptions: Sequence[Subscription], mutes: Iterable[Mute], *, critical: bool) -> Hold:
    """Return until when a notification waits: all mutes must have ended, and one subscription's quiet hours."""
    muted = tuple(mutes)
    over = max((mute.until for mute in muted), default=0.0)
    quiet = min((quiet_until(each, max(now, over), critical=critical) for each in subscriptions), default=0.0)
    return Hold(quiet or over, muted, tuple(each.id for each in subscriptions), critical)


def is_critical(environment: str, critical: Collection[str] = CRITICAL) -> bool:
    """Whether failures in an environment are sent first and may ignore quiet hours."""
    return bool(environment) and matches_patterns(tuple(critical), [environment])


def mutes_on(
    draft: DecisionBuilder,
    channel: str,
    projects: Collection[str],
    environment: str,
    cases: Sequence[Collection[str]] = (),
) -> list[Mute]:
    """Return the channel's mutes that are active now and match a failure."""
    known = draft.read_hash(MUTES)
    own = active_mutes(read_mutes(known), channel, draft.now) if known else []
    return [mute for mute in own if mute.matches(projects, environment, cases)]


def split_by_mutes(
    draft: DecisionBuilder, finding: RunFinding, audience: ChannelAudience
) -> Iterator[tuple[ChannelAudience, list[Mute]]]:
    """Split a channel's failures by the mutes they wait for; the part that waits for none comes first.

    A muted case gets its own alert, so that the run's alert does not show it.
    """
    place = (draft, audience.channel, finding.projects, finding.environment)
    whole = mutes_on(*place)
    parts: dict[tuple[str, ...], tuple[list[Mute], list[Result]]] = {}
    for result in audience.results:
        mutes = mutes_on(*place, [case_names(result)])
        parts.setdefault(tuple(mute.id for mute in mutes), (mutes, []))[1].append(result)
    if not parts:
        yield audience, whole
    for mutes, results in sorted(parts.values(), key=lambda part: len(part[0])):
        part = audience if len(parts) == 1 else audience.for_results(results)
        yield (part if mutes == whole else replace(part, group=Grouping.CASE)), mutes


def cases_of(body: FailurePayload) -> list[list[str]]:
    """Return the names of each case that an alert shows; empty if it does not show all."""
    if isinstance(body, CaseAlertPayload):
        return [[name for name in (body.case.title, body.case_id) if name]]
    if isinstance(body, RunAlertPayload) and body.bad <= len(body.top):
        return [[case.title] for case in body.top]
    return []


def matches_failure(mute: Mute, body: FailurePayload) -> bool:
    """Whether a mute matches a failure; it matches a storm, or a cause, only if it matches every place of it."""
    cases = cases_of(body)
    if isinstance(body, StormPayload) and not body.run.id:
        return _are_places_known(mute, body) and all(
            mute.matches([project], environment, cases) for project, environment, _ in body.places
        )
    projects = [name for name in (body.run.project_id, body.run.project) if name]
    return mute.matches(projects, body.run.environment, cases)


def _are_places_known(mute: Mute, body: StormPayload) -> bool:
    """Whether a mute can be compared with all places of a storm, which have the names of projects and no ids.

    Alerts from just before the storm are members that its places do not count.
    """
    is_complete = bool(body.places) and not body.elsewhere and body.alerts >= body.members
    return is_complete and not excluding_patterns(mute.project)


def record_held_notifications(draft: DecisionBuilder, hold: Hold, notes: Iterable[Notification]) -> None:
    """Record which notifications wait for mutes, so that they are sent early if the mutes are ended early."""
    for note in notes:
        for mute in hold.mutes:
            draft.set_field(
                held_hash(mute.id), note.key, dump_held_record(hold, max(0.0, note.not_before - hold.until))
            )
            draft.expect(MUTES, mute.id)


def dump_held_record(hold: Hold, after: float = 0.0) -> str:
    """Serialize why a notification waits; ``after`` is how many seconds after the hold it is due."""
    fields = {
        "mutes": [mute.id for mute in hold.mutes],
        "takers": hold.subscription_ids,
        "critical": hold.critical,
        "after": after,
    }
    return encode_json({name: value for name, value in fields.items() if value})


def due_time(stored: str, now: float, mutes: Mapping[str, Mute], subscriptions: Mapping[str, Subscription]) -> float:
    """Return when a notification with such a record is due (Unix seconds), given the remaining mutes."""
    read = json.loads(stored)
    left = [mutes[name] for name in read["mutes"] if name in mutes and mutes[name].until > now]
    concerned = [subscriptions[name] for name in read.get("takers", ()) if name in subscriptions]
    hold = compute_hold(now, concerned, left, critical=bool(read.get("critical")))
    return max(now, hold.until) + float(read.get("after", 0.0))
