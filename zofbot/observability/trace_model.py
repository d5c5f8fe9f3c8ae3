"""A trace: the steps of one request or background job, as stored for later questions about it."""

from __future__ import annotations

from pydantic import AliasChoices, Field

from zofbot.domain.frozen_model import FrozenModel


class TraceStep(FrozenModel):
    """One step: the action of a component and its outcome, without user or vendor text."""

    at: int
    """End of the step, in milliseconds since the start of the trace."""
    component: str = Field(validation_alias=AliasChoices("component", "room"), serialization_alias="room")
    action: str = Field(validation_alias=AliasChoices("action", "did"), serialization_alias="did")
    outcome: str = Field(default="", validation_alias=AliasChoices("outcome", "came"), serialization_alias="came")
    bad: bool = False
    facts: dict[str, str] = Field(default_factory=dict)
    """Such as its duration (``ms``), the wait before it (``waited``, also ms), the ``id`` of the request."""


class Trace(FrozenModel):
    """A finished request or background job."""

    reference: str
    """Id shown to people in errors, ``ref_…``."""
    kind: str
    """``request`` (from Slack), ``delivery`` (of a notification), ``poll`` or ``webhook``."""
    what: str = ""
    at: float
    """Start, in Unix seconds."""
    user: str = ""
    """Slack user id of the requester."""
    channel: str = ""
    ids: tuple[str, ...] = ()
    """Ids it can be found under, the reference first."""
    steps: tuple[TraceStep, ...] = ()
    left_out: int = 0
    """Number of steps omitted in the middle."""
    gap: int = 0
    """Index of the step before which they were omitted."""

    def to_bounded_json(self, most: int) -> str:
        """Format as JSON without ids; steps in the middle are omitted until it fits into ``most`` bytes."""
        trace = self
        while len((text := trace._to_json()).encode()) > most and trace.steps:
            count_omitted = max(1, len(trace.steps) // 4)
            middle = (len(trace.steps) - count_omitted) // 2
            start = max(min(middle, trace.gap), trace.gap - count_omitted) if trace.left_out else middle
            steps = trace.steps[:start] + trace.steps[start + count_omitted :]
            trace = trace.model_copy(update={"steps": steps, "left_out": trace.left_out + count_omitted, "gap": start})
        return text

    def _to_json(self) -> str:
        return self.model_dump_json(exclude_defaults=True, exclude={"ids"})
