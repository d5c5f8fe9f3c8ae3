"""How Zof's key and its permissions stand, judged by the questions that were tried."""

from __future__ import annotations

from collections.abc import Mapping

from zofbot.diagnostics.finding import Finding, error_finding, ok_finding, warning_finding
from zofbot.domain.errors import ZofError, ZofRejected, ZofUnreadable

KEY_SETTING, URL_SETTING = "ZOF_API_KEY", "ZOF_BASE_URL"  # the settings' names
_NO_PATH_STATUSES = frozenset((404, 405, 410, 421))
_OPTIONAL_LISTS = {
    "the list of projects": "Names of projects are suggested from recent runs alone.",
    "the list of schedules": "App Home shows no next runs, and runs do not name their schedule.",
    "the list of webhooks": "Only `zofbot webhook` needs it.",
}
"""What zofbot works without, and what is missing then."""
_CORRECT_URL = "Set it to the address of Zof's API, such as https://api.zof.ai/v1, and look at the proxy."


def check_permissions(tried: Mapping[str, ZofError | None]) -> list[Finding]:
    """Judge each thing that was read (``"runs"``) by how that went; what is wrong for all of them is said once."""
    failed = {what: heard for what, heard in tried.items() if heard is not None and what not in _OPTIONAL_LISTS}
    read = [what for what, heard in tried.items() if heard is None]
    found = [ok_finding(KEY_SETTING, f"It may read {', '.join(read)}.")] if read else []
    found += [_refused_finding(what, heard) for what, heard in failed.items()]
    # Where all of it failed, the reason is said of what zofbot needs.
    found += [
        _optional_finding(what, heard) for what, heard in tried.items() if read and what in _OPTIONAL_LISTS and heard
    ]
    return list(dict.fromkeys(found))


def _optional_finding(what: str, heard: ZofError) -> Finding:
    """Something that zofbot works without."""
    request = f" (Request ID: {heard.request_id})" if heard.request_id else ""
    if heard.status != 403:
        return warning_finding(
            f"zof: {what}", f"{heard.sentence}{request}", f"{_OPTIONAL_LISTS[what]} {heard.next_step}"
        )
    lacking = f": it lacks the permission {heard.permission}" if heard.permission else ""
    refused = f"The key may not read {what}{lacking}{request}."
    if what == "the list of webhooks":  # a key that may change webhooks is worth more to whoever steals it
        return ok_finding(f"zof: {what}", f"{refused} {_OPTIONAL_LISTS[what]}")
    return warning_finding(
        f"zof: {what}", refused, f"{_OPTIONAL_LISTS[what]} Raise the role of the key in Zof if you want that."
    )


def _refused_finding(what: str, heard: ZofError) -> Finding:
    if what.startswith("the list") and (isinstance(heard, ZofUnreadable) or heard.status in _NO_PATH_STATUSES):
        said = f"HTTP {heard.status}" if heard.status in _NO_PATH_STATUSES else heard.sentence.rstrip(".")
        return error_finding(
            URL_SETTING, f"What answers there does not answer as Zof's API does ({said}).", _CORRECT_URL
        )
    request = f" (Request ID: {heard.request_id})" if heard.request_id else ""
    if heard.status == 401:
        mend = "Renew it in Zof under Admin Center, Developer."
        if not heard.request_id:  # Zof's own replies have one (https://zof.ai/docs/api/errors)
            mend += " The answer had no request id, so look at ZOF_BASE_URL first: it may not be Zof's."
        return error_finding(KEY_SETTING, "Zof does not take it: it is expired or revoked.", mend)
    if heard.status == 403:
        mend = "Raise the role of the key in Zof: zofbot only reads, unless ZOFBOT_ALLOW_RUNS."
        lacking = f": it lacks the permission {heard.permission}" if heard.permission else ""
        return error_finding(f"zof: {what}", f"The key may not read {what}{lacking}{request}.", mend)
    if isinstance(heard, ZofRejected) and heard.status:
        return error_finding(f"zof: {what}", f"{heard.sentence}{request}", heard.next_step)
    return error_finding(
        "zof", "Zof does not answer as it should.", "Look at ZOF_BASE_URL, the proxy and https://status.zof.ai."
    )


def runs_not_checked(may_run: bool) -> Finding:
    """What cannot be tried without harm."""
    if may_run:
        return ok_finding(
            "zof: runs by zofbot", "Not tried, for it would start one; a key without the right is told so in Slack."
        )
    return ok_finding("zof: runs by zofbot", "Not needed: ZOFBOT_ALLOW_RUNS is off.")
