"""Parse and format a subscription as typed in Slack: ``project:checkout env:production after:3/1h``."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import StrEnum
from types import MappingProxyType
from typing import Any, NamedTuple, TypeVar

from zofbot.domain import durations
from zofbot.domain.commands import SLASH_COMMAND
from zofbot.domain.errors import BadInput
from zofbot.domain.text import MAX_INPUT_CHARACTERS, clean_name, fold_name, format_mention
from zofbot.subscriptions.case_history import CaseStanding
from zofbot.subscriptions.events import EventType
from zofbot.subscriptions.model import DEFAULT_EVENTS, Broadcast, Grouping, Layout, QuietHours, Subscription, Threshold
from zofbot.subscriptions.quiet_hours import find_zone
from zofbot.subscriptions.tokenizer import format_form_list, quote_list, split_list, split_words, unquote_value
from zofbot.triage import EscalationStep
from zofbot.triage.wake_times import DAY_NAMES, parse_weekday

MAX_VALUES = 20
MAX_VALUE_CHARACTERS = 200
MAX_ESCALATION_STEPS = 5
MAX_LIST_CHARACTERS = 3000
"""Characters of all values of one filter in a form's field; Slack accepts no more."""

FILTER_EXAMPLES = {
    "project": "project:checkout",
    "env": "env:production,-staging",
    "case": 'case:"cart total*"',
    "on": "on:failed,error,recovered",
    "group": "group:case",
    "layout": "layout:flat",
    "broadcast": "broadcast:relapse,recovered",
    "after": "after:3/1h",
    "mention": "mention:@ana",
    "quiet": "quiet:22:00-07:00,critical",
    "escalate": "escalate:15m->@oncall,45m->@leads",
    "reack": "reack:4h",
}
"""Every filter with an example that can be copied."""

MORE_EXAMPLES = ("on:new,flaky", "-on:known")
"""Further uses of filters that their examples do not show."""

_FAILURE_EVENTS = {EventType.FAILED, EventType.ERROR, EventType.PASSED_WITH_FAILURES}
_ALIASES = {"environment": "env", "environments": "env", "projects": "project", "cases": "case", "mentions": "mention"}
_MENTION = re.compile(r"<(?:@(?P<user>[UW][A-Z0-9]{1,30})|!subteam\^(?P<group>S[A-Z0-9]{1,30}))(?:\|[^<>]*)?>")
_NAMED = re.compile(r"<(?P<sign>[@#])[A-Z0-9]+\|(?P<name>[^<>]+)>|<!subteam\^[A-Z0-9]+\|(?P<handle>[^<>]+)>")
_STEP = re.compile(r"([^<>→-]*)(?:->|→)(.+)")
_GROUPED_DAYS = {"weekdays": "mon-fri", "weekends": "sat-sun", "weekend": "sat-sun"}
_QUIET = re.compile(r"(\d{1,2}):?(\d{2})? ?[-–—] ?(\d{1,2}):?(\d{2})?")

_IN_A_ROW = re.compile(r"(\d{1,3})(?:[ -]?in[ -]a[ -]row| ?/ ?row)", re.IGNORECASE)
_UNQUOTED_ROW = re.compile(r"\b(after:\d{1,3}) in a row(?=\s|$)", re.IGNORECASE)
"""``after:3 in a row`` without quotes."""

ChoiceT = TypeVar("ChoiceT", bound=StrEnum)

NO_IDS: Mapping[str, str] = MappingProxyType({})


class AuthorContext(NamedTuple):
    """What is known about the author: their time zone, and the ids of people and groups by ``name_key``."""

    zone: str = "UTC"
    ids: Mapping[str, str] = NO_IDS


