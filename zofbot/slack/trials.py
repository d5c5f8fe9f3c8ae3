"""Test alerts: drawn like a real one of a subscription, and marked so that nobody takes them for one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from zofbot.model import Outcome
from zofbot.notification import Claimed
from zofbot.routing import Group, On, Subscription
from zofbot.slack import alerts, bodies, text
from zofbot.slack.alerts import NOTICES
from zofbot.slack.bodies import Body, Case, CaseBody, NoticeBody, Place, RunBody
from zofbot.slack.message import Block, Message, context, section
from zofbot.slack.pieces import ending

CARD = "trial"
MARK = "This is a test; nothing failed."
_OUTCOMES = {On.FAILED: Outcome.FAILED, On.ERROR: Outcome.ERROR, On.PASSED_WITH_FAILURES: Outcome.PASSED}


def body(subscription: Subscription, by: str, at: float) -> dict[str, Any]:
    """A test alert of a subscription as a notification's body; ``by`` asked for it, at Unix seconds ``at``."""
    outcome = _outcome(subscription.on)
    place = Place(
        id="test",
        title="A run that never was",
        outcome=outcome,
        project=_named(subscription.project, "checkout"),
        environment=_named(subscription.env, "production"),
        total=3,
        passed=2,
        failed=int(outcome is not Outcome.ERROR),
        error=int(outcome is Outcome.ERROR),
        ended=at,
    )
    failure = Outcome.ERROR if outcome is Outcome.ERROR else Outcome.FAILED
    case = Case(id="test", title=_named(subscription.case, "A case that never was"), outcome=failure, why=MARK)
    alert: Body = RunBody(run=place, bad=1, top=(case,))
    if not {*_OUTCOMES} & set(subscription.on) and set(NOTICES) & set(subscription.on):
        event = next(one for one in subscription.on if one in NOTICES)
        alert = NoticeBody(event=event, about="test", said=MARK, project=place.project, environment=place.environment)
    elif subscription.group is Group.CASE:
        alert = CaseBody(run=place, case=case, first=at, last=at)
    return marked(bodies.stored(alert), by) | ({"mentions": len(subscription.mention)} if subscription.mention else {})


def _outcome(on: Sequence[On]) -> Outcome:
    """How the run of a test alert ended: as the subscription asks for first."""
    return next((outcome for event, outcome in _OUTCOMES.items() if event in on), Outcome.FAILED)


def marked(alert: dict[str, Any], by: str) -> dict[str, Any]:
    """The stored body of an alert as that of a test; ``by`` asked for it."""
    return {"card": CARD, "alert": alert, "by": by}


def drawn(claimed: Claimed, now: float) -> Message | None:
    """The message of such a notification, which has nothing to press; nothing for any other."""
    stored = claimed.notification.body
    if stored.get("card") != CARD:
        return None
    real = claimed.notification.model_copy(update={"body": stored.get("alert") or {}})
    like = alerts.render(replace(claimed, notification=real), now)
    asked = text.line(str(stored.get("by") or ""), 80) or "Somebody"
    mark = section(f"🧪 *{MARK}* {asked} asked for it.{_mentions(int(stored.get('mentions') or 0))}")
    said = f"Test: {MARK} {asked} asked for it."
    return ending(
        replace(like, text=said, blocks=[mark, *_bare(like.blocks)], body=_bare(like.body)), context(f"🧪 {MARK}")
    )


def _mentions(count: int) -> str:
    """That nobody is disturbed by a test, though somebody would be by the real thing."""
    return (
        f" A real one would mention {count} {'person or group' if count == 1 else 'people or groups'}." if count else ""
    )


def _bare(blocks: Sequence[Block]) -> list[Block]:
    """The blocks without what can be pressed."""
    return [
        {name: part for name, part in block.items() if name != "accessory"}
        for block in blocks
        if block["type"] != "actions"
    ]


def _named(patterns: Sequence[str], otherwise: str) -> str:
    """The first name that a filter means, if it means a single one."""
    plain = (one for one in patterns if not one.startswith("-") and not any(sign in one for sign in "*?["))
    return bodies.said(next(plain, otherwise), 100)
