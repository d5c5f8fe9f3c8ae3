"""Plain versions: one table of words, and what they take away."""

from __future__ import annotations

import pytest

from zofbot.domain.errors import SlackRefused
from zofbot.slack.errors import REASONS_BY_HANDLING, RefusalHandling
from zofbot.slack.fallback import plain_modal, send_or_simplify, show_or_simplify
from zofbot.slack.views.blocks import Block, Message, section_block

pytestmark = pytest.mark.anyio

CARD = Message("said", [section_block("drawn")])
TEXT: Block = {"type": "input", "block_id": "words", "optional": True, "element": {"type": "plain_text_input"}}
WHEN: Block = {"type": "input", "block_id": "when", "optional": True, "element": {"type": "datetimepicker"}}
CHART: Block = {"type": "data_visualization"}
FORM: Block = {"type": "modal", "callback_id": "form", "blocks": [section_block("about"), TEXT, WHEN, CHART]}


@pytest.mark.parametrize("word", REASONS_BY_HANDLING[RefusalHandling.PLAIN])
async def test_each_word_of_the_table_brings_the_plain_version(word: str) -> None:
    sent: list[Message] = []

    async def send(message: Message) -> str:
        sent.append(message)
        if message.has_blocks:
            raise SlackRefused(word, "no")
        return "there"

    assert await send_or_simplify(send, CARD, "ref_1") == "there"
    assert "ref_1" in sent[1].text
    assert not sent[1].has_blocks


@pytest.mark.parametrize("word", ["is_archived", "invalid_blocks"])
async def test_what_a_plain_version_does_not_help_against_is_raised(word: str) -> None:
    async def send(message: Message) -> None:
        raise SlackRefused(word, "no")

    with pytest.raises(SlackRefused):
        await send_or_simplify(send, CARD)


async def test_a_form_with_newer_blocks_opens_without_them() -> None:
    shown: list[Block] = []

    async def show(view: Block) -> None:
        shown.append(view)
        if CHART in view["blocks"] or WHEN in view["blocks"]:
            raise SlackRefused("invalid_arguments", "no")

    await show_or_simplify(show, FORM, plain_modal(FORM))
    assert shown[1] == FORM | {"blocks": [section_block("about"), TEXT]}


async def test_a_form_that_is_plain_already_is_not_shown_twice() -> None:
    shown: list[Block] = []

    async def show(view: Block) -> None:
        shown.append(view)
        raise SlackRefused("view_too_large", "no")

    plain = plain_modal(FORM)
    with pytest.raises(SlackRefused):
        await show_or_simplify(show, plain, plain_modal(plain))
    assert len(shown) == 1


def test_a_field_that_has_to_be_filled_in_is_never_left_out() -> None:
    needed = WHEN | {"optional": False}
    assert plain_modal({"blocks": [needed]})["blocks"] == [needed]


def test_a_number_is_typed_as_text_so_that_saving_the_plain_form_keeps_it() -> None:
    field = {"action_id": "after", "initial_value": "3"}
    number = TEXT | {"element": {"type": "number_input", "is_decimal_allowed": False, **field}}
    assert plain_modal({"blocks": [number]})["blocks"] == [number | {"element": {"type": "plain_text_input", **field}}]
