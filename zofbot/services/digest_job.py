"""The digest job: reads data for due digests with part of each poll cycle's requests, and commits each digest once.

The poller runs it, so only the process with the lease does. Data is kept in memory for all digests that are due
together; a process that takes over starts again, which costs requests but sends nothing twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

import structlog

from zofbot.domain.errors import ZofError, ZofUnavailable
from zofbot.domain.model import Result, Run
from zofbot.notifications import payloads
from zofbot.notifications.notification import Notification, NotificationKind
from zofbot.polling import time_window
from zofbot.polling.checkpoint import PollCheckpoint
from zofbot.polling.context import PollContext
from zofbot.polling.cursor import FeedCursor, ListingName
from zofbot.services.digest_causes import add_causes
from zofbot.services.digest_report import DigestData, DueDigest, build_digest, due_digests
from zofbot.services.shift_reports import shift_report_for
from zofbot.services.triage import TriageService
from zofbot.store.audit import AuditLog
from zofbot.store.digests import DIGESTS_HASH, LAST_DIGESTS_HASH, parse_digest_records
from zofbot.store.leases import Fence, HeldLease
from zofbot.subscriptions import Subscription

log = structlog.get_logger()

MAX_PAGES_BY_LISTING: dict[ListingName, int] = {"runs": 10, "results": 20}
"""Maximum pages to read of each listing; the digest says when there was more."""

MAX_READ_SECONDS = 1800.0
"""Seconds after which a digest is sent with what was read so far."""


@dataclass
class _DigestScan:
    """Progress of reading one listing back to the start of the longest digest period."""

    noun: ListingName
    progress: FeedCursor
    over: bool = False
    cut: bool = False

    @property
    def cursor_name(self) -> str:
        """Name under which the poll checkpoint keeps the listing's order."""
        return f"digest {self.noun}"


@dataclass
class _DigestBatch:
    """Digests that are due together, and the data read for them."""

    dues: list[DueDigest]
    began: float
    walks: list[_DigestScan]
    items: dict[str, Run | Result] = field(default_factory=dict)
    trouble: ZofError | None = None

    def note_outage(self, error: ZofUnavailable) -> None:
        """Note that the next cycle must continue, and why, for a digest that is sent before."""
        self.trouble = error
        log.info("digests wait for zof", cause=error.sentence, request_id=error.request_id)

    def collect_data(self) -> DigestData:
        """Return the data read, with since when it is complete if a listing was not read to its end."""
        runs = [item for item in self.items.values() if isinstance(item, Run)]
        results = [item for item in self.items.values() if isinstance(item, Result)]
        cut = [scan.noun for scan in self.walks if scan.cut or not scan.over]
        return DigestData.from_listings(runs, results, self.began, cut=cut, trouble=self.trouble)


