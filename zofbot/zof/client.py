"""Client of Zof's API: retries, deadlines, quota, request ids, for interactive and background calls alike."""

from __future__ import annotations

import asyncio
import random as _random
import ssl
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

import httpx
import stamina
import stamina.instrumentation
import structlog

from zofbot import __version__
from zofbot.clock import Clock, timeout
from zofbot.domain.errors import SettingsError, ZofError, ZofRejected, ZofUnavailable, ZofUnreadable
from zofbot.domain.model import Endpoint, Project, Result, Run, Schedule
from zofbot.observability.emitter import EventEmitter
from zofbot.observability.events.calls import ZofCall, ZofTry
from zofbot.zof import admin_parsing, pagination, parsing, protocol
from zofbot.zof.decompression import BadEncoding, BodyTooLarge, Decompressor
from zofbot.zof.errors import build_error
from zofbot.zof.pagination import ListedT, ListRequest, QueryFilters
from zofbot.zof.personal_quota import PersonalQuotas
from zofbot.zof.protocol import MAX_ATTEMPTS, MAX_WAIT_SECONDS, TRY_AGAIN_HINT, Page
from zofbot.zof.proxy import proxy_for
from zofbot.zof.quota import QuotaGate, SharedQuota
from zofbot.zof.request import CallState, TimeBudget, ZofReply, ZofRequest

__all__ = ["Page", "SharedQuota", "TimeBudget", "ZofClient", "ZofReply"]

T = TypeVar("T")

MAX_BODY_BYTES = 5 * 1024 * 1024
MAX_ERROR_BODY_BYTES = 16 * 1024
MAX_INLINE_BYTES = 64 * 1024
"""Larger replies are parsed in a thread; smaller ones take a few milliseconds."""
MAX_REDIRECTS = 3
# httpx's pool scans every connection per request: four measured fastest, and Zof's quota needs no more.
_LIMITS = httpx.Limits(max_connections=4, max_keepalive_connections=4)
# Limits of one attempt, so that a hanging connection leaves time for another. Waiting for the pool has the deadline.
_TIMEOUT = httpx.Timeout(10, connect=5, pool=None)
_LOCATION_EXTENSION = "zofbot.location"
_OPERATOR_FIX = "An operator must check ZOF_BASE_URL, ZOF_API_KEY and the proxy settings."

