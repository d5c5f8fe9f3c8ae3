"""What a poller works with, the same for each of its turns, and what one turn comes to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from zofbot.alerting.state import HashChanges, RuleState
from zofbot.clock import Clock
from zofbot.domain.errors import ZofError
from zofbot.notifications.notification import Notification
from zofbot.observability.metrics import Metrics
from zofbot.polling.cursor import ListOrder
from zofbot.polling.run_reader import RunReader
from zofbot.store.leases import Fence
from zofbot.subscriptions import PlatformEvent, RunFinding, Subscription


class Committable(Protocol):
    """What findings come to."""

    @property
    def notifications(self) -> Sequence[Notification]: ...

    @property
    def changes(self) -> HashChanges: ...

    @property
    def expected(self) -> HashChanges: ...


class DecisionRules(Protocol):
    """The rules; hearing of one thing twice must come to the same keys."""

    def __call__(  # noqa: PLR0913  # the last two are settings
        self,
        findings: Iterable[RunFinding | PlatformEvent],
        subscriptions: Sequence[Subscription],
        memory: RuleState,
        now: float,
        *,
        lookback: float,
        default_channel: str,
    ) -> Committable: ...


class PollOutbox(Protocol):
    """Where findings are committed. Both raise StoreUnavailable, and ``commit`` LeaseLost and CommitConflict."""

    async def commit(
        self,
        notifications: Sequence[Notification],
        *,
        changes: Mapping[str, Mapping[str, str | None]] | None = None,
        fence: Fence | None = None,
        expect: Mapping[str, Mapping[str, str | None]] | None = None,
    ) -> list[str]: ...

    async def read_hashes(self, *names: str) -> dict[str, dict[str, str]]: ...


@dataclass
class CycleStats:
    """What one turn came to."""

    leads: bool = False
    requests: int = 0
    """Made to Zof since the last full cycle began."""
    fresh: int = 0
    """Runs and results that the feeds showed for the first time."""
    silent: int = 0
    """Failures older than the look-back."""
    read: int = 0
    """Runs, results and notices read whole."""
    committed: list[str] = field(default_factory=list)
    """Keys that were new."""
    refused: int = 0
    """Feeds that Zof would not list."""
    walking: int = 0
    """Feeds and audits that the next cycle goes on with."""
    watched: int = 0
    """What is looked at again, or waits for a request to be left."""


@dataclass(frozen=True)
class PollContext:
    """What every turn of one poller works with. Seconds.

    ``missed`` and ``silent`` count by feed what the end of its audit and of its first walk are to report;
    ``refused`` has why a feed is not read, as far as that was reported.
    """

    outbox: PollOutbox
    reader: RunReader
    decide: DecisionRules
    metrics: Metrics
    clock: Clock
    lookback: float
    order: ListOrder | None
    default_channel: str
    missed: Counter[str] = field(default_factory=Counter)
    silent: Counter[str] = field(default_factory=Counter)
    refused: dict[str, ZofError] = field(default_factory=dict)

    def unix_time(self) -> float:
        """Unix seconds."""
        return self.clock.time()
