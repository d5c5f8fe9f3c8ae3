"""Check zofbot's own endpoints by their responses from outside."""

from __future__ import annotations

from zofbot.config.settings import Settings
from zofbot.diagnostics.finding import Finding, error_finding, ok_finding, warning_finding


def public_paths(settings: Settings) -> list[str]:
    """Return the paths that must be reachable from outside."""
    slack = [] if settings.uses_socket_mode else ["/slack/events"]
    return slack + (["/zof/webhook"] if settings.webhook_secrets else [])


def endpoints_not_checked(settings: Settings) -> Finding:
    """Report that the endpoints were not checked, because the public URL is unknown."""
    if not public_paths(settings):
        return ok_finding("doors", "Nothing has to be reachable: Socket Mode, and no webhooks.")
    paths = " and ".join(public_paths(settings))
    return ok_finding("doors", f"Not tried. `zofbot check --url https://your.host` tries {paths} from here.")


def check_endpoint(path: str, status: int | None) -> Finding:
    """Judge an endpoint by its response to GET: 405 is right, because it accepts only POST."""
    if status == 405:
        return ok_finding(f"door {path}", "It is reachable.")
    if status is None:
        return error_finding(
            f"door {path}", "Nothing answers there.", "Look at DNS, TLS, the proxy, and whether zofbot runs."
        )
    what = f"Something else answers there (HTTP {status})."
    return error_finding(f"door {path}", what, f"Let the proxy pass {path} on to zofbot's HOST and PORT, as it is.")


def check_last_delivery(last: float | None, now: float) -> Finding:
    """Report when Zof's last correctly signed webhook arrived; times are Unix seconds."""
    if last is None:
        what = "ZOF_WEBHOOK_SECRET is set, but no delivery signed with it has ever arrived."
        fix = "`zofbot webhook install --url https://your.host` registers and tries it."
        return warning_finding("webhooks", what, fix)
    return ok_finding("webhooks", f"The last delivery came {max(now - last, 0) / 3600:.1f} hours ago.")
