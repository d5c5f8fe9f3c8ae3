"""Schedules, in whatever words Zof may give them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from zofbot.domain.model import Schedule
from zofbot.zof import parsing
from zofbot.zof.schedule_parsing import parse_schedules_page

NEXT = datetime(2026, 6, 2, 2, tzinfo=UTC)
WANTED = Schedule(
    id="sched_1", name="Nightly", cron="0 2 * * *", next=NEXT, project="checkout", environment="staging"
)  # fmt: skip


@pytest.mark.parametrize(
    "record",
    [
        {"name": "Nightly", "cron": "0 2 * * *", "next_run_at": "2026-06-02T02:00:00Z", "status": "active",
         "target": {"project_name": "checkout", "project_id": "proj_1", "environment": "staging"}},
        {"title": "Nightly", "cron_expression": "0 2 * * *", "next_run": NEXT.timestamp() * 1000, "enabled": True,
         "project": {"id": "proj_1", "name": "checkout"}, "environment": {"name": "staging"}},
        {"name": "Nightly", "schedule": {"cron": "0 2 * * *"}, "next_at": NEXT.timestamp(), "paused": False,
         "project": "checkout", "environment": "staging", "status": 7, "target": None},
    ],
)  # fmt: skip
@pytest.mark.parametrize("envelope", ["data", "schedules", "items", None])
def test_a_schedule_is_read_whatever_its_fields_are_called(record: dict[str, Any], envelope: str | None) -> None:
    listed = [{"id": "sched_1", **record}]
    [read] = parse_schedules_page(listed if envelope is None else {envelope: listed})
    assert read == WANTED


@pytest.mark.parametrize("said", [{"status": "Paused"}, {"state": "disabled"}, {"paused": True}, {"enabled": False}])
def test_a_paused_schedule_is_known_as_one(said: dict[str, Any]) -> None:
    [read] = parse_schedules_page({"data": [{"id": "s", **said}]})
    assert read.paused


def test_of_a_schedule_only_the_id_is_needed_and_what_has_none_is_counted() -> None:
    page = parse_schedules_page(
        {"data": [{"id": "s", "name": 7, "next_run_at": "soon", "target": []}, {"name": "x"}, "y"]}
    )
    assert page.items == (Schedule(id="s"),)
    assert page.skipped == 2


@pytest.mark.parametrize(
    ("record", "known"),
    [
        ({"schedule_id": "sched_1"}, ("sched_1", None)),
        ({"schedule": {"id": "sched_1", "name": "Nightly"}}, ("sched_1", "Nightly")),
        ({"schedule": "sched_1", "schedule_label": "Nightly"}, ("sched_1", "Nightly")),
        ({"trigger": {"schedule_id": "sched_1"}}, ("sched_1", None)),
        ({"trigger": "api"}, (None, None)),
    ],
)
def test_a_run_says_which_schedule_started_it(record: dict[str, Any], known: tuple[str | None, str | None]) -> None:
    run = parsing.parse_run({"id": "run_1", **record})
    assert (run.schedule_id, run.schedule_name) == known
