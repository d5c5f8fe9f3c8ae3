"""Whether Slack would take a chart: the limits of its ``data_visualization`` block.

https://docs.slack.dev/reference/block-kit/blocks/data-visualization-block ; a series' name is held to the limit of the
other labels, for its own is not published.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from zofbot.simulator.shape import Rule, Shape, complaint, many, string, typed

LABEL, AXIS, TITLE = 20, 50, 50
MOST_SERIES, MOST_POINTS = 6, 20
MOST_CHARTS = 2
"""Charts in one message."""


def _number(least: float | None = None) -> Rule:
    def check(value: Any, where: str) -> Iterator[str]:
        if not isinstance(value, int | float) or isinstance(value, bool):
            yield complaint(where, "must be a number")
        elif least is not None and value <= least:
            yield complaint(where, f"must be greater than {least:g}")

    return check


_POINT = Shape({"label": string(LABEL), "value": _number()})
_SERIES = Shape({"name": string(LABEL), "data": many(_POINT, MOST_POINTS)})
_AXES = Shape({"categories": many(string(LABEL), MOST_POINTS)}, {"x_label": string(AXIS), "y_label": string(AXIS)})
_SEGMENT = Shape({"label": string(LABEL), "value": _number(0)})


def _agreeing(value: Any, where: str) -> Iterator[str]:
    """Each series has one point for each category, and a name of its own; no category stands there twice."""
    axes, series = value.get("axis_config"), value.get("series")
    if not isinstance(axes, dict) or not isinstance(series, list):
        return
    categories = axes.get("categories")
    if isinstance(categories, list) and len(set(map(str, categories))) < len(categories):
        yield complaint(f"{where}/axis_config/categories", "categories must be unique")
    names = [str(one.get("name")) for one in series if isinstance(one, dict)]
    if len(set(names)) < len(names):
        yield complaint(f"{where}/series", "names of series must be unique")
    for index, one in enumerate(series):
        data = one.get("data") if isinstance(one, dict) else None
        labels = [point.get("label") for point in data if isinstance(point, dict)] if isinstance(data, list) else []
        if isinstance(categories, list) and sorted(map(str, labels)) != sorted(map(str, categories)):
            yield complaint(f"{where}/series/{index}/data", "needs one data point for each category")


_PLOT = Shape({"series": many(_SERIES, MOST_SERIES), "axis_config": _AXES}, also=_agreeing)
CHART = typed({**dict.fromkeys(("line", "bar", "area"), _PLOT), "pie": Shape({"segments": many(_SEGMENT, 6)})}, "chart")
