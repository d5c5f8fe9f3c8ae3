"""What people on call run into: forgotten alerts, forms that were overtaken, who is named and who is not."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.conftest import House, house, said, until
from tests.test_mentions import mention
from tests.test_told import SECRET, current, fail, hook
from tests.test_triage import NOW, POLICY, alert, control, open_form, press, private, standing, there, thread, wish
from zofbot.simulator.entities import Message
from zofbot.slack.controls import About, Offers, controls
from zofbot.slack.controls import standing as drawn
from zofbot.store.audit import Audit
from zofbot.triage import Act, Course, State, Triage, Who, act
from zofbot.triage.policy import ANSWER
from zofbot.triage.times import LONGEST

__all__ = ["there"]

ANA, BEN = "U0ANA", "U0BEN"


async def deeds(built: House, root: Message) -> list[str]:
    """The acts on a failure, in the order in which they were stored."""
    entries = await Audit(built.bot.store.client, built.settings.zofbot_namespace).read()
    return [one.act for one in entries if one.key == root.key]


def flaky(note: str = "") -> dict[str, Any]:
    """A resolve form that is filled in."""
    option = {"text": {"type": "plain_text", "text": "Flaky", "emoji": True}, "value": "flaky"}
    filled: dict[str, Any] = {"reason": {"reason": {"type": "static_select", "selected_option": option}}}
    return filled | ({"note": {"note": {"type": "plain_text_input", "value": note}}} if note else {})


# --- an alert whose record is gone


async def forget(built: House, root: Message) -> None:
    """Have the store know nothing of the alert any more, as 30 days after its last change."""
    client, prefix = built.bot.store.client, f"{{{built.settings.zofbot_namespace}}}:"
    await client.delete(*(f"{prefix}{name}:{root.key}" for name in ("note", "sent", "failure")), f"{prefix}triage:C0QA")
    await client.hdel(f"{prefix}failures", root.key or "")
    for name in [one async for one in client.scan_iter(f"{prefix}open:*")]:
        await client.delete(name)


async def test_a_forgotten_alert_is_read_from_zof_again_and_its_own_card_changes(there: House) -> None:
    root = await alert(there)
    await forget(there, root)
    await press(there, ANA, root, control(root, "zof_triage_acknowledge"))
    await until(lambda: "Acknowledged: Case 0" in said(root))
    await until(lambda: any("acknowledged this" in line for line in thread(there, root)))
    assert [one.key for one in there.world.slack.ledger].count(f"{root.key}:2") == 0, "no second card"


async def test_a_forgotten_run_is_read_from_zof_again_with_its_failures(there: House) -> None:
    await there.type("/zof unsubscribe 1")
    await there.type("/zof subscribe group:run")
    run = fail(there, 2)
    assert await hook(there, current(run["id"], "evt_run")) == 200
    key = f"run:{run['id']}:failed:C0QA"
    await until(lambda: any(one.key == key for one in there.world.slack.ledger))
    root = next(one for one in there.world.slack.ledger if one.key == key)
    await forget(there, root)
    await press(there, ANA, root, control(root, "zof_triage_acknowledge"))
    await until(lambda: "Acknowledged" in said(root))
    assert "nightly cart" in said(root)
    assert "Case 1" in said(root)
    assert [one.key for one in there.world.slack.ledger].count(f"{key}:2") == 0, "no second card"


async def test_a_forgotten_alert_is_known_again_by_words_in_its_thread_and_by_a_form(there: House) -> None:
    root = await alert(there)
    await forget(there, root)
    assert (await mention(there, root, "ack")).ok
    await until(lambda: "Acknowledged: Case 0" in said(root))
    await forget(there, root)
    view = await open_form(there, ANA, root, "resolve")
    await there.stage.people.submit(ANA, view, flaky())
    await until(lambda: "Resolved: Case 0" in said(root))


async def test_where_zof_has_forgotten_it_too_the_click_is_explained(there: House) -> None:
    root = await alert(there)
    await forget(there, root)
    there.world.zof.results.clear()
    for action in ("acknowledge", "assign"):
        before = len(there.private(user=ANA))
        await press(there, ANA, root, control(root, f"zof_triage_{action}"))
        await until(lambda before=before: len(there.private(user=ANA)) > before)
        assert "does not know this alert any more" in said(there.private(user=ANA)[-1])


@pytest.mark.parametrize("words", ["ack", "snooze 30d"])
async def test_what_people_put_off_is_still_known_when_it_comes_due(there: House, words: str) -> None:
    root = await alert(there)
    client, name = there.bot.store.client, f"{{{there.settings.zofbot_namespace}}}:failure:{root.key}"
    await client.expire(name, 86400)  # as it is 29 days after it failed
    assert (await mention(there, root, words)).ok
    await until(lambda: "Acknowledged" in said(root) or "Snoozed" in said(root))
    week = 7 * 86400  # the longest that an escalation waits
    assert await client.ttl(name) > LONGEST + ANSWER + week


async def test_what_has_faded_is_on_no_list_any_more(there: House) -> None:
    root = await alert(there)
    assert (await mention(there, root, "ack")).ok
    await until(lambda: "Acknowledged" in said(root))
    client, prefix = there.bot.store.client, f"{{{there.settings.zofbot_namespace}}}:"
    await client.delete(f"{prefix}failure:{root.key}")
    assert "Case 0" not in await there.answer("/zof triage")
    assert await client.hgetall(f"{prefix}failures") == {}
    assert await client.hgetall(f"{prefix}triage:C0QA") == {}


# --- forms that were overtaken


@pytest.mark.parametrize("name", ["assign", "snooze"])
async def test_a_stale_card_says_so_before_anybody_fills_in_a_form(there: House, name: str) -> None:
    root = await alert(there)
    old = control(root, f"zof_triage_{name}")
    there.world.slack.faults.set("429", only="chat.update")
    await press(there, BEN, root, control(root, "zof_triage_acknowledge"))
    await press(there, ANA, root, old)
    await until(lambda: "Acknowledged by ben" in private(there, ANA))
    assert not there.world.slack.modals.get(ANA)
    [answer] = [one for one in there.private(user=ANA) if "Your click changed nothing" in said(one)]
    await there.press(answer, f"zof_do_{name}")
    await until(lambda: bool(there.world.slack.modals.get(ANA)))


async def test_a_form_that_the_table_does_not_allow_any_more_is_not_opened(there: House) -> None:
    root = await alert(there)
    old = control(root, "zof_triage_snooze")
    view = await open_form(there, BEN, root, "assign")
    there.world.slack.faults.set("429", only="chat.update")
    assert (await mention(there, root, "resolve flaky: retried", BEN)).ok
    await press(there, ANA, root, old)
    await until(lambda: "Your click changed nothing" in private(there, ANA))
    [answer] = [one for one in there.private(user=ANA) if "Your click changed nothing" in said(one)]
    await there.press(answer, "zof_do_snooze")
    await until(lambda: "Snooze is not possible: Resolved by ben" in private(there, ANA))
    assert not there.world.slack.modals.get(ANA)
    await there.stage.people.submit(BEN, view, {"owner": {"owner": {"type": "users_select", "selected_user": ANA}}})
    await until(lambda: "Your click changed nothing" in private(there, BEN))


async def test_what_was_filled_in_is_not_lost_to_somebody_faster(there: House) -> None:
    root = await alert(there)
    view = await open_form(there, ANA, root, "snooze")
    await press(there, BEN, root, control(root, "zof_triage_acknowledge"))
    await until(lambda: "Acknowledged" in said(root))
    words = {"words": {"zof_wakes": {"type": "plain_text_input", "value": "90m"}}}
    await there.stage.people.submit(ANA, view, words)
    await until(lambda: "Your click changed nothing" in private(there, ANA))
    [answer] = [one for one in there.private(user=ANA) if "Your click changed nothing" in said(one)]
    await there.press(answer, "zof_do_snooze")
    await until(lambda: "Snoozed" in said(root))
    assert not there.world.slack.modals.get(ANA), "it was asked once"
    assert "You snoozed" in private(there, ANA)


async def test_so_is_a_note(there: House) -> None:
    root = await alert(there)
    await press(there, ANA, root, control(root, "zof_triage_acknowledge"))
    await until(lambda: "Acknowledged" in said(root))
    view = await open_form(there, ANA, root, "resolve")
    assert (await mention(there, root, "assign <@U0CHIOMA>", BEN)).ok
    await until(lambda: "chioma" in " ".join(thread(there, root)))
    await there.stage.people.submit(ANA, view, flaky('It said "<boom>"\nand passed'))
    await until(lambda: "Your click changed nothing" in private(there, ANA))
    [answer] = [one for one in there.private(user=ANA) if "Your click changed nothing" in said(one)]
    await there.press(answer, "zof_do_resolve")
    await until(lambda: "Resolved" in said(root))
    assert "Flaky" in said(root)
    assert 'It said \\"&lt;boom&gt;\\" and passed' in said(root)


async def test_a_form_that_is_sent_twice_acts_once_and_answers_alike(there: House) -> None:
    root = await alert(there)
    view = await open_form(there, ANA, root, "assign")
    again = there.world.slack.modals[ANA][-1]
    chosen = {"owner": {"owner": {"type": "users_select", "selected_user": BEN}}}
    await there.stage.people.submit(ANA, view, chosen)
    await until(lambda: private(there, ANA).count("You assigned") >= 1)
    there.world.slack.modals[ANA].append(again)
    await there.stage.people.submit(ANA, view, chosen)
    await asyncio.sleep(0.5)
    assert "Your click changed nothing" not in private(there, ANA)
    assert await deeds(there, root) == ["assign"]


# --- who is named, and who is not


def test_whoever_put_it_to_sleep_stays_named_when_somebody_else_assigns_it() -> None:
    ana, ben = Who(id=ANA, name="Ana"), Who(id=BEN, name="Ben")
    asleep = act(standing(State.OPEN), wish(Act.SNOOZE, who=ana, until=NOW + 600), Course(), POLICY)
    assigned = act(asleep, wish(Act.ASSIGN, NOW + 1, who=ben, owner=ben), Course(), POLICY)
    assert "*Snoozed* by Ana" in str(drawn(assigned))
    awake = act(assigned, wish(Act.WAKE, NOW + 2, who=ben), Course(), POLICY)
    undone = act(awake, wish(Act.UNDO, NOW + 3, who=ben), Course(), POLICY)
    assert "*Snoozed* by Ana" in str(drawn(undone))
    over = act(undone, wish(Act.RESOLVE, NOW + 4, who=ben, reason="flaky"), Course(), POLICY)
    back = act(act(over, wish(Act.REOPEN, NOW + 5, who=ana), Course(), POLICY), wish(Act.UNDO, NOW + 6, who=ana),
               Course(), POLICY)  # fmt: skip
    assert "*Resolved* by Ben" in str(drawn(back))


def test_a_record_from_before_that_was_kept_names_who_acted_last() -> None:
    old = Triage(state=State.SNOOZED, by=Who(id=ANA, name="Ana"), did=Act.SNOOZE, at=NOW, until=NOW + 60)
    assert "*Snoozed* by Ana" in str(drawn(old))


async def test_whoever_escalates_is_not_mentioned_by_their_own_click(valkey: str) -> None:
    async with house(valkey, works=True, zofbot_poll_interval=3600, zof_webhook_secret=SECRET) as built:
        await until(lambda: sum(call.path == "/results" for call in built.world.zof.calls) >= 2)
        await built.type("/zof subscribe group:case escalate:15m-><@U0ANA>,45m-><@U0BEN>")
        root = await alert(built)
        for _ in range(2):
            assert (await mention(built, root, "escalate")).ok
            await asyncio.sleep(0)
        await until(lambda: sum("escalated this" in line for line in thread(built, root)) >= 1)
        assert not any("<@U0ANA>" in line for line in thread(built, root))


# --- snoozing by a count


async def test_a_run_cannot_sleep_until_it_fails_more_often_for_it_never_does(valkey: str) -> None:
    async with house(valkey, works=True, zofbot_poll_interval=3600, zof_webhook_secret=SECRET) as built:
        await until(lambda: sum(call.path == "/results" for call in built.world.zof.calls) >= 2)
        await built.type("/zof subscribe group:run layout:flat")
        ended = fail(built, 1)
        assert await hook(built, current(ended["id"], "evt_run")) == 200
        await until(lambda: any((one.key or "").startswith("run:") for one in built.world.slack.ledger))
        root = next(one for one in built.world.slack.ledger if (one.key or "").startswith("run:"))
        assert (await mention(built, root, "snooze until it fails 5 more times")).ok
        await until(lambda: "A run fails once" in private(built, ANA))
        assert await deeds(built, root) == []


def test_one_more_time_is_said_in_the_singular() -> None:
    asleep = act(standing(State.OPEN), wish(Act.SNOOZE, more=1), Course(), POLICY)
    assert "until it fails once more" in str(drawn(asleep))


# --- closed cards


def test_what_has_recovered_is_not_offered_to_be_run_again() -> None:
    about = About("case:res_1:failed:C1", "0.1")
    for state, offered in [(State.OPEN, True), (State.RESOLVED, True), (State.RECOVERED, False)]:
        [row] = controls(about, Triage(state=state), Offers(rerun=True, run_id="run_1"))
        assert ("Re-run failed cases" in str(row)) is offered


@pytest.mark.parametrize("state", [State.RESOLVED, State.RECOVERED])
def test_a_closed_card_has_one_button(state: State) -> None:
    offers = Offers(escalate=True, rerun=True, link="https://z", run_id="run_1")
    [row] = controls(About("case:res_1:failed:C1", "0.1"), Triage(state=state), offers)
    assert [one["action_id"] for one in row["elements"]] == ["zof_triage_reopen", "zof_triage_more"]