log = structlog.get_logger()


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
        clock: Clock,
        events: EventEmitter,
        board: SharedQuota | None = None,
        random: Callable[[], float] = _random.random,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """Raise SettingsError if the base URL, the key or the environment's proxy is invalid."""
        self._key = _check_key(key)
        self._base = _check_base_url(base_url)
        self._filters = QueryFilters(status_param, project_param, since_param)
        self._unit: parsing.DurationUnit = bare_duration_unit
        self._events = events
        self._clock = clock
        self._random = random
        self._quota_gate = QuotaGate(board, clock)
        self._personal_quotas = PersonalQuotas(clock)
        self._logged_sunsets: set[str] = set()
        self._http = _make_http_client(self._base, self._key, transport)
        # stamina's hooks would log exceptions, which contain ids typed by people; each call is logged once instead.
        stamina.instrumentation.set_on_retry_hooks([])

    def use_key(self, key: str) -> None:
        """Use another key from the next request on. Raises SettingsError if it is invalid."""
        self._key = _check_key(key)
        self._http.headers["Authorization"] = f"Bearer {self._key}"

    async def aclose(self) -> None:
        """Close the pooled connections."""
        await self._http.aclose()

    async def get_result(self, id: str, *, patience: TimeBudget = TimeBudget.FOLLOW_UP) -> Result:  # noqa: A002  # Zof's name
        """Fetch one result."""
        request = ZofRequest("/results/{id}", f"result `{id}`", protocol.check_id(id, "result"))
        found = await self._send_request(
            request,
            lambda found, request_id: parsing.parse_result(found, asked=id, request_id=request_id, unit=self._unit),
            patience,
        )
        return found.without_future_times(self._clock.now())

    async def get_run(self, id: str, *, patience: TimeBudget = TimeBudget.FOLLOW_UP) -> Run:  # noqa: A002  # Zof's name
        """Fetch one run, with the results embedded in it."""
        request = ZofRequest("/runs/{id}", f"run `{id}`", protocol.check_id(id, "run"))
        found = await self._send_request(
            request,
            lambda found, request_id: parsing.parse_run(found, asked=id, request_id=request_id, unit=self._unit),
            patience,
        )
        return found.without_future_times(self._clock.now())

    def list_results(  # noqa: PLR0913  # Zof's filters, and how far to page
        self,
        *,
        run_id: str | None = None,
        status: str | None = None,
        since: datetime | None = None,
        starting_after: str | None = None,
        patience: TimeBudget = TimeBudget.FOLLOW_UP,
        pages: int = 10,
    ) -> AsyncGenerator[Page[Result], None]:
        """Page through results: to the end, to a missing or repeated cursor, or for at most ``pages`` pages.

        ``run_id`` and ``status`` are applied here too, in case Zof ignores them; ``since`` is only sent to Zof.
        """
        request = ZofRequest("/results", "list of results", deed="read the")
        if run_id is not None:
            query = {"run_id": protocol.check_id(run_id, "run")}
            request = replace(request, what=f"list of results of run `{run_id}`", query=query)

        def is_wanted(item: Result) -> bool:
            return pagination.has_status(item, status) and (run_id is None or item.run_id in (None, run_id))

        listing = ListRequest(
            request,
            self._filters.to_query(status, None, since),
            is_wanted,
            lambda found, request_id: parsing.parse_results_page(found, request_id=request_id, unit=self._unit),
        )
        return self._list_pages(listing, patience, starting_after, pages)

    def list_runs(  # noqa: PLR0913  # Zof's filters, and how far to page
        self,
        *,
        status: str | None = None,
        project: str | None = None,
        since: datetime | None = None,
        starting_after: str | None = None,
        patience: TimeBudget = TimeBudget.FOLLOW_UP,
        pages: int = 10,
    ) -> AsyncGenerator[Page[Run], None]:
        """Page through runs like ``list_results``; ``project`` is an id, or a name if Zof ignores the filter."""
        listing = ListRequest(
            ZofRequest("/runs", "list of runs", deed="read the"),
            self._filters.to_query(status, project, since),
            lambda item: pagination.has_status(item, status) and pagination.is_of_project(item, project),
            lambda found, request_id: parsing.parse_runs_page(found, request_id=request_id, unit=self._unit),
        )
        return self._list_pages(listing, patience, starting_after, pages)

    def list_projects(
        self, *, patience: TimeBudget = TimeBudget.FOLLOW_UP, pages: int = 10
    ) -> AsyncGenerator[Page[Project], None]:
        """Page through the projects like ``list_results``; needs ``projects:read``."""
        return self._list_unfiltered("/projects", "list of projects", parsing.parse_projects_page, patience, pages)

    def list_schedules(
        self, *, patience: TimeBudget = TimeBudget.FOLLOW_UP, pages: int = 10
    ) -> AsyncGenerator[Page[Schedule], None]:
        """Page through the schedules, including paused ones, like ``list_results``."""
        return self._list_unfiltered(
            "/schedules", "list of schedules", admin_parsing.parse_schedules_page, patience, pages
        )

    def list_endpoints(
        self, *, patience: TimeBudget = TimeBudget.FOLLOW_UP, pages: int = 10
    ) -> AsyncGenerator[Page[Endpoint], None]:
        """Page through the webhook endpoints like ``list_results``; needs ``webhooks:manage``."""
        return self._list_unfiltered(
            "/webhooks", "list of webhooks", admin_parsing.parse_endpoints_page, patience, pages
        )

    async def add_endpoint(self, url: str, events: Sequence[str], secret: str) -> Endpoint:
        """Register an endpoint for these events, signed with ``secret`` or with the secret that Zof returns.

        Not retried, so that it is never registered twice. Needs ``webhooks:manage``.
        """
        body = {"url": url, "events": list(events), "secret": secret}
        request = ZofRequest("/webhooks", "webhooks", method="POST", deed="register", body=body, secrets=(secret,))
        return await self._send_request(
            request, lambda found, request_id: admin_parsing.parse_endpoint(found), TimeBudget.FOLLOW_UP
        )

    async def try_endpoint(self, id: str) -> None:  # noqa: A002  # Zof's name
        """Have Zof send a sample delivery to an endpoint; needs ``webhooks:manage``."""
        await self.post("/webhooks/{id}/test", id, what="the sample delivery of a webhook", deed="send")

    def _list_unfiltered(
        self,
        path: str,
        what: str,
        read: Callable[..., Page[ListedT]],
        patience: TimeBudget,
        pages: int,
    ) -> AsyncGenerator[Page[ListedT], None]:
        """Page through a listing that has no filters."""
        listing = ListRequest(
            ZofRequest(path, what, deed="read the"),
            {},
            lambda item: True,
            lambda found, request_id: read(found, request_id=request_id),
        )
        return self._list_pages(listing, patience, None, pages)

    async def post(  # noqa: PLR0913  # the request, and how errors name it
        self,
        template: str,
        item: str | None = None,
        *,
        what: str,
        deed: str,
        body: object = None,
        idempotency_key: str | None = None,
        patience: TimeBudget = TimeBudget.FOLLOW_UP,
    ) -> ZofReply:
        """Send a POST request; retried only with an ``idempotency_key`` (at most 64 characters).

        ``deed`` and ``what`` complete "the key is not allowed to …", such as "cancel" and "run `run_1`".
        """
        request = ZofRequest(template, what, item, "POST", deed, body=body, idempotency_key=idempotency_key)
        return await self._send_request(request, ZofReply, patience)

    def _list_pages(
        self, listing: ListRequest[ListedT], patience: TimeBudget, starting_after: str | None, most: int
    ) -> AsyncGenerator[Page[ListedT], None]:
        deadline: float | None = None

        async def fetch_page(cursor: str | None) -> Page[ListedT]:
            nonlocal deadline
            if deadline is None or patience.background:
                deadline = self._clock.monotonic() + patience.seconds
            return await self._fetch_page(listing, cursor, patience, deadline)

        return pagination.iterate_pages(fetch_page, listing.request.template, starting_after, most)

    async def _fetch_page(
        self, listing: ListRequest[ListedT], cursor: str | None, patience: TimeBudget, deadline: float
    ) -> Page[ListedT]:
        filters = self._filters.without_refused(listing.filters)
        while True:
            query = {**listing.request.query, **filters, "limit": str(protocol.PAGE_SIZE)}
            if cursor is not None:
                query["starting_after"] = cursor
            try:
                page = await self._send_request(replace(listing.request, query=query), listing.read, patience, deadline)
            except ZofRejected as error:
                remaining = self._filters.drop_refused(error, filters)
                if remaining is None:
                    raise
                filters = remaining
            else:
                now = self._clock.now()
                return replace(
                    page, items=tuple(_without_future_times(item, now) for item in page if listing.keep(item))
                )

    async def _send_request(
        self,
        request: ZofRequest,
        read: Callable[[object, str | None], T],
        patience: TimeBudget,
        deadline: float | None = None,
    ) -> T:
        """Run one call to its value or error, and report it once, whatever the outcome."""
        self._personal_quotas.spend_request(self._quota_gate.quota)
        started = self._clock.monotonic()
        call = CallState(request, started + patience.seconds if deadline is None else deadline, started)
        outcome = "crashed"
        cause: BaseException | None = None
        try:
            value = await self._call_within_deadline(call, read, patience)
            outcome = "ok"
        except ZofError as error:
            error.status, error.request_id = call.status, call.request_id
            outcome, cause = error.kind, error.__cause__
            raise
        except asyncio.CancelledError:
            outcome = "canceled"
            raise
        finally:
            self._report_call(call, outcome, self._clock.monotonic() - started, cause)
        return value

    def _report_call(self, call: CallState, outcome: str, seconds: float, cause: BaseException | None) -> None:
        self._events.emit(ZofCall(
            call.request.method, call.request.template, call.status, call.tries, seconds, call.request_id, outcome,
            call.date, self._quota_gate.quota, type(cause).__name__ if cause else "",
        ))  # fmt: skip

    async def _call_within_deadline(
        self, call: CallState, read: Callable[[object, str | None], T], patience: TimeBudget
    ) -> T:
        remaining = call.deadline - self._clock.monotonic()
        try:
            async with timeout(remaining):
                if remaining <= 0:
                    raise TimeoutError  # asyncio would send the request before checking the clock
                if patience.background:
                    await self._quota_gate.wait_for_quota(min(MAX_WAIT_SECONDS, remaining))
                return await self._call_with_retries(call, read)
        except TimeoutError as error:
            raise ZofUnavailable(
                f"Zof did not answer within {patience.seconds:g} s.", "Try again in a minute."
            ) from error

    async def _call_with_retries(self, call: CallState, read: Callable[[object, str | None], T]) -> T:
        # The deadline is asyncio's: stamina's ends neither an attempt nor a wait in progress.
        delay = partial(self._retry_delay, call)
        async for attempt in stamina.retry_context(on=delay, attempts=MAX_ATTEMPTS, timeout=None):
            with attempt, self._emit_try(call):
                call.begin_try()
                found = await self._try_once(call)
                return await _run_off_loop(call.bytes, read, found, call.request_id)
        raise AssertionError("stamina raises when it gives up")

    @contextmanager
    def _emit_try(self, call: CallState) -> Iterator[None]:
        """Emit one attempt: outcome, duration, and wait before it began."""
        started, outcome, cause = self._clock.monotonic(), "crashed", ""
        try:
            yield
            outcome = "ok"
        except ZofError as error:
            outcome, cause = error.kind, type(error.__cause__).__name__ if error.__cause__ else ""
            raise
        except asyncio.CancelledError:
            outcome = "given up"
            raise
        finally:
            ended = self._clock.monotonic()
            self._events.emit(ZofTry(
                call.request.method, call.request.template, call.status, outcome, cause, call.request_id,
                ended - started, started - call.idle,
            ))  # fmt: skip
            call.idle = ended

    def _retry_delay(self, call: CallState, error: Exception) -> float | bool:
        """Return the seconds until the next attempt, or False for none."""
        if not isinstance(error, ZofUnavailable) or not call.request.is_repeatable:
            return False
        wait = protocol.retry_delay(call.tries, self._random(), error.retry_at, self._clock.now())
        fits = wait <= MAX_WAIT_SECONDS and self._clock.monotonic() + wait < call.deadline
        return wait if fits else False

    async def _try_once(self, call: CallState) -> object:
        try:
            return await self._follow_redirects(call)
        except (httpx.TimeoutException, httpx.NetworkError, httpx.RemoteProtocolError) as error:
            raise _unreachable_error(error) from error
        except (httpx.HTTPError, httpx.InvalidURL):
            # Not chained: httpx quotes invalid headers, and one holds the key.
            raise ZofRejected("The request could not be sent to Zof.", _OPERATOR_FIX) from None

    async def _follow_redirects(self, call: CallState) -> object:
        request = call.request
        url = httpx.URL(self._base + protocol.fill_path(request.template, request.item))
        if request.query:
            url = url.copy_merge_params(request.query)
        headers = {} if request.idempotency_key is None else {"Idempotency-Key": request.idempotency_key}
        for _ in range(1 + MAX_REDIRECTS):
            async with self._http.stream(request.method, url, json=request.body, headers=headers) as reply:
                await self._read_headers(call, reply)
                if (location := reply.extensions.get(_LOCATION_EXTENSION)) is None:
                    return await self._read_reply(call, reply)
                url = _redirect_target(request, url, location)
        raise ZofUnreadable("Zof sends the request on and on.", "An operator must check ZOF_BASE_URL.")

    async def _read_headers(self, call: CallState, reply: httpx.Response) -> None:
        call.status = reply.status_code
        call.date = reply.headers.get("date", "")
        call.request_id = protocol.clean_header(reply.headers.get("x-request-id"))
        sunset = protocol.clean_header(reply.headers.get("sunset"))
        if sunset and call.request.template not in self._logged_sunsets:
            self._logged_sunsets.add(call.request.template)
            log.warning("zof endpoint ends", template=call.request.template, sunset=sunset)
        await self._quota_gate.update_quota(protocol.parse_quota(reply.headers, self._clock.now()))

    async def _read_reply(self, call: CallState, reply: httpx.Response) -> object:
        request = call.request
        if not reply.is_success:
            body = await _read_error_body(reply)
            raise build_error(
                reply.status_code, reply.headers, body, request.what,
                now=self._clock.now(), deed=request.deed, secrets=(self._key, *request.secrets),
                permission=protocol.PERMISSION_BY_ENDPOINT.get((request.method, request.template), ""),
            )  # fmt: skip
        body = await _read_body(reply)
        if not body.strip() and request.method != "GET":
            return None
        call.bytes = len(body)
        return await _run_off_loop(call.bytes, protocol.parse_json, body, reply.headers.get("content-type", ""))


