"""What the page's panel can make happen: runs that end, webhooks, archived channels."""

from __future__ import annotations

import re
from typing import Any

import aiohttp
import pytest

from tests.support.paths import ROOT
from tests.support.virtual_time import SetClock
from zofbot.alerting.failure_signature import make_signature
from zofbot.simulator.scenarios import SCENARIOS, STORM_RUN_COUNT, run_scenario
from zofbot.simulator.seed import ANA, CHECKOUT, GUEST, INCIDENT_ROOM, QA_ALERTS
from zofbot.simulator.server import SimulatorServer
from zofbot.simulator.slack.chat_api import add_reaction, post_ephemeral, post_message, update_message
from zofbot.simulator.slack.model import BOT_USER_ID
from zofbot.simulator.slack.state import SlackRefusal, Workspace
from zofbot.simulator.world import World
from zofbot.simulator.zof.state import Organization
from zofbot.zof.parsing import parse_result, parse_run

PACKAGE = ROOT / "zofbot"


@pytest.fixture
def clock() -> SetClock:
    return SetClock(1795467000.0)


async def post_act(simulator: SimulatorServer, name: str, **body: Any) -> dict[str, Any]:
    async with aiohttp.ClientSession() as session, session.post(f"{simulator.url}/sim/{name}", json=body) as reply:
        answer: dict[str, Any] = await reply.json()
        return answer


async def read_state(simulator: SimulatorServer) -> dict[str, Any]:
    async with aiohttp.ClientSession() as session, session.get(f"{simulator.url}/sim/state?user={ANA}") as reply:
        answer: dict[str, Any] = await reply.json()
        return answer


def test_the_runs_of_a_history_end_one_after_another(world: World) -> None:
    runs = run_scenario(world.zof, "history", CHECKOUT, "nightly")
    assert [run["status"] for run in runs] == ["failed", "passed", "failed", "passed", "failed", "failed"]
    ends = [run["completed_at"] for run in runs]
    assert ends == sorted(set(ends))
    assert runs[-1]["summary"]["failed"] == 3


def test_the_same_reason_fails_one_case_after_another(world: World) -> None:
    runs = [run_scenario(world.zof, "returning", CHECKOUT, "nightly")[0] for _ in range(2)]
    failed = [each for run in runs for each in world.zof.results_of_run(run["id"]) if each["status"] == "failed"]
    assert len({each["name"] for each in failed}) == 2
    assert len({make_signature(each["failure_summary"]) for each in failed}) == 1


@pytest.mark.parametrize(
    ("what", "status", "bad"),
    [
        ("failure", "failed", (1, 0)),
        ("failures", "failed", 12),
        ("causes", "failed", (200, 100)),
        ("error", "error", (0, 3)),
        ("pass", "passed", 0),
        ("retried", "failed", (1, 0)),
        ("tolerated", "passed", (1, 0)),
    ],
)
def test_a_run_ends_as_it_was_asked_to(world: World, what: str, status: str, bad: int | tuple[int, int]) -> None:
    [run] = run_scenario(world.zof, what, CHECKOUT, "nightly")
    counts = run["summary"]
    assert (run["status"], run["project_id"], run["environment"]) == (status, CHECKOUT, "nightly")
    found = (counts["failed"], counts["error"])
    assert found == bad if isinstance(bad, tuple) else sum(found) == bad
    assert counts["total"] == sum(found) + counts["passed"] > sum(found)
    assert all(
        result["status"] == "passed" or result["failure_summary"] for result in world.zof.results_of_run(run["id"])
    )


def test_a_failed_case_comes_with_what_zof_knows_of_it(world: World) -> None:
    [run] = run_scenario(world.zof, "failure", CHECKOUT, "staging")
    bad = [result for result in world.zof.results_of_run(run["id"]) if result["status"] == "failed"]
    assert {extra.label for extra in parse_run(run).extras} == {"commit", "branch", "author_email", "pull_request"}
    assert {"screenshot", "video", "step", "tags"} <= {extra.label for extra in parse_result(bad[0]).extras}


def test_a_case_that_is_tried_again_has_a_result_for_each_attempt(world: World) -> None:
    [run] = run_scenario(world.zof, "retried", CHECKOUT, "nightly")
    failed = [result for result in world.zof.results_of_run(run["id"]) if result["status"] == "failed"]
    assert len(failed) == 2
    assert len({result["test_case_id"] for result in failed}) == 1
    assert failed[0]["completed_at"] < failed[1]["completed_at"]


