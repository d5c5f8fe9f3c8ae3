"""Variants of Zof's records: its field names are not documented, so the bot must accept several."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from zofbot.simulator.zof.state import RecordVariant, ZofRecord

_OLDER_NAMES = {
    "status": "outcome",
    "failure_summary": "failure",
    "name": "title",
    "logs_url": "log_url",
    "completed_at": "finished_at",
    "created_at": "created",
    "url": "html_url",
}
_TIME_FIELDS = ("created_at", "started_at", "completed_at")


def apply_variant(record: ZofRecord, dialect: RecordVariant) -> ZofRecord:
    """Return a run or result in the given dialect."""
    return dict(record) if dialect == "documented" else _to_older_form(record)


def wrap_object(record: ZofRecord, dialect: RecordVariant) -> Any:
    """Return an object as a reply's body: bare, or inside ``data``."""
    return record if dialect == "documented" else {"data": record}


def _to_older_form(record: ZofRecord) -> ZofRecord:
    said: ZofRecord = {}
    for name, value in record.items():
        said[_OLDER_NAMES.get(name, name)] = _to_milliseconds(value) if name in _TIME_FIELDS else value
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
        said["case_outcomes"] = [_to_older_form(result) for result in said.pop("results")]
    return said


def _to_milliseconds(moment: str) -> int:
    return int(datetime.fromisoformat(moment).timestamp() * 1000)
