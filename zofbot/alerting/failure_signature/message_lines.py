"""Select the lines of a failure that describe its cause."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from zofbot.alerting.failure_signature.noise import is_noise, strip_prefix

_ATTEMPT = re.compile(r"(?:[Aa]ttempt|[Rr]etry|[Tt]ry) #?\d+(?: ?(?:/|of) ?\d+)?(?: failed)?[:,.)-]*\s*")
_TAG = re.compile(r"<(?!\*>)/?[A-Za-z!?]")
_QUOTED_DATA = re.compile(
    r"""(?!["'{]*(?:error|message|code|reason|detail|type|status|field))(?:"[\w.@-]*"|'[\w.@-]*')(?:\s*(?:=>|:)\s.*|,?$)""",
    re.IGNORECASE,
)
_CALLS_FOLLOW = ("Call log:", "=========================== logs", "logs:")
_CHANGES_FOLLOW = (
    "- Expected", "+ Received", "+ Expected", "- Actual", "+ Actual", "Diff:", "diff:", "--- Expected",
)  # fmt: skip
_AWAITED = re.compile(r"waiting for .{0,200}?(?:[gG]etBy|locator|selector|[\"'])")
_HINDRANCE = re.compile(
    r"<[^<>]{1,200}>.{0,200}intercepts pointer events|element is not \w+|element is outside|was detached|not attached"
)
_CHANGE = re.compile(r"[-+]\s?(?![-+])\s*(.+)$")
_FIELD = re.compile(r"""["']?([A-Za-z_][\w.-]*)["']?\s*(?:=>|:|=)\s""")
_VALUE_ALONE = re.compile(r"(['\"])\w[\w -]{0,60}\1$")
_LABEL = re.compile(
    r"(?:[Ee]xpect(?:ed|ing)|[Rr]eceived|[Aa]ctual|[Bb]ut(?: was| got)?|[Gg]ot|[Ww]ant(?:ed)?|to (?:be )?equal(?: to)?"
    r"|to contain)\b[^:<]{0,30}[:<]"
)


class MessageLines:
    """Takes the lines of a text one by one, and yields what describes the cause."""

    def __init__(self) -> None:
        self.in_frames = False
        self.attempts: list[str] = []
        self._any = False
        self._first = ""
        self._in_calls = False
        self._in_changes = False
        self._awaited = False
        self._hindrance = False
        self._changed_field = ""

    def end_paragraph(self) -> None:
        """Handle an empty line, which ends a list of calls."""
        self._in_calls = False

    def take_line(self, line: str) -> Iterator[str]:
        """Yield the relevant part of a stripped line, if any."""
        if announces_calls(line):
            self._in_calls = True
        elif self._in_calls:
            yield from self._take_call(line)
        elif line.startswith(_CHANGES_FOLLOW):
            self._in_changes = True
        elif self._in_changes or (self._any and line[0] in "-+" and line[1:2] in (" ", "\t", "")):
            yield from self._take_change(line)
        elif not (self.in_frames and self._any):
            yield from self._take_message(line)

    def _take_message(self, line: str) -> Iterator[str]:
        line = strip_prefix(line)
        if attempt := _ATTEMPT.match(line):
            self.attempts.append(line[attempt.end() :])
            return
        if not line or is_noise(line) or (self._any and (_TAG.match(line) or _QUOTED_DATA.match(line))):
            return
        self._any = True
        self._first = self._first or line
        self._awaited = self._awaited or line.startswith("Locator: ")
        yield line

    def _take_call(self, line: str) -> Iterator[str]:
        """From a list of calls, yield the first awaited element and the first hindrance."""
        call = line.lstrip("-•· ").lstrip("0123456789×x ")
        if not self._awaited and _AWAITED.match(call):
            self._awaited = True
            if call.removeprefix("waiting for ") not in self._first:
                yield call
        elif not self._hindrance and (found := _HINDRANCE.search(call)):
            self._hindrance = True
            yield found[0]

    def _take_change(self, line: str) -> Iterator[str]:
        """From a difference, yield the first changed field with both values, or changed values without a field."""
        change = _CHANGE.match(line)
        field = _FIELD.match(change[1]) if change else None
        if change and field and self._changed_field in ("", field[1]):
            self._changed_field = field[1]
            yield "~ " + change[1].rstrip(",")
        elif change and not self._changed_field and _VALUE_ALONE.match(change[1]):
            yield f"~ == {change[1]}"


def announces_calls(line: str) -> bool:
    """Whether Playwright's list of calls follows ``line``."""
    return line.startswith(_CALLS_FOLLOW)


def join_compared(lines: Iterable[str]) -> Iterator[str]:
    """Join expected and actual values in one line, because only together they show whether they are status codes."""
    joined: list[str] = []
    for line in lines:
        if _LABEL.match(line):
            joined.append(line)
            continue
        if joined:
            yield " | ".join(joined)
            joined = []
        yield line
    if joined:
        yield " | ".join(joined)
