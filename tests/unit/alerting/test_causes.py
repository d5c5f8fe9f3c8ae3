"""Causes of a run's failures: the same whatever the order, and stored with what the alert keeps."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.rules import NOON, RuleBench
from zofbot.alerting.causes import group_by_cause
from zofbot.alerting.failure_signature import VERSION, make_signature
from zofbot.domain.model import Outcome, Result, Run
from zofbot.notifications import payloads
from zofbot.notifications.alert_payloads import CaseAlertPayload, RunAlertPayload
from zofbot.notifications.notification import NotificationKind
from zofbot.notifications.thread_payloads import CauseReplyPayload, ResultPayload
from zofbot.subscriptions import RunFinding, Subscription, parse_filters

TIMEOUT = "TimeoutError: page.click: Timeout 30000ms exceeded waiting for locator('#pay')"
REFUSED = "ConnectionError: connect ECONNREFUSED 10.0.0.7:5432"
TEXTS = (TIMEOUT, TIMEOUT.replace("30000", "15000"), REFUSED, REFUSED.replace("0.7", "0.9"), None, " \n")


def failed(number: int, text: str | None) -> Result:
    return Result(
        id=f"res_{number}", run_id="run_1", case_id=f"case_{number}", title=f"Case {number}", outcome=Outcome.FAILED,
        failure=text, project_id="shop",
    )  # fmt: skip


def run_of(results: Sequence[Result]) -> RunFinding:
    run = Run(id="run_1", outcome=Outcome.FAILED, title="Nightly", project_id="shop", environment="staging")
    return RunFinding.from_results(run, results, otherwise=NOON)


def subscription(filters: str = "") -> Subscription:
    return parse_filters(filters).model_copy(update={"id": "sub", "channel": "C1"})


def body_of(bench: RuleBench) -> RunAlertPayload | CaseAlertPayload:
    [root] = bench.notifications_of(NotificationKind.ROOT)
    body = payloads.load_payload(root.body)
    assert isinstance(body, RunAlertPayload | CaseAlertPayload)
    return body


RESULTS = st.lists(st.sampled_from(TEXTS), min_size=1, max_size=12).map(
    lambda texts: [failed(number, text) for number, text in enumerate(texts)]
)


@settings(max_examples=30)
@given(RESULTS.flatmap(lambda all_: st.tuples(st.just(all_), st.permutations(all_), st.lists(st.sampled_from(all_)))))
def test_order_and_repetition_give_the_same_causes(drawn: tuple[list[Result], list[Result], list[Result]]) -> None:
    results, shuffled, repeated = drawn
    assert group_by_cause(results) == group_by_cause([*shuffled, *repeated])


def test_the_worst_cause_is_first_and_failures_without_a_text_are_last() -> None:
    found = group_by_cause([failed(n, text) for n, text in enumerate((None, None, None, REFUSED, TIMEOUT, TIMEOUT))])
    assert [(cause.signature, len(cause.results)) for cause in found] == [
        (make_signature(TIMEOUT).id, 2), (make_signature(REFUSED).id, 1), ("", 3),
    ]  # fmt: skip


def test_an_alert_stores_the_causes_with_the_version_of_their_signatures() -> None:
    bench = RuleBench(subscription())
    bench.process_findings(run_of([failed(1, TIMEOUT), failed(2, REFUSED), failed(3, TEXTS[1])]))
    body = body_of(bench)
    assert isinstance(body, RunAlertPayload)
    assert [(cause.signature, cause.count, cause.example.id) for cause in body.causes] == [
        (make_signature(TIMEOUT).id, 2, "res_1"), (make_signature(REFUSED).id, 1, "res_2"),
    ]  # fmt: skip
    assert body.all_causes == 2
    assert [case.signature.partition("-")[0] for case in body.top] == [VERSION] * 3


def test_the_alert_of_a_case_stores_its_signature() -> None:
    bench = RuleBench(subscription("group:case"))
    bench.process_findings(run_of([failed(1, TIMEOUT)]))
    body = body_of(bench)
    assert isinstance(body, CaseAlertPayload)
    assert body.case.signature == make_signature(TIMEOUT).id


@pytest.mark.parametrize("filters", ["", "group:case"])
def test_keys_do_not_depend_on_how_failures_are_grouped(filters: str) -> None:
    # A worker with other rules for signatures sees one cause where this one sees two.
    keys = []
    for texts in ((TIMEOUT, REFUSED, TIMEOUT), (TIMEOUT, TIMEOUT, TIMEOUT)):
        decision = RuleBench(subscription(filters)).decide_finding(
            run_of([failed(number, text) for number, text in enumerate(texts)])
        )
        keys.append({note.key for note in decision.notifications if note.kind is NotificationKind.ROOT})
    assert keys[0] == keys[1]


def test_records_from_before_signatures_load() -> None:
    body = payloads.load_payload({"card": "run", "run": {"id": "run_1"}, "bad": 1, "top": [{"id": "res_1"}]})
    assert isinstance(body, RunAlertPayload)
    assert (body.causes, body.all_causes, body.top[0].signature) == ((), 0, "")


def replies(bench: RuleBench) -> list[tuple[str, str, int]]:
    """Return the key of each reply, the title that it shows now, and how many cases it lists."""
    shown = []
    for reply in bench.notifications_of(NotificationKind.REPLY):
        edit = bench.notifications.get(f"result-edit:{reply.key.removeprefix('result:')}", reply)
        body = payloads.load_payload(edit.body)
        assert isinstance(body, ResultPayload | CauseReplyPayload)
        shown.append((reply.key, body.case.title, getattr(body, "count", 1)))
    return shown


def test_the_thread_has_a_reply_for_each_cause() -> None:
    bench = RuleBench(subscription())
    bench.process_findings(run_of([failed(n, TIMEOUT if n % 3 else REFUSED) for n in range(300)]))
    assert replies(bench) == [("result:res_1:failed:C1", "Case 1", 200), ("result:res_0:failed:C1", "Case 0", 100)]


def test_failures_that_are_read_later_join_the_reply_of_their_cause() -> None:
    bench = RuleBench(subscription())
    bench.process_findings(run_of([failed(5, TIMEOUT)]))
    bench.process_findings(run_of([failed(2, TIMEOUT), failed(3, REFUSED), failed(5, TIMEOUT)]))
    assert replies(bench) == [("result:res_5:failed:C1", "Case 2", 2), ("result:res_3:failed:C1", "Case 3", 1)]


def test_a_worker_that_groups_otherwise_repeats_no_reply() -> None:
    bench = RuleBench(subscription())
    bench.process_findings(run_of([failed(1, TIMEOUT), failed(2, TIMEOUT)]))
    bench.process_findings(run_of([failed(1, TIMEOUT), failed(2, REFUSED), failed(3, REFUSED)]))
    assert replies(bench) == [("result:res_1:failed:C1", "Case 1", 2), ("result:res_2:failed:C1", "Case 2", 2)]


@settings(max_examples=20)
@given(RESULTS, st.data())
def test_pages_that_are_read_late_give_the_same_card(results: list[Result], data: st.DataObject) -> None:
    early = data.draw(st.lists(st.sampled_from(results), min_size=1, unique=True))
    late, whole = RuleBench(subscription()), RuleBench(subscription())
    late.process_findings(run_of(early), run_of(results))
    whole.process_findings(run_of(results))
    assert shown_causes(late) == shown_causes(whole)


def shown_causes(bench: RuleBench) -> tuple[object, ...]:
    [root] = bench.notifications_of(NotificationKind.ROOT)
    edit = bench.notifications.get(root.key.replace("run:", "run-edit:"), root)
    body = payloads.load_payload(edit.body)
    assert isinstance(body, RunAlertPayload)
    return body.causes, body.all_causes, body.grouped, body.bad
