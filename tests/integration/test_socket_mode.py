"""Socket Mode as it is: tickets that admit once, connections that Slack refuses, recycles and drops."""

from __future__ import annotations

import asyncio
import io
import json
import logging
from collections.abc import AsyncIterator, Iterator

import aiohttp
import pytest
import structlog

from tests.support.bot import RunningBot, running_bot, wait_until
from zofbot.domain.errors import ZofbotError
from zofbot.http.socket_mode import MAX_CLOSING_SECONDS
from zofbot.observability.log_config import configure_logging
from zofbot.simulator.slack.socket_mode import SocketConnection


@pytest.fixture
async def bot(store_url: str) -> AsyncIterator[RunningBot]:
    async with running_bot(store_url, socket=True) as bot:
        await wait_until(lambda: len(bot.world.slack.lines) == 2)
        yield bot


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    root, stream = logging.getLogger(), io.StringIO()
    before, level, config = root.handlers[:], root.level, structlog.get_config()
    configure_logging("json", "debug", (), stream)
    yield stream
    root.handlers[:], root.level = before, level
    structlog.configure(**config)


def socket_connections(bot: RunningBot) -> list[SocketConnection]:
    return [line for line in bot.world.slack.lines if isinstance(line, SocketConnection)]


async def drop_connections(bot: RunningBot) -> None:
    """Close every connection without a word, as a restarted proxy does."""
    for line in socket_connections(bot):
        bot.world.slack.lines.remove(line)
        await line.websocket.close()


async def read_readiness(bot: RunningBot) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.get(f"{bot.app.url}/readyz") as reply:
        return reply.status, str(await reply.json())


async def slack_up(bot: RunningBot) -> str:
    async with aiohttp.ClientSession() as session, session.get(f"{bot.app.url}/metrics") as reply:
        return next(line for line in (await reply.text()).splitlines() if line.startswith("zofbot_slack_up "))


async def test_refused_handshakes_do_not_leave_the_bot_deaf(bot: RunningBot) -> None:
    bot.simulator.sockets.refusals = 5
    await drop_connections(bot)
    await wait_until(lambda: len(socket_connections(bot)) == 2, 120)
    assert "Voucher" in await bot.answer_text("/zof res_4821")


async def test_every_handshake_has_a_ticket_of_its_own(bot: RunningBot) -> None:
    bot.simulator.sockets.refusals = 3
    await drop_connections(bot)
    await wait_until(lambda: len(socket_connections(bot)) == 2, 120)
    tried = bot.simulator.sockets.handshakes
    assert len(tried) == len(set(tried)) == 2 + 3 + 2


async def test_no_ticket_is_in_the_log(bot: RunningBot, log: io.StringIO) -> None:
    bot.simulator.sockets.refusals = 2
    await drop_connections(bot)
    await wait_until(lambda: len(socket_connections(bot)) == 2, 120)
    await bot.simulator.sockets.refresh_connections()
    await wait_until(lambda: len(socket_connections(bot)) == 2, 120)
    written = log.getvalue()
    assert "socket" in written
    assert [ticket for ticket in bot.simulator.sockets.handshakes if ticket in written] == []


async def test_readiness_and_metrics_say_how_the_connections_stand(bot: RunningBot) -> None:
    assert (await read_readiness(bot))[0] == 200
    assert await slack_up(bot) == "zofbot_slack_up 1.0"
    bot.simulator.sockets.refusals = 1_000_000
    await drop_connections(bot)
    await wait_until(lambda: bool(bot.simulator.sockets.refusals < 1_000_000))
    status, said = await read_readiness(bot)
    assert status == 503
    assert "slack's socket is not connected (HTTP 503)" in said
    assert await slack_up(bot) == "zofbot_slack_up 0.0"
    bot.simulator.sockets.refusals = 0
    await wait_until(lambda: len(socket_connections(bot)) == 2, 120)
    assert (await read_readiness(bot))[0] == 200
    assert await slack_up(bot) == "zofbot_slack_up 1.0"


async def test_readiness_says_why_slack_gives_no_ticket(bot: RunningBot) -> None:
    bot.world.slack.app_token = "xapp-another"
    await drop_connections(bot)

    async def says_reason() -> bool:
        return "slack's socket is not connected (invalid_auth)" in (await read_readiness(bot))[1]

    await wait_until(says_reason)


async def test_two_connections_are_open_and_both_are_listened_to(bot: RunningBot) -> None:
    first, second = socket_connections(bot)
    for number in range(4):  # Slack gives each to any of them; here they take turns
        assert (await bot.type_text(f"/zof help {'run' if number % 2 else 'runs'}")).is_accepted
    assert socket_connections(bot) == [first, second]


async def test_a_connection_that_slack_recycles_leaves_no_gap(bot: RunningBot) -> None:
    """Slack may recycle both at once, for they are equally old; there is always one to deliver to."""
    before = socket_connections(bot)
    fewest = len(before)

    def count() -> None:
        nonlocal fewest
        fewest = min(fewest, len(socket_connections(bot)))

    for line in before:
        await line.websocket.send_json({"type": "disconnect", "reason": "warning"})
    bot.world.add_watcher(count)
    for _ in range(10):
        assert (await bot.type_text("/zof help")).is_accepted
        count()
        await asyncio.sleep(0.2)
    await wait_until(lambda: len(set(socket_connections(bot)) - set(before)) == 2)
    assert fewest >= 2


