"""Wait for what happens in a simulated world without a bot."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from zofbot.simulator.world import World


async def wait_for_change(world: World, true: Callable[[], bool]) -> None:
    """Wait for a change in the world that makes it so; the world has to say that it changed."""
    news = asyncio.Event()
    unwatch = world.add_watcher(news.set)
    async with asyncio.timeout(5):
        while not true():
            await news.wait()
            news.clear()
    unwatch()
