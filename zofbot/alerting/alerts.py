"""Alerts that may still change: open failures, their recovery, and their relapse."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from pydantic import AliasChoices, Field

from zofbot.alerting.stored_state import parse_stored
from zofbot.domain.frozen_model import FrozenModel
from zofbot.subscriptions import Grouping

FLAP_WINDOW_SECONDS = 3600.0
"""Seconds after a recovery in which a new failure continues the same thread."""

CALM_SECONDS = 3600.0
"""Seconds without a relapse after which a flapping failure posts recoveries and relapses again."""

MAX_CACHED_ALERTS = 2000
"""Parsed alerts kept in memory; during a storm the same ones are read for every new alert."""


class PassingRun(FrozenModel):
    """A run in which failed cases of an alert passed; ``at`` is Unix seconds.

    ``same``: the whole run passed and has the alert's title, or the alert has no title.
    """

    run: str
    at: float
    cases: tuple[str, ...] = ()
    same: bool = False


class Alert(FrozenModel):
    """A failure that was reported to a channel, and its current state. Times are Unix seconds.

    ``id`` is the run or result that ``key`` was made from; ``takers`` are ids of the subscriptions it was made for.
    ``storm`` is the key of the storm summary that replaces its own message, or empty. Of ``cases``, those in
    ``left`` must pass after ``last`` for it to recover; they did in ``passing_runs``. ``partial``: some failed
    cases were not read, or are not named. ``runs`` are the latest runs counted. ``turns`` counts recoveries,
    ``relapses`` the relapses in quick succession up to the one at ``relapsed``; ``line`` is the key of the reply that
    reports flapping, and ``replies`` are the keys of the latest replies about causes. With a ``signature`` it stands
    for all cases with that cause in its scope. ``title`` and ``series`` are those of its run.
    """

    key: str
    group: Grouping
    id: str
    category: str
    takers: tuple[str, ...] = ()
    threaded: bool = True
    title: str = ""
    series: str = ""
    cases: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    passing_runs: tuple[PassingRun, ...] = Field(
        default=(), validation_alias=AliasChoices("passing_runs", "heals"), serialization_alias="heals"
    )
    """Stored as ``heals``, as earlier versions name them."""
    partial: bool = False
    runs: tuple[str, ...] = ()
    first: float
    last: float
    recovered: float | None = None
    turns: int = 0
    relapses: int = 0
    relapsed: float | None = None
    line: str = ""
    replies: tuple[str, ...] = ()
    signature: str = ""
    critical: bool = False
    storm: str = ""
    body: dict[str, Any]

    @property
    def thread_key(self) -> str:
        """The key of the message whose thread holds its replies."""
        return self.storm or self.key

    def is_of_series(self, title: str, series: str) -> bool:
        """Whether a run with that title and ``series_key`` repeats this alert's run."""
        return title == self.title or (bool(series) and series == self.series)

    def fails_again(self, at: float, run: str) -> bool:
        """Whether a failure at that time, in the run with that id, comes after the recovery.

        It does if it was read later that a run by which it had recovered has failed.
        """
        recovered_by = (each.run for each in self.passing_runs)
        return self.recovered is not None and (at > self.recovered or run in recovered_by)

    def is_relapse(self, at: float, run: str) -> bool:
        """Whether such a failure comes soon enough after the recovery to continue the same thread."""
        return self.fails_again(at, run) and not self.is_over(at)

    def with_relapse(self, at: float, run: str) -> Alert:
        """Return a copy that failed again at that time, in that run; after a calm period, flapping gets a new reply."""
        flaps_on = self.relapsed is not None and at <= self.relapsed + CALM_SECONDS
        count, line = (self.relapses + 1, self.line) if flaps_on else (1, "")
        again = self.model_copy(update={"recovered": None, "relapses": count, "relapsed": at, "line": line})
        return again.without_pass(run)

    def without_pass(self, run: str) -> Alert:
        """Return the alert without what passed in that run, or the same object if nothing did."""
        left = tuple(each for each in self.passing_runs if each.run != run)
        return self if left == self.passing_runs else self.model_copy(update={"passing_runs": left})

    def is_flapping(self, at: float) -> bool:
        """Whether it relapsed at least twice in quick succession, so that each change is no longer posted.

        Two relapses and the recovery between them are three changes.
        """
        return self.relapses > 1 and self.relapsed is not None and at <= self.relapsed + CALM_SECONDS

    def is_over(self, at: float) -> bool:
        """Whether a failure at that time comes too late for this thread and needs a new alert."""
        return self.recovered is not None and at > self.recovered + FLAP_WINDOW_SECONDS


@lru_cache(maxsize=MAX_CACHED_ALERTS)
def parse_alert(stored: str) -> Alert:
    """Parse an alert as it is stored."""
    return Alert.model_validate_json(stored)


def parse_alerts(stored: Mapping[str, str]) -> dict[str, Alert]:
    """Parse a hash of alerts, by field; those that cannot be read are left out."""
    parsed = {field: parse_stored("alert", value, parse_alert, None) for field, value in stored.items()}
    return {field: alert for field, alert in parsed.items() if alert}
