"""A stored re-run: in progress for a day, and offered anew where it cannot be read."""

from __future__ import annotations

import pytest

from zofbot.triage.rerun import RERUN_SECONDS, Rerun, parse_active_rerun

NOW = 1_800_000_000.0
STORED = Rerun(order="rerun_1", run="run_2", at=NOW).model_dump_json()


@pytest.mark.parametrize(
    ("stored", "seconds", "active"),
    [
        (STORED, 1, True),
        (STORED, RERUN_SECONDS, False),
        (None, 1, False),
        ('{"order": {"later": "version"}}', 1, False),
        ("not JSON", 1, False),
    ],
)
def test_it_is_active_until_it_is_too_old(stored: str | None, seconds: float, active: bool) -> None:
    found = parse_active_rerun(stored, NOW + seconds)
    assert (found is not None) == active
    assert found is None or found.run == "run_2"
