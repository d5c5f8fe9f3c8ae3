"""Messages that the demo opens with: a shared result, an alert that a person acknowledged, and what to type next."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from zofbot.clock import timeout
from zofbot.simulator.scenarios import run_scenario
from zofbot.simulator.seed import ASSERTION_RESULT, BAD_GATEWAY_RESULT, BEN, CHECKOUT, QA_ALERTS
from zofbot.simulator.server import SimulatorServer
from zofbot.simulator.slack.model import BOT_USER_ID, PostedMessage
from zofbot.simulator.world import World

CONVERSATION_SECONDS = 1200.0
"""How much simulated time the conversation takes."""

MAX_WAIT_SECONDS = 15.0
"""Real time to wait for the bot's messages; on a slower machine the rest of the conversation is left out."""

ACKNOWLEDGE_ACTION_ID = "zof_triage_acknowledge"
"""Action id of zofbot's button."""

NEXT_STEP = (
    f"To try it, type `/zof result {BAD_GATEWAY_RESULT}` below, or finish a run in *Demo controls* and watch the alert."
)


async def add_sample_conversation(simulator: SimulatorServer) -> None:
    """Let Ben share a result and acknowledge the alert of a failed run, and advance the clock meanwhile."""
    world = simulator.world
    with suppress(TimeoutError):
        async with timeout(MAX_WAIT_SECONDS):
            await _share_and_acknowledge(simulator)
    world.advance(CONVERSATION_SECONDS - world.clock.offset_seconds)
    world.slack.add_message(PostedMessage(QA_ALERTS, world.slack.next_timestamp(), BEN, NEXT_STEP))


async def _share_and_acknowledge(simulator: SimulatorServer) -> None:
    world, people = simulator.world, simulator.people
    await people.type_text(BEN, QA_ALERTS, f"/zof result {ASSERTION_RESULT} share")
    await _wait_for_message(world, lambda message: bool(message.blocks or message.attachments))
    world.advance(CONVERSATION_SECONDS / 4)
    run_scenario(world.zof, "failure", CHECKOUT, "staging")
    alert = await _wait_for_message(world, lambda message: _has_button(message, ACKNOWLEDGE_ACTION_ID))
    world.advance(CONVERSATION_SECONDS / 4)
    await people.press_element(
        BEN, {"type": "button", "action_id": ACKNOWLEDGE_ACTION_ID}, channel=QA_ALERTS, ts=alert.ts
    )
    await _wait_for_message(world, lambda message: message.ts == alert.ts and message.edited)


def _has_button(message: PostedMessage, action_id: str) -> bool:
    blocks = [*message.blocks, *(block for part in message.attachments for block in part.get("blocks", []))]
    elements: list[dict[str, Any]] = [element for block in blocks for element in block.get("elements", [])]
    return any(element.get("action_id") == action_id for element in elements)


async def _wait_for_message(world: World, matches: Callable[[PostedMessage], bool]) -> PostedMessage:
    """Wait until the bot has posted a public message in the channel that matches."""
    with _watch(world) as changed:
        while True:
            changed.clear()
            for message in world.slack.messages.get(QA_ALERTS, {}).values():
                if message.user == BOT_USER_ID and not message.only_to and matches(message):
                    return message
            await changed.wait()


@contextmanager
def _watch(world: World) -> Iterator[asyncio.Event]:
    changed = asyncio.Event()
    unwatch = world.add_watcher(changed.set)
    try:
        yield changed
    finally:
        unwatch()