def _without_future_times(item: ListedT, now: datetime) -> ListedT:
    return item.without_future_times(now) if isinstance(item, Run | Result) else item


async def _run_off_loop(size: int, work: Callable[[Any, Any], T], *arguments: Any) -> T:
    """Run pure work on a reply of ``size`` bytes; in a thread if it is large, so that the loop is not blocked."""
    return await asyncio.to_thread(work, *arguments) if size > MAX_INLINE_BYTES else work(*arguments)


async def _read_body(reply: httpx.Response) -> bytes:
    try:
        body = Decompressor(reply.headers.get("content-encoding", ""), MAX_BODY_BYTES)
        async for chunk in reply.stream:  # type: ignore[union-attr]  # an AsyncClient's stream is async
            body.add_chunk(chunk)
        return body.read_whole()
    except BodyTooLarge:
        raise ZofUnreadable("Zof's answer is larger than 5 MiB and was cut off.", "Ask for less at once.") from None
    except BadEncoding as error:
        raise ZofUnreadable("Zof's answer is packed in a way that cannot be undone.", TRY_AGAIN_HINT) from error


async def _read_error_body(reply: httpx.Response) -> bytes:
    """Return the beginning of an error's body; what could be decoded if it is damaged."""
    body = Decompressor("", MAX_ERROR_BODY_BYTES)
    try:
        body = Decompressor(reply.headers.get("content-encoding", ""), MAX_ERROR_BODY_BYTES)
        async for chunk in reply.stream:  # type: ignore[union-attr]  # an AsyncClient's stream is async
            body.add_chunk(chunk)
    except (BodyTooLarge, BadEncoding):
        return body.so_far()
    return body.so_far()


