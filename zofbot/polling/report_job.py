"""What the poller has done for reports while it holds its lease."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from zofbot.domain.errors import ZofUnavailable
from zofbot.polling.checkpoint import PollCheckpoint
from zofbot.polling.context import PollContext
from zofbot.store.leases import HeldLease
from zofbot.subscriptions import Subscription


class ReportJob(Protocol):
    """Reads Zof for reports between two cycles, under the poller's lease and within its request budget."""

    @property
    def HASHES(self) -> Sequence[str]:  # noqa: N802  # a class constant of implementations
        """The hashes that it needs, read together with the poller's."""

    def reset_batch(self) -> None:
        """Discard unfinished work because another process holds the lease."""

    async def advance_digests(
        self,
        context: PollContext,
        held: HeldLease,
        checkpoint: PollCheckpoint,
        subscriptions: Sequence[Subscription],
        outage: ZofUnavailable | None,
    ) -> None:
        """Continue reading for the digests that are due, unless an ``outage`` ended the cycle: they wait for its end.

        Raises StoreUnavailable and LeaseLost.
        """
