"""The demo in a real browser: typed, pressed and looked at as a newcomer would."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from playwright.async_api import Browser, Page, Route, expect

from tests.support.browser import chromium, end_run, needs_browser, open_demo, open_page, take_screenshot, type_in
from zofbot.simulator.server import SimulatorServer

pytestmark = needs_browser


@pytest.fixture(scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as browser:
        yield browser


@pytest.fixture
async def simulator() -> AsyncIterator[SimulatorServer]:
    async with open_demo() as simulator:
        yield simulator


@pytest.fixture
async def page(browser: Browser, simulator: SimulatorServer) -> AsyncIterator[Page]:
    async with open_page(browser, simulator.url) as page:
        yield page


async def test_a_typed_command_shows_a_card_only_to_me(page: Page) -> None:
    await page.get_by_test_id("panel-tab-zof").click()
    await type_in(page, "/zof result res_4821")
    card = page.get_by_test_id("message").last
    await expect(card).to_contain_text("Failed: Voucher can be removed again")
    await expect(card).to_contain_text("order total is wrong")
    await expect(card).to_contain_text("res_4821")
    await expect(card).to_contain_text("Only visible to you")
    await expect(page.get_by_test_id("zof-call").filter(has_text="/results/res_4821")).to_have_count(1)
    await take_screenshot(page, "card")


async def test_addresses_in_verbatim_text_are_not_linked(page: Page) -> None:
    text = '{type: "mrkdwn", text: "see https://shop.example", verbatim: %s}'
    links = 'import("/page/mrkdwn.js").then((m) => m.textObject(%s, {}).filter((node) => node.tagName === "A").length)'
    assert await page.evaluate(links % text % "false") == 1
    assert await page.evaluate(links % text % "true") == 0


async def test_share_posts_the_card_for_all_and_a_second_time_only_its_link(page: Page) -> None:
    await type_in(page, "/zof result res_4822")
    await page.locator("[data-action-id=zof_share]").click()
    await expect(page.get_by_text("Shared to this channel.")).to_be_visible()
    await expect(page.get_by_text("Shared by ana")).to_have_count(1)
    await page.locator("[data-action-id=zof_share]").click()
    await expect(page.get_by_text("ana already shared this")).to_be_visible()
    await expect(page.get_by_text("Shared by ana")).to_have_count(1)
    await take_screenshot(page, "shared")
    await page.get_by_test_id("user-switch").select_option("U0BEN")
    await page.get_by_test_id("channel-qa-alerts").click()
    await expect(page.get_by_test_id("message").last).to_contain_text("Shared by ana")


async def test_a_channel_opened_before_the_other_users_state_has_come_is_theirs(page: Page) -> None:
    has_clicked = asyncio.Event()

    async def answer_late(route: Route) -> None:
        await has_clicked.wait()
        await route.continue_()

    await page.route("**/sim/state?user=U0BEN", answer_late)
    await page.get_by_test_id("user-switch").select_option("U0BEN")
    await page.get_by_test_id("channel-qa-alerts").click()
    has_clicked.set()
    await expect(page).to_have_url(re.compile("#/U0BEN/C0QA$"))
    await expect(page.get_by_test_id("user-switch")).to_have_value("U0BEN")


@pytest.mark.parametrize("fault", ["429", "500"])
async def test_when_zof_misbehaves_the_reply_shows_the_request_id(
    page: Page, simulator: SimulatorServer, fault: str
) -> None:
    await page.get_by_test_id("panel-tab-faults").click()
    await page.get_by_test_id(f"fault-zof-{fault}").click()
    await type_in(page, "/zof result res_4821")
    reply = page.get_by_test_id("message").last
    await expect(reply).to_contain_text(re.compile("Request ID: req_"))
    asked = [call for call in simulator.world.zof.calls if call.path == "/results/res_4821"]  # the poller asks, too
    assert asked[-1].request_id in await reply.inner_text()
    await take_screenshot(page, f"trouble-{fault}")


async def test_what_led_to_an_error_is_traced_by_the_id_that_it_shows(page: Page) -> None:
    await page.get_by_test_id("panel-tab-faults").click()
    await page.get_by_test_id("fault-zof-500").click()
    await type_in(page, "/zof result res_4821")
    reply = page.get_by_test_id("message").last
    await expect(reply).to_contain_text(re.compile("Request ID: req_"))
    shown = re.search(r"Request ID: (req_\w+)", await reply.inner_text())
    assert shown
    await page.get_by_test_id("fault-zof-none").click()
    await type_in(page, f"/zof trace {shown[1]}")
    trace = page.get_by_test_id("message").filter(has_text="Only visible to you").last
    await expect(trace).to_contain_text("GET /results/{id}")
    await expect(trace).to_contain_text(re.compile("(500.*){4}", re.DOTALL))
    await take_screenshot(page, "trace")


async def test_zof_completes_in_the_composer(page: Page) -> None:
    composer = page.get_by_test_id("composer")
    await composer.press_sequentially("/zof ru")
    await expect(page.get_by_role("listbox")).to_contain_text("runs [filters]")
    await take_screenshot(page, "completion")


async def test_a_runs_failed_cases_are_paged_in_place(page: Page) -> None:
    await type_in(page, "/zof run run_2038")
    await expect(page.get_by_text("and 43 more failed or errored cases")).to_be_visible()
    await take_screenshot(page, "run")
    await page.locator("[data-action-id=zof_run_page]").click()
    await expect(page.get_by_text("11 to 20 of 53")).to_be_visible()
    await expect(page.get_by_test_id("message").filter(has_text="failed or errored cases")).to_have_count(1)


async def test_hostile_text_is_only_text(page: Page) -> None:
    await type_in(page, "/zof res_4826")
    card = page.get_by_test_id("message").last
    await expect(card).to_contain_text("[redacted]")
    await expect(card).to_contain_text("<b>retry</b>")
    await expect(card.locator(".mention")).to_have_count(0)
    await take_screenshot(page, "hostile")


async def test_home_shows_how_things_stand_and_its_buttons_work(page: Page, simulator: SimulatorServer) -> None:
    await end_run(page, simulator, "failure")
    await end_run(page, simulator, "failure", "production")
    await expect(
        page.get_by_test_id("message").filter(has_text=re.compile(r"Failed: [^()]+ \(checkout, ")).last
    ).to_be_visible()
    await page.get_by_test_id("channel-zofbot").click()
    await page.get_by_test_id("tab-home").click()
    home = page.get_by_test_id("home")
    await expect(home).to_contain_text(re.compile("unacknowledged failures?"))
    for told in ("Runs in 24 h", "Pass rate", "Runs in progress", "Your channels' subscriptions", "OK"):
        await expect(home).to_contain_text(told)
    await page.mouse.move(5, 5)
    await take_screenshot(page, "home")
    await page.locator("[data-action-id=zof_home_edit]").first.click()
    await expect(page.get_by_test_id("modal")).to_contain_text("Edit subscription")


async def test_a_digest_is_previewed_set_and_told_when_it_is_due(page: Page, simulator: SimulatorServer) -> None:
    await end_run(page, simulator, "failure")
    await expect(
        page.get_by_test_id("message").filter(has_text=re.compile(r"Failed: [^()]+ \(checkout, ")).last
    ).to_be_visible()
    await type_in(page, "/zof digest")
    preview = page.get_by_test_id("message").filter(has_text="Only visible to you").last
    await expect(preview).to_contain_text("No digest in this channel")
    await expect(preview).to_contain_text("Daily digest")
    then = datetime.fromtimestamp(simulator.world.unix_time() + 120, ZoneInfo("Europe/Berlin"))
    await type_in(page, f"/zof digest weekly {then:%a} {then:%H:%M}")
    await expect(page.get_by_text("ana scheduled this channel's digest: weekly")).to_be_visible()
    simulator.world.advance(150)
    told = page.get_by_test_id("message").filter(has_text="Weekly digest").last
    await expect(told).to_contain_text("Most failing")
    await expect(told).to_contain_text(re.compile(r"Open here\s*1, the oldest for"))
    await expect(told.locator("figure.chart")).to_contain_text("Pass rate by day")
    await told.scroll_into_view_if_needed()
    await told.locator("h2").evaluate("heading => heading.scrollIntoView()")
    await page.mouse.move(5, 5)
    await take_screenshot(page, "digest")


async def test_it_can_be_used_with_the_keyboard_alone(page: Page) -> None:
    await page.get_by_test_id("composer").focus()
    await page.keyboard.type("/zof help ")
    await page.keyboard.press("Escape")
    await page.keyboard.press("Enter")
    await expect(page.get_by_test_id("message").last).to_contain_text("Look up")


async def test_a_pasted_link_unfurls_beneath_it(page: Page) -> None:
    await type_in(page, "Who looks at https://console.zof.ai/results/res_4821 ?")
    message = page.get_by_test_id("message").last
    await expect(message).to_contain_text("Failed: Voucher can be removed again")
    await expect(message).to_contain_text("res_4821")
    await take_screenshot(page, "unfurl")
