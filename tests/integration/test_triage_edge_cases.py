"""What people on call run into: forgotten alerts, forms that were overtaken, who is named and who is not."""

from __future__ import annotations

import asyncio
import json

import pytest

from tests.support.bot import RunningBot, text_of, wait_until
from tests.support.failing_runs import alerting_bot, fail_run, post_webhook, webhook_event
from tests.support.triage import (
    NOW,
    POLICY,
    action_request,
    button_of,
    count_mentions,
    flaky_resolution,
    forget_alert,
    mention_bot,
    open_form,
    press_button,
    press_with_changed_payload,
    private_text,
    raise_alert,
    record_in_state,
    thread_of,
)
from zofbot.simulator.slack.model import PostedMessage
from zofbot.slack.views.triage.pressed_button import FailureRef
from zofbot.slack.views.triage.triage_controls import CardOptions, control_blocks
from zofbot.slack.views.triage.triage_status import status_line as drawn
from zofbot.store.audit import REFUSED_ACTION, AuditLog
from zofbot.triage import Action, Actor, RunFacts, TriageRecord, TriageState, apply_action
from zofbot.triage.escalation_policy import REACK_ANSWER_SECONDS
from zofbot.triage.wake_times import MAX_SNOOZE_SECONDS

ANA, BEN = "U0ANA", "U0BEN"


async def triage_deeds(bot: RunningBot, root: PostedMessage) -> list[str]:
    """The acts on a failure that were done, in the order in which they were stored."""
    entries = await AuditLog(bot.app.store.keyspace).read_records()
    return [entry.act for entry in entries if entry.key == root.idempotency_key and entry.act != REFUSED_ACTION]


async def fail_another_case(bot: RunningBot) -> None:
    other = bot.world.zof.start_run({"project_id": "proj_checkout", "environment": "staging"})
    bot.world.zof.add_result(other["id"], status="failed", name="Another", test_case_id="tc_other")
    bot.world.zof.finish_run(other["id"])
    assert await post_webhook(bot, webhook_event(other["id"], "evt_other")) == 200
    await wait_until(lambda: any("Another" in item.text for item in bot.world.slack.ledger))


# --- a form opened by a click without a response_url


async def test_a_form_that_was_overtaken_says_so_also_without_a_response_url(triage_bot: RunningBot) -> None:
    root = await raise_alert(triage_bot)
    resolve = button_of(root, "zof_triage_more") | {"selected_option": {"value": "resolve"}}
    await press_with_changed_payload(triage_bot, ANA, root, resolve, response_url=None)
    await wait_until(lambda: bool(triage_bot.world.slack.modals.get(ANA)))
    [form] = triage_bot.world.slack.modals[ANA]
    await press_button(triage_bot, BEN, root, button_of(root, "zof_triage_acknowledge"))
    await wait_until(lambda: "Acknowledged" in text_of(root))
    await triage_bot.simulator.people.submit_view(ANA, form.id, flaky_resolution())
    await wait_until(lambda: "Nothing changed" in private_text(triage_bot, ANA))


# --- an alert whose record is gone


async def test_a_forgotten_alert_is_read_from_zof_again_and_its_own_card_changes(triage_bot: RunningBot) -> None:
    root = await raise_alert(triage_bot)
    await forget_alert(triage_bot, root)
    await press_button(triage_bot, ANA, root, button_of(root, "zof_triage_acknowledge"))
    await wait_until(lambda: "Acknowledged: Case 0" in text_of(root))
    await wait_until(lambda: any("acknowledged this" in line for line in thread_of(triage_bot, root)))
    assert [item.idempotency_key for item in triage_bot.world.slack.ledger].count(f"{root.idempotency_key}:2") == 0, (
        "no second card"
    )


