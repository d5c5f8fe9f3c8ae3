"""Lists as tables: where a workspace has no tables, the same rows come as they did before."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.bot import RunningBot, text_of, wait_until
from zofbot.simulator.blockkit.blocks import find_problems
from zofbot.simulator.slack.model import PostedMessage


def find_blocks(message: PostedMessage, kind: str) -> list[dict[str, Any]]:
    return [block for block in message.blocks or () if block["type"] == kind]


def row_texts(message: PostedMessage) -> list[list[str]]:
    [table] = find_blocks(message, "table")
    leaves = [[cell["elements"][0]["elements"][0] for cell in row] for row in table["rows"]]
    return [[leaf.get("text") or leaf["fallback"] for leaf in row] for row in leaves]


async def test_runs_are_a_table_with_ids_and_times_and_a_menu_to_view_one(bot: RunningBot) -> None:
    await bot.answer_text("/zof runs")
    listed = bot.private_messages()[-1]
    head, *rows = row_texts(listed)
    assert head == ["ID", "Run", "When", "Project and environment", "Results"]
    assert len(rows) == 10
    assert any(row[0] == "run_2038" and "UTC" in row[2] for row in rows)
    assert "run_2038" in listed.text, "screen readers and older clients get the rows, too"
    [menu] = [item for block in find_blocks(listed, "actions") for item in block["elements"] if "options" in item]
    chosen = next(option for option in menu["options"] if "run_2038" in option["value"])
    picked = {"action_id": menu["action_id"], "type": menu["type"], "selected_option": chosen}
    await bot.simulator.people.press_element("U0ANA", picked, channel=listed.channel, ts=listed.ts)
    await wait_until(lambda: "page 10 lists" in text_of(bot.private_messages()[-1]))


async def test_a_workspace_without_tables_gets_the_rows_as_paragraphs(bot: RunningBot) -> None:
    bot.world.slack.unknown_blocks.add("table")
    await bot.answer_text("/zof runs")
    [listed] = bot.private_messages()
    assert not find_blocks(listed, "table")
    assert len(find_blocks(listed, "section")) == 10
    await bot.press_button(listed, "zof_runs_page")
    await wait_until(lambda: "11 to 20" in text_of(listed))


def cell(text: str) -> dict[str, Any]:
    return {
        "type": "rich_text",
        "elements": [{"type": "rich_text_section", "elements": [{"type": "text", "text": text}]}],
    }


@pytest.mark.parametrize(
    ("rows", "settings", "said"),
    [
        ([[cell("a")]], [None, {"align": "right"}], ""),
        ([[{"type": "raw_number", "value": 3}]], [], "no fewer than 1 items"),
        (
            [[{"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": []}]}]],
            [{}],
            "required field",
        ),
        ([[cell("")]], [{}], "must be more than 0 characters"),
        ([[cell("a")] * 21], [{}], "no more than 20 items"),
        ([[cell("a")]] * 101, [{}], "no more than 100 items"),
        ([[cell("a" * 2999)]] * 4, [{}], "10000 characters"),
        ([[cell("a")]], [{"align": "top"}], "must be one of"),
        ([[{"type": "button"}]], [{}], "unsupported type of cell"),
    ],
)
def test_tables_are_checked_as_slack_does(rows: list[Any], settings: list[Any], said: str) -> None:
    table = {"type": "table", "rows": rows, "column_settings": settings}
    found = find_problems({"text": "a", "blocks": [table]}, "message")
    assert bool(found) == bool(said)
    assert said in json.dumps(found)
    assert find_problems({"type": "home", "blocks": [table]}, "home"), "tables are for messages"
