"""Insert unexpected values at every place of a payload."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

ODD_VALUES: list[Any] = [
    None, True, 7, -1.5, "", "x", "\ud800", "a\0b", "é" * 5000, "<!channel>", [], [1], ["x"], [[]], {}, {"id": 5},
    {"x": {"x": []}},
]  # fmt: skip
"""Values of unexpected types."""


Path = tuple[str | int, ...]


def paths_in(value: Any, at: Path = ()) -> Iterator[Path]:
    """Yield the paths in a payload; of lists only the first two items, and nothing inside blocks of cards."""
    if at:
        yield at
    if isinstance(value, dict) and at[-1:] != ("text",):
        for name, inner in value.items():
            yield from paths_in(inner, (*at, name))
    elif isinstance(value, list) and "blocks" not in at[:-1]:
        for place, inner in enumerate(value[:2]):
            yield from paths_in(inner, (*at, place))


def with_odd_value(payload: dict[str, Any], path: Path, *odd: Any) -> dict[str, Any]:
    """Return the payload with an odd value at a path, or with the path removed."""
    made = copy.deepcopy(payload)
    around: Any = made
    for part in path[:-1]:
        around = around[part]
    if odd:
        around[path[-1]] = odd[0]
    else:
        del around[path[-1]]
    return made
