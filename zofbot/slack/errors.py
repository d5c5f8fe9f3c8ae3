"""Classification of Slack errors: deferred, refused or unknown; and how to handle each refusal."""

from __future__ import annotations

import math
from collections.abc import Mapping
from enum import Enum, auto

from zofbot.domain.errors import SlackDeferred, SlackError, SlackRefused, SlackUnknown

_RATE_LIMIT_REASONS = frozenset({"ratelimited", "rate_limited", "message_limit_exceeded"})
DEFERRED_REASONS = _RATE_LIMIT_REASONS | {"external_channel_migrating"}
"""Reasons that mean "try again later"."""

_LONG_WAITS_SECONDS = {"message_limit_exceeded": 60.0, "external_channel_migrating": 60.0}
"""Default waits for reasons that do not pass within a second: message limit of the plan, channel migration."""
UNCERTAIN_REASONS = frozenset({"internal_error", "fatal_error", "service_unavailable", "request_timeout"})
"""Slack may have stored the message before it answered with one of these."""

UNREADABLE_REASON_PREFIX, HTTP_REASON_PREFIX = "unreadable", "http_"
"""Prefixes of zofbot's own reasons for a reply that is not from Slack: with status 200, and with others."""


class RefusalHandling(Enum):
    """How to handle a refusal."""

    JOIN = auto()
    """Join the channel, then retry."""
    PARK = auto()
    """The channel accepts no messages until people fix it: all its messages wait."""
    PAUSE = auto()
    """No call succeeds until the installation is fixed: all messages wait."""
    PLAIN = auto()
    """Slack rejects the layout of the message or view: retry with a plain version.

    Views are refused with ``invalid_arguments`` (https://docs.slack.dev/reference/methods/views.open#errors).
    """
    REPOST = auto()
    """The message to edit or reply to was deleted: repost it, once."""
    SKIP = auto()
    """The message can no longer be edited: skip this edit."""
    NONE = auto()


REASONS_BY_HANDLING: dict[RefusalHandling, tuple[str, ...]] = {
    RefusalHandling.JOIN: ("not_in_channel", "no_permission"),
    RefusalHandling.PARK: (
        "channel_not_found", "is_archived", "is_inactive", "channel_is_limited_access", "ekm_access_denied",
        "messages_tab_disabled", "restricted_action", "restricted_action_read_only_channel",
        "restricted_action_thread_only_channel", "access_denied",
    ),
    RefusalHandling.PAUSE: (
        "invalid_auth", "not_authed", "token_revoked", "token_expired", "account_inactive", "missing_scope",
        "not_allowed_token_type", "org_login_required", "team_access_not_granted", "team_added_to_org",
        "accesslimited", "two_factor_setup_required", "enterprise_is_restricted",
    ),
    RefusalHandling.PLAIN: (
        "invalid_blocks", "invalid_blocks_format", "msg_blocks_too_long", "msg_too_long", "msg_too_large",
        "invalid_attachments", "too_many_attachments", "attachment_payload_limit_exceeded", "invalid_arguments",
        "view_too_large",
    ),
    RefusalHandling.REPOST: ("message_not_found", "thread_not_found", "cannot_reply_to_message"),
    RefusalHandling.SKIP: ("edit_window_closed", "cant_update_message"),
}  # fmt: skip
"""Slack's reasons by handling."""

_HANDLING_BY_REASON = {reason: remedy for remedy, reasons in REASONS_BY_HANDLING.items() for reason in reasons}
_SINGLE_THREAD_REASONS = frozenset({"restricted_action_thread_locked", "restricted_action_non_threadable_channel"})

UNKNOWN_USER_REASONS = frozenset(("user_not_found", "users_not_found", "user_not_visible"))
"""Reasons that say that there is no such person, or none that the bot may see.

https://docs.slack.dev/reference/methods/users.info
"""

