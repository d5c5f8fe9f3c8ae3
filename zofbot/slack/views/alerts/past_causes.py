"""Texts about the past of an alert's causes: how often each was seen, and how it was last resolved."""

from __future__ import annotations

from zofbot.notifications import text
from zofbot.notifications.alert_payloads import RunAlertPayload
from zofbot.notifications.past_causes import PastCause, Resolution
from zofbot.notifications.payloads import FailurePayload
from zofbot.slack.views.triage.triage_status import RESOLUTION_REASONS, person_name


def past_cause_lines(body: FailurePayload) -> list[str]:
    """Return a line for each cause of an alert that was seen before; empty if none was."""
    causes = body.causes if isinstance(body, RunAlertPayload) else ()
    names = {cause.signature: cause.example.why for cause in causes} if len(causes) > 1 else {}
    lines = (past_cause_text(past, names.get(past.signature, ""), body.resolved) for past in body.past)
    return [f"🗂️ {line}" for line in lines if line]


def past_cause_text(past: PastCause, cause: str = "", shown: Resolution | None = None) -> str:
    """Say how often a cause was seen, and how it was last resolved (mrkdwn).

    ``cause`` names it where an alert has several; ``shown`` is a resolution that the card describes already.
    """
    seen = f"seen {past.count} times since {text.format_local_date(past.first)}" if past.count > 1 else ""
    told = shown is not None and past.resolved is not None and past.resolved.at == shown.at
    resolved = f"last resolved by {resolution_text(past.resolved, in_full=not told)}" if past.resolved else ""
    sentence = "; ".join(filter(None, (seen, resolved)))
    name = text.escape_line(cause.partition("\n")[0], 100)
    return f"*{name}*: {sentence}" if name and sentence else sentence[:1].upper() + sentence[1:]


def resolution_text(resolved: Resolution, *, in_full: bool = True) -> str:
    """Say who resolved a cause, with note, reason, date and a link to the alert (mrkdwn)."""
    note = f": _{text.escape_line(resolved.note, 200)}_" if resolved.note and in_full else ""
    reason = RESOLUTION_REASONS.get(resolved.reason, "") if in_full else ""
    facts = ", ".join(filter(None, (reason, text.format_local_date(resolved.at))))
    link = f" · <{resolved.link}|Open its thread>" if resolved.link else ""
    return f"{person_name(resolved.by)}{note} ({facts}){link}"