async def test_a_forgotten_run_is_read_from_zof_again_with_its_failures(triage_bot: RunningBot) -> None:
    await triage_bot.type_text("/zof unsubscribe 1")
    await triage_bot.type_text("/zof subscribe group:run")
    run = fail_run(triage_bot, 2)
    assert await post_webhook(triage_bot, webhook_event(run["id"], "evt_run")) == 200
    key = f"run:{run['id']}:failed:C0QA"
    await wait_until(lambda: any(item.idempotency_key == key for item in triage_bot.world.slack.ledger))
    root = next(item for item in triage_bot.world.slack.ledger if item.idempotency_key == key)
    await forget_alert(triage_bot, root)
    await press_button(triage_bot, ANA, root, button_of(root, "zof_triage_acknowledge"))
    await wait_until(lambda: "Acknowledged" in text_of(root))
    assert "nightly cart" in text_of(root)
    assert "Case 1" in text_of(root)
    assert [item.idempotency_key for item in triage_bot.world.slack.ledger].count(f"{key}:2") == 0, "no second card"


async def test_a_forgotten_alert_is_known_again_by_words_in_its_thread_and_by_a_form(triage_bot: RunningBot) -> None:
    root = await raise_alert(triage_bot)
    await forget_alert(triage_bot, root)
    assert (await mention_bot(triage_bot, root, "ack")).is_accepted
    await wait_until(lambda: "Acknowledged: Case 0" in text_of(root))
    await forget_alert(triage_bot, root)
    view = await open_form(triage_bot, ANA, root, "resolve")
    await triage_bot.simulator.people.submit_view(ANA, view, flaky_resolution())
    await wait_until(lambda: "Resolved: Case 0" in text_of(root))


async def test_two_who_press_on_a_forgotten_alert_at_once_are_both_served(triage_bot: RunningBot) -> None:
    root = await raise_alert(triage_bot)
    await forget_alert(triage_bot, root)
    ack = button_of(root, "zof_triage_acknowledge")
    await asyncio.gather(press_button(triage_bot, ANA, root, ack), press_button(triage_bot, BEN, root, ack))
    for user in (ANA, BEN):
        await wait_until(lambda user=user: "You acknowledged Case 0" in private_text(triage_bot, user))
        assert "went wrong" not in private_text(triage_bot, user)


async def test_where_zof_has_forgotten_it_too_the_click_is_explained(triage_bot: RunningBot) -> None:
    root = await raise_alert(triage_bot)
    await forget_alert(triage_bot, root)
    triage_bot.world.zof.results.clear()
    for action in ("acknowledge", "assign"):
        before = len(triage_bot.private_messages(user=ANA))
        await press_button(triage_bot, ANA, root, button_of(root, f"zof_triage_{action}"))
        await wait_until(lambda before=before: len(triage_bot.private_messages(user=ANA)) > before)
        assert "This alert has expired" in text_of(triage_bot.private_messages(user=ANA)[-1])


@pytest.mark.parametrize("words", ["ack", "snooze 30d"])
async def test_what_people_put_off_is_still_known_when_it_comes_due(triage_bot: RunningBot, words: str) -> None:
    root = await raise_alert(triage_bot)
    client, name = (
        triage_bot.app.store.client,
        f"{{{triage_bot.settings.zofbot_namespace}}}:failure:{root.idempotency_key}",
    )
    await client.expire(name, 86400)  # as it is 29 days after it failed
    assert (await mention_bot(triage_bot, root, words)).is_accepted
    await wait_until(lambda: "Acknowledged" in text_of(root) or "Snoozed" in text_of(root))
    week = 7 * 86400  # the longest that an escalation waits
    assert await client.ttl(name) > MAX_SNOOZE_SECONDS + REACK_ANSWER_SECONDS + week


async def test_what_has_faded_is_on_no_list_any_more(triage_bot: RunningBot) -> None:
    root = await raise_alert(triage_bot)
    assert (await mention_bot(triage_bot, root, "ack")).is_accepted
    await wait_until(lambda: "Acknowledged" in text_of(root))
    client, prefix = triage_bot.app.store.client, f"{{{triage_bot.settings.zofbot_namespace}}}:"
    await client.delete(f"{prefix}failure:{root.idempotency_key}")
    assert "Case 0" not in await triage_bot.answer_text("/zof triage")
    assert await client.hgetall(f"{prefix}failures") == {}
    assert await client.hgetall(f"{prefix}triage:C0QA") == {}