_FINAL_REASONS = frozenset({
    # malformed requests
    "invalid_arguments", "invalid_arg_name", "invalid_array_arg", "invalid_charset", "invalid_form_data",
    "invalid_post_type", "missing_post_type", "invalid_json", "json_not_object", "missing_charset",
    "unknown_method", "method_deprecated", "deprecated_endpoint", "method_not_supported_for_channel_type",
    "invalid_cursor", "invalid_limit", "invalid_ts_latest", "invalid_ts_oldest", "invalid_types",
    # message content
    "no_text", "markdown_text_conflict", "metadata_too_large", "invalid_metadata_format", "invalid_metadata_schema",
    "as_user_not_supported", "unescaped_mention", "duplicate_message_not_found",
    "block_mismatch", "no_dual_broadcast_content_update", "streaming_state_conflict", "invalid_payload",
    "invalid_response_type", "slack_connect_canvas_sharing_blocked", "slack_connect_file_link_sharing_blocked",
    "slack_connect_lists_sharing_blocked", "slack_connect_file_upload_sharing_blocked",
    # people, groups and messages
    "user_not_found", "user_not_visible", "users_not_found", "user_not_in_channel", "cannot_dm_bot", "user_is_bot",
    "user_is_restricted", "user_disabled", "no_such_subteam", "subteam_not_found", "plan_upgrade_required",
    "paid_teams_only", "cant_delete_message", "compliance_exports_prevent_deletion",
    # modals, App Home and links
    "expired_trigger_id", "exchanged_trigger_id", "invalid_trigger_id", "hash_conflict", "not_found", "not_enabled",
    "view_too_large", "push_limit_reached", "duplicate_external_id", "cannot_unfurl_url", "cannot_unfurl_message",
    "cannot_find_message", "cannot_find_channel", "cannot_find_service", "cannot_prompt", "cannot_auth_user",
    "invalid_source", "invalid_unfurl_id", "invalid_unfurls_format", "cannot_parse_attachment", "missing_unfurls",
    "missing_channel", "missing_ts", "missing_unfurl_id",
    "used_url", "expired_url",
    # reactions and membership
    "already_reacted", "no_reaction", "invalid_name", "already_in_channel", "too_many_members", "is_bot",
    # tokens of another team
    "forbidden_team", "invalid_team", "team_not_found",
})  # fmt: skip
"""Reasons that no retry can fix, from the methods' pages (https://docs.slack.dev/reference/methods)."""


def is_known_reason(reason: str) -> bool:
    """Return whether a reason is known to mean a refusal; with any other, the message may have been posted."""
    return reason in _HANDLING_BY_REASON or reason in _FINAL_REASONS or reason.startswith("restricted_action")


def is_rate_limit(error: SlackDeferred) -> bool:
    """Return whether Slack limits the calls of the whole app or workspace, not those to one channel."""
    return error.status == 429 or error.reason in _RATE_LIMIT_REASONS


def is_temporary(error: SlackUnknown) -> bool:
    """Return whether another try may help: there was no reply of Slack's own, or its servers failed."""
    foreign = error.reason.startswith((UNREADABLE_REASON_PREFIX, HTTP_REASON_PREFIX))
    return error.status is None or error.status >= 500 or foreign or error.reason in UNCERTAIN_REASONS


def handling_for(reason: str) -> RefusalHandling:
    """Return the handling for Slack's ``reason`` (https://docs.slack.dev/reference/methods/chat.postMessage#errors)."""
    if reason.startswith("restricted_action") and reason not in _SINGLE_THREAD_REASONS:
        return RefusalHandling.PARK
    return _HANDLING_BY_REASON.get(reason, RefusalHandling.NONE)


_ALLOW_STEP = "Ask a workspace admin to let zofbot post."
_OTHER_CHANNEL_STEP = "Ask a workspace admin to let zofbot post, or use another channel."
_RETRY_STEP = "Try again. If it persists, ask an operator."
ASK_WHY_STEP = "Ask a workspace admin why."
"""What to do about messages that Slack rejects for a reason without an explanation."""