def parse_filters(text: str, *, zone: str = "UTC", ids: Mapping[str, str] = NO_IDS) -> Subscription:
    """Parse filters as returned by ``read_input``, in any order, values quoted or not.

    ``zone`` is the author's time zone; ``ids`` has the ids of user groups and people by ``name_key``. The result has
    no id, channel or author yet. Raises BadInput with an example that can be copied.
    """
    if len(text) >= MAX_INPUT_CHARACTERS:
        raise _filter_error(
            "project", f"That has {MAX_INPUT_CHARACTERS:,} characters or more.", "Use globs such as `cart*`."
        )
    author, parsed = AuthorContext(zone, ids), dict[str, Any]()
    for typed in split_words(_UNQUOTED_ROW.sub(r"\1-in-a-row", text)):
        name, values = _split_filter(typed)
        value = _PARSERS[name](values, author)
        if name in parsed and (name == "broadcast" or not isinstance(value, tuple)):
            raise _filter_error(name, f"`{name}:` is there twice.", "Leave one out: only one can count.")
        parsed[name] = parsed.get(name, ()) + value if isinstance(value, tuple) else value
        if isinstance(value, tuple) and len(parsed[name]) > MAX_VALUES:
            raise _filter_error(name, f"`{name}:` has more than {MAX_VALUES} values.", "Use a glob such as `cart*`.")
        if isinstance(value, tuple) and len(format_form_list(map(str, parsed[name]))) > MAX_LIST_CHARACTERS:
            raise _filter_error(
                name, f"`{name}:` is longer than {MAX_LIST_CHARACTERS} characters.", "Use a glob such as `cart*`."
            )
    if "on" in parsed:
        parsed |= _sort_event_words(parsed["on"])
    return Subscription(**parsed)


def name_key(name: str) -> str:
    """Return the key under which ``parse_filters`` looks up the id of a person or user group, with or without ``@``."""
    return fold_name(name).removeprefix("@")


def has_named_mention(text: str) -> bool:
    """Whether somebody is mentioned by name instead of id."""
    return "@" in _MENTION.sub("", text)


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


def _split_filter(typed: str) -> tuple[str, list[str]]:
    name, colon, rest = typed.partition(":")
    name = name.lower()
    known = "on" if name == "-on" else canonical_filter(name)
    if not known:
        raise _unknown_filter(typed, name, colon)
    values = split_list(rest)
    if not values:
        raise _filter_error(known, f"`{known}:` has no value.", "Put one right behind the colon, without a space.")
    return known, [f"-{value.removeprefix('-')}" for value in values] if name == "-on" else values


def canonical_filter(name: str) -> str:
    """Return the filter with that name or alias, or an empty string."""
    lower = name.lower()
    return lower if lower in FILTER_EXAMPLES else _ALIASES.get(lower, "")


def _unknown_filter(typed: str, name: str, colon: str) -> BadInput:
    suggestion = _closest_word(name, FILTER_EXAMPLES)
    if colon and suggestion:
        return _filter_error(
            suggestion, f"There is no filter `{_clip_input(name)}:`.", f"Did you mean `{suggestion}:`?"
        )
    if colon:
        names = ", ".join(f"`{known}:`" for known in FILTER_EXAMPLES)
        return _filter_error("project", f"There is no filter `{_clip_input(name)}:`.", f"Filters are {names}.")
    shown = _clip_input(typed)
    return BadInput(
        f"`{shown}` stands alone.",
        f"Did you mean `project:{shown}`?",
        example=f"{SLASH_COMMAND} subscribe project:{shown}",
        verb="subscribe",
    )


def _pattern_parser(name: str) -> Callable[[list[str], AuthorContext], tuple[str, ...]]:
    def parse_patterns(values: list[str], author: AuthorContext) -> tuple[str, ...]:
        found = tuple(_NAMED.sub(_name_as_typed, unquote_value(value)) for value in values)
        if any(len(value) > MAX_VALUE_CHARACTERS for value in found):
            raise _filter_error(
                name, f"A value of `{name}:` is longer than {MAX_VALUE_CHARACTERS} characters.", "Use a glob."
            )
        if any(not clean_name(value).strip("-\\ ") for value in found):
            raise _filter_error(name, f"A value of `{name}:` is empty.", "Leave the filter out to mean everything.")
        return found

    return parse_patterns


