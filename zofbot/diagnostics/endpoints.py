"""Check zofbot's own endpoints by their responses from outside."""

from __future__ import annotations

from zofbot.config.settings import Settings
from zofbot.diagnostics.finding import Finding, error_finding, ok_finding, warning_finding
from zofbot.domain.durations import describe_duration

_SECRET_BY_PATH = {"/slack/events": "SLACK_SIGNING_SECRET", "/zof/webhook": "ZOF_WEBHOOK_SECRET"}


def public_paths(settings: Settings) -> list[str]:
    """Return the paths that must be reachable from outside."""
    slack = [] if settings.uses_socket_mode else ["/slack/events"]
    return slack + (["/zof/webhook"] if settings.webhook_secrets else [])


def endpoints_not_checked(settings: Settings) -> Finding:
    """Report that the endpoints were not checked, because the public URL is unknown."""
    if not public_paths(settings):
        return ok_finding("endpoints", "None needed: Socket Mode, and no webhooks.")
    paths = " and ".join(public_paths(settings))
    return ok_finding("endpoints", f"Not tested. `zofbot check --url https://your.host` tests {paths}.")


def check_endpoint(path: str, status: int | None) -> Finding:
    """Judge an endpoint by its response to GET: 405 is right, because it accepts only POST."""
    if status == 405:
        return ok_finding(f"endpoint {path}", "Reachable.")
    if status is None:
        return error_finding(f"endpoint {path}", "No answer.", "Check DNS, TLS, the proxy, and that zofbot is running.")
    what = f"Something other than zofbot answers (HTTP {status})"
    fix = f"Have the proxy forward {path} unchanged to zofbot's HOST and PORT"
    if status == 404:
        secret = _SECRET_BY_PATH[path]  # without it, zofbot does not have the path
        what, fix = f"{what}, or zofbot was started without {secret}", f"{fix}, or restart zofbot with {secret}"
    return error_finding(f"endpoint {path}", f"{what}.", f"{fix}.")


def check_last_delivery(last: float | None, now: float) -> Finding:
    """Report when Zof's last correctly signed webhook arrived; times are Unix seconds."""
    if last is None:
        what = "ZOF_WEBHOOK_SECRET is set, but no webhook signed with it has arrived yet."
        fix = "Run `zofbot webhook install --url https://your.host`."
        return warning_finding("webhooks", what, fix)
    return ok_finding("webhooks", f"The last one arrived {describe_duration(max(now - last, 0))} ago.")
