"""Fallback to plain versions of messages and views: not every workspace supports newer block types."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from zofbot.domain.errors import SlackRefused, SlackUnknown
from zofbot.slack.errors import RefusalHandling, handling_for
from zofbot.slack.views.blocks import Block, Message

log = structlog.get_logger()

T = TypeVar("T")


async def send_or_simplify(send: Callable[[Message], Awaitable[T]], message: Message, reference: str = "") -> T:
    """Send a message; while Slack rejects its layout, send the next plainer version.

    An error of Slack's own counts as a rejection of a newer block: a private message that arrives twice does no harm.
    ``reference`` appears in the plain version. Raises SlackError.
    """
    while True:
        try:
            return await send(message)
        except SlackRefused as error:
            if handling_for(error.reason) is not RefusalHandling.PLAIN or not message.has_blocks:
                raise
            log.error("card refused", reason=error.reason, text=message.text)
            message = message.simpler_version(reference)
        except SlackUnknown as error:
            if not message.instead:
                raise
            log.warning("card not confirmed", reason=error.reason, text=message.text)
            message = message.instead


CLASSIC_BLOCK_TYPES = frozenset({"section", "divider", "image", "actions", "context", "input", "header", "rich_text"})
"""Block types that every workspace has supported for years (https://docs.slack.dev/reference/block-kit/blocks)."""

CLASSIC_FIELD_TYPES = frozenset(
    {
        *("plain_text_input", "static_select", "multi_static_select", "users_select", "multi_users_select"),
        *("conversations_select", "multi_conversations_select", "channels_select", "multi_channels_select"),
        *("external_select", "multi_external_select"),
        *("radio_buttons", "checkboxes", "datepicker", "timepicker"),
    }
)
"""Input element types that every workspace has supported for years."""


async def show_or_simplify(show: Callable[[Block], Awaitable[T]], view: Block, plain: Block) -> T:
    """Show a view, or its plain version if Slack rejects its layout. Raises SlackError."""
    try:
        return await show(view)
    except SlackRefused as error:
        if handling_for(error.reason) is not RefusalHandling.PLAIN or plain == view:
            raise
        log.error("view refused", reason=error.reason, callback_id=view.get("callback_id"))
        return await show(plain)


def plain_modal(view: Block) -> Block:
    """Return the modal without newer block types and without optional inputs of newer types.

    A number is typed as text instead, so that saving the plain form keeps it.
    """
    return view | {"blocks": [_with_typed_number(block) for block in view.get("blocks") or () if _is_classic(block)]}


def _is_classic(block: Block) -> bool:
    kind = block.get("type")
    if kind == "input" and block.get("optional"):
        return (block.get("element") or {}).get("type") in {*CLASSIC_FIELD_TYPES, "number_input"}
    return kind in CLASSIC_BLOCK_TYPES


def _with_typed_number(block: Block) -> Block:
    element = block.get("element") or {}
    if element.get("type") != "number_input":
        return block
    kept = {name: element[name] for name in ("action_id", "initial_value", "placeholder") if name in element}
    return block | {"element": {"type": "plain_text_input", **kept}}