async def test_a_list_is_read_also_where_redis_refuses_to_remove_what_has_faded(triage_bot: RunningBot) -> None:
    root = await raise_alert(triage_bot)
    await fail_another_case(triage_bot)
    client, name = triage_bot.app.store.client, f"{{{triage_bot.settings.zofbot_namespace}}}:failure"
    await client.delete(f"{name}:{root.idempotency_key}")
    await client.config_set("min-replicas-to-write", "1")
    try:
        assert "Another" in await triage_bot.answer_text("/zof triage")
    finally:
        await client.config_set("min-replicas-to-write", "0")
    assert "Another" in await triage_bot.answer_text("/zof triage")


async def test_the_run_of_a_storm_that_has_several_by_now_is_not_asked_for(triage_bot: RunningBot) -> None:
    root = await raise_alert(triage_bot)
    client, name = triage_bot.app.store.client, f"{{{triage_bot.settings.zofbot_namespace}}}:failure"
    body = json.loads(await client.hget(f"{name}:{root.idempotency_key}", "body") or "")
    body["run"]["id"] = ""  # as of a storm's summary
    await client.hset(f"{name}:{root.idempotency_key}", "body", json.dumps(body))
    await press_button(
        triage_bot, ANA, root, button_of(root, "zof_triage_more") | {"selected_option": {"value": "run"}}
    )
    await wait_until(lambda: "These alerts are from several runs." in private_text(triage_bot, ANA))


async def test_a_forgotten_alert_still_says_so_where_its_run_is_asked_for(triage_bot: RunningBot) -> None:
    root = await raise_alert(triage_bot)
    await forget_alert(triage_bot, root)
    await press_button(
        triage_bot, ANA, root, button_of(root, "zof_triage_more") | {"selected_option": {"value": "run"}}
    )
    await wait_until(lambda: "This alert has expired" in private_text(triage_bot, ANA))


async def test_a_record_that_this_version_cannot_read_is_left_as_it_is_and_hides_nothing_else(
    triage_bot: RunningBot,
) -> None:
    root = await raise_alert(triage_bot)
    client, name = triage_bot.app.store.client, f"{{{triage_bot.settings.zofbot_namespace}}}:triage:C0QA"
    later = json.dumps({"state": "delegated"})
    view = await open_form(triage_bot, ANA, root, "assign")
    await client.hset(name, root.idempotency_key or "", later)
    await press_button(triage_bot, ANA, root, button_of(root, "zof_triage_acknowledge"))
    await wait_until(lambda: "Something went wrong in zofbot. Try again" in private_text(triage_bot, ANA))
    chosen = {"owner": {"owner": {"type": "users_select", "selected_user": BEN}}}
    await triage_bot.simulator.people.submit_view(ANA, view, chosen)
    [form] = triage_bot.world.slack.modals[ANA]
    assert "Something went wrong in zofbot" in (form.errors or {})["owner"], "what was filled in stays"
    assert (await client.hgetall(name))[(root.idempotency_key or "").encode()] == later.encode()
    await fail_another_case(triage_bot)
    assert "Another" in await triage_bot.answer_text("/zof triage")


@pytest.mark.parametrize("value", ["{", "[]", '{"key": 1, "version": "0.1"}', '{"key": "case:res_1:failed:C0QA"}'])
async def test_a_button_of_an_answer_that_cannot_be_read_says_where_to_go_on(
    triage_bot: RunningBot, value: str
) -> None:
    root = await raise_alert(triage_bot)
    await press_button(triage_bot, ANA, root, button_of(root, "zof_triage_acknowledge"))
    await wait_until(lambda: "You acknowledged" in private_text(triage_bot, ANA))
    answer = triage_bot.private_messages(user=ANA)[-1]
    for block in answer.blocks:
        for element in block.get("elements", []):
            element["value"] = value
    await triage_bot.press_button(answer, "zof_do_undo")
    await wait_until(lambda: "This button no longer works." in private_text(triage_bot, ANA))
    assert "Use the buttons on the alert." in private_text(triage_bot, ANA)
    assert await triage_deeds(triage_bot, root) == ["acknowledge"]


