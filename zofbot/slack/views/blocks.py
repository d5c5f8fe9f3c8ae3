"""Messages and Block Kit blocks; the only module that enforces Block Kit's limits.

Limits: https://docs.slack.dev/reference/block-kit/blocks and …/block-elements. Callers pass text that was already
escaped by ``zofbot.notifications.text``; here it is only truncated to what Slack accepts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate
from typing import Any

from zofbot.domain.json_encoding import encode_json
from zofbot.domain.text import count_noun
from zofbot.notifications.text import break_links, clip_text

Block = dict[str, Any]

MAX_BLOCKS = 50

MAX_MESSAGE_TEXT_CHARS = 10_000
"""Characters of all texts in a message's blocks, with links and date tokens in full.

Slack refuses more with ``msg_blocks_too_long``. The limit is undocumented: about 13,200 characters were measured
(https://github.com/slackapi/bolt-js/issues/2509, https://github.com/metabase/metabase/pull/79908), but 11,341 were
refused (https://github.com/slackapi/bolt-js/issues/2867). A ``response_url`` is said to accept more.
"""

MAX_LIST_CHARS = 8_500
"""Characters of the lists in a message, which leave room for its title, small print and buttons."""


@dataclass(frozen=True)
class Message:
    """A message: ``blocks`` on top, and below them ``body`` beside a bar of ``color``.

    ``text`` is a one-line summary for notifications and screen readers. The bar is a Slack attachment, the only element
    with a color; its meaning is always in the text, too.
    """

    text: str
    blocks: list[Block] = field(default_factory=list)
    color: str = ""
    body: list[Block] = field(default_factory=list)
    instead: Message | None = None
    """The message without a block that not every workspace supports, such as a chart or a table."""

    @property
    def has_blocks(self) -> bool:
        """Whether the message has any blocks."""
        return bool(self.blocks or self.body)

    def message_fields(self) -> dict[str, Any]:
        """Return the fields of a message, for any of Slack's methods and for an acknowledgement."""
        above = self.blocks[:MAX_BLOCKS]
        blocks, body = _fit_texts(above, self.body[: MAX_BLOCKS - len(above)])
        sentence = clip_text(break_links(self.text), 3000)
        attachments = [{"color": self.color, "fallback": sentence, "blocks": body}] if body else []
        return {"text": sentence, "blocks": blocks, "attachments": attachments}

    def with_note(self, note: str) -> Message:
        """Return the message with a line of small print below its blocks, and in its text."""
        return replace(self, text=f"{self.text}\n{note}", blocks=[*self.blocks[: MAX_BLOCKS - 1], context_block(note)])

    def without_images(self) -> Message:
        """Return the message without image blocks.

        Slack refuses a whole message if it cannot fetch an image, at times also a reachable one
        (https://github.com/slackapi/python-slack-sdk/issues/1782).
        """
        blocks, body = ([block for block in part if block["type"] != "image"] for part in (self.blocks, self.body))
        return self if (blocks, body) == (self.blocks, self.body) else replace(self, blocks=blocks, body=body)

    def simpler_version(self, reference: str = "") -> Message:
        """Return what to send in place of a message that Slack refuses: without its images, else without blocks."""
        simpler = self.without_images()
        return self.plain_version(reference) if simpler is self else simpler

    def plain_version(self, reference: str = "") -> Message:
        """Return a fallback for a message whose blocks Slack rejects: ``instead``, else three lines without blocks."""
        if self.instead:
            return self.instead
        where = f", reference {reference}" if reference else ""
        return Message(
            f"{clip_text(self.text, 2000)}\n_Slack rejected the full card._\n_The reason is in the log{where}._"
        )


_KEPT_BLOCKS = frozenset({"header", "actions", "context"})
"""Blocks that are short, and that the rest of a message needs."""


def _fit_texts(above: list[Block], body: list[Block]) -> tuple[list[Block], list[Block]]:
    """Return the two parts of a message with at most ``MAX_MESSAGE_TEXT_CHARS`` of text in all.

    Views have to stay below that themselves; this is for what they did not expect. The last lines are left out and
    counted; titles, buttons and small print stay, unless they take half of the room.
    """
    blocks = [*above, *body]
    # Most messages are shorter than that even as JSON, which takes a fifth of the time of counting their texts.
    if len(encode_json(blocks)) <= MAX_MESSAGE_TEXT_CHARS or sum(map(_count_text, blocks)) <= MAX_MESSAGE_TEXT_CHARS:
        return above, body
    room = MAX_MESSAGE_TEXT_CHARS - len(_left_out_text(10**6))
    around = sum(_count_text(block) for block in blocks if block["type"] in _KEPT_BLOCKS)
    kept_types = _KEPT_BLOCKS if around <= room // 2 else frozenset[str]()
    room -= around if kept_types else 0
    sizes = [0 if block["type"] in kept_types else _count_text(block) for block in blocks]
    cut = next(index for index, total in enumerate(accumulate(sizes)) if total > room)
    shortened = _shorten(
        [block for block, size in zip(blocks[cut:], sizes[cut:], strict=True) if size], room - sum(sizes[:cut])
    )

    def fit(start: int, end: int) -> list[Block]:
        return [shortened if at == cut else blocks[at] for at in range(start, end) if at <= cut or not sizes[at]]

    return fit(0, len(above)), fit(len(above), len(blocks))


def _shorten(blocks: Sequence[Block], room: int) -> Block:
    """Return the lines of the first block that fit, if it is a list, and the number of all others."""
    lines = _lines_of(blocks[0]) if _is_list(blocks[0]) else []
    shown = take_fitting(lines, min(room, 2900))
    left_out = sum(len(_lines_of(block)) for block in blocks) - len(shown)
    return section_block("\n".join([*shown, _left_out_text(left_out)]))


def _left_out_text(lines: int) -> str:
    return f"and {count_noun(lines, 'more line')}, too long for one message"


def _is_list(block: Block) -> bool:
    """Whether a part of its lines can be shown."""
    return block["type"] == "section" and "text" in block


def _lines_of(block: Block) -> list[str]:
    return "\n".join(_texts_in(block["text"] if _is_list(block) else block)).split("\n")


def _count_text(block: Block) -> int:
    return sum(map(len, _texts_in(block)))


def _texts_in(node: Any) -> Iterator[str]:
    """Return each ``text`` in a block, as https://github.com/slackapi/bolt-js/issues/2867 counts them."""
    if isinstance(node, dict):
        if isinstance(node.get("text"), str):
            yield node["text"]
        node = list(node.values())
    if isinstance(node, list):
        for inner in node:
            yield from _texts_in(inner)


def take_fitting(lines: Iterable[str], most: int = MAX_LIST_CHARS) -> list[str]:
    """Return the first lines that have at most ``most`` characters together, with their line breaks."""
    fitting: list[str] = []
    for line in lines:
        most -= len(line) + 1
        if most < 0:
            break
        fitting.append(line)
    return fitting


def plain_text(text: str, most: int = 75) -> Block:
    """Return text that Slack shows unchanged, including emoji names (``:wave:``)."""
    return {"type": "plain_text", "text": clip_text(text, most), "emoji": False}


def mrkdwn_object(text: str, most: int) -> Block:
    """Return formatted text without automatic links.

    https://docs.slack.dev/reference/block-kit/composition-objects/text-object : without ``verbatim`` Slack also links
    URLs, domains and channel names that it finds in the text.
    """
    return {"type": "mrkdwn", "text": clip_text(text, most), "verbatim": True}


def header_block(text: str) -> Block:
    """Return a large title; plain text of up to 150 characters."""
    return {"type": "header", "text": plain_text(text, 150)}


def section_block(text: str, accessory: Block | None = None) -> Block:
    """Return a paragraph of mrkdwn, optionally with one element beside it."""
    block: Block = {"type": "section", "text": mrkdwn_object(text, 3000)}
    return block | {"accessory": accessory} if accessory else block


def field_blocks(pairs: list[tuple[str, str]]) -> list[Block]:
    """Return labels and values in two columns, ten per block; pairs without a value are left out."""
    cells = [mrkdwn_object(f"*{label}*\n{value}", 2000) for label, value in pairs if value]
    return [{"type": "section", "fields": cells[at : at + 10]} for at in range(0, len(cells), 10)]


def context_block(*texts: str) -> Block:
    """Return small print of up to ten pieces of mrkdwn."""
    return {"type": "context", "elements": [mrkdwn_object(text, 2000) for text in texts[:10]]}


def preformatted_block(text: str) -> Block:
    """Return preformatted text; rich text is not parsed, so a log excerpt cannot inject formatting."""
    leaf = {"type": "text", "text": clip_text(text, 3000)}
    return {"type": "rich_text", "elements": [{"type": "rich_text_preformatted", "elements": [leaf]}]}


def text_cell(text: str, *, code: bool = False) -> Block:
    """Return a table's cell with literal text.

    Slack rejects empty cells (https://github.com/getnao/nao/issues/1143), and answered plain ``raw_text`` cells with
    errors of its own (https://github.com/soxtoby/SlackNet/issues/246), so it is always rich text.
    """
    style = {"style": {"code": True}} if code else {}
    return _rich_cell({"type": "text", "text": clip_text(text, 300) or "–"} | style)


def time_cell(at: float, fallback: str) -> Block:
    """Return a table's cell with a time (Unix seconds) in the reader's own zone."""
    shape = "{date_short_pretty} at {time}"
    return _rich_cell({"type": "date", "timestamp": int(at), "format": shape, "fallback": clip_text(fallback, 255)})


def _rich_cell(leaf: Block) -> Block:
    return {"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": [leaf]}]}