def test_a_passing_run_has_every_case_that_can_fail(world: World) -> None:
    failing = {
        result["test_case_id"]
        for what in ("failure", "failures", "error")
        for run in run_scenario(world.zof, what, CHECKOUT, "nightly")
        for result in world.zof.results_of_run(run["id"])
    }
    [run] = run_scenario(world.zof, "pass", CHECKOUT, "nightly")
    assert failing <= {result["test_case_id"] for result in world.zof.results_of_run(run["id"])}


def test_a_storm_is_everywhere(world: World) -> None:
    runs = run_scenario(world.zof, "storm", CHECKOUT, "nightly")
    assert len(runs) == STORM_RUN_COUNT
    assert {run["summary"]["failed"] + run["summary"]["error"] for run in runs} == {1}
    assert len({(run["project_id"], run["environment"]) for run in runs}) == 6


def test_three_projects_fail_for_one_reason_until_it_is_gone(world: World) -> None:
    failing, passing = (run_scenario(world.zof, what, CHECKOUT, "nightly") for what in ("everywhere", "stopped"))
    assert len({run["project_id"] for run in failing}) == 3
    assert {run["status"] for run in passing} == {"passed"}
    assert [(run["project_id"], run["environment"]) for run in failing] == [
        (run["project_id"], run["environment"]) for run in passing
    ]
    results = [each for run in failing for each in world.zof.results_of_run(run["id"])]
    texts = {each["failure_summary"] for each in results if "failure_summary" in each}
    assert len(texts) > 1
    assert len({make_signature(text).id for text in texts}) == 1


async def test_every_choice_of_the_page_can_be_made(simulator: SimulatorServer) -> None:
    shown = await read_state(simulator)
    assert [choice["id"] for choice in shown["scenarios"]] == list(SCENARIOS)
    project = shown["projects"][0]
    for choice in shown["scenarios"]:
        asked = {"what": choice["id"], "project": project["id"], "environment": project["environments"][0]}
        assert await post_act(simulator, "run", **asked) == {"ok": True}


@pytest.mark.parametrize(
    "wrong", [{"what": "fire"}, {"project": "proj_none"}, {"environment": "moon"}, {"what": ["storm"]}]
)
async def test_what_is_not_offered_is_refused_in_a_sentence(
    simulator: SimulatorServer, zof: Organization, wrong: dict[str, Any]
) -> None:
    known = len(zof.runs)
    asked = {"what": "failure", "project": CHECKOUT, "environment": "staging"} | wrong
    assert (await post_act(simulator, "run", **asked))["ok"] is False
    assert len(zof.runs) == known


async def test_the_webhook_can_be_switched(simulator: SimulatorServer, zof: Organization) -> None:
    hooks = zof.webhooks
    hooks.url = "http://127.0.0.1:9/nobody"
    assert await post_act(simulator, "webhook", on=False, generation="older") == {"ok": True}
    run_scenario(zof, "failure", CHECKOUT, "staging")
    assert not hooks.waiting
    assert (await read_state(simulator))["webhook"] == {"on": False, "generation": "older", "last": None}
    assert await post_act(simulator, "webhook", on=True) == {"ok": True}
    run_scenario(zof, "failure", CHECKOUT, "staging")
    assert [each.type for each in hooks.waiting] == ["run.completed", "run.failed"]
    assert b'"event"' in hooks.waiting[0].body
    assert (await post_act(simulator, "webhook", generation="newest"))["ok"] is False


async def test_a_channel_is_archived_and_opened_by_its_people_only(
    simulator: SimulatorServer, slack: Workspace
) -> None:
    channels = slack.channels
    assert (
        "not in that channel"
        in (await post_act(simulator, "archive", user=GUEST, channel=QA_ALERTS, archived=True))["error"]
    )
    assert await post_act(simulator, "archive", user=ANA, channel=QA_ALERTS, archived=True) == {"ok": True}
    assert channels[QA_ALERTS].archived
    assert "already" in (await post_act(simulator, "archive", user=ANA, channel=QA_ALERTS, archived=True))["error"]
    assert await post_act(simulator, "archive", user=ANA, channel=QA_ALERTS, archived=False) == {"ok": True}
    assert not channels[QA_ALERTS].archived
    assert (await post_act(simulator, "archive", user=ANA, channel="D0ANA", archived=True))["ok"] is False