def _unreachable_error(error: httpx.TransportError) -> ZofUnavailable:
    if isinstance(error, httpx.TimeoutException):
        return ZofUnavailable("Zof did not answer in time.", "Try again in a minute.")
    if isinstance(error.__context__, ssl.SSLCertVerificationError) or "CERTIFICATE_VERIFY_FAILED" in str(error):
        return ZofUnavailable("The certificate at Zof's address is not trusted.", _OPERATOR_FIX)
    return ZofUnavailable("Zof could not be reached.", "Try again in a minute.")


async def _hide_location(reply: httpx.Response) -> None:
    """Hide a redirect from httpx, which parses the target even without following it, and may raise."""
    if reply.has_redirect_location:
        reply.extensions[_LOCATION_EXTENSION] = reply.headers.pop("location")


def _redirect_target(request: ZofRequest, origin: httpx.URL, location: str) -> httpx.URL:
    """Return the target of a redirect. Raises ZofUnreadable for another origin, which must not get the key."""
    try:
        target = origin.join(location)
    except (httpx.InvalidURL, ValueError):
        target = httpx.URL()
    is_same_origin = (target.scheme, target.host, target.port) == (origin.scheme, origin.host, origin.port)
    if request.method == "GET" and is_same_origin and not target.userinfo:
        return target
    raise ZofUnreadable(
        "Zof's address sends the request elsewhere, and the bot does not follow with its key.",
        "An operator must check ZOF_BASE_URL.",
    )


