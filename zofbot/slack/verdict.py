"""What a failed call to Slack means for what was sent: deferred, refused, or unknown; and what mends a refusal."""

from __future__ import annotations

import math
from collections.abc import Mapping
from enum import Enum, auto

from zofbot.errors import SlackDeferred, SlackError, SlackRefused, SlackUnknown

BUSY = frozenset({"ratelimited", "rate_limited", "message_limit_exceeded"})
"""Reasons by which Slack puts off."""

_CEILING = 60.0
"""Seconds to wait when the workspace's plan lets nobody post more; that does not pass in one."""
PERHAPS = frozenset({"internal_error", "fatal_error", "service_unavailable", "request_timeout"})
"""Slack may have stored the message before it answered with one of these."""


class Remedy(Enum):
    """What helps against a refusal, if anything does."""

    JOIN = auto()
    """Join the channel, then once more."""
    PARK = auto()
    """Nothing gets into this channel until people mend it: all of its messages wait."""
    PAUSE = auto()
    """Nothing at all gets through until the installation is mended: everything waits."""
    PLAIN = auto()
    """How the message or the view is drawn is at fault: a plain version may get through.

    Views are refused with ``invalid_arguments`` (https://docs.slack.dev/reference/methods/views.open#errors).
    """
    REPOST = auto()
    """The message it belongs to is no longer there: that one is posted afresh."""
    NONE = auto()


REMEDIES: dict[Remedy, tuple[str, ...]] = {
    Remedy.JOIN: ("not_in_channel",),
    Remedy.PARK: (
        "channel_not_found", "is_archived", "is_inactive", "channel_is_limited_access", "ekm_access_denied",
        "messages_tab_disabled", "restricted_action", "restricted_action_read_only_channel",
        "restricted_action_thread_only_channel",
    ),
    Remedy.PAUSE: (
        "invalid_auth", "not_authed", "token_revoked", "token_expired", "account_inactive", "missing_scope",
        "no_permission", "not_allowed_token_type", "org_login_required", "team_access_not_granted",
    ),
    Remedy.PLAIN: (
        "invalid_blocks", "invalid_blocks_format", "msg_blocks_too_long", "msg_too_long", "msg_too_large",
        "invalid_attachments", "too_many_attachments", "invalid_arguments", "view_too_large",
    ),
    Remedy.REPOST: ("message_not_found", "thread_not_found", "cannot_reply_to_message"),
}  # fmt: skip
"""Slack's reasons by what helps."""

_BY_REASON = {reason: remedy for remedy, reasons in REMEDIES.items() for reason in reasons}
_ONE_THREAD = frozenset({"restricted_action_thread_locked", "restricted_action_non_threadable_channel"})


def remedy(reason: str) -> Remedy:
    """Say what helps against Slack's ``reason`` (https://docs.slack.dev/reference/methods/chat.postMessage#errors)."""
    if reason.startswith("restricted_action") and reason not in _ONE_THREAD:
        return Remedy.PARK
    return _BY_REASON.get(reason, Remedy.NONE)


_AT_INSTALL = "An operator should install the app again and renew SLACK_BOT_TOKEN."
MENDS = {
    "not_in_channel": ("zofbot is not in this channel.", "Invite it with `/invite @zofbot`, then try again."),
    "channel_not_found": (
        "zofbot cannot see this channel.",
        "If it is private, invite the bot with `/invite @zofbot`, then try again.",
    ),
    "is_inactive": ("This channel is not in use any more.", "Use another one."),
    "is_archived": ("This channel is archived.", "Unarchive it, or use another one."),
    "restricted_action": ("Only some people may post here.", "Ask an admin of the workspace to let zofbot post."),
    "token_revoked": ("Slack no longer accepts the bot's token.", _AT_INSTALL),
    "invalid_auth": ("Slack does not accept the bot's token.", _AT_INSTALL),
    "account_inactive": ("The bot's account in Slack is switched off.", _AT_INSTALL),
    "missing_scope": ("The app lacks a permission in Slack.", "An operator should update it from `zofbot manifest`."),
    "used_url": ("Slack takes no more answers to that message.", "Type the command again."),
    "expired_url": ("Slack takes no more answers to that message.", "Type the command again."),
}
"""What each of Slack's reasons means to a person, and what to do (https://docs.slack.dev/reference/methods)."""


def verdict(status: int | None, reason: str, headers: Mapping[str, str], needed: str = "") -> SlackError:
    """Sort a reply that was not ok; ``needed`` names the scope Slack asks for.

    ``status`` is ``None`` when no reply came, and then what was sent may be there or not.
    """
    error = _sorted(status, reason, headers, needed)
    error.status = status
    return error


def _sorted(status: int | None, reason: str, headers: Mapping[str, str], needed: str) -> SlackError:
    if status == 429 or reason in BUSY:
        error = SlackDeferred(reason or "ratelimited", "Slack asks to slow down.", "Try again in a moment.")
        unsaid = _CEILING if reason == "message_limit_exceeded" else 1.0
        error.retry_after = retry_after(headers.get("Retry-After", ""), unsaid)
        return error
    if status is None or status >= 500 or reason in PERHAPS:
        return SlackUnknown(
            reason or f"http_{status}",
            "Slack did not confirm the message.",
            "Look whether it is there before trying again.",
        )
    sentence, mend = MENDS.get(reason, (f"Slack refused the message ({reason or status}).", ""))
    if needed:
        mend = f"It needs the scope `{needed}`: an operator should update the app from `zofbot manifest`."
    return SlackRefused(reason or f"http_{status}", sentence, mend)


def retry_after(value: str, unsaid: float = 1.0) -> float:
    """Seconds to wait as Slack asks, a fraction included; ``unsaid`` when it says nothing usable."""
    try:
        seconds = float(value)
    except ValueError:
        return unsaid
    return min(max(seconds, 0.1), 3600.0) if math.isfinite(seconds) else unsaid
