"""Texts about the history of a case: whether its failure is new, still failing, flaky or quarantined."""

from __future__ import annotations

from collections.abc import Mapping

from zofbot.notifications import text
from zofbot.notifications.payload_parts import CaseSummary
from zofbot.subscriptions.case_history import CasePast, CaseStanding

STANDING_LABELS = {CaseStanding.NEW: "new", CaseStanding.KNOWN: "still failing", CaseStanding.FLAKY: "flaky"}
_EMOJI = {CaseStanding.NEW: "🆕", CaseStanding.KNOWN: "⏳", CaseStanding.FLAKY: "🎲"}


def case_past_text(case: CaseSummary) -> str:
    """Describe what a failure is by its case's earlier outcomes (mrkdwn); empty if nothing is known of them."""
    parts = [_describe_past(case.past) if case.past else "", "🚧 Quarantined in Zof" if case.quarantined else ""]
    return " · ".join(filter(None, parts))


def _describe_past(past: CasePast) -> str:
    if past.standing is CaseStanding.KNOWN:
        return f"⏳ *Still failing* since {text.format_local_date(past.since)}, {past.row} runs"
    if past.standing is CaseStanding.FLAKY:
        retried = f", passed on retry {_format_times(past.retried)}" if past.retried else ""
        return f"🎲 *Flaky*: failed {past.failed} of the last {past.seen}{retried}"
    if not past.passed_at:
        return ""
    ago = text.describe_duration(max(past.since - past.passed_at, 1.0))
    run = f" in {text.inline_code(past.passed_run)}" if past.passed_run else ""
    return f"🆕 *New*: passed{run}, {ago} before"


def standings_text(standings: Mapping[str, int], quarantined: int = 0) -> str:
    """Count failures by what they are; empty for a single failure, and if all that is known is that they are new."""
    words = [word for word in CaseStanding if standings.get(word)]
    if sum(standings.values()) < 2 or (words == [CaseStanding.NEW] and not quarantined):
        return ""
    counts = [f"{_EMOJI[word]} {standings[word]} {STANDING_LABELS[word]}" for word in words]
    return " · ".join([*counts, *([f"🚧 {quarantined} quarantined in Zof"] if quarantined else [])])


def _format_times(number: int) -> str:
    return {1: "once", 2: "twice"}.get(number, f"{number} times")
