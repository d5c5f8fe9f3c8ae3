"""The digester: reads for the digests that are due, a fair share of each cycle, and promises each once.

It belongs to the poller, so of all processes the one with the lease does it. What is read is kept in memory, for all
digests that are due together; a process that takes over begins anew, which costs requests and doubles nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

import structlog

from zofbot.clock import Clock
from zofbot.errors import ZofError, ZofUnavailable
from zofbot.model import Result, Run
from zofbot.notification import Claimed, Kind, Notification, Unwanted
from zofbot.pipeline import window
from zofbot.pipeline.digest import Due, Read, digest, due
from zofbot.pipeline.failures import Failures
from zofbot.pipeline.feeds import Noun, Progress
from zofbot.pipeline.means import Means
from zofbot.pipeline.notebook import Notebook
from zofbot.pipeline.shifts import worked
from zofbot.routing import Subscription
from zofbot.routing.rhythm import latest, spelled
from zofbot.slack import digests
from zofbot.store.audit import Audit
from zofbot.store.digests import DIGESTED, DIGESTS, digest_of, readable
from zofbot.store.leases import Fence, Held
from zofbot.store.outbox import Outbox

log = structlog.get_logger()

PAGES: dict[Noun, int] = {"runs": 10, "results": 20}
"""Pages of each listing that are read for the digests that are due together; more are said to be left out."""

GIVE_UP = 1800.0
"""Seconds after which a digest says what was read, though Zof has not shown all."""


@dataclass
class _Walk:
    """One listing on its way back to the beginning of the longest digest."""

    noun: Noun
    progress: Progress
    pages: int = 0
    over: bool = False
    cut: bool = False

    @property
    def name(self) -> str:
        """Under which it is known which way the listing goes."""
        return f"digest {self.noun}"


@dataclass
class _Batch:
    """Digests that are due together, and what was read for them."""

    dues: list[Due]
    began: float
    walks: list[_Walk]
    items: dict[str, Run | Result] = field(default_factory=dict)
    trouble: ZofError | None = None

    def read(self) -> Read:
        """What was read, and how far back where that is not all."""
        runs = [one for one in self.items.values() if isinstance(one, Run)]
        results = [one for one in self.items.values() if isinstance(one, Result)]
        cut = any(walk.cut for walk in self.walks)
        return Read.of(runs, results, self.began, cut=cut, trouble=self.trouble)


class Digester:
    """Works in the poller's turns, with its lease and its allowance of requests."""

    HASHES = (DIGESTS, DIGESTED)

    def __init__(self, failures: Failures, audit: Audit) -> None:
        self._failures, self._audit = failures, audit
        self._batch: _Batch | None = None

    def forget(self) -> None:
        """Another process has the lease now."""
        self._batch = None

    async def work(self, means: Means, held: Held, book: Notebook, subscriptions: Sequence[Subscription]) -> None:
        """Read on for what is due, and promise it once all was read. Raises StoreUnavailable and Fenced."""
        if self._batch is None:
            found = due(readable(held.hashes[DIGESTS]), held.hashes[DIGESTED], means.now())
            if not found:
                return
            self._batch = self._begun(means, book, found)
        batch = self._batch
        await self._read(means, book, batch)
        if all(walk.over for walk in batch.walks) or means.now() - batch.began >= GIVE_UP:
            await self._commit(means, batch, held.fence, subscriptions)
            self._batch = None

    def _begun(self, means: Means, book: Notebook, found: list[Due]) -> _Batch:
        back = min(one.since for one in found)
        walks = []
        for noun in PAGES:
            walk = _Walk(noun, Progress())
            walk.progress = window.begun(means.now(), back, known=book.progress(walk.name))
            walks.append(walk)
        log.info("digests due", count=len(found), since=back)
        return _Batch(found, means.now(), walks)

    async def _read(self, means: Means, book: Notebook, batch: _Batch) -> None:
        """Read pages, half of what may be asked in one interval at most; failures to read are kept to be said."""
        left = min(means.reader.left, means.reader.most // 2)
        for walk in batch.walks:
            if walk.over or left <= 0:
                continue
            try:
                left -= await self._walked(means, batch, walk, left)
                if isinstance(batch.trouble, ZofUnavailable):  # what was refused stays so, and is to be said
                    batch.trouble = None
            except ZofUnavailable as error:  # the next cycle goes on
                batch.trouble = error
                log.info("digests wait for zof", cause=error.sentence, request_id=error.request_id)
                return
            except ZofError as error:
                batch.trouble, walk.over = error, True
                log.warning("digests without a listing", noun=walk.noun, cause=error.sentence,
                            request_id=error.request_id)  # fmt: skip
            book.begun(walk.name, walk.progress.end() if walk.over else walk.progress)

    async def _walked(self, means: Means, batch: _Batch, walk: _Walk, most: int) -> int:
        """Read up to ``most`` pages of a listing; how many it were. Raises ZofError."""
        read = 0
        async with aclosing(means.reader.listing(walk.noun, walk.progress)) as pages:
            async for page in pages:
                read, walk.pages = read + 1, walk.pages + 1
                batch.items |= {f"{walk.noun}:{one.id}": one for one in page.items}
                walk.progress = walk.progress.after(page, known=True, order=means.order)
                walk.cut = walk.progress.began is not None and walk.pages >= PAGES[walk.noun]
                walk.over = walk.cut or walk.progress.began is None
                if walk.over or read >= most:
                    break
        return read

    async def _commit(self, means: Means, batch: _Batch, fence: Fence, subscriptions: Sequence[Subscription]) -> None:
        """Promise each digest, and note that it was, in one step; what is done already is left away from the batch."""
        failures = await self._failures.all()
        acts = await self._audit.read(min(one.since for one in batch.dues))
        read = batch.read()
        while batch.dues:
            one = batch.dues[0]
            channel = one.regular.channel
            own = [subscription for subscription in subscriptions if subscription.channel == channel]
            body = digest(one, read, worked(failures, acts, channel, one.since), own)
            note = Notification(
                key=one.key, kind=Kind.ROOT, channel=channel, body=digests.stored(body), happened=one.until
            )
            await means.outbox.commit([note], changes={DIGESTED: {channel: one.key}}, fence=fence)
            log.info("digest", key=one.key, runs=body.runs, cut=body.back is not None)
            del batch.dues[0]
            await asyncio.sleep(0)  # others get their turn


def wanted(outbox: Outbox, clock: Clock) -> Callable[[Claimed], Awaitable[Claimed]]:
    """Give what is done with each notification before it is drawn: a digest nobody wants any more is not.

    It was switched off, or set to another time, or a later one is due, for its channel took nothing for days.
    """

    async def before(claimed: Claimed) -> Claimed:
        body = claimed.notification.body
        if body.get("card") != digests.CARD:
            return claimed
        regular, _ = await digest_of(outbox, claimed.notification.channel)
        if regular is None or (spelled(regular.rhythm), regular.rhythm.zone) != (
            body.get("rhythm"),
            body.get("zone", "UTC"),
        ):
            raise Unwanted
        if latest(regular.rhythm, clock.time()).at > float(body.get("until", 0)):
            raise Unwanted
        return claimed

    return before
