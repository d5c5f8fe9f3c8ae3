"""Composable validation rules for JSON; each rule is a generator of error messages.

A rule takes a value and its JSON pointer, and yields one sentence per violated limit, worded and
located as in Slack's own errors.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

Rule = Callable[[Any, str], Iterator[str]]

_URL = re.compile(r"https?://[^\s/?#]+[^\s]*", re.IGNORECASE)


def format_problem(where: str, what: str) -> str:
    """Format an error message with its JSON pointer."""
    return f"[ERROR] {what} [json-pointer:{where}]"


def string_rule(most: int, least: int = 1) -> Rule:
    """A string of ``least`` to ``most`` characters."""

    def check_string(value: Any, where: str) -> Iterator[str]:
        if not isinstance(value, str):
            yield format_problem(where, "must be a string")
        elif len(value) > most:
            yield format_problem(where, f"must be less than {most + 1} characters")
        elif len(value) < least:
            yield format_problem(where, f"must be more than {least - 1} characters")

    return check_string


def url_rule(most: int = 3000) -> Rule:
    """An absolute http or https address."""

    def check_url(value: Any, where: str) -> Iterator[str]:
        yield from string_rule(most)(value, where)
        if isinstance(value, str) and not _URL.fullmatch(value):
            yield format_problem(where, "must be a valid http or https URL")

    return check_url


def pattern_rule(pattern: str, what: str) -> Rule:
    """A string that matches the whole ``pattern``."""

    def check_pattern(value: Any, where: str) -> Iterator[str]:
        if not isinstance(value, str) or not re.fullmatch(pattern, value):
            yield format_problem(where, f"must be {what}")

    return check_pattern


def choice_rule(*allowed: str) -> Rule:
    """One of several strings."""

    def check_choice(value: Any, where: str) -> Iterator[str]:
        if value not in allowed:
            yield format_problem(where, f"must be one of {', '.join(allowed)}")

    return check_choice


def check_boolean(value: Any, where: str) -> Iterator[str]:
    """True or false."""
    if not isinstance(value, bool):
        yield format_problem(where, "must be a boolean")


def integer_rule(least: int, most: int) -> Rule:
    """An integer between two bounds."""

    def check_integer(value: Any, where: str) -> Iterator[str]:
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            yield format_problem(where, f"must be a whole number from {least} to {most}")

    return check_integer


def list_rule(rule: Rule, most: int, least: int = 1) -> Rule:
    """A list of ``least`` to ``most`` items that each satisfy ``rule``."""

    def check_list(value: Any, where: str) -> Iterator[str]:
        if not isinstance(value, list):
            yield format_problem(where, "must be an array")
            return
        if len(value) > most:
            yield format_problem(where, f"no more than {most} items allowed")
        if len(value) < least:
            yield format_problem(where, f"no fewer than {least} items allowed")
        for index, item in enumerate(value):
            yield from rule(item, f"{where}/{index}")

    return check_list


def check_object(value: Any, where: str) -> Iterator[str]:
    """Any object."""
    if not isinstance(value, dict):
        yield format_problem(where, "must be an object")


def check_nothing(value: Any, where: str) -> Iterator[str]:
    """No further rule."""
    yield from ()


@dataclass(frozen=True)
class ObjectRule:
    """An object: required fields, optional fields, and checks between them; any other field is an error."""

    needs: Mapping[str, Rule] = field(default_factory=dict)
    may: Mapping[str, Rule] = field(default_factory=dict)
    also: Rule = check_nothing

    def __call__(self, value: Any, where: str) -> Iterator[str]:
        if not isinstance(value, dict):
            yield format_problem(where, "must be an object")
            return
        for name in self.needs:
            if name not in value:
                yield format_problem(where, f"missing required field: {name}")
        for name, inner in value.items():
            rule = self.needs.get(name) or self.may.get(name)
            if rule is not None:
                yield from rule(inner, f"{where}/{name}")
            elif name != "type":
                yield format_problem(f"{where}/{name}", f"invalid additional property: {name}")
        yield from self.also(value, where)


def typed_rule(table: Mapping[str, Rule], what: str) -> Rule:
    """An object whose ``type`` chooses its rule."""

    def check_type(value: Any, where: str) -> Iterator[str]:
        kind = value.get("type") if isinstance(value, dict) else None
        rule = table.get(kind) if isinstance(kind, str) else None
        if rule is None:
            yield format_problem(where, f"unsupported type of {what}: {kind}")
        else:
            yield from rule(value, where)

    return check_type
