"""Client of Zof's API: what it can be asked, for interactive and background calls alike."""

from __future__ import annotations

import random as _random
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import replace
from datetime import datetime

import httpx

from zofbot.clock import Clock
from zofbot.domain.errors import ZofRejected
from zofbot.domain.extra_fields import DEFAULT_EXTRA_FIELDS, ExtraFields
from zofbot.domain.model import Endpoint, Project, Result, Run, Schedule
from zofbot.observability.emitter import EventEmitter
from zofbot.zof import endpoint_parsing, pagination, parsing, protocol, schedule_parsing
from zofbot.zof.calls import ZofCalls
from zofbot.zof.pagination import ListedT, ListRequest, QueryFilters
from zofbot.zof.protocol import Page
from zofbot.zof.quota import QuotaGate, SharedQuota
from zofbot.zof.request import TimeBudget, ZofReply, ZofRequest
from zofbot.zof.transport.attempt import ZofTransport

__all__ = ["Page", "SharedQuota", "TimeBudget", "ZofClient", "ZofReply"]


class ZofClient:
    """Client of Zof's API; one per process, closed with ``aclose``.

    Every method raises ZofUnavailable, ZofRejected or ZofUnreadable, each with the last attempt's request id, and
    BadInput for an invalid id. ``random`` returns 0 to 1, for jitter.
    """

    def __init__(  # noqa: PLR0913  # one for each undocumented detail of Zof's API
        self,
        *,
        base_url: str,
        key: str,
        status_param: str = "status",
        project_param: str = "project_id",
        since_param: str = "",
        bare_duration_unit: parsing.DurationUnit = "ms",
        extra_fields: ExtraFields = DEFAULT_EXTRA_FIELDS,
        clock: Clock,
        events: EventEmitter,
        shared_quota: SharedQuota | None = None,
        random: Callable[[], float] = _random.random,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """Raise SettingsError if the base URL, the key or the environment's proxy is invalid."""
        self._filters = QueryFilters(status_param, project_param, since_param)
        self._reading: parsing.ReadingOptions = {"unit": bare_duration_unit, "extra_fields": extra_fields}
        self._clock = clock
        quota_gate = QuotaGate(shared_quota, clock)
        self._transport = ZofTransport(base_url, key, clock, quota_gate, transport)
        self._calls = ZofCalls(self._transport, quota_gate, events, clock, random)

    def use_key(self, key: str) -> None:
        """Use another key from the next request on. Raises SettingsError if it is invalid."""
        self._transport.use_key(key)

    async def aclose(self) -> None:
        """Close the pooled connections."""
        await self._transport.aclose()

    async def get_result(self, id: str, *, time_budget: TimeBudget = TimeBudget.FOLLOW_UP) -> Result:  # noqa: A002  # Zof's name
        """Fetch one result."""
        request = ZofRequest("/results/{id}", f"result `{id}`", protocol.check_id(id, "result"))
        found = await self._calls.send_request(
            request,
            lambda found, request_id: parsing.parse_result(found, asked=id, request_id=request_id, **self._reading),
            time_budget,
        )
        return found.without_future_times(self._clock.now())

    async def get_run(self, id: str, *, time_budget: TimeBudget = TimeBudget.FOLLOW_UP) -> Run:  # noqa: A002  # Zof's name
        """Fetch one run, with the results embedded in it."""
        request = ZofRequest("/runs/{id}", f"run `{id}`", protocol.check_id(id, "run"))
        found = await self._calls.send_request(
            request,
            lambda found, request_id: parsing.parse_run(found, asked=id, request_id=request_id, **self._reading),
            time_budget,
        )
        return found.without_future_times(self._clock.now())

    def list_results(  # noqa: PLR0913  # Zof's filters, and how far to page
        self,
        *,
        run_id: str | None = None,
        status: str | None = None,
        since: datetime | None = None,
        starting_after: str | None = None,
        time_budget: TimeBudget = TimeBudget.FOLLOW_UP,
        pages: int = 10,
    ) -> AsyncGenerator[Page[Result], None]:
        """Page through results: to the end, to a missing or repeated cursor, or for at most ``pages`` pages.

        ``run_id`` and ``status`` are applied here too, in case Zof ignores them; ``since`` is only sent to Zof.
        """
        request = ZofRequest("/results", "list of results", verb="read the")
        if run_id is not None:
            query = {"run_id": protocol.check_id(run_id, "run")}
            request = replace(request, what=f"list of results of run `{run_id}`", query=query)

        def is_wanted(item: Result) -> bool:
            return pagination.has_status(item, status) and (run_id is None or item.run_id in (None, run_id))

        listing = ListRequest(
            request,
            self._filters.to_query(status, None, since),
            is_wanted,
            lambda found, request_id: parsing.parse_results_page(found, request_id=request_id, **self._reading),
        )
        return self._list_pages(listing, time_budget, starting_after, pages)

    def list_runs(  # noqa: PLR0913  # Zof's filters, and how far to page
        self,
        *,
        status: str | None = None,
        project: str | None = None,
        since: datetime | None = None,
        starting_after: str | None = None,
        time_budget: TimeBudget = TimeBudget.FOLLOW_UP,
        pages: int = 10,
    ) -> AsyncGenerator[Page[Run], None]:
        """Page through runs like ``list_results``; ``project`` is an id, or a name if Zof ignores the filter."""
        listing = ListRequest(
            ZofRequest("/runs", "list of runs", verb="read the"),
            self._filters.to_query(status, project, since),
            lambda item: pagination.has_status(item, status) and pagination.is_of_project(item, project),
            lambda found, request_id: parsing.parse_runs_page(found, request_id=request_id, **self._reading),
        )
        return self._list_pages(listing, time_budget, starting_after, pages)

    def list_projects(
        self, *, time_budget: TimeBudget = TimeBudget.FOLLOW_UP, pages: int = 10
    ) -> AsyncGenerator[Page[Project], None]:
        """Page through the projects like ``list_results``; needs ``projects:read``."""
        return self._list_unfiltered("/projects", "list of projects", parsing.parse_projects_page, time_budget, pages)

    def list_schedules(
        self, *, time_budget: TimeBudget = TimeBudget.FOLLOW_UP, pages: int = 10
    ) -> AsyncGenerator[Page[Schedule], None]:
        """Page through the schedules, including paused ones, like ``list_results``."""
        return self._list_unfiltered(
            "/schedules", "list of schedules", schedule_parsing.parse_schedules_page, time_budget, pages
        )

    def list_endpoints(
        self, *, time_budget: TimeBudget = TimeBudget.FOLLOW_UP, pages: int = 10
    ) -> AsyncGenerator[Page[Endpoint], None]:
        """Page through the webhook endpoints like ``list_results``; needs ``webhooks:manage``."""
        return self._list_unfiltered(
            "/webhooks", "list of webhooks", endpoint_parsing.parse_endpoints_page, time_budget, pages
        )

    async def add_endpoint(self, url: str, events: Sequence[str], secret: str) -> Endpoint:
        """Register an endpoint for these events, signed with ``secret`` or with the secret that Zof returns.

        Not retried, so that it is never registered twice. Needs ``webhooks:manage``.
        """
        body = {"url": url, "events": list(events), "secret": secret}
        request = ZofRequest("/webhooks", "webhooks", method="POST", verb="register", body=body, secrets=(secret,))
        return await self._calls.send_request(
            request, lambda found, request_id: endpoint_parsing.parse_endpoint(found), TimeBudget.FOLLOW_UP
        )

    async def try_endpoint(self, id: str) -> None:  # noqa: A002  # Zof's name
        """Have Zof send a sample delivery to an endpoint; needs ``webhooks:manage``."""
        await self.post("/webhooks/{id}/test", id, what="the sample delivery of a webhook", verb="send")

    def _list_unfiltered(
        self,
        path: str,
        what: str,
        read: Callable[..., Page[ListedT]],
        time_budget: TimeBudget,
        pages: int,
    ) -> AsyncGenerator[Page[ListedT], None]:
        """Page through a listing that has no filters."""
        listing = ListRequest(
            ZofRequest(path, what, verb="read the"),
            {},
            lambda item: True,
            lambda found, request_id: read(found, request_id=request_id),
        )
        return self._list_pages(listing, time_budget, None, pages)

    async def post(  # noqa: PLR0913  # the request, and how errors name it
        self,
        template: str,
        item: str | None = None,
        *,
        what: str,
        verb: str,
        body: object = None,
        idempotency_key: str | None = None,
        time_budget: TimeBudget = TimeBudget.FOLLOW_UP,
    ) -> ZofReply:
        """Send a POST request; retried only with an ``idempotency_key`` (at most 64 characters).

        ``verb`` and ``what`` complete "the key is not allowed to …", such as "cancel" and "run `run_1`".
        """
        request = ZofRequest(template, what, item, "POST", verb, body=body, idempotency_key=idempotency_key)
        return await self._calls.send_request(request, ZofReply, time_budget)

    def _list_pages(
        self, listing: ListRequest[ListedT], time_budget: TimeBudget, starting_after: str | None, most: int
    ) -> AsyncGenerator[Page[ListedT], None]:
        deadline: float | None = None

        async def fetch_page(cursor: str | None) -> Page[ListedT]:
            nonlocal deadline
            if deadline is None or time_budget.background:
                deadline = self._clock.monotonic() + time_budget.seconds
            return await self._fetch_page(listing, cursor, time_budget, deadline)

        return pagination.iterate_pages(fetch_page, listing.request.template, starting_after, most)

    async def _fetch_page(
        self, listing: ListRequest[ListedT], cursor: str | None, time_budget: TimeBudget, deadline: float
    ) -> Page[ListedT]:
        filters = self._filters.without_refused(listing.filters)
        refusals: dict[str, ZofRejected] = {}
        while True:
            query = {**listing.request.query, **filters, "limit": str(protocol.PAGE_SIZE)}
            if cursor is not None:
                query["starting_after"] = cursor
            try:
                page = await self._calls.send_request(
                    replace(listing.request, query=query), listing.read, time_budget, deadline
                )
            except ZofRejected as error:
                refused = self._filters.find_refused(error, filters, cursor=cursor)
                if refused is None:
                    raise
                del filters[refused]
                refusals[refused] = error
            else:
                for name, refusal in refusals.items():
                    self._filters.note_refusal(name, listing.filters[name], refusal)
                self._filters.note_acceptance(filters)
                now = self._clock.now()
                every = tuple(_without_future_times(item, now) for item in page)
                kept = tuple(item for item in every if listing.keep(item))
                return replace(page, items=kept, unfiltered=every if len(kept) < len(every) else ())


def _without_future_times(item: ListedT, now: datetime) -> ListedT:
    return item.without_future_times(now) if isinstance(item, Run | Result) else item
