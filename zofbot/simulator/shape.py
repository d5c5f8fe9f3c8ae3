"""Rules that JSON has to keep: small generators of complaints, put together like the thing they describe.

A rule takes a value and the JSON pointer where it stands, and yields one sentence per broken limit, worded and
located the way Slack words and locates its own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

Rule = Callable[[Any, str], Iterator[str]]

_URL = re.compile(r"https?://[^\s/?#]+[^\s]*", re.IGNORECASE)


def complaint(where: str, what: str) -> str:
    """One sentence with the place it is about."""
    return f"[ERROR] {what} [json-pointer:{where}]"


def string(most: int, least: int = 1) -> Rule:
    """A string of ``least`` to ``most`` characters."""

    def check(value: Any, where: str) -> Iterator[str]:
        if not isinstance(value, str):
            yield complaint(where, "must be a string")
        elif len(value) > most:
            yield complaint(where, f"must be less than {most + 1} characters")
        elif len(value) < least:
            yield complaint(where, f"must be more than {least - 1} characters")

    return check


def url(most: int = 3000) -> Rule:
    """An absolute http or https address."""

    def check(value: Any, where: str) -> Iterator[str]:
        yield from string(most)(value, where)
        if isinstance(value, str) and not _URL.fullmatch(value):
            yield complaint(where, "must be a valid http or https URL")

    return check


def matching(pattern: str, what: str) -> Rule:
    """A string that matches the whole ``pattern``."""

    def check(value: Any, where: str) -> Iterator[str]:
        if not isinstance(value, str) or not re.fullmatch(pattern, value):
            yield complaint(where, f"must be {what}")

    return check


def one_of(*allowed: str) -> Rule:
    """One of a few words."""

    def check(value: Any, where: str) -> Iterator[str]:
        if value not in allowed:
            yield complaint(where, f"must be one of {', '.join(allowed)}")

    return check


def boolean(value: Any, where: str) -> Iterator[str]:
    """True or false."""
    if not isinstance(value, bool):
        yield complaint(where, "must be a boolean")


def whole(least: int, most: int) -> Rule:
    """A whole number between two bounds."""

    def check(value: Any, where: str) -> Iterator[str]:
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            yield complaint(where, f"must be a whole number from {least} to {most}")

    return check


def many(rule: Rule, most: int, least: int = 1) -> Rule:
    """A list of ``least`` to ``most`` things that each keep ``rule``."""

    def check(value: Any, where: str) -> Iterator[str]:
        if not isinstance(value, list):
            yield complaint(where, "must be an array")
            return
        if len(value) > most:
            yield complaint(where, f"no more than {most} items allowed")
        if len(value) < least:
            yield complaint(where, f"no fewer than {least} items allowed")
        for index, item in enumerate(value):
            yield from rule(item, f"{where}/{index}")

    return check


def mapping(value: Any, where: str) -> Iterator[str]:
    """Any object."""
    if not isinstance(value, dict):
        yield complaint(where, "must be an object")


def nothing_more(value: Any, where: str) -> Iterator[str]:
    """No further rule."""
    yield from ()


@dataclass(frozen=True)
class Shape:
    """An object: the fields it must have, those it may have, and what holds between them. Any other field is wrong."""

    needs: Mapping[str, Rule] = field(default_factory=dict)
    may: Mapping[str, Rule] = field(default_factory=dict)
    also: Rule = nothing_more

    def __call__(self, value: Any, where: str) -> Iterator[str]:
        if not isinstance(value, dict):
            yield complaint(where, "must be an object")
            return
        for name in self.needs:
            if name not in value:
                yield complaint(where, f"missing required field: {name}")
        for name, inner in value.items():
            rule = self.needs.get(name) or self.may.get(name)
            if rule is not None:
                yield from rule(inner, f"{where}/{name}")
            elif name != "type":
                yield complaint(f"{where}/{name}", f"invalid additional property: {name}")
        yield from self.also(value, where)


def typed(table: Mapping[str, Rule], what: str) -> Rule:
    """An object whose ``type`` chooses its rule."""

    def check(value: Any, where: str) -> Iterator[str]:
        kind = value.get("type") if isinstance(value, dict) else None
        rule = table.get(kind) if isinstance(kind, str) else None
        if rule is None:
            yield complaint(where, f"unsupported type of {what}: {kind}")
        else:
            yield from rule(value, where)

    return check
