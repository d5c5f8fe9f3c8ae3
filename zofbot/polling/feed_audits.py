"""Audits of the feeds: each reads a feed again, further back than its scans, and counts what those missed."""

from __future__ import annotations

from dataclasses import replace

from zofbot.observability.events.polling import FeedAudited
from zofbot.polling.checkpoint import PollCheckpoint
from zofbot.polling.context import PollContext
from zofbot.polling.cursor import FEEDS, Feed, FeedCursor

AUDIT_INTERVAL_SECONDS = 3600.0
"""Seconds between two audits of a feed, which compare its listing with the items handled."""

AUDIT_LOOK_BACK_SECONDS = 24 * 3600.0
"""Seconds that an audit goes back, or the look-back if longer: a run is listed by its start and may take that long."""

AUDIT_RETRY_SECONDS = 600.0
"""Seconds until the next audit of a feed whose last scan or audit ended at a page that could not be read."""


class FeedAudits:
    """The audit of each feed, with a cursor of its own."""

    def __init__(self, context: PollContext, checkpoint: PollCheckpoint) -> None:
        self._context = context
        self._checkpoint = checkpoint

    def has_begun(self) -> bool:
        """Whether the audit of any feed has begun and not ended."""
        return any(self._audit_of(feed).began is not None for feed in FEEDS)

    def start_due_audits(self) -> list[tuple[Feed, str, FeedCursor]]:
        """Start the audits that are due. Return each that has begun as feed, name of its cursor, and cursor."""
        for feed in FEEDS:
            known, audit = self._checkpoint.cursor_of(feed.name), self._audit_of(feed)
            if audit.began is None and known.order and self._is_due(feed):
                now = self._context.unix_time()
                mark = now - max(AUDIT_LOOK_BACK_SECONDS, self._context.settings.lookback)
                mark = mark if audit.back is None else min(mark, audit.back)
                begun = replace(known.start_scan(now, mark), complete=audit.complete, back=audit.back)
                self._checkpoint.save_cursor(_audit_name(feed), begun)
        active = ((feed, _audit_name(feed), self._audit_of(feed)) for feed in FEEDS)
        return [(feed, name, audit) for feed, name, audit in active if audit.began is not None]

    def finish(self, feed: Feed, before: FeedCursor, after: FeedCursor) -> None:
        """End an audit, given its cursor before and after its last page."""
        if after.back is not None and after.back >= after.mark:
            self._checkpoint.save_cursor(_audit_name(feed), replace(after, back=None))
        self._report(feed, before.mark)

    def count_scan(self, feed: Feed) -> None:
        """Count a scan of a feed without a detectable order as an audit if one is due: it has read everything."""
        if self._is_due(feed):
            self._checkpoint.save_cursor(_audit_name(feed), FeedCursor(complete=self._context.unix_time()))
            self._report(feed, 0)

    def is_extended(self, feed: Feed) -> bool:
        """Whether the next audit has to go back to where a scan ended at a page that could not be read."""
        return self._audit_of(feed).back is not None

    def extend(self, feed: Feed, mark: float) -> None:
        """Let the next audit go back to ``mark`` (Unix seconds), and start it sooner."""
        self._checkpoint.start_scan(_audit_name(feed), self._audit_of(feed).reach_back(mark))

    def _audit_of(self, feed: Feed) -> FeedCursor:
        return self._checkpoint.cursor_of(_audit_name(feed))

    def _is_due(self, feed: Feed) -> bool:
        audit = self._audit_of(feed)
        seconds = AUDIT_INTERVAL_SECONDS if audit.back is None else AUDIT_RETRY_SECONDS
        return self._context.unix_time() - (audit.complete or self._checkpoint.opened) >= seconds

    def _report(self, feed: Feed, since: float) -> None:
        missed = self._context.missed.pop(feed.name, 0)
        self._context.events.emit(FeedAudited(feed.name, missed, since, self._context.unix_time()))


def _audit_name(feed: Feed) -> str:
    """Return the name under which an audit's cursor is stored."""
    return f"audit of {feed.name}"
