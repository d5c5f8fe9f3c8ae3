"""What a subscription would have posted, as a person reads it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from zofbot.errors import ZofError
from zofbot.routing.silence import Silence
from zofbot.routing.words import quoted
from zofbot.slack import text

DAYS = 7
"""How far back a preview looks."""


MAX_SHOWN = 5
"""Names that one sentence has."""

FORBIDDEN = "Zof's key may not list projects, so only recent runs were compared; the key needs `projects:read`."
"""Behind a sentence about projects."""

UNKNOWN = {
    "project": "No recent run is of project",
    "env": "No recent run is in the environment",
    "case": "No recent failure is called",
}
"""For each filter, how a sentence begins that names a value nothing has."""


@dataclass(frozen=True)
class Foresight:
    """How many ``messages`` stand alone in the channel, ``worst`` on the worst ``day``, and the ``replies`` to them.

    ``partial``: not all of it could be read. ``unlisted``: it also asks for what Zof sends but does not list.
    """

    messages: int = 0
    worst: int = 0
    day: date | None = None
    replies: int = 0
    partial: bool = False
    unlisted: bool = False
    silence: str = ""
    """Why it would have posted nothing (mrkdwn)."""


READ_ALONG = (
    "🌐 People of another organization read this channel: it sees names and outcomes, not what failures say, unless an "
    "operator sets `ZOFBOT_SHARED_DETAILS`."
)
"""To whoever subscribes a shared channel."""


def waiting() -> str:
    """While it is being worked out."""
    return f"⏳ Looking what this would have posted over the last {DAYS} days…"


def sentence(seen: Foresight) -> str:
    """How much it would have been (mrkdwn)."""
    least = "at least " if seen.partial else ""
    posted = f"{least}*{_count(seen.messages, 'message')}*" if seen.messages else "nothing"
    if seen.partial and not seen.messages:
        posted = "nothing of what was read"
    replies = _count(seen.replies, "reply", "replies")
    more = [
        f", {least}{seen.worst} on the worst day ({seen.day:%A, %d %B})" if seen.day and seen.messages > 1 else "",
        f", and {least}{replies} in threads" if seen.replies else "",
        ".",
        " Zof lists more than was read here." if seen.partial else "",
        " What Zof sends of gates, agents, integrations and plans is not listed there, so it is not counted."
        if seen.unlisted
        else "",
        f"\n{seen.silence}" if seen.silence else "",
    ]
    return f"📈 Over the last {DAYS} days this would have posted {posted}{''.join(more)}"


def excluded(silence: Silence) -> str:
    """Which filter excluded everything, and what may have been meant (mrkdwn); empty where nothing failed at all."""
    failures = _count(silence.failures, "failed run")
    all_of_it = f"`{silence.name}:` excluded all of the {failures} that were read." if silence.failures else ""
    if not silence.unknown:
        known = f" They are of {_codes(silence.known)}." if silence.known and all_of_it else ""
        return f"🔎 {all_of_it}{known}" if all_of_it else ""
    lead = "There is no project" if silence.listed else UNKNOWN[silence.name]
    step = f"; did you mean {_codes(silence.near, ' or ')}?" if silence.near else "."
    known = f" Known are {_codes(silence.known)}." if silence.known and not silence.near else ""
    return f"🔎 {lead} {_codes(silence.unknown, ' or ')}{step}{known} {all_of_it}".strip()


def _codes(patterns: Sequence[str], joint: str = ", ") -> str:
    """Patterns as they are typed, as many as a sentence can hold."""
    shown = joint.join(text.code(quoted([pattern])) for pattern in patterns[:MAX_SHOWN])
    return f"{shown} and {len(patterns) - MAX_SHOWN} more" if len(patterns) > MAX_SHOWN else shown


def unseen(error: ZofError, reference: str = "") -> str:
    """Why there is none, with Zof's request id, and a ``reference`` where that leads nowhere (mrkdwn)."""
    asked = text.code(error.request_id) if error.request_id else ""
    request = f"Request ID: {asked}" if asked else "Zof returned no request id."
    request += f" Reference: {text.code(reference)}" if reference else ""
    return f"No preview could be made: {text.mrkdwn(error.sentence, 600)} {request}"


def broken(reference: str) -> str:
    """That there is none for a fault of ours; ``reference`` stands in the log (mrkdwn)."""
    return f"No preview could be made: something went wrong inside zofbot. Reference: {text.code(reference)}"


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number} {one}" if number == 1 else f"{number} {many or one + 's'}"