def table_block(heads: Sequence[str], rows: Iterable[Sequence[Block]]) -> Block:
    """Return a table below ``heads``, whose cells are one line each.

    100 rows, 20 columns, 10,000 characters and one table in a message
    (https://docs.slack.dev/reference/block-kit/blocks/table-block), which callers stay below. The page names
    ``chat.postMessage`` only; that private messages may have tables is believed, so give the message an ``instead``.
    """
    return {"type": "table", "rows": [[text_cell(head) for head in heads], *map(list, rows)]}


def image_block(url: str, alt: str) -> Block:
    """Return an image from a URL of at most 3,000 characters; Slack fetches it when the message is posted."""
    return {"type": "image", "image_url": url, "alt_text": clip_text(alt, 2000)}


def button_row(*buttons: Block | None) -> list[Block]:
    """Return a row of the given buttons, without those that are None; empty if none is left."""
    there = [button for button in buttons if button]
    return [{"type": "actions", "elements": there[:25]}] if there else []


def build_button(label: str, action: str, value: dict[str, Any], *, aloud: str = "") -> Block | None:
    """Return a button that sends ``value`` back as JSON; None if that exceeds Slack's 2,000 characters.

    Screen readers read ``aloud`` instead of the label.
    """
    carried = encode_json(value)
    if len(carried) > 2000:
        return None
    block: Block = {"type": "button", "action_id": action, "text": plain_text(label), "value": carried}
    if aloud:
        block["accessibility_label"] = clip_text(aloud, 75)
    return block


def link_button(label: str, action: str, url: str) -> Block | None:
    """Return a button that opens ``url``; None if it is empty or exceeds Slack's 3,000 characters."""
    if not 0 < len(url) <= 3000:
        return None
    return {"type": "button", "action_id": action, "text": plain_text(label), "url": url}