def _name_as_typed(found: re.Match[str]) -> str:
    """Return, as typed, a name that Slack turned into a link to a person, group or channel."""
    return found["handle"] or f"{found['sign']}{found['name']}"


def _choice_parser(name: str, choices: type[ChoiceT]) -> Callable[[list[str], AuthorContext], ChoiceT]:
    def parse_value(values: list[str], author: AuthorContext) -> ChoiceT:
        if len(values) > 1:
            raise _filter_error(name, f"`{name}:` takes one word.", f"Choose {_join_choices(choices)}.")
        return _parse_choice(name, choices, values[0])

    return parse_value


def _parse_event_words(values: list[str], author: AuthorContext) -> tuple[str, ...]:
    """Parse the words of ``on:``: events, and what failures are by their history, which ``-`` excludes."""
    return tuple(dict.fromkeys(_parse_event_word(unquote_value(value)) for value in values))


def _parse_event_word(value: str) -> str:
    if value.startswith("-"):
        return f"-{_check_choice('on', list(CaseStanding), value[1:])}"
    return _check_choice("on", [*EventType, *CaseStanding], value)


def _sort_event_words(words: Sequence[str]) -> dict[str, Any]:
    """Return the fields of a subscription that the words of ``on:`` set."""
    events = [EventType(word) for word in words if word in list(EventType)]
    wanted = [word for word in words if word in list(CaseStanding)]
    standings = [each for each in CaseStanding if each in (wanted or CaseStanding) and f"-{each}" not in words]
    if not standings:
        raise _filter_error("on", "`on:` leaves no failures.", "Exclude fewer of `new`, `known` and `flaky`.", "on:new")
    if events and len(standings) < len(CaseStanding) and not {*events} & _FAILURE_EVENTS:
        events += [EventType.FAILED, EventType.ERROR]
    return {"on": tuple(dict.fromkeys(events)) or DEFAULT_EVENTS, "standings": tuple(standings)}


def _parse_broadcasts(values: list[str], author: AuthorContext) -> tuple[Broadcast, ...]:
    found = tuple(dict.fromkeys(_parse_choice("broadcast", Broadcast, value) for value in values))
    if Broadcast.NEVER in found and len(found) > 1:
        raise _filter_error("broadcast", "`never` stands alone.", "Leave it out, or leave out the others.")
    return found


def _parse_choice(name: str, choices: type[ChoiceT], value: str) -> ChoiceT:
    return choices(_check_choice(name, list(choices), value))


def _check_choice(name: str, choices: Sequence[str], value: str) -> str:
    unquoted = unquote_value(value).lower()
    if unquoted in choices:
        return unquoted
    suggestion = _closest_word(unquoted, choices)
    step = f"Did you mean `{name}:{suggestion}`?" if suggestion else f"It can be {_join_choices(choices)}."
    raise _filter_error(
        name, f"`{_clip_input(value)}` is no value for `{name}:`.", step, f"{name}:{suggestion}" if suggestion else ""
    )


def _parse_threshold(values: list[str], author: AuthorContext) -> Threshold:
    in_a_row = _IN_A_ROW.fullmatch(unquote_value(values[0]))
    if in_a_row and len(values) == 1 and 2 <= int(in_a_row[1]) <= 100:
        return Threshold(count=int(in_a_row[1]), in_a_row=True)
    found = re.fullmatch(r"(\d{1,3}) ?/ ?(.*)", unquote_value(values[0]))
    count, window = (int(found[1]), _parse_seconds(found[2])) if found else (0, 0)
    if len(values) > 1 or not 2 <= count <= 100 or not 1 <= window <= 7 * 86400:
        raise _filter_error(
            "after",
            f"`{_clip_input(','.join(values))}` is not a count and a window.",
            "`after:3/1h` means from the third failure within an hour, `after:3-in-a-row` from the third in a row;"
            " 2 to 100, at most `7d`.",
        )
    return Threshold(count=count, window=window)


