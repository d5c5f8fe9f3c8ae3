"""One call to Zof: the request, its time budget, and its state while running."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class TimeBudget:
    """Seconds one call may take in total, including waits and reading the body.

    ``background`` calls leave the last of the quota to people. An interactive listing has one deadline for all pages, a
    background listing one per page.
    """

    seconds: float
    background: bool = False

    ACK: ClassVar[TimeBudget]
    """For replies within Slack's three seconds."""
    FOLLOW_UP: ClassVar[TimeBudget]
    """For replies that somebody was asked to wait for."""
    BACKGROUND: ClassVar[TimeBudget]
    """For work that nobody waits for."""


TimeBudget.ACK = TimeBudget(2.2)
TimeBudget.FOLLOW_UP = TimeBudget(25)
TimeBudget.BACKGROUND = TimeBudget(60, background=True)


@dataclass(frozen=True, slots=True)
class ZofRequest:
    """A request; errors name it by ``verb`` and ``what``, ``item`` fills the template's ``{id}``."""

    template: str
    what: str
    item: str | None = None
    method: str = "GET"
    verb: str = "read"
    query: Mapping[str, str] = field(default_factory=dict)
    body: object = None
    idempotency_key: str | None = None
    secrets: tuple[str, ...] = ()
    """Secrets in the request that must not appear in errors."""

    @property
    def is_repeatable(self) -> bool:
        """True if repeating the request is harmless (https://zof.ai/docs/api/results, idempotency)."""
        return self.method == "GET" or self.idempotency_key is not None


@dataclass(slots=True)
class CallState:
    """State of a running call; status and request id are those of the last attempt only.

    ``deadline`` and ``idle`` are times of the event loop's clock.
    """

    request: ZofRequest
    deadline: float
    idle: float = 0.0
    """Time since which no attempt is in progress."""
    tries: int = 0
    status: int | None = None
    request_id: str | None = None
    date: str = ""
    bytes: int = 0
    """Size of the reply's body, decompressed."""

    def begin_try(self) -> None:
        """Count an attempt, and forget the previous one's status and request id."""
        self.tries += 1
        self.status = self.request_id = None


@dataclass(frozen=True, slots=True)
class ZofReply:
    """A successful reply without a model: its parsed JSON, None if the body was empty."""

    document: object
    request_id: str | None
