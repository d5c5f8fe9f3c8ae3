"""Searches that are stopped half way miss nothing, whoever writes meanwhile."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest

from zofbot.clock import MovableClock
from zofbot.errors import SlackDeferred, SlackUnknown
from zofbot.metrics import Metrics
from zofbot.simulator.entities import BOT, Message
from zofbot.simulator.stage import Stage
from zofbot.slack.message import Message as Said
from zofbot.slack.notifier import SlackNotifier, metadata
from zofbot.slack.received import EVENT_TYPE

QA = "C0QA"


@pytest.fixture
async def notifier(stage: Stage, clock: MovableClock) -> AsyncIterator[SlackNotifier]:
    async with aiohttp.ClientSession() as session:
        stage.world.slack.distributed = True
        yield SlackNotifier(
            session, token=stage.world.slack.bot_token, api_url=f"{stage.url}/api/", metrics=Metrics(), clock=clock
        )


def write(stage: Stage, count: int, key: str = "") -> Message:
    """Have so many messages written, the last one ours under ``key``; gives it."""
    slack = stage.world.slack
    for number in range(count):
        slack.keep(Message(QA, slack.stamp(), "U0BEN", f"lunch? {number}"))
    meta = {"event_type": EVENT_TYPE, "event_payload": {"key": key}} if key else None
    return slack.keep(Message(QA, slack.stamp(), BOT, "Failed", metadata=meta))


async def stop_half_way(notifier: SlackNotifier, since: float) -> None:
    with pytest.raises(SlackDeferred):
        await notifier.find(QA, "k", since)


async def test_what_another_process_sent_while_we_were_stopped_is_found(
    notifier: SlackNotifier, stage: Stage, clock: MovableClock
) -> None:
    since = clock.time() - 1
    write(stage, 20)
    await stop_half_way(notifier, since)
    sent = write(stage, 0, "k")
    clock.advance(60)
    await stop_half_way(notifier, since)  # the first window is read; what came since then takes another page
    clock.advance(60)
    found = await notifier.find(QA, "k", since)
    assert found is not None
    assert found.ts == sent.ts


async def test_what_is_not_there_is_settled_as_absent(
    notifier: SlackNotifier, stage: Stage, clock: MovableClock
) -> None:
    since = clock.time() - 1
    write(stage, 40)
    calls = 0
    while True:
        calls += 1
        try:
            assert await notifier.find(QA, "k", since) is None
            break
        except SlackDeferred:
            clock.advance(60)
    assert calls <= 5


async def test_a_cursor_that_slack_forgot_begins_the_window_anew(
    notifier: SlackNotifier, stage: Stage, clock: MovableClock
) -> None:
    since = clock.time() - 1
    sent = write(stage, 0, "k")
    write(stage, 20)
    await stop_half_way(notifier, since)
    kept = stage.world.slack.messages[QA]
    del kept[sorted(kept)[-15]]  # the last one of the page that was read: Slack's cursor leads nowhere
    clock.advance(60)
    with pytest.raises(SlackUnknown):
        await notifier.find(QA, "k", since)
    clock.advance(60)
    await stop_half_way(notifier, since)
    clock.advance(60)
    found = await notifier.find(QA, "k", since)
    assert found is not None
    assert found.ts == sent.ts


async def test_a_long_thread_is_read_page_by_page(notifier: SlackNotifier, stage: Stage, clock: MovableClock) -> None:
    slack, since = stage.world.slack, clock.time() - 1
    root = write(stage, 0, "root")
    for number in range(20):
        slack.keep(Message(QA, slack.stamp(), "U0BEN", f"why? {number}", thread_ts=root.ts))
    sent = await notifier.send(QA, Said("Recovered"), metadata("k"), thread=root.ts)
    with pytest.raises(SlackDeferred):
        await notifier.find(QA, "k", since, thread=root.ts)
    clock.advance(60)
    assert await notifier.find(QA, "k", since, thread=root.ts) == sent