# --- forms that were overtaken


@pytest.mark.parametrize("name", ["assign", "snooze"])
async def test_a_stale_card_says_so_before_anybody_fills_in_a_form(triage_bot: RunningBot, name: str) -> None:
    root = await raise_alert(triage_bot)
    old = button_of(root, f"zof_triage_{name}")
    triage_bot.world.slack.faults.set_fault("429", only="chat.update")
    await press_button(triage_bot, BEN, root, button_of(root, "zof_triage_acknowledge"))
    await press_button(triage_bot, ANA, root, old)
    await wait_until(lambda: "Acknowledged by ben" in private_text(triage_bot, ANA))
    assert not triage_bot.world.slack.modals.get(ANA)
    [answer] = [message for message in triage_bot.private_messages(user=ANA) if "Nothing changed" in text_of(message)]
    await triage_bot.press_button(answer, f"zof_do_{name}")
    await wait_until(lambda: bool(triage_bot.world.slack.modals.get(ANA)))


async def test_a_form_that_the_table_does_not_allow_any_more_is_not_opened(triage_bot: RunningBot) -> None:
    root = await raise_alert(triage_bot)
    old = button_of(root, "zof_triage_snooze")
    view = await open_form(triage_bot, BEN, root, "assign")
    triage_bot.world.slack.faults.set_fault("429", only="chat.update")
    assert (await mention_bot(triage_bot, root, "resolve flaky: retried", BEN)).is_accepted
    await press_button(triage_bot, ANA, root, old)
    await wait_until(lambda: "Nothing changed" in private_text(triage_bot, ANA))
    [answer] = [message for message in triage_bot.private_messages(user=ANA) if "Nothing changed" in text_of(message)]
    assert "Do it anyway" not in text_of(answer), "what has been resolved cannot be snoozed"
    assert not triage_bot.world.slack.modals.get(ANA)
    await triage_bot.simulator.people.submit_view(
        BEN, view, {"owner": {"owner": {"type": "users_select", "selected_user": ANA}}}
    )
    await wait_until(lambda: "Nothing changed" in private_text(triage_bot, BEN))


async def test_what_was_filled_in_is_not_lost_to_somebody_faster(triage_bot: RunningBot) -> None:
    root = await raise_alert(triage_bot)
    view = await open_form(triage_bot, ANA, root, "snooze")
    await press_button(triage_bot, BEN, root, button_of(root, "zof_triage_acknowledge"))
    await wait_until(lambda: "Acknowledged" in text_of(root))
    words = {"words": {"zof_wakes": {"type": "plain_text_input", "value": "90m"}}}
    await triage_bot.simulator.people.submit_view(ANA, view, words)
    await wait_until(lambda: "Nothing changed" in private_text(triage_bot, ANA))
    [answer] = [message for message in triage_bot.private_messages(user=ANA) if "Nothing changed" in text_of(message)]
    await triage_bot.press_button(answer, "zof_do_snooze")
    await wait_until(lambda: "Snoozed" in text_of(root))
    assert not triage_bot.world.slack.modals.get(ANA), "it was asked once"
    assert "You snoozed" in private_text(triage_bot, ANA)


