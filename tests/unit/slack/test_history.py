"""Searches that are stopped half way miss nothing, whoever writes meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest

from tests.support.bot import wait_until
from zofbot.clock import MovableClock
from zofbot.domain.errors import SlackDeferred, SlackUnknown
from zofbot.observability.emitter import EventEmitter
from zofbot.simulator.server import SimulatorServer
from zofbot.simulator.slack.model import BOT_USER_ID, PostedMessage
from zofbot.simulator.slack.state import Workspace
from zofbot.slack.calls import SlackCalls
from zofbot.slack.client import SlackClient, message_metadata
from zofbot.slack.history import MAX_SEARCHES, HistorySearches
from zofbot.slack.responses import METADATA_EVENT_TYPE
from zofbot.slack.views.blocks import Message as Said

QA = "C0QA"


@pytest.fixture
async def notifier(simulator: SimulatorServer, slack: Workspace, clock: MovableClock) -> AsyncIterator[SlackClient]:
    async with aiohttp.ClientSession() as session:
        slack.distributed = True
        yield SlackClient(
            SlackCalls(
                session,
                token=slack.bot_token,
                api_url=f"{simulator.url}/api/",
                events=EventEmitter(),
                clock=clock,
            )
        )


def write_messages(simulator: SimulatorServer, count: int, key: str = "") -> PostedMessage:
    """Have so many messages written, the last one ours under ``key``; gives it."""
    slack = simulator.world.slack
    for number in range(count):
        slack.add_message(PostedMessage(QA, slack.next_timestamp(), "U0BEN", f"lunch? {number}"))
    meta = {"event_type": METADATA_EVENT_TYPE, "event_payload": {"key": key}} if key else None
    return slack.add_message(PostedMessage(QA, slack.next_timestamp(), BOT_USER_ID, "Failed", metadata=meta))


async def stop_half_way(notifier: SlackClient, since: float) -> None:
    with pytest.raises(SlackDeferred):
        await notifier.find_message(QA, "k", since)


async def test_what_another_process_sent_while_we_were_stopped_is_found(
    notifier: SlackClient, simulator: SimulatorServer, clock: MovableClock
) -> None:
    since = clock.time() - 1
    write_messages(simulator, 20)
    await stop_half_way(notifier, since)
    sent = write_messages(simulator, 0, "k")
    clock.advance(60)
    await stop_half_way(notifier, since)  # the first window is read; what came since then takes another page
    clock.advance(60)
    found = await notifier.find_message(QA, "k", since)
    assert found is not None
    assert found.ts == sent.ts


async def test_what_is_not_there_is_settled_as_absent(
    notifier: SlackClient, simulator: SimulatorServer, clock: MovableClock
) -> None:
    since = clock.time() - 1
    write_messages(simulator, 40)
    calls = 0
    while True:
        calls += 1
        try:
            assert await notifier.find_message(QA, "k", since) is None
            break
        except SlackDeferred:
            clock.advance(60)
    assert calls <= 5


async def test_a_cursor_that_slack_forgot_begins_the_window_anew(
    notifier: SlackClient, simulator: SimulatorServer, slack: Workspace, clock: MovableClock
) -> None:
    since = clock.time() - 1
    sent = write_messages(simulator, 0, "k")
    write_messages(simulator, 20)
    await stop_half_way(notifier, since)
    kept = slack.messages[QA]
    del kept[sorted(kept)[-15]]  # the last one of the page that was read: Slack's cursor leads nowhere
    clock.advance(60)
    with pytest.raises(SlackUnknown):
        await notifier.find_message(QA, "k", since)
    clock.advance(60)
    await stop_half_way(notifier, since)
    clock.advance(60)
    found = await notifier.find_message(QA, "k", since)
    assert found is not None
    assert found.ts == sent.ts


async def test_a_long_thread_is_read_page_by_page(
    notifier: SlackClient, simulator: SimulatorServer, clock: MovableClock
) -> None:
    slack, since = simulator.world.slack, clock.time() - 1
    root = write_messages(simulator, 0, "root")
    for number in range(20):
        slack.add_message(PostedMessage(QA, slack.next_timestamp(), "U0BEN", f"why? {number}", thread_ts=root.ts))
    sent = await notifier.post_message(QA, Said("Recovered"), message_metadata("k"), thread=root.ts)
    with pytest.raises(SlackDeferred):
        await notifier.find_message(QA, "k", since, thread=root.ts)
    clock.advance(60)
    assert await notifier.find_message(QA, "k", since, thread=root.ts) == sent


async def test_a_reply_in_the_channel_is_removed_when_its_alert_was_posted_again(
    notifier: SlackClient, simulator: SimulatorServer, clock: MovableClock
) -> None:
    since = clock.time() - 1
    stray = write_messages(simulator, 0, "k")
    again = write_messages(simulator, 0, "root:2")
    assert await notifier.find_message(QA, "k", since, thread=again.ts) is None
    assert (stray.deleted, again.deleted) == (True, False)


async def test_a_reply_that_the_channel_shows_too_is_found_there_if_it_came_after_its_thread_was_read(
    notifier: SlackClient, simulator: SimulatorServer, slack: Workspace, clock: MovableClock
) -> None:
    since = clock.time() - 1
    root = write_messages(simulator, 0, "root")
    slack.faults.set_fault("slow", 1, "conversations.replies")
    slack.faults.delays["slow"] = 1.0
    search = asyncio.create_task(notifier.find_message(QA, "k", since, thread=root.ts))
    await wait_until(lambda: any(call.method == "conversations.replies" for call in slack.calls))
    sent = await notifier.post_message(QA, Said("Again"), message_metadata("k"), thread=root.ts, broadcast=True)
    assert await search == sent
    assert [call.method for call in slack.calls][-2:] == ["chat.postMessage", "conversations.history"]


async def test_a_reply_that_the_channel_shows_too_is_found_there_if_its_thread_is_not(
    notifier: SlackClient, simulator: SimulatorServer, slack: Workspace, clock: MovableClock
) -> None:
    since = clock.time() - 1
    root = write_messages(simulator, 0, "root")
    sent = await notifier.post_message(QA, Said("Again"), message_metadata("k"), thread=root.ts, broadcast=True)
    slack.faults.set_fault("error:thread_not_found", 1, "conversations.replies")
    assert await notifier.find_message(QA, "k", since, thread=root.ts) == sent


async def test_a_reply_in_the_thread_of_an_alert_that_was_posted_again_is_removed(
    notifier: SlackClient, simulator: SimulatorServer, slack: Workspace, clock: MovableClock
) -> None:
    since = clock.time() - 1
    root = write_messages(simulator, 0, "root")
    await notifier.post_message(QA, Said("Again"), message_metadata("k"), thread=root.ts, broadcast=True)
    again = write_messages(simulator, 0, "root:2")
    assert await notifier.find_message(QA, "k", since, thread=again.ts) is None
    assert [message.deleted for message in slack.messages_with_key("k")] == [True]


async def test_a_thread_that_was_there_before_the_reply_is_all_that_is_read(
    notifier: SlackClient, simulator: SimulatorServer, clock: MovableClock
) -> None:
    root = write_messages(simulator, 0, "root")
    clock.advance(400)
    assert await notifier.find_message(QA, "k", clock.time() - 300, thread=root.ts) is None
    assert [call.method for call in simulator.world.slack.calls] == ["auth.test", "conversations.replies"]


async def test_what_was_found_is_found_again_with_one_call(
    notifier: SlackClient, simulator: SimulatorServer, clock: MovableClock
) -> None:
    """The search may have taken longer than the lease, so that its result was lost."""
    slack, since = simulator.world.slack, clock.time() - 1
    sent = write_messages(simulator, 0, "k")
    write_messages(simulator, 20)
    await stop_half_way(notifier, since)
    clock.advance(60)
    found = await notifier.find_message(QA, "k", since)
    write_messages(simulator, 20)
    slack.calls.clear()
    clock.advance(60)
    assert await notifier.find_message(QA, "k", since) == found
    assert found
    assert found.ts == sent.ts
    assert [call.method for call in slack.calls] == ["conversations.replies"]


async def test_what_was_found_and_then_deleted_is_looked_for_anew(
    notifier: SlackClient, simulator: SimulatorServer, clock: MovableClock
) -> None:
    since = clock.time() - 1
    for message in [write_messages(simulator, 0, "k") for _ in range(2)]:
        found = await notifier.find_message(QA, "k", since)
        assert found
        assert found.ts == message.ts
        message.deleted = True
        clock.advance(60)
    assert await notifier.find_message(QA, "k", since) is None


async def test_what_was_found_is_no_answer_to_whether_it_was_posted_since(
    notifier: SlackClient, simulator: SimulatorServer, clock: MovableClock
) -> None:
    """A card may be shared again a day later."""
    since = clock.time() - 1
    write_messages(simulator, 0, "k")
    assert await notifier.find_message(QA, "k", since)
    clock.advance(86_400)
    assert await notifier.find_message(QA, "k", clock.time() - 300) is None


def test_of_too_many_unfinished_searches_the_oldest_begins_anew() -> None:
    searches = HistorySearches()
    first, second = (searches.resume_search(QA, "", name, 100.0) for name in ("first", "second"))
    for number in range(MAX_SEARCHES - 2):
        searches.resume_search(QA, "", str(number), 100.0)
    assert searches.resume_search(QA, "", "first", 200.0) is first
    searches.resume_search(QA, "", "one too many", 100.0)
    assert searches.resume_search(QA, "", "first", 200.0) is first
    assert searches.resume_search(QA, "", "second", 200.0) is not second
