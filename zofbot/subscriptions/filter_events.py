"""Parse the words of ``on:``: events, and what failures are by the history of their cases (``new``, ``-known``)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from zofbot.subscriptions.case_history import CaseStanding
from zofbot.subscriptions.events import EventType
from zofbot.subscriptions.filter_errors import filter_error
from zofbot.subscriptions.filter_values import AuthorContext, check_choice
from zofbot.subscriptions.model import DEFAULT_EVENTS
from zofbot.subscriptions.tokenizer import unquote_value

EXCLUDED = "-on"
"""The filter that excludes failures by history: ``-on:known`` is ``on:-known``."""

_FAILURE_EVENTS = {EventType.FAILED, EventType.ERROR, EventType.PASSED_WITH_FAILURES}


def parse_event_words(values: list[str], author: AuthorContext) -> tuple[str, ...]:
    """Parse which events and failures a channel wants; ``-`` excludes failures by history. Raises BadInput."""
    return tuple(dict.fromkeys(_parse_word(unquote_value(value)) for value in values))


def _parse_word(value: str) -> str:
    if value.startswith("-"):
        return f"-{check_choice('on', list(CaseStanding), value[1:])}"
    return check_choice("on", [*EventType, *CaseStanding], value)


def sort_event_words(words: Sequence[str]) -> dict[str, Any]:
    """Return the fields of a subscription that all words of its ``on:`` set. Raises BadInput."""
    events = [EventType(word) for word in words if word in list(EventType)]
    wanted = [word for word in words if word in list(CaseStanding)]
    standings = [each for each in CaseStanding if each in (wanted or CaseStanding) and f"-{each}" not in words]
    if not standings:
        raise filter_error("on", "`on:` leaves no failures.", "Exclude fewer of `new`, `known` and `flaky`.", "on:new")
    if events and len(standings) < len(CaseStanding) and not {*events} & _FAILURE_EVENTS:
        events += [EventType.FAILED, EventType.ERROR]
    return {"on": tuple(dict.fromkeys(events)) or DEFAULT_EVENTS, "standings": tuple(standings)}
