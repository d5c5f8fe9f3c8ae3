"""What Slack refuses to draw goes out in its plain version: in a channel, in private, as a form, and as Home."""

from __future__ import annotations

import json

import pytest

from tests.support.bot import RunningBot, text_of, wait_until
from tests.support.triage import button_of, press_button, raise_alert
from zofbot.simulator.blockkit import blocks

pytestmark = pytest.mark.anyio

WORDS = ["invalid_blocks", "view_too_large"]


async def test_an_alert_in_a_channel_whose_blocks_are_refused_goes_out_as_text(triage_bot: RunningBot) -> None:
    triage_bot.world.slack.takes_blocks = False
    root = await raise_alert(triage_bot)
    assert root.blocks == root.attachments == []
    assert "Case 0" in root.text


async def test_a_private_digest_preview_loses_its_chart_first_and_all_blocks_if_need_be(bot: RunningBot) -> None:
    bot.world.slack.unknown_blocks.add("data_visualization")
    await bot.type_text("/zof digest")
    await wait_until(lambda: len(bot.private_messages()) == 2)
    assert bot.private_messages()[1].blocks
    assert "data_visualization" not in blocks.block_types({"blocks": bot.private_messages()[1].blocks})
    await bot.type_text("/zof digest")
    bot.world.slack.takes_blocks = False
    await wait_until(lambda: len(bot.private_messages()) == 4)
    assert bot.private_messages()[3].blocks == []
    assert "Daily digest" in bot.private_messages()[3].text


@pytest.mark.parametrize("word", WORDS)
async def test_home_goes_out_in_its_plain_version(bot: RunningBot, word: str) -> None:
    bot.world.slack.faults.set_fault(word, 1, "views.publish")
    await bot.simulator.people.open_home("U0ANA")
    await wait_until(lambda: "U0ANA" in bot.world.slack.homes)
    assert "Slack rejected the full view" in json.dumps(bot.world.slack.homes["U0ANA"].payload)


@pytest.mark.parametrize("word", WORDS)
async def test_a_form_that_cannot_be_drawn_says_what_to_type_instead(triage_bot: RunningBot, word: str) -> None:
    root = await raise_alert(triage_bot)
    known = len(triage_bot.private_messages())
    triage_bot.world.slack.faults.set_fault(word, None, "views.open")
    await press_button(triage_bot, "U0ANA", root, button_of(root, "zof_triage_snooze"))
    await wait_until(lambda: len(triage_bot.private_messages()) > known)
    assert "@zofbot snooze 2h" in text_of(triage_bot.private_messages()[-1])
    await triage_bot.type_text("/zof subscribe")
    await wait_until(lambda: len(triage_bot.private_messages()) > known + 1)
    assert "type the filters instead" in text_of(triage_bot.private_messages()[-1])
