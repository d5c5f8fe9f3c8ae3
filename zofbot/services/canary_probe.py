"""Canary probes: the messages that the canary sends, from commit to complete removal."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

import structlog

from zofbot.alerting.rules import decide_finding
from zofbot.alerting.state import RuleState
from zofbot.clock import Clock
from zofbot.delivery.attempt import LOOK_BACK_SECONDS
from zofbot.domain.errors import SlackRefused
from zofbot.domain.model import CaseCounts, Outcome, Result, Run
from zofbot.notifications.idempotency import idempotency_key
from zofbot.notifications.notification import Notification, NotificationKind, NotificationState, Receipt
from zofbot.notifications.other_payloads import AlertTestPayload
from zofbot.notifications.payloads import dump_payload
from zofbot.slack.client import SlackClient, message_metadata
from zofbot.slack.errors import RefusalHandling, handling_for
from zofbot.slack.views import test_alerts
from zofbot.slack.views.blocks import Message, context_block
from zofbot.store.leases import Fence
from zofbot.store.outbox import Outbox
from zofbot.store.records import OutboxRecord
from zofbot.subscriptions import Layout, RunFinding, Subscription

log = structlog.get_logger()

CANARY_HASH = "canary"
"""Hash of probes not removed yet: key -> start (Unix seconds). Also the prefix of each probe's key."""

SWEEP_SECONDS = 3600.0
"""How far back the channel is searched for leftover probes, in seconds."""

CHECK_SECONDS = 0.25
"""Seconds between checks whether a probe was sent."""

DELETED_REASON = "message_not_found"
REPLACEMENT_TEXT = "Canary: zofbot's self-test."


class CanaryProbes:
    """The probes of one channel. Every method raises StoreUnavailable and SlackError."""

    def __init__(self, channel: str, outbox: Outbox, notifier: SlackClient, clock: Clock) -> None:
        self._channel, self._outbox, self._notifier, self._clock = channel, outbox, notifier, clock

    async def start_probe(self, fence: Fence) -> tuple[str, float]:
        """Commit a probe and the note to remove it in one step; returns (key, Unix seconds). Also raises LeaseLost."""
        now = self._clock.time()
        notification = build_canary_alert(self._channel, now)
        await self._outbox.commit([notification], changes={CANARY_HASH: {notification.key: repr(now)}}, fence=fence)
        return notification.key, now

    async def wait_for_settlement(self, name: str, seconds: float) -> OutboxRecord | None:
        """Wait at most ``seconds`` until a probe is settled, and return its outbox record."""
        now = self._clock.monotonic
        until = now() + seconds
        while True:
            entry = await self._outbox.get_record(name)
            waits = entry is not None and entry.state in (NotificationState.PENDING, NotificationState.SENDING)
            if not waits or now() >= until:
                return entry
            await self._clock.sleep(CHECK_SECONDS)

    async def find_messages(self, since: float) -> dict[str, Receipt]:
        """Find all probes posted after ``since`` (Slack's clock, Unix seconds), joining the channel if necessary."""
        since = min(since, self._clock.time() - SWEEP_SECONDS) - LOOK_BACK_SECONDS
        try:
            return await self._notifier.search.find_by_prefix(self._channel, f"{CANARY_HASH}:", since)
        except SlackRefused as error:
            if handling_for(error.reason) is not RefusalHandling.JOIN:
                raise
        await self._notifier.join_channel(self._channel)
        return await self._notifier.search.find_by_prefix(self._channel, f"{CANARY_HASH}:", since)

    async def remove_leftovers(self, left: Mapping[str, str]) -> dict[str, float]:
        """Remove what earlier cycles left; returns the probes being sent right now, with their start (Unix seconds)."""
        in_progress = {}
        for name, began in left.items():
            entry = await self._outbox.get_record(name)
            if entry and entry.state is NotificationState.SENDING:
                in_progress[name] = float(began)
            elif entry and entry.receipt:
                await self.remove_probe(name, entry.receipt)
            else:
                await self._forget_probe(name)
        return in_progress

    async def remove_probe(self, name: str, receipt: Receipt) -> None:
        """Delete a probe's message, or overwrite it where Slack forbids that, then erase its records."""
        try:
            await self._notifier.delete_message(receipt)
        except SlackRefused as error:
            if error.reason != DELETED_REASON:
                await self._overwrite_message(name, receipt, error.reason)
        await self._forget_probe(name)

    async def _overwrite_message(self, name: str, receipt: Receipt, reason: str) -> None:
        """Replace the message with a notice, under a key that no later search matches."""
        try:
            await self._notifier.update_message(
                receipt, Message(REPLACEMENT_TEXT, [context_block(REPLACEMENT_TEXT)]), message_metadata(f"kept:{name}")
            )
        except SlackRefused as error:
            log.warning("canary not removed", channel=receipt.channel, ts=receipt.ts, reason=error.reason)
        else:
            log.info("canary not deleted, but edited", channel=receipt.channel, ts=receipt.ts, reason=reason)

    async def _forget_probe(self, name: str) -> None:
        if await self._outbox.erase_notification(name):
            await self._outbox.commit([], changes={CANARY_HASH: {name: None}})


def build_canary_alert(channel: str, now: float) -> Notification:
    """Build the alert for an invented failure by running the rules for a subscription of the canary's channel only.

    The state that the rules return is discarded, so no list, count or recovery includes it.
    """
    identifier = f"{now * 1000:.0f}"
    run = Run(
        id=identifier,
        outcome=Outcome.FAILED,
        title="Sample run (canary)",
        project_name="zofbot",
        environment=CANARY_HASH,
        ended=datetime.fromtimestamp(now, UTC),
        counts=CaseCounts(total=1, failed=1),
    )
    case = Result(
        id=identifier,
        run_id=identifier,
        outcome=Outcome.FAILED,
        title="Sample case (canary)",
        failure=test_alerts.TEST_NOTICE,
    )
    subscription = Subscription(id=CANARY_HASH, channel=channel, layout=Layout.FLAT, created=now)
    decision = decide_finding(
        RunFinding.from_results(run, [case], otherwise=now), [subscription], RuleState(), now, lookback=SWEEP_SECONDS
    )
    root = next(notification for notification in decision.notifications if notification.kind is NotificationKind.ROOT)
    name = idempotency_key(CANARY_HASH, identifier, Outcome.FAILED.value, channel)
    test = AlertTestPayload(alert=root.body, by="zofbot's canary")
    return root.model_copy(update={"key": name, "body": dump_payload(test)})
