"""Preview texts: what a subscription would have posted."""

from __future__ import annotations

from collections.abc import Sequence

from zofbot.domain.commands import SLASH_COMMAND
from zofbot.domain.errors import ZofError
from zofbot.notifications import text
from zofbot.notifications.preview_result import PreviewResult
from zofbot.subscriptions.excluding_filter import ExcludingFilter
from zofbot.subscriptions.tokenizer import quote_list

PREVIEW_DAYS = 7
"""Days that a preview covers."""


MAX_NAMES_SHOWN = 5
"""Maximum names in one sentence."""

PROJECTS_FORBIDDEN_NOTE = "Only recent runs were compared: zofbot's Zof API key lacks `projects:read`."
"""Added to a sentence about projects."""

UNKNOWN_VALUE_LEADS = {
    "project": "No recent run of project",
    "env": "No recent run in environment",
    "case": "No recent failure named",
    "branch": "No recent failure on branch",
    "tag": "No recent failure with tag",
    "owner": "No recent failure owned by",
}
"""For each filter, the beginning of a sentence about a value that nothing matches."""


SHARED_CHANNEL_NOTE = (
    "🌐 This channel is shared with another organization: alerts show names and outcomes, no failure details, unless "
    "an operator sets `ZOFBOT_SHARED_DETAILS`."
)
"""Shown to people who subscribe a shared channel."""

UNKNOWN_READERS_NOTE = (
    "🌐 Slack can't say right now who can read this channel. Until then, alerts here show no failure details."
)
"""Shown to people who subscribe a channel whose readers are unknown."""


def pending_text() -> str:
    """Return the text shown while the preview is being computed."""
    return f"⏳ Checking the last {PREVIEW_DAYS} days…"


def preview_text(seen: PreviewResult, *, saved: bool = False) -> str:
    """Describe a preview result (mrkdwn), and how to change a ``saved`` subscription that would have posted nothing."""
    least = "at least " if seen.partial else ""
    posted = f"{least}*{_count_noun(seen.messages, 'message')}*" if seen.messages else "nothing"
    if seen.partial and not seen.messages:
        posted = "nothing so far"
    replies = _count_noun(seen.replies, "reply", "replies")
    more = [
        f", {seen.worst} on the worst day ({seen.day:%A, %B} {seen.day.day})" if seen.day and seen.messages > 1 else "",
        f", and {replies} in threads" if seen.replies else "",
        ".",
        " Incomplete: Zof has more runs than were read." if seen.partial else "",
        " Events of gates, agents, integrations and plans aren't counted." if seen.unlisted else "",
        f"\n{seen.silence}" if seen.silence else "",
        f" `{SLASH_COMMAND} subscriptions` edits or removes it." if seen.silence and saved else "",
    ]
    return f"📈 Over the last {PREVIEW_DAYS} days this would have posted {posted}{''.join(more)}"


def exclusion_text(silence: ExcludingFilter) -> str:
    """Explain which filter excluded everything, and suggest other values (mrkdwn); empty if nothing failed at all."""
    failures = "the only failed run" if silence.failures == 1 else f"all {silence.failures} failed runs"
    all_of_it = f"`{silence.name}:` excluded {failures}." if silence.failures else ""
    if not silence.unknown:
        known = f" Known: {_format_patterns(silence.known)}." if silence.known and all_of_it else ""
        return f"{all_of_it}{known}"
    lead = "No project named" if silence.listed else UNKNOWN_VALUE_LEADS[silence.name]
    step = f"; did you mean {_format_patterns(silence.near, ' or ')}?" if silence.near else "."
    known = f" Known: {_format_patterns(silence.known)}." if silence.known and not silence.near else ""
    return f"{lead} {_format_patterns(silence.unknown, ' or ')}{step}{known} {all_of_it}".strip()


def _format_patterns(patterns: Sequence[str], joint: str = ", ") -> str:
    """Format the first patterns of a list as typed."""
    shown = joint.join(text.inline_code(quote_list([pattern])) for pattern in patterns[:MAX_NAMES_SHOWN])
    return f"{shown} and {len(patterns) - MAX_NAMES_SHOWN} more" if len(patterns) > MAX_NAMES_SHOWN else shown


def preview_error_text(error: ZofError, reference: str = "") -> str:
    """Explain why there is no preview, with Zof's request id and zofbot's ``reference``, if any (mrkdwn)."""
    asked = text.inline_code(error.request_id) if error.request_id else ""
    request = f"Request ID: {asked}" if asked else "Zof returned no request id."
    request += f" Reference: {text.inline_code(reference)}" if reference else ""
    return f"No preview: {text.escape_mrkdwn(error.sentence, 600)} {request}"


def no_preview_text(reason: str) -> str:
    """Give another reason for the missing preview (mrkdwn)."""
    return f"No preview: {text.escape_mrkdwn(reason, 900)}"


def unexpected_error_text(reference: str) -> str:
    """Report an internal error instead of a preview; the log has ``reference`` (mrkdwn)."""
    return f"No preview: something went wrong in zofbot. Reference: {text.inline_code(reference)}"


def _count_noun(number: int, one: str, many: str = "") -> str:
    return f"{number} {one}" if number == 1 else f"{number} {many or one + 's'}"
