"""What every poll cycle works with, and the counts it returns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from zofbot.alerting.rules import decide_batch
from zofbot.alerting.state import HashChanges, RuleState
from zofbot.clock import Clock
from zofbot.domain.errors import ZofError
from zofbot.notifications.notification import Notification
from zofbot.observability.emitter import EventEmitter
from zofbot.polling.contacts import FindContacts, find_nobody
from zofbot.polling.cursor import ListOrder
from zofbot.polling.run_reader import RunReader
from zofbot.store.leases import Fence
from zofbot.subscriptions import PlatformEvent, RunFinding, Subscription


class Committable(Protocol):
    """A decision that can be committed."""

    @property
    def notifications(self) -> Sequence[Notification]: ...

    @property
    def changes(self) -> HashChanges: ...

    @property
    def expected(self) -> HashChanges: ...


class DecisionRules(Protocol):
    """The rules. Deciding about the same finding twice must give the same keys."""

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
    """Where decisions are committed. All methods raise StoreUnavailable; ``commit`` LeaseLost and CommitConflict."""

    async def commit(
        self,
        notifications: Sequence[Notification],
        *,
        changes: Mapping[str, Mapping[str, str | None]] | None = None,
        fence: Fence | None = None,
        expect: Mapping[str, Mapping[str, str | None]] | None = None,
    ) -> list[str]: ...

    async def read_hashes(self, *names: str, unless_large: Collection[str] = ()) -> dict[str, dict[str, str]]: ...

    async def read_fields(self, *names: tuple[str, str]) -> Sequence[str | None]: ...


@dataclass
class CycleStats:
    """Counts of one poll cycle; ``has_lease``: this process held the lease."""

    has_lease: bool = False
    requests: int = 0
    """Requests to Zof since the last full cycle began."""
    new_items: int = 0
    """Runs and results that the feeds showed for the first time."""
    too_old: int = 0
    """Failures older than the look-back."""
    read: int = 0
    """Runs, results and platform events read in full."""
    committed: list[str] = field(default_factory=list)
    """Keys of new notifications."""
    refused: int = 0
    """Feeds that Zof refused to list, and that have to be read for a cycle to be complete."""
    active_scans: int = 0
    """Feeds and audits that the next cycle continues."""
    pending_runs: int = 0
    """Runs to be read again, or when the request budget allows."""


@dataclass(frozen=True)
class PollSettings:
    """How Zof is polled."""

    interval: float = 60.0
    """Seconds between two scans of all lists."""
    lookback: float = 3600.0
    """Seconds: on a first start, older failures are noted but not posted."""
    requests: int = 20
    """Requests to Zof at most in one interval, or in a minute of a longer one."""
    order: ListOrder | None = None
    """The order of Zof's lists, if an operator set it."""
    default_channel: str = ""
    """Channel for failures that no subscription matches."""


@dataclass(frozen=True)
class PollContext:
    """What every cycle of one poller works with.

    ``missed`` and ``too_old`` count, by feed, what is logged at the end of its audit and of its first scan;
    ``refused`` has the last logged reason why a feed cannot be read.
    """

    outbox: PollOutbox
    reader: RunReader
    settings: PollSettings
    events: EventEmitter
    clock: Clock
    decide: DecisionRules = decide_batch
    find_contacts: FindContacts = find_nobody
    missed: Counter[str] = field(default_factory=Counter)
    too_old: Counter[str] = field(default_factory=Counter)
    refused: dict[str, ZofError] = field(default_factory=dict)

    def unix_time(self) -> float:
        """Return the time in Unix seconds."""
        return self.clock.time()
