"""What people type to the bot in a thread, understood: an act or a question, and the words behind it."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass

from zofbot.domain.text import read_input
from zofbot.errors import BadInput
from zofbot.triage.life import Act

WORDS = {
    "ack": Act.ACKNOWLEDGE,
    "acknowledge": Act.ACKNOWLEDGE,
    "take": Act.ACKNOWLEDGE,
    "mine": Act.ACKNOWLEDGE,
    "unack": Act.UNACKNOWLEDGE,
    "unacknowledge": Act.UNACKNOWLEDGE,
    "release": Act.UNACKNOWLEDGE,
    "still": Act.CONFIRM,
    "confirm": Act.CONFIRM,
    "assign": Act.ASSIGN,
    "snooze": Act.SNOOZE,
    "wake": Act.WAKE,
    "escalate": Act.ESCALATE,
    "resolve": Act.RESOLVE,
    "resolved": Act.RESOLVE,
    "close": Act.RESOLVE,
    "reopen": Act.REOPEN,
    "undo": Act.UNDO,
}
"""Each word that is an act. ``still on it`` is the answer to whether one still is."""

QUESTIONS = ("why", "result", "run", "help")
"""Words that only ask."""

VERBATIM = ("mute", "unmute")
"""Words about a channel; what follows them is kept as it was typed."""

REASONS = {
    "product bug": "product",
    "product": "product",
    "bug": "product",
    "test bug": "test",
    "test": "test",
    "flaky": "flaky",
    "flake": "flaky",
    "environment": "environment",
    "env": "environment",
    "zof or infrastructure": "platform",
    "infrastructure": "platform",
    "infra": "platform",
    "platform": "platform",
    "zof": "platform",
    "other": "other",
}
"""How a reason may be typed, and the word it is stored as."""

_PERSON = re.compile(r"<@([UW][A-Z0-9]{1,30})(?:\|[^<>]*)?>")
_AROUND = " `'\",.!?:;"
_JOINT = " \t\n:,;.-–—"
"""What may stand between a reason and the note behind it."""


@dataclass(frozen=True)
class Heard:
    """One thing that was typed: ``act`` or, without one, the ``question``; ``rest`` are the words behind it."""

    act: Act | None = None
    question: str = ""
    rest: str = ""

    @property
    def person(self) -> str:
        """The id of the first person named; empty for ``me``, and where nobody is."""
        found = _PERSON.search(self.rest)
        return found[1] if found else ""

    @property
    def reason(self) -> tuple[str, str]:
        """Why it is resolved, empty where that cannot be made out, and the note behind it."""
        said = self.rest.removeprefix("as ").strip()
        for typed in sorted(REASONS, key=len, reverse=True):
            rest = said[len(typed) :]
            if said.lower().startswith(typed) and not rest[:1].isalnum():
                return REASONS[typed], rest.strip(_JOINT)
        return "", said


def heard(text: str, bot: str = "") -> Heard:
    """Understand a message that mentions the bot, whose id is ``bot``; without it the first mention is the bot's.

    Raises BadInput for a word that is none of these.
    """
    typed = read_input(text)
    mention = next((found for found in _PERSON.finditer(typed) if bot in ("", found[1])), None)
    said = typed[mention.end() :] if mention else typed
    typed = " ".join(said.split()).lstrip(_AROUND)
    word, _, rest = typed.rstrip(_AROUND).partition(" ")
    word = word.lower().strip(_AROUND)
    if not word:
        return Heard(question="help")
    if word in WORDS:
        return Heard(act=WORDS[word], rest=rest.strip())
    if word in VERBATIM:
        return Heard(question=word, rest=typed.partition(" ")[2])
    if word in QUESTIONS:
        return Heard(question=word, rest=rest.strip())
    meant = next(iter(difflib.get_close_matches(word, [*WORDS, *QUESTIONS, *VERBATIM], n=1, cutoff=0.7)), "")
    raise BadInput(
        f"I do not know `{re.sub(r'[`<>]', '', word)[:60]}`.",
        f"Did you mean `{meant}`?" if meant else "I know `ack`, `assign`, `snooze`, `resolve` and more.",
        example=f"@zofbot {meant or 'help'}",
    )
