"""Series of runs: those of one schedule, whose titles often differ only in a number or a date."""

from __future__ import annotations

import re

from zofbot.alerting.state import short_hash
from zofbot.domain.model import Run
from zofbot.domain.text import fold_name

_SERIAL_NUMBER = re.compile(r"\d{3,}(?:[-/.]\d{1,2}){0,2}")
"""A number such as that of a build, or a date with the year first."""


def normalize_title(title: str | None) -> str:
    """Normalize a run title, so that those that differ only in numbers are equal."""
    return re.sub(r"\d+", "#", fold_name(title or ""))


def series_key(run: Run) -> str:
    """Return a key of the run's series; empty without a schedule.

    The titles of a series differ in a date or a number of three digits or more; "shard 1" and "shard 2" of a schedule
    are different runs.
    """
    return short_hash(run.schedule_id, _SERIAL_NUMBER.sub("#", fold_name(run.title or ""))) if run.schedule_id else ""
