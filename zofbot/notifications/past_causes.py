"""What an alert says about the past of its causes: how often each was seen, and how it was last resolved."""

from __future__ import annotations

from zofbot.domain.frozen_model import FrozenModel

MAX_PAST_CAUSES = 3
"""Causes of one alert whose past is shown."""


class Resolution(FrozenModel):
    """How a person resolved a failure before it failed again; ``at`` is Unix seconds, ``by`` the person's name.

    ``alert`` is the key of the alert on which it was resolved, and ``link`` that message's permalink, filled in when
    a message about it is sent.
    """

    at: float
    by: str = ""
    reason: str = ""
    note: str = ""
    alert: str = ""
    link: str = ""
    before: Resolution | None = None
    """The resolution before this one, which counts again if this one is undone; stored, and not shown."""

    @property
    def channel(self) -> str:
        """The channel in which it was resolved; empty if unknown."""
        return self.alert.rpartition(":")[2]

    def for_channel(self, channel: str) -> Resolution:
        """Return what another channel may see: no note, because that may have been written in a private one."""
        note = self.note if self.channel == channel else ""
        return self.model_copy(update={"note": note, "before": None})


class PastCause(FrozenModel):
    """In how many runs of a project a signature was seen, this one included, and its last resolution.

    ``first`` and ``last`` are Unix seconds; ``count`` is 0 where only the resolution is remembered.
    """

    signature: str
    count: int = 0
    first: float = 0.0
    last: float = 0.0
    resolved: Resolution | None = None

    def for_channel(self, channel: str) -> PastCause:
        """Return what a channel may see of it."""
        resolved = self.resolved.for_channel(channel) if self.resolved else None
        return self.model_copy(update={"resolved": resolved})
