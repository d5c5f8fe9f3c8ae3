"""The subscription form in a real browser: projects and user groups are chosen from menus that the bot fills."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser, Page, expect

from tests.support.browser import chromium, needs_browser, open_demo, open_page, take_screenshot, type_in

pytestmark = needs_browser


@pytest.fixture(scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as browser:
        yield browser


@pytest.fixture
async def page(browser: Browser) -> AsyncIterator[Page]:
    async with open_demo() as simulator, open_page(browser, simulator.url) as page:
        yield page


async def test_a_project_and_a_user_group_are_chosen_from_what_the_bot_offers(page: Page) -> None:
    await type_in(page, "/zof subscribe")
    form = page.get_by_test_id("modal")
    await take_screenshot(page, "form")
    await form.get_by_role("button", name="Show more options").click()
    await form.get_by_role("button", name="Add projects").click()
    menu = form.get_by_role("group", name="Add projects")
    await expect(menu.get_by_role("checkbox")).to_have_count(2)
    await menu.get_by_role("searchbox").fill("sea")
    await expect(menu.get_by_role("checkbox")).to_have_count(1)
    await menu.get_by_role("checkbox", name="search").check()
    await page.keyboard.press("Escape")
    await form.get_by_role("button", name="Mention user groups", exact=True).click()
    await form.get_by_role("checkbox", name="@oncall-checkout").check()
    await page.keyboard.press("Escape")
    await expect(form.get_by_role("button", name="Mention user groups", exact=True)).to_contain_text("@oncall-checkout")
    await page.get_by_test_id("modal-submit").click()
    answer = page.get_by_test_id("message").filter(has_text="project:search mention:@oncall-checkout")
    await expect(answer.first).to_be_visible()
