"""The client over a pretended network: what it sends, how often, how long it waits, and what it says when it fails."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import httpx
import pytest
import structlog

from tests.support.virtual_time import SetClock, test_clock
from zofbot import __version__
from zofbot.clock import Clock
from zofbot.domain.errors import (
    BadInput,
    SettingsError,
    StoreUnavailable,
    ZofbotError,
    ZofRejected,
    ZofUnavailable,
    ZofUnreadable,
)
from zofbot.domain.model import Outcome, Quota
from zofbot.observability.emitter import EventEmitter
from zofbot.observability.events.calls import ZofCall
from zofbot.zof.client import TimeBudget, ZofClient
from zofbot.zof.quota import newer_quota

KEY = "key-nobody-may-see-1234567890"
BASE = "https://zof.test/v1"
NOW = datetime(2026, 6, 1, 8, 15, tzinfo=UTC)

Answer = httpx.Response | Exception | Callable[[httpx.Request], Awaitable[httpx.Response]]


class ScriptedZof:
    """A pretended Zof: gives its answers in turn, the last one for ever, and keeps what it was asked."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.asked: list[httpx.Request] = []

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, httpx.Response):
            # A new one each time: a response is used up by reading it.
            return httpx.Response(answer.status_code, headers=answer.headers, stream=answer.stream)
        return await answer(request)


class Chunks(httpx.AsyncByteStream):
    """A body sent bit by bit; counts what was taken of it and whether it was closed."""

    def __init__(self, chunk: bytes, times: int, pause: float = 0, then: Exception | None = None) -> None:
        self.chunk, self.times, self.pause, self.then = chunk, times, pause, then
        self.taken = 0
        self.closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for _ in range(self.times):
            await asyncio.sleep(self.pause)
            self.taken += 1
            yield self.chunk
        if self.then is not None:
            raise self.then

    async def aclose(self) -> None:
        self.closed = True


Make = Callable[..., ZofClient]


@pytest.fixture
async def make() -> AsyncIterator[Make]:
    made: list[ZofClient] = []

    def build(zof: ScriptedZof, **options: Any) -> ZofClient:
        events = EventEmitter()
        events.add_hook(ZofCall, options.pop("observe", lambda call: None))
        options = {"base_url": BASE, "key": KEY, "random": lambda: 0.0, "clock": test_clock(), **options}
        made.append(ZofClient(transport=httpx.MockTransport(zof), events=events, **options))
        return made[-1]

    yield build
    for client in made:
        await client.aclose()


def reply(status: int = 200, found: object = None, **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.Response(status, json={"id": "res_1"} if found is None else found, headers=named)


def page(*ids: str, more: bool = False, cursor: str | None = None, **headers: str) -> httpx.Response:
    return reply(200, {"data": [{"id": i} for i in ids], "has_more": more, "next_cursor": cursor}, **headers)


async def never(request: httpx.Request) -> httpx.Response:
    await asyncio.sleep(60)
    raise AssertionError("nobody waits that long")


async def gather_pages(pages: AsyncIterator[Any]) -> list[list[str]]:
    return [[item.id for item in page] async for page in pages]


async def test_a_result_is_asked_for_with_the_key_and_comes_back_with_its_request_id(make: Make) -> None:
    zof = ScriptedZof(reply(200, {"data": {"status": "failed", "duration": 2}}, X_Request_Id="req_1"))
    result = await make(zof, bare_duration_unit="s").get_result("res_1")
    assert (result.id, result.outcome, result.duration, result.request_id) == ("res_1", Outcome.FAILED, 2, "req_1")
    asked = zof.asked[0]
    assert (asked.method, str(asked.url)) == ("GET", f"{BASE}/results/res_1")
    assert asked.headers["authorization"] == f"Bearer {KEY}"
    assert asked.headers["user-agent"] == f"zofbot/{__version__}"
    assert asked.headers["accept-encoding"] == "gzip"
    assert "x-request-id" not in asked.headers


async def test_a_run_is_asked_for_below_any_base_address(make: Make) -> None:
    zof = ScriptedZof(reply(200, {"run": {"id": "run_1", "results": [{"id": "r"}]}}))
    run = await make(zof, base_url="http://127.0.0.1:9/zof/v1/").get_run("run_1")
    assert run.id == "run_1"
    assert str(zof.asked[0].url) == "http://127.0.0.1:9/zof/v1/runs/run_1"


@pytest.mark.parametrize("bad", ["", "../runs", "a b", "res_1\n", "a?b", "x" * 129])
async def test_a_bad_id_is_refused_before_anything_is_sent(make: Make, bad: str) -> None:
    zof = ScriptedZof(reply())
    client = make(zof)
    with pytest.raises(BadInput):
        await client.get_result(bad)
    with pytest.raises(BadInput):
        await client.get_run(bad)
    with pytest.raises(BadInput):
        client.list_results(run_id=bad)
    assert zof.asked == []


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504, 599])
async def test_a_passing_fault_is_tried_four_times(make: Make, status: int) -> None:
    zof = ScriptedZof(
        reply(status, X_Request_Id="req_a"), reply(status), reply(status), reply(status, X_Request_Id="req_d")
    )
    with pytest.raises(ZofUnavailable) as caught:
        await make(zof).get_result("res_1")
    assert len(zof.asked) == 4
    assert (caught.value.status, caught.value.request_id) == (status, "req_d")


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 410, 422, 451])
async def test_a_rejection_is_not_tried_again(make: Make, status: int) -> None:
    zof = ScriptedZof(reply(status, {"error": {"code": "c", "message": "m", "param": "p"}}, X_Request_Id="req_1"))
    with pytest.raises(ZofRejected) as caught:
        await make(zof).get_run("run_1")
    assert len(zof.asked) == 1
    error = caught.value
    assert (error.status, error.request_id, error.code, error.message) == (status, "req_1", "c", "m")
    assert error.next_step