async def test_neither_is_that_it_is_to_be_snoozed_until_it_passes(triage_bot: RunningBot) -> None:
    root = await raise_alert(triage_bot)
    view = await open_form(triage_bot, ANA, root, "snooze")
    await press_button(triage_bot, BEN, root, button_of(root, "zof_triage_acknowledge"))
    await wait_until(lambda: "Acknowledged" in text_of(root))
    words = {"words": {"zof_wakes": {"type": "plain_text_input", "value": "until it passes"}}}
    await triage_bot.simulator.people.submit_view(ANA, view, words)
    await wait_until(lambda: "*Do it anyway* will snooze it until it passes." in private_text(triage_bot, ANA))
    [answer] = [message for message in triage_bot.private_messages(user=ANA) if "Nothing changed" in text_of(message)]
    await triage_bot.press_button(answer, "zof_do_snooze")
    await wait_until(lambda: "*Snoozed* by ana until it passes" in text_of(root))
    assert not triage_bot.world.slack.modals.get(ANA)


async def test_so_is_a_note(triage_bot: RunningBot) -> None:
    root = await raise_alert(triage_bot)
    await press_button(triage_bot, ANA, root, button_of(root, "zof_triage_acknowledge"))
    await wait_until(lambda: "Acknowledged" in text_of(root))
    view = await open_form(triage_bot, ANA, root, "resolve")
    assert (await mention_bot(triage_bot, root, "assign <@U0CHIOMA>", BEN)).is_accepted
    await wait_until(lambda: "chioma" in " ".join(thread_of(triage_bot, root)))
    await triage_bot.simulator.people.submit_view(ANA, view, flaky_resolution('It said "<boom>"\nand passed'))
    await wait_until(lambda: "Nothing changed" in private_text(triage_bot, ANA))
    [answer] = [message for message in triage_bot.private_messages(user=ANA) if "Nothing changed" in text_of(message)]
    await triage_bot.press_button(answer, "zof_do_resolve")
    await wait_until(lambda: "Resolved" in text_of(root))
    assert "Flaky" in text_of(root)
    assert 'It said \\"&lt;boom&gt;\\" and passed' in text_of(root)


@pytest.mark.parametrize("name", ["assign", "snooze", "resolve"])
async def test_a_form_that_is_sent_twice_acts_once_and_answers_alike(triage_bot: RunningBot, name: str) -> None:
    root = await raise_alert(triage_bot)
    if name == "resolve":
        assert (await mention_bot(triage_bot, root, "ack")).is_accepted
        await wait_until(lambda: "Acknowledged" in text_of(root))
    view = await open_form(triage_bot, ANA, root, name)
    again = triage_bot.world.slack.modals[ANA][-1]
    owner = {"owner": {"owner": {"type": "users_select", "selected_user": BEN}}}
    words = {"words": {"zof_wakes": {"type": "plain_text_input", "value": "90m"}}}
    filled = {"assign": owner, "snooze": words, "resolve": flaky_resolution("retried")}[name]
    await triage_bot.simulator.people.submit_view(ANA, view, filled)
    await wait_until(lambda: f"You {name}" in private_text(triage_bot, ANA))
    triage_bot.world.slack.modals[ANA].append(again)
    before = len(triage_bot.private_messages(user=ANA))
    await triage_bot.simulator.people.submit_view(ANA, view, filled)
    await wait_until(lambda: len(triage_bot.private_messages(user=ANA)) > before)
    assert f"You {name}" in text_of(triage_bot.private_messages(user=ANA)[-1])
    assert "Nothing changed" not in private_text(triage_bot, ANA)
    assert (await triage_deeds(triage_bot, root)).count(name) == 1


async def test_that_slack_does_not_open_a_form_is_said(triage_bot: RunningBot) -> None:
    root = await raise_alert(triage_bot)
    triage_bot.world.slack.faults.set_fault("500", only="views.open")
    await press_button(triage_bot, ANA, root, button_of(root, "zof_triage_assign"))
    await wait_until(
        lambda: (
            "Slack couldn't open the form. Click the button again" in private_text(triage_bot, ANA).replace("\\n", " ")
        )
    )
    assert "or type `@zofbot assign @ben` in the alert's thread." in private_text(triage_bot, ANA)
    assert "Reference: `ref_" in private_text(triage_bot, ANA)


