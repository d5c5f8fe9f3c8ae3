"""How Slack's tokens, scopes and channels stand, judged by what Slack said of them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from zofbot.config.manifest import SCOPES, scopes_for
from zofbot.config.setting_values import describe_misplaced
from zofbot.config.settings import SETTING_FIXES, Settings
from zofbot.diagnostics.finding import Finding, error_finding, ok_finding, warning_finding
from zofbot.domain.errors import SlackDeferred, SlackError, SlackRefused
from zofbot.slack import errors
from zofbot.slack.client import BotIdentity

BOT_TOKEN, APP_TOKEN, SIGNING_SECRET = "SLACK_BOT_TOKEN", "SLACK_APP_TOKEN", "SLACK_SIGNING_SECRET"
_REINSTALL_FIX = "Update the app from `zofbot manifest`, then install it again."
_APP_TOKEN_FIXES = {
    "missing_scope": "It needs connections:write: make another on your app's Basic Information page.",
    "not_allowed_token_type": "It must be an app-level token (xapp-…), not the bot's.",
}


def missing_setting(name: str) -> Finding:
    """A setting that has no default and is not there."""
    return error_finding(name, "It is not set.", f"{SETTING_FIXES[name][:1].upper()}{SETTING_FIXES[name][1:]}.")


def check_misplaced(name: str, value: str) -> Finding | None:
    """A token that stands in the wrong setting; Slack need not be asked."""
    what = describe_misplaced(name, value)
    return (
        error_finding(
            name, f"{what[:1].upper()}{what[1:]}.", f"{SETTING_FIXES[name][:1].upper()}{SETTING_FIXES[name][1:]}."
        )
        if what
        else None
    )


def check_bot_token(heard: BotIdentity | SlackError, domains: Sequence[str] = ()) -> list[Finding]:
    """The bot's token and each of its scopes, where links to ``domains`` unfurl."""
    if isinstance(heard, SlackRefused):
        sentence, mend = errors.EXPLANATIONS.get(heard.reason, (f"Slack refuses it ({heard.reason}).", ""))
        return [error_finding(BOT_TOKEN, sentence, mend or "It must be the Bot User OAuth Token (xoxb-…) of your app.")]
    if isinstance(heard, SlackError):
        return [slack_unreachable(heard)]
    fine = ok_finding(BOT_TOKEN, f"Slack takes it: {heard.user} in {heard.team}.")
    if heard.scopes is None:
        return [
            fine,
            warning_finding("scopes", "Slack did not say which it has.", "Look at OAuth & Permissions of your app."),
        ]
    scopes = scopes_for(domains)
    found = [_missing_scope(scope, what) for scope, what in scopes.items() if scope not in heard.scopes]
    return [fine, *(found or [ok_finding("scopes", f"All {len(scopes)} are there.")])]


def _missing_scope(scope: str, what: str) -> Finding:
    """Without one that everybody needs zofbot does not work; the others belong to a single thing that one may want."""
    worse = error_finding if scope in SCOPES else warning_finding
    return worse(f"scope {scope}", f"It is missing, and with it {what}.", _REINSTALL_FIX)


def slack_unreachable(heard: SlackError) -> Finding:
    """Slack cannot be asked at all; however many questions that spoils, it is one finding."""
    if isinstance(heard, SlackDeferred) and heard.reason != "unreachable":
        return warning_finding("slack", "Slack asks to slow down, so not all was looked at.", "Try again in a minute.")
    return error_finding(
        "slack", "Slack does not answer as it should.", "Look at the network, the proxy, and SLACK_API_URL."
    )


def check_app_token(heard: SlackError | None) -> Finding:
    """The app's own token, which was used to ask for a Socket Mode connection."""
    if heard is None:
        return ok_finding(APP_TOKEN, "Slack takes it for Socket Mode.")
    if not isinstance(heard, SlackRefused):
        return slack_unreachable(heard)
    mend = _APP_TOKEN_FIXES.get(heard.reason, "Make another (xapp-…) on your app's Basic Information page.")
    return error_finding(APP_TOKEN, f"Slack does not open Socket Mode with it ({heard.reason}).", mend)


def check_signing_secret(settings: Settings) -> Finding:
    """The secret that Slack signs its requests with: 32 hexadecimal digits, as far as anybody has seen."""
    secrets = settings.signing_secrets
    for secret in secrets:
        if found := check_misplaced(SIGNING_SECRET, secret):
            return found
    if secrets and all(re.fullmatch(r"[0-9a-f]{32}", secret) for secret in secrets):
        what = "It looks like one" if len(secrets) == 1 else "Both look like one"
        return ok_finding(SIGNING_SECRET, f"{what}; only a request of Slack's can prove it.")
    if secrets:
        what = "It does not look like one, which has 32 digits and letters a to f."
        return warning_finding(SIGNING_SECRET, what, "Compare it with your app's Basic Information page.")
    return (
        ok_finding(SIGNING_SECRET, "Not needed in Socket Mode.")
        if settings.uses_socket_mode
        else missing_setting(SIGNING_SECRET)
    )


def check_channel(identifier: str, heard: Mapping[str, Any] | SlackError) -> Finding:
    """A channel that is to be told something."""
    if isinstance(heard, SlackError):
        return _channel_not_shown(f"channel {identifier}", heard)
    about = f"channel {identifier} (#{heard.get('name')})" if heard.get("name") else f"channel {identifier}"
    if heard.get("is_archived"):
        return error_finding(about, "It is archived.", "Unarchive it, or end its subscriptions.")
    if heard.get("is_ext_shared") or heard.get("is_pending_ext_shared"):
        what = "It is shared with another organization, which reads the alerts too."
        return warning_finding(about, what, "Subscribe an internal channel instead, or leave it if they may.")
    if heard.get("is_member") is False:
        return warning_finding(about, "zofbot is not a member.", "Invite it with `/invite @zofbot`.")
    return ok_finding(about, "zofbot is a member.")


def _channel_not_shown(about: str, heard: SlackError) -> Finding:
    if not isinstance(heard, SlackRefused):
        return slack_unreachable(heard)
    if heard.reason == "missing_scope":
        return ok_finding(about, "Not looked at, because a scope is missing.")
    sentence, mend = errors.EXPLANATIONS.get(heard.reason, (f"Slack does not show it ({heard.reason}).", ""))
    return error_finding(about, sentence, mend or "Look at it in Slack.")
