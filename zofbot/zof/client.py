"""The one client that asks Zof, for commands, clicks and the poller alike: retries, deadlines, pacing, request ids."""

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
from zofbot.observability import tracing
from zofbot.zof import administration, pagination, parsing, protocol
from zofbot.zof.decompression import BadEncoding, BodyTooLarge, Decompressor
from zofbot.zof.errors import build_error
from zofbot.zof.pagination import ListedT, ListRequest, QueryFilters
from zofbot.zof.personal_quota import PersonalQuotas
from zofbot.zof.protocol import MAX_ATTEMPTS, MAX_WAIT_SECONDS, TRY_AGAIN_HINT, Page
from zofbot.zof.proxy import proxy_for
from zofbot.zof.quota import QuotaGate, SharedQuota
from zofbot.zof.request import CallRecord, CallState, TimeBudget, ZofReply, ZofRequest

__all__ = ["CallRecord", "Page", "SharedQuota", "TimeBudget", "ZofClient", "ZofReply"]

T = TypeVar("T")

MAX_BODY_BYTES = 5 * 1024 * 1024
MAX_ERROR_BODY_BYTES = 16 * 1024
MAX_INLINE_BYTES = 64 * 1024
"""Replies up to here are read within some milliseconds; larger ones are read in a thread."""
MAX_REDIRECTS = 3
MIN_TRACED_WAIT_MILLISECONDS = 50
"""Milliseconds before a try that a trace speaks of; what is shorter is no wait but the machine's own pace."""
# httpx's pool looks through every connection on each turn: it is fastest at four, and Zof's quota asks for no more.
_LIMITS = httpx.Limits(max_connections=4, max_keepalive_connections=4)
# One try's own bounds, so that a silent connection leaves time for another try. The pool's queue has the deadline.
_TIMEOUT = httpx.Timeout(10, connect=5, pool=None)
_LOCATION_EXTENSION = "zofbot.location"
_OPERATOR_FIX = "An operator must check ZOF_BASE_URL, ZOF_API_KEY and the proxy settings."

log = structlog.get_logger()


