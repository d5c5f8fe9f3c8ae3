"""A settlement: how one attempt at a notification ended, and what the outbox is to make of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Self

from zofbot.notifications.notification import Claim, Receipt


@dataclass(frozen=True)
class _EndedAttempt(ABC):
    """``attempt`` is the fencing token: what was claimed by another worker since then is left alone."""

    key: str
    attempt: int

    @classmethod
    def for_claim(cls, claim: Claim, *facts: object) -> Self:
        """Settle ``claim``."""
        return cls(claim.notification.key, claim.attempt, *facts)

    def to_arguments(self) -> tuple[str, str, int, str | int, str]:
        """Verb, key, attempt, what the verb needs, reason: as ``settle.lua`` reads them."""
        verb, value = self._verb_and_value()
        return verb, self.key, self.attempt, value, getattr(self, "reason", "")

    @abstractmethod
    def _verb_and_value(self) -> tuple[str, str | int]:
        """The verb, and what it needs."""


@dataclass(frozen=True)
class Sent(_EndedAttempt):
    """It stands in Slack."""

    receipt: Receipt

    def _verb_and_value(self) -> tuple[str, str | int]:
        return "sent", format_receipt(self.receipt)


class Adopted(Sent):
    """It stood in Slack already: an earlier attempt had got through."""


@dataclass(frozen=True)
class Deferred(_EndedAttempt):
    """Certainly not there: again in so many seconds, ``whole_channel`` with everything else that its channel gets."""

    seconds: float
    whole_channel: bool
    reason: str

    def _verb_and_value(self) -> tuple[str, str | int]:
        return "held" if self.whole_channel else "deferred", _to_milliseconds(self.seconds)


@dataclass(frozen=True)
class Unknown(_EndedAttempt):
    """May be there: somebody looks in so many seconds."""

    reason: str
    seconds: float

    def _verb_and_value(self) -> tuple[str, str | int]:
        return "unknown", _to_milliseconds(self.seconds)


@dataclass(frozen=True)
class Refused(_EndedAttempt):
    """Never as it is: dead, or, where the channel ``parks``, waiting until the channel is mended."""

    reason: str
    parks: bool = False

    def _verb_and_value(self) -> tuple[str, str | int]:
        return "parked" if self.parks else "refused", 0


@dataclass(frozen=True)
class Halted(_EndedAttempt):
    """Slack takes nothing at all from us: everything pauses, a second at first, a minute at most."""

    reason: str

    def _verb_and_value(self) -> tuple[str, str | int]:
        return "halted", 0


@dataclass(frozen=True)
class Gone(_EndedAttempt):
    """The message it belongs to was deleted from ``place``: one fresh root ever, then this once more."""

    place: Receipt
    reason: str

    def _verb_and_value(self) -> tuple[str, str | int]:
        return "gone", format_receipt(self.place)


@dataclass(frozen=True)
class Dropped(_EndedAttempt):
    """No longer wanted."""

    reason: str

    def _verb_and_value(self) -> tuple[str, str | int]:
        return "dropped", 0


@dataclass(frozen=True)
class Snoozed(_EndedAttempt):
    """Not begun: again in so many seconds."""

    seconds: float

    def _verb_and_value(self) -> tuple[str, str | int]:
        return "snoozed", _to_milliseconds(self.seconds)


AttemptResult = Sent | Deferred | Unknown | Refused | Halted | Gone | Dropped | Snoozed


def format_receipt(receipt: Receipt) -> str:
    """A receipt as it is kept."""
    return f"{receipt.channel} {receipt.ts}"


def _to_milliseconds(seconds: float) -> int:
    return round(seconds * 1000)
