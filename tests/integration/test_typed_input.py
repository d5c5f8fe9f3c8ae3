"""What people type in Slack is read as they meant it: over signed HTTP, with what Slack makes of it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest

from tests.support.bot import RunningBot, running_bot, text_of, wait_for_first_poll, wait_until
from zofbot.diagnostics.runner import run_checks
from zofbot.simulator.slack.model import PostedMessage, User

CASE = 'test_login[chrome-en] says “hi”,  5" tablet'
"""A name as test runners make them: brackets, curly quotes, a comma, two spaces, a quote."""


@pytest.fixture
async def working_bot(store_url: str) -> AsyncIterator[RunningBot]:
    async with running_bot(store_url, workers=True, zofbot_poll_interval=1) as built:
        await wait_for_first_poll(built)
        yield built


async def wait_for_reply(built: RunningBot, words: str) -> PostedMessage:
    await wait_until(lambda: any(words in text_of(message) for message in built.private_messages()))
    return next(message for message in reversed(built.private_messages()) if words in text_of(message))


def count_requests(built: RunningBot, path: str) -> int:
    return sum(call.path.startswith(path) for call in built.world.zof.calls)


async def test_what_slack_links_is_subscribed_as_it_was_typed(bot: RunningBot) -> None:
    answer = await bot.answer_text("/zof subscribe project:shop.example.com,qa@example.com case:“Cart  total” env:a&b")
    assert "project:shop.example.com,qa@example.com" in answer
    assert 'case:\\"Cart total\\"' in answer.replace('\\\\"', '\\"')
    assert "env:a&amp;b" in answer
    assert "\u200b" not in str(bot.private_messages()[-1].blocks), "what stands on the card can be copied back"


async def test_a_case_with_brackets_and_quotes_is_told_to_whoever_types_its_name(working_bot: RunningBot) -> None:
    typed = CASE.replace('"', '\\"').replace("“", "\\“").replace("”", "\\”")
    await working_bot.answer_text(f'/zof subscribe case:"{typed}"')
    zof = working_bot.world.zof
    run = zof.start_run({"project_id": "proj_checkout", "environment": "staging", "test_case_ids": []})
    zof.add_result(run["id"], status="failed", name=CASE, failure_summary="no")
    zof.finish_run(run["id"])
    await wait_until(
        lambda: any((message.idempotency_key or "").startswith("run:") for message in working_bot.world.slack.ledger)
    )


async def test_runs_takes_lists_globs_exclusions_and_repeats(bot: RunningBot) -> None:
    answer = await bot.answer_text("/zof runs status:failed,error project:check* project:search env:-production")
    assert "Latest runs (status:failed,error project:check*,search env:-production)" in answer
    assert "staging" in answer
    assert "production ·" not in answer
    refused = await bot.answer_text("/zof runs status:faild")
    assert "Did you mean `status:failed`? Use one of `passed`, `failed`" in refused
    assert "Filters are `status:`, `project:` and `env:`." in await bot.answer_text("/zof runs branch:main")


@pytest.mark.parametrize("typed", ["ack", "list", "result --all", "latest"])
async def test_a_word_that_is_no_id_never_reaches_zof(bot: RunningBot, typed: str) -> None:
    before = len(bot.world.zof.calls)
    await bot.answer_text(f"/zof {typed}")
    assert len(bot.world.zof.calls) == before


async def test_help_is_what_it_is_elsewhere(bot: RunningBot) -> None:
    assert "subscribe [filters]" in await bot.answer_text("/zof --help")
    assert "alert's thread" in await bot.answer_text("/zof ack")
    assert "`ack` works only in an alert's thread" in await bot.answer_text("/zof `ack`")


async def test_a_link_to_a_run_is_as_good_as_its_id(bot: RunningBot) -> None:
    run = next(iter(bot.world.zof.runs))
    shown = f"Run `{run}`"
    assert shown in await bot.answer_text(f"/zof https://console.example/acme/runs/{run}")
    assert shown in await bot.answer_text(f"/zof run app.zof.ai/runs/{run}")
    assert shown in await bot.answer_text(f"/zof run \u200b{run}\u2060")


async def test_an_id_of_the_other_kind_is_answered_with_the_right_command(bot: RunningBot) -> None:
    assert "That's a result ID. Try `/zof result res_nope`." in await bot.answer_text("/zof run res_nope")
    assert "That's a run ID. Try `/zof run run_nope`." in await bot.answer_text("/zof result run_nope")
    assert "Zof has no result" in await bot.answer_text("/zof why res_nope")


async def test_a_filter_that_stands_twice_is_refused(bot: RunningBot) -> None:
    assert "is given twice" in await bot.answer_text("/zof subscribe quiet:22:00-07:00 quiet:12:00-13:00")


async def test_a_subscription_that_means_nothing_says_what_it_may_have_meant(bot: RunningBot) -> None:
    await bot.answer_text("/zof subscribe project:chekout")
    told = text_of(await wait_for_reply(bot, "would have posted nothing"))
    assert "No project named `chekout`; did you mean `checkout`?" in told
    assert "`project:` excluded all " in told
    assert "`/zof subscriptions` edits or removes it." in told
    assert count_requests(bot, "/projects") == 1
    await bot.answer_text("/zof subscribe project:checkout env:prodution")
    assert "did you mean `production`?" in text_of(await wait_for_reply(bot, "environment `prodution`"))


async def test_a_key_that_may_not_list_projects_is_named_and_recent_runs_do(bot: RunningBot) -> None:
    bot.world.zof.faults.set_fault("403", only="/projects")
    await bot.answer_text("/zof subscribe project:chekout")
    told = text_of(await wait_for_reply(bot, "would have posted nothing"))
    assert "No recent run of project `chekout`; did you mean `checkout`?" in told
    assert "`projects:read`" in told


async def test_the_check_finds_whom_nobody_can_notify_any_more(bot: RunningBot) -> None:
    slack = bot.world.slack
    await bot.answer_text("/zof subscribe mention:@ben,@chioma,@oncall-checkout")
    slack.users["U0BEN"].deleted = True
    del slack.groups["S0ONCALL"]
    found = {each.about.rpartition(": ")[2]: each for each in await run_checks(bot.settings, bot.world.clock)}
    assert "deactivated" in found["U0BEN"].what
    assert "no user group" in found["S0ONCALL"].what
    assert "of C0QA" in found["S0ONCALL"].about
    assert "U0CHIOMA" not in found


async def test_a_group_is_mentioned_by_its_handle_and_who_is_gone_is_refused(bot: RunningBot) -> None:
    slack = bot.world.slack
    slack.should_escape = False  # as it is where a handle was typed and not chosen from Slack's list
    assert "@oncall-checkout" in await bot.answer_text("/zof subscribe mention:@OnCall-Checkout env:a")
    assert "Did you mean `@oncall-checkout`?" in await bot.answer_text("/zof subscribe mention:@oncall-chekout env:b")
    slack.users["U0GONE"] = User("U0GONE", "zoe", "Zoe Gone", "Europe/Berlin", deleted=True)
    assert "The account of zoe is deactivated." in await bot.answer_text("/zof subscribe mention:<@U0GONE>")
    assert "nobody with the id `U0NOBODY`" in await bot.answer_text("/zof subscribe mention:<@U0NOBODY>")
    assert "no user group `S0NONE`" in await bot.answer_text("/zof subscribe escalate:1h30m-><!subteam^S0NONE>")


async def test_the_answer_can_be_copied_into_another_channel(bot: RunningBot) -> None:
    slack = bot.world.slack
    slack.should_escape, slack.users["U0ANA"].name = False, "Ana Keller"
    await bot.answer_text("/zof subscribe mention:<@U0ANA>,<!subteam^S0ONCALL> escalate:1h30m-><@U0BEN> env:x")
    listed = await bot.answer_text("/zof subscriptions")
    copied = 'env:x mention:"@Ana Keller",@oncall-checkout escalate:90m->@ben'
    assert json.dumps(copied)[1:-1].replace(">", "&gt;") in listed
    assert "already has that subscription" in await bot.answer_text(f"/zof subscribe {copied}")
