"""A message as Slack takes it, and the blocks it is made of; the one place that knows Block Kit's limits.

Limits: https://docs.slack.dev/reference/block-kit/blocks and …/block-elements. Callers pass text that went through
``zofbot.notifications.text`` already; here it is only kept inside what Slack accepts.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import Any

from zofbot.notifications.text import break_links, clip_text

Block = dict[str, Any]

MAX_BLOCKS = 50


@dataclass(frozen=True)
class Message:
    """What is said: ``blocks`` on top, ``body`` beneath them beside a bar of ``colour``.

    ``text`` says the same in one line, for notifications and screen readers. The bar needs an attachment, Slack's only
    place for a colour; words never depend on it.
    """

    text: str
    blocks: list[Block] = field(default_factory=list)
    colour: str = ""
    body: list[Block] = field(default_factory=list)

    @property
    def has_blocks(self) -> bool:
        """Whether there is more to it than text."""
        return bool(self.blocks or self.body)

    def message_fields(self) -> dict[str, Any]:
        """Return the fields of a message, for any of Slack's methods and for an acknowledgement."""
        body = self.body[: MAX_BLOCKS - len(self.blocks[:MAX_BLOCKS])]
        said = clip_text(break_links(self.text), 3000)
        attachments = [{"color": self.colour, "fallback": said, "blocks": body}] if body else []
        return {"text": said, "blocks": self.blocks[:MAX_BLOCKS], "attachments": attachments}

    def with_note(self, note: str) -> Message:
        """The same with a line of small print beneath its blocks, and in its text."""
        return replace(self, text=f"{self.text}\n{note}", blocks=[*self.blocks[: MAX_BLOCKS - 1], context_block(note)])

    def plain_version(self, reference: str = "") -> Message:
        """Return the last resort for a message that Slack refuses as it is drawn: three lines without any block."""
        where = f"with the reference {reference}" if reference else "in the log"
        return Message(
            f"{clip_text(self.text, 2000)}\n_Slack refused the full card._\n_An operator finds the reason {where}._"
        )


def plain_text(text: str, most: int = 75) -> Block:
    """Text that Slack shows as it is, the name of an emoji included (``:wave:``)."""
    return {"type": "plain_text", "text": clip_text(text, most), "emoji": False}


def mrkdwn_object(text: str, most: int) -> Block:
    """Formatted text in which only what we link is a link.

    https://docs.slack.dev/reference/block-kit/composition-objects/text-object : without ``verbatim`` Slack also links
    addresses, domains and the names of channels that it finds in the text.
    """
    return {"type": "mrkdwn", "text": clip_text(text, most), "verbatim": True}


def header_block(text: str) -> Block:
    """A title in large letters; plain text, up to 150 characters."""
    return {"type": "header", "text": plain_text(text, 150)}


def section_block(text: str, accessory: Block | None = None) -> Block:
    """A paragraph of mrkdwn, with one element at its side."""
    block: Block = {"type": "section", "text": mrkdwn_object(text, 3000)}
    return block | {"accessory": accessory} if accessory else block


def field_blocks(pairs: list[tuple[str, str]]) -> list[Block]:
    """Label and value in two columns, ten to a block; pairs without a value are left out."""
    cells = [mrkdwn_object(f"*{label}*\n{value}", 2000) for label, value in pairs if value]
    return [{"type": "section", "fields": cells[at : at + 10]} for at in range(0, len(cells), 10)]


def context_block(*texts: str) -> Block:
    """Small print, up to ten pieces of mrkdwn."""
    return {"type": "context", "elements": [mrkdwn_object(text, 2000) for text in texts[:10]]}


def preformatted_block(text: str) -> Block:
    """A block of text exactly as it came; rich text is not parsed, so a log excerpt cannot format itself."""
    leaf = {"type": "text", "text": clip_text(text, 3000)}
    return {"type": "rich_text", "elements": [{"type": "rich_text_preformatted", "elements": [leaf]}]}


def button_row(*buttons: Block | None) -> list[Block]:
    """One row of the buttons that there are; none at all when there are none."""
    there = [button for button in buttons if button]
    return [{"type": "actions", "elements": there[:25]}] if there else []


def build_button(label: str, action: str, value: dict[str, Any], *, aloud: str = "") -> Block | None:
    """A button whose ``value`` comes back as it was; none when that is longer than Slack takes.

    ``aloud`` is read by screen readers instead of the label.
    """
    carried = json.dumps(value, separators=(",", ":"))
    if len(carried) > 2000:
        return None
    block: Block = {"type": "button", "action_id": action, "text": plain_text(label), "value": carried}
    if aloud:
        block["accessibility_label"] = clip_text(aloud, 75)
    return block


def link_button(label: str, action: str, url: str) -> Block | None:
    """A button that opens ``url``; none without one, or when it is longer than Slack takes."""
    if not 0 < len(url) <= 3000:
        return None
    return {"type": "button", "action_id": action, "text": plain_text(label), "url": url}
