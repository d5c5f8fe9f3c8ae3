"""Any history of people, runs, repeated clicks and deliveries, through the store: as the table allows, card and all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from random import Random
from typing import Any

import pytest
import redis.asyncio as redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.preparation import drop_obsolete
from tests.support.rules import failed_finding, make_subscription, passed_finding
from zofbot.alerting.rules import decide_finding
from zofbot.alerting.state import DecisionBuilder, RuleState, storms_hash, triage_hash
from zofbot.alerting.storms.storm_members import add_member
from zofbot.alerting.storms.storm_messages import build_summary
from zofbot.alerting.storms.storm_record import Storm, save_storm
from zofbot.clock import MovableClock
from zofbot.delivery.dispatcher import Dispatcher
from zofbot.notifications.alert_payloads import CaseAlertPayload
from zofbot.notifications.notification import NotificationKind, Receipt
from zofbot.notifications.notification import NotificationState as Outboxed
from zofbot.notifications.storm_payloads import StormMember
from zofbot.observability.emitter import EventEmitter
from zofbot.services.failures import ActionNotAllowed, Failure, StaleCard
from zofbot.services.triage import TriageService
from zofbot.slack.views.blocks import Message
from zofbot.slack.views.renderer import render_notification
from zofbot.slack.views.triage.pressed_button import FailureRef
from zofbot.slack.views.triage.triage_status import STATE_STYLES
from zofbot.store.audit import AuditLog
from zofbot.store.keyspace import Keyspace
from zofbot.store.outbox import Outbox
from zofbot.triage import TRANSITIONS, Action, ActionRequest, Actor, EscalationPolicy, TriageRecord, TriageState
from zofbot.triage.actions import UNDO_SECONDS
from zofbot.triage.state_machine import AUTOMATIC_ACTIONS

START = 1_800_000_000.0
KEY = "case:res_1_a:failed:C1"
STORM = Storm(
    id="res_0", category="failed", channel="C1", since=START, last=START, opened=START,
    policy=EscalationPolicy(reack=3600),
)  # fmt: skip
PEOPLE = [Actor(id=f"U{name}", name=name) for name in ("Ana", "Ben", "Cem")]
OWN = {"rev", "did", "by", "at", "requests", "before", "line"}
"""Of a record, what each act writes anew, *undo* too."""


@dataclass
class MessageWall:
    """A Slack that keeps what was posted, by key, and what each of them shows now."""

    deadline: float = 8.0
    posted: list[str] = field(default_factory=list)
    shown: dict[str, Message] = field(default_factory=dict)
    versions: list[str] = field(default_factory=list)

    async def post_message(
        self, channel: str, message: Message, meta: Mapping[str, Any], *, thread: str = "", broadcast: bool = False
    ) -> Receipt:
        key = meta["event_payload"]["key"]
        self.posted.append(key)
        self._show_message(key, message)
        return Receipt(channel, key)

    async def update_message(
        self, receipt: Receipt, message: Message, meta: Mapping[str, Any] | None = None
    ) -> Receipt:
        self._show_message(receipt.ts, message)
        return receipt

    async def find_message(self, channel: str, key: str, since: float, *, thread: str = "") -> Receipt | None:
        return Receipt(channel, key) if key in self.posted else None

    async def has_message(self, receipt: Receipt) -> bool:
        return receipt.ts in self.posted

    async def join_channel(self, channel: str) -> None:
        raise AssertionError("nothing here refuses")

    def _show_message(self, key: str, message: Message) -> None:
        self.shown[key] = message
        if key == KEY:
            self.versions.append(self.current_card.version)

    @property
    def current_card(self) -> FailureRef:
        """What the root's controls are about."""
        payload = self.shown[KEY].message_fields()
        blocks = [*payload.get("blocks", []), *(b for part in payload.get("attachments", []) for b in part["blocks"])]
        [about] = [found for block in blocks if (found := FailureRef.parse_block_id(str(block.get("block_id", ""))))]
        return about