@pytest.mark.parametrize(
    "fault",
    [
        httpx.ConnectTimeout("x"), httpx.ReadTimeout("x"), httpx.PoolTimeout("x"), httpx.ConnectError("x"),
        httpx.ReadError("x"), httpx.WriteError("x"), httpx.CloseError("x"), httpx.RemoteProtocolError("x"),
    ],
    ids=lambda fault: type(fault).__name__,
)  # fmt: skip
async def test_a_fault_of_the_network_is_tried_again(make: Make, fault: Exception) -> None:
    zof = ScriptedZof(fault, fault, reply(200, X_Request_Id="req_3"))
    assert (await make(zof).get_result("res_1")).request_id == "req_3"
    assert len(zof.asked) == 3


@pytest.mark.parametrize(
    "fault",
    [
        httpx.LocalProtocolError(f"Illegal header value b'Bearer {KEY}'"), httpx.UnsupportedProtocol("x"),
        httpx.InvalidURL("x"), httpx.ProxyError("407 Proxy Authentication Required"),
    ],
    ids=lambda fault: type(fault).__name__,
)  # fmt: skip
async def test_a_request_of_ours_that_cannot_be_sent_is_not_tried_again(make: Make, fault: Exception) -> None:
    zof = ScriptedZof(fault)
    with pytest.raises(ZofRejected, match="couldn't be sent") as caught:
        await make(zof).get_result("res_1")
    assert len(zof.asked) == 1
    assert "ZOF_BASE_URL" in caught.value.next_step
    assert caught.value.__cause__ is None


PROXY_ANSWERS = ["502 Bad Gateway", "503 Service Unavailable", "504 Gateway Timeout", "403 Forbidden"]


@pytest.mark.parametrize("answer", PROXY_ANSWERS)
async def test_a_proxy_that_cannot_connect_is_tried_again(make: Make, answer: str) -> None:
    fault = httpx.ProxyError(answer)
    zof = ScriptedZof(fault, fault, reply(200, X_Request_Id="req_3"))
    assert (await make(zof).get_result("res_1")).request_id == "req_3"
    assert len(zof.asked) == 3


@pytest.mark.parametrize("answer", PROXY_ANSWERS)
async def test_a_proxy_that_never_connects_is_an_outage_and_is_not_quoted(make: Make, answer: str) -> None:
    with pytest.raises(ZofUnavailable, match="proxy") as caught:
        await make(ScriptedZof(httpx.ProxyError(f"{answer} by squid.internal"))).get_result("res_1")
    assert "proxy settings" in caught.value.next_step
    assert "squid" not in f"{caught.value.sentence} {caught.value.next_step}"
    assert caught.value.__cause__ is None


async def test_a_certificate_nobody_trusts_is_named(make: Make) -> None:
    zof = ScriptedZof(httpx.ConnectError("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed"))
    with pytest.raises(ZofUnavailable, match="certificate"):
        await make(zof).get_result("res_1")


async def test_a_try_that_returned_nothing_leaves_no_request_id_of_an_earlier_one(make: Make) -> None:
    with pytest.raises(ZofUnavailable) as caught:
        await make(ScriptedZof(reply(500, X_Request_Id="req_1"), httpx.ReadTimeout("x"))).get_result("res_1")
    assert (caught.value.status, caught.value.request_id) == (None, None)


async def test_a_body_that_breaks_off_is_tried_again(make: Make) -> None:
    broken = httpx.Response(
        200, headers={"x-request-id": "req_1"}, stream=Chunks(b"{", 1, then=httpx.RemoteProtocolError("cut"))
    )
    assert (await make(ScriptedZof(broken, reply(200, X_Request_Id="req_2"))).get_result("res_1")).request_id == "req_2"


@pytest.mark.parametrize(
    "cut", [httpx.RemoteProtocolError("cut"), httpx.ReadError("cut"), httpx.ReadTimeout("cut")], ids=repr
)
@pytest.mark.parametrize("status", [404, 403])
async def test_an_error_whose_body_breaks_off_keeps_its_status(make: Make, status: int, cut: Exception) -> None:
    zof = ScriptedZof(
        httpx.Response(status, headers={"x-request-id": "req_1"}, stream=Chunks(b'{"error": {', 1, then=cut))
    )
    with pytest.raises(ZofRejected) as caught:
        await make(zof).get_result("res_1")
    assert (caught.value.status, caught.value.request_id, len(zof.asked)) == (status, "req_1", 1)


async def test_a_refusal_whose_body_breaks_off_keeps_its_retry_after(make: Make) -> None:
    cut = httpx.Response(429, headers={"Retry-After": "40"}, stream=Chunks(b"{", 1, then=httpx.ReadError("cut")))
    zof = ScriptedZof(cut)
    with pytest.raises(ZofUnavailable) as caught:
        await make(zof, clock=SetClock(NOW.timestamp())).get_result("res_1")
    assert (caught.value.status, caught.value.retry_at) == (429, NOW + timedelta(seconds=40))
    assert len(zof.asked) == 1


@pytest.mark.parametrize(
    "named",
    ["0", "0.05", format_datetime(NOW, usegmt=True)],
)
async def test_retry_after_outranks_the_backoff(make: Make, named: str) -> None:
    zof = ScriptedZof(reply(429, Retry_After=named), reply())
    # A backoff of half a second would not fit; the named wait does.
    await make(zof, clock=SetClock(NOW.timestamp()), random=lambda: 1.0).get_result(
        "res_1", time_budget=TimeBudget(0.45)
    )
    assert len(zof.asked) == 2


async def test_retry_after_is_slept_through(make: Make) -> None:
    began = asyncio.get_running_loop().time()
    await make(ScriptedZof(reply(503, Retry_After="0.2"), reply()), clock=SetClock(NOW.timestamp())).get_result("res_1")
    assert asyncio.get_running_loop().time() - began == pytest.approx(0.2)


