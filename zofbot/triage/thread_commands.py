"""Parse what people type to the bot: an action on a thread's alert, or a verb of the slash command."""

from __future__ import annotations

import contextlib
import difflib
import re
from dataclasses import dataclass

from zofbot.domain.command_parser import LinkReader, is_help_word, parse_command, read_no_link
from zofbot.domain.commands import SLASH_COMMAND, VERBS
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

EVERYDAY_WORDS = ("take", "mine", "release", "still")
"""Words for actions that also begin sentences (``release 2.3 broke this``): only fillers may follow them."""

FILLER_WORDS = frozenset({"it", "this", "on", "over", "please", "now", "thanks", "thx", "sorry"})
"""Words that add nothing to an action; emoji do not, either."""

QUESTION_WORDS = tuple(VERBS)
"""Words that work as after ``/zof``; in an alert's thread, ``why`` and ``help`` alone are about that alert."""

VERBATIM = ("runs", "subscribe", "mute", "unmute")
"""Verbs followed by filters or a reason, which are kept as typed; after others, punctuation at the end is dropped."""

FILTERS_ALONE = ("runs", "subscribe", "unmute")
"""Verbs followed by filters and no reason, so that the end of a sentence is no part of them."""

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
_ID_SIGN = re.compile(r"[0-9_/]")
"""Characters of ids and links that the words of a question do not have."""
_SEPARATORS = " \t\n:,;.-–—"
"""Characters between a reason and the note after it."""
_QUOTE = re.compile(r"^(?:&gt;){3}.*|^&gt;[^\n]*", re.MULTILINE | re.DOTALL)
"""Quoted lines in Slack's markup (https://docs.slack.dev/messaging/formatting-message-text)."""
_EMOJI_NAME = re.compile(r":[\w+'-]+:")
"""An emoji as Slack sends it: ``:+1:`` (https://docs.slack.dev/messaging/formatting-message-text)."""
_WORD = re.compile(r"[^\W_]+")
_OPENING_WORDS = re.compile(rf"^(?:please|pls|{SLASH_COMMAND})\s+", re.IGNORECASE)


@dataclass(frozen=True)
class ThreadCommand:
    """A parsed command: an action (``act``) or a verb (``question``); ``rest`` is the text after it."""

    act: Action | None = None
    question: str = ""
    rest: str = ""

    @property
    def slash_command(self) -> str:
        """The text to type after ``/zof`` for the same answer; empty for an action."""
        return f"{self.question} {self.rest}".strip()

    @property
    def names_id(self) -> bool:
        """Whether the rest is the id or link of a run or result, as opposed to words such as ``was this posted``."""
        return len(self.rest.split()) == 1 and bool(_ID_SIGN.search(self.rest))

    @property
    def person_id(self) -> str:
        """The id of the first person mentioned; empty for ``me`` or nobody."""
        found = _PERSON.search(self.rest)
        return found[1] if found else ""

    @property
    def resolution_reason(self) -> tuple[str, str]:
        """The reason for resolving, empty if not recognized, and the note after it; empty for other commands."""
        if self.act is not Action.RESOLVE:
            return "", ""
        text = self.rest.removeprefix("as ").strip()
        for typed in sorted(REASON_WORDS, key=len, reverse=True):
            rest = text[len(typed) :]
            if text.lower().startswith(typed) and not rest[:1].isalnum():
                return REASON_WORDS[typed], rest.strip(_SEPARATORS)
        return "", text


def parse_thread_command(text: str, bot: str = "", read_link: LinkReader = read_no_link) -> ThreadCommand:
    """Parse a message that mentions the bot, whose id is ``bot``; if empty, the first mention is the bot's.

    Quoted lines are left out. Raises BadInput for an unknown command; its ``verb`` is the word that was probably meant,
    if any.
    """
    typed = read_input(strip_quotes(text))
    mention = next((found for found in _PERSON.finditer(typed) if bot in ("", found[1])), None)
    typed = _strip_opening(" ".join((typed[mention.end() :] if mention else typed).split()))
    plain = typed.rstrip(_SURROUNDING_CHARACTERS)
    word, _, rest = plain.partition(" ")
    word, rest = word.lower().strip(_SURROUNDING_CHARACTERS), rest.strip()
    if is_help_word(rest.strip(_SURROUNDING_CHARACTERS)) and word in (*ACTION_WORDS, *VERBS):
        return ThreadCommand(question="help", rest=word if word in VERBS else "")
    if word in EVERYDAY_WORDS and not _has_only_fillers(typed.partition(" ")[2]):
        raise BadInput(
            f"`{word}` works only alone or with `it`.",
            "`@zofbot help` lists all commands.",
            example=f"@zofbot {word}",
        )
    if word in ACTION_WORDS:
        return ThreadCommand(act=ACTION_WORDS[word], rest=rest)
    if not word or is_help_word(word):
        return ThreadCommand(question="help", rest=rest if rest.partition(" ")[0].lower() in VERBS else "")
    if word in VERBATIM:
        rest = typed.partition(" ")[2]
        return ThreadCommand(question=word, rest=rest.rstrip(".,! ") if word in FILTERS_ALONE else rest)
    if word in QUESTION_WORDS:
        return ThreadCommand(question=word, rest=rest)
    return ThreadCommand(question=_read_shorthand(word, plain, read_link), rest=plain)


def _has_only_fillers(rest: str) -> bool:
    """Return whether what follows a word for an action adds nothing to it."""
    return FILLER_WORDS.issuperset(_WORD.findall(_EMOJI_NAME.sub(" ", rest).lower()))


def strip_quotes(text: str) -> str:
    """Return a message's text (mrkdwn) without the lines that quote another message."""
    return _QUOTE.sub("", text)


def _strip_opening(typed: str) -> str:
    """Strip what comes before the first word, and the code mark at the end of a text that begins with one."""
    bare = typed.lstrip(_SURROUNDING_CHARACTERS)
    is_code = "`" in typed[: len(typed) - len(bare)]
    return _OPENING_WORDS.sub("", bare.removesuffix("`") if is_code else bare, count=1)


def _read_shorthand(word: str, typed: str, read_link: LinkReader) -> str:
    """Return the verb for an id or a link without one. Raises BadInput if that is not what was typed."""
    suggestion = next(iter(difflib.get_close_matches(word, [*ACTION_WORDS, *QUESTION_WORDS], n=1, cutoff=0.7)), "")
    if suggestion not in ACTION_WORDS:
        with contextlib.suppress(BadInput):  # the parser knows only the verbs
            return parse_command(typed, read_link).verb
    rest = typed.partition(" ")[2]
    raise BadInput(
        f"Unknown command `{_clip_input(word)}`.",
        f"Did you mean `{suggestion}`?" if suggestion else "`@zofbot help` lists all commands.",
        example=_clip_input(f"@zofbot {suggestion} {rest}") if suggestion else "@zofbot help",
        verb=suggestion,
    )


def _clip_input(text: str) -> str:
    return re.sub(r"[`<>]", "", text)[:60].strip()
