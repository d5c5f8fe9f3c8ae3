"""How Slack's tokens, scopes and channels stand, judged by what Slack said of them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from zofbot.checkup.finding import Finding, error, ok, warning
from zofbot.errors import SlackDeferred, SlackError, SlackRefused
from zofbot.manifest import SCOPES, scopes_for
from zofbot.setting_values import misplaced
from zofbot.settings import MENDS, Settings
from zofbot.slack import verdict
from zofbot.slack.notifier import Identity

BOT, APP, SECRET = "SLACK_BOT_TOKEN", "SLACK_APP_TOKEN", "SLACK_SIGNING_SECRET"
_REINSTALL = "Update the app from `zofbot manifest`, then install it again."
_APP_TOKEN = {
    "missing_scope": "It needs connections:write: make another on your app's Basic Information page.",
    "not_allowed_token_type": "It must be an app-level token (xapp-…), not the bot's.",
}


def missing(name: str) -> Finding:
    """A setting that has no default and is not there."""
    return error(name, "It is not set.", f"{MENDS[name][:1].upper()}{MENDS[name][1:]}.")


def misplaced_token(name: str, value: str) -> Finding | None:
    """A token that stands in the wrong setting; Slack need not be asked."""
    what = misplaced(name, value)
    return (
        error(name, f"{what[:1].upper()}{what[1:]}.", f"{MENDS[name][:1].upper()}{MENDS[name][1:]}.") if what else None
    )


def bot_token(heard: Identity | SlackError, domains: Sequence[str] = ()) -> list[Finding]:
    """The bot's token and each of its scopes, where links to ``domains`` unfurl."""
    if isinstance(heard, SlackRefused):
        sentence, mend = verdict.MENDS.get(heard.reason, (f"Slack refuses it ({heard.reason}).", ""))
        return [error(BOT, sentence, mend or "It must be the Bot User OAuth Token (xoxb-…) of your app.")]
    if isinstance(heard, SlackError):
        return [silent(heard)]
    fine = ok(BOT, f"Slack takes it: {heard.user} in {heard.team}.")
    if heard.scopes is None:
        return [fine, warning("scopes", "Slack did not say which it has.", "Look at OAuth & Permissions of your app.")]
    scopes = scopes_for(domains)
    found = [_lacking(scope, what) for scope, what in scopes.items() if scope not in heard.scopes]
    return [fine, *(found or [ok("scopes", f"All {len(scopes)} are there.")])]


def _lacking(scope: str, what: str) -> Finding:
    """Without one that everybody needs zofbot does not work; the others belong to a single thing that one may want."""
    worse = error if scope in SCOPES else warning
    return worse(f"scope {scope}", f"It is missing, and with it {what}.", _REINSTALL)


def silent(heard: SlackError) -> Finding:
    """Slack cannot be asked at all; however many questions that spoils, it is one finding."""
    if isinstance(heard, SlackDeferred) and heard.reason != "unreachable":
        return warning("slack", "Slack asks to slow down, so not all was looked at.", "Try again in a minute.")
    return error("slack", "Slack does not answer as it should.", "Look at the network, the proxy, and SLACK_API_URL.")


def app_token(heard: SlackError | None) -> Finding:
    """The app's own token, which was used to ask for a Socket Mode connection."""
    if heard is None:
        return ok(APP, "Slack takes it for Socket Mode.")
    if not isinstance(heard, SlackRefused):
        return silent(heard)
    mend = _APP_TOKEN.get(heard.reason, "Make another (xapp-…) on your app's Basic Information page.")
    return error(APP, f"Slack does not open Socket Mode with it ({heard.reason}).", mend)


def signing_secret(settings: Settings) -> Finding:
    """The secret that Slack signs its requests with: 32 hexadecimal digits, as far as anybody has seen."""
    secrets = settings.signing_secrets
    for secret in secrets:
        if found := misplaced_token(SECRET, secret):
            return found
    if secrets and all(re.fullmatch(r"[0-9a-f]{32}", secret) for secret in secrets):
        what = "It looks like one" if len(secrets) == 1 else "Both look like one"
        return ok(SECRET, f"{what}; only a request of Slack's can prove it.")
    if secrets:
        what = "It does not look like one, which has 32 digits and letters a to f."
        return warning(SECRET, what, "Compare it with your app's Basic Information page.")
    return ok(SECRET, "Not needed in Socket Mode.") if settings.socket_mode else missing(SECRET)


def channel(identifier: str, heard: Mapping[str, Any] | SlackError) -> Finding:
    """A channel that is to be told something."""
    if isinstance(heard, SlackError):
        return _unseen(f"channel {identifier}", heard)
    about = f"channel {identifier} (#{heard.get('name')})" if heard.get("name") else f"channel {identifier}"
    if heard.get("is_archived"):
        return error(about, "It is archived.", "Unarchive it, or end its subscriptions.")
    if heard.get("is_ext_shared") or heard.get("is_pending_ext_shared"):
        what = "It is shared with another organization, which reads the alerts too."
        return warning(about, what, "Subscribe an internal channel instead, or leave it if they may.")
    if heard.get("is_member") is False:
        return warning(about, "zofbot is not a member.", "Invite it with `/invite @zofbot`.")
    return ok(about, "zofbot is a member.")


def _unseen(about: str, heard: SlackError) -> Finding:
    if not isinstance(heard, SlackRefused):
        return silent(heard)
    if heard.reason == "missing_scope":
        return ok(about, "Not looked at, because a scope is missing.")
    sentence, mend = verdict.MENDS.get(heard.reason, (f"Slack does not show it ({heard.reason}).", ""))
    return error(about, sentence, mend or "Look at it in Slack.")