class DigestJob:
    """Digest job that runs in the poll cycle, with the poller's lease and request allowance."""

    HASHES = (DIGESTS_HASH, LAST_DIGESTS_HASH)

    def __init__(self, failures: TriageService, audit: AuditLog) -> None:
        self._failures, self._audit = failures, audit
        self._batch: _DigestBatch | None = None

    def reset_batch(self) -> None:
        """Drop the data read so far: another process has the lease."""
        self._batch = None

    async def advance_digests(
        self,
        context: PollContext,
        held: HeldLease,
        checkpoint: PollCheckpoint,
        subscriptions: Sequence[Subscription],
        outage: ZofUnavailable | None,
    ) -> None:
        """Continue reading for due digests, and commit them once all is read, or enough time has passed.

        After an ``outage`` in this cycle, Zof is not asked again. Raises StoreUnavailable and LeaseLost.
        """
        if self._batch is None:
            found = due_digests(
                parse_digest_records(held.hashes[DIGESTS_HASH]), held.hashes[LAST_DIGESTS_HASH], context.unix_time()
            )
            if not found:
                return
            self._batch = self._start_batch(context, checkpoint, found)
        batch = self._batch
        if outage:
            batch.note_outage(outage)
        else:
            await self._read_listings(context, checkpoint, batch)
        if all(scan.over for scan in batch.walks) or context.unix_time() - batch.began >= MAX_READ_SECONDS:
            await self._commit_digests(context, batch, held.fence, subscriptions)
            self._batch = None

    def _start_batch(self, context: PollContext, checkpoint: PollCheckpoint, found: list[DueDigest]) -> _DigestBatch:
        back = min(item.starts_at for item in found)
        scans = []
        for noun in MAX_PAGES_BY_LISTING:
            scan = _DigestScan(noun, FeedCursor())
            scan.progress = time_window.start_window(
                context.unix_time(), back, known=checkpoint.cursor_of(scan.cursor_name)
            )
            scans.append(scan)
        log.info("digests due", count=len(found), since=back)
        return _DigestBatch(found, context.unix_time(), scans)

    async def _read_listings(self, context: PollContext, checkpoint: PollCheckpoint, batch: _DigestBatch) -> None:
        """Read pages with at most half of the requests of one interval; errors are kept for the digest to mention."""
        left = min(context.reader.remaining, context.reader.budget // 2)
        for scan in batch.walks:
            if scan.over or left <= 0:
                continue
            try:
                left -= await self._read_pages(context, batch, scan, left)
                if isinstance(batch.trouble, ZofUnavailable):  # a refusal stays, to be mentioned in the digest
                    batch.trouble = None
            except ZofUnavailable as error:  # the next cycle continues
                batch.note_outage(error)
                return
            except ZofError as error:
                batch.trouble, scan.over = error, True
                log.warning("digests without a listing", noun=scan.noun, cause=error.sentence,
                            request_id=error.request_id)  # fmt: skip
            checkpoint.start_scan(scan.cursor_name, scan.progress.finish_scan() if scan.over else scan.progress)

    async def _read_pages(self, context: PollContext, batch: _DigestBatch, scan: _DigestScan, most: int) -> int:
        """Read up to ``most`` pages of a listing; returns the number read. Raises ZofError."""
        read = 0
        async with aclosing(context.reader.listing_pages(scan.noun, scan.progress)) as pages:
            async for page in pages:
                read += 1
                batch.items |= {f"{scan.noun}:{item.id}": item for item in page.items}
                scan.progress = scan.progress.advance_past(page, known=True, order=context.settings.order)
                scan.cut = scan.progress.pages >= MAX_PAGES_BY_LISTING[scan.noun]
                scan.over = scan.cut or scan.progress.began is None
                if scan.over or read >= most:
                    break
        return read

    async def _commit_digests(
        self, context: PollContext, batch: _DigestBatch, fence: Fence, subscriptions: Sequence[Subscription]
    ) -> None:
        """Commit each digest together with the note that it is done, removing it from the batch."""
        failures = await self._failures.list_failures()
        audit_records = await self._audit.read_records(min(due.starts_at for due in batch.dues))
        read = batch.collect_data()
        while batch.dues:
            due_digest = batch.dues[0]
            channel = due_digest.regular.channel
            own = [subscription for subscription in subscriptions if subscription.channel == channel]
            body = build_digest(
                due_digest, read, shift_report_for(failures, audit_records, channel, due_digest.starts_at), own
            )
            body = add_causes(body, failures, channel)
            note = Notification(
                key=due_digest.key,
                kind=NotificationKind.ROOT,
                channel=channel,
                body=payloads.dump_payload(body),
                happened=due_digest.ends_at,
            )
            await context.outbox.commit([note], changes={LAST_DIGESTS_HASH: {channel: due_digest.key}}, fence=fence)
            log.info("digest", key=due_digest.key, runs=body.runs, cut=body.back is not None)
            del batch.dues[0]
            await asyncio.sleep(0)  # let other tasks run