def _parse_seconds(typed: str) -> int:
    """Parse a duration in seconds, where a unit alone means one (``after:3/h``); return 0 for anything else."""
    return durations.try_parse_duration(f"1{typed}" if typed[:1].isalpha() else typed) or 0


def _parse_mentions(values: list[str], author: AuthorContext) -> tuple[str, ...]:
    return tuple(dict.fromkeys(_parse_mention(unquote_value(value), author.ids) for value in values))


def _parse_mention(value: str, ids: Mapping[str, str]) -> str:
    found = _MENTION.fullmatch(value)
    identifier = (found["user"] or found["group"]) if found else ids.get(name_key(value))
    if identifier:
        return identifier
    if re.match(r"[<!@]*(?:channel|here|everyone)\b", value.lower()):
        raise _filter_error("mention", "Alerts never mention a whole channel.", "Name people or a user group.")
    suggestion = _closest_word(name_key(value), list(ids))
    guess = f"Did you mean `@{suggestion}`? " if suggestion else ""
    raise _filter_error(
        "mention",
        f"`{_clip_input(value)}` is nobody Slack knows.",
        f"{guess}Type `@` and choose the person or user group from Slack's list, so that the name becomes a link.",
    )


def _parse_quiet_hours(values: list[str], author: AuthorContext) -> QuietHours:
    """Parse hours, days of the week, ``critical`` and a time zone, in any order; each but days at most once."""
    unquoted = [unquote_value(value) for value in values]
    hours = [found for value in unquoted if (found := _QUIET.fullmatch(value))]
    days = [day for value in unquoted for day in _parse_weekdays(value)]
    rest = [value for value in unquoted if not _QUIET.fullmatch(value) and not _parse_weekdays(value)]
    zones = [value for value in rest if value.lower() != "critical"]
    start, end = (
        (_minute_of_day(hours[0][1], hours[0][2]), _minute_of_day(hours[0][3], hours[0][4])) if hours else (0, 0)
    )
    if len(hours) > 1 or len(zones) > 1 or max(start, end) >= 1440 or (start == end if hours else not days):
        raise _filter_error(
            "quiet",
            f"`{_clip_input(','.join(values))}` is not a span of hours.",
            "`quiet:22:00-07:00` holds alerts overnight; `,sat,sun` behind it holds them all weekend, too, and "
            "`,critical` lets critical ones through.",
        )
    if len(set(days)) == len(DAY_NAMES):
        raise _filter_error("quiet", "All seven days are quiet.", "Leave a day out, or end the subscription.")
    chosen = (zones or [author.zone])[0]
    if find_zone(chosen) is None:
        raise _filter_error(
            "quiet", f"There is no time zone `{_clip_input(chosen)}`.", "Use a name such as `Europe/Berlin`."
        )
    return QuietHours(start=start, end=end, days=tuple(sorted(set(days))), critical=len(rest) > len(zones), zone=chosen)


def _parse_weekdays(typed: str) -> list[int]:
    """Parse days of the week (0 for Monday): ``sat``, ``mon-fri``, ``weekends``; return none for anything else."""
    first, dash, last = (part.strip() for part in _GROUPED_DAYS.get(typed.lower(), typed).partition("-"))
    start, end = parse_weekday(first), parse_weekday(last) if dash else parse_weekday(first)
    if start is None or end is None or typed.lower().startswith("next "):
        return []
    return [(start + ahead) % 7 for ahead in range((end - start) % 7 + 1)]


def _minute_of_day(hours: str, minutes: str | None) -> int:
    """Return minutes after midnight, or 1440 or more for an invalid time."""
    return int(hours) * 60 + int(minutes or 0) if int(minutes or 0) < 60 else 1440


