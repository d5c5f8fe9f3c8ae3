"""What people on call run into: forgotten alerts, forms that were overtaken, who is named and who is not."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from tests.conftest import House, house, polled, said, until
from tests.test_mentions import mention
from tests.test_told import SECRET, current, fail, hook
from tests.test_triage import (
    NOW,
    POLICY,
    alert,
    control,
    mentions,
    open_form,
    press,
    private,
    standing,
    there,
    thread,
    wish,
)
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


async def test_two_who_press_on_a_forgotten_alert_at_once_are_both_served(there: House) -> None:
    root = await alert(there)
    await forget(there, root)
    ack = control(root, "zof_triage_acknowledge")
    await asyncio.gather(press(there, ANA, root, ack), press(there, BEN, root, ack))
    for user in (ANA, BEN):
        await until(lambda user=user: "You acknowledged Case 0" in private(there, user))
        assert "went wrong" not in private(there, user)


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


async def test_a_forgotten_alert_still_says_so_where_its_run_is_asked_for(there: House) -> None:
    root = await alert(there)
    await forget(there, root)
    await press(there, ANA, root, control(root, "zof_triage_more") | {"selected_option": {"value": "run"}})
    await until(lambda: "does not know this alert any more" in private(there, ANA))


async def test_a_record_that_this_version_cannot_read_is_left_as_it_is_and_hides_nothing_else(there: House) -> None:
    root = await alert(there)
    client, name = there.bot.store.client, f"{{{there.settings.zofbot_namespace}}}:triage:C0QA"
    later = json.dumps({"state": "delegated"})
    view = await open_form(there, ANA, root, "assign")
    await client.hset(name, root.key or "", later)
    await press(there, ANA, root, control(root, "zof_triage_acknowledge"))
    await until(lambda: "Something went wrong inside zofbot. Try again" in private(there, ANA))
    chosen = {"owner": {"owner": {"type": "users_select", "selected_user": BEN}}}
    await there.stage.people.submit(ANA, view, chosen)
    [form] = there.world.slack.modals[ANA]
    assert "Something went wrong inside zofbot" in (form.errors or {})["owner"], "what was filled in stays"
    assert (await client.hgetall(name))[(root.key or "").encode()] == later.encode()
    other = there.world.zof.start_run({"project_id": "proj_checkout", "environment": "staging"})
    there.world.zof.add_result(other["id"], status="failed", name="Another", test_case_id="tc_other")
    there.world.zof.finish_run(other["id"])
    assert await hook(there, current(other["id"], "evt_other")) == 200
    await until(lambda: any("Another" in one.text for one in there.world.slack.ledger))
    assert "Another" in await there.answer("/zof triage")


@pytest.mark.parametrize("value", ["{", "[]", '{"key": 1, "version": "0.1"}', '{"key": "case:res_1:failed:C0QA"}'])
async def test_a_button_of_an_answer_that_cannot_be_read_says_where_to_go_on(there: House, value: str) -> None:
    root = await alert(there)
    await press(there, ANA, root, control(root, "zof_triage_acknowledge"))
    await until(lambda: "You acknowledged" in private(there, ANA))
    answer = there.private(user=ANA)[-1]
    for block in answer.blocks:
        for element in block.get("elements", []):
            element["value"] = value
    await there.press(answer, "zof_do_undo")
    await until(lambda: "This button does not say what it is about." in private(there, ANA))
    assert "Use the latest card of this failure." in private(there, ANA)
    assert await deeds(there, root) == ["acknowledge"]


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


@pytest.mark.parametrize("name", ["assign", "snooze", "resolve"])
async def test_a_form_that_is_sent_twice_acts_once_and_answers_alike(there: House, name: str) -> None:
    root = await alert(there)
    if name == "resolve":
        assert (await mention(there, root, "ack")).ok
        await until(lambda: "Acknowledged" in said(root))
    view = await open_form(there, ANA, root, name)
    again = there.world.slack.modals[ANA][-1]
    owner = {"owner": {"owner": {"type": "users_select", "selected_user": BEN}}}
    words = {"words": {"zof_wakes": {"type": "plain_text_input", "value": "90m"}}}
    filled = {"assign": owner, "snooze": words, "resolve": flaky("retried")}[name]
    await there.stage.people.submit(ANA, view, filled)
    await until(lambda: f"You {name}" in private(there, ANA))
    there.world.slack.modals[ANA].append(again)
    before = len(there.private(user=ANA))
    await there.stage.people.submit(ANA, view, filled)
    await until(lambda: len(there.private(user=ANA)) > before)
    assert f"You {name}" in said(there.private(user=ANA)[-1])
    assert "Your click changed nothing" not in private(there, ANA)
    assert (await deeds(there, root)).count(name) == 1


async def test_that_slack_does_not_open_a_form_is_said(there: House) -> None:
    root = await alert(there)
    there.world.slack.faults.set("500", only="views.open")
    await press(there, ANA, root, control(root, "zof_triage_assign"))
    await until(
        lambda: "Slack did not open the form. Press the button again." in private(there, ANA).replace("\\n", " ")
    )


# --- what makes no sense


@pytest.mark.parametrize(
    ("before", "typed", "told"),
    [
        ([], "undo", "There is nothing to undo any more: It is open"),
        (["ack", "undo"], "undo", "There is nothing to undo any more: Undone by ana"),
        (["resolve flaky: retried"], "escalate", "It is resolved: it can be escalated only while somebody should look"),
        (["escalate"], "escalate", "Everybody whom the escalation names was called already"),
        ([], "release", "Release is not possible: It is open"),
        (["snooze 1h"], "still on it", "Still on it is not possible: Snoozed by ana"),
    ],
)
async def test_what_is_not_possible_is_explained(there: House, before: list[str], typed: str, told: str) -> None:
    root = await alert(there)
    for words in before:
        assert (await mention(there, root, words)).ok
    done = await deeds(there, root)
    assert (await mention(there, root, typed, BEN)).ok
    await until(lambda: told in private(there, BEN))
    assert await deeds(there, root) == done


async def test_nobody_is_escalated_to_where_the_subscription_names_nobody(there: House) -> None:
    await there.type("/zof unsubscribe 1")
    await there.type("/zof subscribe group:case")
    root = await alert(there)
    assert "Escalate now" not in said(root)
    assert (await mention(there, root, "escalate")).ok
    await until(lambda: "There is nobody to escalate to" in private(there, ANA))
    assert "/zof subscribe escalate:15m-&gt;@oncall" in private(there, ANA), "and how to change that"
    assert await deeds(there, root) == []


# --- a compulsory note


async def test_where_a_note_is_compulsory_nothing_is_resolved_without_one(valkey: str) -> None:
    async with house(valkey, works=True, zofbot_poll_interval=3600, zof_webhook_secret=SECRET,
                     zofbot_resolve_note=True) as built:  # fmt: skip
        await polled(built)
        await built.type("/zof subscribe group:case")
        root = await alert(built)
        assert (await mention(built, root, "resolve flaky")).ok
        await until(lambda: "A note is compulsory here" in private(built, ANA))
        await press(built, ANA, root, control(root, "zof_triage_acknowledge"))
        await until(lambda: "Acknowledged" in said(root))
        view = await open_form(built, ANA, root, "resolve")
        form = built.world.slack.modals[ANA][-1]
        await built.stage.people.submit(ANA, view, flaky())
        assert set(form.errors or {}) == {"note"}, "Slack itself asks for it"
        await built.stage.people.submit(ANA, view, flaky("  "))
        assert "A note is compulsory here" in (form.errors or {})["note"]
        assert await deeds(built, root) == ["acknowledge"]
        await built.stage.people.submit(ANA, view, flaky("retried, and it passed"))
        await until(lambda: "Resolved" in said(root))
        await until(lambda: any("resolved this: Flaky" in line for line in thread(built, root)))
        assert "retried, and it passed" in said(root)


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
        await polled(built)
        await built.type("/zof subscribe group:case escalate:15m-><@U0ANA>,45m-><@U0BEN>")
        root = await alert(built)
        for _ in range(2):
            assert (await mention(built, root, "escalate")).ok
            await asyncio.sleep(0)
        await until(lambda: sum("escalated this" in line for line in thread(built, root)) >= 1)
        assert not any("<@U0ANA>" in line for line in thread(built, root))


# --- snoozing by a condition


async def fails(built: House, cases: int = 1) -> None:
    """End another run of the same case, badly or, with none, well."""
    run = fail(built, cases)
    kind = "run.failed" if cases else "run.completed"
    assert await hook(built, current(run["id"], f"evt_{run['id']}", kind)) == 200


async def snoozed(built: House, root: Message, label: str, value: str, preview: str) -> None:
    """Choose a condition in the form, see what it means, and send it."""
    view = await open_form(built, ANA, root, "snooze")
    option = {"text": {"type": "plain_text", "text": label, "emoji": True}, "value": value}
    chosen = {"action_id": "zof_wakes", "block_id": "choice", "selected_option": option}
    await built.stage.people.press(ANA, chosen, view_id=view)
    await until(lambda: preview in str(built.world.slack.modals[ANA][-1].payload["blocks"]))
    await built.stage.people.submit(ANA, view)
    await until(lambda: f"*Snoozed* by ana {label}" in said(root))
    await until(lambda: any(f"snoozed this {label}" in line for line in thread(built, root)))


@pytest.mark.parametrize("typed", [False, True], ids=["by the form", "in the thread"])
async def test_what_sleeps_until_it_recovers_sleeps_through_failures_and_opens_when_it_relapses(
    there: House, typed: bool
) -> None:
    root = await alert(there)
    if typed:
        assert (await mention(there, root, "snooze until it recovers")).ok
    else:
        await snoozed(there, root, "until it recovers", "recovers",
                      "Wakes if it fails again after it has recovered.")  # fmt: skip
    await until(lambda: "Snoozed" in said(root))
    await fails(there)
    await until(lambda: "2 failures" in said(root))
    assert "Snoozed" in said(root)
    await fails(there, 0)
    await until(lambda: "Recovered" in said(root))
    await fails(there)
    await until(lambda: "Snoozed" not in said(root) and "zof_triage_acknowledge" in said(root))
    await until(lambda: mentions(there, root) == 1, 15)


async def test_what_sleeps_until_it_fails_more_often_wakes_by_the_last_of_those_failures(there: House) -> None:
    root = await alert(there)
    await snoozed(there, root, "until it fails 5 more times", "more:5", "Wakes when it has failed 5 more times.")
    for _ in range(4):
        await fails(there)
    await until(lambda: "5 failures" in said(root))
    assert "Snoozed" in said(root)
    assert mentions(there, root) == 0
    await fails(there)
    await until(lambda: "*Awake again*" in said(root))
    await until(lambda: mentions(there, root) == 1, 15)


async def test_a_run_cannot_sleep_until_it_fails_more_often_for_it_never_does(valkey: str) -> None:
    async with house(valkey, works=True, zofbot_poll_interval=3600, zof_webhook_secret=SECRET) as built:
        await polled(built)
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


def test_what_slack_could_not_carry_costs_a_card_its_buttons_and_not_the_alert() -> None:
    longest = f"case:{'%2F' * 128}:failed:C1"
    assert controls(About(longest, "0.1"), Triage(), Offers(run_id="run_1")) == []
