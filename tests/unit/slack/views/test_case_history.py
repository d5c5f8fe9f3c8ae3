"""What an alert says of its case's past."""

from __future__ import annotations

import pytest

from zofbot.notifications.payload_parts import CaseSummary
from zofbot.slack.views.case_history import case_past_text
from zofbot.subscriptions.case_history import CasePast, CaseStanding


@pytest.mark.parametrize(
    ("retried", "said"), [(0, ""), (1, ", passed on retry once"), (2, ", passed on retry twice"),
                          (3, ", passed on retry 3 times")],
)  # fmt: skip
def test_a_flaky_case_says_how_often_a_retry_passed(retried: int, said: str) -> None:
    past = CasePast(standing=CaseStanding.FLAKY, failed=4, seen=9, retried=retried)
    assert case_past_text(CaseSummary(id="res_1", past=past)) == f"🎲 *Flaky*: failed 4 of the last 9{said}"