@dataclass
class ChannelBench:
    """One channel with one failing case, its store, and a clock that only a history moves."""

    outbox: Outbox
    audit: AuditLog
    failures: TriageService
    dispatcher: Dispatcher
    wall: MessageWall
    now: list[float]
    runs: int = 0
    clicks: int = 0
    done: list[ActionRequest] = field(default_factory=list)

    async def finish_run(self, *, fails: bool) -> None:
        """Have the case fail or pass in one more run, and the rules make of it what they do."""
        self.runs += 1
        found = (failed_finding if fails else passed_finding)(str(self.runs), self.now[0], "a")
        mine = [make_subscription("group:case escalate:15m-><@UBEN> reack:1h")]
        memory = RuleState(await self.outbox.read_hashes(*RuleState.hash_names(found, mine)))
        made = decide_finding(found, mine, memory, self.now[0], lookback=3600)
        await self.outbox.commit(made.notifications, changes=made.changes)

    def make_request(self, act: Action, who: int, lasts: float) -> ActionRequest:
        self.clicks += 1
        more: dict[str, Any] = {"until": self.now[0] + lasts} if act is Action.SNOOZE else {}
        return ActionRequest(
            act=act, who=PEOPLE[who], at=self.now[0], request=f"click_{self.clicks}", reason="flaky", **more
        )

    async def press_action(self, wish: ActionRequest, version: str) -> None:
        """One click on a card that shows ``version``, and everything that must hold about what it did."""
        before, entries = await self.current_failure(), await self.audit.read_records()
        try:
            after = (await self.failures.perform_action(before.key, wish, version=version)).present
        except StaleCard:
            assert version != before.present.card_version
        except ActionNotAllowed:
            assert (
                wish.act in AUTOMATIC_ACTIONS or wish.act not in TRANSITIONS[before.present.state] or wish.act in _AGAIN
            )
        else:
            self._check_move(before.present, after, wish, version)
            assert (await self.current_failure()).present.card_version == after.card_version
        more = len(await self.audit.read_records()) - len(entries)
        assert more == ((await self.current_failure()).present.rev - before.present.rev)
        assert more in (0, 1)

    def _check_move(self, before: TriageRecord, after: TriageRecord, wish: ActionRequest, version: str) -> None:
        if after.rev == before.rev:  # repeated, or the second of a double click
            assert wish.request in before.requests or (before.did, before.by) == (wish.act, wish.who)
            return
        assert version in ("", before.card_version)
        assert after.rev == before.rev + 1
        self.done.append(wish)
        if wish.act is Action.UNDO:
            assert before.before is not None
            assert after.model_dump(exclude=OWN | {"turn"}) == before.before.model_dump(exclude=OWN | {"turn"})
            assert wish.at - before.at <= UNDO_SECONDS
        else:
            assert after.state is TRANSITIONS[before.state][wish.act]

    async def begin_storm(self) -> None:
        """Have a storm take in the case's alert, once."""
        if (await self.current_failure()).storm:
            return
        name = storms_hash("C1")
        draft = DecisionBuilder(RuleState(await self.outbox.read_hashes(name)), self.now[0])
        body = (await self.current_failure()).body
        assert isinstance(body, CaseAlertPayload)
        storm = add_member(draft, STORM, StormMember(key=KEY, id="res_1_a", count=body.count), card=True, held=0.0)
        save_storm(draft, storm)
        draft.add_notifications(build_summary(storm, 0.0))
        await self.outbox.commit(list(draft.notifications.values()), changes=draft.changes)

    async def act_on_storm(self, wish: ActionRequest) -> None:
        """Act on the whole storm, if that is possible."""
        with suppress(ActionNotAllowed):
            await self.failures.perform_action(STORM.storm_key, wish)

    async def current_failure(self) -> Failure:
        failure = await self.failures.get(KEY)
        assert failure
        return failure

    async def deliver_due(self, *, all_of_it: bool = False) -> None:
        """Send what is due; ``all_of_it``: whatever is due within the next minutes, too."""
        for _ in range(200 if all_of_it else 3):
            if await self.dispatcher.deliver_batch():
                continue
            if not all_of_it or not await self._has_due():
                return
            self.now[0] += 1.0

    async def _has_due(self) -> bool:
        waiting = await self.outbox.list_records(Outboxed.PENDING)
        return any((item.happened or 0.0) <= self.now[0] for item in waiting)  # a timer happens when it is due


_AGAIN = {Action.ACKNOWLEDGE, Action.UNDO, Action.ESCALATE}
"""Not allowed twice by the same person, not after a while, not where nobody is left to call."""


