"""What people do about failures: the table, what happens of itself, and the walk from a click to the changed card."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.bot import RunningBot, text_of, wait_until
from tests.support.failing_runs import alerting_bot
from tests.support.triage import (
    ANA,
    BEN,
    NOW,
    POLICY,
    action_request,
    button_of,
    count_mentions,
    open_form,
    press_button,
    press_with_changed_payload,
    private_text,
    raise_alert,
    record_in_state,
    thread_of,
)
from zofbot.notifications.notification import NotificationState as OutboxState
from zofbot.simulator.slack.model import PostedMessage
from zofbot.store.audit import AuditLog
from zofbot.triage import TRANSITIONS, Action, Actor, IllegalAction, RunFacts, TriageRecord, TriageState, apply_action
from zofbot.triage import effective_record as stands
from zofbot.triage.actions import UNDO_SECONDS
from zofbot.triage.state_machine import AUTOMATIC_ACTIONS

# --- pure


@pytest.mark.parametrize("state", TriageState)
@pytest.mark.parametrize("what", [item for item in Action if item is not Action.UNDO])
def test_an_act_does_what_the_table_says_and_nothing_else(state: TriageState, what: Action) -> None:
    allowed = TRANSITIONS[state].get(what) if what not in AUTOMATIC_ACTIONS else None
    if allowed is None:
        with pytest.raises(IllegalAction):
            apply_action(record_in_state(state), action_request(what), RunFacts(), POLICY)
        return
    after = apply_action(record_in_state(state), action_request(what), RunFacts(), POLICY)
    assert (after.state, after.rev, after.by, after.did) == (allowed, 1, ANA, what)


def test_a_recovery_goes_before_a_click_made_on_what_was_before_it() -> None:
    acked = apply_action(record_in_state(TriageState.OPEN), action_request(Action.ACKNOWLEDGE), RunFacts(), POLICY)
    passed = RunFacts(turn=1, recovered=True, turned=NOW + 5, opened=NOW - 100)
    assert stands(acked, passed, NOW + 6).state is TriageState.RECOVERED
    again = RunFacts(turn=2, turned=NOW + 9, opened=NOW + 9)
    relapsed = stands(acked, again, NOW + 10)
    assert (relapsed.state, relapsed.owner, relapsed.opened) == (TriageState.OPEN, Actor(), NOW + 9)


def test_what_is_resolved_stays_so_when_it_passes_and_opens_when_it_fails_again() -> None:
    resolved = apply_action(
        record_in_state(TriageState.OPEN), action_request(Action.RESOLVE, reason="flaky"), RunFacts(), POLICY
    )
    assert stands(resolved, RunFacts(turn=1, recovered=True, turned=NOW + 5), NOW + 6).state is TriageState.RESOLVED
    assert stands(resolved, RunFacts(last=NOW + 5), NOW + 6).state is TriageState.OPEN
    assert stands(resolved, RunFacts(last=NOW - 5), NOW + 6).state is TriageState.RESOLVED


def test_a_snooze_ends_by_time_or_by_further_failures() -> None:
    timed = apply_action(
        record_in_state(TriageState.OPEN), action_request(Action.SNOOZE, until=NOW + 60), RunFacts(), POLICY
    )
    assert stands(timed, RunFacts(), NOW + 59).state is TriageState.SNOOZED
    assert stands(timed, RunFacts(), NOW + 60).state is TriageState.OPEN
    counted = apply_action(
        record_in_state(TriageState.OPEN), action_request(Action.SNOOZE, more=5), RunFacts(failures=3), POLICY
    )
    assert stands(counted, RunFacts(failures=7), NOW + 9e6).state is TriageState.SNOOZED
    assert stands(counted, RunFacts(failures=8), NOW + 1).state is TriageState.OPEN


def test_when_everybody_was_called_nobody_is_called_again() -> None:
    called = apply_action(record_in_state(TriageState.OPEN), action_request(Action.ESCALATE), RunFacts(), POLICY)
    assert called.steps == 1
    called = apply_action(called, action_request(Action.ESCALATE, NOW + 1), RunFacts(), POLICY)
    with pytest.raises(IllegalAction):
        apply_action(called, action_request(Action.ESCALATE, NOW + 2), RunFacts(), POLICY)


def test_a_step_that_is_overdue_can_be_taken() -> None:
    late = record_in_state(TriageState.OPEN).model_copy(update={"opened": NOW - 2700})
    assert apply_action(late, action_request(Action.ESCALATE), RunFacts(), POLICY).steps == 1


def test_an_acknowledgement_nobody_confirms_lapses() -> None:
    acked = apply_action(record_in_state(TriageState.OPEN), action_request(Action.ACKNOWLEDGE), RunFacts(), POLICY)
    assert acked.asks == NOW + 3600
    assert stands(acked, RunFacts(), NOW + 3600 + 899).state is TriageState.ACKNOWLEDGED
    assert stands(acked, RunFacts(), NOW + 3600 + 900).state is TriageState.OPEN
    kept = apply_action(acked, action_request(Action.CONFIRM, NOW + 3700), RunFacts(), POLICY)
    assert stands(kept, RunFacts(), NOW + 3600 + 900).state is TriageState.ACKNOWLEDGED


ACTS = st.lists(
    st.tuples(st.sampled_from([*Action, "recover", "relapse"]), st.sampled_from([ANA, BEN]), st.floats(0, 7200)),
    max_size=25,
)


@given(ACTS)
def test_any_history_is_one_that_the_table_allows_and_undo_restores_exactly(history: list[Any]) -> None:
    course, record, at = RunFacts(opened=NOW, last=NOW), TriageRecord(), NOW
    for what, who, later in history:
        at += later
        if what in ("recover", "relapse"):
            course = course.model_copy(
                update={"turn": course.turn + 1, "recovered": what == "recover", "turned": at, "opened": at}
            )
            continue
        before = stands(record, course, at)
        try:
            record = apply_action(before, action_request(what, at, who, until=at + 600), course, POLICY)
        except IllegalAction:
            continue
        if what is not Action.UNDO:
            assert TRANSITIONS[before.state][what] is record.state
            undone = apply_action(
                stands(record, course, at), action_request(Action.UNDO, at + UNDO_SECONDS / 2, who), course, POLICY
            )
            own = {"rev", "did", "by", "at", "requests", "before"}
            assert undone.model_dump(exclude=own) == before.model_dump(exclude=own)
        assert record.rev == before.rev + 1


# --- from a click to the changed card


@pytest.mark.parametrize("triage_bot", ["http", "socket"], indirect=True)
async def test_an_acknowledgement_changes_the_card_and_stands_in_the_thread(triage_bot: RunningBot) -> None:
    root = await raise_alert(triage_bot)
    await press_button(triage_bot, "U0ANA", root, button_of(root, "zof_triage_acknowledge"))
    await wait_until(lambda: "Acknowledged" in text_of(root))
    await wait_until(lambda: any("acknowledged this" in line for line in thread_of(triage_bot, root)))
    [entry] = [
        record for record in await AuditLog(triage_bot.app.store.keyspace).read_records() if record.act == "acknowledge"
    ]
    assert (entry.user, entry.before, entry.after, entry.key) == ("U0ANA", "open", "acknowledged", root.idempotency_key)


@pytest.mark.parametrize("trigger", ["1.2.a", None])
async def test_actions_with_the_same_trigger_or_none_are_all_carried_out(
    triage_bot: RunningBot, trigger: str | None
) -> None:
    root = await raise_alert(triage_bot)
    acknowledge = button_of(root, "zof_triage_acknowledge")
    await press_with_changed_payload(triage_bot, "U0ANA", root, acknowledge, trigger_id=trigger)
    await wait_until(lambda: "Acknowledged" in text_of(root))
    unacknowledge = button_of(root, "zof_triage_more") | {"selected_option": {"value": "unacknowledge"}}
    await press_with_changed_payload(triage_bot, "U0BEN", root, unacknowledge, trigger_id=trigger)
    await wait_until(lambda: any("ben" in line for line in thread_of(triage_bot, root)))
    await wait_until(lambda: "Acknowledged" not in text_of(root))


async def test_of_two_people_who_click_at_once_one_is_told_of_the_other(triage_bot: RunningBot) -> None:
    root = await raise_alert(triage_bot)
    ack = button_of(root, "zof_triage_acknowledge")
    await asyncio.gather(press_button(triage_bot, "U0ANA", root, ack), press_button(triage_bot, "U0BEN", root, ack))

    def lines() -> list[str]:
        return [line for line in thread_of(triage_bot, root) if "acknowledged this" in line]

    await wait_until(lambda: len(lines()) == 1)
    await wait_until(lambda: "Acknowledged" in text_of(root))
    await asyncio.sleep(0.3)
    assert len(lines()) == 1


async def test_the_escalation_of_a_deleted_alert_is_in_the_thread_of_its_second_message_and_nowhere_else(
    triage_bot: RunningBot,
) -> None:
    root = await raise_alert(triage_bot)
    assert thread_of(triage_bot, root) == []
    root.deleted = True

    def shown() -> list[PostedMessage]:
        later = [item for item in triage_bot.public_messages(root.channel) if item.ts > root.ts]
        return [item for item in later if item.is_visible]

    await wait_until(lambda: any(item.thread_ts for item in shown()), 30)
    await asyncio.sleep(30)
    top, escalation = shown()
    assert (top.idempotency_key, top.thread_ts) == (f"{root.idempotency_key}:2", None)
    assert escalation.thread_ts == top.ts
    assert "Escalated" in escalation.text


async def test_a_guest_only_reads(triage_bot: RunningBot) -> None:
    guest = next(user for user in triage_bot.world.slack.users.values() if user.kind == "guest")
    root = await raise_alert(triage_bot)
    before = text_of(root)
    triage_bot.world.slack.channels[root.channel].members.add(guest.id)
    await press_button(triage_bot, guest.id, root, button_of(root, "zof_triage_acknowledge"))
    await asyncio.sleep(0.3)
    assert text_of(root) == before
    assert not any("acknowledged" in line for line in thread_of(triage_bot, root))


async def test_whoever_was_slower_changes_nothing_unless_they_insist(triage_bot: RunningBot) -> None:
    root = await raise_alert(triage_bot)
    ack = button_of(root, "zof_triage_acknowledge")
    await asyncio.gather(press_button(triage_bot, "U0ANA", root, ack), press_button(triage_bot, "U0BEN", root, ack))

    def slower() -> list[str]:
        return [user for user in ("U0ANA", "U0BEN") if "Nothing changed" in private_text(triage_bot, user)]

    await wait_until(lambda: len(slower()) == 1)
    [user] = slower()
    [answer] = [message for message in triage_bot.private_messages(user=user) if "Nothing changed" in text_of(message)]
    assert "Acknowledged by" in text_of(answer)
    await triage_bot.press_button(answer, "zof_do_acknowledge", user=user)
    await wait_until(lambda: len([line for line in thread_of(triage_bot, root) if "acknowledged this" in line]) == 2)


async def test_an_act_can_be_undone(triage_bot: RunningBot) -> None:
    root = await raise_alert(triage_bot)
    await press_button(triage_bot, "U0ANA", root, button_of(root, "zof_triage_acknowledge"))
    await wait_until(lambda: "You acknowledged" in private_text(triage_bot, "U0ANA"))
    [answer] = [message for message in triage_bot.private_messages() if "You acknowledged" in text_of(message)]
    await triage_bot.press_button(answer, "zof_do_undo")
    await wait_until(lambda: any(" undid this " in line for line in thread_of(triage_bot, root)))
    await wait_until(lambda: "Acknowledged" not in text_of(root) and answer.deleted)
    assert sum("acknowledged this" in line for line in thread_of(triage_bot, root)) == 1


async def test_it_is_snoozed_by_a_form_in_ones_own_words(triage_bot: RunningBot) -> None:
    root = await raise_alert(triage_bot)
    view = await open_form(triage_bot, "U0ANA", root, "snooze")
    words = {"words": {"zof_wakes": {"type": "plain_text_input", "value": "rubbish"}}}
    await triage_bot.simulator.people.submit_view("U0ANA", view, words)
    assert triage_bot.world.slack.modals["U0ANA"], "the form stays with its error"
    await triage_bot.simulator.people.submit_view(
        "U0ANA", view, {"words": {"zof_wakes": {"type": "plain_text_input", "value": "90m"}}}
    )
    await wait_until(lambda: "Snoozed" in text_of(root))
    await wait_until(lambda: any("snoozed this" in line and "until" in line for line in thread_of(triage_bot, root)))


async def test_it_is_assigned_and_whom_it_was_assigned_to_is_told_once(triage_bot: RunningBot) -> None:
    root = await raise_alert(triage_bot)
    view = await open_form(triage_bot, "U0ANA", root, "assign")
    chosen = {"owner": {"owner": {"type": "users_select", "selected_user": "U0BEN"}}}
    await triage_bot.simulator.people.submit_view("U0ANA", view, chosen)
    await wait_until(lambda: any("assigned this to" in line for line in thread_of(triage_bot, root)))
    await wait_until(lambda: sum("assigned you" in item.text for item in triage_bot.world.slack.ledger) == 1)


async def test_it_is_resolved_for_a_reason_and_reopened(triage_bot: RunningBot) -> None:
    root = await raise_alert(triage_bot)
    await press_button(triage_bot, "U0ANA", root, button_of(root, "zof_triage_acknowledge"))
    await wait_until(lambda: "Acknowledged" in text_of(root))
    view = await open_form(triage_bot, "U0ANA", root, "resolve")
    option = {"text": {"type": "plain_text", "text": "Flaky", "emoji": True}, "value": "flaky"}
    await triage_bot.simulator.people.submit_view(
        "U0ANA", view, {"reason": {"reason": {"type": "static_select", "selected_option": option}}}
    )
    await wait_until(lambda: "Resolved" in text_of(root))
    assert "Flaky" in text_of(root)
    await press_button(triage_bot, "U0BEN", root, button_of(root, "zof_triage_reopen"))
    await wait_until(lambda: "Reopened" in text_of(root))


async def test_whoever_the_escalation_names_is_mentioned_once(triage_bot: RunningBot) -> None:
    root = await raise_alert(triage_bot)
    await wait_until(lambda: count_mentions(triage_bot, root) == 1, 15)
    assert "Escalated" in " ".join(thread_of(triage_bot, root))


async def test_an_acknowledgement_stops_the_escalation(triage_bot: RunningBot) -> None:
    root = await raise_alert(triage_bot)
    await press_button(triage_bot, "U0ANA", root, button_of(root, "zof_triage_acknowledge"))
    await wait_until(lambda: "Acknowledged" in text_of(root))

    async def is_dropped() -> bool:
        entries = await triage_bot.app.outbox.list_records(OutboxState.DROPPED)
        return any(entry.key.startswith("escalate:") and entry.reason == "no longer wanted" for entry in entries)

    await wait_until(is_dropped, 15)
    assert count_mentions(triage_bot, root) == 0


async def test_failed_cases_are_run_again_once_however_often_the_button_is_pressed(store_url: str) -> None:
    async with alerting_bot(store_url, zofbot_allow_runs=True) as bot:
        await bot.type_text("/zof subscribe group:case")
        root = await raise_alert(bot)
        menu = button_of(root, "zof_triage_more") | {"selected_option": {"value": "rerun"}}
        await press_button(bot, "U0ANA", root, menu)
        await wait_until(lambda: "Re-run the failed cases" in private_text(bot, "U0ANA"))
        runs = len(bot.world.zof.runs)
        [answer] = [message for message in bot.private_messages() if "Re-run the failed cases" in text_of(message)]
        await asyncio.gather(bot.press_button(answer, "zof_rerun"), bot.press_button(answer, "zof_rerun"))
        await wait_until(lambda: any("started a re-run of the failed cases" in line for line in thread_of(bot, root)))
        await wait_until(lambda: "Re-running the failed cases" in private_text(bot, "U0ANA"))
        assert len(bot.world.zof.runs) == runs + 1
        assert [*bot.world.zof.runs.values()][-1]["test_case_ids"] == ["tc_0"]


async def test_runs_are_not_offered_unless_the_operator_allows_them(triage_bot: RunningBot) -> None:
    root = await raise_alert(triage_bot)
    assert "Re-run failed cases" not in text_of(root)
