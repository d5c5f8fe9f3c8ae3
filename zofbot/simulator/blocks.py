"""Whether Slack would take these blocks: every limit of Block Kit that is published, and none forgiven.

Limits: https://docs.slack.dev/reference/block-kit/blocks . A block this module does not know is refused, so that a
newer one is added here before the bot relies on it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from zofbot.simulator.charts import CHART, MOST_CHARTS, TITLE
from zofbot.simulator.elements import IN_ACTIONS, IN_CONTEXT, IN_INPUT, IN_SECTION, plain, text
from zofbot.simulator.richtext import RICH_TEXT
from zofbot.simulator.shape import Rule, Shape, boolean, complaint, many, nothing_more, string, typed, url, whole

Surface = Literal["message", "modal", "home"]

MOST_BLOCKS: Mapping[Surface, int] = {"message": 50, "modal": 100, "home": 100}
MARKDOWN_IN_ALL = 12_000


def _action_ids(value: Any, where: str) -> Iterator[str]:
    """An action_id may stand once in a block."""
    elements = value.get("elements")
    seen: set[str] = set()
    for index, element in enumerate(elements if isinstance(elements, list) else []):
        action_id = element.get("action_id") if isinstance(element, dict) else None
        if action_id in seen:
            yield complaint(
                f"{where}/elements/{index}/action_id", f"action_id already exists in this block: {action_id}"
            )
        if isinstance(action_id, str):
            seen.add(action_id)


def _says_something(value: Any, where: str) -> Iterator[str]:
    """A section without text needs fields."""
    if "text" not in value and "fields" not in value:
        yield complaint(where, "either text or fields is required")


def _block(needs: Mapping[str, Rule], may: Mapping[str, Rule] | None = None, also: Rule = nothing_more) -> Shape:
    return Shape(needs, {"block_id": string(255), **(may or {})}, also)


_RAW = Shape({"text": string(3000)})
_CELL = typed({"raw_text": _RAW, "rich_text": Shape({"elements": many(RICH_TEXT, 100)})}, "cell")
_COLUMN = Shape(may={"align": string(10), "is_wrapped": boolean})

_EVERYWHERE: dict[str, Rule] = {
    "actions": _block({"elements": many(IN_ACTIONS, 25)}, also=_action_ids),
    "context": _block({"elements": many(IN_CONTEXT, 10)}),
    "divider": _block({}),
    "header": _block({"text": plain(150)}),
    "image": _block({"image_url": url(), "alt_text": string(2000)}, {"title": plain(2000)}),
    "rich_text": _block({"elements": many(RICH_TEXT, 100)}),
    "section": _block(
        {},
        {"text": text(3000), "fields": many(text(2000), 10), "accessory": IN_SECTION, "expand": boolean},
        also=_says_something,
    ),
}
_IN_MESSAGES: dict[str, Rule] = {
    "data_visualization": _block({"title": string(TITLE), "chart": CHART}),
    "markdown": _block({"text": string(MARKDOWN_IN_ALL)}),
    "table": _block({"rows": many(many(_CELL, 20), 100)}, {"column_settings": many(_COLUMN, 20)}),
}
_IN_MODALS: dict[str, Rule] = {
    "input": _block(
        {"label": plain(2000), "element": IN_INPUT},
        {"hint": plain(2000), "optional": boolean, "dispatch_action": boolean},
    ),
}
_BLOCKS: Mapping[Surface, Rule] = {
    "message": typed({**_EVERYWHERE, **_IN_MESSAGES}, "block in a message"),
    "modal": typed({**_EVERYWHERE, **_IN_MODALS}, "block in a modal"),
    "home": typed(_EVERYWHERE, "block in App Home"),
}


def _unique_ids(blocks: list[tuple[str, Any]]) -> Iterator[str]:
    seen: set[str] = set()
    for where, block in blocks:
        block_id = block.get("block_id") if isinstance(block, dict) else None
        if block_id in seen:
            yield complaint(f"{where}/block_id", f"block_id already exists: {block_id}")
        if isinstance(block_id, str):
            seen.add(block_id)


def _placed(blocks: Any, where: str) -> list[tuple[str, Any]]:
    return [(f"{where}/{index}", block) for index, block in enumerate(blocks)] if isinstance(blocks, list) else []


def _of_type(blocks: list[tuple[str, Any]], kind: str) -> list[tuple[str, Mapping[str, Any]]]:
    return [(where, block) for where, block in blocks if isinstance(block, dict) and block.get("type") == kind]


_FIELD = Shape(may={"title": string(3000), "value": string(3000), "short": boolean})
_ATTACHMENT_TEXTS = ("fallback", "text", "pretext", "title", "footer", "author_name")
_ATTACHMENT = Shape(
    may={
        **{name: string(4000) for name in _ATTACHMENT_TEXTS},
        "color": string(20),
        "title_link": url(),
        "fields": many(_FIELD, 100),
        "mrkdwn_in": many(string(20), 10),
        "blocks": many(_BLOCKS["message"], MOST_BLOCKS["message"]),
        "ts": whole(0, 10**10),
    }
)


def _message(payload: Mapping[str, Any]) -> Iterator[str]:
    attachments = payload.get("attachments") or []
    yield from many(_BLOCKS["message"], MOST_BLOCKS["message"], 0)(payload.get("blocks") or [], "/blocks")
    yield from many(_ATTACHMENT, 100, 0)(attachments, "/attachments")
    placed = _placed(payload.get("blocks"), "/blocks")
    for index, attachment in enumerate(attachments if isinstance(attachments, list) else []):
        if isinstance(attachment, dict):
            placed += _placed(attachment.get("blocks"), f"/attachments/{index}/blocks")
    yield from _unique_ids(placed)
    yield from _together(placed)


def _together(placed: list[tuple[str, Any]]) -> Iterator[str]:
    """What holds over all blocks of one message, those of its attachments included."""
    if len(placed) > MOST_BLOCKS["message"]:
        yield complaint("/blocks", f"no more than {MOST_BLOCKS['message']} blocks allowed, attachments included")
    for where, _ in _of_type(placed, "table")[1:]:
        yield complaint(where, "only one table allowed")
    for where, _ in _of_type(placed, "data_visualization")[MOST_CHARTS:]:
        yield complaint(where, f"no more than {MOST_CHARTS} data_visualization blocks allowed")
    markdown = [block.get("text") for _, block in _of_type(placed, "markdown")]
    if sum(len(part) for part in markdown if isinstance(part, str)) > MARKDOWN_IN_ALL:
        yield complaint("/blocks", f"markdown blocks hold more than {MARKDOWN_IN_ALL} characters together")


def kinds(payload: Mapping[str, Any]) -> set[str]:
    """The types of all blocks of a message."""
    inside = [one.get("blocks") for one in payload.get("attachments") or () if isinstance(one, dict)]
    return {
        str(block.get("type"))
        for blocks in (payload.get("blocks"), *inside)
        for block in (blocks if isinstance(blocks, list) else ())
        if isinstance(block, dict)
    }


def _submittable(value: Any, where: str) -> Iterator[str]:
    if _of_type(_placed(value.get("blocks"), ""), "input") and "submit" not in value:
        yield complaint(f"{where}/submit", "required when the modal has input blocks")


_VIEW: dict[str, Rule] = {
    "private_metadata": string(3000, 0),
    "callback_id": string(255, 0),
    "external_id": string(255, 0),
}
_MODAL = Shape(
    {"title": plain(24), "blocks": many(_BLOCKS["modal"], MOST_BLOCKS["modal"], 0)},
    {
        **_VIEW,
        "submit": plain(24),
        "close": plain(24),
        **dict.fromkeys(("clear_on_close", "notify_on_close", "submit_disabled"), boolean),
    },
    _submittable,
)
_HOME = Shape({"blocks": many(_BLOCKS["home"], MOST_BLOCKS["home"], 0)}, _VIEW)


def _view(payload: Mapping[str, Any], surface: Surface) -> Iterator[str]:
    rule = typed({surface: _MODAL if surface == "modal" else _HOME}, "view")
    return itertools.chain(rule(payload, ""), _unique_ids(_placed(payload.get("blocks"), "/blocks")))


def problems(payload: Mapping[str, Any], surface: Surface) -> list[str]:
    """What Slack would refuse in this message (``blocks``, ``attachments``) or view, one sentence each.

    Empty when Slack would take it. Each sentence ends with the JSON pointer of the place it is about.
    """
    return list(_message(payload) if surface == "message" else _view(payload, surface))