def _parse_steps(values: list[str], author: AuthorContext) -> tuple[EscalationStep, ...]:
    """Parse escalation steps; a value without a time adds a person or group to the step before."""
    steps: list[tuple[int, list[str]]] = []
    for value in map(unquote_value, values):
        found = _STEP.fullmatch(value)
        after = (durations.try_parse_duration(found[1]) or 0) if found else 0
        if (not found and not steps) or (found and not 1 <= after <= 7 * 86400):
            raise _filter_error(
                "escalate",
                f"`{_clip_input(value)}` is not a time and a name.",
                "`escalate:15m->@oncall` mentions them after 15 minutes without an acknowledgement; at most `7d`.",
            )
        if found:
            steps.append((after, []))
        steps[-1][1].append(_parse_mention((found[2] if found else value).strip(), author.ids))
    if len(steps) > MAX_ESCALATION_STEPS:
        raise _filter_error("escalate", f"`escalate:` has more than {MAX_ESCALATION_STEPS} steps.", "Leave some out.")
    return tuple(EscalationStep(after=after, mention=tuple(dict.fromkeys(whom))) for after, whom in sorted(steps))


def _format_steps(steps: tuple[EscalationStep, ...]) -> str:
    return ",".join(
        f"{durations.format_duration(step.after)}->{','.join(map(format_mention, step.mention))}" for step in steps
    )


def _parse_reack(values: list[str], author: AuthorContext) -> int:
    seconds = _parse_seconds(unquote_value(values[0]))
    if len(values) > 1 or not 60 <= seconds <= 30 * 86400:
        raise _filter_error(
            "reack",
            f"`{_clip_input(','.join(values))}` is not a time.",
            "`reack:4h` asks after four hours whether somebody is still on it; `1m` to `30d`.",
        )
    return seconds


_PARSERS: dict[str, Callable[[list[str], AuthorContext], Any]] = {
    "project": _pattern_parser("project"),
    "env": _pattern_parser("env"),
    "case": _pattern_parser("case"),
    "on": _parse_event_words,
    "group": _choice_parser("group", Grouping),
    "layout": _choice_parser("layout", Layout),
    "broadcast": _parse_broadcasts,
    "after": _parse_threshold,
    "mention": _parse_mentions,
    "quiet": _parse_quiet_hours,
    "escalate": _parse_steps,
    "reack": _parse_reack,
}


def _format_clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


def format_quiet_hours(quiet: QuietHours) -> str:
    """Return quiet hours as typed: hours and days, ``critical`` if set, and always the zone."""
    return ",".join([format_hours(quiet), *(["critical"] if quiet.critical else []), quiet.zone])


def format_hours(quiet: QuietHours) -> str:
    """Return only hours and days: ``22:00-07:00,sat,sun``."""
    hours = [f"{_format_clock(quiet.start)}-{_format_clock(quiet.end)}"] if quiet.start != quiet.end else []
    return ",".join([*hours, *(DAY_NAMES[day][:3].lower() for day in quiet.days)])


_FORMATTERS: dict[str, Callable[[Any], str]] = {
    "project": quote_list,
    "env": quote_list,
    "case": quote_list,
    "on": ",".join,
    "group": str,
    "layout": str,
    "broadcast": ",".join,
    "after": lambda after: (
        f"{after.count}-in-a-row" if after.in_a_row else f"{after.count}/{durations.format_duration(after.window)}"
    ),
    "mention": lambda ids: ",".join(map(format_mention, ids)),
    "quiet": format_quiet_hours,
    "escalate": _format_steps,
    "reack": durations.format_duration,
}


def _filter_error(name: str, sentence: str, step: str, instead: str = "") -> BadInput:
    return BadInput(sentence, step, example=_example_command(name, instead), verb="subscribe")


def _example_command(name: str, instead: str = "") -> str:
    return f"{SLASH_COMMAND} subscribe {instead or FILTER_EXAMPLES[name]}"


def _closest_word(word: str, known: Sequence[str] | dict[str, str]) -> str:
    return next(iter(difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)), "")


def _join_choices(choices: Iterable[str]) -> str:
    return " or ".join(f"`{word}`" for word in map(str, choices))


def _clip_input(value: str) -> str:
    return re.sub(r"[`\s]+", " ", value)[:60].strip()
