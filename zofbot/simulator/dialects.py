"""The ways in which Zof may word the same facts: its field names are not published, so the bot has to read several."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from zofbot.simulator.records import Dialect, Record

_OLDER_NAMES = {
    "status": "outcome",
    "failure_summary": "failure",
    "name": "title",
    "logs_url": "log_url",
    "completed_at": "finished_at",
    "created_at": "created",
    "url": "html_url",
}
_TIMES = ("created_at", "started_at", "completed_at")


def spoken(record: Record, dialect: Dialect) -> Record:
    """One run or result in the given dialect."""
    return dict(record) if dialect == "documented" else _older(record)


def wrapped(record: Record, dialect: Dialect) -> Any:
    """A single object as a reply's body: bare, or inside ``data``."""
    return record if dialect == "documented" else {"data": record}


def _older(record: Record) -> Record:
    said: Record = {}
    for name, value in record.items():
        said[_OLDER_NAMES.get(name, name)] = _milliseconds(value) if name in _TIMES else value
    if "run_id" in said:
        said["run"] = {"id": said.pop("run_id")}
    if "project_id" in said:
        said["project"] = {"id": said.pop("project_id"), "name": said.pop("project_name", None)}
    if "environment" in said:
        said["environment"] = {"name": said["environment"]}
    if "test_case_id" in said:
        said["test_case"] = {"id": said.pop("test_case_id"), "name": said.pop("title", None)}
    if "duration_ms" in said:
        said["duration_seconds"] = said.pop("duration_ms") / 1000
    if isinstance(said.get("results"), list):
        said["case_outcomes"] = [_older(result) for result in said.pop("results")]
    return said


def _milliseconds(moment: str) -> int:
    return int(datetime.fromisoformat(moment).timestamp() * 1000)
