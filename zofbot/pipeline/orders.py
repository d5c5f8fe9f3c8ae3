"""What people order at Zof: stored before Slack hears that it was pressed, so that it is done once and never lost.

An order is offered with a question and taken by the button that answers it. Whoever took it carries it out at once;
what is left over by a process that died is carried out by a worker. Both use the order's name as Zof's idempotency key.
"""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any, Literal

import structlog
from pydantic import BaseModel, ConfigDict, ValidationError

from zofbot.clock import Clock
from zofbot.errors import BadInput, StoreUnavailable, ZofError, ZofRejected, ZofUnavailable
from zofbot.model import is_id
from zofbot.notification import SCHEMA, Kind, Notification
from zofbot.pipeline.memory import ORDERS, RERUN, failure_of, order_of, rerun_in
from zofbot.pipeline.reruns import redrawn
from zofbot.slack import lines
from zofbot.store.audit import REFUSED, Entry
from zofbot.store.hints import HASH as HINTS
from zofbot.store.hints import Watch
from zofbot.store.outbox import Changed, Outbox
from zofbot.triage import Rerun, Who, under_way
from zofbot.zof.client import Patience, Reply, ZofClient

log = structlog.get_logger()

LEFT = 60.0
"""Seconds after which an order counts as left over: longer than whoever took it tries."""

EVERY = 20.0
"""Seconds between two looks for what was left over."""

TO_RERUN, TO_CANCEL = "run the failed cases again", "cancel a run"
"""What is ordered, as it follows "You cannot"."""

LATEST = 3600.0
"""Seconds after which an order that Zof does not take is given up."""


