"""What people order at Zof: stored before Slack hears that it was pressed, so that it is done once and never lost.

An order is offered with a question and taken by the button that answers it. Whoever took it carries it out at once;
what is left over by a process that died is carried out by a worker. Both use the order's name as Zof's idempotency key.
"""

from __future__ import annotations

from typing import Any, Literal

import structlog
from pydantic import BaseModel, ConfigDict, ValidationError

from zofbot.clock import Clock
from zofbot.errors import BadInput, StoreUnavailable, ZofError, ZofRejected, ZofUnavailable
from zofbot.model import is_id
from zofbot.notification import SCHEMA, Kind, Notification
from zofbot.pipeline.memory import ORDERS, order_of, rerun_in
from zofbot.slack import lines
from zofbot.store.audit import Entry
from zofbot.store.hints import HASH as HINTS
from zofbot.store.hints import Watch
from zofbot.store.outbox import Changed, Outbox
from zofbot.triage import Who
from zofbot.zof.client import Patience, Reply, ZofClient

log = structlog.get_logger()

LEFT = 60.0
"""Seconds after which an order counts as left over: longer than whoever took it tries."""

EVERY = 20.0
"""Seconds between two looks for what was left over."""

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

    async def take(self, name: str, by: Who, request: str, channel: str) -> None:
        """Promise that it will be done, for somebody in its channel. One that is done stays so.

        Raises BadInput for one that nobody knows, and for one of another channel.
        """
        order = await self._known(name)
        if order.channel != channel:
            raise BadInput("This button belongs to another channel.", "Ask for it again here.")
        at = self._now()
        taken = order.model_copy(update={"by": by, "request": request, "at": at}).model_dump_json(exclude_defaults=True)
        changes = {order_of(name): {"order": taken}, ORDERS: {name: f"{at:.0f}"}}
        try:
            await self._outbox.commit([], changes=changes, expect={order_of(name): {"done": None}})
        except Changed:
            log.info("order done already", name=name)

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

    async def give_up(self, name: str) -> None:
        """Do it no more by itself; whoever took it was told."""
        await self._outbox.commit([], changes={ORDERS: {name: None}})

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
        note = self._line(order, f"order-refused:{name}", said, personal=not again)
        await self._outbox.commit([note], changes={ORDERS: {name: None}})

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
        if not run:
            return [note], {}
        watch = Watch("run", run, "rerun", self._now())
        return [note], {rerun_in(run): {"root": order.key}, HINTS: {watch.field: watch.dump()}}

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


def _started(reply: Reply) -> str:
    """The run that Zof says it has started; empty where it does not say."""
    document = reply.document if isinstance(reply.document, dict) else {}
    found = document.get("id") or document.get("run_id")
    return found if isinstance(found, str) and is_id(found) else ""
