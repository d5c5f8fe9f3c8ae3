"""Runs that are ordered at Zof: what is asked first, who is told when it is refused, and what is left over."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from tests.conftest import House, house, polled, said, until
from tests.test_told import SECRET, fail
from tests.test_triage import alert, control, press, thread
from tests.test_triage_corners import forget
from zofbot.model import utcnow
from zofbot.pipeline.memory import order_of
from zofbot.pipeline.orders import LATEST, Order, Orders
from zofbot.rooms import zof_client
from zofbot.simulator.entities import Message
from zofbot.store.audit import Audit, Entry
from zofbot.triage import Who

ANA = Who(id="U0ANA", name="ana")


@pytest.fixture
async def there(valkey: str) -> AsyncIterator[House]:
    async with house(valkey, works=True, zofbot_poll_interval=3600, zof_webhook_secret=SECRET,
                     zofbot_allow_runs=True) as built:  # fmt: skip
        await polled(built)
        await built.type("/zof subscribe group:case")
        yield built


async def question(built: House, root: Message) -> Message:
    await press(built, "U0ANA", root, control(root, "zof_triage_more") | {"selected_option": {"value": "rerun"}})
    await until(lambda: "Run the failed cases" in said(built.private()[-1]))
    return built.private()[-1]


async def written(built: House, act: str) -> list[Entry]:
    entries = await Audit(built.bot.store.client, built.settings.zofbot_namespace).read()
    return [one for one in entries if one.act == act]


async def later(built: House, seconds: float) -> None:
    """What a worker does so much later."""
    zof = zof_client(built.settings, built.bot.metrics)
    await Orders(built.bot.outbox, zof, lambda: utcnow() + timedelta(seconds=seconds)).left_over()
    await zof.aclose()


async def open_orders(built: House) -> dict[str, str]:
    return (await built.bot.outbox.hashes("orders"))["orders"]


async def test_the_question_says_how_much_is_run_and_one_press_or_three_are_one_act(there: House) -> None:
    root = await alert(there)
    asked = await question(there, root)
    assert "1 case on staging" in said(asked)
    runs = len(there.world.zof.runs)
    await asyncio.gather(*(there.press(asked, "zof_rerun") for _ in range(3)))
    await until(lambda: any("runs the failed cases again" in line for line in thread(there, root)))
    await until(lambda: "Zof runs the failed cases" in said(there.private()[-1]))
    assert len(there.world.zof.runs) == runs + 1
    [entry] = await written(there, "rerun")
    assert (entry.user, entry.name, entry.key, entry.channel) == ("U0ANA", "ana", root.key, "C0QA")
    assert entry.details["run"] in there.world.zof.runs
    assert entry.request
    assert entry.zof_requests[0].startswith("req_")
    assert await open_orders(there) == {}


async def test_zof_refusing_is_told_to_who_pressed_and_they_may_press_again(there: House) -> None:
    root = await alert(there)
    asked = await question(there, root)
    there.world.zof.faults.set("403", 1)
    await there.press(asked, "zof_rerun")
    await until(lambda: "is not allowed to start run" in said(there.private()[-1]))
    refused = said(there.private()[-1])
    assert "must raise the role of the key" in refused
    assert "Request ID: `req_" in refused
    assert await open_orders(there) == {}
    await later(there, 600)
    assert not await written(there, "rerun"), "what somebody heard was refused is not done behind their back"
    await there.press(asked, "zof_rerun")
    await until(lambda: any("runs the failed cases again" in line for line in thread(there, root)))
    assert len(await written(there, "rerun")) == 1


async def test_cases_that_zof_does_not_name_are_said_before_anything_is_asked(there: House) -> None:
    root = await alert(there)
    for one in there.world.zof.results.values():
        one.pop("test_case_id", None)
    await press(there, "U0ANA", root, control(root, "zof_triage_more") | {"selected_option": {"value": "rerun"}})
    await until(lambda: "Zof does not say which cases these are" in said(there.private()[-1]))


async def test_a_question_that_nobody_knows_any_more_says_so(there: House) -> None:
    root = await alert(there)
    asked = await question(there, root)
    async for name in there.bot.store.client.scan_iter("*:order:*"):
        await there.bot.store.client.delete(name)
    await there.press(asked, "zof_rerun")
    await until(lambda: "This question is not known any more" in said(there.private()[-1]))


async def test_an_alert_that_zof_has_forgotten_too_is_not_run_again(there: House) -> None:
    root = await alert(there)
    await forget(there, root)
    there.world.zof.results.clear()
    await press(there, "U0ANA", root, control(root, "zof_triage_more") | {"selected_option": {"value": "rerun"}})
    await until(lambda: "does not know this alert any more" in said(there.private()[-1]))


async def test_a_press_on_a_question_that_was_answered_long_ago_starts_nothing(there: House) -> None:
    root = await alert(there)
    asked = await question(there, root)
    as_it_was = list(asked.blocks)
    await there.press(asked, "zof_rerun")
    await until(lambda: "Zof runs the failed cases" in said(there.private()[-1]))
    [entry] = await written(there, "rerun")
    answer = there.private()[-1]
    answer.blocks, answer.text = as_it_was, "as a client shows it that was away"
    await there.press(answer, "zof_rerun")
    await until(lambda: "Zof runs the failed cases" in said(there.private()[-1]))
    assert entry.details["run"] in said(there.private()[-1]), "it says which run that was"
    assert sum(call.method == "POST" for call in there.world.zof.calls) == 1
    assert len(await written(there, "rerun")) == 1
    assert await open_orders(there) == {}


async def left(built: House, order: Order) -> None:
    """An order whose taker died."""
    kept = order.model_dump_json(exclude_defaults=True)
    changes = {order_of("name_1"): {"order": kept}, "orders": {"name_1": f"{utcnow().timestamp():.0f}"}}
    await built.bot.outbox.commit([], changes=changes)


def rerun(root: Message, cases: list[str]) -> Order:
    body = {"project_id": "proj_checkout", "environment": "staging", "test_case_ids": cases}
    return Order(sort="rerun", channel="C0QA", key=root.key or "", title="Case 0", body=body, by=ANA)


async def test_what_is_left_over_waits_for_its_taker_and_for_zof(there: House) -> None:
    root = await alert(there)
    await left(there, rerun(root, ["tc_0"]))
    await later(there, 30)
    assert await open_orders(there), "whoever took it may still be at it"
    there.world.zof.faults.set("cut")
    await later(there, 90)
    assert await open_orders(there)
    there.world.zof.faults.set("none")
    await later(there, 120)
    assert await open_orders(there) == {}
    await until(lambda: any("ana runs the failed cases again" in line for line in thread(there, root)))
    assert len(await written(there, "rerun")) == 1


@pytest.mark.parametrize(("fault", "seconds"), [("403", 90), ("cut", LATEST + 90)])
async def test_what_zof_refuses_for_good_is_said_in_the_thread(there: House, fault: str, seconds: float) -> None:
    root = await alert(there)
    await left(there, rerun(root, ["tc_0"]))
    there.world.zof.faults.set(fault)
    await later(there, seconds)
    await until(lambda: any("were not run again, as ana had asked" in line for line in thread(there, root)))
    assert await open_orders(there) == {}
    assert not await written(there, "rerun")


async def test_a_run_to_be_cancelled_that_had_ended_is_let_be_and_a_refusal_is_told_in_person(there: House) -> None:
    ended = fail(there, 1)
    await left(there, Order(sort="cancel", channel="C0QA", run=ended["id"], by=ANA))
    await later(there, 90)
    assert await open_orders(there) == {}
    assert not await written(there, "cancel")
    await left(there, Order(sort="cancel", channel="C0QA", run="run_nowhere", by=ANA))
    await later(there, 90)
    await until(lambda: any("The run run_nowhere was not cancelled" in one.text for one in there.world.slack.ledger))
    [told] = [one for one in there.world.slack.ledger if "was not cancelled" in one.text]
    assert told.channel == "D0ANA"
    assert "Request ID: req_" in told.text


async def test_an_order_that_cannot_be_read_is_given_up(there: House) -> None:
    changes = {order_of("name_1"): {"order": json.dumps({"sort": "sing"})}, "orders": {"name_1": "0"}}
    await there.bot.outbox.commit([], changes=changes)
    await later(there, 0)
    assert await open_orders(there) == {}
