"""Parse what is typed after ``/zof``."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from zofbot.domain.commands import SLASH_COMMAND, VERBS
from zofbot.domain.errors import BadInput
from zofbot.domain.model import is_valid_id

_LABELLED_ID_PATTERN = re.compile(r"\b(?:request id|reference): ?([^\s,;]+)", re.IGNORECASE)
_ID_SIGN_PATTERN = re.compile(r"[0-9_]")
"""Characters that every known id contains, and no verb."""

_HELP_HINT = "`/zof help` lists commands."

_HELP_PATTERN = re.compile(r"\?|[-–—]*help|[-–—]+h", re.IGNORECASE)
"""The verb, and what other tools use; phones and Macs make a dash of ``--``."""

LinkReader = Callable[[str], tuple[str, str] | None]
"""Returns ``run`` or ``result`` and the id that a URL links to, or None."""


@dataclass(frozen=True)
class ParsedCommand:
    """A parsed slash command."""

    verb: str
    id: str = ""
    share: bool = False
    about: str = ""
    filters: str = ""
    """The filters of a subscription, list or mute, and the text after them, as typed."""


def read_no_link(url: str) -> None:
    """Recognize no link."""


def is_help_word(word: str) -> bool:
    """Return whether a word asks for help: ``help``, ``--help``, ``-h`` or ``?``."""
    return bool(_HELP_PATTERN.fullmatch(word))


def parse_command(text: str, read_link: LinkReader = read_no_link) -> ParsedCommand:
    """Parse the text after ``/zof``, as returned by ``read_input``; ids may be pasted as links.

    Raises BadInput with an example that can be copied.
    """
    text = _strip_code_marks(text)
    words = text.split()
    if not words:
        return ParsedCommand("help")
    verb = words[0].lower()
    if verb in VERBS and len(words) == 2 and is_help_word(words[1]):
        return ParsedCommand("help", about=verb)
    if is_help_word(verb):
        return _parse_help(words[1:])
    if verb not in VERBS:
        return _parse_shorthand(words, read_link)
    if verb in ("runs", "subscribe", "mute", "unmute"):
        return ParsedCommand(verb, filters=_strip_code_marks(text.split(maxsplit=1)[1]) if len(words) > 1 else "")
    if verb == "subscriptions":
        return ParsedCommand("subscriptions")
    if verb == "unsubscribe":
        return _parse_unsubscribe(words[1:])
    if verb == "oncall":
        return ParsedCommand("oncall")
    if verb == "cause":
        return ParsedCommand("cause", id=_parse_cause_id(words[1:]))
    if verb in ("handover", "digest", "causes"):
        return ParsedCommand(verb, about=" ".join(words[1:]))
    if verb == "trace":
        return ParsedCommand("trace", id=_parse_trace_id(words[1:]))
    if verb == "triage":
        return _parse_triage([word.lower() for word in words[1:]])
    return _parse_lookup(verb, words[1:], read_link)


def _parse_unsubscribe(words: list[str]) -> ParsedCommand:
    which = words[0].lower().lstrip("#") if len(words) == 1 else ""
    if which != "all" and not (which.isdecimal() and len(which) < 5 and int(which) > 0):
        raise BadInput(
            "Which subscription should end?",
            f"`{SLASH_COMMAND} subscriptions` lists them with numbers; `all` removes all.",
            example=_example_command("unsubscribe"),
            verb="unsubscribe",
        )
    return ParsedCommand("unsubscribe", about=which)


def _parse_cause_id(words: list[str]) -> str:
    name = _strip_quoting(words[0]).lower() if len(words) == 1 else ""
    if not is_valid_id(name):
        raise BadInput(
            "The cause ID is missing." if not words else "That isn't a cause ID.",
            f"`{SLASH_COMMAND} causes` lists them.",
            example=_example_command("cause"),
            verb="cause",
        )
    return name


def _parse_triage(words: list[str]) -> ParsedCommand:
    if words and words not in (["mine"], ["all"]):
        raise BadInput(
            f"Unknown option `{_clip_input(' '.join(words))}`.",
            "Use `mine`, `all`, or nothing for this channel.",
            example=_example_command("triage"),
            verb="triage",
        )
    return ParsedCommand("triage", about="".join(words))


def _parse_trace_id(words: list[str]) -> str:
    """Parse a request id: one word of any form, or the id after a label in a pasted error."""
    labelled = _LABELLED_ID_PATTERN.findall(" ".join(words))
    around = set() if labelled else {word.lower().rstrip(":") for word in words[:-1]}
    name = _strip_quoting((labelled or words or [""])[0 if labelled else -1]).rstrip(".")
    if not name or len(name) > 300 or around - {"request", "id", "reference"}:
        raise BadInput(
            "The request ID is missing." if not name else "One ID at a time, please.",
            "Copy the request ID, or the reference starting with `ref_`, from the error.",
            example=_example_command("trace"),
            verb="trace",
        )
    return name


def _parse_shorthand(words: list[str], read_link: LinkReader) -> ParsedCommand:
    """Parse ``/zof <id>``; a word similar to a verb, or that does not look like an id, is a mistyped verb."""
    suggestion = _closest_word(words[0].lower(), VERBS)
    if suggestion:
        rest = " ".join([suggestion, *words[1:]])
        raise BadInput(
            f"Unknown command `{_clip_input(words[0])}`.",
            f"Did you mean `{_copyable_command(rest)}`?",
            example=_copyable_command(rest),
            verb=suggestion,
        )
    kind, identifier = _read_id(words[0], read_link)
    if (
        not is_valid_id(identifier)
        or not (kind or _ID_SIGN_PATTERN.search(identifier))
        or words[1:] not in ([], ["share"])
    ):
        raise BadInput(
            f"Unknown command `{_clip_input(words[0])}`.",
            _HELP_HINT,
            example=f"{SLASH_COMMAND} help",
        )
    verb = kind or ("run" if identifier.startswith("run_") else "result")
    return _parse_lookup(verb, [identifier, *words[1:]], read_link)


def _parse_lookup(verb: str, words: list[str], read_link: LinkReader) -> ParsedCommand:
    noun = "result" if verb == "result" else "run"
    if not words:
        raise BadInput(
            f"The {noun} ID is missing.",
            "Copy it from Zof.",
            example=_example_command(verb),
            verb=verb,
        )
    kind, identifier = _read_id(words[0], read_link)
    if not is_valid_id(identifier) or identifier.startswith("-"):
        raise BadInput(
            f"`{_clip_input(words[0])}` isn't a {noun} ID.",
            "IDs have only letters, digits, `_` and `-`, at most 128 characters.",
            example=_example_command(verb),
            verb=verb,
        )
    if kind == "result" and verb == "cancel":
        raise BadInput(
            "That's a result, not a run.", "Only runs can be canceled.", example=_example_command(verb), verb=verb
        )
    verb = kind if kind and verb in ("run", "result") else verb
    extra = [word.lower() for word in words[1:]]
    share = extra == ["share"] and verb == "result"
    if extra and not share:
        raise BadInput(
            f"Unknown option `{_clip_input(' '.join(words[1:]))}`.",
            "Only `share` can follow the ID." if verb == "result" else "Nothing can follow the ID.",
            example=_copyable_command(f"{verb} {identifier}"),
            verb=verb,
        )
    return ParsedCommand(verb, id=identifier, share=share)


def _read_id(word: str, read_link: LinkReader) -> tuple[str, str]:
    """Return ``run`` or ``result`` if the word is a link, else an empty string; and the id."""
    bare = _strip_quoting(word)
    return (read_link(bare) if "/" in bare else None) or ("", bare)


def _parse_help(words: list[str]) -> ParsedCommand:
    if not words:
        return ParsedCommand("help")
    about = words[0].lower().removeprefix("/")
    if about in VERBS:
        return ParsedCommand("help", about=about)
    suggestion = _closest_word(about, VERBS)
    raise BadInput(
        f"Unknown command `{_clip_input(words[0])}`.",
        f"Did you mean `{_copyable_command(f'help {suggestion}')}`?" if suggestion else _HELP_HINT,
        example=_copyable_command(f"help {suggestion}") if suggestion else f"{SLASH_COMMAND} help",
    )


def _closest_word(word: str, known: Iterable[str]) -> str:
    """Return the known word most similar to a mistyped one, or empty; a word with digits or signs may be an id."""
    if not word.isalpha():
        return ""
    return next(iter(difflib.get_close_matches(word, list(known), n=1, cutoff=0.7)), "")


def _strip_quoting(word: str) -> str:
    """Strip what people paste around a word: code marks, quotes, brackets, a trailing comma."""
    return word.strip("`'\"<>()[],;")


def _strip_code_marks(text: str) -> str:
    """Strip code marks that enclose the whole text."""
    text = text.strip()
    return text[1:-1].strip() if len(text) > 1 and text[0] == text[-1] == "`" and text.count("`") == 2 else text


def _clip_input(word: str) -> str:
    return re.sub(r"[`\s]+", " ", word)[:60].strip()


def _example_command(verb: str) -> str:
    return f"{SLASH_COMMAND} {VERBS[verb].example}"


def _copyable_command(rest: str) -> str:
    return f"{SLASH_COMMAND} {_clip_input(rest)}"