@pytest.mark.parametrize("garbage", ["-5", "soon", "nan", ""])
async def test_a_retry_after_that_makes_no_sense_is_ignored(make: Make, garbage: str) -> None:
    zof = ScriptedZof(reply(429, Retry_After=garbage), reply())
    await make(zof).get_result("res_1")
    assert len(zof.asked) == 2


@pytest.mark.parametrize(
    ("seconds", "time_budget"), [("31", TimeBudget.BACKGROUND), ("26", TimeBudget.FOLLOW_UP), ("3", TimeBudget.ACK)]
)
async def test_a_wait_too_long_is_not_slept_through_but_reported(
    make: Make, seconds: str, time_budget: TimeBudget
) -> None:
    zof = ScriptedZof(reply(429, Retry_After=seconds, X_Request_Id="req_1"))
    async with asyncio.timeout(1):
        with pytest.raises(ZofUnavailable) as caught:
            await make(zof, clock=SetClock(NOW.timestamp())).get_result("res_1", time_budget=time_budget)
    assert len(zof.asked) == 1
    assert caught.value.retry_at == NOW + timedelta(seconds=float(seconds))
    assert caught.value.next_step == f"Try again in {seconds} s."
    assert caught.value.request_id == "req_1"


async def test_a_backoff_that_would_pass_the_deadline_is_not_slept_through(make: Make) -> None:
    zof = ScriptedZof(reply(500, X_Request_Id="req_1"))
    with pytest.raises(ZofUnavailable, match="internal error") as caught:
        await make(zof, random=lambda: 1.0).get_result("res_1", time_budget=TimeBudget(0.45))
    assert len(zof.asked) == 1
    assert (caught.value.request_id, caught.value.retry_at) == ("req_1", None)


async def test_the_backoff_lasts_as_long_as_the_given_randomness_says(make: Make) -> None:
    began = asyncio.get_running_loop().time()
    with pytest.raises(ZofUnavailable):
        await make(ScriptedZof(reply(500)), random=lambda: 0.1).get_result("res_1")
    assert asyncio.get_running_loop().time() - began == pytest.approx(
        0.35
    )  # a tenth of a half, of one and of two seconds


@pytest.mark.parametrize("background", [False, True])
async def test_the_deadline_covers_a_silent_zof(make: Make, background: bool) -> None:
    with pytest.raises(ZofUnavailable, match=r"within 0\.05 s") as caught:
        await make(ScriptedZof(never)).get_result("res_1", time_budget=TimeBudget(0.05, background))
    assert (caught.value.status, caught.value.request_id) == (None, None)


async def test_the_deadline_covers_the_body_and_keeps_the_request_id(make: Make) -> None:
    body = Chunks(b" ", 1000, pause=0.02)
    slow = httpx.Response(200, headers={"x-request-id": "req_1"}, stream=body)

    async def answer(request: httpx.Request) -> httpx.Response:
        return slow

    with pytest.raises(ZofUnavailable) as caught:
        await make(ScriptedZof(answer)).get_result("res_1", time_budget=TimeBudget(0.2))
    assert caught.value.request_id == "req_1"
    assert body.closed


async def test_a_cancelled_call_is_cancelled_at_once_and_observed(make: Make) -> None:
    seen: list[ZofCall] = []
    task = asyncio.create_task(make(ScriptedZof(never), observe=seen.append).get_result("res_1"))
    await asyncio.sleep(0.02)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [(call.outcome, call.tries) for call in seen] == [("canceled", 1)]


async def test_a_call_is_cancelled_while_it_waits_for_its_next_try(make: Make) -> None:
    zof = ScriptedZof(reply(429, Retry_After="20"))
    task = asyncio.create_task(make(zof).get_result("res_1"))
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(zof.asked) == 1


async def test_a_deadline_around_a_call_stays_the_callers_own(make: Make) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.03):
            await make(ScriptedZof(never)).get_result("res_1")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (httpx.Response(200, html="<html>Sign in</html>"), "web page"),
        (httpx.Response(200, text="id: res_1"), "something other than JSON"),
        (httpx.Response(200, content=b'{"id": "res_1"', headers={"content-type": "application/json"}), "incomplete"),
        (httpx.Response(200, content=b"", headers={"content-type": "application/json"}), "empty response"),
        (httpx.Response(204), "empty response"),
        (reply(200, [1]), "no object"),
        (reply(200, {"ok": True}), "nothing in it"),
        (httpx.Response(304), "HTTP 304"),
    ],
    ids=["html", "text", "truncated", "empty", "204", "list", "nothing", "304"],
)
async def test_what_cannot_be_read_says_so_with_its_request_id(make: Make, answer: httpx.Response, said: str) -> None:
    answer.headers["X-Request-Id"] = "req_1"
    zof = ScriptedZof(answer)
    with pytest.raises(ZofUnreadable, match=said) as caught:
        await make(zof).get_result("res_1")
    assert (caught.value.request_id, caught.value.status) == ("req_1", answer.status_code)
    assert "<" not in caught.value.sentence
    assert len(zof.asked) == 1


async def test_a_success_without_a_content_type_is_read(make: Make) -> None:
    assert (await make(ScriptedZof(httpx.Response(200, content=b'{"id": "res_1"}'))).get_result("res_1")).id == "res_1"


async def test_a_packed_body_is_unpacked(make: Make) -> None:
    packed = gzip.compress(b'{"id": "res_1", "name": "Checkout"}')
    answer = httpx.Response(200, headers={"content-encoding": "gzip"}, content=packed)
    assert (await make(ScriptedZof(answer)).get_result("res_1")).title == "Checkout"


async def test_a_body_packed_otherwise_is_unreadable(make: Make) -> None:
    for encoding in ("br", "gzip, gzip", "zstd"):
        answer = httpx.Response(200, headers={"content-encoding": encoding}, stream=Chunks(b"x", 1))
        with pytest.raises(ZofUnreadable, match="decompressed"):
            await make(ScriptedZof(answer)).get_result("res_1")


