"""The demo's page as it opens: on phones, laptops and large screens, in both themes, with the keyboard alone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Literal

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page, expect

from tests.support.bot import wait_until
from tests.support.browser import chromium, in_channel, needs_browser, open_demo, open_page, take_screenshot, type_in
from zofbot.simulator.seed import RANDOM_CHANNEL
from zofbot.simulator.server import SimulatorServer
from zofbot.simulator.slack.model import BOT_USER_ID, PostedMessage

pytestmark = needs_browser

WIDTHS = (390, 1024, 1440)
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
RULES_BY_THEME: dict[Literal["light", "dark"], list[str]] = {
    "light": RULES,
    "dark": ["color-contrast", "link-in-text-block"],
}
OVERFLOW = """() => [...document.querySelectorAll("html, .scroller, .panel-body, .home, .dialog-body")]
    .filter((part) => part.scrollWidth > part.clientWidth + 1).map((part) => part.className)"""


@pytest.fixture(scope="module")
async def simulator() -> AsyncIterator[SimulatorServer]:
    async with open_demo(conversation=True) as simulator:
        yield simulator


@pytest.fixture(scope="module")
async def opened_page(simulator: SimulatorServer) -> AsyncIterator[Page]:
    async with chromium() as browser, open_page(browser, simulator.url) as page:
        yield page


@pytest.fixture
async def page(opened_page: Page) -> Page:
    """Show #qa-alerts on a large screen."""
    await opened_page.keyboard.press("Escape")
    await opened_page.set_viewport_size({"width": 1440, "height": 844})
    await opened_page.evaluate("location.hash = '#/U0ANA/C0QA'")
    return opened_page


async def check_surface(page: Page, name: str) -> None:
    """Run axe at every width: all rules in the light theme; only the colors differ in the dark one."""
    await page.mouse.move(5, 5)  # a message beneath the pointer looks different
    for width in WIDTHS:
        await page.set_viewport_size({"width": width, "height": 844})
        for theme, rules in RULES_BY_THEME.items():
            await page.emulate_media(color_scheme=theme, reduced_motion="reduce")
            found = await Axe().run(page, options={"runOnly": rules, "resultTypes": ["violations"]})
            assert not found.response["violations"], f"{name}, {width} px, {theme}: {found.generate_report()}"
            await take_screenshot(page, f"{name}-{width}-{theme}")
        assert await page.evaluate(OVERFLOW) == [], f"{name}, {width} px"


async def test_the_demo_opens_with_a_result_an_acknowledged_alert_and_what_to_type(page: Page) -> None:
    messages = page.get_by_test_id("messages").get_by_test_id("message")
    await expect(messages.filter(has_text="Shared by ben")).to_contain_text("res_4821")
    await expect(in_channel(page, "Acknowledged by ben")).to_have_count(1)
    await expect(messages.last).to_contain_text("type /zof result res_4822")
    await check_surface(page, "channel")


async def test_axe_finds_nothing_in_a_thread(page: Page) -> None:
    await page.get_by_test_id("thread-summary").click()
    await expect(page.get_by_test_id("thread-messages").get_by_test_id("message")).not_to_have_count(0)
    await check_surface(page, "thread")


async def test_axe_finds_nothing_in_a_modal(page: Page) -> None:
    await type_in(page, "/zof subscribe")
    await expect(page.get_by_test_id("modal")).to_contain_text("Projects")
    await check_surface(page, "modal")


async def test_axe_finds_nothing_on_app_home(page: Page) -> None:
    await page.get_by_test_id("channel-zofbot").click()
    await expect(page.get_by_test_id("home")).to_contain_text("Health")
    await check_surface(page, "home")


async def test_on_a_phone_the_sidebar_and_the_controls_open_and_close_with_the_keyboard(page: Page) -> None:
    await page.get_by_test_id("panel-tab-faults").click()
    await page.set_viewport_size({"width": 390, "height": 844})
    for toggle, name in (("sidebar-toggle", "Channels and apps"), ("panel-toggle", "Demo controls")):
        button, dialog = page.get_by_test_id(toggle), page.get_by_role("dialog", name=name)
        await expect(dialog).to_have_count(0)
        await button.press("Enter")
        await expect(button).to_have_attribute("aria-expanded", "true")
        assert await dialog.evaluate("part => part.contains(document.activeElement)")
        found = await Axe().run(page, options={"runOnly": RULES, "resultTypes": ["violations"]})
        assert not found.response["violations"], f"{name}: {found.generate_report()}"
        await page.keyboard.press("Escape")
        await expect(button).to_have_attribute("aria-expanded", "false")
        await expect(button).to_be_focused()
    await page.get_by_test_id("sidebar-toggle").press("Enter")
    await page.get_by_test_id("channel-checkout").press("Enter")
    await expect(page.get_by_role("dialog")).to_have_count(0)
    await expect(page.get_by_role("heading", level=1)).to_have_text("checkout")


async def test_tables_are_paged_and_scroll_on_a_phone(page: Page, simulator: SimulatorServer) -> None:
    head = [{"type": "raw_text", "text": title} for title in ("Run", "Failed", "A title that is wider than a phone")]
    rows = [
        [{"type": "raw_text", "text": f"run_{number}"}, {"type": "raw_number", "value": number}, head[2]]
        for number in range(7)
    ]
    tables: list[dict[str, object]] = [
        {"type": "data_table", "caption": "Latest runs", "rows": [head, *rows]},
        {"type": "table", "rows": [head, rows[0]], "column_settings": [{"is_wrapped": True}, {"align": "right"}]},
    ]
    slack = simulator.world.slack
    slack.add_message(PostedMessage(RANDOM_CHANNEL, slack.next_timestamp(), BOT_USER_ID, "Latest runs", tables))
    await page.get_by_test_id("channel-random").click()
    latest = page.get_by_role("group", name="Latest runs")
    await expect(latest.get_by_role("row")).to_have_count(1 + 5)
    await page.get_by_role("button", name="Next").click()
    await expect(page.get_by_text("6 to 7 of 7")).to_be_visible()
    await expect(latest.get_by_role("rowheader").last).to_have_text("run_6")
    await page.set_viewport_size({"width": 390, "height": 844})

    async def fits() -> bool:
        return not await page.evaluate(OVERFLOW)

    await wait_until(fits)  # Playwright's own polling evaluates text, which the page's security policy forbids
    found = await Axe().run(page, options={"runOnly": RULES, "resultTypes": ["violations"]})
    assert not found.response["violations"], found.generate_report()
