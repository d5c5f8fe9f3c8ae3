"""Alerts in the demo, in a real browser: a run ends at Zof, and what becomes of it in Slack is looked at."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser, Page, expect

from tests.support.bot import text_of, wait_until
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
from zofbot.alerting.failure_signature import make_signature
from zofbot.simulator.scenarios import STORM_RUN_COUNT
from zofbot.simulator.server import SimulatorServer
from zofbot.simulator.slack.model import PostedMessage
from zofbot.simulator.zof.state import ZofRecord

pytestmark = needs_browser

NOTHING = {"data": [], "has_more": False, "next_cursor": None}


@pytest.fixture(scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
async def simulator() -> AsyncIterator[SimulatorServer]:
    async with open_demo() as simulator:
        yield simulator


@pytest.fixture
async def alone() -> AsyncIterator[SimulatorServer]:
    """A demo for one test, whose channels may be spoilt."""
    async with open_demo(poll_seconds=1) as simulator:
        yield simulator


@pytest.fixture
async def page(browser: Browser, simulator: SimulatorServer) -> AsyncIterator[Page]:
    async with open_page(browser, simulator.url) as page:
        yield page
    simulator.world.zof.raw.clear()
    simulator.world.zof.webhooks.set_options(on=True, generation="current")


def roots_of_run(simulator: SimulatorServer, run: str) -> list[PostedMessage]:
    return [
        m
        for m in simulator.world.slack.ledger
        if (m.idempotency_key or "").startswith(f"run:{run}:") and m.channel == "C0QA"
    ]


def bad_results(simulator: SimulatorServer, run: str) -> list[ZofRecord]:
    return [item for item in simulator.world.zof.results_of_run(run) if item["status"] != "passed"]


def causes_of_run(simulator: SimulatorServer, run: str) -> set[str]:
    return {make_signature(item["failure_summary"]).id for item in bad_results(simulator, run)}


async def test_a_failing_run_is_told_by_webhook_with_its_cases_in_the_thread(
    page: Page, simulator: SimulatorServer
) -> None:
    simulator.world.zof.raw |= {"/runs": NOTHING, "/results": NOTHING}  # who looks there by itself finds nothing
    await take_screenshot(page, "demo")
    run = await end_run(page, simulator, "failures")
    root = in_channel(page, run)
    await expect(root).to_contain_text("Failed: full suite (checkout, staging)")
    failed, causes = bad_results(simulator, run), causes_of_run(simulator, run)
    errors = sum(item["status"] == "error" for item in failed)
    await expect(root).to_contain_text(re.compile(rf"{12 - errors} failed · ({errors} errored · )?2 passed of 14"))
    await expect(root).to_contain_text(f"of 14 · {len(causes)} causes")
    await expect(page.get_by_test_id("webhook-last")).to_contain_text("answered 200")
    async with fast_clock(simulator):
        await expect(root.get_by_test_id("thread-summary")).to_contain_text(f"{len(causes)} replies")
    await root.get_by_test_id("thread-summary").click()
    await expect(in_thread(page)).to_have_count(1 + len(causes))
    await expect(in_thread(page).nth(1)).to_contain_text("with the same cause")
    await expect(in_thread(page).nth(1)).to_contain_text(
        re.compile("|".join(re.escape(item["name"]) for item in failed))
    )
    await expect(root).to_have_count(1)
    await in_thread(page).nth(1).evaluate("reply => reply.scrollIntoView()")
    await page.mouse.move(5, 5)  # what the pointer rests on is lit up
    await take_screenshot(page, "alert")


async def test_an_older_webhook_is_understood_as_well(page: Page, simulator: SimulatorServer) -> None:
    simulator.world.zof.raw |= {"/runs": NOTHING, "/results": NOTHING}
    await page.get_by_test_id("webhook-older").check()
    await expect(page.get_by_test_id("webhook-older")).to_be_checked()
    run = await end_run(page, simulator, "failure")
    await expect(in_channel(page, run)).to_contain_text(re.compile(r"Failed: [^()]+ \(checkout, "))
    assert simulator.world.zof.webhooks.sent[-1].status == 200
    async with fast_clock(simulator):
        await expect(in_channel(page, run).get_by_test_id("thread-summary")).to_contain_text("1 reply")


async def test_with_the_webhook_off_the_bot_finds_out_by_itself(page: Page, simulator: SimulatorServer) -> None:
    await page.get_by_test_id("webhook-on").uncheck()
    await expect(page.get_by_text("zofbot polls Zof every")).to_be_visible()
    delivered = len(simulator.world.zof.webhooks.sent)
    run = await end_run(page, simulator, "error")
    await expect(in_channel(page, run)).to_contain_text(re.compile(r"Error: [^()]+ \(checkout, "))
    await expect(in_channel(page, run)).to_contain_text("The platform failed, not necessarily the product")
    assert len(simulator.world.zof.webhooks.sent) == delivered
    await take_screenshot(page, "alert-error")
    replies = re.compile(rf"\b{len(causes_of_run(simulator, run))} repl(y|ies)")
    async with fast_clock(simulator):  # a reply posted later would take a fault that is meant for the next test
        await expect(in_channel(page, run).get_by_test_id("thread-summary")).to_contain_text(replies)


@pytest.mark.parametrize("fault", ["429", "store_then_cut", "cut", "500"])
async def test_whatever_slack_answers_it_is_told_once(page: Page, simulator: SimulatorServer, fault: str) -> None:
    await page.get_by_test_id("panel-tab-faults").click()
    await page.get_by_test_id("times-slack-3").check()
    await page.get_by_test_id(f"fault-slack-{fault}").check()
    await expect(page.get_by_test_id("health")).to_contain_text("3 more calls")
    run = await end_run(page, simulator, "failure")
    async with fast_clock(simulator):
        await expect(in_channel(page, run).get_by_test_id("thread-summary")).to_contain_text("1 reply")
    assert simulator.world.slack.faults.current == "none", "all three calls were hit"
    await expect(in_channel(page, run)).to_have_count(1)
    assert len(roots_of_run(simulator, run)) == 1
    assert simulator.world.slack.duplicate_keys() == []


async def test_what_passes_again_is_marked_as_recovered(page: Page, simulator: SimulatorServer) -> None:
    run = await end_run(page, simulator, "failure", "nightly")
    root = in_channel(page, run)
    async with fast_clock(simulator):
        await expect(root).to_contain_text(re.compile(r"Failed: [^()]+ \(checkout, "))
        await expect(root.get_by_test_id("thread-summary")).to_contain_text("1 reply")
        await end_run(page, simulator, "pass", "nightly")
        await expect(root).to_contain_text(re.compile(r"Recovered: [^()]+ \(checkout, "))
        await expect(root.get_by_test_id("thread-summary")).to_contain_text("2 replies")
    await expect(root).to_contain_text("(edited)")
    await root.get_by_test_id("thread-summary").click()
    await expect(in_thread(page).last).to_contain_text("Recovered")
    await page.mouse.move(5, 5)
    await take_screenshot(page, "recovered")


async def test_time_moves_on_and_the_bot_with_it(page: Page, simulator: SimulatorServer) -> None:
    await page.get_by_test_id("panel-tab-clock").click()
    before = simulator.world.unix_time()
    await page.get_by_test_id("clock-night").click()
    await expect(page.get_by_test_id("clock")).to_contain_text("11:00 PM")
    await page.get_by_test_id("clock-morning").click()
    await expect(page.get_by_test_id("clock")).to_contain_text("9:00 AM")
    assert simulator.world.unix_time() > before + 9 * 3600
    await take_screenshot(page, "clock")
    await type_in(page, "/zof result res_4821")
    await expect(in_channel(page, "Only visible to you").last).to_contain_text("Voucher can be removed again")
    run = await end_run(page, simulator, "failure")
    await expect(in_channel(page, run)).to_contain_text(re.compile(r"Failed: [^()]+ \(checkout, "))
    await expect(in_channel(page, run)).not_to_contain_text("Delivered late")


async def archive_channel(page: Page) -> None:
    await page.get_by_test_id("panel-tab-faults").click()
    await page.get_by_test_id("archive-channel").select_option("C0QA")
    await page.get_by_test_id("archive").click()


async def test_who_subscribed_an_archived_channel_is_told_in_person(browser: Browser, alone: SimulatorServer) -> None:
    async with open_page(browser, alone.url) as page:
        await archive_channel(page)
        await expect(page.get_by_placeholder("This channel is archived")).to_be_visible()
        run = await end_run(page, alone, "failure")
        await page.get_by_test_id("channel-zofbot").click()
        await page.get_by_test_id("tab-messages").click()
        await expect(in_channel(page, "This channel is archived.")).to_contain_text("Queued alerts will be sent")
        await take_screenshot(page, "archived")
        assert roots_of_run(alone, run) == []


async def test_what_waits_for_an_archived_channel_comes_when_it_is_open_again(
    browser: Browser, alone: SimulatorServer
) -> None:
    async with open_page(browser, alone.url) as page:
        await archive_channel(page)
        run = await end_run(page, alone, "failure")
        await wait_until(lambda: any(message.channel == "D0ANA" for message in alone.world.slack.ledger))
        await archive_channel(page)
        async with fast_clock(alone):
            await expect(in_channel(page, run)).to_have_count(1)
        assert alone.world.slack.duplicate_keys() == []


async def test_a_storm_becomes_one_summary(browser: Browser, alone: SimulatorServer) -> None:
    async with open_page(browser, alone.url) as page:
        runs = await end_storm(page, alone)
        summary = in_channel(page, re.compile("Storm: |Storm over: "))
        async with fast_clock(alone):  # a minute of quiet ends it, which is six seconds here: it may be over at once
            await wait_until(
                lambda: any(
                    (message.idempotency_key or "").startswith("storm:") for message in alone.world.slack.ledger
                )
            )
        await expect(summary).to_be_visible()
        storms = [item for item in alone.world.slack.ledger if (item.idempotency_key or "").startswith("storm:")]
        await wait_until(lambda: "· nightly" in text_of(storms[0]))  # it is edited every ten seconds
        await expect(summary).to_contain_text("· nightly")
        await take_screenshot(page, "storm")
        async with fast_clock(alone):
            await page.get_by_test_id("panel-tab-clock").click()
            await page.get_by_test_id("clock-1m").click()
            await page.get_by_test_id("clock-1m").click()
            await expect(summary).to_contain_text("Storm over: ")
            [counted] = re.findall(r"(\d+) alerts summed up", await summary.inner_text())
            await wait_until(
                lambda: sum(len(roots_of_run(alone, run)) for run in runs) == STORM_RUN_COUNT - int(counted)
            )
        await expect(summary).to_have_count(1)
        await take_screenshot(page, "storm-over")
        critical = [run for run in runs if alone.world.zof.runs[run]["environment"] == "production"]
        assert STORM_RUN_COUNT - len(critical) - 20 <= int(counted) <= STORM_RUN_COUNT - len(critical)
        assert all(len(roots_of_run(alone, run)) == 1 for run in critical), "critical failures stand by themselves"
        assert alone.world.slack.duplicate_keys() == []