def _check_key(key: str) -> str:
    key = key.strip()
    if not key or protocol.clean_header(key, len(key)) != key:
        raise SettingsError(["ZOF_API_KEY is empty or holds characters no key can have; copy it again from Zof."])
    return key


def _check_base_url(base_url: str) -> str:
    try:
        url = httpx.URL(base_url.strip())
    except httpx.InvalidURL:
        url = httpx.URL()
    if url.scheme not in ("http", "https") or not url.host or url.userinfo or url.query or url.fragment:
        raise SettingsError(["ZOF_BASE_URL must be an address such as https://api.zof.ai/v1."])
    return str(url).rstrip("/")


def _make_http_client(base: str, key: str, transport: httpx.AsyncBaseTransport | None) -> httpx.AsyncClient:
    """Make the pooled client, with the environment's proxies and certificates.

    httpx's own parsing of NO_PROXY raises for a range of IPv6 addresses. Loading the certificates takes 40 ms and is
    skipped for plain HTTP.
    """
    proxy = None if transport else proxy_for(base)
    is_encrypted = bool(proxy) or (base.startswith("https:") and not transport)
    try:
        return httpx.AsyncClient(
            headers={
                "Authorization": f"Bearer {key}",
                "Accept": "application/json",
                "Accept-Encoding": "gzip",
                "User-Agent": f"zofbot/{__version__}",
            },
            proxy=proxy,
            verify=httpx.create_ssl_context(trust_env=True) if is_encrypted else False,
            limits=_LIMITS,
            timeout=_TIMEOUT,
            transport=transport,
            follow_redirects=False,
            event_hooks={"response": [_hide_location]},
            trust_env=False,
        )
    except (ImportError, ValueError, httpx.InvalidURL):
        # Not quoted: a proxy's URL may hold a password.
        raise SettingsError(["HTTPS_PROXY, HTTP_PROXY or ALL_PROXY cannot be used; give it as http://…"]) from None
