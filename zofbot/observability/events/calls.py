"""Events of calls to Slack and to Zof."""

from __future__ import annotations

from dataclasses import dataclass

from zofbot.domain.model import Quota


@dataclass(frozen=True, slots=True)
class SlackCall:
    """One finished call to Slack; ``outcome`` is ok, deferred, refused or unknown, ``reason`` is empty if it is ok."""

    method: str
    outcome: str
    status: int | None
    """HTTP status; None without a reply."""
    reason: str
    seconds: float


@dataclass(frozen=True, slots=True)
class ZofTry:
    """One attempt of a call to Zof; ``waited`` seconds passed between the attempt before and this one."""

    method: str
    template: str
    status: int | None
    outcome: str
    cause: str
    """Class of the underlying error, if any."""
    request_id: str | None
    seconds: float
    waited: float


@dataclass(frozen=True, slots=True)
class ZofCall:
    """One finished call to Zof: ``seconds`` includes waits, ``tries`` is 0 if it was not sent.

    ``outcome`` is ok, unavailable, rejected, unreadable or canceled; crashed for a bug in zofbot.
    """

    method: str
    template: str
    status: int | None
    tries: int
    seconds: float
    request_id: str | None
    outcome: str
    date: str = ""
    """``Date`` header of the last reply."""
    quota: Quota | None = None
    """The organization's quota as known at the end of the call."""
    cause: str = ""
    """Class of the underlying error, if any."""