class ZofClient:
    """Asks Zof. One for each process, closed with ``aclose``.

    Every method raises ZofUnavailable, ZofRejected or ZofUnreadable, each with the last try's request id, and
    BadInput for an id that cannot be one. Times come from ``clock``, the jitter from ``random`` (0 to 1).
    """

    def __init__(  # noqa: PLR0913  # one for each corner of Zof's API that is not documented
        self,
        *,
        base_url: str,
        key: str,
        status_param: str = "status",
        project_param: str = "project_id",
        since_param: str = "",
        bare_duration_unit: parsing.DurationUnit = "ms",
        clock: Clock,
        board: SharedQuota | None = None,
        observe: Callable[[CallRecord], None] | None = None,
        random: Callable[[], float] = _random.random,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """Raise SettingsError when the address, the key or the environment's proxy cannot be used."""
        self._key = _check_key(key)
        self._base = _check_base_url(base_url)
        self._filters = QueryFilters(status_param, project_param, since_param)
        self._unit: parsing.DurationUnit = bare_duration_unit
        self._observe = observe
        self._clock = clock
        self._random = random
        self._pace = QuotaGate(board, clock)
        self._shares = PersonalQuotas(clock)
        self._sunsets: set[str] = set()
        self._http = _make_http_client(self._base, self._key, transport)
        # stamina's own hooks log and count retries by the exception, and ours name ids that people typed; one line
        # and one observation for each call say it better.
        stamina.instrumentation.set_on_retry_hooks([])

    def use_key(self, key: str) -> None:
        """Use another key from the next request on. Raises SettingsError for one that cannot be used."""
        self._key = _check_key(key)
        self._http.headers["Authorization"] = f"Bearer {self._key}"

    async def aclose(self) -> None:
        """Close the pooled connections."""
        await self._http.aclose()

    async def get_result(self, id: str, *, patience: TimeBudget = TimeBudget.FOLLOW_UP) -> Result:  # noqa: A002  # Zof's word
        """Ask for one result."""
        ask = ZofRequest("/results/{id}", f"result `{id}`", protocol.check_id(id, "result"))
        found = await self._send_request(
            ask, lambda found, said: parsing.parse_result(found, asked=id, request_id=said, unit=self._unit), patience
        )
        return found.without_future_times(self._clock.now())

    async def get_run(self, id: str, *, patience: TimeBudget = TimeBudget.FOLLOW_UP) -> Run:  # noqa: A002  # Zof's word
        """Ask for one run, with the results it brings along."""
        ask = ZofRequest("/runs/{id}", f"run `{id}`", protocol.check_id(id, "run"))
        found = await self._send_request(
            ask, lambda found, said: parsing.parse_run(found, asked=id, request_id=said, unit=self._unit), patience
        )
        return found.without_future_times(self._clock.now())

    def list_results(  # noqa: PLR0913  # the filters Zof has, and how far to go
        self,
        *,
        run_id: str | None = None,
        status: str | None = None,
        since: datetime | None = None,
        starting_after: str | None = None,
        patience: TimeBudget = TimeBudget.FOLLOW_UP,
        pages: int = 10,
    ) -> AsyncGenerator[Page[Result], None]:
        """Page through results: to the end, to a missing or repeated cursor, or for so many ``pages``.

        ``run_id`` and ``status`` hold here even where Zof ignores them; ``since`` is but a hint to Zof.
        """
        ask = ZofRequest("/results", "list of results", deed="read the")
        if run_id is not None:
            query = {"run_id": protocol.check_id(run_id, "run")}
            ask = replace(ask, what=f"list of results of run `{run_id}`", query=query)

        def is_wanted(item: Result) -> bool:
            return pagination.has_status(item, status) and (run_id is None or item.run_id in (None, run_id))

        wanted = ListRequest(
            ask,
            self._filters.to_query(status, None, since),
            is_wanted,
            lambda found, said: parsing.parse_results_page(found, request_id=said, unit=self._unit),
        )
        return self._list_pages(wanted, patience, starting_after, pages)

    def list_runs(  # noqa: PLR0913  # the filters Zof has, and how far to go
        self,
        *,
        status: str | None = None,
        project: str | None = None,
        since: datetime | None = None,
        starting_after: str | None = None,
        patience: TimeBudget = TimeBudget.FOLLOW_UP,
        pages: int = 10,
    ) -> AsyncGenerator[Page[Run], None]:
        """Page through runs as ``results`` does; ``project`` is an id, and a name where Zof leaves it to us."""
        wanted = ListRequest(
            ZofRequest("/runs", "list of runs", deed="read the"),
            self._filters.to_query(status, project, since),
            lambda item: pagination.has_status(item, status) and pagination.is_of_project(item, project),
            lambda found, said: parsing.parse_runs_page(found, request_id=said, unit=self._unit),
        )
        return self._list_pages(wanted, patience, starting_after, pages)

    def list_projects(
        self, *, patience: TimeBudget = TimeBudget.FOLLOW_UP, pages: int = 10
    ) -> AsyncGenerator[Page[Project], None]:
        """Page through the projects, as ``results`` does; needs ``projects:read``."""
        return self._list_unfiltered("/projects", "list of projects", parsing.parse_projects_page, patience, pages)

    def list_schedules(
        self, *, patience: TimeBudget = TimeBudget.FOLLOW_UP, pages: int = 10
    ) -> AsyncGenerator[Page[Schedule], None]:
        """Page through the schedules, paused ones included, as ``results`` does."""
        return self._list_unfiltered(
            "/schedules", "list of schedules", administration.parse_schedules_page, patience, pages
        )

    def list_endpoints(
        self, *, patience: TimeBudget = TimeBudget.FOLLOW_UP, pages: int = 10
    ) -> AsyncGenerator[Page[Endpoint], None]:
        """Page through the webhook endpoints, as ``results`` does; needs ``webhooks:manage``."""
        return self._list_unfiltered(
            "/webhooks", "list of webhooks", administration.parse_endpoints_page, patience, pages
        )

    async def add_endpoint(self, url: str, events: Sequence[str], secret: str) -> Endpoint:
        """Have Zof send these events to ``url``, signed with ``secret`` or with one that it returns.

        Tried once only, so that there are never two. Needs ``webhooks:manage``.
        """
        body = {"url": url, "events": list(events), "secret": secret}
        ask = ZofRequest("/webhooks", "webhooks", method="POST", deed="register", body=body, secrets=(secret,))
        return await self._send_request(
            ask, lambda found, said: administration.parse_endpoint(found), TimeBudget.FOLLOW_UP
        )

    async def try_endpoint(self, id: str) -> None:  # noqa: A002  # Zof's word
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
        wanted = ListRequest(
            ZofRequest(path, what, deed="read the"),
            {},
            lambda item: True,
            lambda found, said: read(found, request_id=said),
        )
        return self._list_pages(wanted, patience, None, pages)

    async def post(  # noqa: PLR0913  # what is sent, and how it is called when it fails
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
        """Send something; it is tried again only with an ``idempotency_key`` (64 characters at most).

        ``deed`` and ``what`` complete "the key is not allowed to …": "cancel", "run `run_1`".
        """
        ask = ZofRequest(template, what, item, "POST", deed, body=body, idempotency_key=idempotency_key)
        return await self._send_request(ask, ZofReply, patience)

    def _list_pages(
        self, wanted: ListRequest[ListedT], patience: TimeBudget, starting_after: str | None, most: int
    ) -> AsyncGenerator[Page[ListedT], None]:
        deadline: float | None = None

        async def fetch_page(cursor: str | None) -> Page[ListedT]:
            nonlocal deadline
            if deadline is None or patience.background:
                deadline = self._clock.monotonic() + patience.seconds
            return await self._fetch_page(wanted, cursor, patience, deadline)

        return pagination.iterate_pages(fetch_page, wanted.ask.template, starting_after, most)

    async def _fetch_page(
        self, wanted: ListRequest[ListedT], cursor: str | None, patience: TimeBudget, deadline: float
    ) -> Page[ListedT]:
        filters = self._filters.without_refused(wanted.filters)
        while True:
            query = {**wanted.ask.query, **filters, "limit": str(protocol.PAGE_SIZE)}
            if cursor is not None:
                query["starting_after"] = cursor
            try:
                page = await self._send_request(replace(wanted.ask, query=query), wanted.read, patience, deadline)
            except ZofRejected as error:
                left = self._filters.drop_refused(error, filters)
                if left is None:
                    raise
                filters = left
            else:
                now = self._clock.now()
                return replace(
                    page, items=tuple(_without_future_times(item, now) for item in page if wanted.keep(item))
                )

    async def _send_request(
        self,
        ask: ZofRequest,
        read: Callable[[object, str | None], T],
        patience: TimeBudget,
        deadline: float | None = None,
    ) -> T:
        """Carry one call through to its value or its error, and tell of it once, whatever becomes of it."""
        self._shares.spend_request(self._pace.quota)
        began = self._clock.monotonic()
        call = CallState(ask, began + patience.seconds if deadline is None else deadline, began)
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
            self._report_call(call, outcome, self._clock.monotonic() - began, cause)
        return value

    def _report_call(self, call: CallState, outcome: str, seconds: float, cause: BaseException | None) -> None:
        if not call.tries:
            tracing.record_step("zof", f"{call.ask.method} {call.ask.template}", "not sent", bad=True)
        done = CallRecord(
            call.ask.method, call.ask.template, call.status, call.tries, seconds, call.request_id, outcome,
            call.date, self._pace.quota,
        )  # fmt: skip
        more = {"cause": type(cause).__name__} if cause else {}
        line = log.info if outcome in ("ok", "rejected", "canceled") else log.warning
        line(
            "zof call", method=done.method, template=done.template, status=done.status, tries=done.tries,
            seconds=round(seconds, 3), request_id=done.request_id, outcome=outcome, **more,
        )  # fmt: skip
        if self._observe is not None:
            self._observe(done)

    async def _call_within_deadline(
        self, call: CallState, read: Callable[[object, str | None], T], patience: TimeBudget
    ) -> T:
        left = call.deadline - self._clock.monotonic()
        try:
            async with timeout(left):
                if left <= 0:
                    raise TimeoutError  # asyncio would let the request out before it looks at the clock
                if patience.background:
                    await self._pace.wait_for_quota(min(MAX_WAIT_SECONDS, left))
                return await self._call_with_retries(call, read)
        except TimeoutError as error:
            raise ZofUnavailable(
                f"Zof did not answer within {patience.seconds:g} s.", "Try again in a minute."
            ) from error

    async def _call_with_retries(self, call: CallState, read: Callable[[object, str | None], T]) -> T:
        # The deadline is asyncio's, not stamina's: stamina's ends no try, and no wait that has begun.
        again = partial(self._retry_delay, call)
        async for attempt in stamina.retry_context(on=again, attempts=MAX_ATTEMPTS, timeout=None):
            with attempt, _trace_attempt(call, self._clock.monotonic):
                call.begin_try()
                found = await self._try_once(call)
                return await _run_off_loop(call.bytes, read, found, call.request_id)
        raise AssertionError("stamina gives up by raising")

    def _retry_delay(self, call: CallState, error: Exception) -> float | bool:
        """Seconds until the next try, or False when there is none."""
        if not isinstance(error, ZofUnavailable) or not call.ask.is_repeatable:
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
            # Not chained: the library quotes the header it does not like, and the key is one.
            raise ZofRejected("The request could not be sent to Zof.", _OPERATOR_FIX) from None

    async def _follow_redirects(self, call: CallState) -> object:
        ask = call.ask
        url = httpx.URL(self._base + protocol.fill_path(ask.template, ask.item))
        if ask.query:
            url = url.copy_merge_params(ask.query)
        headers = {} if ask.idempotency_key is None else {"Idempotency-Key": ask.idempotency_key}
        for _ in range(1 + MAX_REDIRECTS):
            async with self._http.stream(ask.method, url, json=ask.body, headers=headers) as reply:
                await self._read_headers(call, reply)
                if (location := reply.extensions.get(_LOCATION_EXTENSION)) is None:
                    return await self._read_reply(call, reply)
                url = _redirect_target(ask, url, location)
        raise ZofUnreadable("Zof sends the request on and on.", "An operator must check ZOF_BASE_URL.")

    async def _read_headers(self, call: CallState, reply: httpx.Response) -> None:
        call.status = reply.status_code
        call.date = reply.headers.get("date", "")
        call.request_id = protocol.clean_header(reply.headers.get("x-request-id"))
        sunset = protocol.clean_header(reply.headers.get("sunset"))
        if sunset and call.ask.template not in self._sunsets:
            self._sunsets.add(call.ask.template)
            log.warning("zof endpoint ends", template=call.ask.template, sunset=sunset)
        await self._pace.update_quota(protocol.parse_quota(reply.headers, self._clock.now()))

    async def _read_reply(self, call: CallState, reply: httpx.Response) -> object:
        ask = call.ask
        if not reply.is_success:
            body = await _read_error_body(reply)
            raise build_error(
                reply.status_code, reply.headers, body, ask.what,
                now=self._clock.now(), deed=ask.deed, secrets=(self._key, *ask.secrets),
                permission=protocol.PERMISSION_BY_ENDPOINT.get((ask.method, ask.template), ""),
            )  # fmt: skip
        body = await _read_body(reply)
        if not body.strip() and ask.method != "GET":
            return None
        call.bytes = len(body)
        return await _run_off_loop(call.bytes, protocol.parse_json, body, reply.headers.get("content-type", ""))


@contextmanager
def _trace_attempt(call: CallState, clock: Callable[[], float]) -> Iterator[None]:
    """Tell the trace of one try: how it went, how long it took, and how long it waited before it began."""
    began, outcome, cause = clock(), "crashed", ""
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
        ended, waited = clock(), round((began - call.idle) * 1000)
        tracing.record_step(
            "zof", f"{call.ask.method} {call.ask.template}", f"{call.status or 'no reply'} {outcome}",
            bad=outcome != "ok", ids=(call.request_id,) if call.request_id else (), ms=round((ended - began) * 1000),
            waited=waited if waited >= MIN_TRACED_WAIT_MILLISECONDS else None, cause=cause, id=call.request_id,
        )  # fmt: skip
        call.idle = ended


def _without_future_times(item: ListedT, now: datetime) -> ListedT:
    return item.without_future_times(now) if isinstance(item, Run | Result) else item


async def _run_off_loop(size: int, work: Callable[[Any, Any], T], *given: Any) -> T:
    """Do pure work on a reply of ``size`` bytes; where that takes long, in a thread, so that the loop goes on."""
    return await asyncio.to_thread(work, *given) if size > MAX_INLINE_BYTES else work(*given)


async def _read_body(reply: httpx.Response) -> bytes:
    try:
        body = Decompressor(reply.headers.get("content-encoding", ""), MAX_BODY_BYTES)
        async for chunk in reply.stream:  # type: ignore[union-attr]  # an async client's stream is an async one
            body.add_chunk(chunk)
        return body.read_whole()
    except BodyTooLarge:
        raise ZofUnreadable("Zof's answer is larger than 5 MiB and was cut off.", "Ask for less at once.") from None
    except BadEncoding as error:
        raise ZofUnreadable("Zof's answer is packed in a way that cannot be undone.", TRY_AGAIN_HINT) from error


async def _read_error_body(reply: httpx.Response) -> bytes:
    """As much of an error's body as a sentence can need; the status counts even if the body is a mess."""
    body = Decompressor("", MAX_ERROR_BODY_BYTES)
    try:
        body = Decompressor(reply.headers.get("content-encoding", ""), MAX_ERROR_BODY_BYTES)
        async for chunk in reply.stream:  # type: ignore[union-attr]  # an async client's stream is an async one
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
    """Keep httpx off a redirect: it reads even an address it is not to follow, and may raise instead of replying."""
    if reply.has_redirect_location:
        reply.extensions[_LOCATION_EXTENSION] = reply.headers.pop("location")


def _redirect_target(ask: ZofRequest, origin: httpx.URL, location: str) -> httpx.URL:
    """Where to ask instead: the same origin only, since the key goes along."""
    try:
        target = origin.join(location)
    except (httpx.InvalidURL, ValueError):
        target = httpx.URL()
    same = (target.scheme, target.host, target.port) == (origin.scheme, origin.host, origin.port)
    if ask.method == "GET" and same and not target.userinfo:
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
    """Pool the connections; the environment's proxies and certificates hold.

    The library's own reading of NO_PROXY ends the start where it has a range of IPv6 addresses.
    Loading the certificates takes 40 ms: it is left out where none is looked at.
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
        # Not quoted: a proxy's address may hold its password.
        raise SettingsError(["HTTPS_PROXY, HTTP_PROXY or ALL_PROXY cannot be used; give it as http://…"]) from None
