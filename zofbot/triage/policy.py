"""What follows when nobody moves: whom an escalation reaches and when, and how long an acknowledgement holds."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

REACK_ANSWER_SECONDS = 900.0
"""Seconds that "still on it?" waits for its answer."""


class _PolicyModel(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class EscalationStep(_PolicyModel):
    """``mention`` people and user groups, by their ids, ``after`` that many seconds without an acknowledgement."""

    after: int = Field(ge=1, le=7 * 86400)
    mention: tuple[str, ...]


class EscalationPolicy(_PolicyModel):
    """The steps of an escalation in their order, and the seconds after which an acknowledgement is asked about.

    Zero ``reack`` seconds: never.
    """

    escalate: tuple[EscalationStep, ...] = ()
    reack: int = Field(default=0, ge=0, le=30 * 86400)
