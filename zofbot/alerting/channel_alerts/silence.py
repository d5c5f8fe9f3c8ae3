"""Which subscriptions of an alert are silent: they mention and escalate to nobody until it fails otherwise.

Those are the ones of which all failures so far are flaky or in quarantine. One that joins an open alert is silent
until ``end_silence``, which leaves whoever is working on the alert in peace.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TypeVar

from zofbot.alerting.audience import ChannelAudience
from zofbot.alerting.mention_limit import take_mentions
from zofbot.alerting.state import DecisionBuilder
from zofbot.alerting.storms.storm_record import Storm
from zofbot.notifications.alert_payloads import CaseAlertPayload, RunAlertPayload

Shown = TypeVar("Shown", RunAlertPayload, CaseAlertPayload, Storm)


def join_subscriptions(
    audience: ChannelAudience, takers: Collection[str], silent: Collection[str]
) -> dict[str, tuple[str, ...]]:
    """Return the ids of an alert's subscriptions, and of the silent ones, with those that join it by a failure."""
    joined = tuple(each for each in audience.subscription_ids if each not in takers)
    return {"takers": (*takers, *joined), "silent": (*silent, *joined)}


def end_silence(
    draft: DecisionBuilder, audience: ChannelAudience, shown: Shown, at: float
) -> tuple[Shown, tuple[str, ...]]:
    """Let the subscriptions that were silent about an alert take it up if they are not about these failures.

    Return the alert with their mentions and escalation, and the ids to mention ``at`` (Unix seconds).
    """
    loud = audience.for_subscriptions(set(shown.silent) - set(audience.silent_ids))
    if not loud.subscriptions:
        return shown, ()
    known: tuple[str, ...] = shown.mention
    wanted = tuple(each for each in loud.mention_ids if each not in known)
    called: tuple[str, ...] = take_mentions(draft, audience.channel, wanted, at)
    ended = {each.id for each in loud.subscriptions}
    steps = shown.policy.escalate or loud.escalation_policy.escalate
    changed = {
        "mention": (*known, *called),
        "unmentioned": shown.unmentioned + len(wanted) - len(called),
        "policy": shown.policy.model_copy(update={"escalate": steps}),
        "silent": tuple(each for each in shown.silent if each not in ended),
    }
    return shown.model_copy(update=changed), called
