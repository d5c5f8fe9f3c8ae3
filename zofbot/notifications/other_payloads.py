"""Payloads of messages that are about no failure: platform events, notes, tests of a subscription."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from zofbot.notifications.past_causes import Resolution as Resolution  # noqa: PLC0414  (exported for mypy)
from zofbot.notifications.payload_parts import PayloadModel


class PlatformEventPayload(PayloadModel):
    """An event of Zof's platform that is not about a result."""

    card: Literal["notice"] = "notice"
    event: str
    about: str = ""
    said: str = ""
    run_id: str = ""
    project: str = ""
    environment: str = ""
    mention: tuple[str, ...] = ()


class NotePayload(PayloadModel):
    """A one-line message from zofbot itself, about ``channel`` (its id) if set; names in it are not escaped yet.

    ``trouble`` is Zof's error that it is about, if any, with the ``request_id`` of Zof's reply.
    """

    card: Literal["line"] = "line"
    said: str = ""
    channel: str = ""
    trouble: str = ""
    request_id: str = ""


class AlertTestPayload(PayloadModel):
    """A stored alert shown as a test, requested by the person named ``by``.

    ``mentions`` is how many people and groups a real alert would mention.
    """

    card: Literal["trial"] = "trial"
    alert: dict[str, Any] = Field(default_factory=dict)
    by: str = ""
    mentions: int = 0
