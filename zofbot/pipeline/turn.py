"""One turn of the poller: hints are followed, listings walked, and what that brings is decided on and committed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import structlog

from zofbot.errors import ZofRejected, ZofUnavailable, ZofUnreadable
from zofbot.model import Outcome
from zofbot.pipeline import rules
from zofbot.pipeline.counting import first_in_rows
from zofbot.pipeline.feeds import FEEDS, field_of
from zofbot.pipeline.means import Decision, Means, Tick
from zofbot.pipeline.memory import Memory, channels_of, roots_in, scope
from zofbot.pipeline.notebook import Failing, Notebook
from zofbot.pipeline.roots import Root
from zofbot.pipeline.subscription_cache import SUBSCRIPTIONS, SubscriptionCache
from zofbot.pipeline.walks import Walks
from zofbot.routing import Finding, Notice
from zofbot.store.hints import Watch
from zofbot.store.leases import Fence
from zofbot.store.outbox import Changed

log = structlog.get_logger()

LONGEST_WATCH = 24 * 3600.0
"""Seconds after which a run that does not end is taken as it is, and one that cannot be read is given up."""

UNKNOWN_SECONDS = 600.0
"""How long a run that Zof does not know is asked for: what was announced may not be readable yet."""

SOONEST, LATEST = 15.0, 900.0
"""Seconds until a run that has not ended is looked at again: half of what it was watched for, within these."""

_FEEDS = frozenset(feed.name for feed in FEEDS)

COMMIT_SECONDS = 1.0
"""How long a finding waits for others to be committed with."""


class Turn:
    """Begun once the lease is held; what it finds is committed with ``fence``."""

    def __init__(self, means: Means, book: Notebook, subscriptions: SubscriptionCache, fence: Fence) -> None:
        self.tick = Tick(leads=True)
        self._means = means
        self._book = book
        self._subscriptions = subscriptions
        self._fence = fence
        self._findings: list[Finding | Notice] = []
        self._committed = means.now()

    async def work(self, *, feeds: bool) -> Tick:
        """Follow what is due and, with ``feeds``, walk the listings; raises ZofUnavailable once all is committed."""
        try:
            await self._follow(spare=len(FEEDS) if feeds else 0)
            if feeds:
                await Walks(self._means, self._book, self.tick).go()
                await self._follow()
        except ZofUnavailable:
            await self._commit()
            raise
        await self._commit()
        return self.tick

    async def _follow(self, spare: int = 0) -> None:
        for watch in self._book.due(self._means.now()):
            if self._means.reader.left <= spare:
                return
            await self._look(watch)
            if self._means.now() - self._committed >= COMMIT_SECONDS:
                await self._commit()

    async def _look(self, watch: Watch) -> None:
        try:
            found = await self._read(watch)
        except (ZofRejected, ZofUnreadable) as error:
            self._cannot(watch, error)
            return
        except ZofUnavailable:
            self._again(watch, self._means.now())  # the others first, should it be this one alone
            raise
        self.tick.read += 1
        if isinstance(found, Notice):
            self._settle(watch, found, ())
        elif found.ended:
            self._settle(watch, found, [field_of(found.run), *_fields(found)])
            if found.partial:
                self._book.note_partly(found.run.id, found.happened)
        elif self._means.now() - watch.since < LONGEST_WATCH:
            self._again(replace(watch, refused=0.0), watch.since)
        else:
            log.warning("run does not end", run=watch.subject, status=found.run.status, failures=found.total)
            over = {"outcome": Outcome.UNKNOWN, "ended": self._means.clock.now()}
            self._settle(watch, replace(found, run=found.run.model_copy(update=over)), _fields(found))

    async def _read(self, watch: Watch) -> Finding | Notice:
        match watch.kind:
            case "run":
                return await self._means.reader.run(watch)
            case "result":
                return await self._means.reader.result(watch)
            case _:
                return await self._means.reader.notice(watch)

    def _settle(self, watch: Watch, found: Finding | Notice, fields: Iterable[str]) -> None:
        self._findings.append(found)
        source = "poll" if watch.why in _FEEDS else "webhook"
        self._means.metrics.intake.labels(source).inc()
        self._means.metrics.intake_lag.labels(source).observe(max(0.0, self._means.now() - found.happened))
        self._book.note((*watch.seen, *fields), found.happened)
        self._book.close(watch)

    def _again(self, watch: Watch, since: float) -> None:
        now = self._means.now()
        self._book.watch(replace(watch, due=now + min(max(SOONEST, (now - since) / 2), LATEST)))

    def _cannot(self, watch: Watch, error: ZofRejected | ZofUnreadable) -> None:
        """Ask again for what Zof would not show, until there is no hope."""
        now = self._means.now()
        first = watch.refused or now
        if now - first < (UNKNOWN_SECONDS if error.status == 404 else LONGEST_WATCH):
            self._again(replace(watch, refused=first), first)
            return
        log.error("given up", kind=watch.kind, id=watch.subject, why=watch.why, cause=error.sentence,
                  request_id=error.request_id)  # fmt: skip
        self._means.metrics.poll_given_up.inc()
        self._book.note(watch.seen, watch.since)
        self._book.close(watch)

    async def _commit(self) -> None:
        """Decide on what was found, and store all of it in one step; anew where a mute has changed meanwhile."""
        self._committed = self._means.now()
        findings, self._findings = self._findings, []
        while True:
            try:
                await self._commit_decision(findings)
                return
            except Changed:
                log.info("a mute has changed, decided anew", findings=len(findings))

    async def _commit_decision(self, findings: Sequence[Finding | Notice]) -> None:
        """Store one decision, or nothing where nothing is new. Raises Changed."""
        decision = await self._decided(findings) if findings else rules.Decision()
        noted = self._book.changes()
        if decision.notifications or decision.changes or noted:
            self.tick.committed += await self._means.outbox.commit(
                decision.notifications, changes={**decision.changes, **noted}, fence=self._fence,
                expect=decision.expected,
            )  # fmt: skip

    async def _decided(self, findings: Sequence[Finding | Notice]) -> Decision:
        means, default = self._means, self._means.default_channel
        memory = await self._remembered(findings)
        decision = means.decide(
            findings,
            self._subscriptions.all,
            memory,
            means.now(),
            lookback=means.now() - self._book.floor,  # what a pause has made late is late, not old
            default_channel=default,
        )
        self._hope(findings, memory.changed(decision.changes))
        return decision

    async def _remembered(self, findings: Sequence[Finding | Notice]) -> Memory:
        """What the rules look at, and the subscriptions as they are now: reading Zof may have taken long."""
        default = self._means.default_channel
        while True:
            names = {name for found in findings for name in self._names(found, default)}
            read = await self._means.outbox.hashes(SUBSCRIPTIONS, *sorted(names))
            if not self._subscriptions.update(read.pop(SUBSCRIPTIONS)):
                return Memory.read(read)

    def _names(self, found: Finding | Notice, default: str) -> tuple[str, ...]:
        failing = self._book.failing.get(scope(found)) if isinstance(found, Finding) else None
        channels = failing.channels if failing else ()
        return Memory.names(found, self._subscriptions.all, default, channels)

    def _hope(self, findings: Sequence[Finding | Notice], memory: Memory) -> None:
        """Note where failures are open, counted in a row or may have recovered earlier: what passed since matters."""
        channels = sorted(channels_of(self._subscriptions.all, self._means.default_channel))
        told = {found.run.id for found in findings if isinstance(found, Finding)}
        for place in {scope(found) for found in findings if isinstance(found, Finding)}:
            kept = ((channel, memory.hashes.get(roots_in(channel, place), {})) for channel in channels)
            read = ((channel, Root.model_validate_json(value)) for channel, all_ in kept for value in all_.values())
            news = [(channel, root) for channel, root in read if root.recovered is None or told.intersection(root.runs)]
            row = first_in_rows(memory, self._subscriptions.all, place)
            rows = () if row is None else (row,)
            since = min((*(root.last for _, root in news), *rows), default=None)
            open_ = min((*(root.last for _, root in news if root.recovered is None), *rows), default=None)
            failing = None if since is None else Failing(since, tuple(dict(news)), open_)
            self._book.hope(place, failing, self._means.now())


def _fields(found: Finding) -> Iterable[str]:
    """What is noted of the failures in a run, also of those that were tried again: the listings show them, too."""
    return map(field_of, (*found.bad, *found.retried))