@asynccontextmanager
async def channel_bench(store_url: str) -> AsyncIterator[ChannelBench]:
    now = [START]

    clock = MovableClock(lambda: now[0])

    async with redis.from_url(store_url) as client:
        await client.flushall()
        wall, events = MessageWall(), EventEmitter()
        outbox = Outbox(Keyspace(client, "history"), clock)
        dispatcher = Dispatcher(
            outbox,
            wall,
            render_notification,
            events,
            clock,
            random=Random(1).random,
            prepare=drop_obsolete(clock),
        )
        made = ChannelBench(
            outbox, AuditLog(Keyspace(client, "history")), TriageService(outbox, clock, events),
            dispatcher, wall, now,
        )  # fmt: skip
        await made.finish_run(fails=True)
        await made.deliver_due(all_of_it=True)
        yield made


CLICK = st.tuples(
    st.just("press"), st.sampled_from([*Action]), st.integers(0, 2), st.sampled_from([0, 0, 0, 1, 3, -1]),
    st.sampled_from([30.0, 900.0, 7200.0]),
)  # fmt: skip
HISTORY = st.lists(
    st.one_of(
        CLICK,
        st.tuples(st.just("both"), CLICK, CLICK, CLICK),
        st.tuples(st.just("storm"), st.sampled_from([*Action]), st.integers(0, 2), st.sampled_from([30.0, 900.0])),
        st.tuples(st.just("repeat"), st.integers(0, 5)),
        st.tuples(st.sampled_from(["fail", "pass", "deliver"])),
        st.tuples(st.just("later"), st.sampled_from([1.0, 15.0, 70.0, 1000.0, 5000.0])),
    ),
    max_size=14,
)


async def take_step(made: ChannelBench, step: tuple[Any, ...]) -> None:
    match step:
        case ("press", act, who, back, lasts):
            version = "" if back < 0 else made.wall.versions[-1 - min(back, len(made.wall.versions) - 1)]
            await made.press_action(made.make_request(act, who, lasts), version)
        case ("both", *clicks):
            before = (await made.current_failure()).present
            wishes = [made.make_request(act, who, lasts) for _, act, who, _, lasts in clicks]
            outcomes = await asyncio.gather(
                *(made.failures.perform_action(KEY, wish, version=before.card_version) for wish in wishes),
                return_exceptions=True,
            )
            assert all(isinstance(outcome, Failure | StaleCard | ActionNotAllowed) for outcome in outcomes), outcomes
            assert (await made.current_failure()).present.rev - before.rev <= 1, (
                "all saw the same card, so one goes first"
            )
        case ("storm", act, who, lasts):
            await made.begin_storm()
            made.now[0] += 1
            await made.act_on_storm(made.make_request(act, who, lasts))
            made.now[0] += 1
        case ("repeat", back) if made.done:
            wish = made.done[-1 - min(back, len(made.done) - 1)]
            if wish.request in (await made.current_failure()).present.requests:
                rev = (await made.current_failure()).present.rev
                await made.failures.perform_action(KEY, wish, version="0.0")
                assert (await made.current_failure()).present.rev == rev
        case ("fail" | "pass" as what,):
            made.now[0] += 1
            await made.finish_run(fails=what == "fail")
        case ("later", seconds):
            made.now[0] += seconds
        case _:
            await made.deliver_due()


@pytest.mark.no_cover  # what it walks is covered elsewhere, and being traced doubles its time
@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(HISTORY)
async def test_any_history_is_allowed_and_the_card_ends_as_the_failure_stands(
    store_url: str, history: list[tuple[Any, ...]]
) -> None:
    async with channel_bench(store_url) as made:
        for step in history:
            await take_step(made, step)
        await made.deliver_due(all_of_it=True)
        await check_channel(made)


@pytest.mark.parametrize("act", [Action.SNOOZE, Action.ACKNOWLEDGE])
async def test_the_card_of_an_alert_in_a_storm_shows_that_the_state_of_the_storm_has_ended(
    store_url: str, act: Action
) -> None:
    async with channel_bench(store_url) as made:
        for step in (("storm", act, 0, 30.0), ("deliver",), ("deliver",)):
            await take_step(made, step)
        assert STATE_STYLES[(await made.current_failure()).present.state].word in made.wall.shown[KEY].text
        made.now[0] += 7300
        await made.deliver_due(all_of_it=True)
        assert (await made.current_failure()).present.state is TriageState.OPEN
        await check_channel(made)


