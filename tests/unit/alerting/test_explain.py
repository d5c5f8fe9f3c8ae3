"""Why a channel was told, or was not: one answer for each branch of the decision, and where the message stands."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tests.support.rules import (
    HOUR_SECONDS,
    NOON,
    RuleBench,
    failed_finding,
    make_finding,
    make_result,
    make_subscription,
    passed_finding,
)
from zofbot.alerting.explain import CountedMessage, Explanation, explain_run
from zofbot.alerting.reasons import REASON_TEXTS, DecisionReason
from zofbot.alerting.state import RuleState
from zofbot.domain.errors import ZofUnavailable
from zofbot.domain.model import Outcome, Run
from zofbot.notifications.notification import NotificationState
from zofbot.simulator.blockkit.mentions import find_unescaped
from zofbot.slack.views import why as reasons
from zofbot.slack.views.blocks import Message
from zofbot.slack.views.why import MessageStatus, SubscriptionLine
from zofbot.subscriptions import RunFinding
from zofbot.triage import Action, Actor, TriageRecord, TriageState


def ask_why(
    rules: RuleBench, finding: RunFinding, channel: str = "C1", now: float | None = None, *, handled: bool = False
) -> Explanation:
    return explain_run(
        finding, channel, rules.subscriptions, rules.memory, finding.happened if now is None else now,
        lookback=rules.lookback, default_channel=rules.default, handled=handled,
    )  # fmt: skip


def answers_of(told: Explanation) -> list[DecisionReason]:
    return [reason.answer for reason in told.reasons]


@pytest.mark.parametrize(
    ("filters", "finding", "answer", "why"),
    [
        ("", failed_finding("1", NOON, "a"), DecisionReason.NOTIFIED, "matched"),
        (
            "env:production",
            failed_finding("1", NOON, "a"),
            DecisionReason.MISMATCH,
            "env is staging, wanted production",
        ),
        ("project:other", failed_finding("1", NOON, "a"), DecisionReason.MISMATCH, "project is proj_1, wanted other"),
        ("case:b", failed_finding("1", NOON, "a"), DecisionReason.MISMATCH, "case is a, wanted b"),
        ("on:error", failed_finding("1", NOON, "a"), DecisionReason.MISMATCH, "its event is failed, wanted error"),
        ("", passed_finding("1", NOON, "a"), DecisionReason.MISMATCH, "nothing failed"),
        ("after:3/1h", failed_finding("1", NOON, "a"), DecisionReason.BELOW_THRESHOLD, "not enough failures"),
        ("quiet:11:00-13:00", failed_finding("1", NOON, "a"), DecisionReason.HELD, "quiet hours"),
        ("", make_finding("1", NOON, outcome=Outcome.CANCELED), DecisionReason.CANCELED, "never posted"),
        ("", make_finding("1", NOON, outcome=Outcome.RUNNING), DecisionReason.UNFINISHED, "not finished yet"),
    ],
)
def test_each_answer_is_the_decisions_own(filters: str, finding: RunFinding, answer: DecisionReason, why: str) -> None:
    told = ask_why(RuleBench(make_subscription(filters), make_subscription(channel="C2", number=2)), finding)
    assert answers_of(told) == [answer]
    assert why in told.reasons[0].reason_text


def test_what_was_told_is_known_and_names_its_message() -> None:
    rules, finding = RuleBench(make_subscription("group:case")), failed_finding("1", NOON, "a")
    before = rules.memory.hashes
    assert ask_why(rules, finding).is_expected
    assert rules.memory.hashes == before, "explaining changes nothing"
    rules.process_findings(finding)
    told = ask_why(rules, finding)
    assert (answers_of(told), told.parts, told.is_expected) == (
        [DecisionReason.KNOWN],
        (CountedMessage("case:res_1_a:failed:C1"),),
        False,
    )
    assert ask_why(rules, finding, "C2").reasons == ()


def test_a_later_run_says_that_it_joined_the_message_of_an_earlier_one() -> None:
    rules, again = RuleBench(make_subscription("group:case")), failed_finding("2", NOON + 60, "a")
    rules.process_findings(failed_finding("1", NOON, "a"), again)
    assert ask_why(rules, again).parts == (CountedMessage("case:res_1_a:failed:C1", joined=True),)


def test_what_nothing_names_any_more_is_looked_for_by_the_keys_it_had() -> None:
    rules, finding = RuleBench(make_subscription("group:case")), failed_finding("1", NOON, "a", "b")
    rules.process_findings(finding)
    kept = {name: {} if name.startswith("open:") else fields for name, fields in rules.memory.hashes.items()}
    rules.memory = RuleState(kept)
    told = ask_why(rules, finding)
    assert told.perhaps == ("run:run_1:failed:C1", "case:res_1_a:failed:C1", "case:res_1_b:failed:C1")
    assert not told.parts


def test_the_default_channel_hears_what_it_gets_and_what_not() -> None:
    finding = failed_finding("1", NOON, "a")
    alone = RuleBench(make_subscription("project:other"), default="C9")
    assert answers_of(ask_why(alone, finding, "C9")) == [DecisionReason.NOTIFIED]
    assert answers_of(ask_why(RuleBench(make_subscription(), default="C9"), finding, "C9")) == [DecisionReason.CLAIMED]
    assert answers_of(ask_why(alone, make_finding("1", NOON, outcome=Outcome.CANCELED), "C9")) == [
        DecisionReason.CANCELED
    ]
    alone.process_findings(finding)
    assert answers_of(ask_why(alone, finding, "C9")) == [DecisionReason.KNOWN]
    assert ask_why(alone, finding, "C9").reasons[0].subscription == "default"


def test_what_was_decided_on_before_a_subscription_was_made_is_not_expected_for_it() -> None:
    rules, finding = RuleBench(default="C9"), failed_finding("1", NOON, "a")
    rules.process_findings(finding)
    rules.subscriptions = (make_subscription(created=NOON + 15),)
    told = ask_why(rules, finding, now=NOON + 120)
    assert (answers_of(told), told.is_expected) == ([DecisionReason.MISMATCH], False)
    assert told.reasons[0].reason_text == "didn't match yet when zofbot read this run"


def test_what_was_read_when_nobody_had_subscribed_is_not_expected_any_more() -> None:
    rules, finding = RuleBench(make_subscription(), default="C9"), failed_finding("1", NOON, "a")
    told = ask_why(rules, finding, handled=True)
    assert (answers_of(told), told.is_expected) == ([DecisionReason.MISMATCH], False)
    assert told.reasons[0].reason_text == "didn't match yet when zofbot read this run"
    rules.process_findings(finding)
    assert answers_of(ask_why(rules, finding, handled=True)) == [DecisionReason.KNOWN]
    assert answers_of(ask_why(rules, finding, "C9", handled=True)) == [DecisionReason.CLAIMED]


def test_a_run_whose_failures_cannot_be_read_is_explained_by_what_was_decided() -> None:
    rules = RuleBench(make_subscription("group:case"))
    rules.process_findings(failed_finding("1", NOON, "a"))
    told = ask_why(rules, replace(make_finding("1", NOON), is_unlisted=True))
    assert (answers_of(told), told.parts) == ([DecisionReason.KNOWN], (CountedMessage("case:res_1_a:failed:C1"),))


@pytest.mark.parametrize("cases", [(), ("a",)])
@pytest.mark.parametrize("outcome", [Outcome.UNKNOWN, Outcome.RUNNING])
def test_a_run_that_was_posted_has_ended_though_its_status_does_not_say_so(
    outcome: Outcome, cases: tuple[str, ...]
) -> None:
    rules = RuleBench(make_subscription(), make_subscription("env:production", number=2))
    results = [make_result(case, case=case) for case in cases]
    rules.process_findings(replace(make_finding("1", NOON, *results), is_over=True))
    found = make_finding("1", NOON, *results, outcome=outcome)
    active = replace(found, run=found.run.model_copy(update={"ended": None}), is_active=True)
    told = ask_why(rules, active, now=NOON + 60)
    assert answers_of(told) == [DecisionReason.MISMATCH, DecisionReason.KNOWN]
    assert told.parts == (CountedMessage("run:run_1:failed:C1"),)


@pytest.mark.parametrize("group", ["run", "case"])
def test_a_subscription_below_its_threshold_says_so_though_another_of_the_channel_was_notified(group: str) -> None:
    rules = RuleBench(make_subscription("case:a"), make_subscription(f"after:3/1h group:{group}", number=2))
    finding = failed_finding("1", NOON, "a")
    rules.process_findings(finding)
    before = rules.memory.hashes
    assert answers_of(ask_why(rules, finding)) == [DecisionReason.KNOWN, DecisionReason.BELOW_THRESHOLD]
    assert rules.memory.hashes == before
    rules.process_findings(failed_finding("2", NOON + 60, "a"), failed_finding("3", NOON + 120, "a"))
    third = failed_finding("3", NOON + 120, "a")
    assert answers_of(ask_why(rules, third)) == [DecisionReason.KNOWN, DecisionReason.KNOWN]


def test_what_is_too_old_and_what_a_storm_swallowed_say_so() -> None:
    old = RuleBench(make_subscription(), lookback=HOUR_SECONDS)
    old.process_findings(failed_finding("1", NOON - 2 * HOUR_SECONDS, "a"), now=NOON)
    assert answers_of(ask_why(old, failed_finding("1", NOON - 2 * HOUR_SECONDS, "a"), now=NOON)) == [DecisionReason.OLD]
    stormy = RuleBench(make_subscription())
    for number in range(30):
        stormy.process_findings(failed_finding(str(number), NOON + number / 10, "a"), now=NOON + number / 10)
    told = ask_why(stormy, failed_finding("29", NOON + 2.9, "a"), now=NOON + 3)
    assert (answers_of(told), told.storms, told.is_expected) == (
        [DecisionReason.STORM],
        ("storm:run_20:failed:C1",),
        False,
    )
    alone = ask_why(stormy, failed_finding("1", NOON + 0.1, "a"), now=NOON + 3)
    assert (alone.parts[0].key, alone.storms) == ("run:run_1:failed:C1", told.storms), "both hold"
    stormy.process_findings(failed_finding("40", NOON + 300, "a"), now=NOON + 300)
    late = ask_why(stormy, failed_finding("29", NOON + 2.9, "a"), now=NOON + 301)
    assert (answers_of(late), late.storms) == ([DecisionReason.STORM], told.storms), "of a storm that is over, too"


def test_a_storm_of_what_quiet_hours_held_has_a_summary_of_its_own() -> None:
    rules = RuleBench(make_subscription("quiet:11:00-13:00"))
    for number in range(30):
        rules.process_findings(failed_finding(str(number), NOON + number / 10, "a"), now=NOON + number / 10)
    told = ask_why(rules, failed_finding("29", NOON + 2.9, "a"), now=NOON + 3)
    assert (answers_of(told), told.storms) == ([DecisionReason.STORM], ("storm:run_20:failed:C1",))


def test_a_run_that_lets_a_failure_recover_says_so() -> None:
    rules = RuleBench(make_subscription("group:case"))
    rules.process_findings(failed_finding("1", NOON, "a"))
    assert answers_of(ask_why(rules, passed_finding("2", NOON + 60, "a"))) == [DecisionReason.RECOVERED]


# --- how it is drawn

RUN = Run(id="run_1", title="nightly", outcome=Outcome.FAILED)


def render_text(message: Message) -> str:
    assert len(message.message_fields()["blocks"]) <= 50
    return json.dumps(message.message_fields(), ensure_ascii=False)


def describe_stand(stand: MessageStatus) -> str:
    return render_text(reasons.why_card(RUN, [], [stand], NOON))


SNOOZED = TriageRecord(
    state=TriageState.SNOOZED, did=Action.SNOOZE, by=Actor(id="U0ANA", name="Ana"), at=NOON - 60, until=NOON + 60
)


@pytest.mark.parametrize(
    ("stand", "words"),
    [
        (MessageStatus(), "Its alert has expired"),
        (MessageStatus(NotificationState.SENT), "Its alert was posted in this channel."),
        (
            MessageStatus(NotificationState.SENT, link="https://x.slack.com/p1"),
            "Its alert was posted in this channel. <https://x.slack.com/p1|View message>",
        ),
        (MessageStatus(NotificationState.SENT, joined=True), "The alert that it updated was posted"),
        (MessageStatus(NotificationState.SENT, storm=True), "Its storm's summary was posted"),
        (
            MessageStatus(NotificationState.SENT, present=SNOOZED),
            "Snoozed by Ana 1 min ago. Snoozed <!date^1780315260^until ",
        ),
        (
            MessageStatus(
                NotificationState.SENT,
                present=TriageRecord(did=Action.ACKNOWLEDGE, by=Actor(id="U1", name="Bo"), at=NOON),
            ),
            "by Bo 1 s ago.",
        ),
        (MessageStatus(NotificationState.SENDING), "is being sent"),
        (
            MessageStatus(NotificationState.DEAD, reason="too <big>"),
            "delivered: too &lt;big&gt;. An operator can retry it",
        ),
        (MessageStatus(NotificationState.DROPPED, reason="no"), "was dropped: no."),
        (MessageStatus(NotificationState.PENDING, held="for this."), "Its alert is queued: for this."),
        (MessageStatus(NotificationState.PENDING, attempts=1, held="x"), "Its alert is queued, tried once: x"),
        (MessageStatus(NotificationState.PENDING, attempts=3, held="x"), "Its alert is queued, tried 3 times: x"),
    ],
)
def test_where_a_message_stands_is_said(stand: MessageStatus, words: str) -> None:
    assert words in describe_stand(stand)


def test_why_a_message_waits_is_the_first_reason_that_holds_it() -> None:
    assert "all messages are on hold" in reasons.waiting_reason(
        parked="is_archived", paused="token_revoked", quiet=NOON
    )
    assert "archived" in reasons.waiting_reason(parked="is_archived", quiet=NOON)
    assert "Slack rejects messages (odd_word)" in reasons.waiting_reason(parked="odd_word")
    assert "quiet hours<!date" in reasons.waiting_reason(quiet=NOON)
    assert "one message per second" in reasons.waiting_reason()


def test_every_answer_has_a_sentence_and_those_that_lead_somewhere_a_sign_of_their_own() -> None:
    assert set(REASON_TEXTS) == set(DecisionReason) - {DecisionReason.MISMATCH}
    assert set(reasons.DECISION_EMOJI) == set(DecisionReason) - {
        DecisionReason.MISMATCH, DecisionReason.OLD, DecisionReason.CANCELED, DecisionReason.CLAIMED,
    }  # fmt: skip


def test_who_asked_for_it_is_named_and_comes_before_those_who_did_not() -> None:
    wishes = [
        SubscriptionLine("missed", "env is staging, wanted <production>", "env:production"),
        SubscriptionLine("held", "it waits", "env:staging", "<!channel>", until=NOON),
        SubscriptionLine("known", "it matches", "all failures"),
        SubscriptionLine("taken", "it is told only", default=True),
    ]
    said = render_text(reasons.why_card(RUN, wishes, [], NOON))
    assert "💤 `env:staging` (by &lt;!channel&gt;): it waits<!date" in said
    assert "✅ `all failures`: it matches" in said
    assert "⏭️ the default channel: it is told only" in said
    assert said.index("env:staging") < said.index("env:production")
    assert "wanted &lt;production&gt;" in said


def test_the_title_says_whether_it_was_told() -> None:
    for answer in DecisionReason:
        said = render_text(
            reasons.why_card(RUN, [SubscriptionLine("missed", "no"), SubscriptionLine(answer, "so")], [], NOON)
        )
        hears = answer not in {
            DecisionReason.MISMATCH,
            DecisionReason.BELOW_THRESHOLD,
            DecisionReason.OLD,
            DecisionReason.CANCELED,
            DecisionReason.UNFINISHED,
            DecisionReason.CLAIMED,
        }
        assert ("Why nightly was posted here" in said) is hears
        assert ("Why nightly wasn't posted here" in said) is not hears


def test_the_title_says_that_a_message_was_posted_or_is_still_to_come() -> None:
    posted = reasons.why_card(RUN, [SubscriptionLine("missed", "no")], [MessageStatus(NotificationState.SENT)], NOON)
    assert "Why nightly was posted here" in render_text(posted)
    awaited = reasons.why_card(RUN, [SubscriptionLine("told", "so")], [], NOON, "expected")
    assert "Why nightly hasn't been posted here yet" in render_text(awaited)


def test_of_fifty_subscriptions_twenty_are_gone_through_and_the_rest_counted() -> None:
    wishes = [SubscriptionLine("missed", "no", f"env:{number}") for number in range(50)]
    assert "and 30 subscriptions more that don't match" in render_text(reasons.why_card(RUN, wishes, [], NOON))


@pytest.mark.parametrize(
    ("then", "words"),
    [("watched", "is watching this run"), ("heard", "knows about this run"), ("expected", "It will be posted")],
)
def test_what_comes_next_is_said(then: str, words: str) -> None:
    assert words in render_text(reasons.why_card(RUN, [], [], NOON, then))
    assert words not in render_text(reasons.why_card(RUN, [], [], NOON))


def test_without_zof_it_says_what_is_remembered_and_the_request_id() -> None:
    doubt = ZofUnavailable("Zof had a <fault>.", request_id="req_7")
    said = render_text(reasons.stored_why_card("A <case>", [], [MessageStatus(NotificationState.SENT)], NOON, doubt))
    assert "Why A &lt;case&gt; was posted here" in said
    assert "was removed, or this is the default channel" in said
    assert "Zof had a &lt;fault&gt;." in said
    assert "Request ID: `req_7`" in said
    known = render_text(
        reasons.stored_why_card(
            "A", [SubscriptionLine("known", "it matches", "env:x", "Ana")], [], NOON, ZofUnavailable("No.")
        )
    )
    assert "✅ `env:x` (by Ana): it matches" in known
    assert "Zof returned no request id" in known


@pytest.mark.parametrize("status", ["<!channel>", "<@U0EVE>", "<b>"])
def test_a_status_that_zofbot_does_not_know_is_escaped(status: str) -> None:
    run = RUN.model_copy(update={"outcome": Outcome.UNKNOWN, "status": status})
    card = reasons.why_card(run, [], [], NOON).message_fields()
    assert find_unescaped(card, {"U0ANA"}) == []
