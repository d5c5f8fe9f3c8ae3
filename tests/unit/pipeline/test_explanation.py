"""Why a channel was told, or was not: one answer for each branch of the decision, and where the message stands."""

from __future__ import annotations

import json

import pytest

from tests.support.rules import HOUR, NOON, RuleBench, failed, passed, run, sub
from zofbot.errors import ZofUnavailable
from zofbot.model import Outcome, Run
from zofbot.notification import State
from zofbot.pipeline.explanation import Explanation, Part, explained
from zofbot.pipeline.memory import Memory
from zofbot.pipeline.reasons import WHY, Answer
from zofbot.routing import Finding
from zofbot.slack import reasons
from zofbot.slack.message import Message
from zofbot.slack.reasons import Stand, Wish
from zofbot.triage import Act, Triage, Who
from zofbot.triage import State as Stage


def ask(rules: RuleBench, finding: Finding, channel: str = "C1", now: float | None = None) -> Explanation:
    return explained(
        finding, channel, rules.subscriptions, rules.memory, finding.happened if now is None else now,
        lookback=rules.lookback, default_channel=rules.default,
    )  # fmt: skip


def answers(told: Explanation) -> list[Answer]:
    return [one.answer for one in told.reasons]


@pytest.mark.parametrize(
    ("filters", "finding", "answer", "why"),
    [
        ("", failed("1", NOON, "a"), Answer.TOLD, "it matches"),
        ("env:production", failed("1", NOON, "a"), Answer.MISSED, "env is staging, wanted production"),
        ("project:other", failed("1", NOON, "a"), Answer.MISSED, "project is proj_1, wanted other"),
        ("case:b", failed("1", NOON, "a"), Answer.MISSED, "case is a, wanted b"),
        ("on:error", failed("1", NOON, "a"), Answer.MISSED, "it is about failed, wanted error"),
        ("", passed("1", NOON, "a"), Answer.MISSED, "nothing failed in it"),
        ("after:3/1h", failed("1", NOON, "a"), Answer.BELOW, "not enough failures"),
        ("quiet:11:00-13:00", failed("1", NOON, "a"), Answer.HELD, "quiet hours"),
        ("", run("1", NOON, outcome=Outcome.CANCELED), Answer.CANCELED, "never alert"),
        ("", run("1", NOON, outcome=Outcome.RUNNING), Answer.UNFINISHED, "has not ended"),
    ],
)
def test_each_answer_is_the_decisions_own(filters: str, finding: Finding, answer: Answer, why: str) -> None:
    told = ask(RuleBench(sub(filters), sub(channel="C2", number=2)), finding)
    assert answers(told) == [answer]
    assert why in told.reasons[0].why


def test_what_was_told_is_known_and_names_its_message() -> None:
    rules, finding = RuleBench(sub("group:case")), failed("1", NOON, "a")
    before = rules.memory.hashes
    assert ask(rules, finding).expected
    assert rules.memory.hashes == before, "explaining changes nothing"
    rules.hear(finding)
    told = ask(rules, finding)
    assert (answers(told), told.parts, told.expected) == ([Answer.KNOWN], (Part("case:res_1_a:failed:C1"),), False)
    assert ask(rules, finding, "C2").reasons == ()


def test_a_later_run_says_that_it_joined_the_message_of_an_earlier_one() -> None:
    rules, again = RuleBench(sub("group:case")), failed("2", NOON + 60, "a")
    rules.hear(failed("1", NOON, "a"), again)
    assert ask(rules, again).parts == (Part("case:res_1_a:failed:C1", joined=True),)


def test_what_nothing_names_any_more_is_looked_for_by_the_keys_it_had() -> None:
    rules, finding = RuleBench(sub("group:case")), failed("1", NOON, "a", "b")
    rules.hear(finding)
    kept = {name: {} if name.startswith("open:") else fields for name, fields in rules.memory.hashes.items()}
    rules.memory = Memory.read(kept)
    told = ask(rules, finding)
    assert told.perhaps == ("run:run_1:failed:C1", "case:res_1_a:failed:C1", "case:res_1_b:failed:C1")
    assert not told.parts


