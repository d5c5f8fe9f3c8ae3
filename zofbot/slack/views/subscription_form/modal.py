"""Subscription form: one field per filter, and parsing of the input."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from zofbot.domain.json_encoding import encode_json
from zofbot.slack.views.blocks import Block, Message, build_button, button_row, context_block, plain_text, section_block
from zofbot.slack.views.forms import with_blocks
from zofbot.slack.views.subscription_form.fields import basic_inputs, more_inputs, needs_more_inputs
from zofbot.subscriptions import Subscription
from zofbot.subscriptions.filter_values import NO_IDS

FORM_CALLBACK_ID = "zof_subscription"
"""``callback_id`` of the form."""
PREVIEW_ACTION_ID = "zof_preview"
"""``action_id`` of the preview button."""
MORE_ACTION_ID = "zof_more_options"
"""``action_id`` and ``block_id`` of the button that shows the further fields."""


FIRST_BLOCK_ID = "project"
"""Block that shows errors which concern no single field."""
NOTHING_FILLED = Subscription()

_PREVIEW_BLOCK_ID, _PENDING_BLOCK_ID = "foreseen", "pending"
"""Block with the preview, with the second id while it is being computed: Slack may send its text back changed."""

_PREVIEW_HINT = "*Preview* shows what this would have posted in the last 7 days."


@dataclass(frozen=True)
class SubscriptionFormState:
    """A form's hidden state: the channel, where to reply (``url``, ``thread``), and the subscription ``id`` to edit.

    ``at`` is when the form was opened, in Unix seconds; ``version`` names the filters that it was opened with.
    """

    channel: str
    url: str
    at: float
    id: str = ""
    thread: str = ""
    version: str = ""

    def dump_metadata(self) -> str:
        """Return the state as ``private_metadata``; Slack allows 3,000 characters."""
        return encode_json(asdict(self))


def build_modal(
    form: SubscriptionFormState, room: str, start: Subscription, zone: str = "UTC", handles: Mapping[str, str] = NO_IDS
) -> Block:
    """Build the form, prefilled from ``start``; ``room`` is the channel's name as Slack gives it.

    ``zone`` is the person's time zone, the default for quiet hours; ``handles`` maps user group ids to handles.
    Raises BadInput for a subscription that does not fit into Slack's fields.
    """
    hint = channel_caution(room)
    blocks = [
        section_block(f"Alerts go to {_channel_reference(form.channel)}."),
        *([context_block(hint)] if hint else []),
        *basic_inputs(start, handles),
        *_more_button(zone),
        *_preview_blocks(_PREVIEW_HINT),
    ]
    view = {
        "type": "modal",
        "callback_id": FORM_CALLBACK_ID,
        "title": plain_text("Edit subscription" if form.id else "Subscribe to failures"),
        "submit": plain_text("Save" if form.id else "Subscribe"),
        "close": plain_text("Cancel"),
        "private_metadata": form.dump_metadata(),
        "blocks": blocks,
    }
    return with_more_inputs(view, zone, start, handles) if needs_more_inputs(start, zone) else view


def with_more_inputs(
    view: Mapping[str, Any], zone: str, start: Subscription = NOTHING_FILLED, handles: Mapping[str, str] = NO_IDS
) -> Block:
    """Return the form with its further fields; Slack keeps what is in the others, whose ids stay.

    A preview that is being computed is withdrawn, because it is for the form's earlier version and cannot be shown.
    """
    shown = view.get("blocks") or ()
    more = more_inputs(start, zone, handles)
    blocks = [part for block in shown for part in (more if block.get("block_id") == MORE_ACTION_ID else [block])]
    longer = with_blocks(view, blocks)
    is_pending = any(block.get("block_id") == _PENDING_BLOCK_ID for block in blocks)
    return with_preview(longer, _PREVIEW_HINT) if is_pending else longer


def with_preview(view: Mapping[str, Any], sentence: str, *, is_pending: bool = False) -> Block:
    """Return the form with ``sentence`` (mrkdwn) as its preview, or instead of the one that ``is_pending``."""
    replaced = (_PREVIEW_BLOCK_ID, _PENDING_BLOCK_ID, "preview")
    blocks = [block for block in view.get("blocks") or () if block.get("block_id") not in replaced]
    return with_blocks(
        view, [*blocks, *_preview_blocks(sentence, _PENDING_BLOCK_ID if is_pending else _PREVIEW_BLOCK_ID)]
    )


def saved_modal(message: Message) -> Block:
    """Build the modal that shows the reply when it can no longer be posted in the channel."""
    plain = [block for block in message.blocks if block["type"] != "actions"]
    return {"type": "modal", "title": plain_text("Subscription"), "close": plain_text("Close"), "blocks": plain}


def channel_caution(room: str) -> str:
    """Return a warning about alerts in a conversation with this name (mrkdwn); empty if there is none."""
    if room == "directmessage":
        return "zofbot can post here only if this is your direct message with zofbot. Channels work better for alerts."
    if room == "privategroup" or room.startswith("mpdm-"):
        return "This channel is private. If zofbot isn't in it yet, run `/invite @zofbot`; alerts are held until then."
    return ""


def _preview_blocks(sentence: str, block_id: str = _PREVIEW_BLOCK_ID) -> list[Block]:
    return [
        section_block(sentence) | {"block_id": block_id},
        *(row | {"block_id": "preview"} for row in _preview_buttons()),
    ]


def _more_button(zone: str) -> list[Block]:
    """Return the button that shows the further fields; it carries the time zone that one of them begins with."""
    return [row | {"block_id": MORE_ACTION_ID} for row in button_row(
        build_button("More options", MORE_ACTION_ID, {"zone": zone}, aloud="Show more options"))]  # fmt: skip


def _preview_buttons() -> list[Block]:
    return button_row(build_button("Preview", PREVIEW_ACTION_ID, {}, aloud="Preview what this would have posted"))


def _channel_reference(channel: str) -> str:
    return f"<#{channel}>" if channel.startswith(("C", "G")) and channel.isalnum() else "this conversation"
