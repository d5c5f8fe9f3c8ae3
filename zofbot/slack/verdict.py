"""What a failed call to Slack means for what was sent: deferred, refused, or unknown."""

from __future__ import annotations

import math
from collections.abc import Mapping

from zofbot.errors import SlackDeferred, SlackError, SlackRefused, SlackUnknown

_BUSY = frozenset({"ratelimited", "rate_limited", "message_limit_exceeded"})
# Slack may have stored the message before it answered with one of these.
_PERHAPS = frozenset({"internal_error", "fatal_error", "service_unavailable", "request_timeout"})

_AT_INSTALL = "An operator should install the app again and renew SLACK_BOT_TOKEN."
MENDS = {
    "not_in_channel": ("zofbot is not in this channel.", "Invite it with `/invite @zofbot`, then try again."),
    "channel_not_found": (
        "zofbot cannot see this channel.",
        "If it is private, invite the bot with `/invite @zofbot`, then try again.",
    ),
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
    if status == 429 or reason in _BUSY:
        error = SlackDeferred(reason or "ratelimited", "Slack asks to slow down.", "Try again in a moment.")
        error.retry_after = retry_after(headers.get("Retry-After", ""))
        return error
    if status is None or status >= 500 or reason in _PERHAPS:
        return SlackUnknown(
            reason or f"http_{status}",
            "Slack did not confirm the message.",
            "Look whether it is there before trying again.",
        )
    sentence, mend = MENDS.get(reason, (f"Slack refused the message ({reason or status}).", ""))
    if needed:
        mend = f"It needs the scope `{needed}`: an operator should update the app from `zofbot manifest`."
    return SlackRefused(reason or f"http_{status}", sentence, mend)


def retry_after(value: str) -> float:
    """Seconds to wait as Slack asks, a fraction included; one second when it says nothing usable."""
    try:
        seconds = float(value)
    except ValueError:
        return 1.0
    return min(max(seconds, 0.1), 3600.0) if math.isfinite(seconds) else 1.0
