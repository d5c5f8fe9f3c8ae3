"""The pretend Zof's schedules and webhook endpoints over HTTP, as its documentation describes them."""

from __future__ import annotations

import httpx
import pytest

from tests.support.virtual_time import SetClock
from zofbot.simulator.world import World

START = 1795467000.0  # 2026-11-23T20:50:00Z


@pytest.fixture
def clock() -> SetClock:
    return SetClock(START)


async def test_schedules_are_listed_with_their_next_run_and_paused_ones_without(zof_client: httpx.AsyncClient) -> None:
    listed = {each["id"]: each for each in (await zof_client.get("/schedules")).json()["data"]}
    assert listed["sched_nightly"]["next_run_at"] == "2026-11-24T02:00:00.000Z"
    assert listed["sched_old"]["next_run_at"] is None
    assert listed["sched_old"]["status"] == "paused"
    assert (await zof_client.get("/schedules", params={"limit": 2})).json()["has_more"] is True


async def test_an_endpoint_has_to_be_https_and_to_want_something(zof_client: httpx.AsyncClient) -> None:
    for body, param in (
        ({"url": "http://x", "events": ["run.failed"]}, "url"),
        ({"url": "https://x", "events": []}, "events"),
        (None, "url"),
    ):
        reply = await zof_client.post("/webhooks", json=body)
        assert (reply.status_code, reply.json()["error"]["param"]) == (400, param)


async def test_an_endpoint_is_listed_without_its_secret_and_can_be_tried(
    zof_client: httpx.AsyncClient, world: World
) -> None:
    made = await zof_client.post(
        "/webhooks", json={"url": "https://x/hook", "events": ["run.failed"], "secret": "s3cret"}
    )
    assert made.status_code == 201
    assert "s3cret" not in made.text + (await zof_client.get("/webhooks")).text
    world.zof.webhooks.hosts["x"] = "http://127.0.0.1:9"
    assert (await zof_client.post(f"/webhooks/{made.json()['id']}/test")).status_code == 202
    assert (await zof_client.post("/webhooks/wh_none/test")).status_code == 404


async def test_an_endpoint_is_sent_only_what_it_wants(zof_client: httpx.AsyncClient, world: World) -> None:
    await zof_client.post("/webhooks", json={"url": "https://x/hook", "events": ["run.failed"]})
    hooks = world.zof.webhooks
    world.zof.finish_failing_run("proj_checkout", "staging")
    assert [each.type for each in hooks.waiting] == ["run.failed"]
    hooks.waiting.clear()
    hooks.on = False
    world.zof.finish_failing_run("proj_checkout", "staging")
    assert not hooks.waiting


@pytest.mark.parametrize("part", ["projects", "schedules", "webhooks", "results", "runs"])
async def test_what_the_key_may_not_do_is_refused_and_the_rest_is_not(
    zof_client: httpx.AsyncClient, world: World, part: str
) -> None:
    world.zof.forbidden = {part}
    statuses = {
        path: (await zof_client.get(f"/{path}")).status_code for path in ("projects", "schedules", "webhooks", "runs")
    }
    assert {path for path, status in statuses.items() if status == 403} == {part} & set(statuses)
    assert (await zof_client.get("/results/res_4821")).status_code == (403 if part == "results" else 200)
