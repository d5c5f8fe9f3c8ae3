"""What is read from Zof's reply to a command."""

from __future__ import annotations

import pytest

from zofbot.services.run_command_records import started_run_id
from zofbot.zof.client import ZofReply


@pytest.mark.parametrize(
    ("document", "run"),
    [
        ({"id": "run_5"}, "run_5"),
        ({"run_id": "run_5"}, "run_5"),
        ({"data": {"id": "run_5"}}, "run_5"),
        ({"data": {"run_id": "run_5", "status": "queued"}}, "run_5"),
        ({"run": {"id": "run_5"}}, "run_5"),
        ({"data": {"run": {"id": "run_5"}}}, "run_5"),
        ({"id": 5}, "5"),
        ({"data": {"id": 5}}, "5"),
        ({"id": True}, ""),
        ({"id": "run/5"}, ""),
        ({"data": []}, ""),
        ({}, ""),
        ([], ""),
        (None, ""),
    ],
)
def test_the_run_that_zof_started_is_found_as_in_any_reply(document: object, run: str) -> None:
    assert started_run_id(ZofReply(document, "req_1")) == run
