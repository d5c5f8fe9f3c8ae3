"""Escalation policy: whom to mention when nobody acts, and how long an acknowledgement lasts."""

from __future__ import annotations

from pydantic import Field

from zofbot.domain.frozen_model import FrozenModel

REACK_ANSWER_SECONDS = 900.0
"""Seconds to answer "still on it?" before an acknowledgement lapses."""


class EscalationStep(FrozenModel):
    """Mention people and user groups (ids in ``mention``) ``after`` so many seconds without an acknowledgement."""

    after: int = Field(ge=1, le=7 * 86400)
    mention: tuple[str, ...]


class EscalationPolicy(FrozenModel):
    """The escalation steps in order, and the seconds after which an acknowledged failure asks "still on it?".

    Zero ``reack`` seconds: never.
    """

    escalate: tuple[EscalationStep, ...] = ()
    reack: int = Field(default=0, ge=0, le=30 * 86400)
