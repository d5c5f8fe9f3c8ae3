"""A trace: what one piece of work did, step by step, as it is kept for whoever asks later what became of it."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class TraceStep(BaseModel):
    """One step: which room took it, what it did and what came of it, in ids, statuses and words of our own."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    at: int
    """Milliseconds since the work began, when the step had ended."""
    room: str
    did: str
    came: str = ""
    bad: bool = False
    facts: dict[str, str] = Field(default_factory=dict)
    """Such as the ``ms`` it took, those it ``waited`` before it began, the ``id`` of the request."""


class Trace(BaseModel):
    """A piece of work that has ended."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    reference: str
    """What a person is shown who may ask for it, ``ref_…``."""
    kind: str
    """``request`` of Slack's, ``delivery`` of a notification, ``poll`` or ``webhook``."""
    what: str = ""
    at: float
    """Unix seconds when it began."""
    user: str = ""
    """Slack's id of whoever asked."""
    channel: str = ""
    ids: tuple[str, ...] = ()
    """Whatever it is found under, the reference first."""
    steps: tuple[TraceStep, ...] = ()
    left_out: int = 0
    """Steps that are missing in the middle."""
    gap: int = 0
    """Where they are missing: before the step of this number, counted from nought."""

    def to_bounded_json(self, most: int) -> str:
        """Return it as JSON without its ids, of at most ``most`` bytes as far as leaving out steps helps."""
        kept = self
        while len((text := kept._to_json()).encode()) > most and kept.steps:
            gone = max(1, len(kept.steps) // 4)
            middle = (len(kept.steps) - gone) // 2
            start = max(min(middle, kept.gap), kept.gap - gone) if kept.left_out else middle
            steps = kept.steps[:start] + kept.steps[start + gone :]
            kept = kept.model_copy(update={"steps": steps, "left_out": kept.left_out + gone, "gap": start})
        return text

    def _to_json(self) -> str:
        return self.model_dump_json(exclude_defaults=True, exclude={"ids"})
