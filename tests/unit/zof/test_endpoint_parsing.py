"""Webhook endpoints, in whatever words Zof may give them, and refusals to list or add them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from tests.support.virtual_time import SetClock
from zofbot.domain.errors import ZofRejected, ZofUnreadable
from zofbot.observability.emitter import EventEmitter
from zofbot.zof.client import ZofClient
from zofbot.zof.endpoint_parsing import parse_endpoint, parse_endpoints_page


def test_an_endpoint_is_read_and_its_secret_shown_by_nothing() -> None:
    made = parse_endpoint(
        {"data": {"id": "wh_1", "endpoint_url": "https://x/", "event_types": ["a", 7], "signing_secret": "s3"}}
    )
    assert (made.id, made.url, made.events) == ("wh_1", "https://x/", ("a",))
    assert made.secret is not None
    assert made.secret.get_secret_value() == "s3"
    assert "s3" not in f"{made!r} {made.model_dump_json()}"
    [listed] = parse_endpoints_page({"webhooks": [{"id": "wh_1", "active": False}]})
    assert listed.status == "disabled"
    with pytest.raises(ZofUnreadable):
        parse_endpoint({"url": "https://x/"})


async def client_of(handler: Any) -> AsyncIterator[ZofClient]:
    clock = SetClock()
    client = ZofClient(
        base_url="https://zof.test/v1",
        key="k" * 20,
        clock=clock,
        events=EventEmitter(),
        transport=httpx.MockTransport(handler),
    )
    yield client
    await client.aclose()


@pytest.mark.parametrize(
    ("body", "permission"),
    [
        ({"error": {"code": "forbidden", "message": "no"}}, "webhooks:manage"),
        ({"error": {"message": "needs integrations:manage"}}, "integrations:manage"),
        ("<html>", "webhooks:manage"),
    ],
)
async def test_a_refusal_names_the_permission_and_never_the_secret(body: Any, permission: str) -> None:
    asked: list[httpx.Request] = []

    def refuse(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(403, json=body)

    async for client in client_of(refuse):
        with pytest.raises(ZofRejected, match=f"it lacks the permission `{permission}`") as refused:
            await client.add_endpoint("https://bot.example/zof/webhook", ["run.failed"], "secret-of-ours")
    assert refused.value.permission == permission
    assert len(asked) == 1, "without an idempotency key it must not be sent again"


async def test_a_secret_that_zof_repeats_in_an_error_is_taken_out() -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        return httpx.Response(400, json={"error": {"message": "secret secret-of-ours is too short", "param": "secret"}})

    async for client in client_of(refuse):
        with pytest.raises(ZofRejected) as refused:
            await client.add_endpoint("https://bot.example/zof/webhook", ["run.failed"], "secret-of-ours")
    assert "secret-of-ours" not in f"{refused.value.sentence} {refused.value.message}"


async def test_where_zof_names_no_permission_none_is_made_up() -> None:
    async for client in client_of(lambda request: httpx.Response(403, json={"error": {"message": "no"}})):
        with pytest.raises(ZofRejected) as refused:
            await anext(client.list_schedules())
    assert refused.value.sentence == "zofbot's Zof API key may not read the list of schedules."
