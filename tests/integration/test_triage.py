"""What people do about failures: the table, what happens of itself, and the walk from a click to the changed card."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.bot import RunningBot, running_bot, text_of, until, wait_for_first_poll
from tests.support.failing_runs import SECRET
from tests.support.triage import (
    ANA,
    BEN,
    NOW,
    POLICY,
    button_of,
    count_mentions,
    open_form,
    press_button,
    private_text,
    raise_alert,
    standing,
    thread_of,
    wish,
)
from zofbot.notification import State as OutboxState
from zofbot.store.audit import Audit
from zofbot.triage import TABLE, Act, Course, Illegal, State, Triage, Who, act
from zofbot.triage import current as stands
from zofbot.triage.life import OF_ITSELF, UNDO

# --- pure


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("what", [one for one in Act if one is not Act.UNDO])
def test_an_act_does_what_the_table_says_and_nothing_else(state: State, what: Act) -> None:
    allowed = TABLE[state].get(what) if what not in OF_ITSELF else None
    if allowed is None:
        with pytest.raises(Illegal):
            act(standing(state), wish(what), Course(), POLICY)
        return
    after = act(standing(state), wish(what), Course(), POLICY)
    assert (after.state, after.rev, after.by, after.did) == (allowed, 1, ANA, what)


def test_a_recovery_goes_before_a_click_made_on_what_was_before_it() -> None:
    acked = act(standing(State.OPEN), wish(Act.ACKNOWLEDGE), Course(), POLICY)
    passed = Course(turn=1, recovered=True, turned=NOW + 5, opened=NOW - 100)
    assert stands(acked, passed, NOW + 6).state is State.RECOVERED
    again = Course(turn=2, turned=NOW + 9, opened=NOW + 9)
    relapsed = stands(acked, again, NOW + 10)
    assert (relapsed.state, relapsed.owner, relapsed.opened) == (State.OPEN, Who(), NOW + 9)


def test_what_is_resolved_stays_so_when_it_passes_and_opens_when_it_fails_again() -> None:
    resolved = act(standing(State.OPEN), wish(Act.RESOLVE, reason="flaky"), Course(), POLICY)
    assert stands(resolved, Course(turn=1, recovered=True, turned=NOW + 5), NOW + 6).state is State.RESOLVED
    assert stands(resolved, Course(last=NOW + 5), NOW + 6).state is State.OPEN
    assert stands(resolved, Course(last=NOW - 5), NOW + 6).state is State.RESOLVED


def test_a_snooze_ends_by_time_or_by_further_failures() -> None:
    timed = act(standing(State.OPEN), wish(Act.SNOOZE, until=NOW + 60), Course(), POLICY)
    assert stands(timed, Course(), NOW + 59).state is State.SNOOZED
    assert stands(timed, Course(), NOW + 60).state is State.OPEN
    counted = act(standing(State.OPEN), wish(Act.SNOOZE, more=5), Course(failures=3), POLICY)
    assert stands(counted, Course(failures=7), NOW + 9e6).state is State.SNOOZED
    assert stands(counted, Course(failures=8), NOW + 1).state is State.OPEN


def test_when_everybody_was_called_nobody_is_called_again() -> None:
    called = act(standing(State.OPEN), wish(Act.ESCALATE), Course(), POLICY)
    assert called.steps == 1
    called = act(called, wish(Act.ESCALATE, NOW + 1), Course(), POLICY)
    for present in (called, standing(State.OPEN).model_copy(update={"opened": NOW - 2700})):
        with pytest.raises(Illegal):
            act(present, wish(Act.ESCALATE, NOW + 2), Course(), POLICY)


def test_an_acknowledgement_nobody_confirms_lapses() -> None:
    acked = act(standing(State.OPEN), wish(Act.ACKNOWLEDGE), Course(), POLICY)
    assert acked.asks == NOW + 3600
    assert stands(acked, Course(), NOW + 3600 + 899).state is State.ACKNOWLEDGED
    assert stands(acked, Course(), NOW + 3600 + 900).state is State.OPEN
    kept = act(acked, wish(Act.CONFIRM, NOW + 3700), Course(), POLICY)
    assert stands(kept, Course(), NOW + 3600 + 900).state is State.ACKNOWLEDGED


ACTS = st.lists(
    st.tuples(st.sampled_from([*Act, "recover", "relapse"]), st.sampled_from([ANA, BEN]), st.floats(0, 7200)),
    max_size=25,
)


@given(ACTS)
def test_any_history_is_one_that_the_table_allows_and_undo_restores_exactly(history: list[Any]) -> None:
    course, record, at = Course(opened=NOW, last=NOW), Triage(), NOW
    for what, who, later in history:
        at += later
        if what in ("recover", "relapse"):
            course = course.model_copy(
                update={"turn": course.turn + 1, "recovered": what == "recover", "turned": at, "opened": at}
            )
            continue
        before = stands(record, course, at)
        try:
            record = act(before, wish(what, at, who, until=at + 600), course, POLICY)
        except Illegal:
            continue
        if what is not Act.UNDO:
            assert TABLE[before.state][what] is record.state
            undone = act(stands(record, course, at), wish(Act.UNDO, at + UNDO / 2, who), course, POLICY)
            own = {"rev", "did", "by", "at", "requests", "before"}
            assert undone.model_dump(exclude=own) == before.model_dump(exclude=own)
        assert record.rev == before.rev + 1


# --- from a click to the changed card


@pytest.mark.parametrize("triage_bot", ["http", "socket"], indirect=True)
async def test_an_acknowledgement_changes_the_card_and_stands_in_the_thread(triage_bot: RunningBot) -> None:
    root = await raise_alert(triage_bot)
    await press_button(triage_bot, "U0ANA", root, button_of(root, "zof_triage_acknowledge"))
    await until(lambda: "Acknowledged" in text_of(root))
    await until(lambda: any("acknowledged this" in line for line in thread_of(triage_bot, root)))
    [entry] = [one for one in await Audit(triage_bot.app.store.client, triage_bot.settings.zofbot_namespace).read()
               if one.act == "acknowledge"]  # fmt: skip
    assert (entry.user, entry.before, entry.after, entry.key) == ("U0ANA", "open", "acknowledged", root.key)


async def test_of_two_people_who_click_at_once_one_is_told_of_the_other(triage_bot: RunningBot) -> None:
    root = await raise_alert(triage_bot)
    ack = button_of(root, "zof_triage_acknowledge")
    await asyncio.gather(press_button(triage_bot, "U0ANA", root, ack), press_button(triage_bot, "U0BEN", root, ack))

    def lines() -> list[str]:
        return [line for line in thread_of(triage_bot, root) if "acknowledged this" in line]

    await until(lambda: len(lines()) == 1)
    await until(lambda: "Acknowledged" in text_of(root))
    await asyncio.sleep(0.3)
    assert len(lines()) == 1


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
        return [user for user in ("U0ANA", "U0BEN") if "Your click changed nothing" in private_text(triage_bot, user)]

    await until(lambda: len(slower()) == 1)
    [user] = slower()
    [answer] = [one for one in triage_bot.private(user=user) if "Your click changed nothing" in text_of(one)]
    assert "Acknowledged by" in text_of(answer)
    await triage_bot.press(answer, "zof_do_acknowledge", user=user)
    await until(lambda: len([line for line in thread_of(triage_bot, root) if "acknowledged this" in line]) == 2)


async def test_an_act_can_be_undone(triage_bot: RunningBot) -> None:
    root = await raise_alert(triage_bot)
    await press_button(triage_bot, "U0ANA", root, button_of(root, "zof_triage_acknowledge"))
    await until(lambda: "You acknowledged" in private_text(triage_bot, "U0ANA"))
    [answer] = [one for one in triage_bot.private() if "You acknowledged" in text_of(one)]
    await triage_bot.press(answer, "zof_do_undo")
    await until(lambda: any("took the last act back" in line for line in thread_of(triage_bot, root)))
    await until(lambda: "Acknowledged" not in text_of(root))


async def test_it_is_snoozed_by_a_form_in_ones_own_words(triage_bot: RunningBot) -> None:
    root = await raise_alert(triage_bot)
    view = await open_form(triage_bot, "U0ANA", root, "snooze")
    words = {"words": {"zof_wakes": {"type": "plain_text_input", "value": "rubbish"}}}
    await triage_bot.stage.people.submit("U0ANA", view, words)
    assert triage_bot.world.slack.modals["U0ANA"], "the form stays with its error"
    await triage_bot.stage.people.submit(
        "U0ANA", view, {"words": {"zof_wakes": {"type": "plain_text_input", "value": "90m"}}}
    )
    await until(lambda: "Snoozed" in text_of(root))
    await until(lambda: any("snoozed this until" in line for line in thread_of(triage_bot, root)))


async def test_it_is_assigned_and_whom_it_was_assigned_to_is_told_once(triage_bot: RunningBot) -> None:
    root = await raise_alert(triage_bot)
    view = await open_form(triage_bot, "U0ANA", root, "assign")
    chosen = {"owner": {"owner": {"type": "users_select", "selected_user": "U0BEN"}}}
    await triage_bot.stage.people.submit("U0ANA", view, chosen)
    await until(lambda: any("assigned this to" in line for line in thread_of(triage_bot, root)))
    await until(lambda: sum("assigned you" in one.text for one in triage_bot.world.slack.ledger) == 1)


async def test_it_is_resolved_for_a_reason_and_reopened(triage_bot: RunningBot) -> None:
    root = await raise_alert(triage_bot)
    await press_button(triage_bot, "U0ANA", root, button_of(root, "zof_triage_acknowledge"))
    await until(lambda: "Acknowledged" in text_of(root))
    view = await open_form(triage_bot, "U0ANA", root, "resolve")
    option = {"text": {"type": "plain_text", "text": "Flaky", "emoji": True}, "value": "flaky"}
    await triage_bot.stage.people.submit(
        "U0ANA", view, {"reason": {"reason": {"type": "static_select", "selected_option": option}}}
    )
    await until(lambda: "Resolved" in text_of(root))
    assert "Flaky" in text_of(root)
    await press_button(triage_bot, "U0BEN", root, button_of(root, "zof_triage_reopen"))
    await until(lambda: "Reopened" in text_of(root))


async def test_whoever_the_escalation_names_is_mentioned_once(triage_bot: RunningBot) -> None:
    root = await raise_alert(triage_bot)
    await until(lambda: count_mentions(triage_bot, root) == 1, 15)
    assert "Escalated" in " ".join(thread_of(triage_bot, root))


async def test_an_acknowledgement_stops_the_escalation(triage_bot: RunningBot) -> None:
    root = await raise_alert(triage_bot)
    await press_button(triage_bot, "U0ANA", root, button_of(root, "zof_triage_acknowledge"))
    await until(lambda: "Acknowledged" in text_of(root))

    async def dropped() -> bool:
        entries = await triage_bot.app.outbox.list(OutboxState.DROPPED)
        return any(one.key.startswith("escalate:") and one.reason == "no longer wanted" for one in entries)

    await until(dropped, 15)
    assert count_mentions(triage_bot, root) == 0


async def test_failed_cases_are_run_again_once_however_often_the_button_is_pressed(valkey: str) -> None:
    async with running_bot(valkey, works=True, zofbot_poll_interval=3600, zof_webhook_secret=SECRET,
                     zofbot_allow_runs=True) as bot:  # fmt: skip
        await wait_for_first_poll(bot)
        await bot.type("/zof subscribe group:case")
        root = await raise_alert(bot)
        menu = button_of(root, "zof_triage_more") | {"selected_option": {"value": "rerun"}}
        await press_button(bot, "U0ANA", root, menu)
        await until(lambda: "Run the failed cases" in private_text(bot, "U0ANA"))
        runs = len(bot.world.zof.runs)
        [answer] = [one for one in bot.private() if "Run the failed cases" in text_of(one)]
        await asyncio.gather(bot.press(answer, "zof_rerun"), bot.press(answer, "zof_rerun"))
        await until(lambda: any("runs the failed cases again" in line for line in thread_of(bot, root)))
        await until(lambda: "Zof runs the failed cases" in private_text(bot, "U0ANA"))
        assert len(bot.world.zof.runs) == runs + 1
        assert [*bot.world.zof.runs.values()][-1]["test_case_ids"] == ["tc_0"]


async def test_runs_are_not_offered_unless_the_operator_allows_them(triage_bot: RunningBot) -> None:
    root = await raise_alert(triage_bot)
    assert "Re-run failed cases" not in text_of(root)
