"""The second opinion on payloads can fail: what Slack's models refuse, drop or do not know is a complaint."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.bot import running_bot
from tests.support.second_opinion import UNKNOWN_BLOCKS, SecondOpinion, find_complaints, shape_of
from zofbot.simulator.slack.chat_api import validate_content

PLAIN = {"type": "plain_text", "text": "x"}
SECTION: dict[str, Any] = {"type": "section", "text": {"type": "mrkdwn", "text": "x", "verbatim": True}}


def opinion(*blocks: dict[str, Any]) -> list[str]:
    made = SecondOpinion()
    made({"blocks": list(blocks)}, "message")
    return made.problems


@pytest.mark.parametrize(
    ("block", "said"),
    [
        ({"type": "section", "text": {"type": "mrkdwn", "text": "x" * 3001}}, "3000"),
        ({"type": "section"}, "text or fields"),
        (SECTION | {"colour": "red"}, "unexpected keyword|knows no field colour"),
        ({"type": "header", "text": {"type": "plain_text", "text": "x" * 151}}, "150"),
        ({"type": "actions", "elements": [{"type": "button", "text": PLAIN, "value": "x" * 2001}]}, "2000"),
        (
            {"type": "actions", "elements": [{"type": "button", "text": PLAIN, "action_id": "a", "style": "red"}]},
            "style",
        ),
        ({"type": "actions", "elements": [{"type": "buton", "text": PLAIN}]}, "keeps 0 of 1|buton"),
        ({"type": "sektion", "text": PLAIN}, "no such block"),
        (SECTION | {"accessory": {"type": "button", "text": PLAIN, "action_id": "a", "lable": "x"}}, "lable"),
    ],
)
def test_what_the_models_refuse_or_do_not_know_is_a_complaint(block: dict[str, Any], said: str) -> None:
    [first, *_] = opinion(block)
    assert any(word in first for word in said.split("|")), first


def test_a_view_is_judged_as_its_blocks_are() -> None:
    view = {"type": "modal", "title": {"type": "plain_text", "text": "x" * 25}, "blocks": [SECTION]}
    made = SecondOpinion()
    made(view, "modal")
    assert "title" in made.problems[0]
    made = SecondOpinion()
    made(view | {"title": PLAIN, "blocks": [SECTION, {"type": "section"}]}, "modal")
    assert len(made.problems) == 1


def test_blocks_that_the_models_lack_are_left_to_the_simulator() -> None:
    for kind in UNKNOWN_BLOCKS:
        assert opinion({"type": kind}) == []
    assert opinion({"type": "table", "rows": [[{"type": "raw_text", "text": "x"}]]}) == []


def test_of_one_shape_are_what_the_limits_do_not_tell_apart() -> None:
    def text(number: int) -> dict[str, Any]:
        return {"type": "section", "text": {"type": "mrkdwn", "text": "x" * number}}

    assert shape_of(text(2001)) == shape_of(text(3000))
    assert shape_of(text(3000)) != shape_of(text(3001))
    assert shape_of(SECTION) != shape_of(SECTION | {"expand": True})
    assert list(find_complaints(SECTION)) == []


async def test_a_bot_whose_message_the_models_refuse_fails_its_test(store_url: str) -> None:
    async def show() -> None:
        async with running_bot(store_url) as bot:
            validate_content(bot.world.slack, {"text": "fine", "blocks": [SECTION]})
            bot.world.slack.inspect({"blocks": [SECTION | {"nonsense": 1}]}, "message")

    with pytest.raises(AssertionError, match="nonsense"):
        await show()
