"""Parse and format a subscription as typed in Slack: ``project:checkout env:production after:3/1h``."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from zofbot.domain import durations
from zofbot.domain.commands import SLASH_COMMAND
from zofbot.domain.errors import BadInput
from zofbot.domain.text import MAX_INPUT_CHARACTERS
from zofbot.subscriptions.filter_errors import FILTER_EXAMPLES, clip_input, closest_word, filter_error
from zofbot.subscriptions.filter_events import EXCLUDED, parse_event_words, sort_event_words
from zofbot.subscriptions.filter_people import (
    MENTION_PATTERN,
    format_escalation,
    format_mentions,
    parse_escalation,
    parse_mentions,
)
from zofbot.subscriptions.filter_values import (
    NO_IDS,
    AuthorContext,
    choice_parser,
    parse_broadcasts,
    parse_reack,
    parse_threshold,
    pattern_parser,
)
from zofbot.subscriptions.model import Grouping, Layout, Subscription
from zofbot.subscriptions.quiet_hours_parser import format_quiet_hours, parse_quiet_hours
from zofbot.subscriptions.tokenizer import format_form_list, quote_list, split_list, split_words

MAX_VALUES = 20

MAX_LIST_CHARACTERS = 3000
"""Characters of all values of one filter in a form's field; Slack accepts no more."""

_ALIASES = {
    "environment": "env", "environments": "env", "projects": "project", "cases": "case", "mentions": "mention",
    "branches": "branch", "tags": "tag", "label": "tag", "labels": "tag", "owners": "owner",
}  # fmt: skip

_UNQUOTED_ROW = re.compile(r"\b(after:\d{1,3}) in a row(?=\s|$)", re.IGNORECASE)
"""``after:3 in a row`` without quotes."""


def parse_filters(text: str, *, zone: str = "UTC", ids: Mapping[str, str] = NO_IDS) -> Subscription:
    """Parse filters as returned by ``read_input``, in any order, values quoted or not.

    ``zone`` is the author's time zone; ``ids`` has the ids of user groups and people by ``name_key``. The result has
    no id, channel or author yet. Raises BadInput with an example that can be copied.
    """
    if len(text) >= MAX_INPUT_CHARACTERS:
        raise filter_error(
            "project", f"That's too long: at most {MAX_INPUT_CHARACTERS:,} characters.", "Use globs such as `cart*`."
        )
    author, parsed = AuthorContext(zone, ids), dict[str, Any]()
    for typed in split_words(_UNQUOTED_ROW.sub(r"\1-in-a-row", text)):
        name, values = _split_filter(typed)
        value = _PARSERS[name](values, author)
        if name in parsed and (name == "broadcast" or not isinstance(value, tuple)):
            raise filter_error(name, f"`{name}:` is given twice.", "Remove one.")
        parsed[name] = parsed.get(name, ()) + value if isinstance(value, tuple) else value
        if isinstance(value, tuple) and len(parsed[name]) > MAX_VALUES:
            raise filter_error(name, f"`{name}:` has more than {MAX_VALUES} values.", "Use a glob such as `cart*`.")
        if isinstance(value, tuple) and len(format_form_list(map(str, parsed[name]))) > MAX_LIST_CHARACTERS:
            raise filter_error(
                name, f"`{name}:` is longer than {MAX_LIST_CHARACTERS} characters.", "Use a glob such as `cart*`."
            )
    if "on" in parsed:
        parsed |= sort_event_words(parsed["on"])
    return Subscription(**parsed)


def has_named_mention(text: str) -> bool:
    """Whether somebody is mentioned by name instead of id."""
    return "@" in MENTION_PATTERN.sub("", text)


def format_filters(subscription: Subscription) -> str:
    """Return the filters as typed, without defaults; ``parse_filters`` reads them back."""
    plain = Subscription()
    attributes = ((name, "event_words" if name == "on" else name) for name in _FORMATTERS)
    parts = [
        f"{name}:{_FORMATTERS[name](getattr(subscription, attribute))}"
        for name, attribute in attributes
        if getattr(subscription, attribute) != getattr(plain, attribute)
    ]
    return " ".join(parts)


def filters_text(subscription: Subscription) -> str:
    """Return the filters as typed, or "all failures" if there are none."""
    return format_filters(subscription) or "all failures"


def _split_filter(typed: str) -> tuple[str, list[str]]:
    name, colon, rest = typed.partition(":")
    name = name.lower()
    known = "on" if name == EXCLUDED else canonical_filter(name)
    if not known:
        raise _unknown_filter(typed, name, colon)
    values = split_list(rest)
    if not values:
        raise filter_error(known, f"`{known}:` has no value.", "Put one right after the colon, without a space.")
    return known, [f"-{value.removeprefix('-')}" for value in values] if name == EXCLUDED else values


def canonical_filter(name: str) -> str:
    """Return the filter with that name or alias, or an empty string."""
    lower = name.lower()
    return lower if lower in FILTER_EXAMPLES else _ALIASES.get(lower, "")


def _unknown_filter(typed: str, name: str, colon: str) -> BadInput:
    suggestion = closest_word(name, FILTER_EXAMPLES)
    if colon and suggestion:
        return filter_error(suggestion, f"Unknown filter `{clip_input(name)}:`.", f"Did you mean `{suggestion}:`?")
    if colon:
        names = ", ".join(f"`{known}:`" for known in FILTER_EXAMPLES)
        return filter_error("project", f"Unknown filter `{clip_input(name)}:`.", f"Filters are {names}.")
    shown = clip_input(typed)
    return BadInput(
        f"`{shown}` has no filter name.",
        f"Did you mean `project:{shown}`?",
        example=f"{SLASH_COMMAND} subscribe project:{shown}",
        verb="subscribe",
    )


_PARSERS: dict[str, Callable[[list[str], AuthorContext], Any]] = {
    "project": pattern_parser("project"),
    "env": pattern_parser("env"),
    "case": pattern_parser("case"),
    "branch": pattern_parser("branch"),
    "tag": pattern_parser("tag"),
    "owner": pattern_parser("owner"),
    "on": parse_event_words,
    "group": choice_parser("group", Grouping),
    "layout": choice_parser("layout", Layout),
    "broadcast": parse_broadcasts,
    "after": parse_threshold,
    "mention": parse_mentions,
    "quiet": parse_quiet_hours,
    "escalate": parse_escalation,
    "reack": parse_reack,
}

_FORMATTERS: dict[str, Callable[[Any], str]] = {
    "project": quote_list,
    "env": quote_list,
    "case": quote_list,
    "branch": quote_list,
    "tag": quote_list,
    "owner": quote_list,
    "on": ",".join,
    "group": str,
    "layout": str,
    "broadcast": ",".join,
    "after": lambda after: (
        f"{after.count}-in-a-row" if after.in_a_row else f"{after.count}/{durations.format_duration(after.window)}"
    ),
    "mention": format_mentions,
    "quiet": format_quiet_hours,
    "escalate": format_escalation,
    "reack": durations.format_duration,
}
