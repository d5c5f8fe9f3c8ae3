"""Form to acknowledge several of the listed failures at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from zofbot.domain.json_encoding import encode_json
from zofbot.notifications import text
from zofbot.slack.views.blocks import Block, plain_text
from zofbot.slack.views.forms import form_values

SELECT_ACTION_ID = "zof_do_select_rows"
"""``action_id`` of the button below a list that opens the form."""

CALLBACK_ID = "zof_act_several"
"""``callback_id`` of the form."""

MAX_METADATA_CHARS = 3000
"""Maximum length of ``private_metadata`` (https://docs.slack.dev/reference/views/modal-views)."""


@dataclass(frozen=True)
class SeveralFormState:
    """The form's hidden state: the keys of the offered failures, and the list to show again."""

    channel: str
    url: str
    thread: str
    scope: str
    start: int
    keys: tuple[str, ...]

    def dump_metadata(self) -> str:
        """Return the state as ``private_metadata``."""
        return encode_json(asdict(self))


def several_modal(form_state: SeveralFormState, titles: Sequence[tuple[str, str]]) -> Block:
    """Build the form; ``titles`` has a title and the facts that tell it from others, for each key of the state."""
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


def selected_keys(view: Mapping[str, Any], keys: Sequence[str]) -> list[str]:
    """Return the keys of the selected failures."""
    chosen = ((form_values(view).get("rows") or {}).get("rows") or {}).get("selected_options") or []
    indexes = {str(option.get("value")) for option in chosen}
    return [key for index, key in enumerate(keys) if str(index) in indexes]