# --- what makes no sense


@pytest.mark.parametrize(
    ("before", "typed", "told"),
    [
        ([], "undo", "Nothing left to undo: It is open"),
        (["ack", "undo"], "undo", "Nothing left to undo: Undone by ana"),
        (["resolve flaky: retried"], "escalate", "It is resolved: only open or acknowledged failures can be escalated"),
        (["resolve flaky: retried"], "escalate", "can be escalated. Reopen it first."),
        (["resolve flaky: retried"], "ack", "Reopen it first."),
        (["resolve flaky: retried"], "wake", "Reopen it if there is more to do."),
        (["snooze 1h"], "escalate", "can be escalated. Unsnooze it first."),
        (["snooze 1h"], "reopen", "Unsnooze, acknowledge or resolve it."),
        (["snooze 1h", "wake"], "reopen", "Acknowledge, assign, snooze or resolve it."),
        (["ack"], "wake", "Unacknowledge, assign, snooze or resolve it."),
        ([], "reopen", "Reopen isn't possible: It is open. Acknowledge, assign, snooze or resolve it."),
        (["escalate"], "escalate", "Everyone in the escalation policy was already mentioned"),
        ([], "release", "Unacknowledge isn't possible: It is open"),
        (["snooze 1h"], "still on it", "Still on it isn't possible: Snoozed by ana"),
    ],
)
async def test_what_is_not_possible_is_explained(
    triage_bot: RunningBot, before: list[str], typed: str, told: str
) -> None:
    root = await raise_alert(triage_bot)
    for words in before:
        assert (await mention_bot(triage_bot, root, words)).is_accepted
    done = await triage_deeds(triage_bot, root)
    assert (await mention_bot(triage_bot, root, typed, BEN)).is_accepted
    await wait_until(lambda: told in private_text(triage_bot, BEN))
    assert await triage_deeds(triage_bot, root) == done


async def test_nobody_is_escalated_to_where_the_subscription_names_nobody(triage_bot: RunningBot) -> None:
    await triage_bot.type_text("/zof unsubscribe 1")
    await triage_bot.type_text("/zof subscribe group:case")
    root = await raise_alert(triage_bot)
    assert "Escalate now" not in text_of(root)
    assert (await mention_bot(triage_bot, root, "escalate")).is_accepted
    await wait_until(lambda: "No escalation policy" in private_text(triage_bot, ANA))
    assert "/zof subscribe escalate:15m-&gt;@oncall" in private_text(triage_bot, ANA), "and how to change that"
    assert await triage_deeds(triage_bot, root) == []


# --- a compulsory note


async def test_where_a_note_is_compulsory_nothing_is_resolved_without_one(store_url: str) -> None:
    async with alerting_bot(store_url, zofbot_resolve_note=True) as bot:
        await bot.type_text("/zof subscribe group:case")
        root = await raise_alert(bot)
        assert (await mention_bot(bot, root, "resolve flaky")).is_accepted
        await wait_until(lambda: "A note is required" in private_text(bot, ANA))
        await press_button(bot, ANA, root, button_of(root, "zof_triage_acknowledge"))
        await wait_until(lambda: "Acknowledged" in text_of(root))
        view = await open_form(bot, ANA, root, "resolve")
        form = bot.world.slack.modals[ANA][-1]
        await bot.simulator.people.submit_view(ANA, view, flaky_resolution())
        assert set(form.errors or {}) == {"note"}, "Slack itself asks for it"
        await bot.simulator.people.submit_view(ANA, view, flaky_resolution("  "))
        assert "A note is required" in (form.errors or {})["note"]
        assert await triage_deeds(bot, root) == ["acknowledge"]
        await bot.simulator.people.submit_view(ANA, view, flaky_resolution("retried, and it passed"))
        await wait_until(lambda: "Resolved" in text_of(root))
        await wait_until(lambda: any("resolved this: Flaky" in line for line in thread_of(bot, root)))
        assert "retried, and it passed" in text_of(root)


