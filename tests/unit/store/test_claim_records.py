"""A claim is parsed from what the script returns, or is settled as unreadable."""

from __future__ import annotations

import pytest

from tests.support.outbox_bench import root
from zofbot.notifications.notification import Claim, Receipt
from zofbot.store.attempt_results import Unreadable
from zofbot.store.claim_records import flatten_notification, read_claim


def claim_fields(**changed: str) -> list[bytes]:
    key, kind, channel, root_key, *rest = map(str, flatten_notification(root("k")))
    names = ["edits_reply", "happened", "critical", "not_before", "schema", "body"]
    fields = {"key": key, "kind": kind, "channel": channel, "root": root_key, **dict(zip(names, rest, strict=True))}
    fields |= {"attempt": "3", "committed": "1500", "since": "500", "place": "C1 1.0", "failure": '{"a": 1}'}
    fields |= {"triage": "t", "rerun": "r", "storm": "", "storm_triage": "", "tries": "2"} | changed
    return [value.encode() for value in fields.values()]


def test_a_claim_is_read_with_its_notification_and_numbers() -> None:
    claim = read_claim(claim_fields())
    assert claim == Claim(root("k"), 3, 1.5, 0.5, Receipt("C1", "1.0"), {"a": 1}, "t", "r", None, "", tries=2)


@pytest.mark.parametrize(
    "damage", [{"channel": ""}, {"kind": "letter"}, {"body": "[]"}, {"happened": "soon"}, {"tries": "many"}]
)
def test_a_claim_that_cannot_be_read_is_settled_as_such(damage: dict[str, str]) -> None:
    result = read_claim(claim_fields(**damage))
    assert isinstance(result, Unreadable)
    assert (result.key, result.attempt) == ("k", 3)
    assert result.reason.startswith("cannot be read: ValueError")


def test_a_failure_that_cannot_be_read_is_left_out() -> None:
    claim = read_claim(claim_fields(failure="no JSON"))
    assert isinstance(claim, Claim)
    assert claim.failure is None
