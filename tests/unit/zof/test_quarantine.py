"""Quarantined cases, whatever Zof calls the field."""

from __future__ import annotations

from typing import Any

import pytest

from zofbot.zof.parsing import parse_result


@pytest.mark.parametrize(
    ("fields", "quarantined"),
    [
        ({}, False),
        ({"quarantined": True}, True),
        ({"quarantined": False, "tags": ["quarantined"]}, False),
        ({"is_quarantined": "yes"}, True),
        ({"quarantine": {"owner": "ana", "since": "2026-06-01"}}, True),
        ({"quarantine": {"active": False, "owner": "ana"}}, False),
        ({"quarantine": {"released_at": "2026-06-02"}}, False),
        ({"quarantine": {}}, False),
        ({"quarantine": {"status": "In force"}}, True),
        ({"quarantine_status": "Quarantined"}, True),
        ({"quarantine_status": "released"}, False),
        ({"test_case": {"id": "tc_1", "quarantined": True}}, True),
        ({"case": {"quarantine": {"state": "active"}}}, True),
        ({"test_case": {"tags": ["smoke", "Quarantine"]}}, True),
        ({"labels": [{"name": "smoke"}, 7, None, True, "active"]}, False),
        ({"labels": [{"name": "quarantined"}]}, True),
        ({"quarantined": None}, False),
    ],
)
def test_a_case_is_quarantined_by_any_of_these(fields: dict[str, Any], quarantined: bool) -> None:
    assert parse_result({"id": "res_1", "status": "failed", **fields}).quarantined is quarantined