async def test_a_body_over_five_mebibytes_is_cut_off(make: Make) -> None:
    body = Chunks(b" " * 65536, 10_000)

    async def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers={"x-request-id": "req_1"}, stream=body)

    with pytest.raises(ZofUnreadable, match="larger than 5 MiB") as caught:
        await make(ScriptedZof(answer)).get_result("res_1")
    assert caught.value.request_id == "req_1"
    assert body.taken == 81
    assert body.closed


async def test_a_body_of_exactly_five_mebibytes_is_read(make: Make) -> None:
    bare = b'{"id": "res_1"}'
    answer = httpx.Response(200, content=bare + b" " * (5 * 1024 * 1024 - len(bare)))
    assert (await make(ScriptedZof(answer)).get_result("res_1")).id == "res_1"


async def test_a_compressed_bomb_is_cut_off_within_bounded_memory(make: Make) -> None:
    squeeze = zlib.compressobj(9, zlib.DEFLATED, zlib.MAX_WBITS | 16)
    zeros = bytes(1024 * 1024)
    bomb = b"".join(squeeze.compress(zeros) for _ in range(200)) + squeeze.flush()
    client = make(ScriptedZof(httpx.Response(200, headers={"content-encoding": "gzip"}, stream=Chunks(bomb, 1))))
    tracemalloc.start()
    try:
        with pytest.raises(ZofUnreadable, match="larger than 5 MiB"):
            await client.get_result("res_1")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 30 * 1024 * 1024


@pytest.mark.parametrize("encoding", ["identity", "gzip", "br"])
async def test_an_errors_endless_or_garbled_body_does_not_hide_its_status(make: Make, encoding: str) -> None:
    body = Chunks(b"x" * 65536, 1000)

    async def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(404, headers={"content-encoding": encoding}, stream=body)

    with pytest.raises(ZofRejected) as caught:
        await make(ScriptedZof(answer)).get_result("res_1")
    assert caught.value.status == 404
    assert body.taken <= 1


async def test_a_redirect_to_the_very_same_origin_is_followed(make: Make) -> None:
    for status in (301, 302, 303, 307, 308):
        zof = ScriptedZof(httpx.Response(status, headers={"location": "/v1/moved"}), reply(200, X_Request_Id="req_2"))
        assert (await make(zof).get_result("res_1")).request_id == "req_2"
        assert str(zof.asked[1].url) == "https://zof.test/v1/moved"


@pytest.mark.parametrize(
    "location",
    [
        "https://evil.test/v1", "http://zof.test/v1", "https://zof.test:444/v1", "//evil.test/", "https://zof.test.evil/",
        "https://user:pw@zof.test/v1", "https://zof.test@evil.test/", "ftp://zof.test/", "https://[", "javascript:x",
        "https:////%-6467h[2", "https://x:y",
    ],
)  # fmt: skip
async def test_a_redirect_to_any_other_place_is_not_followed(make: Make, location: str) -> None:
    zof = ScriptedZof(httpx.Response(302, headers={"location": location, "x-request-id": "req_1"}))
    with pytest.raises(ZofUnreadable, match="elsewhere") as caught:
        await make(zof).get_result("res_1")
    assert len(zof.asked) == 1
    assert "ZOF_BASE_URL" in caught.value.next_step
    assert caught.value.request_id == "req_1"


async def test_redirects_are_followed_three_times_at_most(make: Make) -> None:
    zof = ScriptedZof(httpx.Response(302, headers={"location": "/round"}))
    with pytest.raises(ZofUnreadable):
        await make(zof).get_result("res_1")
    assert len(zof.asked) == 4


async def test_a_listing_follows_cursors_to_the_end(make: Make) -> None:
    zof = ScriptedZof(page("a", "b", more=True, cursor="c/1 +="), page("c", X_Request_Id="req_2"))
    pages = [page async for page in make(zof).list_runs()]
    assert [[run.id for run in page] for page in pages] == [["a", "b"], ["c"]]
    assert [(page.more, page.next_cursor, page.request_id) for page in pages] == [
        (True, "c/1 +=", None),
        (False, None, "req_2"),
    ]
    assert [dict(asked.url.params) for asked in zof.asked] == [
        {"limit": "100"},
        {"limit": "100", "starting_after": "c/1 +="},
    ]


async def test_a_listing_can_start_at_a_cursor(make: Make) -> None:
    zof = ScriptedZof(page("a"))
    await gather_pages(make(zof).list_results(starting_after="here", run_id="run_1"))
    assert dict(zof.asked[0].url.params) == {"run_id": "run_1", "limit": "100", "starting_after": "here"}


@pytest.mark.parametrize("cursors", [[None], ["x", "x"], ["x", "y", "x"], ["x" * 3000]])
async def test_a_missing_or_repeated_cursor_ends_a_listing(make: Make, cursors: list[str | None]) -> None:
    zof = ScriptedZof(*[page("a", more=True, cursor=cursor) for cursor in cursors])
    with structlog.testing.capture_logs() as lines:
        assert len(await gather_pages(make(zof).list_runs())) == len(cursors)
    assert [line["fault"] for line in lines if line["event"] == "zof cursor"] == [
        "repeated" if len(cursors) > 1 else "missing"
    ]


async def test_a_cursor_is_not_followed_when_zof_has_no_more(make: Make) -> None:
    zof = ScriptedZof(page("a", more=False, cursor="x"))
    assert await gather_pages(make(zof).list_runs()) == [["a"]]


async def test_a_cursor_equal_to_the_start_is_a_repeated_one(make: Make) -> None:
    zof = ScriptedZof(page("a", more=True, cursor="x"))
    await gather_pages(make(zof).list_runs(starting_after="x"))
    assert len(zof.asked) == 1


