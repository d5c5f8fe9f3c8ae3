"""What people did about a channel's failures, for the rules, which only read it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from zofbot.pipeline.memory import Draft, triage_in
from zofbot.pipeline.storm_record import load_storm, storm_with
from zofbot.slack import bodies
from zofbot.slack.bodies import CaseBody, Resolution, RunBody
from zofbot.triage import Act, Course, State, Triage, current, stand_in_storm


class TriageRecords:
    """The records of one channel. Failures are given by the key and the stored body of their root."""

    def __init__(self, draft: Draft, channel: str) -> None:
        self._draft, self._channel = draft, channel
        self._name = triage_in(channel)

    def present(self, key: str, body: Mapping[str, Any]) -> Triage:
        """How a failure stands, with what was done about the storm that it is part of."""
        own = current(self._record(key), _course(body), self._draft.now)
        storm = load_storm(self._draft, self._channel, self._storm(key))
        if storm is None:
            return own
        return stand_in_storm(own, current(self._record(storm.key), storm.body().course, self._draft.now))

    def woken(self, key: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Triage | None:
        """How a failure that was snoozed stood until its body changed so that it woke; None where it did not."""
        if key not in self._draft.hash(self._name):
            return None
        asleep = self.present(key, before)
        return asleep if asleep.state is State.SNOOZED and self.present(key, after).did is Act.WAKE else None

    def resolution(self, key: str, body: Mapping[str, Any], at: float) -> Resolution | None:
        """What a person resolved a failure with before ``at`` (Unix seconds); None where it is not resolved."""
        if self._draft.hash(self._name).keys().isdisjoint((key, self._storm(key))):
            return None
        present = self.present(key, body)
        if present.state is not State.RESOLVED or present.since >= at:
            return None
        return Resolution(at=present.since, by=present.put.name, reason=present.reason, note=present.note)

    def woken_by_relapse(self, key: str, body: Mapping[str, Any], recovered: float) -> str:
        """The id of whoever had a failure snoozed when it ``recovered`` (Unix seconds); empty where nobody had."""
        record, course = self._record(key), _course(body)
        asleep = current(record, course.model_copy(update={"turn": record.turn}), recovered)
        return asleep.put.id if record.turn == course.turn - 1 and asleep.state is State.SNOOZED else ""

    def _storm(self, key: str) -> str:
        return storm_with(self._draft, self._channel, key)

    def _record(self, key: str) -> Triage:
        """Give an untouched record where a newer version has written what this one cannot read."""
        try:
            return Triage.model_validate_json(self._draft.hash(self._name).get(key, "{}"))
        except ValidationError:
            return Triage()


def _course(body: Mapping[str, Any]) -> Course:
    shown = bodies.read(dict(body))
    return shown.course if isinstance(shown, RunBody | CaseBody) else Course()
