"""Where the failures of one run belong to several people, the card says whose is which, and mentions nobody else."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.support.bot import RunningBot, text_of, wait_until
from tests.support.failing_runs import alerting_bot, fail_run, post_webhook, webhook_event
from tests.support.rules import NOON, RuleBench, failed_finding, make_subscription
from zofbot.notifications import alert_payloads, payloads
from zofbot.simulator.seed import ON_CALL_GROUP
from zofbot.simulator.slack.model import PostedMessage

ANA, BEN = "<@U0ANA>", "<@U0BEN>"


@pytest.fixture
async def bot(store_url: str) -> AsyncIterator[RunningBot]:
    async with alerting_bot(store_url) as bot:
        yield bot


async def roots_of(bot: RunningBot, count: int) -> list[PostedMessage]:
    """The cards of a run with three failed cases."""
    run = fail_run(bot, 3)
    assert await post_webhook(bot, webhook_event(run["id"], "evt_owned")) == 200

    def roots() -> list[PostedMessage]:
        return [item for item in bot.world.slack.ledger if (item.idempotency_key or "").startswith(("run:", "case:"))]

    await wait_until(lambda: len(roots()) == count)
    return roots()


async def test_the_card_of_a_run_has_a_line_for_each_owner_with_their_cases(bot: RunningBot) -> None:
    await bot.type_text(f'/zof subscribe case:"Case 0" mention:{ANA}')
    await bot.type_text(f'/zof subscribe case:"Case 1","Case 2" mention:{BEN}')
    [root] = await roots_of(bot, 1)
    shown = text_of(root)
    assert f'{ANA} · `case:\\"Case 0\\"` · Case 0' in shown
    assert f'{BEN} · `case:\\"Case 1\\",\\"Case 2\\"` · Case 1, Case 2' in shown
    assert set(root.text.split()[:2]) == {ANA, BEN}, "each is mentioned where that notifies them"


async def test_a_case_mentions_only_those_whose_subscription_means_it(bot: RunningBot) -> None:
    await bot.type_text(f'/zof subscribe group:case case:"Case 0" mention:{ANA} escalate:15m->{ANA}')
    await bot.type_text(f'/zof subscribe group:case case:"Case 1","Case 2" mention:{BEN}')
    roots = {item.text.split(" · ")[0]: text_of(item) for item in await roots_of(bot, 3)}
    assert ANA in roots[f"{ANA} Failed: Case 0 (proj_checkout, staging)"]
    assert BEN not in roots[f"{ANA} Failed: Case 0 (proj_checkout, staging)"]
    for title in ("Case 1", "Case 2"):
        assert ANA not in roots[f"{BEN} Failed: {title} (proj_checkout, staging)"]
        assert "Escalate now" not in roots[f"{BEN} Failed: {title} (proj_checkout, staging)"], "nobody asked for that"


async def test_where_two_mean_the_same_case_each_has_a_line(bot: RunningBot) -> None:
    await bot.type_text(f'/zof subscribe group:case case:"Case 0" mention:{ANA}')
    await bot.type_text(f'/zof subscribe group:case env:staging case:"Case*" mention:<!subteam^{ON_CALL_GROUP}>')
    roots = await roots_of(bot, 3)
    [both] = [text_of(root) for root in roots if "Case 0" in root.text]
    assert f'{ANA} · `case:\\"Case 0\\"` · Case 0' in both
    assert f"<!subteam^{ON_CALL_GROUP}> · `env:staging case:" in both
    [single] = [text_of(root) for root in roots if "Case 1" in root.text]
    assert ANA not in single
    assert "`env:staging" not in single, "it is theirs alone"


async def test_one_owner_of_everything_is_mentioned_as_ever(bot: RunningBot) -> None:
    await bot.type_text(f"/zof subscribe mention:{ANA}")
    [root] = await roots_of(bot, 1)
    assert f'"text": "{ANA}"' in text_of(root)


def test_a_long_list_of_cases_is_counted() -> None:
    bench = RuleBench(
        make_subscription("case:a* mention:<@U1>", number=1), make_subscription("case:b* mention:<@U2>", number=2)
    )
    bench.process_findings(failed_finding("1", NOON, *(f"a{number}" for number in range(8)), "b1"))
    body = bench.latest_body("run:run_1:failed:C1")
    assert [(owner.mention, len(owner.cases), owner.more) for owner in body.owners] == [
        (("U1",), 5, 3),
        (("U2",), 1, 0),
    ]


def test_a_body_from_before_that_was_kept_is_read() -> None:
    old = {"card": "run", "run": {"id": "run_1"}, "mention": ["U1"]}
    body = payloads.load_payload(old)
    assert isinstance(body, alert_payloads.RunAlertPayload)
    assert body.owners == ()
