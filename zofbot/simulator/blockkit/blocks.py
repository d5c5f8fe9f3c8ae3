"""Validation of blocks: every documented limit of Block Kit.

Limits: https://docs.slack.dev/reference/block-kit/blocks . A block this module does not know is refused, so that a
newer one is added here before the bot relies on it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from zofbot.simulator.blockkit.charts import CHART, MAX_CHARTS, MAX_TITLE_CHARACTERS
from zofbot.simulator.blockkit.elements import (
    ACTIONS_ELEMENT,
    CONTEXT_ELEMENT,
    INPUT_ELEMENT,
    SECTION_ELEMENT,
    plain_text_rule,
    text_rule,
)
from zofbot.simulator.blockkit.rich_text import RICH_TEXT
from zofbot.simulator.blockkit.rules import (
    ObjectRule,
    Rule,
    check_boolean,
    check_nothing,
    format_problem,
    integer_rule,
    list_rule,
    string_rule,
    typed_rule,
    url_rule,
)
from zofbot.simulator.blockkit.tables import MAX_TABLE_CHARACTERS, TABLE_FIELDS, count_characters

Surface = Literal["message", "modal", "home"]

MAX_BLOCKS: Mapping[Surface, int] = {"message": 50, "modal": 100, "home": 100}
MAX_MARKDOWN_CHARACTERS = 12_000
MAX_TEXT_CHARACTERS = 11_000
"""Maximum characters in all texts of a message's blocks.