_REINSTALL_STEP = "An operator should reinstall the app and update SLACK_BOT_TOKEN."
_UPDATE_APP_STEP = "An operator should update it from `zofbot manifest` (over HTTP, with `--url https://your.host`)."
EXPLANATIONS = {
    "not_in_channel": ("zofbot is not in this channel.", "Invite it with `/invite @zofbot`, then try again."),
    "channel_not_found": (
        "zofbot can't see this channel.",
        "If it was archived, unarchive it. If it's private, invite zofbot with `/invite @zofbot`. Then try again.",
    ),
    "is_inactive": ("This channel is no longer in use.", "Use another one."),
    "is_archived": ("This channel is archived.", "Unarchive it, or use another one."),
    "restricted_action": ("Only some people may post here.", _ALLOW_STEP),
    "restricted_action_read_only_channel": ("This channel is read-only.", _OTHER_CHANNEL_STEP),
    "restricted_action_thread_only_channel": ("This channel allows replies in threads only.", _OTHER_CHANNEL_STEP),
    "restricted_action_thread_locked": ("This thread is locked.", "Ask a workspace admin to unlock it."),
    "restricted_action_non_threadable_channel": ("This channel allows no threads.", "Use another channel."),
    "channel_is_limited_access": ("Only some people have access to this channel.", _OTHER_CHANNEL_STEP),
    "ekm_access_denied": (
        "The workspace's admins have suspended posting.",
        "Ask a workspace admin to allow it again.",
    ),
    "messages_tab_disabled": ("The Slack app accepts no direct messages.", _UPDATE_APP_STEP),
    "token_revoked": ("Slack no longer accepts the bot's token.", _REINSTALL_STEP),
    "token_expired": ("The bot's token has expired.", _REINSTALL_STEP),
    "not_authed": ("Slack got no token from zofbot.", "An operator should set SLACK_BOT_TOKEN."),
    "not_allowed_token_type": (
        "Slack does not accept this kind of token.",
        "An operator should set SLACK_BOT_TOKEN to the Bot User OAuth Token (xoxb-…).",
    ),
    "team_access_not_granted": ("The app has no access to this workspace.", _REINSTALL_STEP),
    "enterprise_is_restricted": (
        "Slack does not allow this in an Enterprise organization.",
        "An operator should install the app in the workspace and update SLACK_BOT_TOKEN.",
    ),
    "org_login_required": (
        "The workspace is being moved into an Enterprise organization.",
        "Nothing to do: messages are sent once Slack is done.",
    ),
    "invalid_auth": ("Slack does not accept the bot's token.", _REINSTALL_STEP),
    "account_inactive": ("The bot's Slack account is deactivated.", _REINSTALL_STEP),
    "no_permission": (
        "zofbot isn't allowed to post in this channel.",
        "Invite it with `/invite @zofbot`, or ask a workspace admin to let it post.",
    ),
    "access_denied": ("Slack denies zofbot access to this channel.", _ALLOW_STEP),
    "team_added_to_org": (
        "The workspace is being moved into an Enterprise organization.",
        "Nothing to do: messages are sent once Slack is done.",
    ),
    "accesslimited": (
        "Slack does not accept calls from this network.",
        "A workspace admin should allow zofbot's IP addresses.",
    ),
    "two_factor_setup_required": (
        "The workspace requires two-factor authentication.",
        "Whoever installed the app should set it up for their account.",
    ),
    "missing_scope": ("The Slack app lacks a permission.", _UPDATE_APP_STEP),
    "used_url": ("Slack no longer accepts replies to that message.", "Type the command again."),
    "expired_url": ("Slack no longer accepts replies to that message.", "Type the command again."),
}
"""Slack's reasons explained to people: what happened, what to do (https://docs.slack.dev/reference/methods)."""


def classify_error(status: int | None, reason: str, headers: Mapping[str, str], needed: str = "") -> SlackError:
    """Convert a failed call to a SlackError; ``reason`` is Slack's, ``needed`` the scope Slack asks for.

    ``status`` is None if no reply came. Then, and for an unknown reason, the message may have been posted.
    """
    error = _error_for_reason(status, reason, headers, needed)
    error.status = status
    return error


def _error_for_reason(status: int | None, reason: str, headers: Mapping[str, str], needed: str) -> SlackError:
    if status == 429 or reason in DEFERRED_REASONS:
        error = SlackDeferred(reason or "ratelimited", "Slack is rate-limiting zofbot.", "Try again in a moment.")
        error.retry_after = parse_retry_after(headers.get("Retry-After", ""), _LONG_WAITS_SECONDS.get(reason, 1.0))
        return error
    if status is None or status >= 500 or not is_known_reason(reason):
        return SlackUnknown(
            reason or f"{HTTP_REASON_PREFIX}{status}",
            "Slack didn't confirm the message.",
            "Check whether it was posted before trying again.",
        )
    unexplained_step = _ALLOW_STEP if handling_for(reason) is RefusalHandling.PARK else _RETRY_STEP
    sentence, next_step = EXPLANATIONS.get(reason, (f"Slack rejected the request ({reason}).", unexplained_step))
    if needed:
        added = "an operator should add it under OAuth & Permissions of the Slack app, then reinstall the app."
        next_step = f"It needs the scope `{needed}`: {added}"
    return SlackRefused(reason, sentence, next_step)


def parse_retry_after(value: str, unsaid: float = 1.0) -> float:
    """Parse the ``Retry-After`` header, in seconds (0.1 to 3600); ``unsaid`` if it is missing or unusable."""
    try:
        seconds = float(value)
    except ValueError:
        return unsaid
    return min(max(seconds, 0.1), 3600.0) if math.isfinite(seconds) else unsaid
