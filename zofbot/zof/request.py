"""One call to Zof: what is asked, how long it may take, what is known of it under way and what was observed of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from zofbot.domain.model import Quota


@dataclass(frozen=True, slots=True)
class TimeBudget:
    """How long one call may take in all, in seconds, its waits and the reply's body included.

    ``background`` calls leave the last of the quota to people. A listing that somebody waits for has one deadline
    over all its pages, one that runs in the background a deadline for each.
    """

    seconds: float
    background: bool = False

    ACK: ClassVar[TimeBudget]
    """What must be said before Slack's three seconds are over."""
    FOLLOW_UP: ClassVar[TimeBudget]
    """What somebody has been told to wait for."""
    BACKGROUND: ClassVar[TimeBudget]
    """What nobody waits for."""


TimeBudget.ACK = TimeBudget(2.2)
TimeBudget.FOLLOW_UP = TimeBudget(25)
TimeBudget.BACKGROUND = TimeBudget(60, background=True)


@dataclass(frozen=True, slots=True)
class ZofRequest:
    """What is to be asked; ``what`` and ``deed`` name it for people, ``item`` fills the template's ``{id}``."""

    template: str
    what: str
    item: str | None = None
    method: str = "GET"
    deed: str = "read"
    query: Mapping[str, str] = field(default_factory=dict)
    body: object = None
    idempotency_key: str | None = None
    secrets: tuple[str, ...] = ()
    """What is sent and must not come back in an error."""

    @property
    def is_repeatable(self) -> bool:
        """Whether asking twice does no more than asking once (https://zof.ai/docs/api/results, idempotency)."""
        return self.method == "GET" or self.idempotency_key is not None


@dataclass(slots=True)
class CallState:
    """What is known so far of a call under way; status and request id are the last try's alone.

    ``deadline`` and ``idle`` are times of the event loop's clock.
    """

    ask: ZofRequest
    deadline: float
    idle: float = 0.0
    """Since when no try is under way."""
    tries: int = 0
    status: int | None = None
    request_id: str | None = None
    date: str = ""
    bytes: int = 0
    """Size of the reply's body, unpacked."""

    def begin_try(self) -> None:
        """Forget what the try before returned: its request id would send Zof's support to the wrong request."""
        self.tries += 1
        self.status = self.request_id = None


@dataclass(frozen=True, slots=True)
class CallRecord:
    """One finished call, for metrics: ``seconds`` with all its waits, ``tries`` nought when it was not even sent.

    ``outcome`` is ok, unavailable, rejected, unreadable or canceled; crashed for a fault of ours.
    """

    method: str
    template: str
    status: int | None
    tries: int
    seconds: float
    request_id: str | None
    outcome: str
    date: str = ""
    """Zof's clock, as its last reply had it."""
    quota: Quota | None = None
    """What is known of the organization's quota by then."""


@dataclass(frozen=True, slots=True)
class ZofReply:
    """A success that has no model of its own: its parsed JSON, None when the body was empty."""

    document: object
    request_id: str | None
