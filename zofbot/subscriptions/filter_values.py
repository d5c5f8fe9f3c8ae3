"""Parse the values of single filters: names, choices, thresholds, durations."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple, TypeVar

from zofbot.domain import durations
from zofbot.domain.text import clean_name
from zofbot.subscriptions.filter_errors import clip_input, closest_word, filter_error, join_choices
from zofbot.subscriptions.model import Broadcast, Threshold
from zofbot.subscriptions.tokenizer import unquote_value

MAX_VALUE_CHARACTERS = 200

_NAMED = re.compile(r"<(?P<sign>[@#])[A-Z0-9]+\|(?P<name>[^<>]+)>|<!subteam\^[A-Z0-9]+\|(?P<handle>[^<>]+)>")

_IN_A_ROW = re.compile(r"(\d{1,3})(?:[ -]?in[ -]a[ -]row| ?/ ?row)", re.IGNORECASE)

ChoiceT = TypeVar("ChoiceT", bound=StrEnum)

NO_IDS: Mapping[str, str] = MappingProxyType({})


class AuthorContext(NamedTuple):
    """What is known about the author: their time zone, and the ids of people and groups by ``name_key``."""

    zone: str = "UTC"
    ids: Mapping[str, str] = NO_IDS


def pattern_parser(name: str) -> Callable[[list[str], AuthorContext], tuple[str, ...]]:
    """Make the parser of names and globs for the filter ``name``."""

    def parse_patterns(values: list[str], author: AuthorContext) -> tuple[str, ...]:
        found = tuple(_NAMED.sub(_name_as_typed, unquote_value(value)) for value in values)
        if any(len(value) > MAX_VALUE_CHARACTERS for value in found):
            raise filter_error(
                name, f"A value of `{name}:` is longer than {MAX_VALUE_CHARACTERS} characters.", "Use a glob."
            )
        if any(not clean_name(value).strip("-\\ ") for value in found):
            raise filter_error(name, f"A value of `{name}:` is empty.", "Omit the filter to match everything.")
        return found

    return parse_patterns


def _name_as_typed(found: re.Match[str]) -> str:
    """Return, as typed, a name that Slack turned into a link to a person, group or channel."""
    return found["handle"] or f"{found['sign']}{found['name']}"


def choice_parser(name: str, choices: type[ChoiceT]) -> Callable[[list[str], AuthorContext], ChoiceT]:
    """Make the parser of one word out of ``choices`` for the filter ``name``."""

    def parse_value(values: list[str], author: AuthorContext) -> ChoiceT:
        if len(values) > 1:
            raise filter_error(name, f"`{name}:` takes one value.", f"Choose {join_choices(choices)}.")
        return _parse_choice(name, choices, values[0])

    return parse_value


def parse_broadcasts(values: list[str], author: AuthorContext) -> tuple[Broadcast, ...]:
    """Parse which thread replies also go to the channel. Raises BadInput."""
    found = tuple(dict.fromkeys(_parse_choice("broadcast", Broadcast, value) for value in values))
    if Broadcast.NEVER in found and len(found) > 1:
        raise filter_error("broadcast", "`never` can't be combined.", "Remove it, or remove the others.")
    return found


def _parse_choice(name: str, choices: type[ChoiceT], value: str) -> ChoiceT:
    return choices(check_choice(name, list(choices), value))


def check_choice(name: str, choices: Sequence[str], value: str) -> str:
    """Return the value in lower case if it is one of ``choices``. Raises BadInput."""
    unquoted = unquote_value(value).lower()
    if unquoted in choices:
        return unquoted
    suggestion = closest_word(unquoted, choices)
    step = f"Did you mean `{name}:{suggestion}`?" if suggestion else f"Use one of {join_choices(choices)}."
    raise filter_error(
        name, f"`{clip_input(value)}` isn't a value of `{name}:`.", step, f"{name}:{suggestion}" if suggestion else ""
    )


def parse_threshold(values: list[str], author: AuthorContext) -> Threshold:
    """Parse an ``after:`` threshold. Raises BadInput."""
    in_a_row = _IN_A_ROW.fullmatch(unquote_value(values[0]))
    if in_a_row and len(values) == 1 and 2 <= int(in_a_row[1]) <= 100:
        return Threshold(count=int(in_a_row[1]), in_a_row=True)
    found = re.fullmatch(r"(\d{1,3}) ?/ ?(.*)", unquote_value(values[0]))
    count, window = (int(found[1]), _parse_seconds(found[2])) if found else (0, 0)
    if len(values) > 1 or not 2 <= count <= 100 or not 1 <= window <= 7 * 86400:
        raise filter_error(
            "after",
            f"`after:` needs a count and a time, not `{clip_input(','.join(values))}`.",
            "Use `after:3/1h` for the third failure within an hour, `after:3-in-a-row` for the third in a row;"
            " 2 to 100, at most `7d`.",
        )
    return Threshold(count=count, window=window)


def _parse_seconds(typed: str) -> int:
    """Parse a duration in seconds, where a unit alone means one (``after:3/h``); return 0 for anything else."""
    return durations.try_parse_duration(f"1{typed}" if typed[:1].isalpha() else typed) or 0


def parse_reack(values: list[str], author: AuthorContext) -> int:
    """Parse after how many seconds to ask whether somebody is still on it. Raises BadInput."""
    seconds = _parse_seconds(unquote_value(values[0]))
    if len(values) > 1 or not 60 <= seconds <= 30 * 86400:
        raise filter_error(
            "reack",
            f"`{clip_input(','.join(values))}` isn't a duration.",
            "`reack:4h` checks back with the owner after four hours; `1m` to `30d`.",
        )
    return seconds
