"""One turn of the poller: hints are followed, listings walked, and what that brings is decided on and committed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import structlog

from zofbot.alerting import rules
from zofbot.alerting.alerts import Alert
from zofbot.alerting.counting import first_in_rows
from zofbot.alerting.state import RuleState, alerts_hash, scope_key, subscribed_channels
from zofbot.domain.errors import ZofRejected, ZofUnavailable, ZofUnreadable
from zofbot.domain.model import Outcome
from zofbot.polling.checkpoint import OpenScope, PollCheckpoint
from zofbot.polling.context import Committable, CycleStats, PollContext
from zofbot.polling.cursor import FEEDS, item_key
from zofbot.polling.scanner import FeedScanner
from zofbot.polling.subscription_cache import SUBSCRIPTIONS, SubscriptionCache
from zofbot.store.leases import Fence
from zofbot.store.outbox import CommitConflict
from zofbot.store.pending_runs import PendingRun
from zofbot.subscriptions import PlatformEvent, RunFinding

log = structlog.get_logger()

MAX_WATCH_SECONDS = 24 * 3600.0
"""Seconds after which a run that does not end is taken as it is, and one that cannot be read is given up."""

UNKNOWN_RUN_SECONDS = 600.0
"""How long a run that Zof does not know is asked for: what was announced may not be readable yet."""

MIN_RECHECK_SECONDS, MAX_RECHECK_SECONDS = 15.0, 900.0
"""Seconds until a run that has not ended is looked at again: half of what it was watched for, within these."""

_FEED_NAMES = frozenset(feed.name for feed in FEEDS)

COMMIT_INTERVAL_SECONDS = 1.0
"""How long a finding waits for others to be committed with."""


class PollCycle:
    """Begun once the lease is held; what it finds is committed with ``fence``."""

    def __init__(
        self, means: PollContext, book: PollCheckpoint, subscriptions: SubscriptionCache, fence: Fence
    ) -> None:
        self.tick = CycleStats(leads=True)
        self._means = means
        self._book = book
        self._subscriptions = subscriptions
        self._fence = fence
        self._findings: list[RunFinding | PlatformEvent] = []
        self._committed = means.unix_time()

    async def run(self, *, feeds: bool) -> CycleStats:
        """Follow what is due and, with ``feeds``, walk the listings; raises ZofUnavailable once all is committed."""
        try:
            await self._read_due(spare=len(FEEDS) if feeds else 0)
            if feeds:
                await FeedScanner(self._means, self._book, self.tick).scan_feeds()
                await self._read_due()
        except ZofUnavailable:
            await self._commit_findings()
            raise
        await self._commit_findings()
        return self.tick

    async def _read_due(self, spare: int = 0) -> None:
        for watch in self._book.due_runs(self._means.unix_time()):
            if self._means.reader.left <= spare:
                return
            await self._read_pending(watch)
            if self._means.unix_time() - self._committed >= COMMIT_INTERVAL_SECONDS:
                await self._commit_findings()

    async def _read_pending(self, watch: PendingRun) -> None:
        try:
            found = await self._fetch_pending(watch)
        except (ZofRejected, ZofUnreadable) as error:
            self._handle_unreadable(watch, error)
            return
        except ZofUnavailable:
            self._reschedule_pending(watch, self._means.unix_time())  # the others first, should it be this one alone
            raise
        self.tick.read += 1
        if isinstance(found, PlatformEvent):
            self._finish_pending(watch, found, ())
        elif found.has_ended:
            self._finish_pending(watch, found, [item_key(found.run), *_bad_result_keys(found)])
            if found.is_partial:
                self._book.mark_truncated(found.run.id, found.happened)
        elif self._means.unix_time() - watch.since < MAX_WATCH_SECONDS:
            self._reschedule_pending(replace(watch, refused=0.0), watch.since)
        else:
            log.warning("run does not end", run=watch.subject, status=found.run.status, failures=found.total)
            over = {"outcome": Outcome.UNKNOWN, "ended": self._means.clock.now()}
            self._finish_pending(watch, replace(found, run=found.run.model_copy(update=over)), _bad_result_keys(found))

    async def _fetch_pending(self, watch: PendingRun) -> RunFinding | PlatformEvent:
        match watch.kind:
            case "run":
                return await self._means.reader.read_run(watch)
            case "result":
                return await self._means.reader.read_result(watch)
            case _:
                return await self._means.reader.read_platform_event(watch)

    def _finish_pending(self, watch: PendingRun, found: RunFinding | PlatformEvent, fields: Iterable[str]) -> None:
        self._findings.append(found)
        source = "poll" if watch.why in _FEED_NAMES else "webhook"
        self._means.metrics.intake.labels(source).inc()
        self._means.metrics.intake_lag.labels(source).observe(max(0.0, self._means.unix_time() - found.happened))
        self._book.mark_handled((*watch.seen, *fields), found.happened)
        self._book.remove_pending(watch)

    def _reschedule_pending(self, watch: PendingRun, since: float) -> None:
        now = self._means.unix_time()
        self._book.add_pending(
            replace(watch, due=now + min(max(MIN_RECHECK_SECONDS, (now - since) / 2), MAX_RECHECK_SECONDS))
        )

    def _handle_unreadable(self, watch: PendingRun, error: ZofRejected | ZofUnreadable) -> None:
        """Ask again for what Zof would not show, until there is no hope."""
        now = self._means.unix_time()
        first = watch.refused or now
        if now - first < (UNKNOWN_RUN_SECONDS if error.status == 404 else MAX_WATCH_SECONDS):
            self._reschedule_pending(replace(watch, refused=first), first)
            return
        log.error("given up", kind=watch.kind, id=watch.subject, why=watch.why, cause=error.sentence,
                  request_id=error.request_id)  # fmt: skip
        self._means.metrics.poll_given_up.inc()
        self._book.mark_handled(watch.seen, watch.since)
        self._book.remove_pending(watch)

    async def _commit_findings(self) -> None:
        """Decide on what was found, and store all of it in one step; anew where a mute has changed meanwhile."""
        self._committed = self._means.unix_time()
        findings, self._findings = self._findings, []
        while True:
            try:
                await self._commit_decision(findings)
                return
            except CommitConflict:
                log.info("a mute has changed, decided anew", findings=len(findings))

    async def _commit_decision(self, findings: Sequence[RunFinding | PlatformEvent]) -> None:
        """Store one decision, or nothing where nothing is new. Raises CommitConflict."""
        decision = await self._decide_findings(findings) if findings else rules.Decision()
        noted = self._book.take_changes()
        if decision.notifications or decision.changes or noted:
            self.tick.committed += await self._means.outbox.commit(
                decision.notifications, changes={**decision.changes, **noted}, fence=self._fence,
                expect=decision.expected,
            )  # fmt: skip

    async def _decide_findings(self, findings: Sequence[RunFinding | PlatformEvent]) -> Committable:
        means, default = self._means, self._means.default_channel
        memory = await self._remembered(findings)
        decision = means.decide(
            findings,
            self._subscriptions.all,
            memory,
            means.unix_time(),
            lookback=means.unix_time() - self._book.floor,  # what a pause has made late is late, not old
            default_channel=default,
        )
        self._update_open_scopes(findings, memory.with_changes(decision.changes))
        return decision

    async def _remembered(self, findings: Sequence[RunFinding | PlatformEvent]) -> RuleState:
        """What the rules look at, and the subscriptions as they are now: reading Zof may have taken long."""
        default = self._means.default_channel
        while True:
            names = {name for found in findings for name in self._needed_hashes(found, default)}
            read = await self._means.outbox.read_hashes(SUBSCRIPTIONS, *sorted(names))
            if not self._subscriptions.update(read.pop(SUBSCRIPTIONS)):
                return RuleState.from_hashes(read)

    def _needed_hashes(self, found: RunFinding | PlatformEvent, default: str) -> tuple[str, ...]:
        failing = self._book.failing.get(scope_key(found)) if isinstance(found, RunFinding) else None
        channels = failing.channels if failing else ()
        return RuleState.hash_names(found, self._subscriptions.all, default, channels)

    def _update_open_scopes(self, findings: Sequence[RunFinding | PlatformEvent], memory: RuleState) -> None:
        """Note where failures are open, counted in a row or may have recovered earlier: what passed since matters."""
        channels = sorted(subscribed_channels(self._subscriptions.all, self._means.default_channel))
        told = {found.run.id for found in findings if isinstance(found, RunFinding)}
        for place in {scope_key(found) for found in findings if isinstance(found, RunFinding)}:
            kept = ((channel, memory.hashes.get(alerts_hash(channel, place), {})) for channel in channels)
            read = ((channel, Alert.model_validate_json(value)) for channel, all_ in kept for value in all_.values())
            news = [(channel, root) for channel, root in read if root.recovered is None or told.intersection(root.runs)]
            row = first_in_rows(memory, self._subscriptions.all, place)
            rows = () if row is None else (row,)
            since = min((*(root.last for _, root in news), *rows), default=None)
            open_ = min((*(root.last for _, root in news if root.recovered is None), *rows), default=None)
            failing = None if since is None else OpenScope(since, tuple(dict(news)), open_)
            self._book.watch_recoveries(place, failing, self._means.unix_time())


def _bad_result_keys(found: RunFinding) -> Iterable[str]:
    """What is noted of the failures in a run, also of those that were tried again: the listings show them, too."""
    return map(item_key, (*found.bad, *found.retried))
