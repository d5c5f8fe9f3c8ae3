"""Parse what people type to the bot in a thread: an action or a question, and the words after it."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass

from zofbot.domain.errors import BadInput
from zofbot.domain.text import read_input
from zofbot.triage.state_machine import Action

ACTION_WORDS = {
    "ack": Action.ACKNOWLEDGE,
    "acknowledge": Action.ACKNOWLEDGE,
    "take": Action.ACKNOWLEDGE,
    "mine": Action.ACKNOWLEDGE,
    "unack": Action.UNACKNOWLEDGE,
    "unacknowledge": Action.UNACKNOWLEDGE,
    "release": Action.UNACKNOWLEDGE,
    "still": Action.CONFIRM,
    "confirm": Action.CONFIRM,
    "assign": Action.ASSIGN,
    "snooze": Action.SNOOZE,
    "wake": Action.WAKE,
    "escalate": Action.ESCALATE,
    "resolve": Action.RESOLVE,
    "resolved": Action.RESOLVE,
    "close": Action.RESOLVE,
    "reopen": Action.REOPEN,
    "undo": Action.UNDO,
}
"""Words for actions. ``still on it`` answers the question "still on it?"."""

QUESTION_WORDS = ("why", "result", "run", "help")
"""Words for questions, which change nothing."""

VERBATIM = ("mute", "unmute")
"""Words for commands about the channel; the text after them is kept as typed."""

REASON_WORDS = {
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
"""A reason as typed, to the value that is stored."""

_PERSON = re.compile(r"<@([UW][A-Z0-9]{1,30})(?:\|[^<>]*)?>")
_SURROUNDING_CHARACTERS = " `'\",.!?:;"
_SEPARATORS = " \t\n:,;.-–—"
"""Characters between a reason and the note after it."""


@dataclass(frozen=True)
class ThreadCommand:
    """A parsed command: an action (``act``) or a ``question``; ``rest`` is the text after it."""

    act: Action | None = None
    question: str = ""
    rest: str = ""

    @property
    def person_id(self) -> str:
        """The id of the first person mentioned; empty for ``me`` or nobody."""
        found = _PERSON.search(self.rest)
        return found[1] if found else ""

    @property
    def resolution_reason(self) -> tuple[str, str]:
        """The reason for resolving, empty if not recognized, and the note after it."""
        text = self.rest.removeprefix("as ").strip()
        for typed in sorted(REASON_WORDS, key=len, reverse=True):
            rest = text[len(typed) :]
            if text.lower().startswith(typed) and not rest[:1].isalnum():
                return REASON_WORDS[typed], rest.strip(_SEPARATORS)
        return "", text


def parse_thread_command(text: str, bot: str = "") -> ThreadCommand:
    """Parse a message that mentions the bot, whose id is ``bot``; if empty, the first mention is the bot's.

    Raises BadInput for an unknown command.
    """
    typed = read_input(text)
    mention = next((found for found in _PERSON.finditer(typed) if bot in ("", found[1])), None)
    after_mention = typed[mention.end() :] if mention else typed
    typed = " ".join(after_mention.split()).lstrip(_SURROUNDING_CHARACTERS)
    word, _, rest = typed.rstrip(_SURROUNDING_CHARACTERS).partition(" ")
    word = word.lower().strip(_SURROUNDING_CHARACTERS)
    if not word:
        return ThreadCommand(question="help")
    if word in ACTION_WORDS:
        return ThreadCommand(act=ACTION_WORDS[word], rest=rest.strip())
    if word in VERBATIM:
        return ThreadCommand(question=word, rest=typed.partition(" ")[2])
    if word in QUESTION_WORDS:
        return ThreadCommand(question=word, rest=rest.strip())
    suggestion = next(
        iter(difflib.get_close_matches(word, [*ACTION_WORDS, *QUESTION_WORDS, *VERBATIM], n=1, cutoff=0.7)), ""
    )
    raise BadInput(
        f"Unknown command `{re.sub(r'[`<>]', '', word)[:60]}`.",
        f"Did you mean `{suggestion}`?" if suggestion else "Try `ack`, `assign`, `snooze` or `resolve`.",
        example=f"@zofbot {suggestion or 'help'}",
    )
