"""What Zof publishes is used: projects and schedules, and what is left where the key may not read them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.support.bot import RunningBot, running_bot, text_of, wait_for_first_poll, wait_until
from tests.support.failing_runs import fail_run
from tests.support.metric_values import metric_value
from zofbot.diagnostics import Level, run_checks
from zofbot.simulator.seed import EXAMPLE_RUN
from zofbot.simulator.zof.state import HttpReply, format_time

ANA = "U0ANA"
TITLE = "*Next runs*"


def home_text(bot: RunningBot) -> str:
    home = bot.world.slack.homes.get(ANA)
    return json.dumps(home.payload, ensure_ascii=False) if home else ""


async def open_and_read_home(bot: RunningBot) -> str:
    """Open Home, and wait until Zof has answered."""
    await bot.simulator.people.open_home(ANA)
    await wait_until(lambda: "Runs in 24 h" in home_text(bot) and "Loading" not in home_text(bot))
    return home_text(bot)


def put_schedules(bot: RunningBot, *records: dict[str, Any]) -> None:
    bot.world.zof.schedules = {each["id"]: each for each in records}


def count_requests(bot: RunningBot, path: str) -> int:
    return sum(call.path == path for call in bot.world.zof.calls)


async def test_home_says_what_runs_next_soonest_first_and_leaves_out_what_is_paused(bot: RunningBot) -> None:
    view = await open_and_read_home(bot)
    assert f"{TITLE} (2)" in view
    names = ["Nightly checkout", "Search before breakfast"]
    assert sorted(names, key=view.index) == sorted(names, key=lambda name: time_published(bot, name))
    assert "old catalogue" not in view
    assert " · checkout · staging" in view


def time_published(bot: RunningBot, name: str) -> float:
    """Seconds until a daily schedule of the organization runs."""
    cron = next(each["cron"] for each in bot.world.zof.schedules.values() if each["name"] == name)
    minute, hour = map(int, cron.split()[:2])
    return float((hour * 3600 + minute * 60 - bot.world.unix_time()) % 86400)


async def test_a_schedule_without_a_time_shows_its_cron_line_and_one_that_is_over_promises_nothing(
    bot: RunningBot,
) -> None:
    past = format_time(bot.world.unix_time() - 3600)
    put_schedules(
        bot,
        {"id": "s1", "title": "Weekly <!channel>", "cron_expression": "0 6 * * 1"},
        {"id": "s2", "name": "Over", "cron": "", "next_run_at": past},
    )
    view = await open_and_read_home(bot)
    assert f"{TITLE} (1)" in view
    assert "Weekly &lt;!channel&gt;*: cron `0 6 * * 1`" in view
    assert "Over" not in view


async def test_all_viewers_share_one_listing_of_schedules_for_five_minutes(bot: RunningBot) -> None:
    await open_and_read_home(bot)
    await open_and_read_home(bot)
    assert count_requests(bot, "/schedules") == 1
    bot.world.clock.advance(301)
    put_schedules(bot)
    await bot.simulator.people.open_home(ANA)
    await wait_until(lambda: TITLE not in home_text(bot))


async def test_a_run_names_the_schedule_that_started_it(bot: RunningBot) -> None:
    assert "Schedule Nightly checkout" in await bot.answer_text(f"/zof run {EXAMPLE_RUN}")
    bot.world.zof.runs[EXAMPLE_RUN]["schedule_id"] = "sched_gone"
    assert "Schedule `sched_gone`" in await bot.answer_text(f"/zof run {EXAMPLE_RUN}")
    del bot.world.zof.runs[EXAMPLE_RUN]["schedule_id"]
    assert "Schedule" not in await bot.answer_text(f"/zof run {EXAMPLE_RUN}")


async def test_a_zof_that_is_slow_with_its_schedules_holds_no_card_up(bot: RunningBot) -> None:
    bot.world.zof.faults.delays["slow"] = 60
    bot.world.zof.faults.set_fault("slow", only="/schedules")
    assert "Schedule `sched_nightly`" in await bot.answer_text(f"/zof run {EXAMPLE_RUN}")


async def test_home_says_that_coverage_has_no_api(bot: RunningBot) -> None:
    assert "Coverage, risk and specifications are only in the Zof Console" in await open_and_read_home(bot)


async def test_runs_of_a_project_that_is_none_say_which_may_have_been_meant(bot: RunningBot) -> None:
    said = await bot.answer_text("/zof runs project:chekout,search status:queued")
    assert "No runs match" in said
    assert "No project named `chekout`; did you mean `checkout`?" in said
    assert "No project named" not in await bot.answer_text("/zof runs project:checkout status:queued")
    assert count_requests(bot, "/projects") == 1


# --- a key that may not do everything


@pytest.fixture
async def working_bot(store_url: str) -> AsyncIterator[RunningBot]:
    async with running_bot(store_url, workers=True) as bot:
        yield bot


async def test_a_key_that_may_list_neither_leaves_the_rest_working_and_home_says_what_it_lacks(
    bot: RunningBot,
) -> None:
    bot.world.zof.forbidden = {"projects", "schedules"}
    view = await open_and_read_home(bot)
    assert "may not read the list of projects: it lacks the permission `projects:read`" in view
    assert "may not read the list of schedules." in view, "Zof names no permission for it, so neither do we"
    assert "*Health*: 3 problems" in view, "and nobody polls here"
    assert TITLE not in view
    assert "Schedule `sched_nightly`" in await bot.answer_text(f"/zof run {EXAMPLE_RUN}")


async def test_what_zof_calls_the_permission_is_said(bot: RunningBot) -> None:
    no = {"error": {"code": "forbidden", "message": "Missing permission schedules:read"}}
    bot.world.zof.raw["/schedules"] = HttpReply(403, no)
    assert "it lacks the permission `schedules:read`" in await open_and_read_home(bot)


async def poll_once(bot: RunningBot) -> None:
    """Wait for the next two polls; what one had to say of Zof is left by the next."""
    for _ in range(2):
        wanted = count_requests(bot, "/runs") + 2
        bot.world.clock.advance(70)
        await wait_until(lambda wanted=wanted: count_requests(bot, "/runs") >= wanted)


async def test_a_key_that_may_not_list_results_still_tells_of_failed_runs_and_home_says_so(
    working_bot: RunningBot,
) -> None:
    bot, note = working_bot, "may not read the list of results"
    await wait_for_first_poll(bot)
    await bot.type_text("/zof subscribe project:*")
    bot.world.zof.forbidden = {"results"}
    fail_run(bot)
    await poll_once(bot)
    await wait_until(lambda: "nightly cart" in "".join(map(text_of, bot.public_messages())))
    assert note in await open_and_read_home(bot)
    bot.world.zof.forbidden = set()
    await poll_once(bot)
    await bot.simulator.people.open_home(ANA)
    await wait_until(lambda: note not in home_text(bot))


@pytest.mark.parametrize(("listing", "is_full"), [("results", True), ("runs", False)])
async def test_a_poll_without_the_results_is_a_full_one_and_without_the_runs_is_none(
    working_bot: RunningBot, listing: str, is_full: bool
) -> None:
    """Failures are found through their runs; a key that may not list those cannot be relied on."""
    bot, metric = working_bot, "zofbot_poll_last_success_timestamp_seconds"
    await wait_for_first_poll(bot)
    bot.world.zof.forbidden = {listing}
    await poll_once(bot)
    before = metric_value(bot.app.metrics, metric) or 0.0
    await poll_once(bot)
    assert ((metric_value(bot.app.metrics, metric) or 0.0) > before) is is_full
    await bot.simulator.people.open_home(ANA)
    await wait_until(lambda: f"may not read the list of {listing}" in home_text(bot))


async def test_check_says_which_permission_is_missing(bot: RunningBot) -> None:
    bot.world.zof.forbidden = {"projects", "schedules", "webhooks", "results"}
    found = {each.about: each for each in await run_checks(bot.settings, bot.world.clock)}
    assert found["zof: the list of results"].level is Level.ERROR
    projects = found["zof: the list of projects"]
    assert projects.level is Level.WARNING
    assert "because it lacks projects:read" in projects.what
    assert "recent runs" in projects.fix
    assert found["zof: the list of schedules"].level is Level.WARNING
    webhooks = found["zof: the list of webhooks"]
    assert webhooks.level is Level.OK
    assert "because it lacks webhooks:manage" in webhooks.what
    assert "`zofbot webhook`" in webhooks.what
    assert "the list of runs" in found["ZOF_API_KEY"].what
