"""Parse a failure text into message lines and stack frames, without logs, dumps and titles."""

from __future__ import annotations

import re
from typing import NamedTuple

from zofbot.alerting.failure_signature.message_lines import MessageLines, announces_calls, join_compared
from zofbot.alerting.failure_signature.noise import announces_output, strip_prefix, strip_runner_marks
from zofbot.alerting.failure_signature.python_text import has_traceback, is_pytest, read_pytest, read_traceback
from zofbot.alerting.failure_signature.stack_frames import (
    Frame,
    Origin,
    complete_frame,
    is_go_call,
    parse_frame,
    parse_go_call,
)
from zofbot.domain.redaction import MASK
from zofbot.domain.text import INVISIBLE_CHARACTERS

MAX_CHARACTERS = 16_000
"""Characters read, half of them from the end, as Python and Java name the cause last."""

MAX_LINES_READ = 240
"""Lines read, a third of them from the end."""

MAX_CHARACTERS_OF_A_LINE = 800
"""Characters of a line that patterns see, so that the cost of a text is linear in its lines."""

_TERMINAL = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?)|\[(?:\d{1,3};){0,3}\d{1,3}m"  # the escape may be lost
)
_INVISIBLE = re.compile(f"[{INVISIBLE_CHARACTERS}\x0b\x0c\x1c-\x1f\x85\u200c\u200d]")
_PRIVATE_KEY = re.compile(
    r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----.*?(?:-----END [A-Z ]{0,30}PRIVATE KEY-----|\Z)", re.DOTALL
)
_CLIPPED = re.compile(
    r"(?:…|\.{3}|[\[(…. ](?:\d+ (?:more )?(?:characters|chars|bytes|lines) )?(?:truncated|clipped|omitted|more)[\])]?)$"
)
_PAGE = re.compile(r"\s*<(?:!DOCTYPE html|html)", re.IGNORECASE)
_TAG = re.compile(r"<[^<>]{0,300}>")
_ENTITIES = (("&lt;", "<"), ("&gt;", ">"), ("&quot;", '"'), ("&#39;", "'"), ("&amp;", "&"))
_CAUSE = re.compile(r"(?:[Cc]aused by:?|\[cause\]:|Cause:|-+>|Root cause:)\s*")
_FAILED_TEST = re.compile(r"FAILED ([\w./-]{1,200}\.py)::([\w:]{1,200})")
_RUBY_HEAD = re.compile(r"[\w./@+~-]{1,200}\.rb:\d+:in [`'][^'\n]{1,100}': ")
_ERROR_TRACE = "Error Trace:"
_MAX_UNSORTED_LINES = 2


class FailureText(NamedTuple):
    """The message lines of a failure, and its frames, innermost first."""

    lines: list[str]
    frames: list[Frame]


def read_failure(text: str) -> FailureText:
    """Parse ``text`` as printed by pytest, Python, or any other tool."""
    lines = _split_lines(text)
    if is_pytest(lines):
        return FailureText(*read_pytest(lines))
    if has_traceback(lines):
        found = FailureText(*read_traceback(lines))
        if found.lines:
            return found
    return _OtherText(lines).read_text()


def _split_lines(text: str) -> list[str]:
    """Split a text into lines without colors, invisible characters and a truncated last line."""
    if len(text) > MAX_CHARACTERS:
        text = f"{text[: MAX_CHARACTERS // 2]}\n{text[-MAX_CHARACTERS // 2 :]}"
    if "\x1b" in text or "[" in text:
        text = _TERMINAL.sub("", text)
    if not (text.isascii() and text.isprintable()):
        text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\u2028", "\n").replace("\xa0", " ")
        text = _INVISIBLE.sub("", text)
    if "-----BEGIN" in text:
        text = _PRIVATE_KEY.sub(MASK, text)
    if "&" in text:
        for entity, character in _ENTITIES:
            text = text.replace(entity, character)
    if _PAGE.match(text):
        text = _TAG.sub("\n", text)
    if "\n" not in text and "\\n" in text:
        text = text.replace("\\n", "\n").replace("\\t", "\t")
    lines = strip_runner_marks(text.strip("\n").rstrip().split("\n"))
    if clipped := _CLIPPED.search(lines[-1][-60:]):
        whole = lines[-1][: len(lines[-1]) - len(clipped[0])]
        if len(lines) > 1:
            lines[-1:] = filter(None, [complete_frame(whole)])
        else:
            lines = [whole.rpartition(" ")[0] or whole]
    if len(lines) > MAX_LINES_READ:
        lines[MAX_LINES_READ * 2 // 3 : -MAX_LINES_READ // 3] = []
    return [line[:MAX_CHARACTERS_OF_A_LINE] for line in lines]


class _OtherText:
    """Parses JavaScript, Java, Go, C#, Ruby or plain text: a message, frames, then perhaps a cause with its own."""

    def __init__(self, lines: list[str]) -> None:
        self._source = lines
        self._message = MessageLines()
        self._lines: list[str] = []
        self._sections: list[list[Frame]] = [[]]

    def read_text(self) -> FailureText:
        """Parse up to the end, or to the start of captured output."""
        previous = ""
        for line in self._source:
            stripped = line.strip()
            if not stripped:
                self._message.end_paragraph()
                continue
            if self._lines and announces_output(stripped) and not announces_calls(stripped):
                break
            self._take_line(stripped, previous)
            previous = stripped
        if self._lines and is_go_call(self._lines[-1]):
            self._sections[-1].append(parse_go_call(self._lines.pop()))
        lines = self._lines or self._message.attempts[:_MAX_UNSORTED_LINES] or self._first_lines()
        frames = next(filter(_names_product, reversed(self._sections)), self._sections[0])
        return FailureText(list(join_compared(lines)), frames)

    def _take_line(self, line: str, previous: str) -> None:
        frames = self._sections[-1]
        if line.startswith("FAILED ") and (failed := _FAILED_TEST.match(line)):
            frames.append(Frame(failed[2], failed[1].rpartition("/")[2], Origin.TEST))
        head = _RUBY_HEAD.match(line) if not self._lines and ".rb:" in line else None
        if head:
            frames.extend(filter(None, [parse_frame(head[0].rstrip(": "))]))
            self._lines.append(line[head.end() :])
        elif frame := parse_frame(line, previous):
            if self._lines and self._lines[-1] == previous and is_go_call(previous):
                self._lines.pop()
            frames.append(frame)
            self._message.in_frames = True
        elif cause := _CAUSE.match(line):
            self._sections.append([])
            self._lines.append(line[cause.end() :])
            self._message.in_frames = True
        elif line.startswith(_ERROR_TRACE):
            frames.extend(filter(None, [parse_frame(line.removeprefix(_ERROR_TRACE).strip())]))
        else:
            self._lines.extend(self._message.take_line(line))

    def _first_lines(self) -> list[str]:
        """Return the first lines that are no frames, for a text with only lines that are otherwise left out."""
        stripped = filter(None, map(str.strip, self._source))
        lines = [line for line in stripped if not parse_frame(line)][:_MAX_UNSORTED_LINES]
        return [strip_prefix(line.lstrip("✗✕✘×● ")) or line for line in lines]


def _names_product(frames: list[Frame]) -> bool:
    return any(frame.origin is Origin.PRODUCT for frame in frames)
