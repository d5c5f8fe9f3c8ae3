"""Validate every message and view that the simulator accepted with slack_sdk's models too.

The simulator's rules could repeat a mistake of the bot; ``slack_sdk.models`` are Slack's own. They take about
thirty times as long, so each shape is checked once per process: its fields, its types, and the lengths of its
texts and lists, grouped by Slack's limits.
"""

from __future__ import annotations

import bisect
import copy
import logging
from collections.abc import Iterator, Mapping
from typing import Any

from slack_sdk.errors import SlackObjectFormationError
from slack_sdk.models.blocks import Block
from slack_sdk.models.views import View

UNKNOWN_BLOCKS = frozenset({"data_visualization", "data_table"})
"""Blocks without a model in slack_sdk 3.47; only the simulator's rules check them."""

LOST_FIELDS = frozenset({("plain_text", "verbatim"), ("modal", "submit_disabled")})
"""Pairs of object type and field that Slack accepts and the models drop."""

_LIMITS = (0, 1, 5, 10, 24, 25, 30, 50, 75, 100, 150, 255, 300, 2000, 3000, 4000, 12_000)
_NAMED_FIELDS = frozenset({"type", "style"})

ValueShape = tuple[Any, ...]

_opinions_by_shape: dict[ValueShape, list[str]] = {}


class SecondOpinion:
    """Collect in ``problems`` what the models refuse."""

    def __init__(self) -> None:
        self.problems: list[str] = []

    def __call__(self, payload: Mapping[str, Any], surface: str) -> None:
        """Check a message (``blocks``, ``attachments``) or a view."""
        if surface == "message":
            inside = [each.get("blocks") or () for each in payload.get("attachments") or ()]
            things = [block for blocks in (payload.get("blocks") or (), *inside) for block in blocks]
        else:
            things = [dict(payload, blocks=[]), *payload["blocks"]]
        for thing in things:
            shape = shape_of(thing)
            if shape not in _opinions_by_shape:
                _opinions_by_shape[shape] = list(find_complaints(thing))
            self.problems += _opinions_by_shape[shape]


def shape_of(value: Any, name: str = "") -> ValueShape:
    """Return a key that is equal for values that the models judge alike."""
    if isinstance(value, dict):
        return ("object", *((key, shape_of(value[key], key)) for key in sorted(value)))
    if isinstance(value, list):
        return ("list", bisect.bisect_left(_LIMITS, len(value)), frozenset(map(shape_of, value)))
    if isinstance(value, str):
        return ("text", value if name in _NAMED_FIELDS else bisect.bisect_left(_LIMITS, len(value)))
    return (type(value).__name__,)


def find_complaints(thing: Mapping[str, Any]) -> Iterator[str]:
    """Return the models' complaints about a block, or about a view without its blocks."""
    kind = thing.get("type")
    if kind in UNKNOWN_BLOCKS:
        return
    logging.disable(logging.WARNING)  # the models log skipped fields, which are complaints here
    try:
        given: Any = copy.deepcopy(dict(thing))
        if kind in ("modal", "home"):
            filler = [{"type": "divider"}]  # the models refuse an empty view
            read: Any = View(**given | {"blocks": filler}).to_dict() | {"blocks": []}
        else:
            parsed = Block.parse(given)
            if parsed is None:
                yield f"{kind}: slack_sdk knows no such block"
                return
            read = parsed.to_dict()
    except (SlackObjectFormationError, TypeError, ValueError, AttributeError) as error:
        yield f"{kind}: {error} in {thing}"
        return
    finally:
        logging.disable(logging.NOTSET)
    yield from _missing_fields(thing, read, str(kind))


def _missing_fields(given: Any, read: Any, where: str) -> Iterator[str]:
    """Yield given fields that the models dropped because they do not know them."""
    if isinstance(given, Mapping):
        kind = str(given.get("type"))
        for name, value in given.items():
            if not isinstance(read, Mapping) or name not in read:
                if (kind, name) not in LOST_FIELDS and value not in ([], None):
                    yield f"{where}: slack_sdk knows no field {name} of {kind}"
            else:
                yield from _missing_fields(value, read[name], f"{where}/{name}")
    elif isinstance(given, list):
        again = read if isinstance(read, list) else []
        if len(again) != len(given):
            yield f"{where}: slack_sdk keeps {len(again)} of {len(given)}"
        for number, (inner, kept) in enumerate(zip(given, again, strict=False)):
            yield from _missing_fields(inner, kept, f"{where}/{number}")
    elif given != read:
        yield f"{where}: slack_sdk reads {read!r}"
