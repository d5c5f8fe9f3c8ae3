"""Working on a failure in the demo, in a real browser, as several people: each button, and what becomes of it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser, Locator, Page, Response, expect

from tests.support.bot import buttons_of, text_of, wait_until
from tests.support.browser import (
    chromium,
    end_run,
    end_storm,
    fast_clock,
    in_channel,
    in_thread,
    needs_browser,
    open_demo,
    open_page,
    take_screenshot,
    type_in,
)
from zofbot.simulator.server import SimulatorServer

pytestmark = needs_browser

ANA, BEN, CHIOMA, GUEST = "U0ANA", "U0BEN", "U0CHIOMA", "U0GUEST"

FAILED_CHECKOUT = re.compile(r"(Failed|Failing again): [^()]+ \(checkout, ")
"""The title of an alert; the tests share a bot, so the same case may have been resolved by an earlier one."""


@pytest.fixture(scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
async def simulator() -> AsyncIterator[SimulatorServer]:
    async with open_demo() as simulator, fast_clock(simulator):
        yield simulator


@pytest.fixture
async def page(browser: Browser, simulator: SimulatorServer) -> AsyncIterator[Page]:
    async with open_page(browser, simulator.url) as page:
        yield page
    simulator.world.slack.modals.clear()


@pytest.fixture
async def root(page: Page, simulator: SimulatorServer) -> Locator:
    """The card of a run that has just failed, as Ana sees it."""
    simulator.world.advance(3700)  # or it might go on in the thread of what has just recovered
    found = in_channel(page, await end_run(page, simulator, "failure"))
    await expect(found).to_contain_text(FAILED_CHECKOUT)
    await expect(found.get_by_test_id("thread-summary")).to_contain_text("1 reply")
    return found


async def switch_user(page: Page, user: str, channel: str = "qa-alerts") -> None:
    """Go on as somebody else."""
    await page.get_by_test_id("user-switch").select_option(user)
    await page.get_by_test_id(f"channel-{channel}").click()


async def press_button(card: Locator, name: str) -> None:
    await card.get_by_role("button", name=name, exact=True).first.click()


async def choose_option(page: Page, card: Locator, name: str) -> None:
    """Choose something of the card's menu."""
    await card.get_by_role("button", name="More actions").click()
    await page.get_by_role("menuitem", name=name).click()


async def open_thread(page: Page, root: Locator) -> None:
    await root.get_by_test_id("thread-summary").click()


def private_answer(page: Page, text: str) -> Locator:
    return page.get_by_test_id("message").filter(has_text="Only visible to you").filter(has_text=text).last