async def check_channel(made: ChannelBench) -> None:
    """Compare audit, thread and card with how the failure stands."""
    entries, present = await made.audit.read_records(), (await made.current_failure()).present
    for entry in entries:
        allowed = TRANSITIONS[TriageState(entry.before)].get(Action(entry.act))
        assert allowed is not None or entry.act == Action.UNDO, entry
        assert entry.act == Action.UNDO or entry.after == allowed, entry
        assert entry.user in {who.id for who in PEOPLE}
    assert len(entries) == present.rev
    assert len(set(made.wall.posted)) == len(made.wall.posted), "nothing was posted twice"
    stories = [key for key in made.wall.posted if key.startswith("case:")]
    if stories != [KEY]:
        return  # it began anew, in a message of its own, and this one is history
    lines = {key for key in made.wall.posted if key.startswith("act:") and key.endswith(KEY)}
    own = {f"act:{number}:{KEY}": entry for number, entry in enumerate(entries, start=1) if entry.key == KEY}
    acts = {key: entry for key, entry in own.items() if entry.act != Action.UNDO}
    again = {key for key, entry in acts.items() if entry.act in (Action.SNOOZE, Action.CONFIRM)}
    whole = {f"act:{number}:{KEY}" for number, entry in enumerate(entries, start=2) if entry.key != KEY} & own.keys()
    assert acts.keys() - again <= lines <= acts.keys() | whole, (
        "each has its line, unless it was soon repeated or is an undo, other than of what was done about the storm"
    )
    assert made.wall.current_card.version == present.card_version
    if present.state in STATE_STYLES:
        assert STATE_STYLES[present.state].word in made.wall.shown[KEY].text
    else:
        assert not any(look.word in made.wall.shown[KEY].text for look in STATE_STYLES.values())


# --- the line of an action in the thread


async def replace_record(made: ChannelBench, **fields: Any) -> None:
    """Store the record with other fields, as an earlier version or a storm does."""
    record = (await made.current_failure()).present.model_copy(update=fields)
    changes = {triage_hash("C1"): {KEY: record.model_dump_json(exclude_defaults=True)}}
    await made.outbox.commit([], changes=changes)


@pytest.mark.parametrize("line", ["", "act:1:storm:1:C1"])
async def test_an_undo_without_a_line_of_its_own_is_posted(store_url: str, line: str) -> None:
    async with channel_bench(store_url) as made:
        await made.press_action(made.make_request(Action.ACKNOWLEDGE, 0, 0.0), "")
        await replace_record(made, line=line)
        await made.press_action(made.make_request(Action.UNDO, 0, 0.0), "")
        await made.deliver_due(all_of_it=True)
        assert f"act:2:{KEY}" in made.wall.posted
        assert "undid the last action" in made.wall.shown[f"act:2:{KEY}"].text
        assert "undid" not in made.wall.shown[f"act:1:{KEY}"].text


async def test_an_undo_changes_its_line_once_that_is_posted(store_url: str) -> None:
    async with channel_bench(store_url) as made:
        await made.press_action(made.make_request(Action.ACKNOWLEDGE, 0, 0.0), "")
        await made.press_action(made.make_request(Action.UNDO, 1, 0.0), "")
        await made.deliver_due(all_of_it=True)
        assert f"act:2:{KEY}" not in made.wall.posted
        assert "Ana acknowledged this · ↩️ Ben<!date" in made.wall.shown[f"act:1:{KEY}"].text


# --- an alert in a storm


async def test_an_action_on_an_alert_of_a_storm_that_somebody_works_on_can_be_undone(store_url: str) -> None:
    async with channel_bench(store_url) as made:
        await made.begin_storm()
        await made.act_on_storm(made.make_request(Action.ACKNOWLEDGE, 0, 0.0))
        for act in (Action.SNOOZE, Action.RESOLVE):
            made.now[0] += 10
            card = (await made.current_failure()).present.card_version
            done = await made.failures.perform_action(KEY, made.make_request(act, 1, 7200.0), version=card)
            made.now[0] += 5
            undo = made.make_request(Action.UNDO, 1, 0.0)
            undone = await made.failures.perform_action(KEY, undo, version=done.present.card_version)
            assert (undone.present.state, undone.present.owner) == (TriageState.ACKNOWLEDGED, PEOPLE[0])