async def test_a_listing_obeys_its_page_cap(make: Make) -> None:
    zof = ScriptedZof(*[page("a", more=True, cursor=str(i)) for i in range(20)])
    pages = [page async for page in make(zof).list_results(pages=3)]
    assert len(zof.asked) == 3
    assert (pages[-1].more, pages[-1].next_cursor) == (True, "2")
    assert (
        len(await gather_pages(make(ScriptedZof(*[page(more=True, cursor=str(i)) for i in range(20)])).list_results()))
        == 10
    )


async def test_entries_that_cannot_be_read_are_skipped_and_logged(make: Make) -> None:
    zof = ScriptedZof(reply(200, {"data": [{"id": "a"}, 7, {}]}))
    with structlog.testing.capture_logs() as lines:
        assert await gather_pages(make(zof).list_runs()) == [["a"]]
    assert [line["count"] for line in lines if line["event"] == "zof entries skipped"] == [2]


async def test_an_interactive_listing_has_one_deadline_over_all_pages(make: Make) -> None:
    zof = ScriptedZof(*[page("a", more=True, cursor=str(i)) for i in range(20)])
    pages = make(zof).list_runs(time_budget=TimeBudget(0.1))
    await anext(pages)
    await asyncio.sleep(0.15)
    with pytest.raises(ZofUnavailable, match=r"within 0\.1 s"):
        await anext(pages)
    assert len(zof.asked) == 1


async def test_a_background_listing_has_a_deadline_for_each_page(make: Make) -> None:
    zof = ScriptedZof(page("a", more=True, cursor="x"), page("b"))
    pages = make(zof).list_runs(time_budget=TimeBudget(0.5, background=True))
    await anext(pages)
    await asyncio.sleep(0.55)
    assert [run.id for run in await anext(pages)] == ["b"]
    with pytest.raises(StopAsyncIteration):
        await anext(pages)


MIXED = {
    "data": [
        {"id": "f", "status": "failed", "project_id": "p1", "run_id": "run_1"},
        {"id": "p", "status": "passed", "project_id": "p1", "run_id": "run_1"},
        {"id": "o", "status": "FAILED", "project": {"id": "p2", "name": "Shop"}, "run_id": "run_2"},
        {"id": "u"},
        {"id": "q", "status": "Quarantined"},
    ]
}


async def test_filters_are_sent_under_their_set_names_and_hold_here_too(make: Make) -> None:
    zof = ScriptedZof(reply(200, MIXED))
    client = make(zof, status_param="state", project_param="proj", since_param="from")
    assert await gather_pages(client.list_runs(status="failed", project="p1", since=NOW)) == [["f", "u"]]
    assert dict(zof.asked[0].url.params) == {
        "state": "failed", "proj": "p1", "from": "2026-06-01T08:15:00+00:00", "limit": "100",
    }  # fmt: skip
    assert await gather_pages(client.list_runs(project="Shop")) == [["o", "u", "q"]]
    assert await gather_pages(client.list_runs(status="quarantined")) == [["u", "q"]]
    assert await gather_pages(client.list_results(run_id="run_1", status="failed")) == [["f", "u"]]


async def test_an_empty_filter_name_is_not_sent(make: Make) -> None:
    zof = ScriptedZof(reply(200, MIXED))
    client = make(zof, status_param="", project_param="", since_param="")
    assert await gather_pages(client.list_runs(status="failed", project="p1", since=NOW)) == [["f", "u"]]
    assert dict(zof.asked[0].url.params) == {"limit": "100"}


@pytest.mark.parametrize(
    "refusal", [{"error": {"message": "no", "param": "status"}}, {"message": "unknown parameter: status"}]
)
async def test_a_filter_zof_refuses_is_dropped_for_good_and_holds_here(make: Make, refusal: object) -> None:
    zof = ScriptedZof(reply(400, refusal), reply(200, MIXED))
    client = make(zof)
    with structlog.testing.capture_logs() as lines:
        assert await gather_pages(client.list_runs(status="failed", project="p1")) == [["f", "u"]]
        assert await gather_pages(client.list_runs(status="failed")) == [["f", "o", "u"]]
    assert [("status" in asked.url.params, "project_id" in asked.url.params) for asked in zof.asked] == [
        (True, True), (False, True), (False, False),
    ]  # fmt: skip
    assert len([line for line in lines if line["event"] == "zof filter refused"]) == 1


@pytest.mark.parametrize(("word", "listed"), [("quarantined", ["u", "q"]), ("queued", ["u"]), ("running", ["u"])])
async def test_a_word_zof_does_not_know_costs_the_filter_nothing(make: Make, word: str, listed: list[str]) -> None:
    zof = ScriptedZof(reply(400, {"param": "status"}), reply(200, MIXED))
    client = make(zof)
    assert await gather_pages(client.list_runs(status=word)) == [listed]
    await gather_pages(client.list_runs(status="failed"))
    assert zof.asked[2].url.params["status"] == "failed"


async def test_two_refused_filters_are_dropped_one_after_the_other(make: Make) -> None:
    zof = ScriptedZof(reply(400, {"param": "status"}), reply(400, {"param": "project_id"}), reply(200, MIXED))
    assert await gather_pages(make(zof).list_runs(status="failed", project="p1")) == [["f", "u"]]
    assert len(zof.asked) == 3


@pytest.mark.parametrize("param", ["limit", "run_id"])
async def test_a_400_about_anything_else_is_an_error(make: Make, param: str | None) -> None:
    zof = ScriptedZof(reply(400, {"message": "no", "param": param}))
    with pytest.raises(ZofRejected):
        await gather_pages(make(zof).list_results(run_id="run_1", status="failed"))
    assert len(zof.asked) == 1


