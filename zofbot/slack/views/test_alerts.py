"""Test alerts: rendered like a subscription's real alerts, and clearly marked as tests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from zofbot.domain.model import Outcome
from zofbot.notifications import payload_parts, payloads, text
from zofbot.notifications.alert_payloads import CaseAlertPayload, RunAlertPayload
from zofbot.notifications.other_payloads import AlertTestPayload, PlatformEventPayload
from zofbot.notifications.payload_parts import CaseSummary, CauseSummary, RunSummary
from zofbot.notifications.payloads import Payload
from zofbot.notifications.storm_payloads import StormPayload
from zofbot.slack.views.blocks import Block, Message, context_block, section_block
from zofbot.slack.views.components import with_footer
from zofbot.slack.views.platform_events import PLATFORM_EVENT_LABELS
from zofbot.subscriptions import EventType, Grouping, Subscription

TEST_NOTICE = "Test alert. Nothing failed."
_OUTCOME_BY_EVENT = {
    EventType.FAILED: Outcome.FAILED,
    EventType.ERROR: Outcome.ERROR,
    EventType.PASSED_WITH_FAILURES: Outcome.PASSED,
}


def build_test_payload(subscription: Subscription, by: str, at: float) -> dict[str, Any]:
    """Build a test alert's payload for a subscription; requested ``by`` somebody ``at`` a time (Unix seconds)."""
    outcome = _example_outcome(subscription.on)
    place = RunSummary(
        id="test",
        title="Sample run (test alert)",
        outcome=outcome,
        project=_example_name(subscription.project, "checkout"),
        environment=_example_name(subscription.env, "production"),
        total=3,
        passed=2,
        failed=int(outcome is not Outcome.ERROR),
        error=int(outcome is Outcome.ERROR),
        ended=at,
    )
    failure = Outcome.ERROR if outcome is Outcome.ERROR else Outcome.FAILED
    case = CaseSummary(
        id="test", title=_example_name(subscription.case, "Sample case (test alert)"), outcome=failure, why=TEST_NOTICE
    )
    alert: Payload = RunAlertPayload(run=place, bad=1, top=(case,))
    if not {*_OUTCOME_BY_EVENT} & set(subscription.on) and set(PLATFORM_EVENT_LABELS) & set(subscription.on):
        event = next(item for item in subscription.on if item in PLATFORM_EVENT_LABELS)
        alert = PlatformEventPayload(
            event=event, about="test", said=TEST_NOTICE, project=place.project, environment=place.environment
        )
    elif subscription.group is Grouping.CASE:
        alert = CaseAlertPayload(run=place, case=case, first=at, last=at)
    elif subscription.group is Grouping.CAUSE:
        alert = StormPayload(
            by_cause=True, causes=(CauseSummary(signature="test", count=3, example=case),), failures=3, members=1,
            open=1, places=((place.project, place.environment, 3),), alerts=1, since=at, last=at, failed=at,
        )  # fmt: skip
    test = AlertTestPayload(alert=payloads.dump_payload(alert), by=by, mentions=len(subscription.mention))
    return payloads.dump_payload(test)


def _example_outcome(on: Sequence[EventType]) -> Outcome:
    """Return the test run's outcome: the first that the subscription includes."""
    return next((outcome for event, outcome in _OUTCOME_BY_EVENT.items() if event in on), Outcome.FAILED)


def mark_as_test(like: Message, body: AlertTestPayload) -> Message:
    """Mark an alert's message as a test, and remove its buttons."""
    asked = text.escape_line(body.by, 80) or "Someone"
    mark = section_block(f"🧪 *{TEST_NOTICE}* Requested by {asked}.{_mentions_text(body.mentions)}")
    sentence = f"Test: {TEST_NOTICE} Requested by {asked}."
    return with_footer(
        replace(like, text=sentence, blocks=[mark, *_without_controls(like.blocks)], body=_without_controls(like.body)),
        context_block(f"🧪 {TEST_NOTICE}"),
    )


def _mentions_text(count: int) -> str:
    """Say how many people and groups a real alert would mention."""
    return (
        f" A real alert would mention {count} {'person or group' if count == 1 else 'people or groups'}."
        if count
        else ""
    )


def _without_controls(blocks: Sequence[Block]) -> list[Block]:
    """Return the blocks without buttons."""
    return [
        {name: part for name, part in block.items() if name != "accessory"}
        for block in blocks
        if block["type"] != "actions"
    ]


def _example_name(patterns: Sequence[str], otherwise: str) -> str:
    """Return the first pattern that is a plain name, or ``otherwise``."""
    plain = (
        pattern for pattern in patterns if not pattern.startswith("-") and not any(sign in pattern for sign in "*?[")
    )
    return payload_parts.clean_text(next(plain, otherwise), 100)
