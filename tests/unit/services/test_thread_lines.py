"""Which message an undo changes: the line of its action in the failure's own thread, if it is known."""

from __future__ import annotations

import pytest

from tests.unit.services.test_triage import KEY, ChannelBench, channel_bench
from zofbot.alerting.state import triage_hash
from zofbot.triage import Action


async def replace_line(made: ChannelBench, line: str) -> None:
    """Store the record with another line, as an earlier version or a storm does."""
    record = (await made.current_failure()).present.model_copy(update={"line": line})
    changes = {triage_hash("C1"): {KEY: record.model_dump_json(exclude_defaults=True)}}
    await made.outbox.commit([], changes=changes)


@pytest.mark.parametrize("line", ["", "act:1:storm:1:C1"])
async def test_an_undo_without_a_line_of_its_own_is_posted(line: str) -> None:
    async with channel_bench() as made:
        await made.press_action(made.make_request(Action.ACKNOWLEDGE, 0, 0.0), "")
        await replace_line(made, line)
        await made.press_action(made.make_request(Action.UNDO, 0, 0.0), "")
        await made.deliver_due(all_of_it=True)
        assert f"act:2:{KEY}" in made.wall.posted
        assert "undid the last action" in made.wall.shown[f"act:2:{KEY}"].text
        assert "undid" not in made.wall.shown[f"act:1:{KEY}"].text


async def test_an_undo_changes_its_line_once_that_is_posted() -> None:
    async with channel_bench() as made:
        await made.press_action(made.make_request(Action.ACKNOWLEDGE, 0, 0.0), "")
        await made.press_action(made.make_request(Action.UNDO, 1, 0.0), "")
        await made.deliver_due(all_of_it=True)
        assert f"act:2:{KEY}" not in made.wall.posted
        assert "Ana acknowledged this · ↩️ Ben<!date" in made.wall.shown[f"act:1:{KEY}"].text
