"""Texts about the past of an alert's causes: how often each was seen, and how it was last resolved."""

from __future__ import annotations

from collections.abc import Sequence

from zofbot.notifications import text
from zofbot.notifications.alert_payloads import RunAlertPayload
from zofbot.notifications.past_causes import PastCause, Resolution
from zofbot.notifications.payloads import FailurePayload
from zofbot.slack.views.triage.triage_status import RESOLUTION_REASONS, person_name

MAX_CAUSE_CHARACTERS = 60
"""Characters of a cause's text where a line names it."""


def past_cause_lines(body: FailurePayload) -> list[str]:
    """Return a line about an alert's causes that were seen before; empty if none was."""
    causes = body.causes if isinstance(body, RunAlertPayload) else ()
    seen = [past for past in body.past if past.count > 1 or past.resolved]
    if not seen:
        return []
    if len(causes) < 2:
        sentences = (past_cause_text(past, body.resolved) for past in seen)
        return [f"🗂️ {sentence[0].upper()}{sentence[1:]}" for sentence in sentences]
    if len(seen) > 1:
        return [f"🗂️ Some causes were {past_cause_text(_most_notable(seen), body.resolved, 'up to ')}"]
    whys = {cause.signature: cause.example.why for cause in causes}
    name = text.escape_line(whys.get(seen[0].signature, "").partition("\n")[0], MAX_CAUSE_CHARACTERS) or "One cause"
    return [f"🗂️ {name}: {past_cause_text(seen[0], body.resolved)}"]


def _most_notable(seen: Sequence[PastCause]) -> PastCause:
    """Return the count of the cause that was seen most often, with the latest resolution of any."""
    often = max(seen, key=lambda past: past.count)
    resolutions = [past.resolved for past in seen if past.resolved]
    return often.model_copy(update={"resolved": max(resolutions, key=lambda it: it.at, default=None)})


def past_cause_text(past: PastCause, shown: Resolution | None = None, most: str = "") -> str:
    """Say how often a cause was seen, and how it was last resolved (mrkdwn), to follow its name.

    ``shown`` is a resolution that the card describes already; ``most`` goes before the number.
    """
    seen = f"seen {most}{past.count} times since {text.format_local_date(past.first)}" if past.count > 1 else ""
    told = shown is not None and past.resolved is not None and past.resolved.at == shown.at
    resolved = f"last resolved by {resolution_text(past.resolved, in_full=not told)}" if past.resolved else ""
    return "; ".join(filter(None, (seen, resolved)))


def resolution_text(resolved: Resolution, *, in_full: bool = True) -> str:
    """Say who resolved a cause, with note, reason, date and a link to the alert (mrkdwn)."""
    note = f": _{text.escape_line(resolved.note, 200)}_" if resolved.note and in_full else ""
    reason = RESOLUTION_REASONS.get(resolved.reason, "") if in_full else ""
    facts = ", ".join(filter(None, (reason, text.format_local_date(resolved.at))))
    link = f" · <{resolved.link}|Open its thread>" if resolved.link else ""
    return f"{person_name(resolved.by)}{note} ({facts}){link}"