def test_the_default_channel_hears_what_it_gets_and_what_not() -> None:
    finding = failed("1", NOON, "a")
    alone = RuleBench(sub("project:other"), default="C9")
    assert answers(ask(alone, finding, "C9")) == [Answer.TOLD]
    assert answers(ask(RuleBench(sub(), default="C9"), finding, "C9")) == [Answer.TAKEN]
    assert answers(ask(alone, run("1", NOON, outcome=Outcome.CANCELED), "C9")) == [Answer.CANCELED]
    alone.hear(finding)
    assert answers(ask(alone, finding, "C9")) == [Answer.KNOWN]
    assert ask(alone, finding, "C9").reasons[0].subscription == "default"


def test_what_is_too_old_and_what_a_storm_swallowed_say_so() -> None:
    old = RuleBench(sub(), lookback=HOUR)
    old.hear(failed("1", NOON - 2 * HOUR, "a"), now=NOON)
    assert answers(ask(old, failed("1", NOON - 2 * HOUR, "a"), now=NOON)) == [Answer.OLD]
    stormy = RuleBench(sub())
    for number in range(30):
        stormy.hear(failed(str(number), NOON + number / 10, "a"), now=NOON + number / 10)
    told = ask(stormy, failed("29", NOON + 2.9, "a"), now=NOON + 3)
    assert (answers(told), told.storm, told.expected) == ([Answer.STORM], "storm:run_20:failed:C1", False)
    alone = ask(stormy, failed("1", NOON + 0.1, "a"), now=NOON + 3)
    assert (alone.parts[0].key, alone.storm) == ("run:run_1:failed:C1", told.storm), "both hold"
    stormy.hear(failed("40", NOON + 300, "a"), now=NOON + 300)
    late = ask(stormy, failed("29", NOON + 2.9, "a"), now=NOON + 301)
    assert (answers(late), late.storm) == ([Answer.STORM], told.storm), "of a storm that is over, too"


def test_a_storm_of_what_quiet_hours_held_has_a_summary_of_its_own() -> None:
    rules = RuleBench(sub("quiet:11:00-13:00"))
    for number in range(30):
        rules.hear(failed(str(number), NOON + number / 10, "a"), now=NOON + number / 10)
    told = ask(rules, failed("29", NOON + 2.9, "a"), now=NOON + 3)
    assert (answers(told), told.storm) == ([Answer.STORM], "storm:run_20:failed:C1")


def test_a_run_that_lets_a_failure_recover_says_so() -> None:
    rules = RuleBench(sub("group:case"))
    rules.hear(failed("1", NOON, "a"))
    assert answers(ask(rules, passed("2", NOON + 60, "a"))) == [Answer.RECOVERED]


# --- how it is drawn

RUN = Run(id="run_1", title="nightly", outcome=Outcome.FAILED)


def drawn(message: Message) -> str:
    assert len(message.payload()["blocks"]) <= 50
    return json.dumps(message.payload(), ensure_ascii=False)


def stands(stand: Stand) -> str:
    return drawn(reasons.why(RUN, [], [stand], NOON))


SNOOZED = Triage(state=Stage.SNOOZED, did=Act.SNOOZE, by=Who(id="U0ANA", name="Ana"), at=NOON - 60, until=NOON + 60)


@pytest.mark.parametrize(
    ("stand", "words"),
    [
        (Stand(), "Its message is not known any more"),
        (Stand(State.SENT), "Its message stands in this channel."),
        (Stand(State.SENT, link="https://x.slack.com/p1"), "<https://x.slack.com/p1|Its message> stands in this"),
        (Stand(State.SENT, joined=True), "The message that it joined stands"),
        (Stand(State.SENT, storm=True), "The summary that counts it stands"),
        (Stand(State.SENT, present=SNOOZED), "Snoozed by Ana 1 min ago. It sleeps until <!date^1780315260^"),
        (Stand(State.SENT, present=Triage(did=Act.ACKNOWLEDGE, by=Who(id="U1", name="Bo"), at=NOON)), "by Bo 1 s ago."),
        (Stand(State.SENDING), "is being sent"),
        (Stand(State.DEAD, reason="too <big>"), "given up: too &lt;big&gt;. An operator finds it"),
        (Stand(State.DROPPED, reason="no"), "was dropped: no."),
        (Stand(State.PENDING, held="for this."), "Its message waits: for this."),
        (Stand(State.PENDING, attempts=1, held="x"), "Its message waits, tried once: x"),
        (Stand(State.PENDING, attempts=3, held="x"), "Its message waits, tried 3 times: x"),
    ],
)
def test_where_a_message_stands_is_said(stand: Stand, words: str) -> None:
    assert words in stands(stand)


