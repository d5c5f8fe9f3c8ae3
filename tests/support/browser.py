"""A real browser for tests of the demo's page."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import Browser, Locator, Page, async_playwright, expect

from tests.support.bot import wait_until
from tests.support.failure_reports import report_world
from tests.support.limits import HANG_SECONDS, lift_slack_limits
from zofbot.demo import POLL_INTERVAL_SECONDS, run_demo
from zofbot.simulator.scenarios import STORM_RUN_COUNT
from zofbot.simulator.server import SimulatorServer

_BROWSERS = (Path("/usr/bin/chromium-headless-shell"), Path("/usr/bin/chromium"))
CHROMIUM = next(filter(Path.exists, _BROWSERS), _BROWSERS[-1])
"""Debian's browser without a window, which needs less than half of the CPU time, or else its usual one."""
SCREENSHOT_FOLDER = os.environ.get("ZOFBOT_SCREENSHOTS", "")
"""Folder for screenshots, such as ``docs``; empty: none are taken."""

expect.set_options(timeout=HANG_SECONDS * 1000)

needs_browser = pytest.mark.skipif(not CHROMIUM.exists(), reason="no browser: apt-get install chromium-headless-shell")


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    quiet = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=quiet)
        yield browser
        await browser.close()


@asynccontextmanager
async def open_demo(
    *, conversation: bool = False, poll_seconds: float = POLL_INTERVAL_SECONDS
) -> AsyncIterator[SimulatorServer]:
    """Run the demo, with a Slack that waits as long as a busy machine needs."""
    async with run_demo(0, poll_seconds, conversation=conversation) as simulator:
        lift_slack_limits(simulator)
        with report_world(simulator.world):
            yield simulator


@asynccontextmanager
async def open_page(browser: Browser, url: str) -> AsyncIterator[Page]:
    """Open the page, in #qa-alerts; any error in the browser fails the test."""
    context = await browser.new_context(viewport={"width": 1280, "height": 800}, device_scale_factor=1)
    context.set_default_timeout(HANG_SECONDS * 1000)
    page = await context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    await page.goto(url)
    await page.get_by_test_id("channel-qa-alerts").click()
    yield page
    await context.close()
    assert not complaints


async def type_in(page: Page, text: str) -> None:
    composer = page.get_by_test_id("composer")
    await composer.fill(text)
    await composer.press("Escape")  # closes the completion, so that Enter sends
    await composer.press("Enter")


async def take_screenshot(page: Page, name: str) -> None:
    if SCREENSHOT_FOLDER:
        await page.screenshot(path=Path(SCREENSHOT_FOLDER) / f"{name}.png")


async def end_run(page: Page, simulator: SimulatorServer, what: str, environment: str = "staging") -> str:
    """Press the button that ends a run of checkout; returns the id of the last run."""
    known = set(simulator.world.zof.runs)
    await page.get_by_test_id("panel-tab-runs").click()
    await page.get_by_test_id("run-environment").select_option(environment)
    await page.get_by_test_id(f"run-{what}").click()
    await wait_until(
        lambda: (
            bool(set(simulator.world.zof.runs) - known) and "completed_at" in [*simulator.world.zof.runs.values()][-1]
        )
    )
    return str([*simulator.world.zof.runs][-1])


async def end_storm(page: Page, simulator: SimulatorServer) -> list[str]:
    """Press the button that ends many runs at once; returns their ids when the bot has read them all.

    Only then may the clock run fast: a slow machine would spread their alerts over minutes, which are several storms.
    """
    await end_run(page, simulator, "storm")
    runs = [*simulator.world.zof.runs][-STORM_RUN_COUNT:]
    await wait_until(lambda: {f"/runs/{run}" for run in runs} <= {call.path for call in simulator.world.zof.calls})
    return runs


@asynccontextmanager
async def fast_clock(simulator: SimulatorServer) -> AsyncIterator[None]:
    """Run the simulated time ten times as fast, because Slack accepts one message per second.

    The page is not told of each step, or it would be drawn twenty times a second; it is of what happens meanwhile.
    """

    async def advance_faster() -> None:
        while True:
            await asyncio.sleep(0.05)
            simulator.world.clock.advance(0.45)

    task = asyncio.create_task(advance_faster())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})


def in_channel(page: Page, text: str | re.Pattern[str]) -> Locator:
    return page.get_by_test_id("messages").get_by_test_id("message").filter(has_text=text)


def in_thread(page: Page) -> Locator:
    return page.get_by_test_id("thread-messages").get_by_test_id("message")
