"""Check Slack's tokens, scopes and channels by Slack's replies."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from zofbot.config.manifest import EMAIL_SCOPES, OPTIONAL_SCOPES, SCOPES, scopes_for
from zofbot.config.setting_values import describe_misplaced
from zofbot.config.settings import SETTING_FIXES, Settings
from zofbot.diagnostics.finding import Finding, error_finding, ok_finding, warning_finding
from zofbot.domain.errors import SlackDeferred, SlackError, SlackRefused
from zofbot.slack import errors
from zofbot.slack.identity import BotIdentity

BOT_TOKEN, APP_TOKEN, SIGNING_SECRET = "SLACK_BOT_TOKEN", "SLACK_APP_TOKEN", "SLACK_SIGNING_SECRET"
_EMAIL_SCOPE_FIX = "Add it to the bot's scopes under OAuth & Permissions of your app, then reinstall the app."
"""Not in the manifest if only subscriptions ask for it, because that is made from the settings alone."""
_APP_TOKEN_FIXES = {
    "missing_scope": "It needs connections:write. Create another one on your app's Basic Information page.",
    "not_allowed_token_type": "It must be an app-level token (xapp-…), not the bot's.",
}


def missing_setting(name: str) -> Finding:
    """Report a required setting that is missing."""
    return error_finding(name, "It is not set.", f"{SETTING_FIXES[name][:1].upper()}{SETTING_FIXES[name][1:]}.")


def check_misplaced(name: str, value: str) -> Finding | None:
    """Report a token in the wrong setting, without calling Slack; None if it looks right."""
    what = describe_misplaced(name, value)
    return (
        error_finding(
            name, f"{what[:1].upper()}{what[1:]}.", f"{SETTING_FIXES[name][:1].upper()}{SETTING_FIXES[name][1:]}."
        )
        if what
        else None
    )


def check_bot_token(
    reply: BotIdentity | SlackError, domains: Sequence[str] = (), *, emails: bool = False, over_http: bool = False
) -> list[Finding]:
    """Check the bot's token and its scopes, with those for unfurling links to ``domains`` and for ``emails``.

    ``over_http``: Slack calls a public URL, which must be in the manifest that is to fix a missing scope.
    """
    if isinstance(reply, SlackRefused):
        sentence, fix = errors.EXPLANATIONS.get(reply.reason, (f"Slack rejects it ({reply.reason}).", ""))
        return [error_finding(BOT_TOKEN, sentence, fix or "It must be the Bot User OAuth Token (xoxb-…) of your app.")]
    if isinstance(reply, SlackError):
        return [slack_unreachable(reply)]
    accepted = ok_finding(BOT_TOKEN, f"Valid: {reply.user} in {reply.team}.")
    if reply.scopes is None:
        return [
            accepted,
            warning_finding("scopes", "Slack did not list them.", "Check OAuth & Permissions of your app."),
        ]
    scopes = scopes_for(domains, emails=emails)
    missing = {scope: what for scope, what in scopes.items() if scope not in reply.scopes}
    found = [_missing_scope(scope, what, over_http=over_http) for scope, what in missing.items()]
    return [accepted, *(found or [ok_finding("scopes", f"All {len(scopes)} granted.")])]


def _missing_scope(scope: str, what: str, *, over_http: bool) -> Finding:
    """Report a missing scope: an error if zofbot needs it, a warning if only an optional feature does."""
    command = "zofbot manifest --url https://your.host" if over_http else "zofbot manifest"
    update_fix = f"Update the Slack app with the output of `{command}`, then reinstall it."
    fix = _EMAIL_SCOPE_FIX if scope in EMAIL_SCOPES else update_fix
    make_finding = error_finding if scope in SCOPES.keys() - OPTIONAL_SCOPES else warning_finding
    return make_finding(f"scope {scope}", f"Missing. It is needed for {what}.", fix)


def slack_unreachable(reply: SlackError) -> Finding:
    """Report that Slack could not be called; the same finding for every call, so that it is shown once."""
    if isinstance(reply, SlackDeferred) and reply.reason != "unreachable":
        return warning_finding(
            "slack", "Slack limits the rate of calls, so not everything was checked.", "Try again in a minute."
        )
    found = "cannot be reached" if isinstance(reply, SlackDeferred) else "does not answer correctly"
    return error_finding("slack", f"Slack {found}.", "Check the network, the proxy, and SLACK_API_URL.")


def check_app_token(reply: SlackError | None) -> Finding:
    """Check the app-level token by its request for a Socket Mode connection; ``reply`` is the error, if any."""
    if reply is None:
        return ok_finding(APP_TOKEN, "Valid for Socket Mode.")
    if not isinstance(reply, SlackRefused):
        return slack_unreachable(reply)
    fix = _APP_TOKEN_FIXES.get(reply.reason, "Create another one (xapp-…) on your app's Basic Information page.")
    return error_finding(APP_TOKEN, f"Slack rejects it for Socket Mode ({reply.reason}).", fix)


def check_signing_secret(settings: Settings) -> Finding:
    """Check the form of the signing secret, believed to be always 32 hexadecimal digits."""
    secrets = settings.signing_secrets
    for secret in secrets:
        if found := check_misplaced(SIGNING_SECRET, secret):
            return found
    if secrets and all(re.fullmatch(r"[0-9a-f]{32}", secret) for secret in secrets):
        what = "Looks valid" if len(secrets) == 1 else "Both look valid"
        return ok_finding(SIGNING_SECRET, f"{what}; only a request from Slack can prove it.")
    if secrets:
        what = "It does not look like a signing secret, which has 32 characters 0-9 and a-f."
        return warning_finding(SIGNING_SECRET, what, "Copy it again from your app's Basic Information page.")
    return (
        ok_finding(SIGNING_SECRET, "Not needed in Socket Mode.")
        if settings.uses_socket_mode
        else missing_setting(SIGNING_SECRET)
    )


def check_channel(identifier: str, reply: Mapping[str, Any] | SlackError) -> Finding:
    """Check a channel that messages are sent to."""
    if isinstance(reply, SlackError):
        return _channel_not_shown(f"channel {identifier}", reply)
    about = f"channel {identifier} (#{reply.get('name')})" if reply.get("name") else f"channel {identifier}"
    if reply.get("is_archived"):
        return error_finding(about, "It is archived.", "Unarchive it, or remove its subscriptions.")
    if reply.get("is_ext_shared") or reply.get("is_pending_ext_shared"):
        what = "It is shared with another organization, which can read the alerts."
        return warning_finding(about, what, "Use an internal channel, unless they may read them.")
    if reply.get("is_member") is False:
        return warning_finding(about, "zofbot is not a member.", "Invite it with `/invite @zofbot`.")
    return ok_finding(about, "zofbot is a member.")


def _channel_not_shown(about: str, reply: SlackError) -> Finding:
    if not isinstance(reply, SlackRefused):
        return slack_unreachable(reply)
    if reply.reason == "missing_scope":
        return ok_finding(about, "Not checked, because a scope is missing.")
    sentence, fix = errors.EXPLANATIONS.get(reply.reason, (f"Slack does not show it ({reply.reason}).", ""))
    return error_finding(about, sentence, fix or "Check it in Slack.")
