"""A real browser for the tests that look at the demo's page."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, async_playwright

CHROMIUM = Path("/usr/bin/chromium")
SHOTS = os.environ.get("ZOFBOT_SCREENSHOTS", "")
"""A folder to put screenshots into, such as ``docs``; empty: none are taken."""

needs_browser = pytest.mark.skipif(not CHROMIUM.exists(), reason=f"no browser at {CHROMIUM}: apt-get install chromium")


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    quiet = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=quiet)
        yield browser
        await browser.close()


@asynccontextmanager
async def visiting(browser: Browser, url: str) -> AsyncIterator[Page]:
    """The page as a newcomer opens it, in #qa-alerts; what the browser complains of fails the test."""
    context = await browser.new_context(viewport={"width": 1280, "height": 800}, device_scale_factor=1)
    context.set_default_timeout(10_000)
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


async def shoot(page: Page, name: str) -> None:
    if SHOTS:
        await page.screenshot(path=Path(SHOTS) / f"{name}.png")
