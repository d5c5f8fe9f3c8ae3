"""The organization's projects and schedules in Zof, each listing cached once per process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import Generic, TypeVar

import structlog

from zofbot.clock import Clock, timeout
from zofbot.domain.errors import ZofError, ZofRejected, ZofUnavailable
from zofbot.domain.model import Project, Schedule
from zofbot.zof.client import Page, TimeBudget, ZofClient
from zofbot.zof.personal_quota import charge_to_nobody

log = structlog.get_logger()

CatalogItem = TypeVar("CatalogItem", Project, Schedule)

CACHE_SECONDS = 300.0
"""Seconds before a listing is read again."""

RETRY_SECONDS = 60.0
"""Seconds before a failed listing is read again."""

MAX_LISTING_SECONDS = 15.0
"""Seconds that all pages of one listing may take."""


class CachedListing(Generic[CatalogItem]):
    """One listing as last read: ``items``, whether they are all (``complete``), and the latest ``error``, if any.

    After a refusal it has no items; after any other error it keeps the last known ones.
    """

    def __init__(self, pages: Callable[[], AsyncGenerator[Page[CatalogItem], None]], clock: Clock) -> None:
        self.items: tuple[CatalogItem, ...] = ()
        self.complete = False
        self.error: ZofError | None = None
        self._pages: Callable[[], AsyncGenerator[Page[CatalogItem], None]] = pages
        self._clock = clock
        self._read_at = 0.0
        self._reading = asyncio.Lock()

    @property
    def is_stale(self) -> bool:
        """Whether it is time to read again, also because the clock was set back."""
        return abs(self._clock.time() - self._read_at) >= (RETRY_SECONDS if self.error else CACHE_SECONDS)

    @property
    def refusal_error(self) -> ZofRejected | None:
        """The 403 error, if the API key may not read this listing."""
        return self.error if isinstance(self.error, ZofRejected) and self.error.status == 403 else None

    async def refresh(self) -> None:
        """Read the listing if it is stale and not being read already; never raises ZofError."""
        async with self._reading:
            if not self.is_stale:
                return
            with charge_to_nobody():
                self.error = await self._read_pages()
            if self.error:
                log.info("listing not read", cause=self.error.sentence, request_id=self.error.request_id)
            self._read_at = self._clock.time()

    async def _read_pages(self) -> ZofError | None:
        found: list[CatalogItem] = []
        more = False
        try:
            async with timeout(MAX_LISTING_SECONDS):
                async for page in self._pages():
                    found += page
                    more = page.more
        except ZofRejected as error:
            self.items, self.complete = (), False
            return error
        except ZofError as error:
            return error
        except TimeoutError:
            return ZofUnavailable(
                f"Zof did not return the list within {MAX_LISTING_SECONDS:.0f} s.", "Try again in a minute."
            )
        self.items, self.complete = tuple(found), not more
        return None


class Catalog:
    """The organization's projects and schedules, shared by the whole process."""

    def __init__(self, zof: ZofClient, clock: Clock) -> None:
        time_budget = TimeBudget(MAX_LISTING_SECONDS, background=True)  # people's lookups go first
        self.projects: CachedListing[Project] = CachedListing(lambda: zof.list_projects(time_budget=time_budget), clock)
        self.schedules: CachedListing[Schedule] = CachedListing(
            lambda: zof.list_schedules(time_budget=time_budget), clock
        )

    @property
    def is_stale(self) -> bool:
        """Whether it is time to read one of them again."""
        return self.projects.is_stale or self.schedules.is_stale

    @property
    def refusal_errors(self) -> tuple[ZofRejected, ...]:
        """The 403 errors of those that the API key may not read."""
        return tuple(each for each in (self.projects.refusal_error, self.schedules.refusal_error) if each)

    async def refresh(self) -> None:
        """Read those that are stale."""
        await asyncio.gather(self.projects.refresh(), self.schedules.refresh())

    def named_schedules(self) -> list[Schedule]:
        """Return the schedules, with project names instead of ids where known."""
        names = {each.id: each.name or each.id for each in self.projects.items}
        return [
            each.model_copy(update={"project": names.get(each.project or "", each.project)})
            for each in self.schedules.items
        ]

    def schedule_name(self, identifier: str) -> str | None:
        """Return a schedule's name; None if it is unknown."""
        return next((each.name for each in self.schedules.items if each.id == identifier), None)
