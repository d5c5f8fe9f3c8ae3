"""Payloads that are signed but that no client of Slack's would send, and people who may not act any more."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from tests.support.bot import RunningBot, running_bot, text_of, wait_until
from tests.support.triage import (
    button_of,
    chosen_act,
    flaky_resolution,
    open_form,
    open_triage_form,
    press_button,
    private_text,
    raise_alert,
)
from zofbot.simulator.quota import MinuteQuota
from zofbot.simulator.slack import payloads
from zofbot.simulator.slack.model import PostedMessage
from zofbot.triage import Action
from zofbot.triage.state_machine import AUTOMATIC_ACTIONS

pytestmark = pytest.mark.anyio

ELSEWHERE = "is in another channel"


async def forge_press(
    bot: RunningBot, root: PostedMessage, action: dict[str, Any], *, channel: str = "C0QA", user: str = "U0ANA"
) -> str:
    """Send a press of anything on a message in any channel; gives the private answer."""
    slack = bot.world.slack
    known = len(bot.private_messages(channel, user))
    url = slack.new_response_url(user, channel)
    message = PostedMessage(channel, root.ts, root.user, root.text)
    done = {"type": "button", "action_ts": slack.next_timestamp(), **action}
    payload = payloads.message_action_payload(slack, slack.users[user], message, done, url)
    assert (await bot.simulator.people.deliver_payload("interactive", payload)).is_accepted
    await wait_until(lambda: len(bot.private_messages(channel, user)) > known)
    return text_of(bot.private_messages(channel, user)[-1])


def state_of(root: PostedMessage) -> str:
    return root.text.partition(":")[0]


# --- the channel of a payload, of a key and of what a form carries


@pytest.mark.parametrize("word", ["acknowledge", "snooze", "why", "rerun", "run"])
async def test_a_button_pressed_in_another_channel_does_nothing(triage_bot: RunningBot, word: str) -> None:
    root = await raise_alert(triage_bot)
    row = button_of(root, "zof_triage_acknowledge")["block_id"]
    action = {"action_id": "zof_triage_acknowledge", "block_id": row, "value": word}
    assert ELSEWHERE in await forge_press(triage_bot, root, action, channel="C0SEARCH")
    assert state_of(root) == "Failed"
    assert not triage_bot.world.slack.modals.get("U0ANA")


async def test_a_button_of_an_answer_pressed_in_another_channel_does_nothing(triage_bot: RunningBot) -> None:
    root = await raise_alert(triage_bot)
    value = json.dumps({"key": root.idempotency_key, "version": "0.0", "again": True})
    action = {"action_id": "zof_do_acknowledge", "block_id": "row", "value": value}
    assert ELSEWHERE in await forge_press(triage_bot, root, action, channel="C0SEARCH")
    assert state_of(root) == "Failed"


@pytest.mark.parametrize("opened", [open_form, None])
async def test_a_form_that_carries_another_channel_than_its_failures_does_nothing(
    triage_bot: RunningBot, opened: Any
) -> None:
    root = await raise_alert(triage_bot)
    if opened:
        view_id, filled = await open_form(triage_bot, "U0ANA", root, "assign"), {}
    else:
        view_id, filled = await open_triage_form(triage_bot, root), chosen_act("acknowledge", "Acknowledge")
    view = triage_bot.world.slack.modals["U0ANA"][-1]
    carried = json.loads(view.payload["private_metadata"])
    view.payload["private_metadata"] = json.dumps(carried | {"channel": "C0SEARCH"})
    await triage_bot.simulator.people.submit_view("U0ANA", view_id, filled)
    assert ELSEWHERE in json.dumps(view.errors)
    assert state_of(root) == "Failed"


async def test_an_order_is_taken_only_where_it_was_offered(store_url: str) -> None:
    async with running_bot(store_url, zofbot_allow_runs=True, zofbot_operators="U0ANA") as bot:
        run = bot.world.zof.start_run({"project_id": "proj_checkout", "environment": "staging", "name": "nightly"})
        await bot.answer_text(f"/zof cancel {run['id']}")
        [message] = bot.private_messages()
        element = next(item for block in message.blocks for item in block.get("elements", ()) if "value" in item)
        action = {"action_id": element["action_id"], "block_id": "row", "value": element["value"]}
        assert ELSEWHERE in await forge_press(bot, message, action, channel="C0SEARCH")
        assert bot.world.zof.runs[run["id"]]["status"] != "cancelled"


# --- what happens of itself is nobody's to press


@pytest.mark.parametrize("act", sorted(AUTOMATIC_ACTIONS))
@pytest.mark.parametrize("action_id", ["zof_triage_{}", "zof_do_{}", "zof_triage_acknowledge", "zof_triage_more"])
async def test_what_happens_of_itself_is_no_button(triage_bot: RunningBot, act: Action, action_id: str) -> None:
    root = await raise_alert(triage_bot)
    row = button_of(root, "zof_triage_acknowledge")["block_id"]
    value = json.dumps({"key": root.idempotency_key, "version": "0.0"}) if "do" in action_id else act.value
    action = {"action_id": action_id.format(act), "block_id": row, "value": value}
    answer = await forge_press(triage_bot, root, action)
    assert "This button" in answer
    assert state_of(root) == "Failed"


@pytest.mark.parametrize("act", sorted(AUTOMATIC_ACTIONS))
async def test_what_happens_of_itself_cannot_be_chosen_in_a_form(triage_bot: RunningBot, act: Action) -> None:
    root = await raise_alert(triage_bot)
    view_id = await open_triage_form(triage_bot, root)
    view = triage_bot.world.slack.modals["U0ANA"][-1]
    await triage_bot.simulator.people.submit_view("U0ANA", view_id, chosen_act(act.value, "Recover"))
    assert "No action selected" in json.dumps(view.errors)
    assert state_of(root) == "Failed"


# --- who was a member a minute ago


async def test_a_member_deactivated_a_minute_ago_cannot_act(triage_bot: RunningBot) -> None:
    root = await raise_alert(triage_bot)
    view = await open_form(triage_bot, "U0ANA", root, "assign")
    triage_bot.world.slack.users["U0ANA"].deleted = True
    triage_bot.world.clock.advance(60)
    await triage_bot.simulator.people.submit_view("U0ANA", view, {})
    assert "Deactivated accounts" in json.dumps(triage_bot.world.slack.modals["U0ANA"][-1].errors)
    await press_button(triage_bot, "U0ANA", root, button_of(root, "zof_triage_acknowledge"))
    await wait_until(lambda: "Deactivated accounts" in private_text(triage_bot, "U0ANA"))
    assert state_of(root) == "Failed"


async def test_within_a_minute_slack_is_not_asked_again(triage_bot: RunningBot) -> None:
    root = await raise_alert(triage_bot)

    def count_requests() -> int:
        calls = triage_bot.world.slack.calls
        return sum(call.method == "users.info" and call.arguments.get("user") == "U0ANA" for call in calls)

    before = count_requests()
    await press_button(triage_bot, "U0ANA", root, button_of(root, "zof_triage_assign"))
    await wait_until(lambda: bool(triage_bot.world.slack.modals.get("U0ANA")))
    view = triage_bot.world.slack.modals["U0ANA"][-1]
    await triage_bot.simulator.people.submit_view("U0ANA", view.id, flaky_resolution())
    assert count_requests() - before <= 1


# --- nobody uses up the organization's quota


async def test_one_person_cannot_use_up_the_quota_of_all(bot: RunningBot) -> None:
    result = next(iter(bot.world.zof.results))
    bot.world.zof.quota = MinuteQuota(100)
    for _ in range(49):
        await bot.type_text(f"/zof result {result}")
    assert result in await bot.answer_text(f"/zof result {result}")
    asked = len(bot.world.zof.calls)
    refused = await bot.answer_text(f"/zof result {result}")
    assert "You've used your share of Zof requests for this minute" in refused
    assert "request id" not in refused.lower()
    assert len(bot.world.zof.calls) == asked
    assert result in await bot.answer_text(f"/zof result {result}", user="U0BEN")
    await asyncio.sleep(61)
    assert result in await bot.answer_text(f"/zof result {result}")


async def test_half_of_a_small_quota_is_the_most_for_one_person(bot: RunningBot) -> None:
    result = next(iter(bot.world.zof.results))
    bot.world.zof.quota = MinuteQuota(20)
    answers = [await bot.answer_text(f"/zof result {result}") for _ in range(12)]
    assert sum("You've used your share" in answer for answer in answers) == 2