@pytest.mark.parametrize("status", [400, 422])
async def test_a_refusal_that_names_nothing_is_tried_without_the_status_and_believed_the_second_time(
    make: Make, status: int
) -> None:
    refusal = reply(status, {"message": "no"})
    zof = ScriptedZof(refusal, reply(200, MIXED), refusal, reply(200, MIXED))
    client = make(zof)
    for _ in range(3):
        assert await gather_pages(client.list_runs(status="failed", project="p1")) == [["f", "u"]]
    assert ["status" in asked.url.params for asked in zof.asked] == [True, False, True, False, False]


async def test_one_refusal_that_names_nothing_leaves_the_status_on(make: Make) -> None:
    refusal = reply(400, {"message": "no"})
    zof = ScriptedZof(refusal, reply(200, MIXED), reply(200, MIXED), refusal, reply(200, MIXED))
    client = make(zof)
    for _ in range(4):
        assert await gather_pages(client.list_runs(status="failed", project="p1")) == [["f", "u"]]
    assert ["status" in asked.url.params for asked in zof.asked] == [True, False, True, True, False, True]


async def test_a_refusal_of_something_else_leaves_the_filters_as_they_are(make: Make) -> None:
    zof = ScriptedZof(reply(400, {"message": "no"}))
    client = make(zof)
    for _ in range(2):
        with pytest.raises(ZofRejected):
            await gather_pages(client.list_results(run_id="run_1", status="failed"))
    assert ["status" in asked.url.params for asked in zof.asked] == [True, False] * 2


async def test_a_refused_cursor_is_not_taken_for_a_refused_status(make: Make) -> None:
    zof = ScriptedZof(reply(400, {"message": "no"}))
    with pytest.raises(ZofRejected):
        await gather_pages(make(zof).list_runs(status="failed", starting_after="run_1"))
    assert len(zof.asked) == 1


class MemoryQuota:
    """A shared quota in memory, that can be out of order."""

    def __init__(self, quota: Quota | None = None, *, down: bool = False, hangs: bool = False) -> None:
        self.quota, self.down, self.hangs = quota, down, hangs
        self.reads = 0
        self.written: list[int] = []

    async def read_quota(self) -> Quota | None:
        self.reads += 1
        await self._trouble()
        return self.quota

    async def write_quota(self, quota: Quota) -> None:
        await self._trouble()
        self.quota = quota
        self.written.append(quota.remaining)

    async def _trouble(self) -> None:
        if self.down:
            raise StoreUnavailable("Redis does not answer.")
        if self.hangs:
            await asyncio.sleep(60)


def rate_limited_reply(remaining: int, resets_in: float, status: int = 200) -> httpx.Response:
    return reply(
        status, None, X_RateLimit_Limit="100", X_RateLimit_Remaining=str(remaining),
        X_RateLimit_Reset=str(int((NOW.timestamp() + resets_in) * 1000)),
    )  # fmt: skip


async def test_background_work_waits_for_the_reset_and_people_do_not(make: Make) -> None:
    zof = ScriptedZof(rate_limited_reply(9, resets_in=0.3))
    client = make(zof, clock=SetClock(NOW.timestamp()))
    await client.get_result("res_1", time_budget=TimeBudget.BACKGROUND)
    began = asyncio.get_running_loop().time()
    await client.get_result("res_1", time_budget=TimeBudget.FOLLOW_UP)
    await client.get_result("res_1", time_budget=TimeBudget.ACK)
    assert len(zof.asked) == 3
    waiting = asyncio.create_task(client.get_result("res_1", time_budget=TimeBudget.BACKGROUND))
    await asyncio.sleep(0.05)
    assert len(zof.asked) == 3
    await waiting
    assert asyncio.get_running_loop().time() - began == pytest.approx(0.3)


async def test_at_a_tenth_or_after_the_reset_background_work_goes_on(make: Make) -> None:
    clock = SetClock(NOW.timestamp())
    zof = ScriptedZof(rate_limited_reply(10, resets_in=20), rate_limited_reply(9, resets_in=20))
    client = make(zof, clock=clock)
    async with asyncio.timeout(2):
        for _ in range(2):
            await client.get_result("res_1", time_budget=TimeBudget.BACKGROUND)
        clock.advance(20)
        await client.get_result("res_1", time_budget=TimeBudget.BACKGROUND)
    assert len(zof.asked) == 3


async def test_a_reset_over_thirty_seconds_away_is_reported_not_slept_through(make: Make) -> None:
    zof = ScriptedZof(rate_limited_reply(0, resets_in=31))
    seen: list[ZofCall] = []
    client = make(zof, clock=SetClock(NOW.timestamp()), observe=seen.append)
    await client.get_result("res_1", time_budget=TimeBudget.BACKGROUND)
    with pytest.raises(ZofUnavailable) as caught:
        await client.get_result("res_1", time_budget=TimeBudget.BACKGROUND)
    assert caught.value.retry_at == NOW + timedelta(seconds=31)
    assert len(zof.asked) == 1
    assert (seen[1].tries, seen[1].outcome, seen[1].request_id) == (0, "unavailable", None)


async def test_processes_share_what_they_learned(make: Make) -> None:
    clock, shared_quota = SetClock(NOW.timestamp()), MemoryQuota()
    await make(ScriptedZof(rate_limited_reply(3, resets_in=40)), clock=clock, shared_quota=shared_quota).get_result(
        "res_1"
    )
    zof = ScriptedZof(rate_limited_reply(90, resets_in=40))
    other = make(zof, clock=clock, shared_quota=shared_quota)
    with pytest.raises(ZofUnavailable) as caught:
        await other.get_result("res_1", time_budget=TimeBudget.BACKGROUND)
    assert caught.value.retry_at == NOW + timedelta(seconds=40)
    assert zof.asked == []
    await other.get_result("res_1", time_budget=TimeBudget.ACK)


