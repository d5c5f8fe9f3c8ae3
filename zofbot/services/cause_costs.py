"""What causes cost a channel: how many failures they had, and how long their alerts were open; pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from zofbot.notifications.alert_payloads import CaseAlertPayload, RunAlertPayload
from zofbot.notifications.payload_parts import CaseSummary
from zofbot.notifications.payloads import FailurePayload
from zofbot.services.failures import Failure

DEFAULT_PERIOD_SECONDS = 7 * 86400
MAX_PERIOD_SECONDS = 38 * 86400
"""Failures are not kept any longer."""


@dataclass(frozen=True)
class CauseCost:
    """What one cause cost in a period: ``seconds`` is how long its alerts were open, all added.

    ``alerts`` are the failures with this cause, the latest first; ``example`` is one of the failed cases.
    """

    signature: str
    example: CaseSummary
    failures: int
    seconds: float
    alerts: tuple[Failure, ...]

    @property
    def open_count(self) -> int:
        return sum(not alert.present.state.is_closed for alert in self.alerts)

    @property
    def projects(self) -> tuple[str, ...]:
        """The projects in which it failed, by name, where known."""
        return tuple(sorted({alert.body.run.project for alert in self.alerts} - {""}))

    @property
    def projects_by_key(self) -> dict[str, str]:
        """The names of its projects, by what the memory of causes knows them by."""
        runs = (alert.body.run for alert in self.alerts)
        return {run.project_id or run.project: run.project or run.project_id for run in runs}

    @property
    def first(self) -> float:
        """When the first of its alerts was opened (Unix seconds)."""
        return min(map(_opened_at, self.alerts))

    @property
    def last(self) -> float:
        """When it last failed (Unix seconds)."""
        return max(alert.body.test_facts.last for alert in self.alerts)


def compute_costs(failures: Iterable[Failure], since: float, now: float) -> list[CauseCost]:
    """Add up the causes of failures that were open at any time from ``since`` to ``now`` (Unix seconds).

    Those with most failures come first, then those that were open for longest. A storm counts by its members.
    """
    found: dict[str, list[tuple[Failure, int, CaseSummary]]] = {}
    for failure in failures:
        if _closed_at(failure, now) < since:
            continue
        for signature, count, example in _causes_in(failure.body):
            found.setdefault(signature, []).append((failure, count, example))
    costs = [_add_up(signature, items, since, now) for signature, items in found.items()]
    return sorted(costs, key=lambda cost: (-cost.failures, -cost.seconds, cost.signature))


def find_cost(costs: Sequence[CauseCost], typed: str) -> CauseCost | None:
    """Return the cause with that id, or whose id begins or ends so, if it is the only one."""
    same = [cost for cost in costs if cost.signature == typed]
    alike = same or [cost for cost in costs if typed and typed in cost.signature]
    return alike[0] if len(alike) == 1 else None


def _add_up(signature: str, items: Sequence[tuple[Failure, int, CaseSummary]], since: float, now: float) -> CauseCost:
    items = sorted(items, key=lambda item: (-item[0].body.test_facts.last, item[0].key))
    return CauseCost(
        signature=signature,
        example=items[0][2],
        failures=sum(count for _, count, _ in items),
        seconds=sum(max(0.0, _closed_at(item, now) - max(_opened_at(item), since)) for item, _, _ in items),
        alerts=tuple(item for item, _, _ in items),
    )


def _causes_in(body: FailurePayload) -> Iterable[tuple[str, int, CaseSummary]]:
    """Yield the causes of an alert: signature, number of failures and one of them."""
    match body:
        case CaseAlertPayload() if body.case.signature:
            yield body.case.signature, body.failure_count, body.case
        case RunAlertPayload():
            yield from ((cause.signature, cause.count, cause.example) for cause in body.causes if cause.signature)
        case _:
            return


def _opened_at(failure: Failure) -> float:
    return failure.body.opened or failure.present.opened or failure.body.test_facts.last


def _closed_at(failure: Failure, now: float) -> float:
    return failure.present.since if failure.present.state.is_closed else now
