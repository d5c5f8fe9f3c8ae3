"""The alerts of one channel and scope, as stored: found, added, dropped."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from zofbot.alerting.alerts import Alert, parse_alerts
from zofbot.alerting.run_series import series_key
from zofbot.alerting.state import FAILURES_HASH, DecisionBuilder, alerts_hash, failure_hash, short_hash
from zofbot.alerting.storms.storm_placement import forget_placed_alert, update_placed_alert
from zofbot.alerting.storms.storm_record import is_storm_stored
from zofbot.alerting.triage_records import TriageRecords
from zofbot.domain.json_encoding import encode_json
from zofbot.domain.model import Run
from zofbot.notifications.past_causes import Resolution
from zofbot.subscriptions import Grouping

MAX_ALERTS = {Grouping.RUN: 200, Grouping.CASE: 500}
"""Alerts kept per channel and scope; beyond that the oldest is dropped, a recovered one first."""
MAX_ALERTS_IN_STORMS = 500
"""Same limit for alerts that are part of a storm."""
OPEN_RETENTION_SECONDS = 14 * 86400.0
RECOVERED_RETENTION_SECONDS = 6 * 3600.0
"""Seconds. A resolved failure is kept as long as an open one, so that a relapse can mention who resolved it."""


def case_field(case: str) -> str:
    """Return the hash field of a case's alert."""
    return f"case:{case}" if len(case) <= 100 else f"case:{short_hash(case)}"


def cause_field(storm: str, signature: str = "") -> str:
    """Return the hash field of the alert of a cause in one scope.

    ``storm`` is the key of the cause's message, or of a storm of several causes, which has one for each ``signature``.
    """
    return f"cause:{short_hash(storm, signature)}" if signature else f"cause:{short_hash(storm)}"


def run_field(run_id: str) -> str:
    """Return the hash field of a run's alert."""
    return f"run:{run_id}"


class AlertsInScope:
    """One channel's alerts in one scope, including the draft's changes so far."""

    def __init__(self, draft: DecisionBuilder, channel: str, place: str) -> None:
        self._draft, self._channel = draft, channel
        self._name = alerts_hash(channel, place)
        self.records = TriageRecords(draft, channel)
        self._all = dict(sorted(parse_alerts(draft.read_hash(self._name)).items()))
        self._drop_alerts(field for field, alert in self._all.items() if self._is_stale(alert))

    def list_items(self) -> list[tuple[str, Alert]]:
        return list(self._all.items())

    def get(self, field: str) -> Alert | None:
        return self._all.get(field)

    def find_by_run(self, run_id: str) -> tuple[str, Alert] | None:
        """Return the run alert that already counts this run, if any."""
        return self._find_latest(lambda alert: run_id in alert.runs)

    def find_flapping(self, cases: Collection[str], run: Run, at: float) -> tuple[str, Alert] | None:
        """Return the run alert with the same failures that recovered shortly before ``at``, or by that run, if any."""

        def is_same_failure(alert: Alert) -> bool:
            again = set(cases) <= set(alert.cases) if cases else _is_repeated(alert, run)
            return again and alert.is_relapse(at, run.id) and not self.resolution_of(alert, at)

        return self._find_latest(is_same_failure)

    def find_resolution(self, cases: Collection[str], run: Run, at: float) -> Resolution | None:
        """Return how a person resolved these failures before ``at``, judged by each case's latest alert."""
        left = set(cases)
        runs = (alert for alert in self._all.values() if alert.group is Grouping.RUN)
        for alert in sorted(runs, key=lambda alert: alert.last, reverse=True):
            same = left.intersection(alert.cases) if cases else _is_repeated(alert, run)
            found = self.resolution_of(alert, at) if same else None
            if found or (same and not cases):
                return found
            left.difference_update(alert.cases)
        return None

    def resolution_of(self, alert: Alert, at: float) -> Resolution | None:
        """Return how a person resolved an alert before ``at``, or None."""
        return self.records.resolution_before(alert.key, alert.body, self._draft.clamp_to_now(at))

    def put_alert(self, field: str, alert: Alert, held: float = 0.0) -> None:
        """Save an alert, update the storm that lists it, and drop the one that it replaces or an alert above the limit.

        ``held`` is when quiet hours that delay the storm's edit end (Unix seconds), 0 for none.
        """
        before = self._all.get(field)
        self._all[field] = alert
        self._draft.set_field(self._name, field, alert.model_dump_json(exclude_defaults=True))
        if before is None or before.key != alert.key:
            self._draft.set_field(FAILURES_HASH, alert.key, f"{self._draft.now:.0f}")
        if before is None or before.body != alert.body:
            self._draft.set_field(failure_hash(alert.key), "body", encode_json(alert.body))
        if before is not None and before.key == alert.key:
            update_placed_alert(self._draft, self._channel, alert.key, alert.body, held)
        elif before is not None and before.recovered is None:
            forget_placed_alert(self._draft, self._channel, before.key)
        self._drop_oldest(alert)

    def withdraw_alert(self, alert: Alert) -> None:
        """End an alert whose message waits and is not to be posted any more, as another goes on with its failure."""
        self._draft.delete_fields(FAILURES_HASH, [alert.key])
        self._draft.set_field(failure_hash(alert.key), "body", encode_json(alert.body | {"unposted": True}))

    def _drop_oldest(self, latest: Alert) -> None:
        """Drop the oldest alert, a recovered one first, if there are more like the latest than are kept."""
        limit = MAX_ALERTS_IN_STORMS if latest.storm else MAX_ALERTS[latest.group]
        if len(self._all) <= limit:
            return  # most scopes; the alerts need not be sorted by kind
        alike = [name for name, other in self._all.items() if _retention_group(other) == _retention_group(latest)]
        if len(alike) > limit:
            self._drop_alerts([min(alike, key=lambda name: (self._all[name].recovered is None, self._all[name].last))])

    def _find_latest(self, wanted: Any) -> tuple[str, Alert] | None:
        found = [(field, alert) for field, alert in self._all.items() if alert.group is Grouping.RUN and wanted(alert)]
        return max(found, key=lambda pair: pair[1].last, default=None)

    def _is_stale(self, alert: Alert) -> bool:
        now = self._draft.now
        over = alert.recovered is not None and max(alert.recovered, alert.last) < now - RECOVERED_RETENTION_SECONDS
        if alert.storm and not is_storm_stored(self._draft, self._channel, alert.storm):
            over = True  # no message shows it any more
        return alert.last < now - OPEN_RETENTION_SECONDS or (over and not self.resolution_of(alert, now))

    def _drop_alerts(self, fields: Iterable[str]) -> None:
        """Delete alerts; storms that include them recover without those that are open."""
        gone = list(fields)
        self._draft.delete_fields(self._name, gone)
        for alert in map(self._all.pop, gone):
            if alert.recovered is None:
                forget_placed_alert(self._draft, self._channel, alert.key)


def _is_repeated(alert: Alert, run: Run) -> bool:
    """Whether a failed run without known cases repeats that of an alert without them."""
    return not alert.cases and alert.is_of_series(run.title or "", series_key(run))


def _retention_group(alert: Alert) -> tuple[Grouping, bool]:
    return alert.group, bool(alert.storm)
