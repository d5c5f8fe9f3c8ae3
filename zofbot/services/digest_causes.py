"""What a digest says about causes: those with most failures, and how many alerts were new, known and flaky; pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from zofbot.notifications.alert_payloads import CaseAlertPayload, RunAlertPayload
from zofbot.notifications.digest_payload import CaseCount, DigestPayload
from zofbot.notifications.payload_parts import clean_text
from zofbot.notifications.payloads import FailurePayload
from zofbot.services.cause_costs import CauseCost, compute_costs
from zofbot.services.failures import Failure

MAX_NAMED_CAUSES = 5


def add_causes(body: DigestPayload, failures: Iterable[Failure], channel: str) -> DigestPayload:
    """Return a channel's digest with the causes of its alerts; ``failures`` are those of all channels."""
    own = [failure for failure in failures if failure.channel == channel]
    costs = compute_costs(own, body.since, body.until)
    recent = (failure.body for failure in own if body.since < failure.body.test_facts.last <= body.until)
    standings = sum(map(_count_standings, recent), Counter[str]())
    causes = tuple(map(_describe_cost, costs[:MAX_NAMED_CAUSES]))
    return body.model_copy(update={"causes": causes, "standings": dict(standings)})


def _describe_cost(cost: CauseCost) -> CaseCount:
    return CaseCount(
        title=clean_text(cost.example.title or cost.example.id, 150),
        why=clean_text(cost.example.why.partition("\n")[0], 150),
        where=clean_text(", ".join(cost.projects), 100),
        times=cost.failures,
        seconds=cost.seconds,
    )


def _count_standings(body: FailurePayload) -> Counter[str]:
    match body:
        case RunAlertPayload():
            return Counter(body.standings)
        case CaseAlertPayload() if body.case.past:
            return Counter([str(body.case.past.standing)])
        case _:
            return Counter()