Undocumented: 13,200 were measured (https://github.com/slackapi/bolt-js/issues/2509,
https://github.com/metabase/metabase/pull/79908), but 11,341 were refused
(https://github.com/slackapi/bolt-js/issues/2867).
"""


def _check_action_ids(value: Any, where: str) -> Iterator[str]:
    """Require unique action_ids within a block."""
    elements = value.get("elements")
    seen: set[str] = set()
    for index, element in enumerate(elements if isinstance(elements, list) else []):
        action_id = element.get("action_id") if isinstance(element, dict) else None
        if action_id in seen:
            yield format_problem(
                f"{where}/elements/{index}/action_id", f"action_id already exists in this block: {action_id}"
            )
        if isinstance(action_id, str):
            seen.add(action_id)


def _check_section(value: Any, where: str) -> Iterator[str]:
    """Require fields in a section without text."""
    if "text" not in value and "fields" not in value:
        yield format_problem(where, "either text or fields is required")


def _block_rule(
    needs: Mapping[str, Rule], may: Mapping[str, Rule] | None = None, also: Rule = check_nothing
) -> ObjectRule:
    return ObjectRule(needs, {"block_id": string_rule(255), **(may or {})}, also)


_COMMON_BLOCKS: dict[str, Rule] = {
    "actions": _block_rule({"elements": list_rule(ACTIONS_ELEMENT, 25)}, also=_check_action_ids),
    "context": _block_rule({"elements": list_rule(CONTEXT_ELEMENT, 10)}),
    "divider": _block_rule({}),
    "header": _block_rule({"text": plain_text_rule(150)}),
    "image": _block_rule({"image_url": url_rule(), "alt_text": string_rule(2000)}, {"title": plain_text_rule(2000)}),
    "rich_text": _block_rule({"elements": list_rule(RICH_TEXT, 100)}),
    "section": _block_rule(
        {},
        {
            "text": text_rule(3000),
            "fields": list_rule(text_rule(2000), 10),
            "accessory": SECTION_ELEMENT,
            "expand": check_boolean,
        },
        also=_check_section,
    ),
}
_MESSAGE_BLOCKS: dict[str, Rule] = {
    "data_visualization": _block_rule({"title": string_rule(MAX_TITLE_CHARACTERS), "chart": CHART}),
    "markdown": _block_rule({"text": string_rule(MAX_MARKDOWN_CHARACTERS)}),
    "table": _block_rule(*TABLE_FIELDS),
}
_MODAL_BLOCKS: dict[str, Rule] = {
    "input": _block_rule(
        {"label": plain_text_rule(2000), "element": INPUT_ELEMENT},
        {"hint": plain_text_rule(2000), "optional": check_boolean, "dispatch_action": check_boolean},
    ),
}
_BLOCK_RULES: Mapping[Surface, Rule] = {
    "message": typed_rule({**_COMMON_BLOCKS, **_MESSAGE_BLOCKS}, "block in a message"),
    "modal": typed_rule({**_COMMON_BLOCKS, **_MODAL_BLOCKS}, "block in a modal"),
    "home": typed_rule(_COMMON_BLOCKS, "block in App Home"),
}


def _check_unique_ids(blocks: list[tuple[str, Any]]) -> Iterator[str]:
    seen: set[str] = set()
    for where, block in blocks:
        block_id = block.get("block_id") if isinstance(block, dict) else None
        if block_id in seen:
            yield format_problem(f"{where}/block_id", f"block_id already exists: {block_id}")
        if isinstance(block_id, str):
            seen.add(block_id)


def _with_pointers(blocks: Any, where: str) -> list[tuple[str, Any]]:
    return [(f"{where}/{index}", block) for index, block in enumerate(blocks)] if isinstance(blocks, list) else []


def _blocks_of_type(blocks: list[tuple[str, Any]], kind: str) -> list[tuple[str, Mapping[str, Any]]]:
    return [(where, block) for where, block in blocks if isinstance(block, dict) and block.get("type") == kind]


_FIELD = ObjectRule(may={"title": string_rule(3000), "value": string_rule(3000), "short": check_boolean})
_ATTACHMENT_TEXTS = ("fallback", "text", "pretext", "title", "footer", "author_name")
_ATTACHMENT = ObjectRule(
    may={
        **{name: string_rule(4000) for name in _ATTACHMENT_TEXTS},
        "color": string_rule(20),
        "title_link": url_rule(),
        "fields": list_rule(_FIELD, 100),
        "mrkdwn_in": list_rule(string_rule(20), 10),
        "blocks": list_rule(_BLOCK_RULES["message"], MAX_BLOCKS["message"]),
        "ts": integer_rule(0, 10**10),
    }
)


def _check_message(payload: Mapping[str, Any]) -> Iterator[str]:
    attachments = payload.get("attachments") or []
    yield from list_rule(_BLOCK_RULES["message"], MAX_BLOCKS["message"], 0)(payload.get("blocks") or [], "/blocks")
    yield from list_rule(_ATTACHMENT, 100, 0)(attachments, "/attachments")
    placed = _with_pointers(payload.get("blocks"), "/blocks")
    for index, attachment in enumerate(attachments if isinstance(attachments, list) else []):
        if isinstance(attachment, dict):
            placed += _with_pointers(attachment.get("blocks"), f"/attachments/{index}/blocks")
    yield from _check_unique_ids(placed)
    yield from _check_totals(placed)


def _check_totals(placed: list[tuple[str, Any]]) -> Iterator[str]:
    """Check limits over all blocks of a message, including its attachments."""
    if len(placed) > MAX_BLOCKS["message"]:
        yield format_problem("/blocks", f"no more than {MAX_BLOCKS['message']} blocks allowed, attachments included")
    for where, _ in _blocks_of_type(placed, "table")[1:]:
        yield format_problem(where, "only one table allowed")
    if sum(count_characters(table) for _, table in _blocks_of_type(placed, "table")) > MAX_TABLE_CHARACTERS:
        yield format_problem("/blocks", f"tables hold more than {MAX_TABLE_CHARACTERS} characters together")
    for where, _ in _blocks_of_type(placed, "data_visualization")[MAX_CHARTS:]:
        yield format_problem(where, f"no more than {MAX_CHARTS} data_visualization blocks allowed")
    markdown = [block.get("text") for _, block in _blocks_of_type(placed, "markdown")]
    if sum(len(part) for part in markdown if isinstance(part, str)) > MAX_MARKDOWN_CHARACTERS:
        yield format_problem("/blocks", f"markdown blocks hold more than {MAX_MARKDOWN_CHARACTERS} characters together")


def _all_blocks(payload: Mapping[str, Any]) -> Iterator[Any]:
    """Return the blocks of a message and of its attachments."""
    inside = [item.get("blocks") for item in payload.get("attachments") or () if isinstance(item, dict)]
    return itertools.chain.from_iterable(
        blocks for blocks in (payload.get("blocks"), *inside) if isinstance(blocks, list)
    )


def block_types(payload: Mapping[str, Any]) -> set[str]:
    """Return the types of all blocks of a message."""
    return {str(block.get("type")) for block in _all_blocks(payload) if isinstance(block, dict)}


def count_text(payload: Mapping[str, Any]) -> int:
    """Count the characters of all texts in the blocks of a message; links and dates count as they are written."""
    return sum(map(count_characters, _all_blocks(payload)))


def _check_submit(value: Any, where: str) -> Iterator[str]:
    if _blocks_of_type(_with_pointers(value.get("blocks"), ""), "input") and "submit" not in value:
        yield format_problem(f"{where}/submit", "required when the modal has input blocks")


_VIEW_FIELDS: dict[str, Rule] = {
    "private_metadata": string_rule(3000, 0),
    "callback_id": string_rule(255, 0),
    "external_id": string_rule(255, 0),
}
_MODAL = ObjectRule(
    {"title": plain_text_rule(24), "blocks": list_rule(_BLOCK_RULES["modal"], MAX_BLOCKS["modal"], 0)},
    {
        **_VIEW_FIELDS,
        "submit": plain_text_rule(24),
        "close": plain_text_rule(24),
        **dict.fromkeys(("clear_on_close", "notify_on_close", "submit_disabled"), check_boolean),
    },
    _check_submit,
)
_HOME = ObjectRule({"blocks": list_rule(_BLOCK_RULES["home"], MAX_BLOCKS["home"], 0)}, _VIEW_FIELDS)


def _check_view(payload: Mapping[str, Any], surface: Surface) -> Iterator[str]:
    rule = typed_rule({surface: _MODAL if surface == "modal" else _HOME}, "view")
    return itertools.chain(rule(payload, ""), _check_unique_ids(_with_pointers(payload.get("blocks"), "/blocks")))


def find_problems(payload: Mapping[str, Any], surface: Surface) -> list[str]:
    """Return the problems of a message (``blocks``, ``attachments``) or view, one sentence each.

    Empty if Slack would accept it. Each sentence ends with a JSON pointer.
    """
    return list(_check_message(payload) if surface == "message" else _check_view(payload, surface))