# --- who is named, and who is not


def test_whoever_put_it_to_sleep_stays_named_when_somebody_else_assigns_it() -> None:
    ana, ben = Actor(id=ANA, name="Ana"), Actor(id=BEN, name="Ben")
    asleep = apply_action(
        record_in_state(TriageState.OPEN), action_request(Action.SNOOZE, who=ana, until=NOW + 600), RunFacts(), POLICY
    )
    assigned = apply_action(asleep, action_request(Action.ASSIGN, NOW + 1, who=ben, owner=ben), RunFacts(), POLICY)
    assert "*Snoozed* by Ana" in str(drawn(assigned))
    awake = apply_action(assigned, action_request(Action.WAKE, NOW + 2, who=ben), RunFacts(), POLICY)
    undone = apply_action(awake, action_request(Action.UNDO, NOW + 3, who=ben), RunFacts(), POLICY)
    assert "*Snoozed* by Ana" in str(drawn(undone))
    over = apply_action(undone, action_request(Action.RESOLVE, NOW + 4, who=ben, reason="flaky"), RunFacts(), POLICY)
    back = apply_action(
        apply_action(over, action_request(Action.REOPEN, NOW + 5, who=ana), RunFacts(), POLICY),
        action_request(Action.UNDO, NOW + 6, who=ana),
        RunFacts(),
        POLICY,
    )
    assert "*Resolved* by Ben" in str(drawn(back))


def test_a_record_from_before_that_was_kept_names_who_acted_last() -> None:
    old = TriageRecord(
        state=TriageState.SNOOZED, by=Actor(id=ANA, name="Ana"), did=Action.SNOOZE, at=NOW, until=NOW + 60
    )
    assert "*Snoozed* by Ana" in str(drawn(old))


async def test_whoever_escalates_is_not_mentioned_by_their_own_click(store_url: str) -> None:
    async with alerting_bot(store_url) as bot:
        await bot.type_text("/zof subscribe group:case escalate:15m-><@U0ANA>,45m-><@U0BEN>")
        root = await raise_alert(bot)
        for _ in range(2):
            assert (await mention_bot(bot, root, "escalate")).is_accepted
            await asyncio.sleep(0)
        await wait_until(lambda: sum("escalated this" in line for line in thread_of(bot, root)) >= 1)
        assert not any("<@U0ANA>" in line for line in thread_of(bot, root))


# --- snoozing by a condition


async def fail_run_again(bot: RunningBot, cases: int = 1) -> None:
    """End another run of the same case, badly or, with none, well."""
    run = fail_run(bot, cases)
    kind = "run.failed" if cases else "run.completed"
    assert await post_webhook(bot, webhook_event(run["id"], f"evt_{run['id']}", kind)) == 200


async def snooze_alert(bot: RunningBot, root: PostedMessage, label: str, value: str, preview: str) -> None:
    """Choose a condition in the form, see what it means, and send it."""
    view = await open_form(bot, ANA, root, "snooze")
    option = {"text": {"type": "plain_text", "text": label, "emoji": True}, "value": value}
    chosen = {"action_id": "zof_wakes", "block_id": "choice", "selected_option": option}
    await bot.simulator.people.press_element(ANA, chosen, view_id=view)
    await wait_until(lambda: preview in str(bot.world.slack.modals[ANA][-1].payload["blocks"]))
    await bot.simulator.people.submit_view(ANA, view)
    await wait_until(lambda: f"*Snoozed* by ana {label}" in text_of(root))
    await wait_until(lambda: any(f"snoozed this {label}" in line for line in thread_of(bot, root)))


