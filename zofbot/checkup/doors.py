"""How zofbot's own doors stand, judged by how they answer from outside."""

from __future__ import annotations

from zofbot.checkup.finding import Finding, error, ok, warning
from zofbot.settings import Settings


def paths(settings: Settings) -> list[str]:
    """What has to be reachable from outside."""
    slack = [] if settings.socket_mode else ["/slack/events"]
    return slack + (["/zof/webhook"] if settings.webhook_secrets else [])


def untried(settings: Settings) -> Finding:
    """Nobody said where the doors are seen from outside."""
    if not paths(settings):
        return ok("doors", "Nothing has to be reachable: Socket Mode, and no webhooks.")
    tried = " and ".join(paths(settings))
    return ok("doors", f"Not tried. `zofbot check --url https://your.host` tries {tried} from here.")


def door(path: str, status: int | None) -> Finding:
    """A door that was asked with GET: one that is there takes only POST, and says so with 405."""
    if status == 405:
        return ok(f"door {path}", "It is reachable.")
    if status is None:
        return error(f"door {path}", "Nothing answers there.", "Look at DNS, TLS, the proxy, and whether zofbot runs.")
    what = f"Something else answers there (HTTP {status})."
    return error(f"door {path}", what, f"Let the proxy pass {path} on to zofbot's HOST and PORT, as it is.")


def delivery(last: float | None, now: float) -> Finding:
    """Whether a webhook of Zof's has ever come through, signed with our secret (Unix seconds)."""
    if last is None:
        what = "ZOF_WEBHOOK_SECRET is set, but no delivery signed with it has ever arrived."
        mend = "`zofbot webhook install --url https://your.host` registers and tries it."
        return warning("webhooks", what, mend)
    return ok("webhooks", f"The last delivery came {max(now - last, 0) / 3600:.1f} hours ago.")
