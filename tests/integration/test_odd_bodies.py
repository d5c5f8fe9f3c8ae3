"""Replies of Zof's that are packed or written oddly: what can be read is read, and no reply holds the process up."""

from __future__ import annotations

import asyncio
import gzip
import json
import random
import zlib
from collections.abc import AsyncIterator, Callable

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.virtual_time import test_clock
from zofbot.domain.errors import ZofUnreadable
from zofbot.observability.emitter import EventEmitter
from zofbot.zof.client import ZofClient
from zofbot.zof.listing_parsing import MAX_PAGE_ITEMS
from zofbot.zof.parsing import MAX_EMBEDDED_RESULTS
from zofbot.zof.protocol import PAGE_SIZE
from zofbot.zof.transport.decompression import MAX_MEMBERS, BadEncoding, BodyTooLarge, Decompressor

Make = Callable[..., ZofClient]


@pytest.fixture
async def make() -> AsyncIterator[Make]:
    made: list[ZofClient] = []

    def one(body: bytes, **headers: str) -> ZofClient:
        def answer(request: httpx.Request) -> httpx.Response:
            stream = httpx.ByteStream(body)
            return httpx.Response(
                200, headers={name.replace("_", "-"): value for name, value in headers.items()}, stream=stream
            )

        made.append(
            ZofClient(
                base_url="https://zof.example/v1",
                key="key",
                clock=test_clock(),
                events=EventEmitter(),
                transport=httpx.MockTransport(answer),
            )
        )
        return made[-1]

    yield one
    for client in made:
        await client.aclose()


async def list_titles(client: ZofClient) -> list[str | None]:
    return [item.title async for page in client.list_results(pages=1) for item in page]


# --- packing

PLAIN = b'{"id": "res_1", "name": "Checkout"}'
EMPTY = gzip.compress(b"")


@pytest.mark.parametrize(
    "packed",
    [
        gzip.compress(PLAIN[:9]) + gzip.compress(PLAIN[9:]),
        EMPTY + gzip.compress(PLAIN),
        EMPTY * 3 + gzip.compress(PLAIN[:1]) + EMPTY + gzip.compress(PLAIN[1:]) + EMPTY,
        gzip.compress(PLAIN) + bytes(100),
        gzip.compress(PLAIN[:9]) + bytes(7) + gzip.compress(PLAIN[9:]),
    ],
    ids=["two members", "an empty first one", "several empty ones", "padding", "padding between"],
)
async def test_a_body_of_several_members_is_read(make: Make, packed: bytes) -> None:
    assert (await make(packed, content_encoding="gzip").get_result("res_1")).title == "Checkout"


@pytest.mark.parametrize("encoding", ["none", "utf-8", "UTF8", "identity", "", "binary", "identity, none"])
async def test_an_encoding_that_is_none_changes_nothing(make: Make, encoding: str) -> None:
    assert (await make(PLAIN, content_encoding=encoding).get_result("res_1")).title == "Checkout"


@pytest.mark.parametrize("encoding", ["gzip, utf-8", "identity,x-gzip"])
async def test_beside_one_that_is_none_gzip_is_undone(make: Make, encoding: str) -> None:
    assert (await make(gzip.compress(PLAIN), content_encoding=encoding).get_result("res_1")).title == "Checkout"


async def test_a_second_member_that_is_cut_short_is_not_taken_for_the_end(make: Make) -> None:
    for second in (gzip.compress(PLAIN * 9)[:-9], gzip.compress(b"")[:5]):
        with pytest.raises(ZofUnreadable, match="decompressed"):
            await make(gzip.compress(PLAIN) + second, content_encoding="gzip").get_result("res_1")


@given(st.lists(st.binary(max_size=100), max_size=6), st.integers(1, 40))
def test_members_survive_any_chunking(parts: list[bytes], size: int) -> None:
    raw = b"".join(map(gzip.compress, parts))
    body = Decompressor("gzip", 1000)
    for start in range(0, len(raw), size):
        body.add_chunk(raw[start : start + size])
    assert body.read_whole() == b"".join(parts)


def test_members_are_bounded_in_number_and_in_what_they_unpack_to() -> None:
    with pytest.raises(BadEncoding):
        Decompressor("gzip", 1000).add_chunk(EMPTY * (MAX_MEMBERS + 1))
    with pytest.raises(BodyTooLarge):
        Decompressor("gzip", 1000).add_chunk(gzip.compress(bytes(600)) * 2)


# --- values that spoil nothing but themselves