@pytest.mark.parametrize("typed", [False, True], ids=["by the form", "in the thread"])
async def test_what_sleeps_until_it_recovers_sleeps_through_failures_and_opens_when_it_relapses(
    triage_bot: RunningBot, typed: bool
) -> None:
    root = await raise_alert(triage_bot)
    if typed:
        assert (await mention_bot(triage_bot, root, "snooze until it recovers")).is_accepted
    else:
        await snooze_alert(triage_bot, root, "until it passes", "recovers",
                      "Ends when it passes. Alerts again if it fails after that.")  # fmt: skip
    await wait_until(lambda: "Snoozed" in text_of(root))
    await fail_run_again(triage_bot)
    await wait_until(lambda: "2 failures" in text_of(root))
    assert "Snoozed" in text_of(root)
    await fail_run_again(triage_bot, 0)
    await wait_until(lambda: "Recovered" in text_of(root))
    await fail_run_again(triage_bot)
    await wait_until(lambda: "Snoozed" not in text_of(root) and "zof_triage_acknowledge" in text_of(root))
    await wait_until(lambda: count_mentions(triage_bot, root) == 1, 15)


async def test_what_sleeps_until_it_fails_more_often_wakes_by_the_last_of_those_failures(
    triage_bot: RunningBot,
) -> None:
    root = await raise_alert(triage_bot)
    await snooze_alert(triage_bot, root, "until it fails 5 more times", "more:5", "Ends when it fails 5 more times.")
    for _ in range(4):
        await fail_run_again(triage_bot)
    await wait_until(lambda: "5 failures" in text_of(root))
    assert "Snoozed" in text_of(root)
    assert count_mentions(triage_bot, root) == 0
    await fail_run_again(triage_bot)
    await wait_until(lambda: "*Snooze ended*" in text_of(root))
    await wait_until(lambda: count_mentions(triage_bot, root) == 1, 15)


async def test_a_run_cannot_sleep_until_it_fails_more_often_for_it_never_does(store_url: str) -> None:
    async with alerting_bot(store_url) as bot:
        await bot.type_text("/zof subscribe group:run layout:flat")
        ended = fail_run(bot, 1)
        assert await post_webhook(bot, webhook_event(ended["id"], "evt_run")) == 200
        await wait_until(
            lambda: any((item.idempotency_key or "").startswith("run:") for item in bot.world.slack.ledger)
        )
        root = next(item for item in bot.world.slack.ledger if (item.idempotency_key or "").startswith("run:"))
        assert (await mention_bot(bot, root, "snooze until it fails 5 more times")).is_accepted
        await wait_until(lambda: "A run fails only once" in private_text(bot, ANA))
        assert await triage_deeds(bot, root) == []


def test_one_more_time_is_said_in_the_singular() -> None:
    asleep = apply_action(record_in_state(TriageState.OPEN), action_request(Action.SNOOZE, more=1), RunFacts(), POLICY)
    assert "until it fails once more" in str(drawn(asleep))


# --- closed cards


def test_what_has_recovered_is_not_offered_to_be_run_again() -> None:
    about = FailureRef("case:res_1:failed:C1", "0.1")
    for state, offered in [(TriageState.OPEN, True), (TriageState.RESOLVED, True), (TriageState.RECOVERED, False)]:
        [row] = control_blocks(about, TriageRecord(state=state), CardOptions(rerun=True, run_id="run_1"))
        assert ("Re-run failed cases" in str(row)) is offered


@pytest.mark.parametrize("state", [TriageState.RESOLVED, TriageState.RECOVERED])
def test_a_closed_card_has_one_button(state: TriageState) -> None:
    offers = CardOptions(escalate=True, rerun=True, link="https://z", run_id="run_1")
    [row] = control_blocks(FailureRef("case:res_1:failed:C1", "0.1"), TriageRecord(state=state), offers)
    assert [item["action_id"] for item in row["elements"]] == ["zof_triage_reopen", "zof_triage_more"]


def test_what_slack_could_not_carry_costs_a_card_its_buttons_and_not_the_alert() -> None:
    longest = f"case:{'%2F' * 128}:failed:C1"
    assert control_blocks(FailureRef(longest, "0.1"), TriageRecord(), CardOptions(run_id="run_1")) == []
