"""A settlement: how one attempt at a notification ended, and what the outbox is to make of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Self

from zofbot.notification import Claimed, Receipt


@dataclass(frozen=True)
class _Settled(ABC):
    """``attempt`` is the fencing token: what was claimed by another worker since then is left alone."""

    key: str
    attempt: int

    @classmethod
    def of(cls, claim: Claimed, *facts: object) -> Self:
        """Settle ``claim``."""
        return cls(claim.notification.key, claim.attempt, *facts)

    def arguments(self) -> tuple[str, str, int, str | int, str]:
        """Verb, key, attempt, what the verb needs, reason: as ``settle.lua`` reads them."""
        verb, value = self._verb()
        return verb, self.key, self.attempt, value, getattr(self, "reason", "")

    @abstractmethod
    def _verb(self) -> tuple[str, str | int]:
        """The verb, and what it needs."""


@dataclass(frozen=True)
class Sent(_Settled):
    """It stands in Slack."""

    receipt: Receipt

    def _verb(self) -> tuple[str, str | int]:
        return "sent", place(self.receipt)


class Adopted(Sent):
    """It stood in Slack already: an earlier attempt had got through."""


@dataclass(frozen=True)
class Deferred(_Settled):
    """Certainly not there: again in so many seconds, ``whole_channel`` with everything else that its channel gets."""

    seconds: float
    whole_channel: bool
    reason: str

    def _verb(self) -> tuple[str, str | int]:
        return "held" if self.whole_channel else "deferred", _ms(self.seconds)


@dataclass(frozen=True)
class Unknown(_Settled):
    """May be there: somebody looks in so many seconds."""

    reason: str
    seconds: float

    def _verb(self) -> tuple[str, str | int]:
        return "unknown", _ms(self.seconds)


@dataclass(frozen=True)
class Refused(_Settled):
    """Never as it is: dead, or, where the channel ``parks``, waiting until the channel is mended."""

    reason: str
    parks: bool = False

    def _verb(self) -> tuple[str, str | int]:
        return "parked" if self.parks else "refused", 0


@dataclass(frozen=True)
class Halted(_Settled):
    """Slack takes nothing at all from us: everything pauses, a second at first, a minute at most."""

    reason: str

    def _verb(self) -> tuple[str, str | int]:
        return "halted", 0


@dataclass(frozen=True)
class Gone(_Settled):
    """The message it belongs to was deleted from ``place``: one fresh root ever, then this once more."""

    place: Receipt
    reason: str

    def _verb(self) -> tuple[str, str | int]:
        return "gone", place(self.place)


@dataclass(frozen=True)
class Dropped(_Settled):
    """No longer wanted."""

    reason: str

    def _verb(self) -> tuple[str, str | int]:
        return "dropped", 0


@dataclass(frozen=True)
class Snoozed(_Settled):
    """Not begun: again in so many seconds."""

    seconds: float

    def _verb(self) -> tuple[str, str | int]:
        return "snoozed", _ms(self.seconds)


Settlement = Sent | Deferred | Unknown | Refused | Halted | Gone | Dropped | Snoozed


def place(receipt: Receipt) -> str:
    """A receipt as it is kept."""
    return f"{receipt.channel} {receipt.ts}"


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