async def test_an_open_menu_stays_while_its_card_changes(page: Page, root: Locator, simulator: SimulatorServer) -> None:
    await root.get_by_role("button", name="More actions").click()
    cards = simulator.world.slack.messages["C0QA"].values()
    found = [(m, b) for m in cards for b in buttons_of(m) if b["action_id"] == "zof_triage_acknowledge"]
    card, button = max(found, key=lambda each: each[0].ts)
    await simulator.people.press_element(CHIOMA, button, channel=card.channel, ts=card.ts)
    await wait_until(lambda: "Acknowledged" in text_of(card))
    await simulator.people.type_text(CHIOMA, "C0QA", "I'm looking")
    await expect(in_channel(page, "I'm looking")).to_be_visible()
    await expect(page.get_by_role("menuitem", name="Resolve…")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(root).to_contain_text(re.compile(r"Acknowledged: [^()]+ \(checkout, "))


TEXT_AFTER_RELEASE = """
const ended = new Promise((resolve) => addEventListener("pointerup", () => setTimeout(resolve), true));
window.textAfterRelease = ended.then(() => document.body.innerText);
0
"""
"""The text of the page in the moment after a mouse button is released: its own handlers come first."""


async def test_a_button_that_is_held_while_its_card_changes_and_moves_is_clicked(
    page: Page, root: Locator, simulator: SimulatorServer
) -> None:
    async def has_text(response: Response) -> bool:
        return "/sim/state" in response.url and "All of them" in await response.text()

    card = await root.get_attribute("data-ts")
    await root.get_by_role("button", name="Assign…", exact=True).hover()
    await page.mouse.down()
    async with page.expect_response(has_text):
        await simulator.people.type_text(CHIOMA, "C0QA", "Only this one?", card)
        await simulator.people.type_text(CHIOMA, "C0QA", "All of them")
    await page.mouse.up()
    await expect(page.get_by_test_id("modal")).to_contain_text("Assign")
    await expect(in_channel(page, "All of them")).to_be_visible()


async def test_what_came_while_a_mouse_button_was_held_is_shown_when_it_is_released(
    page: Page, simulator: SimulatorServer
) -> None:
    async def has_text(response: Response) -> bool:
        return "/sim/state" in response.url and "Just now" in await response.text()

    await page.get_by_test_id("composer").hover()
    await page.mouse.down()
    async with page.expect_response(has_text):
        await simulator.people.type_text(CHIOMA, "C0QA", "Just now")
    await page.evaluate(TEXT_AFTER_RELEASE)
    await expect(in_channel(page, "Just now")).to_have_count(0)
    await page.mouse.up()
    assert "Just now" in await page.evaluate("textAfterRelease")


async def test_it_is_acknowledged_by_name_and_that_can_be_undone(page: Page, root: Locator) -> None:
    await press_button(root, "Acknowledge")
    await expect(root).to_contain_text(re.compile(r"Acknowledged: [^()]+ \(checkout, "))
    await expect(root).to_contain_text("ana")
    await expect(private_answer(page, "You acknowledged")).to_be_visible()
    await switch_user(page, BEN)
    await expect(root).to_contain_text(re.compile(r"Acknowledged: [^()]+ \(checkout, "))
    await expect(private_answer(page, "You acknowledged")).to_have_count(0)
    await switch_user(page, ANA)
    await press_button(private_answer(page, "You acknowledged"), "Undo")
    await expect(root).to_contain_text(FAILED_CHECKOUT)
    await open_thread(page, root)
    await expect(in_thread(page).last).to_contain_text("ana acknowledged this · ↩️ ana undid this today at")


async def test_ben_assigns_it_to_chioma_who_is_told_in_person(page: Page, root: Locator) -> None:
    await switch_user(page, BEN)
    await press_button(root, "Assign…")
    await expect(page.get_by_test_id("modal")).to_contain_text("Assign")
    await page.get_by_test_id("modal").get_by_role("combobox").select_option(CHIOMA)
    await page.get_by_test_id("modal-submit").click()
    await expect(root).to_contain_text("chioma")
    await open_thread(page, root)
    await expect(in_thread(page).last).to_contain_text("ben assigned this to chioma")
    await switch_user(page, CHIOMA, "zofbot")
    await page.get_by_test_id("tab-messages").click()
    await expect(in_channel(page, re.compile("ben assigned you"))).to_have_count(1)


async def test_chioma_snoozes_it_sees_when_it_wakes_and_it_does(
    page: Page, simulator: SimulatorServer, root: Locator
) -> None:
    await switch_user(page, CHIOMA)
    await press_button(root, "Snooze…")
    modal = page.get_by_test_id("modal")
    await expect(modal).to_contain_text("Ends")
    await modal.get_by_role("combobox").select_option(label="15 min")
    await expect(modal).to_contain_text("in your time zone")
    words = modal.get_by_role("textbox")
    await words.fill("half past never")
    await expect(modal).to_contain_text("That isn't a time")
    await words.fill("20m")
    await expect(modal).to_contain_text("Ends")
    await take_screenshot(page, "snooze")
    await page.get_by_test_id("modal-submit").click()
    await expect(root).to_contain_text(re.compile(r"Snoozed: [^()]+ \(checkout, "))
    await page.get_by_test_id("panel-tab-clock").click()
    await page.get_by_test_id("clock-15m").click()
    await page.get_by_test_id("clock-15m").click()
    await expect(root).to_contain_text(FAILED_CHECKOUT)
    await open_thread(page, root)
    await expect(in_thread(page).filter(has_text="Snooze ended")).to_have_count(2)  # the card and a reply


async def test_it_is_resolved_with_a_reason_and_reopened_by_another(page: Page, root: Locator) -> None:
    await press_button(root, "Acknowledge")
    await expect(root).to_contain_text(re.compile(r"Acknowledged: [^()]+ \(checkout, "))
    await press_button(root, "Resolve…")
    modal = page.get_by_test_id("modal")
    await modal.get_by_role("combobox").select_option(label="Test bug")
    await modal.get_by_role("textbox").fill("The selector had changed.")
    await take_screenshot(page, "resolve")
    await page.get_by_test_id("modal-submit").click()
    await expect(root).to_contain_text(re.compile(r"Resolved: [^()]+ \(checkout, "))
    await expect(root).to_contain_text("Test bug")
    await expect(root.get_by_role("button", name="Acknowledge")).to_have_count(0)
    await switch_user(page, BEN)
    await press_button(root, "Reopen")
    await expect(root).to_contain_text(FAILED_CHECKOUT)
    await open_thread(page, root)
    await expect(in_thread(page).filter(has_text="ana resolved this: Test bug")).to_have_count(1)
    await expect(in_thread(page).last).to_contain_text("ben reopened this")


async def test_who_was_slower_is_told_what_happened_and_may_insist(
    page: Page, simulator: SimulatorServer, root: Locator, browser: Browser
) -> None:
    await switch_user(page, BEN)
    await choose_option(page, root, "Resolve…")
    modal = page.get_by_test_id("modal")
    await modal.get_by_role("combobox").select_option(label="Flaky")
    async with open_page(browser, simulator.url) as other:
        hers = in_channel(other, await message_id(root))
        await press_button(hers, "Acknowledge")
        await expect(hers).to_contain_text(re.compile(r"Acknowledged: [^()]+ \(checkout, "))
    await page.get_by_test_id("modal-submit").click()
    told = private_answer(page, "Nothing changed")
    await expect(told).to_contain_text(re.compile("Acknowledged by ana .* ago"))
    await expect(root).to_contain_text(re.compile(r"Acknowledged: [^()]+ \(checkout, "))
    await open_thread(page, root)
    await expect(in_thread(page).last).to_contain_text("ana acknowledged this")
    await root.scroll_into_view_if_needed()
    await page.mouse.move(5, 5)
    await take_screenshot(page, "stale")
    await press_button(told, "Do it anyway")
    await expect(root).to_contain_text(re.compile(r"Resolved: [^()]+ \(checkout, "))
    await expect(root).to_contain_text("Flaky")  # what was filled in is not asked for again


async def message_id(root: Locator) -> str:
    """The id of the run that a card is about."""
    [found] = re.findall(r"run_[0-9a-f]+", (await root.inner_text()))[:1]
    return str(found)


async def test_whoever_is_on_call_is_called_by_hand(page: Page, root: Locator) -> None:
    await choose_option(page, root, "Escalate now")
    await open_thread(page, root)
    called = in_thread(page).filter(has_text="ana escalated this")
    await expect(called).to_have_count(1)
    await expect(called.locator(".mention")).to_have_text("@oncall-checkout")


async def test_where_nobody_answers_the_clock_calls_and_why_it_came_is_explained(page: Page, root: Locator) -> None:
    await page.get_by_test_id("panel-tab-clock").click()
    await page.get_by_test_id("clock-15m").click()
    await page.get_by_test_id("clock-15m").click()
    await open_thread(page, root)
    called = in_thread(page).filter(has_text="Not acknowledged since")
    await expect(called).to_have_count(1)
    await expect(called.locator(".mention")).to_have_text("@oncall-checkout")
    await page.mouse.move(5, 5)
    await take_screenshot(page, "escalated")
    await choose_option(page, root, "Why was this posted?")
    told = private_answer(page, "was posted here")
    await expect(told).to_contain_text("matched, posted")
    await expect(told.get_by_role("link", name="View message")).to_be_visible()
    await page.mouse.move(5, 5)
    await take_screenshot(page, "why")


async def test_failed_cases_run_again_and_the_recovery_comes_back(page: Page, root: Locator) -> None:
    await choose_option(page, root, "Re-run failed cases")
    await press_button(private_answer(page, "Re-run the failed cases"), "Re-run failed cases")
    await expect(root).to_contain_text(re.compile(r"Recovered: [^()]+ \(checkout, "))
    await open_thread(page, root)
    await expect(in_thread(page).filter(has_text="started a re-run of the failed cases")).to_have_count(1)
    await expect(in_thread(page).filter(has_text="Recovered after")).to_have_count(1)
    await page.mouse.move(5, 5)
    await take_screenshot(page, "rerun")


async def test_a_guest_may_look_and_not_touch(page: Page, simulator: SimulatorServer) -> None:
    run = await end_run(page, simulator, "failure", "production")
    await switch_user(page, GUEST, "checkout")
    root = in_channel(page, re.compile(rf"Failed: .*|{run}")).last
    await expect(root.get_by_role("button", name="Acknowledge")).to_be_visible()
    await press_button(root, "Acknowledge")
    await expect(private_answer(page, "guest")).to_be_visible()
    await expect(root).to_contain_text("Failed: ")
    await take_screenshot(page, "guest")


async def test_the_shortcut_on_an_alert_opens_the_same_choices(page: Page, root: Locator) -> None:
    await root.hover()
    await root.get_by_test_id("shortcut-zof_triage").click()
    modal = page.get_by_test_id("modal")
    await expect(modal).to_contain_text("Action")
    await modal.get_by_label("Resolve…").check()
    await page.get_by_test_id("modal-submit").click()
    await expect(modal).to_contain_text("Why")
    await modal.get_by_role("combobox").select_option(label="Environment")
    await page.get_by_test_id("modal-submit").click()
    await expect(root).to_contain_text(re.compile(r"Resolved: [^()]+ \(checkout, "))


async def test_words_in_the_thread_and_the_rounds(page: Page, root: Locator) -> None:
    await open_thread(page, root)
    composer = page.get_by_test_id("thread-composer")
    await composer.fill("<@U0ZOFBOT> snooze 2h")
    await composer.press("Escape")
    await composer.press("Enter")
    await expect(root).to_contain_text(re.compile(r"Snoozed: [^()]+ \(checkout, "))
    await type_in(page, "/zof triage")
    await expect(private_answer(page, "in this channel")).to_contain_text("Oldest first")
    await take_screenshot(page, "open")
    await type_in(page, "/zof oncall")
    await expect(private_answer(page, "Escalation policy")).to_contain_text("@oncall-checkout (ana, ben)")
    await type_in(page, "/zof handover 2h")
    await expect(in_channel(page, "Handover: ").last).to_contain_text("Requested by ana")


async def resolve(page: Page, card: Locator, reason: str) -> None:
    await choose_option(page, card, "Resolve…")
    await page.get_by_test_id("modal").get_by_role("combobox").select_option(label=reason)
    await page.get_by_test_id("modal-submit").click()
    await expect(card).to_contain_text(re.compile(r"Resolved: [^()]+ \(checkout, "))


async def test_what_was_resolved_and_fails_again_is_new_and_a_storm_is_acknowledged_as_one(browser: Browser) -> None:
    async with open_demo() as simulator, open_page(browser, simulator.url) as page:
        await resolve(page, in_channel(page, await end_run(page, simulator, "failures")), "Test bug")
        again = in_channel(page, await end_run(page, simulator, "failures"))  # the same 12 cases
        await expect(again).to_contain_text(re.compile(r"Failing again: [^()]+ \(checkout, "))
        await expect(again).to_contain_text(re.compile("after ana resolved it .*: Test bug"))
        await take_screenshot(page, "regression")
        await end_storm(page, simulator)
        storm = in_channel(page, re.compile("Storm: |Storm over: "))
        async with fast_clock(simulator):
            await press_button(storm, "Acknowledge")
            await expect(storm).to_contain_text("Acknowledged by ana")
            member = in_channel(page, "Part of a storm").last
            await expect(member).to_contain_text("Acknowledged by ana")
            await expect(in_channel(page, re.compile(r"Resolved: [^()]+ \(checkout, "))).to_have_count(
                1
            )  # not opened by it
            await type_in(page, "/zof triage")
            await expect(private_answer(page, "in this channel")).to_contain_text(re.compile("ana .*in a storm"))
        await take_screenshot(page, "storm-acknowledged")
