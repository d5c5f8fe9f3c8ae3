"""Messages that Slack rejects, or fails to draw, are sent in a plainer form."""

from __future__ import annotations

import pytest

from zofbot.domain.errors import SlackError, SlackRefused, SlackUnknown
from zofbot.slack.fallback import send_or_simplify
from zofbot.slack.views.blocks import Message, section_block, table_block, text_cell

ROWS = Message("rows", [section_block("a row")])
TABLE = Message("rows", [table_block(("ID",), [[text_cell("run_1")]])], instead=ROWS)


async def send_until_accepted(message: Message, *errors: SlackError) -> list[Message]:
    """Send a message to a Slack that answers with these errors first; returns what it got."""
    sent: list[Message] = []

    async def send(shown: Message) -> None:
        sent.append(shown)
        if len(sent) <= len(errors):
            raise errors[len(sent) - 1]

    await send_or_simplify(send, message)
    return sent


@pytest.mark.parametrize("error", [SlackRefused("invalid_blocks", "", ""), SlackUnknown("internal_error", "", "")])
async def test_a_table_that_slack_does_not_draw_is_sent_as_rows(error: SlackError) -> None:
    assert await send_until_accepted(TABLE, error) == [TABLE, ROWS]


async def test_rows_that_are_rejected_too_are_sent_as_text() -> None:
    *_, last = await send_until_accepted(TABLE, *[SlackRefused("invalid_blocks", "", "")] * 2)
    assert not last.has_blocks
    assert last.text.startswith("rows")


async def test_a_message_without_a_newer_block_is_not_sent_twice_after_an_unknown_outcome() -> None:
    with pytest.raises(SlackUnknown):
        await send_until_accepted(ROWS, SlackUnknown("internal_error", "", ""))