class Order(BaseModel):
    """What is to be done: ``body`` is what to run again for the failure under ``key``, ``run`` what to cancel.

    ``by``, ``request`` (Slack's) and ``at`` (Unix seconds) say who took it, and are empty until somebody did.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    sort: Literal["rerun", "cancel"]
    channel: str
    key: str = ""
    title: str = ""
    run: str = ""
    body: dict[str, Any] = {}
    cases: tuple[tuple[str, str], ...] = ()
    """The id and title of each case that is run again."""
    by: Who = Who()
    request: str = ""
    at: float = 0.0


class Orders:
    """The orders of one organization. Every method raises StoreUnavailable."""

    def __init__(self, outbox: Outbox, zof: ZofClient, clock: Clock) -> None:
        self._outbox, self._zof, self._clock = outbox, zof, clock

    async def offer(self, name: str, order: Order) -> None:
        """Keep an order under its ``name`` (64 characters at most), for whoever takes it."""
        await self._outbox.commit([], changes={order_of(name): {"order": order.model_dump_json(exclude_defaults=True)}})

    async def under_way(self, key: str) -> Rerun | None:
        """The run of the failed cases of the failure under ``key`` that has not ended yet."""
        (kept,) = await self._outbox.fields((failure_of(key), RERUN))
        return under_way(kept, self._now())

    async def take(self, name: str, by: Who, request: str, channel: str) -> None:
        """Promise that it will be done, for somebody in its channel. One that is done stays so.

        Raises BadInput for one that nobody knows, for one of another channel, and where the same cases are being run.
        """
        order = await self._known(name)
        if order.channel != channel:
            raise BadInput("This button belongs to another channel.", "Ask for it again here.")
        at = self._now()
        taken = order.model_copy(update={"by": by, "request": request, "at": at}).model_dump_json(exclude_defaults=True)
        changes: dict[str, dict[str, str | None]] = {order_of(name): {"order": taken}, ORDERS: {name: f"{at:.0f}"}}
        expect: dict[str, dict[str, str | None]] = {order_of(name): {"done": None}}
        notes: list[Notification] = []
        done, kept = await self._outbox.fields((order_of(name), "done"), (failure_of(order.key), RERUN))
        if done is None and order.sort == "rerun":
            other = under_way(kept, at)
            if other and other.order != name:
                raise _running(other)
            changes[failure_of(order.key)] = {RERUN: _kept(Rerun(order=name, by=by, at=at))}
            expect[failure_of(order.key)] = {RERUN: kept}
            notes.append(redrawn(order.key, at))
        try:
            await self._outbox.commit(notes, changes=changes, expect=expect)
        except Changed:
            await self._taken_meanwhile(order, name)

    async def _taken_meanwhile(self, order: Order, name: str) -> None:
        """Somebody was faster. Raises BadInput where it was with another order for the same cases."""
        other = await self.under_way(order.key) if order.sort == "rerun" else None
        if other and other.order != name:
            raise _running(other)
        log.info("order taken or done already", name=name)

    async def carry_out(self, name: str, patience: Patience = Patience.FOLLOW_UP) -> tuple[Order, str]:
        """Do it unless it was done, and write that down with all that it leads to; gives the run that it came to.

        No run where Zof did not name it, or where there was none left to cancel. Raises ZofError, and BadInput for an
        order that nobody knows.
        """
        order = await self._known(name)
        (done,) = await self._outbox.fields((order_of(name), "done"))
        if done is not None:
            return order, done
        try:
            reply = await self._asked(order, name, patience)
        except ZofRejected as error:
            if order.sort != "cancel" or error.status != 409:
                raise
            await self.give_up(name)  # it had ended, which is what was wanted
            return order, ""
        run = order.run or _started(reply)
        note, changes = self._led_to(order, name, run)
        entry = Entry(at=self._now(), act=order.sort, user=order.by.id, name=order.by.name, channel=order.channel,
                      key=order.key, details={"run": run}, request=order.request,
                      zof_requests=(reply.request_id,) if reply.request_id else ())  # fmt: skip
        try:
            await self._outbox.commit(
                note, changes={**changes, order_of(name): {"done": run}, ORDERS: {name: None}},
                expect={order_of(name): {"done": None}}, acts=[entry.model_dump_json()],
            )  # fmt: skip
        except Changed:
            log.info("order done by another", name=name)
        return order, run

    async def give_up(self, name: str, error: ZofError | None = None) -> None:
        """Do it no more by itself; whoever took it was told. The audit knows where Zof refused it with an ``error``."""
        await self._end(name, [], error)

    async def _end(self, name: str, notes: list[Notification], error: ZofError | None = None) -> None:
        """Leave an order undone, and offer what it was for again; ``notes`` say so."""
        changes: dict[str, dict[str, str | None]] = {ORDERS: {name: None}}
        expect: dict[str, dict[str, str | None]] = {}
        order: Order | None = None
        with suppress(BadInput):  # what cannot be read was for nobody
            order = await self._known(name)
        if order and order.sort == "rerun":
            (running,) = await self._outbox.fields((failure_of(order.key), RERUN))
            own = under_way(running, self._now())
            if own and own.order == name:
                changes[failure_of(order.key)], expect[failure_of(order.key)] = {RERUN: None}, {RERUN: running}
                notes = [*notes, redrawn(order.key, self._now())]
        acts = [self._refusal(order, error).model_dump_json()] if order and error else []
        with suppress(Changed):  # another has ended it
            await self._outbox.commit(notes, changes=changes, expect=expect, acts=acts)

    def _refusal(self, order: Order, error: ZofError) -> Entry:
        tried = TO_RERUN if order.sort == "rerun" else TO_CANCEL
        details = {"tried": tried, "reason": f"Zof: {error.kind}", "run": order.run}
        return Entry(at=self._now(), act=REFUSED, user=order.by.id, name=order.by.name, channel=order.channel,
                     key=order.key, details={name: value for name, value in details.items() if value},
                     request=order.request, zof_requests=(error.request_id,) if error.request_id else ())  # fmt: skip

    async def run(self) -> None:
        """Carry out what is left over, until this is cancelled."""
        while True:
            try:
                await self.left_over()
            except StoreUnavailable as error:
                log.warning("orders out of reach", error=error.sentence)
            await self._clock.sleep(EVERY)

    async def left_over(self) -> None:
        """Look once for what was taken so long ago that nobody is at it any more."""
        kept = (await self._outbox.hashes(ORDERS))[ORDERS]
        for name, at in kept.items():
            age = self._now() - float(at)
            if age >= LEFT:
                await self._again(name, age)

    async def _again(self, name: str, age: float) -> None:
        try:
            await self.carry_out(name, Patience.BACKGROUND)
            log.info("order carried out late", name=name, seconds=round(age))
        except ZofUnavailable as error:
            if age >= LATEST:
                await self._refused(name, error)
        except ZofError as error:
            await self._refused(name, error)
        except BadInput:
            await self.give_up(name)

    async def _refused(self, name: str, error: ZofError) -> None:
        """Say where it was ordered, or to whom ordered it, that it was not done."""
        order = await self._known(name)
        log.error("order refused", name=name, sort=order.sort, cause=error.sentence, request_id=error.request_id)
        again = order.sort == "rerun"
        undone = "The failed cases were not run again" if again else f"The run {order.run} was not cancelled"
        traced = f"Request ID: {error.request_id}" if error.request_id else "Zof returned no request id."
        said = f"⚠️ {undone}, as {order.by.name} had asked. {error.sentence} {traced}"
        await self._end(name, [self._line(order, f"order-refused:{name}", said, personal=not again)], error)

    async def _asked(self, order: Order, name: str, patience: Patience) -> Reply:
        if order.sort == "rerun":
            return await self._zof.post("/runs", what="run", deed="start", body=order.body, idempotency_key=name,
                                        patience=patience)  # fmt: skip
        return await self._zof.post("/runs/{id}/cancel", order.run, what="run", deed="cancel", idempotency_key=name,
                                    patience=patience)  # fmt: skip

    def _led_to(self, order: Order, name: str, run: str) -> tuple[list[Notification], dict[str, dict[str, str | None]]]:
        """A line in the failure's thread, and that the new run is watched to its end."""
        if order.sort == "cancel":
            return [], {}
        said = f"🔁 {order.by.name} runs the failed cases again" + (f": {run}" if run else "")
        note = self._line(order, f"rerun:{name}:{order.key}", said)
        if not run:  # its end cannot be heard of
            return [note, redrawn(order.key, self._now())], {failure_of(order.key): {RERUN: None}}
        watch = Watch("run", run, "rerun", self._now())
        started = Rerun(order=name, run=run, by=order.by, at=self._now())
        return [note], {
            rerun_in(run): {"root": order.key, "cases": json.dumps(order.cases)},
            failure_of(order.key): {RERUN: _kept(started)},
            HINTS: {watch.field: watch.dump()},
        }

    def _line(self, order: Order, key: str, said: str, *, personal: bool = False) -> Notification:
        return Notification(
            key=key, kind=Kind.ROOT if personal else Kind.REPLY, channel=order.by.id if personal else order.channel,
            root="" if personal else order.key, body=lines.body(said), happened=self._now(), schema=SCHEMA,
        )  # fmt: skip

    async def _known(self, name: str) -> Order:
        (kept,) = await self._outbox.fields((order_of(name), "order"))
        try:
            return Order.model_validate_json(kept or "")
        except ValidationError as error:
            if kept:
                log.error("unreadable order", name=name, problems=error.error_count())
            raise BadInput("This question is not known any more.", "Ask for it again.") from error

    def _now(self) -> float:
        return self._clock.time()


def _kept(rerun: Rerun) -> str:
    return rerun.model_dump_json(exclude_defaults=True)


def _running(rerun: Rerun) -> BadInput:
    which = f": run `{rerun.run}`" if is_id(rerun.run) else ""
    return BadInput(f"{rerun.by.name or 'Somebody'} is running these cases again already{which}.",
                    "The thread says how that ends.")  # fmt: skip


def _started(reply: Reply) -> str:
    """The run that Zof says it has started; empty where it does not say."""
    document = reply.document if isinstance(reply.document, dict) else {}
    found = document.get("id") or document.get("run_id")
    return found if isinstance(found, str) and is_id(found) else ""
