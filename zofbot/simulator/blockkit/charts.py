"""Validation of charts: the limits of the ``data_visualization`` block.

https://docs.slack.dev/reference/block-kit/blocks/data-visualization-block ; the limit of a series' name is not
documented, so that of other labels is used.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from zofbot.simulator.blockkit.rules import ObjectRule, Rule, format_problem, list_rule, string_rule, typed_rule

MAX_LABEL_CHARACTERS, MAX_AXIS_CHARACTERS, MAX_TITLE_CHARACTERS = 20, 50, 50
MAX_SERIES, MAX_POINTS = 6, 20
MAX_CHARTS = 2
"""Maximum of charts in one message."""


def _number_rule(least: float | None = None) -> Rule:
    def check_number(value: Any, where: str) -> Iterator[str]:
        if not isinstance(value, int | float) or isinstance(value, bool):
            yield format_problem(where, "must be a number")
        elif least is not None and value <= least:
            yield format_problem(where, f"must be greater than {least:g}")

    return check_number


_POINT = ObjectRule({"label": string_rule(MAX_LABEL_CHARACTERS), "value": _number_rule()})
_SERIES = ObjectRule({"name": string_rule(MAX_LABEL_CHARACTERS), "data": list_rule(_POINT, MAX_POINTS)})
_AXES = ObjectRule(
    {"categories": list_rule(string_rule(MAX_LABEL_CHARACTERS), MAX_POINTS)},
    {"x_label": string_rule(MAX_AXIS_CHARACTERS), "y_label": string_rule(MAX_AXIS_CHARACTERS)},
)
_SEGMENT = ObjectRule({"label": string_rule(MAX_LABEL_CHARACTERS), "value": _number_rule(0)})


def _check_series(value: Any, where: str) -> Iterator[str]:
    """Require one point per category in each series, and unique names of series and categories."""
    axes, series = value.get("axis_config"), value.get("series")
    if not isinstance(axes, dict) or not isinstance(series, list):
        return
    categories = axes.get("categories")
    if isinstance(categories, list) and len(set(map(str, categories))) < len(categories):
        yield format_problem(f"{where}/axis_config/categories", "categories must be unique")
    names = [str(each_series.get("name")) for each_series in series if isinstance(each_series, dict)]
    if len(set(names)) < len(names):
        yield format_problem(f"{where}/series", "names of series must be unique")
    for index, each_series in enumerate(series):
        data = each_series.get("data") if isinstance(each_series, dict) else None
        labels = [point.get("label") for point in data if isinstance(point, dict)] if isinstance(data, list) else []
        if isinstance(categories, list) and sorted(map(str, labels)) != sorted(map(str, categories)):
            yield format_problem(f"{where}/series/{index}/data", "needs one data point for each category")


_PLOT = ObjectRule({"series": list_rule(_SERIES, MAX_SERIES), "axis_config": _AXES}, also=_check_series)
CHART = typed_rule(
    {**dict.fromkeys(("line", "bar", "area"), _PLOT), "pie": ObjectRule({"segments": list_rule(_SEGMENT, 6)})}, "chart"
)
