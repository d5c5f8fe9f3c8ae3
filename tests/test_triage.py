"""What people do about failures: the table, what happens of itself, and the walk from a click to the changed card."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import House, house, polled, said, until
from tests.test_told import SECRET, current, fail, hook
from zofbot.notification import State as OutboxState
from zofbot.simulator.entities import Message
from zofbot.store.audit import Audit
from zofbot.triage import TABLE, Act, Course, Illegal, Policy, State, Step, Triage, Who, Wish, act
from zofbot.triage import current as stands
from zofbot.triage.life import OF_ITSELF, UNDO

ANA, BEN = Who(id="U0ANA", name="Ana"), Who(id="U0BEN", name="Ben")
NOW = 1_800_000_000.0
POLICY = Policy(escalate=(Step(after=900, mention=("S0AA",)), Step(after=2700, mention=("U0LEAD",))), reack=3600)

# --- pure


def wish(what: Act, at: float = NOW, who: Who = ANA, **more: Any) -> Wish:
    return Wish(act=what, who=who, at=at, **more)


def standing(state: State) -> Triage:
    return Triage(state=state, since=NOW - 100, opened=NOW - 100, by=BEN, at=NOW - 100)


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


@pytest.fixture
async def there(request: pytest.FixtureRequest, valkey: str) -> AsyncIterator[House]:
    """A bot that hears webhooks and delivers, in a channel that is subscribed with an escalation."""
    socket = getattr(request, "param", "http") == "socket"
    async with house(valkey, works=True, socket=socket, zofbot_poll_interval=3600, zof_webhook_secret=SECRET) as built:
        await polled(built)
        await built.type("/zof subscribe group:case escalate:4s-><@U0BEN>")
        yield built


async def alert(built: House) -> Message:
    """The root of a case that failed just now."""
    run = fail(built, 1)
    assert await hook(built, current(run["id"], f"evt_{run['id']}")) == 200
    await until(lambda: any((one.key or "").startswith("case:") for one in built.world.slack.ledger))
    return next(one for one in built.world.slack.ledger if (one.key or "").startswith("case:"))


def control(message: Message, action: str) -> dict[str, Any]:
    rows = [block for part in message.attachments for block in part["blocks"] if block["type"] == "actions"]
    [found] = [one | {"block_id": row["block_id"]} for row in rows for one in row["elements"]
               if one["action_id"] == action]  # fmt: skip
    return {"type": found["type"], "action_id": action, "block_id": found["block_id"], "value": found.get("value", "")}


async def press(built: House, user: str, message: Message, action: dict[str, Any]) -> None:
    outcome = await built.stage.people.press(user, action, channel=message.channel, ts=message.ts)
    assert outcome.ok


def thread(built: House, root: Message) -> list[str]:
    return [one.text for one in built.world.slack.ledger if one.thread_ts == root.ts]


@pytest.mark.parametrize("there", ["http", "socket"], indirect=True)
async def test_an_acknowledgement_changes_the_card_and_stands_in_the_thread(there: House) -> None:
    root = await alert(there)
    await press(there, "U0ANA", root, control(root, "zof_triage_acknowledge"))
    await until(lambda: "Acknowledged" in said(root))
    await until(lambda: any("acknowledged this" in line for line in thread(there, root)))
    [entry] = [one for one in await Audit(there.bot.store.client, there.settings.zofbot_namespace).read()
               if one.act == "acknowledge"]  # fmt: skip
    assert (entry.user, entry.before, entry.after, entry.key) == ("U0ANA", "open", "acknowledged", root.key)


async def test_of_two_people_who_click_at_once_one_is_told_of_the_other(there: House) -> None:
    root = await alert(there)
    ack = control(root, "zof_triage_acknowledge")
    await asyncio.gather(press(there, "U0ANA", root, ack), press(there, "U0BEN", root, ack))

    def lines() -> list[str]:
        return [line for line in thread(there, root) if "acknowledged this" in line]

    await until(lambda: len(lines()) == 1)
    await until(lambda: "Acknowledged" in said(root))
    await asyncio.sleep(0.3)
    assert len(lines()) == 1


async def test_a_guest_only_reads(there: House) -> None:
    guest = next(user for user in there.world.slack.users.values() if user.kind == "guest")
    root = await alert(there)
    before = said(root)
    there.world.slack.channels[root.channel].members.add(guest.id)
    await press(there, guest.id, root, control(root, "zof_triage_acknowledge"))
    await asyncio.sleep(0.3)
    assert said(root) == before
    assert not any("acknowledged" in line for line in thread(there, root))


def private(built: House, user: str) -> str:
    return " ".join(said(message) for message in built.private(user=user))


async def open_form(built: House, user: str, root: Message, name: str) -> str:
    await press(built, user, root, control(root, f"zof_triage_{name}"))
    await until(lambda: bool(built.world.slack.modals.get(user)))
    return built.world.slack.modals[user][-1].id


async def test_whoever_was_slower_changes_nothing_unless_they_insist(there: House) -> None:
    root = await alert(there)
    ack = control(root, "zof_triage_acknowledge")
    await asyncio.gather(press(there, "U0ANA", root, ack), press(there, "U0BEN", root, ack))

    def slower() -> list[str]:
        return [user for user in ("U0ANA", "U0BEN") if "Your click changed nothing" in private(there, user)]

    await until(lambda: len(slower()) == 1)
    [user] = slower()
    [answer] = [one for one in there.private(user=user) if "Your click changed nothing" in said(one)]
    assert "Acknowledged by" in said(answer)
    await there.press(answer, "zof_do_acknowledge", user=user)
    await until(lambda: len([line for line in thread(there, root) if "acknowledged this" in line]) == 2)


async def test_an_act_can_be_undone(there: House) -> None:
    root = await alert(there)
    await press(there, "U0ANA", root, control(root, "zof_triage_acknowledge"))
    await until(lambda: "You acknowledged" in private(there, "U0ANA"))
    [answer] = [one for one in there.private() if "You acknowledged" in said(one)]
    await there.press(answer, "zof_do_undo")
    await until(lambda: any("took the last act back" in line for line in thread(there, root)))
    await until(lambda: "Acknowledged" not in said(root))


async def test_it_is_snoozed_by_a_form_in_ones_own_words(there: House) -> None:
    root = await alert(there)
    view = await open_form(there, "U0ANA", root, "snooze")
    words = {"words": {"zof_wakes": {"type": "plain_text_input", "value": "rubbish"}}}
    await there.stage.people.submit("U0ANA", view, words)
    assert there.world.slack.modals["U0ANA"], "the form stays with its error"
    await there.stage.people.submit(
        "U0ANA", view, {"words": {"zof_wakes": {"type": "plain_text_input", "value": "90m"}}}
    )
    await until(lambda: "Snoozed" in said(root))
    await until(lambda: any("snoozed this until" in line for line in thread(there, root)))


async def test_it_is_assigned_and_whom_it_was_assigned_to_is_told_once(there: House) -> None:
    root = await alert(there)
    view = await open_form(there, "U0ANA", root, "assign")
    chosen = {"owner": {"owner": {"type": "users_select", "selected_user": "U0BEN"}}}
    await there.stage.people.submit("U0ANA", view, chosen)
    await until(lambda: any("assigned this to" in line for line in thread(there, root)))
    await until(lambda: sum("assigned you" in one.text for one in there.world.slack.ledger) == 1)


async def test_it_is_resolved_for_a_reason_and_reopened(there: House) -> None:
    root = await alert(there)
    await press(there, "U0ANA", root, control(root, "zof_triage_acknowledge"))
    await until(lambda: "Acknowledged" in said(root))
    view = await open_form(there, "U0ANA", root, "resolve")
    option = {"text": {"type": "plain_text", "text": "Flaky", "emoji": True}, "value": "flaky"}
    await there.stage.people.submit(
        "U0ANA", view, {"reason": {"reason": {"type": "static_select", "selected_option": option}}}
    )
    await until(lambda: "Resolved" in said(root))
    assert "Flaky" in said(root)
    await press(there, "U0BEN", root, control(root, "zof_triage_reopen"))
    await until(lambda: "Reopened" in said(root))


def mentions(built: House, root: Message) -> int:
    return sum("<@U0BEN>" in line for line in thread(built, root))


async def test_whoever_the_escalation_names_is_mentioned_once(there: House) -> None:
    root = await alert(there)
    await until(lambda: mentions(there, root) == 1, 15)
    assert "Escalated" in " ".join(thread(there, root))


async def test_an_acknowledgement_stops_the_escalation(there: House) -> None:
    root = await alert(there)
    await press(there, "U0ANA", root, control(root, "zof_triage_acknowledge"))
    await until(lambda: "Acknowledged" in said(root))

    async def dropped() -> bool:
        entries = await there.bot.outbox.list(OutboxState.DROPPED)
        return any(one.key.startswith("escalate:") and one.reason == "no longer wanted" for one in entries)

    await until(dropped, 15)
    assert mentions(there, root) == 0


async def test_failed_cases_are_run_again_once_however_often_the_button_is_pressed(valkey: str) -> None:
    async with house(valkey, works=True, zofbot_poll_interval=3600, zof_webhook_secret=SECRET,
                     zofbot_allow_runs=True) as built:  # fmt: skip
        await polled(built)
        await built.type("/zof subscribe group:case")
        root = await alert(built)
        menu = control(root, "zof_triage_more") | {"selected_option": {"value": "rerun"}}
        await press(built, "U0ANA", root, menu)
        await until(lambda: "Run the failed cases" in private(built, "U0ANA"))
        runs = len(built.world.zof.runs)
        [answer] = [one for one in built.private() if "Run the failed cases" in said(one)]
        await asyncio.gather(built.press(answer, "zof_rerun"), built.press(answer, "zof_rerun"))
        await until(lambda: any("runs the failed cases again" in line for line in thread(built, root)))
        await until(lambda: "Zof runs the failed cases" in private(built, "U0ANA"))
        assert len(built.world.zof.runs) == runs + 1
        assert [*built.world.zof.runs.values()][-1]["test_case_ids"] == ["tc_0"]


async def test_runs_are_not_offered_unless_the_operator_allows_them(there: House) -> None:
    root = await alert(there)
    assert "Re-run failed cases" not in said(root)
