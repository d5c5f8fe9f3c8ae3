"""What is remembered of a cause: counted once for each run, in any order, and bounded."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zofbot.alerting.history.cause_memory import (
    MAX_CAUSES_PER_HASH,
    MAX_REMEMBERED_RUNS,
    CauseCount,
    load_resolution,
    recall_cause,
    record_causes,
    resolution_field,
)
from zofbot.alerting.state import DecisionBuilder, RuleState, causes_hash
from zofbot.notifications.past_causes import PastCause, Resolution

NOW = 1_764_000_000.0
CAUSE = "s1-00000000000000aa"


def record_run(memory: RuleState, run_id: str, at: float, *signatures: str) -> RuleState:
    draft = DecisionBuilder(memory, NOW)
    record_causes(draft, "proj_1", run_id, at, signatures or (CAUSE,))
    return memory.with_changes(draft.changes)


def recall(memory: RuleState, signature: str = CAUSE) -> PastCause | None:
    return recall_cause(memory.hashes.get(causes_hash("proj_1", signature), {}), signature)


def test_a_cause_seen_once_has_no_past() -> None:
    assert recall(record_run(RuleState(), "run_1", NOW)) is None


@settings(max_examples=30, deadline=None)
@given(st.permutations(range(MAX_REMEMBERED_RUNS)), st.lists(st.integers(0, MAX_REMEMBERED_RUNS - 1), max_size=10))
def test_each_run_counts_once_in_any_order(order: list[int], repeated: list[int]) -> None:
    memory = RuleState()
    for number in [*order, *repeated]:
        memory = record_run(memory, f"run_{number}", NOW - 1000 + number)
    assert recall(memory) == PastCause(signature=CAUSE, count=10, first=NOW - 1000, last=NOW - 991)


def test_a_run_that_is_read_again_says_what_came_before_it() -> None:
    memory = RuleState()
    for number in range(3):
        memory = record_run(memory, f"run_{number}", NOW - 1000 + number)
    stored = memory.hashes[causes_hash("proj_1", CAUSE)]
    assert recall_cause(stored, CAUSE, NOW - 1000) is None
    assert recall_cause(stored, CAUSE, NOW - 999) == PastCause(
        signature=CAUSE, count=2, first=NOW - 1000, last=NOW - 999
    )


def test_a_run_that_is_no_longer_remembered_does_not_count_again() -> None:
    memory = RuleState()
    for number in range(MAX_REMEMBERED_RUNS + 5):
        memory = record_run(memory, f"run_{number}", NOW - 1000 + number)
    before = recall(memory)
    assert before
    assert before.count == MAX_REMEMBERED_RUNS + 5
    assert recall(record_run(memory, "run_0", NOW - 1000)) == before


def test_a_resolution_is_remembered_without_a_count() -> None:
    resolved = Resolution(at=NOW, by="Ana", reason="test", note="stale fixture", alert="run:run_1:failed:C1")
    stored = {resolution_field(CAUSE): resolved.model_dump_json(exclude_defaults=True)}
    assert recall_cause(stored, CAUSE) == PastCause(signature=CAUSE, resolved=resolved)


def test_a_note_stays_in_the_channel_where_it_was_written() -> None:
    resolved = Resolution(at=NOW, by="Ana", reason="test", note="stale fixture", alert="run:run_1:failed:C1")
    past = PastCause(signature=CAUSE, resolved=resolved)
    assert past.for_channel("C1") == past
    elsewhere = past.for_channel("C2").resolved
    assert elsewhere
    assert (elsewhere.note, elsewhere.by, elsewhere.reason) == ("", "Ana", "test")


def test_of_too_many_causes_the_one_seen_longest_ago_is_deleted_with_its_resolution() -> None:
    names = [f"s1-{number:015x}a" for number in range(MAX_CAUSES_PER_HASH + 3)]
    random.Random(1).shuffle(names)
    name = causes_hash("proj_1", CAUSE)
    memory = RuleState({name: {resolution_field(names[0]): Resolution(at=NOW).model_dump_json()}})
    for number, signature in enumerate(names):
        memory = record_run(memory, f"run_{number}", NOW - 1000 + number, signature)
    assert set(memory.hashes[name]) == set(names[3:])


@pytest.mark.parametrize("stored", ["", "1 2", "1 2 3 x", "s2|what a later version writes", "1 2 3 ab@x"])
def test_a_count_of_a_later_version_is_left_as_it_is(stored: str) -> None:
    assert CauseCount.load(stored) is None
    memory = RuleState({causes_hash("proj_1", CAUSE): {CAUSE: stored}})
    assert record_run(memory, "run_1", NOW) == memory
    assert recall(memory) is None


def test_a_run_of_zofs_future_is_counted_as_of_now() -> None:
    memory = record_run(record_run(RuleState(), "run_1", NOW - 60), "run_2", NOW + 3600)
    assert recall(memory) == PastCause(signature=CAUSE, count=2, first=NOW - 60, last=NOW)


def test_two_workers_of_different_versions_count_a_run_once_each_under_their_own_signatures() -> None:
    memory = record_run(record_run(RuleState(), "run_1", NOW), "run_1", NOW, "s2-00000000000000aa")
    assert recall(memory) is None
    assert recall(memory, "s2-00000000000000aa") is None
    assert recall(record_run(memory, "run_1", NOW)) is None


def test_a_resolution_that_this_version_cannot_read_is_none() -> None:
    stored = Resolution(at=NOW, alert="case:res_1").model_dump_json()
    assert load_resolution(stored) == Resolution(at=NOW, alert="case:res_1")
    assert load_resolution('{"at": "of a later version"}') is None
