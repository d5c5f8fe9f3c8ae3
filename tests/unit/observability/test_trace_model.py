"""Stored traces keep the names of their fields."""

from __future__ import annotations

from zofbot.observability.trace_model import Trace, TraceStep

STORED = (
    '{"reference":"ref_1","kind":"poll","at":1.0,"steps":[{"at":5,"room":"zof","did":"GET /runs","came":"200 ok"}]}'
)


def test_a_step_is_stored_as_room_did_and_came() -> None:
    step = TraceStep(at=5, component="zof", action="GET /runs", outcome="200 ok")
    trace = Trace(reference="ref_1", kind="poll", at=1.0, steps=(step,))
    assert trace.to_bounded_json(1000) == STORED
    assert Trace.model_validate_json(STORED) == trace
