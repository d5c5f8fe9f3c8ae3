"""The pretend Zof over HTTP, and the organization it keeps."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from tests.support.virtual_time import SetClock
from zofbot.simulator import seed
from zofbot.simulator.faults import SLACK_FAULTS, ZOF_FAULTS, FaultInjector
from zofbot.simulator.quota import BurstLimit, MinuteQuota
from zofbot.simulator.seed import CHECKOUT, seed_world
from zofbot.simulator.world import World
from zofbot.simulator.zof.state import HttpReply

START = 1795467000.0


@pytest.fixture
def clock() -> SetClock:
    return SetClock(START)


async def list_items(zof_client: httpx.AsyncClient, path: str, **query: Any) -> list[dict[str, Any]]:
    """Everything a list holds, page after page."""
    items: list[dict[str, Any]] = []
    while True:
        page = (await zof_client.get(path, params=query)).json()
        items += page["data"]
        if not page["has_more"]:
            assert page["next_cursor"] is None
            return items
        query["starting_after"] = page["next_cursor"]


# --- the organization


def test_the_same_seed_furnishes_the_same_organization() -> None:
    first, second = World(SetClock(START)), World(SetClock(START))
    seed_world(first)
    seed_world(second)
    assert (first.zof.runs, first.zof.results) == (second.zof.runs, second.zof.results)


def test_the_history_is_a_week_of_forty_runs_oldest_first(world: World) -> None:
    runs = list(world.zof.runs.values())
    moments = [run["created_at"] for run in runs if "created_at" in run]
    assert len(runs) == 40
    assert moments == sorted(moments)
    assert moments[0] >= "2026-11-16"
    assert {run["project_id"] for run in runs if "project_id" in run} == set(world.zof.projects)
    ordinary = [run_id for run_id in world.zof.runs if run_id < seed.EXAMPLE_RUN]
    assert all(8 <= len(world.zof.results_of_run(run_id)) <= 14 for run_id in ordinary)


def test_the_notable_ones_are_what_they_are_said_to_be(world: World) -> None:
    results, runs = world.zof.results, world.zof.runs
    assert "voucher" in results[seed.ASSERTION_RESULT]["failure_summary"]
    assert "502" in results[seed.BAD_GATEWAY_RESULT]["failure_summary"]
    assert results[seed.PASSED_RESULT]["status"] == "passed"
    assert "<!channel>" in results[seed.LEAK_RESULT]["failure_summary"]
    assert results[seed.BARE_RESULT] == {"id": seed.BARE_RESULT}
    assert runs[seed.LARGE_RUN]["summary"]["failed"] == 53
    assert runs[seed.RUNNING_RUN]["status"] == "running"
    assert runs[seed.EXAMPLE_RUN]["summary"]["error"] == 2


# --- reading


async def test_a_result_a_run_and_the_projects_are_answered(zof_client: httpx.AsyncClient) -> None:
    result = (await zof_client.get("/results/res_4821")).json()
    assert (result["id"], result["run_id"]) == ("res_4821", seed.EXAMPLE_RUN)
    run = (await zof_client.get(f"/runs/{seed.EXAMPLE_RUN}")).json()
    assert len(run["results"]) == run["summary"]["total"] == 10
    assert [each["name"] for each in await list_items(zof_client, "/projects")] == ["search", "checkout"]


async def test_an_unknown_id_or_path_is_not_found(zof_client: httpx.AsyncClient) -> None:
    for path in ("/results/res_none", "/runs/run_none", "/elsewhere"):
        reply = await zof_client.get(path)
        assert (reply.status_code, reply.json()["error"]["code"]) == (404, "not_found")


async def test_pages_cover_a_list_once_in_order(zof_client: httpx.AsyncClient, world: World) -> None:
    ids = [run["id"] for run in await list_items(zof_client, "/runs", limit=7)]
    assert ids == list(reversed(world.zof.runs))
    world.zof.newest_first = False
    assert [run["id"] for run in await list_items(zof_client, "/runs", limit=7)] == list(world.zof.runs)


async def test_a_new_run_between_two_pages_repeats_nothing(zof_client: httpx.AsyncClient, world: World) -> None:
    first = (await zof_client.get("/runs", params={"limit": 5})).json()
    world.zof.start_run({"project_id": CHECKOUT, "environment": "staging"})
    second = (await zof_client.get("/runs", params={"limit": 5, "starting_after": first["next_cursor"]})).json()
    assert not {run["id"] for run in first["data"]} & {run["id"] for run in second["data"]}


async def test_filters_hold(zof_client: httpx.AsyncClient) -> None:
    wide = await list_items(zof_client, "/results", run_id=seed.LARGE_RUN, status="failed", limit=20)
    assert len(wide) == 53
    failed = await list_items(zof_client, "/runs", status="failed", project_id=CHECKOUT)
    assert {(run["status"], run["project_id"]) for run in failed} == {("failed", CHECKOUT)}
    recent = await list_items(zof_client, "/runs", created_after=str(START - 4 * 3600))
    assert {run["id"] for run in recent} >= {seed.EXAMPLE_RUN, seed.LARGE_RUN}
    assert len(recent) < 10


async def test_twenty_are_listed_unless_said_otherwise(zof_client: httpx.AsyncClient) -> None:
    assert len((await zof_client.get("/results")).json()["data"]) == 20


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ({"limit": "0"}, "limit"),
        ({"limit": "101"}, "limit"),
        ({"limit": "many"}, "limit"),
        ({"starting_after": "x"}, "starting_after"),
        ({"created_after": "x"}, "created_after"),
    ],
)
async def test_a_wrong_query_is_refused_by_name(
    zof_client: httpx.AsyncClient, query: dict[str, str], param: str
) -> None:
    reply = await zof_client.get("/runs", params=query)
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, param)


async def test_a_filter_can_be_refused(zof_client: httpx.AsyncClient, world: World) -> None:
    world.zof.refused_params.add("status")
    reply = await zof_client.get("/runs", params={"status": "failed"})
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, "status")


async def test_an_older_zof_words_the_same_differently(zof_client: httpx.AsyncClient, world: World) -> None:
    world.zof.dialect = "older"
    result = (await zof_client.get("/results/res_4821")).json()["data"]
    assert result["outcome"] == "failed"
    assert result["run"] == {"id": seed.EXAMPLE_RUN}
    assert result["project"] == {"id": CHECKOUT, "name": "checkout"}
    assert result["environment"] == {"name": "staging"}
    assert isinstance(result["created"], int)
    assert result["created"] > 10**12
    assert "case_outcomes" in (await zof_client.get(f"/runs/{seed.EXAMPLE_RUN}")).json()["data"]


async def test_any_reply_can_be_replaced(zof_client: httpx.AsyncClient, world: World) -> None:
    world.zof.raw["/results/res_x"] = {"result": "failed"}
    world.zof.raw["/results/res_y"] = HttpReply(418, "I am a teapot", {"X-Request-Id": None, "Sunset": "soon"})
    assert (await zof_client.get("/results/res_x")).json() == {"result": "failed"}
    reply = await zof_client.get("/results/res_y")
    assert (reply.status_code, reply.text, reply.headers["Sunset"]) == (418, "I am a teapot", "soon")
    assert "X-Request-Id" not in reply.headers


# --- key, quota, request ids


async def test_a_wrong_key_is_refused(zof_client: httpx.AsyncClient) -> None:
    reply = await zof_client.get("/runs", headers={"Authorization": "Bearer other"})
    assert reply.status_code == 401


async def test_every_reply_has_its_own_request_id_which_is_written_down(
    zof_client: httpx.AsyncClient, world: World
) -> None:
    replies = [await zof_client.get(path) for path in ("/runs", "/runs", "/results/none")]
    ids = [reply.headers["X-Request-Id"] for reply in replies]
    assert len(set(ids)) == 3
    assert [(call.request_id, call.status, call.path) for call in world.zof.calls] == [
        (ids[0], 200, "/runs"),
        (ids[1], 200, "/runs"),
        (ids[2], 404, "/results/none"),
    ]
    assert all(each.startswith("req_") for each in ids)
    assert "zof-simulated-key" not in str(world.zof.calls)


async def test_the_quota_is_counted_and_turns_over_with_the_minute(zof_client: httpx.AsyncClient, world: World) -> None:
    world.zof.quota = MinuteQuota(2)
    first = await zof_client.get("/runs")
    assert first.headers["X-RateLimit-Limit"] == "2"
    assert first.headers["X-RateLimit-Remaining"] == "1"
    assert first.headers["X-RateLimit-Reset"] == str(int(START) + 60)
    await zof_client.get("/runs")
    refused = await zof_client.get("/runs")
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "60")
    assert refused.json()["error"]["code"] == "rate_limit_exceeded"
    world.advance(60)
    assert (await zof_client.get("/runs")).status_code == 200
    world.zof.quota = None
    assert "X-RateLimit-Limit" not in (await zof_client.get("/runs")).headers


def test_the_pace_is_one_a_second_after_a_short_burst() -> None:
    pace = BurstLimit()
    moments = [0.0, 0.0, 0.0, 0.0, 0.9, 1.0, 1.0, 2.0, 9.0, 9.0, 9.0, 9.0]
    taken = [pace.try_spend(at) for at in moments]
    assert taken == [True, True, True, False, False, True, False, True, True, True, True, False]


# --- writing


ORDER = {"project_id": CHECKOUT, "environment": "staging", "test_case_ids": ["tc_1"]}


async def test_a_run_is_started_once_for_each_idempotency_key(zof_client: httpx.AsyncClient, world: World) -> None:
    before = len(world.zof.runs)
    replies = [await zof_client.post("/runs", json=ORDER, headers={"Idempotency-Key": "k"}) for _ in range(2)]
    assert replies[0].status_code == 201
    assert replies[0].json() == replies[1].json()
    assert len(world.zof.runs) == before + 1
    await zof_client.post("/runs", json=ORDER)
    assert len(world.zof.runs) == before + 2
    assert world.zof.calls[0].body == ORDER


@pytest.mark.parametrize("missing", ["project_id", "environment", "test_case_ids"])
async def test_an_incomplete_order_is_refused_by_name(zof_client: httpx.AsyncClient, missing: str) -> None:
    order = {name: value for name, value in ORDER.items() if name != missing}
    reply = await zof_client.post("/runs", json=order)
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, missing)


async def test_an_order_that_is_not_json_is_refused(zof_client: httpx.AsyncClient, world: World) -> None:
    before = len(world.zof.runs)
    reply = await zof_client.post("/runs", content=b"{", headers={"Content-Type": "application/json"})
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, "project_id")
    assert len(world.zof.runs) == before


async def test_a_run_is_canceled_until_it_has_ended(zof_client: httpx.AsyncClient) -> None:
    path = f"/runs/{seed.RUNNING_RUN}/cancel"
    assert (await zof_client.post(path)).json()["status"] == "canceled"
    assert (await zof_client.post(path)).status_code == 409


def test_a_run_ends_as_its_results_say(world: World) -> None:
    run = world.zof.start_run(ORDER)
    world.zof.add_result(run["id"], status="passed")
    world.zof.add_result(run["id"], status="failed", failure_summary="no")
    assert world.zof.finish_run(run["id"])["status"] == "failed"
    assert run["summary"]["failed"] == 1


# --- faults


@pytest.mark.parametrize(
    ("fault", "status", "after"),
    [
        ("429", 429, "2"),
        ("429_long", 429, "90"),
        ("500", 500, None),
        ("503", 503, None),
        ("401", 401, None),
        ("403", 403, None),
    ],
)
async def test_a_refusing_fault_hits_as_often_as_told(
    zof_client: httpx.AsyncClient, world: World, fault: str, status: int, after: str | None
) -> None:
    world.zof.faults.set_fault(fault, 1)
    reply = await zof_client.get("/runs")
    assert (reply.status_code, reply.headers.get("Retry-After")) == (status, after)
    assert reply.headers["X-Request-Id"]
    assert "message" in reply.json()["error"]
    assert (await zof_client.get("/runs")).status_code == 200
    assert [call.fault for call in world.zof.calls] == [fault, None]


async def test_html_and_cut_json_come_with_200(zof_client: httpx.AsyncClient, world: World) -> None:
    world.zof.faults.set_fault("html", 1)
    html = await zof_client.get("/runs")
    assert (html.status_code, html.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    world.zof.faults.set_fault("truncated", 1)
    cut = await zof_client.get("/runs")
    assert cut.status_code == 200
    with pytest.raises(json.JSONDecodeError):
        cut.json()


async def test_a_cut_connection_has_no_reply(zof_client: httpx.AsyncClient, world: World) -> None:
    world.zof.faults.set_fault("cut", 1)
    with pytest.raises(httpx.RemoteProtocolError):
        await zof_client.get("/runs")
    assert world.zof.calls[0].status is None


async def test_floods_are_as_large_as_they_claim(zof_client: httpx.AsyncClient, world: World) -> None:
    world.zof.faults.set_fault("huge")
    assert len((await zof_client.get("/runs")).content) > 6 * 1024 * 1024
    world.zof.faults.set_fault("bomb")
    bomb = await zof_client.get("/runs")
    assert int(bomb.headers["Content-Length"]) < 200_000
    assert len(bomb.content) > 16 * 1024 * 1024


async def test_a_slow_reply_is_late_but_right(zof_client: httpx.AsyncClient, world: World) -> None:
    world.zof.faults.delays["slow"] = 0.05
    world.zof.faults.set_fault("slow", 1)
    assert (await zof_client.get("/results/res_4821")).json()["id"] == "res_4821"
    assert world.zof.calls[0].ms >= 50


async def test_a_fault_can_be_kept_to_a_path(zof_client: httpx.AsyncClient, world: World) -> None:
    world.zof.faults.set_fault("500", only="/results")
    assert (await zof_client.get("/runs")).status_code == 200
    assert (await zof_client.get("/results")).status_code == 500


@pytest.mark.parametrize("choices", [ZOF_FAULTS, SLACK_FAULTS])
def test_faults_count_down_and_unknown_ones_are_refused(choices: dict[str, str]) -> None:
    faults = FaultInjector(choices, {})
    faults.set_fault("500", 2)
    assert [faults.take_fault("x") for _ in range(3)] == ["500", "500", "none"]
    for wrong in (("flood", None), ("500", 0)):
        with pytest.raises(ValueError, match="fault"):
            faults.set_fault(*wrong)