async def test_the_board_is_read_for_background_work_every_five_seconds_at_most(make: Make) -> None:
    clock, shared_quota = SetClock(NOW.timestamp()), MemoryQuota()
    client = make(ScriptedZof(reply()), clock=clock, shared_quota=shared_quota)
    await client.get_result("res_1", time_budget=TimeBudget.FOLLOW_UP)
    assert shared_quota.reads == 0
    for _ in range(3):
        await client.get_result("res_1", time_budget=TimeBudget.BACKGROUND)
    assert shared_quota.reads == 1
    clock.advance(5)
    await client.get_result("res_1", time_budget=TimeBudget.BACKGROUND)
    assert shared_quota.reads == 2


async def test_the_board_is_written_below_a_fifth_and_once_more_when_that_is_over(make: Make) -> None:
    shared_quota = MemoryQuota()
    remains = [50, 20, 19, 5, 80, 70]
    client = make(
        ScriptedZof(*[rate_limited_reply(left, resets_in=40) for left in remains]),
        clock=SetClock(NOW.timestamp()),
        shared_quota=shared_quota,
    )
    for _ in remains:
        await client.get_result("res_1")
    assert shared_quota.written == [19, 5, 80]


@pytest.mark.parametrize("shared_quota", [MemoryQuota(down=True), MemoryQuota(hangs=True)], ids=["down", "hangs"])
async def test_a_shared_quota_out_of_order_costs_no_call(make: Make, shared_quota: MemoryQuota) -> None:
    zof = ScriptedZof(rate_limited_reply(15, resets_in=40))
    client = make(zof, clock=SetClock(NOW.timestamp()), shared_quota=shared_quota)
    with structlog.testing.capture_logs() as lines:
        assert (await client.get_result("res_1", time_budget=TimeBudget.BACKGROUND)).id == "res_1"
    assert len([line for line in lines if line["event"] == "zof quota not shared"]) == 2


@pytest.mark.parametrize(
    ("mine", "theirs", "chosen"),
    [
        (None, None, None), (None, (5, 40), (5, 40)), ((5, 40), None, (5, 40)),
        ((5, 40), (3, 40), (3, 40)), ((3, 40), (5, 40), (3, 40)),
        ((3, 40), (90, 60), (90, 60)), ((90, 60), (3, 40), (90, 60)),
        ((3, -1), (90, 1), (90, 1)), (None, (3, -1), None), ((3, -2), (4, -1), (3, -2)),
    ],
)  # fmt: skip
def test_the_later_window_and_in_it_the_smaller_remainder_is_gone_by(
    mine: tuple[int, int] | None, theirs: tuple[int, int] | None, chosen: tuple[int, int] | None
) -> None:
    def quota(of: tuple[int, int] | None) -> Quota | None:
        return of and Quota(limit=100, remaining=of[0], reset=NOW + timedelta(seconds=of[1]))

    assert newer_quota(quota(mine), quota(theirs), NOW) == quota(chosen)


async def test_an_error_teaches_the_quota_too(make: Make) -> None:
    client = make(ScriptedZof(rate_limited_reply(0, 40, status=404), reply()), clock=SetClock(NOW.timestamp()))
    with pytest.raises(ZofRejected):
        await client.get_result("res_1")
    with pytest.raises(ZofUnavailable, match="quota"):
        await client.get_result("res_1", time_budget=TimeBudget.BACKGROUND)


@pytest.mark.parametrize(
    ("answers", "outcome", "status", "tries", "request_id"),
    [
        ([reply(200, X_Request_Id="req_1")], "ok", 200, 1, "req_1"),
        ([reply(500, X_Request_Id="a"), reply(200, X_Request_Id="b")], "ok", 200, 2, "b"),
        ([reply(404, X_Request_Id="req_1")], "rejected", 404, 1, "req_1"),
        ([reply(503)], "unavailable", 503, 4, None),
        ([httpx.ReadTimeout("x")], "unavailable", None, 4, None),
        ([httpx.Response(200, html="<p>")], "unreadable", 200, 1, None),
        ([reply(200, [1], X_Request_Id="req_1")], "unreadable", 200, 1, "req_1"),
    ],
)
async def test_one_line_and_one_observation_tell_of_each_call(  # noqa: PLR0917  # one for each column of the table
    make: Make, answers: list[Answer], outcome: str, status: int | None, tries: int, request_id: str | None
) -> None:
    seen: list[ZofCall] = []
    with structlog.testing.capture_logs() as lines:
        client = make(ScriptedZof(*answers), observe=seen.append)
        with contextlib.suppress(ZofbotError):
            await client.get_result("res_secret_id")
    (call,) = seen
    assert (call.method, call.template) == ("GET", "/results/{id}")
    assert (call.outcome, call.status, call.tries, call.request_id) == (outcome, status, tries, request_id)
    assert call.seconds >= 0
    (line,) = lines
    assert line["event"] == "zof call"
    assert {name: line[name] for name in ("outcome", "status", "tries", "request_id", "template")} == {
        "outcome": outcome, "status": status, "tries": tries, "request_id": request_id, "template": "/results/{id}",
    }  # fmt: skip
    assert "res_secret_id" not in repr(lines)
    assert KEY not in repr(lines)


async def test_a_request_id_is_cleaned_on_values_errors_and_lines(make: Make) -> None:
    dirty = "req\x1b[31m_1" + "x" * 300
    clean = ("req[31m_1" + "x" * 300)[:128]
    ok = httpx.Response(200, json={"id": "a"}, headers=[(b"X-REQUEST-ID", dirty.encode())])
    assert (await make(ScriptedZof(ok)).get_result("a")).request_id == clean
    with pytest.raises(ZofRejected) as caught:
        await make(ScriptedZof(httpx.Response(404, headers=[(b"x-request-id", dirty.encode())]))).get_result("a")
    assert caught.value.request_id == clean


async def test_zof_cannot_make_the_bot_repeat_its_key(make: Make) -> None:
    with pytest.raises(ZofRejected) as caught:
        await make(ScriptedZof(reply(400, {"message": f"we saw {KEY} here"}))).get_result("res_1")
    assert KEY not in caught.value.sentence
    assert caught.value.message == "we saw [redacted] here"


