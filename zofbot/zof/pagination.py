"""Pagination of Zof's listings, and filters that are applied here if Zof does not support them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

import structlog

from zofbot.domain.errors import ZofRejected
from zofbot.domain.model import Endpoint, Outcome, Project, Result, Run, Schedule
from zofbot.zof.outcome_words import classify_outcome
from zofbot.zof.protocol import Page, is_input_refusal, refused_filter
from zofbot.zof.request import ZofRequest

ListedT = TypeVar("ListedT", Run, Result, Project, Schedule, Endpoint)

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class ListRequest(Generic[ListedT]):
    """A listing to fetch: ``filters`` are query parameters Zof may refuse, ``keep`` filters the items here."""

    request: ZofRequest
    filters: Mapping[str, str]
    keep: Callable[[ListedT], bool]
    read: Callable[[object, str | None], Page[ListedT]]


class QueryFilters:
    """The undocumented query names of Zof's filters, and which of them Zof has refused.

    A filter with an empty name is not sent (https://zof.ai/docs/api/runs describes the filters without their names).
    """

    def __init__(self, status: str, project: str, since: str) -> None:
        self.status = status
        self.project = project
        self.since = since
        self._refused: set[str] = set()
        self._doubtful: set[str] = set()
        """Filters that Zof refused the last time, without naming them."""

    def to_query(self, status: str | None, project: str | None, since: datetime | None) -> dict[str, str]:
        """Return the query parameters to send."""
        wanted = {self.status: status, self.project: project, self.since: since and since.isoformat()}
        return {name: value for name, value in wanted.items() if name and value}

    def without_refused(self, filters: Mapping[str, str]) -> dict[str, str]:
        """Return the filters that Zof has not refused."""
        return {name: value for name, value in filters.items() if name not in self._refused}

    def find_refused(self, error: ZofRejected, sent: Mapping[str, str], *, cursor: str | None) -> str | None:
        """Return the name of the filter that Zof refused, or None if the error has another cause.

        A refusal that names nothing may be about the status, unless it may be about the cursor.
        """
        if named := refused_filter(error, sent):
            return named
        unnamed = is_input_refusal(error) and not error.param and cursor is None
        return self.status if unnamed and self.status in sent else None

    def note_refusal(self, name: str, value: str, error: ZofRejected) -> None:
        """Never send this filter again if Zof refused it by its name, or twice in a row.

        Except if Zof may only have refused a status word that it does not document. ``error`` is the refusal; Zof has
        since replied to the same request without the filter.
        """
        is_clear = refused_filter(error, [name]) is not None or name in self._doubtful
        self._doubtful.add(name)
        if is_clear and (name != self.status or classify_outcome(value).is_final):
            self._refused.add(name)
        log.warning("zof filter refused", param=name, request_id=error.request_id, kept_off=name in self._refused)

    def note_acceptance(self, sent: Iterable[str]) -> None:
        """Note that Zof replied to a request with these filters."""
        self._doubtful.difference_update(sent)


async def iterate_pages(
    fetch: Callable[[str | None], Awaitable[Page[ListedT]]], template: str, starting_after: str | None, most: int
) -> AsyncGenerator[Page[ListedT], None]:
    """Yield pages by following cursors: to the end, a missing or repeated cursor, or ``most`` pages."""
    cursor = starting_after
    seen = {cursor}
    for _ in range(most):
        page = await fetch(cursor)
        if page.skipped:
            log.warning("zof entries skipped", template=template, count=page.skipped, request_id=page.request_id)
        yield page
        if not page.more:
            return
        cursor = page.next_cursor
        if cursor is None or cursor in seen:
            fault = "missing" if cursor is None else "repeated"
            log.warning("zof cursor", fault=fault, template=template, request_id=page.request_id)
            return
        seen.add(cursor)
    log.info("zof page cap", template=template, pages=most)


def has_status(item: Run | Result, wanted: str | None) -> bool:
    """True if the item may match: the same category, or the same word for an unknown one; or it has no status."""
    if wanted is None or item.status is None:
        return True
    category = classify_outcome(wanted)
    if category is Outcome.UNKNOWN:
        return item.status.casefold() == wanted.strip().casefold()
    return item.outcome is category


def is_of_project(item: Run, wanted: str | None) -> bool:
    """True if the run may belong to the project with this id or name; or it names no project."""
    known = {item.project_id, item.project_name} - {None}
    return wanted is None or not known or wanted in known