async def test_what_an_earlier_version_stored_for_an_alert_of_a_storm_can_be_acted_on(store_url: str) -> None:
    async with channel_bench(store_url) as made:
        await made.begin_storm()
        await made.act_on_storm(made.make_request(Action.ACKNOWLEDGE, 0, 0.0))
        made.now[0] += 10
        await made.press_action(made.make_request(Action.SNOOZE, 1, 7200.0), "")
        await replace_record(made, rev=2)  # with the storm's one action, which it counted twice
        assert (await made.current_failure()).present.rev == 3
        await made.press_action(made.make_request(Action.UNDO, 1, 0.0), "0.3")
        assert (await made.current_failure()).present.card_version == "0.4"


async def test_a_question_asked_later_leaves_the_card_of_an_alert_in_a_storm_current(store_url: str) -> None:
    async with channel_bench(store_url) as made:
        await made.begin_storm()
        await made.act_on_storm(made.make_request(Action.ACKNOWLEDGE, 0, 0.0))
        made.now[0] += 10
        await made.press_action(made.make_request(Action.ACKNOWLEDGE, 1, 0.0), "")
        card = (await made.current_failure()).present.card_version
        await made.failures.ask_later(KEY, made.now[0] + 7200)
        present = (await made.current_failure()).present
        assert (present.card_version, present.asks) == (card, made.now[0] + 7200)


@pytest.mark.parametrize("steps", range(20))
async def test_an_action_on_an_alert_counts_what_was_just_done_about_its_storm(store_url: str, steps: int) -> None:
    async with channel_bench(store_url) as made:
        await made.begin_storm()
        card = (await made.current_failure()).present.card_version
        whole, single = made.make_request(Action.ACKNOWLEDGE, 0, 0.0), made.make_request(Action.SNOOZE, 1, 60.0)
        acting = asyncio.create_task(made.failures.perform_action(KEY, single, version=card))
        for _ in range(steps):
            await asyncio.sleep(0)
        await made.failures.perform_action(STORM.storm_key, whole)
        [refused] = await asyncio.gather(acting, return_exceptions=True)
        entries = [entry.key for entry in await made.audit.read_records()]
        assert entries == ([STORM.storm_key] if isinstance(refused, StaleCard) else [KEY, STORM.storm_key])


async def test_undoing_for_one_alert_what_was_done_about_its_storm_restores_what_was_done_about_it(
    store_url: str,
) -> None:
    async with channel_bench(store_url) as made:
        await made.begin_storm()
        await made.press_action(made.make_request(Action.SNOOZE, 1, 7200.0), "")
        snoozed = (await made.current_failure()).present
        made.now[0] += 10
        await made.act_on_storm(made.make_request(Action.ACKNOWLEDGE, 0, 0.0))
        await made.press_action(made.make_request(Action.UNDO, 1, 0.0).model_copy(update={"at": made.now[0] + 5}), "")
        present = (await made.current_failure()).present
        assert (present.state, present.until, present.rev) == (TriageState.SNOOZED, snoozed.until, 3)


async def test_an_alert_assigned_in_a_storms_snooze_wakes_after_further_failures_of_its_own(store_url: str) -> None:
    async with channel_bench(store_url) as made:
        for _ in range(4):
            made.now[0] += 1
            await made.finish_run(fails=True)
        await made.begin_storm()
        await made.act_on_storm(made.make_request(Action.SNOOZE, 0, 0.0).model_copy(update={"until": None, "more": 2}))
        made.now[0] += 1
        await made.press_action(made.make_request(Action.ASSIGN, 1, 0.0), "")
        states = [(await made.current_failure()).present.state]
        for _ in range(2):
            made.now[0] += 1
            await made.finish_run(fails=True)
            states.append((await made.current_failure()).present.state)
        assert states == [TriageState.SNOOZED, TriageState.SNOOZED, TriageState.OPEN]


async def test_the_edit_of_a_line_says_that_it_edits_a_reply(store_url: str) -> None:
    async with channel_bench(store_url) as made:
        await made.press_action(made.make_request(Action.ACKNOWLEDGE, 0, 0.0), "")
        await made.deliver_due(all_of_it=True)
        await made.press_action(made.make_request(Action.UNDO, 0, 0.0), "")
        made.now[0] += 60
        edits = [claim.notification for claim in await made.outbox.claim(100)]
        assert {edit.root: edit.edits_reply for edit in edits if edit.kind is NotificationKind.EDIT} == {
            KEY: False,
            f"act:1:{KEY}": True,
        }
