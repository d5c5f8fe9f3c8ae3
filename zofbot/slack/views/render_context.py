"""Context for rendering a message besides its payload."""

from __future__ import annotations

from dataclasses import dataclass

from zofbot.notifications.notification import Claim
from zofbot.notifications.payloads import FailurePayload
from zofbot.slack.links import ZofLinks
from zofbot.slack.views.triage.pressed_button import FailureRef
from zofbot.triage import TriageRecord


@dataclass(frozen=True)
class RenderContext:
    """The notification, its failure's state at ``now`` (Unix seconds), and the available actions."""

    claim: Claim
    now: float
    links: ZofLinks
    failure: FailurePayload | None
    """The failure that the message shows or is about, if known."""
    present: TriageRecord
    runs: bool
    """Whether runs may be started."""
    storm: bool
    """Whether it is part of a storm."""

    @property
    def key(self) -> str:
        """The key of the failure's own message."""
        return self.claim.notification.root or self.claim.notification.key

    @property
    def failure_ref(self) -> FailureRef:
        return FailureRef(self.key, self.present.card_version)