async def test_an_endpoint_that_will_end_is_warned_of_once(make: Make) -> None:
    client = make(ScriptedZof(reply(200, Sunset="Sat, 01 Jan 2028 00:00:00 GMT")))
    with structlog.testing.capture_logs() as lines:
        await client.get_result("a")
        await client.get_result("b")
        await client.get_run("c")
    assert [line["template"] for line in lines if line["event"] == "zof endpoint ends"] == [
        "/results/{id}",
        "/runs/{id}",
    ]


async def test_a_post_with_a_key_is_tried_again_with_the_same_key(make: Make) -> None:
    zof = ScriptedZof(httpx.ReadTimeout("x"), reply(503), reply(201, {"id": "run_2"}, X_Request_Id="req_3"))
    done = await make(zof).post("/runs", what="run", verb="start", body={"project_id": "p"}, idempotency_key="k-1")
    assert (done.document, done.request_id) == ({"id": "run_2"}, "req_3")
    assert [asked.headers["idempotency-key"] for asked in zof.asked] == ["k-1"] * 3
    assert [json.loads(asked.content) for asked in zof.asked] == [{"project_id": "p"}] * 3
    assert zof.asked[0].headers["content-type"] == "application/json"


@pytest.mark.parametrize("fault", [reply(503), reply(429, Retry_After="0"), httpx.ReadTimeout("x")])
async def test_a_post_without_a_key_is_never_tried_again(make: Make, fault: Answer) -> None:
    zof = ScriptedZof(fault)
    with pytest.raises(ZofUnavailable):
        await make(zof).post("/runs/{id}/cancel", "run_1", what="run `run_1`", verb="cancel")
    assert len(zof.asked) == 1
    assert zof.asked[0].url.path == "/v1/runs/run_1/cancel"


async def test_a_post_may_be_answered_with_nothing_and_is_never_redirected(make: Make) -> None:
    done = await make(ScriptedZof(httpx.Response(204))).post("/runs/{id}/cancel", "run_1", what="run", verb="cancel")
    assert done.document is None
    zof = ScriptedZof(httpx.Response(307, headers={"location": "/v1/other"}))
    with pytest.raises(ZofUnreadable):
        await make(zof).post("/runs", what="run", verb="start", idempotency_key="k")
    assert len(zof.asked) == 1


async def test_a_refused_deed_is_named(make: Make) -> None:
    with pytest.raises(ZofRejected, match="may not cancel run `run_1`"):
        await make(ScriptedZof(reply(403))).post("/runs/{id}/cancel", "run_1", what="run `run_1`", verb="cancel")


@pytest.mark.parametrize("key", ["", "  ", "a\nb", "a\x00b", "clé", "a\u2028b"])
def test_a_key_that_cannot_be_sent_is_refused_without_being_shown(key: str) -> None:
    with pytest.raises(SettingsError) as caught:
        ZofClient(base_url=BASE, key=key, clock=Clock(), events=EventEmitter())
    assert "ZOF_API_KEY" in str(caught.value)
    assert not key.strip() or key not in str(caught.value)


async def test_white_space_around_a_key_is_not_part_of_it(make: Make) -> None:
    zof = ScriptedZof(reply())
    await make(zof, key=f"\n {KEY}\r\n").get_result("res_1")
    assert zof.asked[0].headers["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize(
    "base", ["", "zof.ai", "ftp://zof.ai", "https://", "https://u:p@zof.ai", "https://zof.ai/?a=b", "https://x:y", "https://x#y"]
)  # fmt: skip
def test_an_address_that_cannot_be_asked_is_refused(base: str) -> None:
    with pytest.raises(SettingsError, match="ZOF_BASE_URL"):
        ZofClient(base_url=base, key=KEY, clock=Clock(), events=EventEmitter())


@pytest.mark.parametrize("proxy", ["gopher://user:hunter2@proxy.test", "http://user:hunter2@999.0.0.1"])
async def test_a_proxy_that_cannot_be_used_is_refused_without_its_password(
    monkeypatch: pytest.MonkeyPatch, proxy: str
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    with pytest.raises(SettingsError, match="HTTPS_PROXY") as caught:
        ZofClient(base_url=BASE, key=KEY, clock=test_clock(), events=EventEmitter())
    assert "hunter2" not in str(caught.value)


class RawHttpServer:
    """A real socket that speaks just enough HTTP, to see where requests truly go."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        self.lines.append(head.split(b"\r\n")[0])
        body = b'{"id": "res_1"}'
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        await writer.drain()
        writer.close()
        await writer.wait_closed()


async def test_the_environments_proxy_is_used_but_never_for_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    near, proxy = RawHttpServer(), RawHttpServer()
    async with (
        await asyncio.start_server(near, "127.0.0.1", 0) as here,
        await asyncio.start_server(proxy, "127.0.0.1", 0) as between,
    ):
        for name in ("NO_PROXY", "no_proxy", "http_proxy", "all_proxy", "ALL_PROXY"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{between.sockets[0].getsockname()[1]}")
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{between.sockets[0].getsockname()[1]}")
        for base in (f"http://127.0.0.1:{here.sockets[0].getsockname()[1]}", "http://zof.invalid"):
            client = ZofClient(base_url=base, key=KEY, clock=test_clock(), events=EventEmitter())
            await client.get_result("res_1")
            await client.aclose()
    assert near.lines == [b"GET /results/res_1 HTTP/1.1"]
    assert proxy.lines == [b"GET http://zof.invalid/results/res_1 HTTP/1.1"]


def test_the_patiences_are_what_slack_and_people_allow() -> None:
    known = [(p.seconds, p.background) for p in (TimeBudget.ACK, TimeBudget.FOLLOW_UP, TimeBudget.BACKGROUND)]
    assert known == [(2.2, False), (25, False), (60, True)]
