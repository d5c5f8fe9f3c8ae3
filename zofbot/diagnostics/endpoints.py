"""How zofbot's own doors stand, judged by how they answer from outside."""

from __future__ import annotations

from zofbot.config.settings import Settings
from zofbot.diagnostics.finding import Finding, error_finding, ok_finding, warning_finding


def public_paths(settings: Settings) -> list[str]:
    """What has to be reachable from outside."""
    slack = [] if settings.uses_socket_mode else ["/slack/events"]
    return slack + (["/zof/webhook"] if settings.webhook_secrets else [])


def endpoints_not_checked(settings: Settings) -> Finding:
    """Nobody said where the doors are seen from outside."""
    if not public_paths(settings):
        return ok_finding("doors", "Nothing has to be reachable: Socket Mode, and no webhooks.")
    tried = " and ".join(public_paths(settings))
    return ok_finding("doors", f"Not tried. `zofbot check --url https://your.host` tries {tried} from here.")


def check_endpoint(path: str, status: int | None) -> Finding:
    """A door that was asked with GET: one that is there takes only POST, and says so with 405."""
    if status == 405:
        return ok_finding(f"door {path}", "It is reachable.")
    if status is None:
        return error_finding(
            f"door {path}", "Nothing answers there.", "Look at DNS, TLS, the proxy, and whether zofbot runs."
        )
    what = f"Something else answers there (HTTP {status})."
    return error_finding(f"door {path}", what, f"Let the proxy pass {path} on to zofbot's HOST and PORT, as it is.")


def check_last_delivery(last: float | None, now: float) -> Finding:
    """Whether a webhook of Zof's has ever come through, signed with our secret (Unix seconds)."""
    if last is None:
        what = "ZOF_WEBHOOK_SECRET is set, but no delivery signed with it has ever arrived."
        mend = "`zofbot webhook install --url https://your.host` registers and tries it."
        return warning_finding("webhooks", what, mend)
    return ok_finding("webhooks", f"The last delivery came {max(now - last, 0) / 3600:.1f} hours ago.")