async def test_an_archived_channel_takes_nothing_from_the_bot(world: World, simulator: SimulatorServer) -> None:
    slack = world.slack
    ts = post_message(slack, {"channel": QA_ALERTS, "text": "before"})["ts"]
    await simulator.people.archive_channel(ANA, QA_ALERTS, archived=True)
    given = {"channel": QA_ALERTS, "ts": ts, "timestamp": ts, "thread_ts": ts, "text": "x", "user": ANA, "name": "eyes"}
    for method in (post_message, post_ephemeral, update_message, add_reaction):
        with pytest.raises(SlackRefusal, match="is_archived"):
            method(slack, given)
    assert [message.text for message in slack.ledger] == ["before"]
    await simulator.people.archive_channel(ANA, QA_ALERTS, archived=False)
    assert update_message(slack, given)["text"] == "x"


async def test_a_bot_that_asked_hears_of_it(simulator: SimulatorServer) -> None:
    slack, heard = simulator.world.slack, []

    class Line:
        async def send_envelope(self, envelope: dict[str, Any], within: float) -> dict[str, Any]:
            heard.append(envelope["payload"]["event"])
            return {}

    slack.lines.append(Line())
    await simulator.people.archive_channel(ANA, QA_ALERTS, archived=True)
    assert heard == []
    slack.events.add("channel_unarchive")
    await simulator.people.archive_channel(ANA, QA_ALERTS, archived=False)
    assert [(event["type"], event["channel"]) for event in heard] == [("channel_unarchive", QA_ALERTS)]


async def test_archiving_removes_the_bot_and_only_a_public_channel_still_tells_it(simulator: SimulatorServer) -> None:
    slack, heard = simulator.world.slack, []

    class Line:
        async def send_envelope(self, envelope: dict[str, Any], within: float) -> dict[str, Any]:
            heard.append(envelope["payload"]["event"]["type"])
            return {}

    slack.lines.append(Line())
    slack.events |= {"channel_archive", "channel_unarchive", "group_archive", "group_unarchive"}
    slack.channels[INCIDENT_ROOM].members.add(BOT_USER_ID)
    for channel, error in ((QA_ALERTS, "is_archived"), (INCIDENT_ROOM, "channel_not_found")):
        for archived in (True, False):
            await simulator.people.archive_channel(ANA, channel, archived=archived)
            assert BOT_USER_ID not in slack.channels[channel].members
            if archived:
                with pytest.raises(SlackRefusal, match=error):
                    post_message(slack, {"channel": channel, "text": "x"})
    assert heard == ["channel_archive", "channel_unarchive", "group_archive"]


def test_what_is_hidden_counts_as_said_and_is_seen_by_nobody(world: World) -> None:
    slack = world.slack
    slack.hides_fast_posts = True
    stamps = [post_message(slack, {"channel": QA_ALERTS, "text": "x"})["ts"] for _ in range(5)]
    assert len(slack.ledger) == 5
    assert sum(message.hidden for message in slack.ledger) == 2
    with pytest.raises(SlackRefusal, match="message_not_found"):
        update_message(slack, {"channel": QA_ALERTS, "ts": stamps[-1], "text": "y"})
    with pytest.raises(SlackRefusal, match="thread_not_found"):
        post_message(slack, {"channel": QA_ALERTS, "text": "y", "thread_ts": stamps[-1]})


def test_a_reply_counts_for_its_channels_pace(world: World) -> None:
    slack = world.slack
    root = post_message(slack, {"channel": QA_ALERTS, "text": "x"})["ts"]
    for _ in range(2):
        post_message(slack, {"channel": QA_ALERTS, "text": "x", "thread_ts": root})
    with pytest.raises(SlackRefusal) as refused:
        post_message(slack, {"channel": QA_ALERTS, "text": "x", "thread_ts": root})
    assert (refused.value.error, refused.value.status, refused.value.headers) == (
        "ratelimited", 429, {"Retry-After": "1"},
    )  # fmt: skip


def test_every_emoji_of_ours_is_drawn_where_there_is_no_font_for_it() -> None:
    drawn = (PACKAGE / "simulator" / "page" / "glyphs.js").read_text()
    ours = {
        sign
        for path in [*(PACKAGE / "slack").rglob("*.py"), *(PACKAGE / "listeners").rglob("*.py")]
        for sign in re.findall("[\U0001f300-\U0001faff\u2600-\u27bf\u23e9-\u23ff]", path.read_text())
    }
    assert ours
    assert {sign for sign in ours if f'"{sign}"' not in drawn} == set()
