"""Probes: the messages that the canary sends, from the step that promises one to the one that leaves nothing of it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

import structlog

from zofbot.clock import Clock
from zofbot.errors import SlackRefused
from zofbot.model import Counts, Outcome, Result, Run
from zofbot.notification import Kind, Notification, Receipt, State
from zofbot.pipeline.delivery import LOOK_BACK
from zofbot.pipeline.keys import key
from zofbot.pipeline.memory import Memory
from zofbot.pipeline.rules import decide
from zofbot.routing import Finding, Layout, Subscription
from zofbot.slack import trials
from zofbot.slack.message import Message, context
from zofbot.slack.notifier import SlackNotifier, metadata
from zofbot.slack.verdict import Remedy, remedy
from zofbot.store.entry import Entry
from zofbot.store.leases import Fence
from zofbot.store.outbox import Outbox

log = structlog.get_logger()

HASH = "canary"
"""The hash of those not removed yet: their keys, and when each began (Unix seconds). Each key begins with its name."""

SWEPT = 3600.0
"""Seconds back for which the channel is looked through for what was left there."""

GLANCE = 0.25
"""Seconds between two looks at whether one was sent."""

GONE = "message_not_found"
QUIET = "A canary was here: a test of zofbot by itself."


class Probes:
    """Those of one channel. Every method raises StoreUnavailable and SlackError."""

    def __init__(self, channel: str, outbox: Outbox, notifier: SlackNotifier, clock: Clock) -> None:
        self._channel, self._outbox, self._notifier, self._clock = channel, outbox, notifier, clock

    async def begin(self, fence: Fence) -> tuple[str, float]:
        """Promise one, and that it is to be removed, in one step; its key and when that was. Raises Fenced, too."""
        now = self._clock.time()
        one = drawn_up(self._channel, now)
        await self._outbox.commit([one], changes={HASH: {one.key: repr(now)}}, fence=fence)
        return one.key, now

    async def arrived(self, name: str, seconds: float) -> Entry | None:
        """Wait until one is settled, but only so long; how it stands then."""
        now = self._clock.monotonic
        until = now() + seconds
        while True:
            entry = await self._outbox.show(name)
            waits = entry is not None and entry.state in (State.PENDING, State.SENDING)
            if not waits or now() >= until:
                return entry
            await self._clock.sleep(GLANCE)

    async def standing(self, since: float) -> dict[str, Receipt]:
        """All that stand in the channel since then (by Slack's clock); looking may take being a member."""
        since = min(since, self._clock.time() - SWEPT) - LOOK_BACK
        try:
            return await self._notifier.standing(self._channel, f"{HASH}:", since)
        except SlackRefused as no:
            if remedy(no.reason) is not Remedy.JOIN:
                raise
        await self._notifier.join(self._channel)
        return await self._notifier.standing(self._channel, f"{HASH}:", since)

    async def tidy(self, left: Mapping[str, str]) -> dict[str, float]:
        """Remove what earlier turns left; what is being sent right now comes back, with when it began."""
        under_way = {}
        for name, began in left.items():
            entry = await self._outbox.show(name)
            if entry and entry.state is State.SENDING:
                under_way[name] = float(began)
            elif entry and entry.receipt:
                await self.remove(name, entry.receipt)
            else:
                await self._forget(name)
        return under_way

    async def remove(self, name: str, receipt: Receipt) -> None:
        """Delete its message, or have it say less where Slack does not let us; then nothing is known of it."""
        try:
            await self._notifier.delete(receipt)
        except SlackRefused as no:
            if no.reason != GONE:
                await self._quieten(name, receipt, no.reason)
        await self._forget(name)

    async def _quieten(self, name: str, receipt: Receipt, reason: str) -> None:
        """Say in its place that it was one, under a key by which nobody looks for it any more."""
        try:
            await self._notifier.update(receipt, Message(QUIET, [context(QUIET)]), metadata(f"kept:{name}"))
        except SlackRefused as no:
            log.warning("canary left standing", channel=receipt.channel, ts=receipt.ts, reason=no.reason)
        else:
            log.info("canary not deleted, but edited", channel=receipt.channel, ts=receipt.ts, reason=reason)

    async def _forget(self, name: str) -> None:
        if await self._outbox.forget(name):
            await self._outbox.commit([], changes={HASH: {name: None}})


def drawn_up(channel: str, now: float) -> Notification:
    """A failure that never was, as the rules tell it to a subscription for the canary's channel alone.

    What the rules would remember of it is left out, so that no list, count or recovery ever has it.
    """
    identifier = f"{now * 1000:.0f}"
    run = Run(
        id=identifier, outcome=Outcome.FAILED, title="A run that never was", project_name="zofbot", environment=HASH,
        ended=datetime.fromtimestamp(now, UTC), counts=Counts(total=1, failed=1),
    )  # fmt: skip
    case = Result(
        id=identifier, run_id=identifier, outcome=Outcome.FAILED, title="A case that never was", failure=trials.MARK
    )
    wish = Subscription(id=HASH, channel=channel, layout=Layout.FLAT, created=now)
    decision = decide(Finding.of(run, [case], otherwise=now), [wish], Memory(), now, lookback=SWEPT)
    root = next(one for one in decision.notifications if one.kind is Kind.ROOT)
    name = key(HASH, identifier, Outcome.FAILED.value, channel)
    return root.model_copy(update={"key": name, "body": trials.marked(root.body, "zofbot's canary")})