async def test_what_comes_down_a_connection_that_is_to_be_closed_is_still_answered(bot: RunningBot) -> None:
    """Slack's warning comes some seconds before it closes, and what it has in hand still comes the old way."""
    old = socket_connections(bot)[0]
    await old.websocket.send_json({"type": "disconnect", "reason": "warning"})
    await wait_until(lambda: len(socket_connections(bot)) == 3)
    bot.world.slack.lines[:] = [old]
    assert (await bot.type_text("/zof help")).is_accepted


async def test_too_many_connections_are_waited_out(bot: RunningBot) -> None:
    """Of eleven Slack sends one away; the bot lets go of it first and tries again later."""
    async with aiohttp.ClientSession() as session:
        others = [await session.ws_connect(await take_ticket(bot, session)) for _ in range(8)]
        old = socket_connections(bot)[0]
        await old.websocket.send_json({"type": "disconnect", "reason": "too_many_websockets"})
        await wait_until(old.gone.is_set)
        for other in others:
            await other.close()
    await wait_until(lambda: len(socket_connections(bot)) == 2, 120)
    assert (await read_readiness(bot))[0] == 200


async def test_a_workspace_with_too_many_connections_is_named_by_readiness(bot: RunningBot) -> None:
    async with aiohttp.ClientSession() as session:
        await drop_connections(bot)
        others = [await session.ws_connect(await take_ticket(bot, session)) for _ in range(10)]

        async def says_reason() -> bool:
            return "Slack said disconnect too_many_websockets" in (await read_readiness(bot))[1]

        await wait_until(says_reason)
        for other in others:
            await other.close()
    await wait_until(lambda: len(socket_connections(bot)) == 2, 120)


async def test_a_connection_that_slack_announced_to_close_and_does_not_is_closed(bot: RunningBot) -> None:
    old = socket_connections(bot)[0]
    for _ in range(2):
        await old.websocket.send_json({"type": "disconnect", "reason": "warning"})
    await wait_until(lambda: len(socket_connections(bot)) == 3)
    await wait_until(old.gone.is_set, MAX_CLOSING_SECONDS + 10)
    assert len(socket_connections(bot)) == 2


async def test_a_malformed_request_is_not_acknowledged_and_the_next_one_is(bot: RunningBot) -> None:
    line = socket_connections(bot)[0]
    pressed = {"type": "block_actions", "user": {"id": ["U0ANA"]}, "actions": [{"action_id": "zof_run"}]}
    envelope = {"envelope_id": "E1", "type": "interactive", "payload": pressed}
    assert await line.send_envelope(envelope, 3) is None
    envelope["payload"] = {"type": "event_callback", "event_id": "Ev1", "event": {"type": "channel_rename"}}
    assert await line.send_envelope(envelope, 3) == {"envelope_id": "E1"}


async def test_a_connection_lost_before_an_answer_costs_a_line_and_that_answer(
    bot: RunningBot, log: io.StringIO
) -> None:
    zof = bot.world.zof
    zof.faults.delays["slow"] = 0.5
    zof.faults.set_fault("slow", 1)
    asked = asyncio.create_task(bot.type_text("/zof res_4821"))
    await wait_until(lambda: bool(zof.calls))
    await drop_connections(bot)
    assert (await asked).error == "operation_timeout"
    await wait_until(lambda: "slack socket lost before an answer" in log.getvalue())
    await wait_until(lambda: len(socket_connections(bot)) == 2, 120)
    assert "Voucher" in await bot.answer_text("/zof res_4821")


async def test_a_refused_connection_that_slack_does_not_close_delays_no_other(bot: RunningBot) -> None:
    old = socket_connections(bot)[0]
    await old.websocket.send_json({"type": "disconnect", "reason": "link_disabled"})
    old.stop_reading()
    await wait_until(lambda: len(socket_connections(bot)) == 3, 5)


async def lose_connections_for_good(store_url: str, lost: int) -> None:
    """Run a bot that loses connections, with a token that no header can hold, until it asks to be stopped."""
    async with running_bot(store_url, socket=True) as bot:
        await wait_until(lambda: len(socket_connections(bot)) == 2)
        stop = asyncio.Event()
        bot.app.tasks.call_on_failure(stop.set)
        assert bot.app.socket
        bot.app.socket.use_token("xapp-1\n")
        for line in socket_connections(bot)[:lost]:
            await line.websocket.close()
        await wait_until(stop.is_set)
        assert "task 'slack socket' has failed" in (await read_readiness(bot))[1]


@pytest.mark.parametrize("lost", [1, 2])
async def test_an_unexpected_error_while_connecting_stops_the_bot(store_url: str, log: io.StringIO, lost: int) -> None:
    with pytest.raises(ZofbotError, match="slack socket"):
        await lose_connections_for_good(store_url, lost)
    [failed] = [line for line in map(json.loads, log.getvalue().splitlines()) if line["event"] == "task failed"]
    assert failed["task"] == "slack socket"


async def take_ticket(bot: RunningBot, session: aiohttp.ClientSession) -> str:
    headers = {"Authorization": f"Bearer {bot.world.slack.app_token}"}
    async with session.post(f"{bot.simulator.url}/api/apps.connections.open", headers=headers) as reply:
        return str((await reply.json())["url"])
