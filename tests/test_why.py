"""Why a channel was told, or was not: one answer for each branch of the decision, and where the message stands."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.conftest import House, house, said, until
from tests.test_rules import HOUR, NOON, failed, passed, run, sub
from tests.test_rules import House as Rules
from tests.test_told import SECRET, current, fail, hook
from tests.test_triage import control, press
from zofbot.listeners import reasons
from zofbot.model import Outcome
from zofbot.notification import State
from zofbot.pipeline.explanation import Explanation, explained
from zofbot.pipeline.reasons import Answer
from zofbot.routing import Finding
from zofbot.store.entry import Entry


def ask(rules: Rules, finding: Finding, channel: str = "C1", now: float | None = None) -> Explanation:
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
    told = ask(Rules(sub(filters), sub(channel="C2", number=2)), finding)
    assert answers(told) == [answer]
    assert why in told.reasons[0].why


def test_what_was_told_is_known_and_names_its_message() -> None:
    rules, finding = Rules(sub("group:case")), failed("1", NOON, "a")
    before = rules.memory.hashes
    assert ask(rules, finding).expected
    assert rules.memory.hashes == before, "explaining changes nothing"
    rules.hear(finding)
    told = ask(rules, finding)
    assert (answers(told), told.roots, told.expected) == ([Answer.KNOWN], ("case:res_1_a:failed:C1",), False)
    assert ask(rules, finding, "C2").reasons == ()


def test_what_is_too_old_and_what_a_storm_swallowed_say_so() -> None:
    old = Rules(sub(), lookback=HOUR)
    old.hear(failed("1", NOON - 2 * HOUR, "a"), now=NOON)
    assert answers(ask(old, failed("1", NOON - 2 * HOUR, "a"), now=NOON)) == [Answer.OLD]
    stormy = Rules(sub())
    for number in range(30):
        stormy.hear(failed(str(number), NOON + number / 10, "a"), now=NOON + number / 10)
    assert answers(ask(stormy, failed("29", NOON + 2.9, "a"), now=NOON + 3)) == [Answer.STORM]


def test_a_run_that_lets_a_failure_recover_says_so() -> None:
    rules = Rules(sub("group:case"))
    rules.hear(failed("1", NOON, "a"))
    assert answers(ask(rules, passed("2", NOON + 60, "a"))) == [Answer.RECOVERED]


@pytest.mark.parametrize(
    ("state", "words"),
    [("sent", "stands in this channel"), ("sending", "is being sent"), ("dead", "given up: no"),
     ("dropped", "dropped: no"),
     ("pending", "waits, after 2 tries")],
)  # fmt: skip
def test_where_a_message_stands_is_said(state: str, words: str) -> None:
    assert words in reasons.message(Entry("k", State(state), attempts=2, reason="no"), "", "")


def test_why_a_message_waits_is_the_first_reason_that_holds_it() -> None:
    assert "archived" in reasons.waits("is_archived", "", 5.0)
    assert "nothing is sent" in reasons.waits("is_archived", "token_revoked", 5.0)
    assert "quiet hours end" in reasons.waits("", "", NOON)
    assert "one message a second" in reasons.waits("", "", 0.0)


# --- through the real door


@pytest.fixture
async def there(valkey: str) -> AsyncIterator[House]:
    async with house(valkey, works=True, zofbot_poll_interval=3600, zof_webhook_secret=SECRET) as built:
        await until(lambda: sum(call.path == "/results" for call in built.world.zof.calls) >= 2)
        yield built


async def test_a_channel_hears_why_it_was_told_and_another_why_it_was_not(there: House) -> None:
    await there.type("/zof subscribe project:*checkout group:case")
    await there.type("/zof subscribe env:production")
    ended = fail(there, 1)
    first = await there.answer(f"/zof why {ended['id']}")
    assert "It will be told" in first, first
    assert await hook(there, current(ended["id"], "evt_why")) == 200
    await until(lambda: any((one.key or "").startswith("case:") for one in there.world.slack.ledger))
    [root] = [one for one in there.world.slack.ledger if (one.key or "").startswith("case:")]
    await press(there, "U0BEN", root, control(root, "zof_triage_acknowledge"))
    await until(lambda: "Acknowledged" in said(root))
    [failure] = [one for one in there.world.zof.of_run(ended["id"]) if one["status"] == "failed"]
    told = await there.answer(f"/zof why {failure['id']}")
    assert "it was told before" in told
    assert "env is staging, wanted production" in told
    assert root.ts.replace(".", "") in told
    assert "Acknowledged by ben" in told
    assert "has no subscription" in await there.answer(f"/zof why {ended['id']}", channel="C0SEARCH")
    assert "Request ID" in await there.answer("/zof why run_nowhere")
