"""Whether a notification is still to be sent, or was overtaken before it was due."""

from __future__ import annotations

from pydantic import ValidationError

from zofbot.notifications.alert_payloads import CaseAlertPayload, RunAlertPayload
from zofbot.notifications.catch_up_payload import CatchUpPayload
from zofbot.notifications.current_state import CurrentState, read_claim
from zofbot.notifications.digest_payload import DigestPayload
from zofbot.notifications.idempotency import split_key
from zofbot.notifications.notification import Claim, NotificationKind
from zofbot.notifications.payloads import Payload
from zofbot.notifications.storm_payloads import StormPayload
from zofbot.notifications.thread_payloads import ReminderPayload
from zofbot.subscriptions.digest_schedule import format_schedule, latest_occurrence

_CARDS_THAT_EXPIRE = {kind.model_fields["card"].default for kind in (ReminderPayload, DigestPayload, CatchUpPayload)}
"""The ``card`` fields of the payloads that ``is_still_wanted`` looks at, besides alerts that were not posted."""

_REMINDER_CARD = ReminderPayload.model_fields["card"].default


def is_claim_wanted(claim: Claim, now: float) -> bool:
    """Whether a claimed notification is to be sent at ``now`` (Unix seconds)."""
    body = claim.notification.body
    if body.get("card") == _REMINDER_CARD and _has_other_channel(claim):
        return False  # the channel's id has changed, so nobody can act on the alert any more
    shown = body if claim.notification.kind is NotificationKind.REPLY else claim.failure or body
    if not shown and claim.notification.kind is not NotificationKind.REPLY:
        return False  # an edit of a failure that has expired
    if shown.get("card") not in _CARDS_THAT_EXPIRE and not shown.get("unposted"):
        return True  # most of them; parsing it takes longer
    try:
        payload, state = read_claim(claim, now)
    except ValidationError:  # of another version: sent as one plain line
        return True
    return is_still_wanted(payload, state)


def _has_other_channel(claim: Claim) -> bool:
    """Whether the key of a reply's alert names another channel than the one it would be sent to."""
    return split_key(claim.notification.root)[2] not in ("", claim.notification.channel)


def is_still_wanted(payload: Payload, state: CurrentState) -> bool:
    """Whether a notification still has something to say, or was overtaken before it was due."""
    match payload:
        case RunAlertPayload(unposted=True) | CaseAlertPayload(unposted=True) | StormPayload(unposted=True):
            return state.kind is not NotificationKind.ROOT
        case ReminderPayload():
            escalated = state.storm and payload.sort == "escalate" and state.own.at <= state.storm.at
            return bool(state.failure) and not escalated and payload.is_still_wanted(state.record)
        case DigestPayload():
            return _is_digest_wanted(payload, state)
        case CatchUpPayload():
            return bool(payload.failures)
        case _:
            return True


def _is_digest_wanted(payload: DigestPayload, state: CurrentState) -> bool:
    """Not if it was switched off or rescheduled, or if a later one is due because delivery was blocked."""
    if state.digest is None:
        return False
    schedule = state.digest.rhythm
    same = (format_schedule(schedule), schedule.zone) == (payload.rhythm, payload.zone)
    return same and latest_occurrence(schedule, state.now).at <= payload.until
