"""Results of one attempt to send a notification; each decides what the outbox does next."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Self

from zofbot.domain.durations import to_milliseconds
from zofbot.notifications.notification import Claim, Receipt


@dataclass(frozen=True)
class _EndedAttempt(ABC):
    """``attempt`` is the fencing token: a result is ignored if it is stored, or another worker has the key."""

    outcome: ClassVar[str]
    """Its name in metrics, logs and traces."""
    key: str
    attempt: int

    @classmethod
    def for_claim(cls, claim: Claim, *fields: object) -> Self:
        """Make a result for ``claim``."""
        return cls(claim.notification.key, claim.attempt, *fields)

    def to_arguments(self) -> tuple[str, str, int, str | int, str]:
        """Return the five arguments that ``settle.lua`` takes: verb, key, attempt, value, reason."""
        verb, value = self._verb_and_value()
        return verb, self.key, self.attempt, value, getattr(self, "reason", "")

    @abstractmethod
    def _verb_and_value(self) -> tuple[str, str | int]:
        """Return the verb of ``settle.lua`` and its value."""


@dataclass(frozen=True)
class Sent(_EndedAttempt):
    """The message is in Slack."""

    outcome = "sent"
    receipt: Receipt

    def _verb_and_value(self) -> tuple[str, str | int]:
        return "sent", format_receipt(self.receipt)


class Adopted(Sent):
    """The message was already in Slack: an earlier attempt had succeeded."""

    outcome = "adopted"


@dataclass(frozen=True)
class Deferred(_EndedAttempt):
    """Certainly not posted: retry after ``seconds``.

    ``whole_channel`` delays the channel's other messages too; for an edit, the edits of all channels.
    """

    outcome = "deferred"
    seconds: float
    whole_channel: bool
    reason: str

    def _verb_and_value(self) -> tuple[str, str | int]:
        return "held" if self.whole_channel else "deferred", to_milliseconds(self.seconds)


@dataclass(frozen=True)
class Unknown(_EndedAttempt):
    """May have been posted: after ``seconds`` a worker looks for it in Slack."""

    outcome = "unknown"
    reason: str
    seconds: float

    def _verb_and_value(self) -> tuple[str, str | int]:
        return "unknown", to_milliseconds(self.seconds)


@dataclass(frozen=True)
class Refused(_EndedAttempt):
    """Slack will never accept it as it is: dead, or with ``parks`` waiting until the channel is fixed."""

    outcome = "refused"
    reason: str
    parks: bool = False

    def _verb_and_value(self) -> tuple[str, str | int]:
        return "parked" if self.parks else "refused", 0


@dataclass(frozen=True)
class Unreadable(_EndedAttempt):
    """Not attempted, as its stored record cannot be read: dead."""

    outcome = "unreadable"
    reason: str

    def _verb_and_value(self) -> tuple[str, str | int]:
        return "unreadable", 0


@dataclass(frozen=True)
class Halted(_EndedAttempt):
    """Slack accepts nothing from this bot: pause all sending, for one second at first, at most a minute."""

    outcome = "halted"
    reason: str

    def _verb_and_value(self) -> tuple[str, str | int]:
        return "halted", 0


@dataclass(frozen=True)
class Gone(_EndedAttempt):
    """Its root message was deleted from ``place``: post a new root, at most once, then retry this."""

    outcome = "gone"
    place: Receipt
    reason: str

    def _verb_and_value(self) -> tuple[str, str | int]:
        return "gone", format_receipt(self.place)


@dataclass(frozen=True)
class Dropped(_EndedAttempt):
    """Obsolete: do not send it."""

    outcome = "dropped"
    reason: str

    def _verb_and_value(self) -> tuple[str, str | int]:
        return "dropped", 0


@dataclass(frozen=True)
class Snoozed(_EndedAttempt):
    """Not attempted: postponed by ``seconds``."""

    outcome = "snoozed"
    seconds: float

    def _verb_and_value(self) -> tuple[str, str | int]:
        return "snoozed", to_milliseconds(self.seconds)


AttemptResult = Sent | Deferred | Unknown | Refused | Unreadable | Halted | Gone | Dropped | Snoozed


def format_receipt(receipt: Receipt) -> str:
    """Format a receipt as it is stored."""
    return f"{receipt.channel} {receipt.ts}"
