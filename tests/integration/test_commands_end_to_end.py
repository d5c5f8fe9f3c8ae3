"""From a typed command to a card, with a real Valkey and real HTTP to Zof; over Socket Mode too where that matters."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest
import redis.asyncio as redis
import structlog

from tests.support.bot import RunningBot, buttons_of, each_transport, running_bot, text_of, wait_until
from tests.support.triage import press_with_changed_payload
from tests.support.valkey_servers import valkey_server
from zofbot.config.manifest import SCOPES_BY_EVENT
from zofbot.simulator.seed import INCIDENT_ROOM, RANDOM_CHANNEL
from zofbot.simulator.slack import channel_changes, payloads
from zofbot.simulator.zof.state import HttpReply
from zofbot.slack.views.subscription_form.modal import PREVIEW_ACTION_ID
from zofbot.zof.protocol import PAGE_SIZE

RESULT = "res_4821"


@each_transport
async def test_a_result_is_the_acknowledgement_itself(bot: RunningBot) -> None:
    outcome = await bot.type_text(f"/zof result {RESULT}")
    assert outcome.body["response_type"] == "ephemeral"
    [card] = bot.private_messages()
    assert "❌ Failed: Voucher can be removed again" in text_of(card)
    assert "order total is wrong" in text_of(card)
    assert RESULT in text_of(card)
    assert not bot.public_messages()
    expected = ("auth.test", "users.info", "apps.connections.open")
    assert not [call for call in bot.world.slack.calls if call.method not in expected]


async def test_the_id_alone_is_enough(bot: RunningBot) -> None:
    assert "Voucher can be removed again" in await bot.answer_text(f"/zof {RESULT}")


@each_transport
async def test_a_slow_answer_follows_the_line_that_promised_it(bot: RunningBot) -> None:
    bot.world.zof.faults.delays["slow"] = 2.8
    bot.world.zof.faults.set_fault("slow", 1)
    outcome = await bot.type_text(f"/zof {RESULT}")
    assert outcome.status == 200
    assert outcome.ms < 2900
    [line] = bot.private_messages()
    assert "Waiting for Zof" in text_of(line)
    await wait_until(lambda: "Voucher can be removed again" in text_of(bot.private_messages()[-1]))
    assert len(bot.private_messages()) == 2
    assert len(bot.world.zof.calls) == 1


async def test_a_slow_failure_follows_the_line_too(bot: RunningBot) -> None:
    bot.world.zof.raw[f"/results/{RESULT}"] = HttpReply(
        429, {"error": {"code": "rate_limit_exceeded", "message": "Slow down"}}, {"Retry-After": "2.3"}
    )
    await bot.type_text(f"/zof {RESULT}")
    bot.world.zof.raw[f"/results/{RESULT}"] = HttpReply(404, {"error": {"code": "not_found", "message": "gone"}})
    await wait_until(lambda: "Request ID" in text_of(bot.private_messages()[-1]))
    assert len(bot.private_messages()) == 2
    assert bot.world.zof.calls[-1].request_id in text_of(bot.private_messages()[-1])


# --- every row of Zof's statuses

ROWS: list[tuple[int, str, str]] = [
    (400, "Zof didn't accept", "limit must be between 1 and 100"),
    (401, "missing, expired or revoked", "ZOF_API_KEY"),
    (403, "may not read", "role"),
    (404, "has no result", "expired"),
    (409, "limit must be between 1 and 100", "state"),
    (422, "limit must be between 1 and 100", ""),
    (429, "rate-limiting", "Try again"),
    (408, "unavailable", "status.zof.ai"),
    (500, "internal error", "Try again"),
    (502, "unavailable", "status.zof.ai"),
    (503, "unavailable", "status.zof.ai"),
    (504, "unavailable", "status.zof.ai"),
]


@pytest.mark.parametrize(("status", "says", "next_step"), ROWS, ids=lambda value: str(value)[:12])
async def test_every_status_has_its_words_and_the_last_request_id(
    bot: RunningBot, status: int, says: str, next_step: str
) -> None:
    error = {"error": {"code": "x", "message": "limit must be between 1 and 100", "param": "limit"}}
    bot.world.zof.raw[f"/results/{RESULT}"] = HttpReply(status, error, {"Retry-After": "40" if status == 429 else "0"})
    await bot.type_text(f"/zof {RESULT}")
    await wait_until(lambda: "Request ID" in text_of(bot.private_messages()[-1]))
    answer = text_of(bot.private_messages()[-1])
    assert says in answer
    assert next_step in answer
    assert f"Request ID: `{bot.world.zof.calls[-1].request_id}`" in answer
    retried = status in (408, 500, 502, 503, 504)
    assert len(bot.world.zof.calls) == (4 if retried else 1)


async def test_without_a_request_id_it_says_so(bot: RunningBot) -> None:
    bot.world.zof.raw[f"/results/{RESULT}"] = HttpReply(404, {"error": "no"}, {"X-Request-Id": None})
    assert "Zof returned no request id" in await bot.answer_text(f"/zof {RESULT}")


@pytest.mark.parametrize("fault", ["html", "truncated", "huge", "bomb"])
async def test_what_cannot_be_read_is_an_answer_with_the_request_id(bot: RunningBot, fault: str) -> None:
    bot.world.zof.faults.set_fault(fault)
    answer = await bot.answer_text(f"/zof {RESULT}")
    assert f"Request ID: `{bot.world.zof.calls[-1].request_id}`" in answer
    assert "<html" not in answer
    assert "&lt;html" not in answer


async def test_a_cut_connection_is_tried_again(bot: RunningBot) -> None:
    bot.world.zof.faults.set_fault("cut", 1)
    await bot.type_text(f"/zof {RESULT}")
    await wait_until(lambda: "Voucher" in text_of(bot.private_messages()[-1]))
    assert len(bot.world.zof.calls) == 2


# --- every row of the tolerant reading

ALIASES: list[tuple[dict[str, Any], str]] = [
    ({"id": "res_x", "run_id": "run_7"}, "`run_7`"),
    ({"id": "res_x", "run": {"id": "run_7"}}, "`run_7`"),
    ({"id": "res_x", "run": "run_7"}, "`run_7`"),
    ({"status": "FAILED"}, "❌ Failed"),
    ({"outcome": "errored"}, "Error"),
    ({"result": "Passed"}, "✅ Passed"),
    ({"status": "cancelled"}, "Canceled"),
    ({"status": "in_progress"}, "Running"),
    ({"status": "pending"}, "Queued"),
    ({"status": "skipped"}, "Skipped"),
    ({"status": "half baked"}, "half baked"),
    ({"test_case_id": "tc_7", "title": "t"}, "`tc_7`"),
    ({"case_id": "tc_7", "title": "t"}, "`tc_7`"),
    ({"test_case": {"id": "tc_7"}, "title": "t"}, "`tc_7`"),
    ({"case": {"id": "tc_7"}, "title": "t"}, "`tc_7`"),
    ({"name": "Cart works"}, "Cart works"),
    ({"title": "Cart works"}, "Cart works"),
    ({"test_case": {"name": "Cart works"}}, "Cart works"),
    ({"test_case": {"title": "Cart works"}}, "Cart works"),
    ({"test_case_name": "Cart works"}, "Cart works"),
    ({"test_case_id": "tc_only"}, "tc_only"),
    ({"project_id": "proj_9"}, "proj_9"),
    ({"project": {"id": "proj_9"}}, "proj_9"),
    ({"project_id": "proj_9", "project": {"name": "Web shop"}}, "Web shop"),
    ({"project_name": "Web shop"}, "Web shop"),
    ({"environment": "staging"}, "staging"),
    ({"environment": {"name": "staging"}}, "staging"),
    ({"environment_id": "env_1"}, "env_1"),
    ({"duration_ms": 102_000}, "1 min 42 s"),
    ({"duration_seconds": 102}, "1 min 42 s"),
    ({"duration": 102_000}, "1 min 42 s"),
    ({"failure_summary": "it broke"}, "it broke"),
    ({"failure": {"summary": "it broke"}}, "it broke"),
    ({"failure": {"message": "it broke"}}, "it broke"),
    ({"failure": "it broke"}, "it broke"),
    ({"error": {"message": "it broke"}, "status": "failed"}, "it broke"),
    ({"error": "it broke", "status": "failed"}, "it broke"),
    ({"summary": "it broke", "status": "failed"}, "it broke"),
    ({"logs_url": "https://logs.zof.ai/1"}, "https://logs.zof.ai/1"),
    ({"log_url": "https://logs.zof.ai/1"}, "https://logs.zof.ai/1"),
    ({"logs": {"url": "https://logs.zof.ai/1"}}, "https://logs.zof.ai/1"),
    ({"logs_ref": "s3-key-1"}, "s3-key-1"),
    ({"logs": {"id": "log_1"}}, "log_1"),
    ({"logs": "log_1"}, "log_1"),
    ({"started_at": "2026-06-01T08:15:00Z"}, "<!date^1780301700^"),
    ({"started_at": 1780301700}, "<!date^1780301700^"),
    ({"started_at": 1780301700000}, "<!date^1780301700^"),
    ({"completed_at": "2026-06-01T10:15:00+02:00"}, "<!date^1780301700^"),
    ({"finished_at": "2026-06-01T08:15:00Z"}, "<!date^1780301700^"),
    ({"ended_at": "2026-06-01T08:15:00"}, "<!date^1780301700^"),
    ({"created_at": "2026-06-01T08:15:00Z"}, "<!date^1780301700^"),
    ({"created": 1780301700}, "<!date^1780301700^"),
    ({"id": 42}, "`42`"),
    ({"run_id": 7, "duration_ms": "soon", "environment": ["x"], "name": None, "title": "Wrong types"}, "Wrong types"),
]


@pytest.fixture(scope="module")
async def reader(store_url: str) -> Any:
    async with running_bot(store_url, zof_result_url_template="") as bot:
        yield bot


@pytest.mark.parametrize("wrapped", [False, True], ids=["bare", "in data"])
@pytest.mark.parametrize(("body", "shows"), ALIASES, ids=lambda value: str(value)[:44])
async def test_every_spelling_of_a_field_is_read(
    reader: RunningBot, body: dict[str, Any], shows: str, wrapped: bool
) -> None:
    whole = {"id": "res_x"} | body
    reader.world.zof.raw["/results/res_x"] = {"data": whole} if wrapped else whole
    answer = await reader.answer_text("/zof result res_x")
    assert shows in answer
    assert "None" not in answer
    assert "null" not in answer.replace("null]", "")


@pytest.mark.parametrize("name", ["url", "console_url", "html_url"])
async def test_every_spelling_of_a_link_is_a_button_when_its_host_is_allowed(reader: RunningBot, name: str) -> None:
    reader.world.zof.raw["/results/res_x"] = {"id": "res_x", name: "https://app.zof.ai/r/1"}
    await reader.answer_text("/zof res_x")
    assert [b["url"] for b in buttons_of(reader.private_messages()[-1]) if b["action_id"] == "zof_open"] == [
        "https://app.zof.ai/r/1"
    ]
    reader.world.zof.raw["/results/res_x"] = {"id": "res_x", name: "https://app.zof.ai.evil.example/r/1"}
    assert "evil" not in await reader.answer_text("/zof res_x")


@pytest.mark.parametrize(
    "body",
    [
        {"summary": {"total": 3, "passed": 1, "failed": 2, "skipped": 0}}, {"total": 3, "passed": 1, "failed": 2},
    ],
    ids=["in a summary", "at the top"],
)  # fmt: skip
@pytest.mark.parametrize("listed", ["results", "case_outcomes", "cases", "test_cases"])
async def test_every_spelling_of_a_runs_counts_and_cases_is_read(
    reader: RunningBot, body: dict[str, Any], listed: str
) -> None:
    cases = [{"id": f"res_{n}", "status": "failed", "name": f"Case number {n}"} for n in range(2)]
    reader.world.zof.raw["/runs/run_x"] = {"id": "run_x", "status": "failed", **body, listed: cases}
    answer = await reader.answer_text("/zof run run_x")
    assert "2 failed · 1 passed of 3" in answer
    assert "Case number 0" in answer
    assert "Case number 1" in answer


@pytest.mark.parametrize(
    "body",
    [{}, {"results": []}, {"test_cases": [{"id": "tc_1", "name": "login"}]}],
    ids=["no list", "an empty list", "definitions of cases"],
)
async def test_failures_that_a_failed_run_neither_names_nor_counts_are_listed(
    bot: RunningBot, body: dict[str, Any]
) -> None:
    zof = bot.world.zof
    zof.raw["/runs/run_x"] = {"id": "run_x", "status": "failed", **body}
    zof.raw["/results"] = {"data": [{"id": "res_x", "run_id": "run_x", "status": "failed", "name": "The odd one"}]}
    assert "The odd one" in await bot.answer_text("/zof run run_x")


# --- runs


async def test_of_a_run_of_more_than_a_page_only_failures_are_listed(bot: RunningBot) -> None:
    zof = bot.world.zof
    counts = {"total": PAGE_SIZE + 1, "failed": 1, "error": 0, "passed": PAGE_SIZE}
    zof.raw["/runs/run_x"] = {"id": "run_x", "status": "failed", "summary": counts}
    zof.raw["/results"] = {"data": [{"id": "res_x", "run_id": "run_x", "status": "failed", "name": "The odd one"}]}
    assert "The odd one" in await bot.answer_text("/zof run run_x")
    assert [call.query.get("status") for call in zof.calls if call.path == "/results"] == ["failed"]


async def test_a_runs_failures_are_paged(bot: RunningBot) -> None:
    answer = await bot.answer_text("/zof run run_2038")
    assert "53 failed · 4 passed · 1 skipped of 58" in answer
    assert "page 10 lists" in answer
    assert "page 11 lists" not in answer
    assert "and 43 more" in answer
    await bot.press_button(bot.private_messages()[-1], "zof_run_page")
    await wait_until(lambda: "page 11 lists" in text_of(bot.private_messages()[-1]))
    assert len(bot.private_messages()) == 1
    assert "11 to 20 of 53" in text_of(bot.private_messages()[-1])
    await bot.press_button(bot.private_messages()[-1], "zof_run_page_back")
    await wait_until(lambda: "page 10 lists" in text_of(bot.private_messages()[-1]))


@pytest.mark.parametrize("status", [403, 500])
async def test_a_run_whose_failures_cannot_be_read_is_shown_with_the_reason(bot: RunningBot, status: int) -> None:
    zof = bot.world.zof
    zof.raw["/runs/run_x"] = {"id": "run_x", "status": "failed", "summary": {"total": 3, "failed": 2}}
    zof.raw["/results"] = HttpReply(status, {"error": {"code": "x", "message": "no"}}, {})
    await bot.type_text("/zof run run_x")
    await wait_until(lambda: "couldn't be read" in text_of(bot.private_messages()[-1]), 20)
    answer = text_of(bot.private_messages()[-1])
    assert "2 failed" in answer
    assert ("higher role" if status == 403 else "status.zof.ai") in answer
    assert bot.world.zof.calls[-1].request_id in answer


async def test_a_case_of_a_run_opens_as_its_own_card_and_leads_back(bot: RunningBot) -> None:
    await bot.answer_text("/zof run_2037")
    await bot.press_button(bot.private_messages()[-1], "zof_result", label=RESULT)
    await wait_until(lambda: len(bot.private_messages()) == 2)
    assert "Voucher can be removed again" in text_of(bot.private_messages()[-1])
    await bot.press_button(bot.private_messages()[-1], "zof_run")
    await wait_until(lambda: len(bot.private_messages()) == 3)
    assert "3 failed · 2 errored · 5 passed of 10" in text_of(bot.private_messages()[-1])


async def test_a_page_that_cannot_be_turned_keeps_the_page_that_is_there(bot: RunningBot) -> None:
    await bot.answer_text("/zof run run_2038")
    bot.world.zof.faults.set_fault("403")
    await bot.press_button(bot.private_messages()[-1], "zof_run_page")
    await wait_until(lambda: len(bot.private_messages()) == 2)
    assert "page 10 lists" in text_of(bot.private_messages()[0])
    assert "Request ID" in text_of(bot.private_messages()[1])


@pytest.mark.parametrize("newest_first", [True, False])
async def test_the_latest_runs_come_newest_first_however_zof_lists_them(bot: RunningBot, newest_first: bool) -> None:
    bot.world.zof.newest_first = newest_first
    answer = await bot.answer_text("/zof runs")
    assert answer.index("run_2040") < answer.index("run_2038") < answer.index("run_2037")
    await bot.press_button(bot.private_messages()[-1], "zof_runs_page")
    await wait_until(lambda: "11 to 20" in text_of(bot.private_messages()[-1]))


async def test_the_latest_runs_can_be_filtered(bot: RunningBot) -> None:
    answer = await bot.answer_text("/zof runs status:failed project:checkout env:staging")
    assert "checkout: payment on staging" in answer
    assert "production" not in answer
    assert "Passed" not in answer
    assert "No runs match" in await bot.answer_text("/zof runs env:nowhere")


@pytest.mark.parametrize("newest_first", [True, False])
async def test_runs_that_were_not_read_are_not_said_to_differ_from_the_filters(
    bot: RunningBot, newest_first: bool
) -> None:
    bot.world.zof.newest_first = newest_first
    for number in range(1001):
        bot.world.zof.start_run({"project_id": "proj_checkout", "environment": "qa" if number % 500 == 250 else "dev"})
    answer = await bot.answer_text("/zof runs env:nowhere")
    assert "None of the runs that were read match `env:nowhere`, but Zof has more." in answer
    assert "No runs match" not in answer
    assert "Zof has more runs." in await bot.answer_text("/zof runs env:qa")
    assert "No runs match" in await bot.answer_text("/zof runs env:nowhere status:blocked")


@pytest.mark.parametrize(("typed", "heads"), [("failed", {"Failed"}), ("cancelled", {"Canceled"})])
async def test_a_status_is_filtered_by_its_meaning_also_where_zof_does_not_know_the_filter(
    store_url: str, typed: str, heads: set[str]
) -> None:
    async with running_bot(store_url, zof_status_param="state_of_the_run") as bot:
        run = bot.world.zof.start_run({"project_id": "proj_checkout", "environment": "staging"})
        bot.world.zof.finish_run(run["id"], "canceled")
        await bot.answer_text(f"/zof runs status:{typed}")
        assert set(re.findall(r"^(\w+): ", bot.private_messages()[-1].text, re.MULTILINE)) == heads
        assert any("state_of_the_run" in call.query for call in bot.world.zof.calls)


async def test_the_id_of_a_run_where_a_result_is_asked_for_is_recognized(bot: RunningBot) -> None:
    answer = await bot.answer_text("/zof result run_1001")
    assert "Zof has no result" in answer
    assert "That's a run ID. Try `/zof run run_1001`." in answer


# --- sharing


@each_transport
async def test_a_card_is_shared_once_in_somebodys_name(bot: RunningBot) -> None:
    await bot.answer_text(f"/zof {RESULT}")
    card = bot.private_messages()[0]
    await bot.press_button(card, "zof_share")
    await wait_until(lambda: len(bot.private_messages()) == 2)
    [shared] = bot.public_messages()
    assert "Shared by ana" in text_of(shared)
    assert shared.metadata is not None
    assert shared.metadata["event_type"] == "zofbot_notification"
    assert shared.idempotency_key == f"share:{RESULT}:failed:C0QA"
    assert "Shared to this channel" in text_of(bot.private_messages()[1])
    await bot.press_button(card, "zof_share")
    await wait_until(lambda: len(bot.private_messages()) == 3)
    assert len(bot.public_messages()) == 1
    assert "ana already shared this" in text_of(bot.private_messages()[2])
    assert f"/archives/C0QA/p{shared.ts.replace('.', '')}" in text_of(bot.private_messages()[2])


async def test_two_people_who_share_at_once_share_once(bot: RunningBot) -> None:
    for user in ("U0ANA", "U0BEN"):
        await bot.answer_text(f"/zof {RESULT}", user=user)
    cards = {user: bot.private_messages(user=user)[0] for user in ("U0ANA", "U0BEN")}
    await asyncio.gather(*(bot.press_button(card, "zof_share", user=user) for user, card in cards.items()))
    await wait_until(lambda: all(len(bot.private_messages(user=user)) == 2 for user in cards))
    assert len(bot.public_messages()) == 1


async def test_share_typed_posts_at_once(bot: RunningBot) -> None:
    await bot.type_text(f"/zof result {RESULT} share")
    await wait_until(lambda: len(bot.public_messages()) == 1)
    assert "Shared by ana" in text_of(bot.public_messages()[0])
    assert "Shared to this channel" in text_of(bot.private_messages()[-1])


async def test_the_buttons_of_a_shared_card_answer_whoever_presses_them(bot: RunningBot) -> None:
    await bot.type_text(f"/zof result {RESULT} share")
    await wait_until(lambda: len(bot.public_messages()) == 1)
    await bot.press_button(bot.public_messages()[0], "zof_run", user="U0BEN")
    await wait_until(lambda: len(bot.private_messages(user="U0BEN")) == 1)
    assert "3 failed · 2 errored · 5 passed of 10" in text_of(bot.private_messages(user="U0BEN")[0])
    assert len(bot.public_messages()) == 1


@pytest.mark.parametrize("channel", [RANDOM_CHANNEL, INCIDENT_ROOM])
async def test_sharing_works_where_the_bot_is_no_member(bot: RunningBot, channel: str) -> None:
    bot.world.slack.scopes.discard("chat:write.public")
    await bot.type_text(f"/zof result {RESULT} share", channel=channel)
    await wait_until(lambda: len(bot.public_messages(channel)) == 1)
    assert "Shared by ana" in text_of(bot.public_messages(channel)[0])


@pytest.mark.parametrize("fault", ["store_then_cut", "store_then_500", "cut", "500", "429", "429_fraction", "502"])
async def test_a_share_that_slack_does_not_confirm_is_posted_once(bot: RunningBot, fault: str) -> None:
    bot.world.slack.faults.set_fault(fault, 1, only="chat.postMessage")
    await bot.type_text(f"/zof result {RESULT} share")
    await wait_until(lambda: "Shared to this channel" in text_of(bot.private_messages()[-1]), 15)
    assert len(bot.world.slack.ledger) == 1


async def test_a_shared_card_stands_also_where_slack_does_not_say_its_address(bot: RunningBot) -> None:
    bot.world.slack.faults.set_fault("500", only="chat.getPermalink")
    assert "Shared to this channel" in await bot.answer_text(f"/zof result {RESULT} share")
    assert len(bot.public_messages()) == 1
    assert "/archives/" not in text_of(bot.private_messages()[-1])


async def test_a_card_that_slack_does_not_draw_is_shared_in_plain_lines(bot: RunningBot) -> None:
    bot.world.slack.faults.set_fault("invalid_blocks", 1, only="chat.postMessage")
    assert "Shared to this channel" in await bot.answer_text(f"/zof result {RESULT} share")
    [shared] = bot.public_messages()
    assert "Slack rejected the full card" in shared.text
    assert (shared.idempotency_key or "").startswith(f"share:{RESULT}:failed:")


async def test_a_refused_share_says_how_to_mend_it_and_can_be_tried_again(bot: RunningBot) -> None:
    await bot.answer_text(f"/zof {RESULT}")
    card = bot.private_messages()[0]
    bot.world.slack.channels["C0QA"].restricted = "restricted_action"
    await bot.press_button(card, "zof_share")
    await wait_until(lambda: len(bot.private_messages()) == 2)
    assert "Ask a workspace admin" in text_of(bot.private_messages()[1])
    bot.world.slack.channels["C0QA"].restricted = ""
    await bot.press_button(card, "zof_share")
    await wait_until(lambda: len(bot.public_messages()) == 1)


# --- the rest


@each_transport
async def test_the_same_request_twice_acts_once(bot: RunningBot) -> None:
    payload = _command_payload(f"result {RESULT} share", bot)
    first, second = [await bot.simulator.people.deliver_payload("slash_commands", payload) for _ in range(2)]
    assert first.status == second.status == 200
    assert second.body == ""
    await wait_until(lambda: len(bot.world.slack.ledger) == 1)
    await asyncio.sleep(0.2)
    assert len(bot.world.slack.ledger) == 1
    assert len(bot.world.zof.calls) == 1


async def test_two_commands_with_the_same_trigger_are_both_answered(bot: RunningBot) -> None:
    """Emulators of Slack have one trigger for all."""
    payloads = [_command_payload(text, bot) | {"trigger_id": "1.2.a"} for text in ("help run", "help result")]
    first, second = [await bot.simulator.people.deliver_payload("slash_commands", payload) for payload in payloads]
    assert "/zof run" in str(first.body)
    assert "/zof result" in str(second.body)


@pytest.mark.parametrize("trigger", ["1.2.a", None])
@each_transport
async def test_two_clicks_with_the_same_trigger_or_none_are_both_answered(bot: RunningBot, trigger: str | None) -> None:
    await bot.answer_text(f"/zof result {RESULT}")
    card = bot.private_messages()[-1]
    [button] = [button for button in buttons_of(card) if button["action_id"] == "zof_run"]
    for answers in (2, 3):
        await press_with_changed_payload(bot, "U0ANA", card, button, trigger_id=trigger)
        await wait_until(lambda answers=answers: len(bot.private_messages()) == answers)


@each_transport
async def test_a_click_that_is_delivered_twice_is_answered_once(bot: RunningBot) -> None:
    await bot.answer_text(f"/zof result {RESULT}")
    card, slack = bot.private_messages()[-1], bot.world.slack
    [button] = [button for button in buttons_of(card) if button["action_id"] == "zof_run"]
    done = button | {"action_ts": slack.next_timestamp()}
    url = slack.new_response_url("U0ANA", card.channel, card)
    payload = payloads.message_action_payload(slack, slack.users["U0ANA"], card, done, url)
    for _ in range(2):
        assert (await bot.simulator.people.deliver_payload("interactive", payload)).status == 200
    await asyncio.sleep(10)
    assert len(bot.private_messages()) == 2


async def test_what_is_set_up_with_the_same_trigger_is_all_kept(bot: RunningBot) -> None:
    typed = ("subscribe project:checkout", "subscribe project:search", "mute 1h project:a", "mute 1h project:b")
    for text in typed:
        payload = _command_payload(text, bot) | {"trigger_id": "1.2.a"}
        assert (await bot.simulator.people.deliver_payload("slash_commands", payload)).status == 200
    store = bot.app.store

    async def is_kept() -> bool:
        return [await store.client.hlen(store.keyspace.key(name)) for name in ("subscriptions", "mutes")] == [2, 2]

    await wait_until(is_kept)


def _command_payload(text: str, bot: RunningBot) -> dict[str, str]:
    slack = bot.world.slack
    return {
        "command": "/zof", "text": text, "user_id": "U0ANA", "user_name": "ana", "channel_id": "C0QA",
        "channel_name": "qa-alerts", "team_id": "T0ACME", "trigger_id": slack.new_trigger("U0ANA"),
        "response_url": slack.new_response_url("U0ANA", "C0QA"),
    }  # fmt: skip


async def test_a_button_of_another_version_says_so(bot: RunningBot) -> None:
    await bot.answer_text(f"/zof {RESULT}")
    card = bot.private_messages()[0]
    card.attachments[0]["blocks"][-2]["elements"][-1]["action_id"] = "zof_from_the_future"
    await bot.press_button(card, "zof_from_the_future")
    await wait_until(lambda: len(bot.private_messages()) == 2)
    assert "another version" in text_of(bot.private_messages()[1])


@pytest.mark.parametrize(
    ("bot", "value"),
    [("http", "{"), ("socket", "{"), *(("http", value) for value in ("[]", "{}", '{"id": 4821}', '{"id": "../runs"}'))],
    indirect=["bot"],
)
async def test_a_button_that_does_not_say_what_it_is_about_asks_nobody(bot: RunningBot, value: str) -> None:
    bot.world.slack.unknown_blocks.add("table")
    await bot.answer_text("/zof runs")
    shown = bot.private_messages()[-1]
    calls = len(bot.world.zof.calls)
    for block in shown.blocks:
        for element in [*block.get("elements", []), block.get("accessory", {})]:
            if element.get("action_id") == "zof_run":
                element["value"] = value
    await bot.press_button(shown, "zof_run")
    await wait_until(lambda: "This button no longer works." in text_of(bot.private_messages()[-1]))
    assert len(bot.world.zof.calls) == calls


@each_transport
async def test_a_link_that_is_followed_is_acknowledged_and_answered_by_nobody(bot: RunningBot) -> None:
    await bot.type_text(f"/zof result {RESULT}")
    before = len(bot.private_messages())
    assert (await bot.press_button(bot.private_messages()[-1], "zof_open")).is_accepted
    assert "unknown" not in await bot.answer_text(f"/zof result {RESULT}")
    assert len(bot.private_messages()) == before + 1, "the answer to what was typed, and nothing else"


async def test_home_is_published_when_it_is_opened(bot: RunningBot) -> None:
    await bot.simulator.people.open_home("U0BEN")
    await wait_until(lambda: "U0BEN" in bot.world.slack.homes)
    assert "/zof help` lists commands" in str(bot.world.slack.homes["U0BEN"].payload)


@each_transport
async def test_events_nobody_waits_for_are_acknowledged(bot: RunningBot) -> None:
    event = {"type": "event_callback", "event_id": "Ev1", "event": {"type": "channel_rename"}, "team_id": "T0ACME"}
    assert (await bot.simulator.people.deliver_payload("events_api", event)).status == 200


async def test_looking_up_works_while_redis_is_gone_and_sharing_says_why_not(tmp_path: Path) -> None:
    with valkey_server(tmp_path) as store_url:
        async with running_bot(store_url) as bot:
            async with redis.from_url(store_url) as client:
                await client.shutdown()
            assert await bot.app.list_unready() == ["redis does not answer"]
            assert "Voucher" in await bot.answer_text(f"/zof {RESULT}")
            await bot.press_button(bot.private_messages()[0], "zof_share")
            await wait_until(lambda: len(bot.private_messages()) == 2)
            assert "store (Redis) isn't responding" in text_of(bot.private_messages()[1])
            assert not bot.public_messages()


async def test_forms_home_and_changes_of_channels_are_answered_while_redis_is_gone(tmp_path: Path) -> None:
    with valkey_server(tmp_path) as store_url, structlog.testing.capture_logs() as lines:
        async with running_bot(store_url) as bot:
            people, slack = bot.simulator.people, bot.world.slack
            slack.events = set(SCOPES_BY_EVENT)
            async with redis.from_url(store_url) as client:
                await client.shutdown()
            await bot.type_text("/zof subscribe")
            await wait_until(lambda: bool(slack.modals.get("U0ANA")))
            [form] = slack.modals["U0ANA"]
            groups = {"groups": {"groups": {"type": "plain_text_input", "value": "oncall-checkout"}}}
            await people.press_element("U0ANA", {"action_id": PREVIEW_ACTION_ID}, view_id=form.id, values=groups)
            await wait_until(lambda: "No preview: zofbot's store (Redis) isn't responding" in str(form.payload))

            await people.open_home("U0ANA")
            await wait_until(lambda: "store (Redis) isn't responding" in str(slack.homes.get("U0ANA")))
            for archived in (True, False):
                assert (await people.archive_channel("U0ANA", "C0QA", archived=archived)).is_accepted
            assert (await channel_changes.remove_member(people, "U0CHIOMA", "C0QA")).is_accepted
            said = {"change not noted", "channel not unparked", "home not updated", "home's version not kept"}
            await wait_until(lambda: said <= {line["event"] for line in lines})


async def test_a_card_that_slack_refuses_arrives_as_three_plain_lines(bot: RunningBot) -> None:
    await bot.answer_text("/zof run_2037")
    bot.world.slack.takes_blocks = False
    await bot.press_button(bot.private_messages()[0], "zof_result", label=RESULT)
    await wait_until(lambda: len(bot.private_messages()) == 2)
    plain = bot.private_messages()[1]
    assert "Failed: Voucher can be removed again" in plain.text
    assert len(plain.text.splitlines()) == 3
    await bot.type_text(f"/zof result {RESULT} share")
    await wait_until(lambda: len(bot.public_messages()) == 1)
    assert len(bot.public_messages()[0].text.splitlines()) == 3


@each_transport
async def test_a_word_that_bolt_takes_for_a_field_can_be_typed(bot: RunningBot) -> None:
    assert "Subscribed: matching failures will be posted here" in await bot.answer_text("/zof subscribe case:*payload*")
