"""The line of a card about causes that were seen before."""

from __future__ import annotations

from zofbot.domain.model import Outcome
from zofbot.notifications.alert_payloads import RunAlertPayload
from zofbot.notifications.past_causes import PastCause, Resolution
from zofbot.notifications.payload_parts import CaseSummary, CauseSummary, RunSummary
from zofbot.slack.views.alerts.past_causes import past_cause_lines

TEXTS = {"s2-1": "Timeout at *login*", "s2-2": "Connection refused"}


def build_body(*past: PastCause, causes: int = 2) -> RunAlertPayload:
    examples = [CaseSummary(id="res_1", title="Case", outcome=Outcome.FAILED, why=why) for why in TEXTS.values()]
    known = tuple(
        CauseSummary(signature=name, count=1, example=case) for name, case in zip(TEXTS, examples, strict=True)
    )
    return RunAlertPayload(run=RunSummary(id="run_1", outcome=Outcome.FAILED), bad=2, causes=known[:causes], past=past)


OFTEN = PastCause(signature="s2-1", count=5, first=86400.0)
RESOLVED = PastCause(
    signature="s2-2", count=2, first=86400.0, resolved=Resolution(at=172800.0, by="ben", note="redeployed")
)


def test_several_known_causes_have_one_line_with_the_latest_resolution() -> None:
    [line] = past_cause_lines(build_body(OFTEN, RESOLVED))
    assert line.startswith("🗂️ Some causes were seen up to 5 times since ")
    assert "last resolved by ben: _redeployed_" in line
    assert "Timeout" not in line


def test_the_only_known_one_of_several_causes_is_named_and_that_of_a_single_cause_is_not() -> None:
    [named] = past_cause_lines(build_body(RESOLVED, PastCause(signature="s2-1", count=1)))
    assert named.startswith("🗂️ Connection refused: seen 2 times since ")
    [single] = past_cause_lines(build_body(OFTEN, causes=1))
    assert single.startswith("🗂️ Seen 5 times since ")
    assert past_cause_lines(build_body(PastCause(signature="s2-1", count=1))) == []
