"""Values of other kinds and shapes than expected, put into every place of a payload."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

ODD_VALUES: list[Any] = [
    None, True, 7, -1.5, "", "x", "\ud800", "a\0b", "é" * 5000, "<!channel>", [], [1], ["x"], [[]], {}, {"id": 5},
    {"x": {"x": []}},
]  # fmt: skip
"""What stands where something else is expected."""


Path = tuple[str | int, ...]


def paths_in(value: Any, at: Path = ()) -> Iterator[Path]:
    """Every place in a payload, but of a list only the first two, and of cards' blocks only what is around them."""
    if at:
        yield at
    if isinstance(value, dict) and at[-1:] != ("text",):
        for name, inner in value.items():
            yield from paths_in(inner, (*at, name))
    elif isinstance(value, list) and "blocks" not in at[:-1]:
        for place, inner in enumerate(value[:2]):
            yield from paths_in(inner, (*at, place))


def with_odd_value(payload: dict[str, Any], path: Path, *odd: Any) -> dict[str, Any]:
    """The payload with something odd at a place, or with nothing there."""
    made = copy.deepcopy(payload)
    around: Any = made
    for part in path[:-1]:
        around = around[part]
    if odd:
        around[path[-1]] = odd[0]
    else:
        del around[path[-1]]
    return made
