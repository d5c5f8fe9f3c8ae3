"""The current state of a failure, and why an action on it is refused."""

from __future__ import annotations

from dataclasses import dataclass

from zofbot.notifications.payloads import FailurePayload, failure_title
from zofbot.notifications.storm_payloads import StormPayload
from zofbot.notifications.titles import format_title
from zofbot.triage import (
    Action,
    ActionRequest,
    IllegalAction,
    TriageRecord,
    apply_action,
)


@dataclass(frozen=True)
class Failure:
    """A failure's current state: the payload its alert shows (``body``), and its triage record (``present``).

    ``storm`` is the key of the storm that it belongs to; actions on the storm apply to it, too.
    """

    key: str
    channel: str
    body: FailurePayload
    present: TriageRecord
    storm: str = ""

    @property
    def title(self) -> str:
        """What messages call it: the title with its place, or the run's id."""
        run = self.body.run
        return failure_title(self.body) or format_title(run.id, run.project, run.environment)

    @property
    def cards(self) -> tuple[str, ...]:
        """Keys of the alerts whose cards show its state: its own and, of a storm, those of alerts posted before it."""
        return (self.key, *(self.body.cards if isinstance(self.body, StormPayload) else ()))

    def allows_action(self, request: ActionRequest) -> bool:
        """Return whether the action is allowed in the current state."""
        try:
            apply_action(self.present, request, self.body.test_facts, self.body.policy)
        except IllegalAction:
            return False
        return True


class StaleCard(Exception):
    """The button belongs to an outdated card; ``failure`` is the current state."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.key)
        self.failure = failure


class FailureExpired(Exception):
    """The failure is no longer stored."""


class ActionNotAllowed(Exception):
    """The state machine does not allow the action; ``failure`` is the current state."""

    def __init__(self, failure: Failure, act: Action) -> None:
        super().__init__(failure.key)
        self.failure, self.act = failure, act
