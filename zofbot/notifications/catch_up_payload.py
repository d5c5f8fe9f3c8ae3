"""Payload of a catch-up message after quiet hours or a mute: the failures held back, and their current states."""

from __future__ import annotations

from typing import Literal

from zofbot.domain.frozen_model import FrozenModel
from zofbot.triage import TriageState


class CatchUpLine(FrozenModel):
    """One failure: its time (``at``), and its state and owner ``since`` (Unix seconds)."""

    title: str
    where: str = ""
    at: float
    state: TriageState = TriageState.OPEN
    since: float = 0.0
    owner: str = ""


class CatchUpPayload(FrozenModel):
    """Payload of the message: nothing was posted ``since`` (Unix seconds).

    ``muted`` has the mute's filters, empty for quiet hours. ``failures`` are filled in when the message is sent.
    """

    card: Literal["catchup"] = "catchup"
    since: float = 0.0
    muted: str = ""
    failures: tuple[CatchUpLine, ...] = ()
