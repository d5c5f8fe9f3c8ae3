"""Series of runs: those of one schedule, whose titles often differ only in a number or a date."""

from __future__ import annotations

import re

from zofbot.alerting.state import short_hash
from zofbot.domain.model import Run
from zofbot.domain.text import fold_name


def normalize_title(title: str | None) -> str:
    """Normalize a run title, so that those that differ only in numbers are equal."""
    return re.sub(r"\d+", "#", fold_name(title or ""))


def series_key(run: Run) -> str:
    """Return a key of the run's series; empty without a schedule, as "shard 1" and "shard 2" are different runs."""
    return short_hash(run.schedule_id, normalize_title(run.title)) if run.schedule_id else ""
