"""The same people are mentioned twice a minute at most in a channel, whatever mentions them."""

from __future__ import annotations

from redis.asyncio import Redis

from tests.support.bot import until
from tests.support.storms import finish_runs, roots, storm_bot
from tests.support.virtual_time import SetClock
from zofbot.simulator.entities import Message
from zofbot.store.mentions import Mentions


async def test_escalations_that_come_due_together_are_said_two_a_minute(valkey: str) -> None:
    async with storm_bot(valkey, "group:case escalate:10m-><@U0BEN>") as bot:
        finish_runs(bot, 1, cases=6)
        await until(lambda: len(roots(bot, "case")) == 6)
        bot.world.clock.advance(590)

        def escalations() -> list[Message]:
            return [one for one in bot.world.slack.ledger if "<@U0BEN>" in one.text and one.thread_ts]

        await until(lambda: len(escalations()) == 6, 600)
        assert {one.thread_ts for one in escalations()} == {one.ts for one in roots(bot, "case")}
        times = sorted(float(one.ts) for one in escalations())
        assert all(later - earlier >= 59 for earlier, later in zip(times, times[2:], strict=False)), "no three a minute"


async def test_what_was_acknowledged_meanwhile_takes_nobodys_turn(valkey: str) -> None:
    async with storm_bot(valkey, "group:case escalate:10m-><@U0BEN>") as bot:
        finish_runs(bot, 1, cases=4)
        await until(lambda: len(roots(bot, "case")) == 4)
        for root in roots(bot, "case")[:3]:
            await bot.stage.people.type("U0ANA", root.channel, "<@U0ZOFBOT> ack", root.ts)
        await until(lambda: sum("Acknowledged" in root.text for root in roots(bot, "case")) == 3)
        began = bot.world.clock.time()
        bot.world.clock.advance(590)
        await until(lambda: any("<@U0BEN>" in one.text for one in bot.world.slack.ledger))
        assert bot.world.clock.time() - began < 640


async def test_each_message_takes_one_turn_however_often_it_asks(client: Redis) -> None:
    clock = SetClock(1_800_000_000.0)
    mentions = Mentions(client, "zofbot", clock, most=2, window=60.0)
    for _ in range(3):
        assert await mentions.take("C1", ["U1"], "first") == 0
    assert await mentions.take("C1", ["U1", "S1"], "second") == 0
    clock.at += 10
    assert await mentions.take("C1", ["U1"], "third") == 50
    assert await mentions.take("C1", ["S1"], "third") == 0
    assert await mentions.take("C2", ["U1"], "third") == 0
    clock.at += 50
    assert await mentions.take("C1", ["U1"], "third") == 0
