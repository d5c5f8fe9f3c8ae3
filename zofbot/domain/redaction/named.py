"""Redact secrets recognized by the name before them, in any syntax: JSON, YAML, env, URL, header, flag, XML."""

from __future__ import annotations

import re

from zofbot.domain.redaction.shapes import MASK
from zofbot.domain.redaction.words import MAX_JUDGED_CHARACTERS, STATE_WORDS, is_prose, reads_as_words

_SEPARATOR_PATTERN = r"""
    ["'\\\]]{0,4}[ \t]{0,4}(?::=|=>|={1,3}|:)[ \t]{0,4}
  | ["'\\]{1,4}[ \t]{0,4},?[ \t]{0,4}["'\\]{0,4}value["'\\]{0,4}[ \t]{0,4}[:=][ \t]{0,4}
"""
_NAME_PATTERN = re.compile(rf"(?<![\w.-])(?:(--[\w.-]++)[ \t]{{1,4}}|([\w.-]++)({_SEPARATOR_PATTERN}|>))", re.VERBOSE)
_SECRET_NAME_PATTERN = re.compile(
    r"""(?:
      (?:password|passwort|passwd|pwd|passphrase|passcode|secret|credential)s? | token | creds
    | (?:api|access|private|secret|signing|encryption|account|shared|auth|client|master|service|webhook|hmac|deploy|ssh
        |license|storage|app|subscription)[_.\ -]?key
    | session[_.\ -]?id | sessid | signature | cookie
    | (?:db|user|smtp|mail|redis|mysql|pg|postgres|admin|ftp|login|proxy|root|http|basic)[_.-]?pass
    | (?<![a-z])(?:auth|otp|sig|jwt)
    )(?:[_.-]?(?:\d+|confirm(?:ation)?|again|repeat|old|new|current|value|base64|hash|raw|plain))?$""",
    re.VERBOSE,
)
_DOUBTFUL_NAME_PATTERN = re.compile(r"(?<![a-z\d_.-])(?:token|signature|sig|cookie|otp|jwt|auth)$")
"""Names that often mean something else, such as a parser's unexpected token."""
_VALUE_PATTERN = re.compile(
    rf"""(\\{{0,8}}["'`])((?:(?!\1)(?:\\.|[^\r\n\\])){{0,{MAX_JUDGED_CHARACTERS}}}+)
    | ([^\s"'`<>&,;|(){{}}\[\]][^\s"'`<>&]{{0,{MAX_JUDGED_CHARACTERS - 1}}}+)""",
    re.VERBOSE,
)
_REST_OF_LINE, _REST_OF_RUN = re.compile(r"[^\r\n]*+"), re.compile(r"[^\s\"'`<>&]*+")
_VALUE_END_PATTERN = re.compile(r"[,;(){}\[\]|]+(?:$|(?=[\w.-]+[\"']?[ \t]*[=:]))")
"""Where an unquoted value ends without a space, as in ``login(user=a,password=b,retry=3)``."""
_SENTENCE_WORDS = frozenset(
    ["is", "must", "should", "cannot", "can't", "has", "does", "was", "may", "needs", "are", "will", "field"]
)
"""First words of a sentence about a secret, as in ``"password": "must have 8 characters"``."""
_WORDS_AFTER_FLAG = _SENTENCE_WORDS | {
    "flag", "flags", "option", "options", "argument", "parameter", "to", "and", "or", "if", "for", "in", "with", "from",
    "not", "which", "when", "on", "the", "a", "as",
}  # fmt: skip


def is_secret_name(name: str) -> bool:
    """Whether a name is that of a secret: ``DB_PASSWORD``, ``accessToken``, ``api key``."""
    return bool(_SECRET_NAME_PATTERN.search(name[-80:].casefold()))


def mask_named_values(text: str) -> str:
    """Mask the values after a secret's name."""
    parts, done = [], 0
    for found in _NAME_PATTERN.finditer(text):
        if found.start() < done or not is_secret_name(_full_name(found)):
            continue
        value = _VALUE_PATTERN.match(text, found.end())
        if value is None or (found[3] == ">" and text[found.start() - 1 : found.start()] != "<"):
            continue
        start, end = _value_span(value)
        if _is_secret_value(found, value, text[start:end], text[end : end + 8]):
            parts += [text[done:start], MASK]
            done = _value_end(value, end)
    return "".join(parts) + text[done:]


def _full_name(found: re.Match[str]) -> str:
    """Return the name, with the word before it if it is just "key" or "id" (``API key``, ``session id``)."""
    name = found[1] or found[2]
    if name.casefold() not in ("key", "id"):
        return name
    return found.string[max(found.start() - 20, 0) : found.start()] + name


def _value_span(value: re.Match[str]) -> tuple[int, int]:
    """Return the start and end of the part of a value that is examined."""
    if value[3] is None:
        return value.span(2)
    shorter = _VALUE_END_PATTERN.search(value[3])
    return value.start(3), value.start(3) + (shorter.start() if shorter else len(value[3]))


def _value_end(value: re.Match[str], end: int) -> int:
    """Return where a value ends; one longer than the examined part ends with its line or run of characters."""
    if end - value.start(2 if value[3] is None else 3) < MAX_JUDGED_CHARACTERS:
        return end
    rest = (_REST_OF_LINE if value[3] is None else _REST_OF_RUN).match(value.string, end)
    return rest.end() if rest else end


def _is_secret_value(found: re.Match[str], value: re.Match[str], content: str, after: str) -> bool:
    """Whether a value after a secret's name is the secret, and neither a state nor prose."""
    name, separator, quoted = _full_name(found), found[3] or "", value[3] is None
    folded = content.casefold().strip(" .,;:!?…*•")
    if not folded or folded in STATE_WORDS or (len(content) < 3 and not quoted):
        return False
    if found[1]:
        return quoted or folded not in _WORDS_AFTER_FLAG
    if name.casefold().endswith("pwd") and content.startswith(("/", "~")):  # the working directory
        return False
    if quoted and folded.partition(" ")[0] in _SENTENCE_WORDS:
        return False
    keyed = separator[0] in "\"'\\"  # the name is quoted
    if not keyed and _DOUBTFUL_NAME_PATTERN.search(name.casefold()):
        return _is_long_or_odd(content, separator)
    prose = not keyed and (separator.startswith("==") or re.fullmatch(r"[ \t]*:[ \t]+", separator))
    before = found.string[max(found.start() - 2, 0) : found.start()]
    amid = re.fullmatch(r"[^\W\d_][ \t]", before) or re.match(r"[\"'`]?[ \t]+[^\W\d_]", after)
    return not (prose and amid and is_prose(content))


def _is_long_or_odd(content: str, separator: str) -> bool:
    if content.isdigit() and len(content) < 6:
        return False
    return not reads_as_words(content, digits=False) or ("=" in separator and len(content) >= 16 and content.isalnum())
