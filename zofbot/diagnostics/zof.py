"""Check Zof's key and its permissions by the calls that were tried."""

from __future__ import annotations

from collections.abc import Mapping

from zofbot.diagnostics.finding import Finding, error_finding, ok_finding, warning_finding
from zofbot.domain.errors import ZofError, ZofRejected, ZofUnavailable, ZofUnreadable

KEY_SETTING, URL_SETTING = "ZOF_API_KEY", "ZOF_BASE_URL"
_NO_PATH_STATUSES = frozenset((404, 405, 410, 421))
_OPTIONAL_LISTS = {
    "the list of projects": "Project names are suggested only from recent runs.",
    "the list of schedules": "App Home shows no scheduled runs, and runs do not name their schedule.",
    "the list of webhooks": "Only `zofbot webhook` needs it.",
}
"""Reads that zofbot works without, and the consequence."""
_CORRECT_URL = "Set it to the URL of Zof's API, such as https://api.zof.ai/v1, and check the proxy."


def check_permissions(errors_by_read: Mapping[str, ZofError | None]) -> list[Finding]:
    """Judge each read, such as ``"a run"``, by its error (None: fine); equal findings are reported once."""
    failed = {
        what: error for what, error in errors_by_read.items() if error is not None and what not in _OPTIONAL_LISTS
    }
    read = [what for what, error in errors_by_read.items() if error is None]
    found = [ok_finding(KEY_SETTING, f"Can read {', '.join(read)}.")] if read else []
    found += [_refused_finding(what, error) for what, error in failed.items()]
    # If every read failed, the required ones already report the reason.
    found += [
        _optional_finding(what, error)
        for what, error in errors_by_read.items()
        if read and what in _OPTIONAL_LISTS and error
    ]
    return list(dict.fromkeys(found))


def _optional_finding(what: str, error: ZofError) -> Finding:
    """Report an optional read that failed."""
    request = f" (Request ID: {error.request_id})" if error.request_id else ""
    if error.status != 403:
        return warning_finding(
            f"zof: {what}", f"{error.sentence}{request}", f"{_OPTIONAL_LISTS[what]} {error.next_step}"
        )
    lacking = f" because it lacks {error.permission}" if error.permission else ""
    refused = f"The key cannot read {what}{lacking}{request}."
    if what == "the list of webhooks":  # recommended: a stolen key could otherwise change webhooks
        return ok_finding(f"zof: {what}", f"{refused} {_OPTIONAL_LISTS[what]}")
    return warning_finding(
        f"zof: {what}", refused, f"{_OPTIONAL_LISTS[what]} Give the key a higher role in Zof if you want that."
    )


def _refused_finding(what: str, error: ZofError) -> Finding:
    if what.startswith("the list") and (isinstance(error, ZofUnreadable) or error.status in _NO_PATH_STATUSES):
        detail = f"HTTP {error.status}" if error.status in _NO_PATH_STATUSES else error.sentence.rstrip(".")
        return error_finding(URL_SETTING, f"The server there does not answer like Zof's API ({detail}).", _CORRECT_URL)
    request = f" (Request ID: {error.request_id})" if error.request_id else ""
    if error.status == 401:
        fix = "Create a new one in Zof under Admin Center, Developer."
        if not error.request_id:  # Zof's replies have one (https://zof.ai/docs/api/errors)
            fix += " The answer had no request ID, so check ZOF_BASE_URL first: it may not be Zof's."
        return error_finding(KEY_SETTING, "Zof rejects it: it has expired or was revoked.", fix)
    if error.status == 403:
        fix = "Give the key a higher role in Zof. zofbot only reads, unless ZOFBOT_ALLOW_RUNS is on."
        lacking = f" because it lacks {error.permission}" if error.permission else ""
        return error_finding(f"zof: {what}", f"The key cannot read {what}{lacking}{request}.", fix)
    if isinstance(error, ZofRejected) and error.status:
        return error_finding(f"zof: {what}", f"{error.sentence}{request}", error.next_step)
    unreachable = isinstance(error, ZofUnavailable) and not error.status
    found = "cannot be reached" if unreachable else "does not answer correctly"
    return error_finding("zof", f"Zof {found}.", "Check ZOF_BASE_URL, the proxy and https://status.zof.ai.")


def runs_not_checked(may_run: bool) -> Finding:
    """Report that starting runs was not checked, because that would start one."""
    if may_run:
        return ok_finding(
            "zof: runs by zofbot", "Not tested, because that would start one. Without permission, Slack shows an error."
        )
    return ok_finding("zof: runs by zofbot", "Not needed: ZOFBOT_ALLOW_RUNS is off.")
