"""A listing that the key may not read any more, a defect in reading a run, and a channel with many triage records."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from typing import Any

import httpx
import pytest

from tests.support.poller_bench import CHANNEL, PlainDecision, PlainRules, PollerBench, answer_well, poller_bench
from zofbot.alerting.rules import decide_batch
from zofbot.alerting.state import triage_hash
from zofbot.store.outbox_reader import MAX_WHOLE_FIELDS
from zofbot.store.pending_runs import PENDING_RUNS_HASH, PendingRun
from zofbot.subscriptions import parse_filters
from zofbot.triage import Action, Actor, TriageRecord, TriageState
from zofbot.zof.webhook_event import PLATFORM_EVENT_TYPES

NO = httpx.Response(403, json={"error": {"code": "forbidden", "message": "no"}})


@pytest.mark.parametrize("newest_first", [True, False])
@pytest.mark.parametrize("refused", ["/v1/results", "/v1/runs"])
@pytest.mark.parametrize("reply", [NO, httpx.Response(200, text="<html>")], ids=["refused", "unreadable"])
async def test_what_other_feeds_find_does_not_wait_for_a_feed_that_was_read_before_and_is_refused_now(
    newest_first: bool, refused: str, reply: httpx.Response
) -> None:
    async with poller_bench(page=3) as built:
        built.world.zof.newest_first = newest_first
        for _ in range(4):
            built.finish_run(bad=1)
            built.clock.advance(60)
        await built.poll_until_settled()
        built.zof.spoil = lambda request: reply if request.url.path == refused else None
        built.finish_run(bad=1)
        await built.run_cycle()
        built.clock.advance(60)
        await built.run_cycle()
        assert await built.committed_keys() == built.expected_keys()
        built.zof.spoil = lambda request: None
        built.finish_run(bad=1)
        await built.poll_until_settled()
        assert await built.committed_keys() == built.expected_keys()


async def _resolve_and_fail_again(built: PollerBench, group: str, records: int) -> list[dict[str, object]]:
    """Have a person resolve a failure in a channel with that many records; return what its next failure sends."""
    wish = parse_filters(f"group:{group}").model_copy(
        update={"id": "s1", "channel": CHANNEL, "created": built.clock.at}
    )
    await built.store.hset("{test}:subscriptions", "s1", wish.model_dump_json(by_alias=True))
    built.poller = built.start_poller(decide=decide_batch)
    await built.poll_until_settled()
    built.finish_run()
    await built.poll_until_settled()
    [key] = [key for key in await built.committed_keys() if key.startswith(("run:", "case:", "storm:"))]
    ben = Actor(id="U0BEN", name="ben")
    record = TriageRecord(
        rev=1, state=TriageState.RESOLVED, since=built.clock.at, by=ben, mover=ben, did=Action.RESOLVE, reason="product"
    ).model_dump_json(exclude_defaults=True)
    other = {f"case:res_{number}:failed:{CHANNEL}": record for number in range(records)}
    await built.outbox.commit([], changes={triage_hash(CHANNEL): {key: record, **other}})
    known = await built.committed_keys()
    built.clock.advance(60)
    built.finish_run()
    await built.poll_until_settled()
    found = await built.outbox.get_records(sorted(await built.committed_keys() - known))
    return [item.body for item in found]


@pytest.mark.parametrize("group", ["run", "case", "cause"])
async def test_who_resolved_a_failure_is_known_however_many_records_its_channel_has(group: str) -> None:
    said = []
    for records in (0, MAX_WHOLE_FIELDS):
        async with poller_bench() as built:
            bodies = await _resolve_and_fail_again(built, group, records)
            assert any("ben" in json.dumps(body) for body in bodies), bodies
            said.append(len(bodies))
    assert said[0] == said[1]


class RulesWithMute(PlainRules):
    """Rules that decide by a mute, which changes as often as ``conflicts`` says before a decision is committed."""

    conflicts = 0

    def __call__(self, *args: Any, **settings: Any) -> PlainDecision:
        decision = super().__call__(*args, **settings)
        is_changed, self.conflicts = self.conflicts > 0, max(0, self.conflicts - 1)
        return replace(decision, expected={"mutes": {"m1": "ended" if is_changed else None}})


async def test_what_was_read_is_stored_though_a_mute_changes_before_the_commit() -> None:
    async with poller_bench() as built:
        rules = RulesWithMute()
        built.poller = built.start_poller(decide=rules)
        await built.poll_until_settled()
        run = built.finish_run()
        rules.conflicts = 2
        await built.run_cycle()
        assert rules.conflicts == 0
        assert await built.committed_keys() == built.expected_keys()
        await built.kill_poller()
        await built.poll_until_settled()
        assert built.zof.asked.count(f"/runs/{run['id']}") == 1, "what was handled is known after a restart"


@pytest.mark.parametrize(
    ("why", "source"),
    [("run.failed", "webhook"), ("run.completed", "webhook"), ("release.gate_blocked", "webhook"),
     ("runs failed", "poll"), ("runs", "poll"), ("rerun", "poll")],
)  # fmt: skip
async def test_only_what_a_webhook_announced_counts_as_from_a_webhook(why: str, source: str) -> None:
    async with poller_bench() as built:
        await built.poll_until_settled()
        run = built.finish_run()
        pending = PendingRun("notice" if why in PLATFORM_EVENT_TYPES else "run", run["id"], why, built.clock.at)
        await built.outbox.commit([], changes={PENDING_RUNS_HASH: {pending.hash_field: pending.dump()}})
        await built.poller.poll_once(feeds=False)
        assert built.metric_value("zofbot_intake_total", source=source) == 1


@pytest.mark.parametrize("reads_feeds", [True, False])
async def test_a_defect_in_reading_one_run_keeps_no_other_from_being_told(reads_feeds: bool) -> None:
    async with poller_bench() as built:
        await built.poll_until_settled()
        runs = [built.finish_run(bad=0) for _ in range(10)]
        for number, run in enumerate(runs):
            await built.receive_webhook(run["id"], f"evt_{number}")

        def fail_on_first(request: httpx.Request) -> None:
            if request.url.path.endswith(runs[0]["id"]):
                raise ZeroDivisionError

        built.zof.spoil = fail_on_first
        with pytest.raises(ZeroDivisionError):
            await built.poller.poll_once(feeds=reads_feeds)
        told = {f"run:{run['id']}:failed:{CHANNEL}" for run in runs}
        assert told - await built.committed_keys() == {f"run:{runs[0]['id']}:failed:{CHANNEL}"}
        assert list(await built.pending_runs()) == [runs[0]["id"]]
        built.zof.spoil = answer_well
        await built.poll_until_settled()
        assert await built.committed_keys() == told


async def test_a_notice_of_a_type_that_only_a_later_version_knows_delays_nothing_and_is_given_up() -> None:
    async with poller_bench() as built:
        await built.poll_until_settled()
        notice = PendingRun("notice", "gate_1", "release.gate_opened", built.clock.at)
        await built.hints.add_pending("evt_1", notice)
        run = built.finish_run(bad=0)
        with pytest.raises(KeyError):
            await built.run_cycle()
        assert await built.committed_keys() == {f"run:{run['id']}:failed:{CHANNEL}"}
        for _ in range(26 * 6):
            with suppress(KeyError):
                await built.run_cycle(600)
        assert await built.pending_runs() == {}
        assert built.metric_value("zofbot_poll_given_up_total") == 1
