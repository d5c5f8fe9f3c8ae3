"""Menus whose options the bot loads: what Slack sends, and what it takes for an answer."""

from __future__ import annotations

from typing import Any

import pytest
from aiohttp import web

from tests.support.recording_app import RecordingApp
from zofbot.simulator.blockkit import blocks
from zofbot.simulator.blockkit.elements import find_option_problems
from zofbot.simulator.seed import ANA
from zofbot.simulator.server import SimulatorServer
from zofbot.simulator.slack.views_api import open_view

PLAIN = {"type": "plain_text", "text": "x"}
OPTION = {"text": PLAIN, "value": "x"}


def modal_view(**element: Any) -> dict[str, Any]:
    menu = {"type": "multi_external_select", "action_id": "menu", **element}
    block = {"type": "input", "block_id": "menu", "label": PLAIN, "element": menu}
    return {"type": "modal", "title": PLAIN, "submit": PLAIN, "blocks": [block]}


def open_modal(simulator: SimulatorServer, **element: Any) -> str:
    trigger = simulator.world.slack.new_trigger(ANA)
    view: str = open_view(simulator.world.slack, {"trigger_id": trigger, "view": modal_view(**element)})["view"]["id"]
    return view


async def test_what_is_typed_arrives_with_the_view_and_without_a_trigger(
    simulator: SimulatorServer, recording_app: RecordingApp
) -> None:
    recording_app.answers.append(web.json_response({"options": [OPTION]}))
    view = open_modal(simulator, min_query_length=0)
    assert await simulator.people.load_options(ANA, view, "menu", "abc") == [OPTION]
    sent = recording_app.last_payload
    assert (sent["type"], sent["value"], sent["action_id"], sent["block_id"]) == (
        "block_suggestion", "abc", "menu", "menu",
    )  # fmt: skip
    assert (sent["view"]["id"], sent["container"], sent["user"]["id"]) == (view, {"type": "view", "view_id": view}, ANA)
    assert "trigger_id" not in sent


async def test_slack_asks_from_three_characters_on_unless_the_menu_says_otherwise(
    simulator: SimulatorServer, recording_app: RecordingApp
) -> None:
    recording_app.answers.append(web.json_response({"options": [OPTION]}))
    view = open_modal(simulator)
    assert await simulator.people.load_options(ANA, view, "menu", "ab") == []
    assert not recording_app.requests
    assert await simulator.people.load_options(ANA, view, "menu", "abc") == [OPTION]


@pytest.mark.parametrize(
    "answer",
    [
        {"options": [OPTION | {"value": str(number)} for number in range(101)]},
        {"options": [{"text": {"type": "mrkdwn", "text": "x"}, "value": "x"}]},
        {"options": [OPTION | {"text": PLAIN | {"text": "x" * 76}}]},
        {"options": [OPTION | {"value": "x" * 151}]},
        {"options": [OPTION, OPTION]},
        {"options": [OPTION], "option_groups": []},
        {},
        "",
    ],
)
async def test_a_wrong_answer_is_a_menu_that_could_not_load(
    simulator: SimulatorServer, recording_app: RecordingApp, answer: Any
) -> None:
    recording_app.answers.append(web.json_response(answer))
    with pytest.raises(ValueError, match="Could not load options"):
        await simulator.people.load_options(ANA, open_modal(simulator, min_query_length=0), "menu")


def test_no_options_and_groups_of_them_are_fine() -> None:
    assert find_option_problems({"options": []}) == []
    assert find_option_problems({"option_groups": [{"label": PLAIN, "options": [OPTION]}]}) == []


def test_a_menu_may_hold_a_hundred_options_from_the_start() -> None:
    options = [OPTION | {"value": str(number)} for number in range(101)]
    assert blocks.find_problems(modal_view(initial_options=options[:100]), "modal") == []
    assert blocks.find_problems(modal_view(initial_options=options), "modal")