def test_why_a_message_waits_is_the_first_reason_that_holds_it() -> None:
    assert "nothing is sent" in reasons.waits(parked="is_archived", paused="token_revoked", quiet=NOON)
    assert "archived" in reasons.waits(parked="is_archived", quiet=NOON)
    assert "Slack refuses it (odd_word)" in reasons.waits(parked="odd_word")
    assert "quiet hours end <!date" in reasons.waits(quiet=NOON)
    assert "one message a second" in reasons.waits()


def test_every_answer_has_a_sentence_and_those_that_lead_somewhere_a_sign_of_their_own() -> None:
    assert set(WHY) == set(Answer) - {Answer.MISSED}
    assert set(reasons.MARKS) == set(Answer) - {
        Answer.MISSED, Answer.OLD, Answer.CANCELED, Answer.TAKEN,
    }  # fmt: skip


def test_who_asked_for_it_is_named_and_comes_before_those_who_did_not() -> None:
    wishes = [
        Wish("missed", "env is staging, wanted <production>", "env:production"),
        Wish("held", "it waits", "env:staging", "<!channel>", until=NOON),
        Wish("known", "it matches"),
        Wish("taken", "it is told only", default=True),
    ]
    said = drawn(reasons.why(RUN, wishes, [], NOON))
    assert "💤 `env:staging` (asked for by &lt;!channel&gt;): it waits <!date" in said
    assert "✅ `all failures`: it matches" in said
    assert "⏭️ the default channel: it is told only" in said
    assert said.index("env:staging") < said.index("env:production")
    assert "wanted &lt;production&gt;" in said


def test_the_title_says_whether_it_was_told() -> None:
    for answer in Answer:
        said = drawn(reasons.why(RUN, [Wish("missed", "no"), Wish(answer, "so")], [], NOON))
        hears = answer not in {
            Answer.MISSED,
            Answer.BELOW,
            Answer.OLD,
            Answer.CANCELED,
            Answer.UNFINISHED,
            Answer.TAKEN,
        }
        assert ("Why this channel was told of nightly" in said) is hears
        assert ("Why this channel was not told of nightly" in said) is not hears


def test_of_fifty_subscriptions_twenty_are_gone_through_and_the_rest_counted() -> None:
    wishes = [Wish("missed", "no", f"env:{number}") for number in range(50)]
    assert "and 30 subscriptions more that did not lead here" in drawn(reasons.why(RUN, wishes, [], NOON))


@pytest.mark.parametrize(
    ("then", "words"),
    [("watched", "looks at this run again"), ("heard", "has heard of this run"), ("expected", "It will be told")],
)
def test_what_comes_next_is_said(then: str, words: str) -> None:
    assert words in drawn(reasons.why(RUN, [], [], NOON, then))
    assert words not in drawn(reasons.why(RUN, [], [], NOON))


def test_without_zof_it_says_what_is_remembered_and_the_request_id() -> None:
    doubt = ZofUnavailable("Zof had a <fault>.", request_id="req_7")
    said = drawn(reasons.remembered("A <case>", [], [Stand(State.SENT)], NOON, doubt))
    assert "Why you see A &lt;case&gt;" in said
    assert "has ended, or this is the channel for what no subscription takes" in said
    assert "Zof had a &lt;fault&gt;." in said
    assert "Request ID: `req_7`" in said
    known = drawn(
        reasons.remembered("A", [Wish("known", "it matches", "env:x", "Ana")], [], NOON, ZofUnavailable("No."))
    )
    assert "✅ `env:x` (asked for by Ana): it matches" in known
    assert "Zof returned no request id" in known
