"""What the message at the end of quiet hours or of a mute says: which failures were held back, and how they stand."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from zofbot.triage import TriageState


class _CatchUpModel(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class CatchUpLine(_CatchUpModel):
    """One failure: when it happened and how it stands since when, in Unix seconds; ``owner`` is who is on it."""

    title: str
    where: str = ""
    at: float
    state: TriageState = TriageState.OPEN
    since: float = 0.0
    owner: str = ""


class CatchUpPayload(_CatchUpModel):
    """``since`` (Unix seconds) nothing was posted; ``muted`` are the filters of the mute, none of quiet hours.

    ``failures`` are read when the message is sent.
    """

    card: Literal["catchup"] = "catchup"
    since: float = 0.0
    muted: str = ""
    failures: tuple[CatchUpLine, ...] = ()
