"""Form to acknowledge several of the listed failures at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from zofbot.domain.json_encoding import encode_json
from zofbot.domain.text import count_noun
from zofbot.notifications import text
from zofbot.slack.views.blocks import Block, Message, plain_text
from zofbot.slack.views.components import paragraph_blocks
from zofbot.slack.views.forms import form_values
from zofbot.slack.views.triage.pressed_button import FailureRef

SELECT_ACTION_ID = "zof_do_select_rows"
"""``action_id`` of the button below a list that opens the form."""

CALLBACK_ID = "zof_act_several"
"""``callback_id`` of the form."""

MAX_METADATA_CHARS = 3000
"""Maximum length of ``private_metadata`` (https://docs.slack.dev/reference/views/modal-views)."""


@dataclass(frozen=True)
class SeveralFormState:
    """The form's hidden state: the offered failures as the form showed them, and the list to show again."""

    channel: str
    url: str
    thread: str
    scope: str
    start: int
    offered: tuple[FailureRef, ...]

    def dump_metadata(self) -> str:
        """Return the state as ``private_metadata``."""
        return encode_json(asdict(self))


def several_modal(form_state: SeveralFormState, titles: Sequence[tuple[str, str]]) -> Block:
    """Build the form; ``titles`` has a title and the facts that tell it from others, for each offered failure."""
    options = [
        {
            "text": plain_text(text.clean_literal(title, 75) or "Failure"),
            "description": plain_text(text.clean_literal(facts, 75) or "-"),
            "value": str(index),
        }
        for index, (title, facts) in enumerate(titles)
    ]
    element = {"type": "checkboxes", "action_id": "rows", "options": options}
    return {
        "type": "modal",
        "callback_id": CALLBACK_ID,
        "title": plain_text("Acknowledge several"),
        "submit": plain_text("Acknowledge"),
        "close": plain_text("Cancel"),
        "private_metadata": form_state.dump_metadata(),
        "blocks": [{"type": "input", "block_id": "rows", "label": plain_text("Failures"), "element": element}],
    }


def selected_failures(view: Mapping[str, Any], offered: Sequence[FailureRef]) -> list[FailureRef]:
    """Return those of the offered failures that are selected."""
    chosen = ((form_values(view).get("rows") or {}).get("rows") or {}).get("selected_options") or []
    indexes = {str(option.get("value")) for option in chosen}
    return [about for index, about in enumerate(offered) if str(index) in indexes]


def with_outcome(listed: Message, acknowledged: int, refusals: Sequence[tuple[str, str]]) -> Message:
    """Return the list below how many failures were acknowledged, and why others were not: title, reason (mrkdwn)."""
    done = [f"✅ Acknowledged {count_noun(acknowledged, 'failure')}."] if acknowledged else []
    lines = [*done, *(f"⚡ *{text.escape_line(title, 150)}*: {reason}" for title, reason in refusals)]
    return replace(listed, text=" ".join([*lines, listed.text]), blocks=[*paragraph_blocks(lines), *listed.blocks])
