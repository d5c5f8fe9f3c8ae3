"""Parse failures printed by pytest and the Python interpreter, which print the innermost frame last."""

from __future__ import annotations

import re

from zofbot.alerting.failure_signature.message_lines import MessageLines
from zofbot.alerting.failure_signature.noise import is_noise
from zofbot.alerting.failure_signature.stack_frames import Frame, parse_frame

MAX_LINES_OF_AN_EXCEPTION = 3

_PYTEST_MARKS = ("E  ", "E\t")
_TRACEBACK = "Traceback (most recent call last)"
_TYPE = re.compile(r"[A-Za-z_][\w.]*(?:Error|Exception|Failure|Timeout|Exit|Interrupt|Failed)\b")
_TYPE_ALONE = re.compile(r"\S+\.py:\d+: ([A-Za-z_][\w.]*)$")


def is_pytest(lines: list[str]) -> bool:
    """Whether the lines were printed by pytest."""
    return any(line.startswith(_PYTEST_MARKS) for line in lines)


def has_traceback(lines: list[str]) -> bool:
    """Whether the lines contain a Python traceback."""
    return any(_TRACEBACK in line for line in lines)


def read_pytest(lines: list[str]) -> tuple[list[str], list[Frame]]:
    """Return the lines that pytest marks with E, with their assertion and exception type, and the frames."""
    message_lines: list[str] = []
    frames: list[Frame] = []
    asserted = kind = ""
    message = MessageLines()
    for line in lines:
        stripped = line.strip()
        if line.startswith((">  ", ">\t")):
            source = stripped[1:].strip()
            asserted = source if source.startswith("assert ") else ""
        elif line.startswith(_PYTEST_MARKS):
            if asserted:
                message_lines.append(asserted)
                asserted = ""
            if len(stripped) > 1:
                message_lines.extend(message.take_line(stripped[1:].strip()))
        elif frame := parse_frame(stripped):
            if found := _TYPE_ALONE.match(stripped):
                kind = found[1]
                frame = frame._replace(function="")
            frames.append(frame)
    if kind and not any(_TYPE.match(line) for line in message_lines):
        message_lines.insert(0, kind)
    return message_lines, frames[::-1]


def read_traceback(lines: list[str]) -> tuple[list[str], list[Frame]]:
    """Return the first and last exceptions of a traceback, as one caused the other, and the frames of the first."""
    raised: list[list[str]] = []
    first: list[Frame] = []
    frames: list[Frame] = []
    inside = False
    for line in lines:
        stripped = line.strip()
        if _TRACEBACK in stripped:
            inside, frames = True, []
        elif inside and (frame := parse_frame(stripped)):
            frames.append(frame)
        elif inside and stripped and not line.startswith((" ", "\t", "|")):
            inside = False
            first = first or frames[::-1]
            raised.append([stripped])
        elif raised and not inside and stripped and len(raised[-1]) < MAX_LINES_OF_AN_EXCEPTION:
            raised[-1].extend(() if is_noise(stripped) else [stripped])
    said = [line for exception in dict.fromkeys(map(tuple, raised[:1] + raised[-1:])) for line in exception]
    return said, first or frames[::-1]
