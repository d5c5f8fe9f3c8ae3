"""What Zof publishes about the organization, its projects and schedules: each listed once for all who want it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import Generic, TypeVar

import structlog

from zofbot.clock import Clock, timeout
from zofbot.domain.errors import ZofError, ZofRejected, ZofUnavailable
from zofbot.domain.model import Project, Schedule
from zofbot.zof.client import Page, TimeBudget, ZofClient

log = structlog.get_logger()

CatalogItem = TypeVar("CatalogItem", Project, Schedule)

CACHE_SECONDS = 300.0
"""How long a listing counts before Zof is asked again."""

RETRY_SECONDS = 60.0
"""How long Zof is not asked again for what it did not list."""

MAX_LISTING_SECONDS = 15.0
"""How long all pages of one listing may take."""


class CachedListing(Generic[CatalogItem]):
    """One listing as last read: ``items``, whether they are all (``complete``), and the ``error`` since then, if any.

    A listing that Zof refuses has no items; one that it could not give keeps those that are known.
    """

    def __init__(self, pages: Callable[[], AsyncGenerator[Page[CatalogItem], None]], clock: Clock) -> None:
        self.items: tuple[CatalogItem, ...] = ()
        self.complete = False
        self.error: ZofError | None = None
        self._pages: Callable[[], AsyncGenerator[Page[CatalogItem], None]] = pages
        self._clock = clock
        self._again = 0.0
        self._reading = asyncio.Lock()

    @property
    def is_stale(self) -> bool:
        """Whether it is worth asking again."""
        return self._clock.time() >= self._again

    @property
    def refusal_error(self) -> ZofRejected | None:
        """Why the key may not read it."""
        return self.error if isinstance(self.error, ZofRejected) and self.error.status == 403 else None

    async def refresh(self) -> None:
        """Ask Zof, unless that was done lately or is being done; never raises ZofError."""
        async with self._reading:
            if not self.is_stale:
                return
            self.error = await self._read_pages()
            if self.error:
                log.info("listing not read", cause=self.error.sentence, request_id=self.error.request_id)
            self._again = self._clock.time() + (RETRY_SECONDS if self.error else CACHE_SECONDS)

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
            return ZofUnavailable(f"Zof did not give its listing within {MAX_LISTING_SECONDS:.0f} s.")
        self.items, self.complete = tuple(found), not more
        return None


class Catalog:
    """The projects and schedules of the organization, for all who ask in this process."""

    def __init__(self, zof: ZofClient, clock: Clock) -> None:
        patience = TimeBudget(MAX_LISTING_SECONDS, background=True)  # what people look up goes first
        self.projects: CachedListing[Project] = CachedListing(lambda: zof.list_projects(patience=patience), clock)
        self.schedules: CachedListing[Schedule] = CachedListing(lambda: zof.list_schedules(patience=patience), clock)

    @property
    def is_stale(self) -> bool:
        """Whether it is worth asking again for one of them."""
        return self.projects.is_stale or self.schedules.is_stale

    @property
    def refusal_errors(self) -> tuple[ZofRejected, ...]:
        """What the key may not read of them."""
        return tuple(each for each in (self.projects.refusal_error, self.schedules.refusal_error) if each)

    async def refresh(self) -> None:
        """Read both, as far as they are stale."""
        await asyncio.gather(self.projects.refresh(), self.schedules.refresh())

    def named_schedules(self) -> list[Schedule]:
        """The schedules, each with its project's name where that is known."""
        names = {each.id: each.name or each.id for each in self.projects.items}
        return [
            each.model_copy(update={"project": names.get(each.project or "", each.project)})
            for each in self.schedules.items
        ]

    def schedule_name(self, identifier: str) -> str | None:
        """What a schedule is called, as far as it is known."""
        return next((each.name for each in self.schedules.items if each.id == identifier), None)
