"""Hostile text through the real door: only the operator's links are links, whichever way the bot speaks."""

from __future__ import annotations

from typing import Any

import pytest
from slack_sdk.errors import SlackApiError

from tests.support.bot import RunningBot, running_bot, text_of, wait_for_first_poll, wait_until
from zofbot.simulator.blockkit.automatic_links import LinkParsing, find_automatic
from zofbot.slack.views.blocks import Message

HOSTILE = "https://evil.example/login www.evil.example ana@evil.example @here #general :wave: `evil.example`"
EVERYTHING = LinkParsing(addresses=True, names=True)


def spoil_result(built: RunningBot, result: str) -> dict[str, Any]:
    record = built.world.zof.results[result]
    record.update({"name": HOSTILE, "environment": HOSTILE, "failure_summary": HOSTILE, "project_name": HOSTILE})
    return record


def automatic_links_found(built: RunningBot) -> list[str]:
    """All that Slack would link by itself in what the bot has said, if it looked for everything."""
    return [
        found
        for channel in built.world.slack.messages.values()
        for message in channel.values()
        if message.user == "U0ZOFBOT"
        for found in find_automatic(
            {"text": message.text, "blocks": message.blocks, "attachments": message.attachments}, EVERYTHING
        )
    ]


async def test_a_private_answer_and_a_shared_card_link_nothing_foreign(bot: RunningBot) -> None:
    spoil_result(bot, "res_4821")
    shown = await bot.answer_text("/zof result res_4821")
    assert "evil.example" in shown, "it is still said, as text"
    await bot.type_text("/zof result res_4821 share")
    await wait_until(lambda: bool(bot.public_messages()))
    assert "https://app.zof.ai/results/res_4821" in text_of(bot.public_messages()[-1])
    assert automatic_links_found(bot) == []


async def test_the_plain_version_of_a_refused_card_links_nothing_foreign(bot: RunningBot) -> None:
    bot.world.slack.takes_blocks = False
    spoil_result(bot, "res_4821")
    await bot.type_text("/zof result res_4821 share")
    await wait_until(lambda: bool(bot.visible_messages()))
    assert automatic_links_found(bot) == []


def fail_run_with_links(built: RunningBot) -> None:
    """Finish a run at Zof now, in which one case failed; all its words are hostile."""
    zof = built.world.zof
    run = zof.start_run({"project_id": "proj_checkout", "environment": HOSTILE, "name": HOSTILE})
    result = zof.add_result(
        run["id"], status="failed", name=HOSTILE, test_case_id="tc_1", failure_summary=f"{HOSTILE}\nand more"
    )
    result["logs_url"] = "https://evil.example/logs"
    zof.finish_run(run["id"])


async def test_an_alert_links_nothing_foreign_and_slack_is_told_to_look_for_nothing(store_url: str) -> None:
    async with running_bot(store_url, workers=True, zofbot_poll_interval=1) as built:
        await built.type_text("/zof subscribe project:*")
        await wait_for_first_poll(built)
        fail_run_with_links(built)
        await wait_until(lambda: "evil.example" in str([text_of(message) for message in built.public_messages()]))
        alert = next(message for message in built.public_messages() if "evil.example" in text_of(message))
        await built.press_button(alert, "zof_triage_acknowledge")
        await wait_until(lambda: any(call.method == "chat.update" for call in built.world.slack.calls))
        await built.app.notifier.post_ephemeral("C0QA", "U0ANA", Message("for your eyes"))
        methods = ("chat.postMessage", "chat.update", "chat.postEphemeral")
        calls = [call for call in built.world.slack.calls if call.method in methods]
        assert {call.method for call in calls} == set(methods)
        assert {call.arguments.get("parse") for call in calls} == {"none"}
        assert automatic_links_found(built) == []


@pytest.mark.parametrize("text", ["see https://evil.example", "evil.example", "hi :wave:"])
async def test_the_pretend_slack_refuses_what_it_would_link(bot: RunningBot, text: str) -> None:
    client = bot.app.notifier.client
    with pytest.raises(SlackApiError, match="automatic_link"):
        await client.api_call("chat.postMessage", json={"channel": "C0QA", "text": text})