SPOILS = {
    "NaN": '{"id": "res_2", "name": "Two", "duration_ms": NaN}',
    "infinity": '{"id": "res_2", "name": "Two", "duration_ms": -Infinity}',
    "a number without end": '{"id": "res_2", "name": "Two", "duration_ms": ' + "9" * 5000 + "}",
    "a name twice": '{"id": "res_2", "name": "Two", "status": "failed", "status": "passed"}',
    "a control character": '{"id": "res_2", "name": "Two", "failure_summary": "a\x01\n\x1bb"}',
    "no UTF-8": b'{"id": "res_2", "name": "Two", "failure_summary": "\xff\xfe"}',
}


@pytest.mark.parametrize("item", SPOILS.values(), ids=SPOILS)
async def test_an_item_with_one_spoilt_value_is_read_as_far_as_it_goes(make: Make, item: str | bytes) -> None:
    spoilt = item if isinstance(item, bytes) else item.encode()
    page = b'{"data": [{"id": "res_1", "name": "One"}, ' + spoilt + b', {"id": "res_3", "name": "Three"}]}'
    assert await list_titles(make(page)) == ["One", "Two", "Three"]


async def test_of_two_values_under_one_name_neither_is_believed_unless_they_are_the_same(make: Make) -> None:
    body = b'{"id": "res_1", "status": "failed", "status": "passed", "name": "One", "name": "One"}'
    read = await make(body).get_result("res_1")
    assert (read.status, read.title) == (None, "One")


async def test_an_item_whose_id_is_not_known_is_left_out_alone(make: Make) -> None:
    page = b'{"data": [{"id": "a", "id": "b"}, {"id": "res_\xff"}, {"id": "res_3", "name": "Three"}]}'
    assert await list_titles(make(page)) == ["Three"]


async def test_a_page_that_is_cut_is_still_no_page(make: Make) -> None:
    with pytest.raises(ZofUnreadable, match="incomplete"):
        await list_titles(make(b'{"data": [{"id": "res_1"}, {"id": '))


# --- large replies


async def turns_during(work: asyncio.Task[object]) -> int:
    """How often the event loop came round while something was under way."""
    turns = 0
    while not work.done():
        turns += 1
        await asyncio.sleep(0)
    return turns


async def test_of_a_page_longer_than_was_asked_for_a_thousand_items_are_read(make: Make) -> None:
    """Zof may ignore the limit, and say that there is nothing more."""
    page = json.dumps({"data": [{"id": f"res_{number}"} for number in range(1050)]}).encode()
    [read] = [page async for page in make(page).list_results(pages=1)]
    assert (len(read.items), read.skipped) == (MAX_PAGE_ITEMS, 50)


async def test_runs_beyond_those_asked_for_come_without_their_results(make: Make) -> None:
    page = json.dumps({"data": [{"id": f"run_{n}", "results": [{"id": f"res_{n}"}]} for n in range(150)]}).encode()
    [read] = [page async for page in make(page).list_runs(pages=1)]
    assert [run.results is not None for run in read.items] == [True] * PAGE_SIZE + [False] * 50


async def test_a_run_that_brings_too_many_results_is_read_without_them(make: Make) -> None:
    few, many = (
        {"id": "run_1", "results": [{"id": f"r{n}"} for n in range(count)]} for count in (MAX_EMBEDDED_RESULTS, 5000)
    )
    assert len((await make(json.dumps(few).encode()).get_run("run_1")).results or ()) == MAX_EMBEDDED_RESULTS
    assert (await make(json.dumps(many).encode()).get_run("run_1")).results is None


@pytest.mark.parametrize("shape", ["results", "runs", "numbers"])
async def test_a_reply_of_countless_small_items_leaves_the_loop_free(make: Make, shape: str) -> None:
    """Each turn of the loop is a chance to answer Slack within its three seconds."""
    item = {"results": '{"id":1}', "runs": '{"id":1,"results":[' + ",".join(['{"id":1}'] * 900) + "]}", "numbers": "1"}[
        shape
    ]
    count = 5 * 1024 * 1024 // (len(item) + 1) - 10
    body = ('{"data":[' + ",".join([item] * count) + "]}").encode()
    client = make(body)
    asked = asyncio.create_task(anext(client.list_runs(pages=1)))
    turns = await turns_during(asked)
    assert len((await asked).items) <= MAX_PAGE_ITEMS
    assert turns > 50


def test_noise_is_read_or_refused_in_words() -> None:
    noise = random.Random(1)
    for _ in range(200):
        body = Decompressor("gzip", 1000)
        try:
            body.add_chunk(gzip.compress(b"{}") + noise.randbytes(30) + zlib.compress(b"x"))
            body.read_whole()
        except (BadEncoding, BodyTooLarge):
            continue
