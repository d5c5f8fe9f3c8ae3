"""Quiet hours are those of whoever typed them, and say so wherever they are shown."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.bot import RunningBot, wait_until
from zofbot.simulator.slack.model import View

SHOWN = "quiet:22:00-07:00,sat,sun,Asia/Tokyo"


def text_value(block: str, value: str | None) -> dict[str, Any]:
    return {block: {block: {"type": "plain_text_input", "value": value}}}


@pytest.fixture
def tokyo_bot(bot: RunningBot) -> RunningBot:
    """A bot where Ana lives in Tokyo."""
    bot.world.slack.users["U0ANA"].tz = "Asia/Tokyo"
    return bot


async def test_typed_hours_are_the_typists_and_every_place_shows_their_zone(tokyo_bot: RunningBot) -> None:
    assert SHOWN in await tokyo_bot.answer_text("/zof subscribe project:checkout quiet:22:00-07:00,sat,sun")
    assert SHOWN in await tokyo_bot.answer_text("/zof subscriptions", user="U0BEN")
    await tokyo_bot.simulator.people.open_home("U0ANA")
    await wait_until(lambda: SHOWN in str(tokyo_bot.world.slack.homes.get("U0ANA")))


async def test_a_zone_that_is_given_counts_utc_too(tokyo_bot: RunningBot) -> None:
    assert "quiet:22:00-07:00,UTC" in await tokyo_bot.answer_text("/zof subscribe quiet:22:00-07:00,UTC")


def find_blocks(view: View, block_id: str) -> list[dict[str, Any]]:
    return [block for block in view.payload["blocks"] if block.get("block_id") == block_id]


NIGHTS: dict[str, Any] = {
    "quiet_hours": {
        "quiet_from": {"type": "timepicker", "selected_time": "22:00"},
        "quiet_until": {"type": "timepicker", "selected_time": "07:00"},
    }
}
WEEKENDS: dict[str, Any] = {
    "days": {"days": {"type": "checkboxes", "selected_options": [{"value": "sat"}, {"value": "sun"}]}}
}


async def test_quiet_hours_of_the_short_form_are_in_the_typists_zone(tokyo_bot: RunningBot) -> None:
    await tokyo_bot.type_text("/zof subscribe")
    await wait_until(lambda: bool(tokyo_bot.world.slack.modals.get("U0ANA")))
    view = tokyo_bot.world.slack.modals["U0ANA"][-1]
    await tokyo_bot.simulator.people.submit_view("U0ANA", view.id, NIGHTS)
    assert SHOWN.replace("sat,sun,", "") in await tokyo_bot.answer_text("/zof subscriptions")


async def test_the_form_starts_with_the_typists_zone_and_takes_it_where_the_field_is_empty(
    tokyo_bot: RunningBot,
) -> None:
    await tokyo_bot.type_text("/zof subscribe")
    await wait_until(lambda: bool(tokyo_bot.world.slack.modals.get("U0ANA")))
    view = tokyo_bot.world.slack.modals["U0ANA"][-1]
    [more] = find_blocks(view, "zof_more_options")
    button = more["elements"][0] | {"block_id": more["block_id"]}
    await tokyo_bot.simulator.people.press_element("U0ANA", button, view_id=view.id)
    await wait_until(lambda: bool(find_blocks(view, "zone")))
    assert find_blocks(view, "zone")[0]["element"]["initial_value"] == "Asia/Tokyo"
    await tokyo_bot.simulator.people.submit_view("U0ANA", view.id, NIGHTS | WEEKENDS | text_value("zone", None))
    assert SHOWN in await tokyo_bot.answer_text("/zof subscriptions")


async def test_changing_them_in_the_form_keeps_the_zone_they_were_made_in(tokyo_bot: RunningBot) -> None:
    await tokyo_bot.type_text("/zof subscribe quiet:22:00-07:00,sat,sun")
    await wait_until(
        lambda: any(
            "Subscribed: matching failures will be posted here" in message.text
            for message in tokyo_bot.private_messages()
        )
    )
    [edit] = [
        message
        for message in tokyo_bot.private_messages()
        if "Subscribed: matching failures will be posted here" in message.text
    ]
    tokyo_bot.world.slack.users["U0ANA"].tz = "Europe/Berlin"
    tokyo_bot.world.clock.advance(86400.0)  # Slack is asked anew who she is
    await tokyo_bot.press_button(edit, "zof_edit")
    await wait_until(lambda: bool(tokyo_bot.world.slack.modals.get("U0ANA")))
    view = tokyo_bot.world.slack.modals["U0ANA"][-1]
    await tokyo_bot.simulator.people.submit_view("U0ANA", view.id, text_value("project", "checkout"))
    assert f"project:checkout {SHOWN}" in await tokyo_bot.answer_text("/zof subscriptions")
