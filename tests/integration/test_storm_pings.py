"""The same people are mentioned twice a minute at most in a channel, whatever mentions them."""

from __future__ import annotations

from redis.asyncio import Redis

from tests.support.bot import wait_until
from tests.support.storms import finish_runs, storm_bot, storm_roots
from tests.support.virtual_time import SetClock
from zofbot.simulator.slack.model import PostedMessage
from zofbot.store.keyspace import Keyspace
from zofbot.store.mentions import Mentions


async def test_escalations_that_come_due_together_are_said_two_a_minute(store_url: str) -> None:
    async with storm_bot(store_url, "group:case escalate:10m-><@U0BEN>") as bot:
        finish_runs(bot, 1, cases=6)
        await wait_until(lambda: len(storm_roots(bot, "case")) == 6)
        bot.world.clock.advance(590)

        def escalations() -> list[PostedMessage]:
            return [item for item in bot.world.slack.ledger if "<@U0BEN>" in item.text and item.thread_ts]

        await wait_until(lambda: len(escalations()) == 6, 600)
        assert {escalation.thread_ts for escalation in escalations()} == {root.ts for root in storm_roots(bot, "case")}
        times = sorted(float(escalation.ts) for escalation in escalations())
        assert all(later - earlier >= 59 for earlier, later in zip(times, times[2:], strict=False)), "no three a minute"


async def test_what_was_acknowledged_meanwhile_takes_nobodys_turn(store_url: str) -> None:
    async with storm_bot(store_url, "group:case escalate:10m-><@U0BEN>") as bot:
        finish_runs(bot, 1, cases=4)
        await wait_until(lambda: len(storm_roots(bot, "case")) == 4)
        for root in storm_roots(bot, "case")[:3]:
            await bot.simulator.people.type_text("U0ANA", root.channel, "<@U0ZOFBOT> ack", root.ts)
        await wait_until(lambda: sum("Acknowledged" in root.text for root in storm_roots(bot, "case")) == 3)
        began = bot.world.clock.time()
        bot.world.clock.advance(590)
        await wait_until(lambda: any("<@U0BEN>" in item.text for item in bot.world.slack.ledger))
        assert bot.world.clock.time() - began < 640


async def test_each_message_takes_one_turn_however_often_it_asks(store: Redis) -> None:
    clock = SetClock(1_800_000_000.0)
    mentions = Mentions(Keyspace(store, "zofbot"), clock, most=2, window=60.0)
    for _ in range(3):
        assert await mentions.take("C1", ["U1"], "first") == 0
    assert await mentions.take("C1", ["U1", "S1"], "second") == 0
    clock.at += 10
    assert await mentions.take("C1", ["U1"], "third") == 50
    assert await mentions.take("C1", ["S1"], "third") == 0
    assert await mentions.take("C2", ["U1"], "third") == 0
    clock.at += 50
    assert await mentions.take("C1", ["U1"], "third") == 0
