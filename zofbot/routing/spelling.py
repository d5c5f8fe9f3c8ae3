"""How a subscription is typed in Slack, and the way back: ``project:checkout env:production after:3/1h``."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from types import MappingProxyType
from typing import Any, NamedTuple, TypeVar

from zofbot import spans
from zofbot.domain.text import MAX_INPUT_CHARACTERS, clean_name, fold_name
from zofbot.errors import BadInput
from zofbot.routing.finding import On
from zofbot.routing.quiet import zone as known_zone
from zofbot.routing.subscription import After, Broadcast, Group, Layout, Quiet, Subscription
from zofbot.routing.words import bare, listed, quoted, shown, words
from zofbot.triage import Step
from zofbot.triage.times import DAYS, weekday
from zofbot.verbs import COMMAND

MOST_VALUES = 20
LONGEST_VALUE = 200
MOST_STEPS = 5
LONGEST_LIST = 3000
"""Characters of all values of one filter as a form shows them: Slack's fields take no more."""

EXAMPLES = {
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
"""Every filter with a value that can be copied."""

_ALIASES = {"environment": "env", "environments": "env", "projects": "project", "cases": "case", "mentions": "mention"}
_MENTION = re.compile(r"<(?:@(?P<user>[UW][A-Z0-9]{1,30})|!subteam\^(?P<group>S[A-Z0-9]{1,30}))(?:\|[^<>]*)?>")
_NAMED = re.compile(r"<(?P<sign>[@#])[A-Z0-9]+\|(?P<name>[^<>]+)>|<!subteam\^[A-Z0-9]+\|(?P<handle>[^<>]+)>")
_STEP = re.compile(r"([^<>→-]*)(?:->|→)(.+)")
_GROUPED_DAYS = {"weekdays": "mon-fri", "weekends": "sat-sun", "weekend": "sat-sun"}
_QUIET = re.compile(r"(\d{1,2}):?(\d{2})? ?[-–—] ?(\d{1,2}):?(\d{2})?")

_IN_A_ROW = re.compile(r"(\d{1,3})(?:[ -]?in[ -]a[ -]row| ?/ ?row)", re.IGNORECASE)
_UNQUOTED_ROW = re.compile(r"\b(after:\d{1,3}) in a row(?=\s|$)", re.IGNORECASE)
"""``after:3 in a row`` as it is said."""

Word = TypeVar("Word", bound=StrEnum)

NOBODY: Mapping[str, str] = MappingProxyType({})


class Typist(NamedTuple):
    """What is known of where something was typed: the author's time zone, and the ids behind names, by ``name_key``."""

    zone: str = "UTC"
    ids: Mapping[str, str] = NOBODY


def parse(text: str, *, zone: str = "UTC", ids: Mapping[str, str] = NOBODY) -> Subscription:
    """Understand filters as ``read_input`` gives them, in any order, values quoted or not.

    ``zone`` is the time zone of whoever typed it; ``ids`` has the ids of user groups and people by ``name_key`` of what
    they are called. The result has no id, channel or owner yet. Raises BadInput with an example that can be copied.
    """
    if len(text) >= MAX_INPUT_CHARACTERS:
        raise _wrong("project", f"That has {MAX_INPUT_CHARACTERS:,} characters or more.", "Use globs such as `cart*`.")
    typist, told = Typist(zone, ids), dict[str, Any]()
    for typed in words(_UNQUOTED_ROW.sub(r"\1-in-a-row", text)):
        name, values = _filter(typed)
        value = _READ[name](values, typist)
        if name in told and (name == "broadcast" or not isinstance(value, tuple)):
            raise _wrong(name, f"`{name}:` is there twice.", "Leave one out: only one can count.")
        told[name] = told.get(name, ()) + value if isinstance(value, tuple) else value
        if isinstance(value, tuple) and len(told[name]) > MOST_VALUES:
            raise _wrong(name, f"`{name}:` has more than {MOST_VALUES} values.", "Use a glob such as `cart*`.")
        if isinstance(value, tuple) and len(shown(map(str, told[name]))) > LONGEST_LIST:
            raise _wrong(name, f"`{name}:` is longer than {LONGEST_LIST} characters.", "Use a glob such as `cart*`.")
    return Subscription(**told)


def name_key(name: str) -> str:
    """The key under which ``parse`` looks up the id of a person or a user group; an ``@`` in front may be left out."""
    return fold_name(name).removeprefix("@")


def names_somebody(text: str) -> bool:
    """Whether somebody is mentioned by name and not by id."""
    return "@" in _MENTION.sub("", text)


def spelled(subscription: Subscription) -> str:
    """The filters as they are typed; ``parse`` understands them as the same. Defaults are left out."""
    plain = Subscription()
    parts = [
        f"{name}:{write(getattr(subscription, name))}"
        for name, write in _WRITE.items()
        if getattr(subscription, name) != getattr(plain, name)
    ]
    return " ".join(parts)


def _filter(typed: str) -> tuple[str, list[str]]:
    name, colon, rest = typed.partition(":")
    name = name.lower()
    known = name if name in EXAMPLES else _ALIASES.get(name, "")
    if not known:
        raise _unknown(typed, name, colon)
    values = listed(rest)
    if not values:
        raise _wrong(known, f"`{known}:` has no value.", "Put one right behind the colon, without a space.")
    return known, values


def _unknown(typed: str, name: str, colon: str) -> BadInput:
    meant = _close(name, EXAMPLES)
    if colon and meant:
        return _wrong(meant, f"There is no filter `{_shown(name)}:`.", f"Did you mean `{meant}:`?")
    if colon:
        names = ", ".join(f"`{known}:`" for known in EXAMPLES)
        return _wrong("project", f"There is no filter `{_shown(name)}:`.", f"Filters are {names}.")
    shown = _shown(typed)
    return BadInput(
        f"`{shown}` stands alone.",
        f"Did you mean `project:{shown}`?",
        example=f"{COMMAND} subscribe project:{shown}",
        verb="subscribe",
    )


def _patterns(name: str) -> Callable[[list[str], Typist], tuple[str, ...]]:
    def read(values: list[str], typist: Typist) -> tuple[str, ...]:
        found = tuple(_NAMED.sub(_as_called, bare(value)) for value in values)
        if any(len(value) > LONGEST_VALUE for value in found):
            raise _wrong(name, f"A value of `{name}:` is longer than {LONGEST_VALUE} characters.", "Use a glob.")
        if any(not clean_name(value).strip("-\\ ") for value in found):
            raise _wrong(name, f"A value of `{name}:` is empty.", "Leave the filter out to mean everything.")
        return found

    return read


def _as_called(found: re.Match[str]) -> str:
    """A name that Slack took for a person's, a group's or a channel's, as it was typed."""
    return found["handle"] or f"{found['sign']}{found['name']}"


def _word(name: str, choices: type[Word]) -> Callable[[list[str], Typist], Word]:
    def read(values: list[str], typist: Typist) -> Word:
        if len(values) > 1:
            raise _wrong(name, f"`{name}:` takes one word.", f"Choose {_or(choices)}.")
        return _one_of(name, choices, values[0])

    return read


def _events(values: list[str], typist: Typist) -> tuple[On, ...]:
    return tuple(dict.fromkeys(_one_of("on", On, value) for value in values))


def _broadcasts(values: list[str], typist: Typist) -> tuple[Broadcast, ...]:
    found = tuple(dict.fromkeys(_one_of("broadcast", Broadcast, value) for value in values))
    if Broadcast.NEVER in found and len(found) > 1:
        raise _wrong("broadcast", "`never` stands alone.", "Leave it out, or leave out the others.")
    return found


def _one_of(name: str, choices: type[Word], value: str) -> Word:
    said = bare(value).lower()
    if said in list(choices):
        return choices(said)
    meant = _close(said, list(choices))
    step = f"Did you mean `{name}:{meant}`?" if meant else f"It can be {_or(choices)}."
    raise _wrong(name, f"`{_shown(value)}` is no value for `{name}:`.", step, f"{name}:{meant}" if meant else "")


def _after(values: list[str], typist: Typist) -> After:
    in_a_row = _IN_A_ROW.fullmatch(bare(values[0]))
    if in_a_row and len(values) == 1 and 2 <= int(in_a_row[1]) <= 100:
        return After(count=int(in_a_row[1]), in_a_row=True)
    found = re.fullmatch(r"(\d{1,3}) ?/ ?(.*)", bare(values[0]))
    count, window = (int(found[1]), _seconds(found[2])) if found else (0, 0)
    if len(values) > 1 or not 2 <= count <= 100 or not 1 <= window <= 7 * 86400:
        raise _wrong(
            "after",
            f"`{_shown(','.join(values))}` is not a count and a window.",
            "`after:3/1h` means from the third failure within an hour, `after:3-in-a-row` from the third in a row;"
            " 2 to 100, at most `7d`.",
        )
    return After(count=count, window=window)


def _seconds(typed: str) -> int:
    """Seconds of a duration, a unit alone being one of it (``after:3/h``); 0 for anything else."""
    return spans.read(f"1{typed}" if typed[:1].isalpha() else typed) or 0


def _mentions(values: list[str], typist: Typist) -> tuple[str, ...]:
    return tuple(dict.fromkeys(_mention(bare(value), typist.ids) for value in values))


def _mention(value: str, ids: Mapping[str, str]) -> str:
    found = _MENTION.fullmatch(value)
    identifier = (found["user"] or found["group"]) if found else ids.get(name_key(value))
    if identifier:
        return identifier
    if re.match(r"[<!@]*(?:channel|here|everyone)\b", value.lower()):
        raise _wrong("mention", "Alerts never mention a whole channel.", "Name people or a user group.")
    meant = _close(name_key(value), list(ids))
    guess = f"Did you mean `@{meant}`? " if meant else ""
    raise _wrong(
        "mention",
        f"`{_shown(value)}` is nobody Slack knows.",
        f"{guess}Type `@` and choose the person or user group from Slack's list, so that the name becomes a link.",
    )


def _quiet(values: list[str], typist: Typist) -> Quiet:
    """Hours, days of the week, ``critical`` and a time zone, in any order; each but the days at most once."""
    said = [bare(value) for value in values]
    hours = [found for value in said if (found := _QUIET.fullmatch(value))]
    days = [day for value in said for day in _weekdays(value)]
    rest = [value for value in said if not _QUIET.fullmatch(value) and not _weekdays(value)]
    zones = [value for value in rest if value.lower() != "critical"]
    start, end = (_minute(hours[0][1], hours[0][2]), _minute(hours[0][3], hours[0][4])) if hours else (0, 0)
    if len(hours) > 1 or len(zones) > 1 or max(start, end) >= 1440 or (start == end if hours else not days):
        raise _wrong(
            "quiet",
            f"`{_shown(','.join(values))}` is not a span of hours.",
            "`quiet:22:00-07:00` holds alerts overnight; `,sat,sun` behind it holds them all weekend, too, and "
            "`,critical` lets critical ones through.",
        )
    if len(set(days)) == len(DAYS):
        raise _wrong("quiet", "All seven days are quiet.", "Leave a day out, or end the subscription.")
    chosen = (zones or [typist.zone])[0]
    if known_zone(chosen) is None:
        raise _wrong("quiet", f"There is no time zone `{_shown(chosen)}`.", "Use a name such as `Europe/Berlin`.")
    return Quiet(start=start, end=end, days=tuple(sorted(set(days))), critical=len(rest) > len(zones), zone=chosen)


def _weekdays(typed: str) -> list[int]:
    """Days of the week, 0 for Monday: ``sat``, ``mon-fri``, ``weekends``; none for anything else."""
    first, dash, last = (part.strip() for part in _GROUPED_DAYS.get(typed.lower(), typed).partition("-"))
    start, end = weekday(first), weekday(last) if dash else weekday(first)
    if start is None or end is None or typed.lower().startswith("next "):
        return []
    return [(start + ahead) % 7 for ahead in range((end - start) % 7 + 1)]


def _minute(hours: str, minutes: str | None) -> int:
    """Minutes after midnight; far too many for what no clock shows."""
    return int(hours) * 60 + int(minutes or 0) if int(minutes or 0) < 60 else 1440


def _steps(values: list[str], typist: Typist) -> tuple[Step, ...]:
    """Times and whom they reach; a value without a time of its own reaches more people at the one before."""
    steps: list[tuple[int, list[str]]] = []
    for value in map(bare, values):
        found = _STEP.fullmatch(value)
        after = (spans.read(found[1]) or 0) if found else 0
        if (not found and not steps) or (found and not 1 <= after <= 7 * 86400):
            raise _wrong(
                "escalate",
                f"`{_shown(value)}` is not a time and a name.",
                "`escalate:15m->@oncall` mentions them after 15 minutes without an acknowledgement; at most `7d`.",
            )
        if found:
            steps.append((after, []))
        steps[-1][1].append(_mention((found[2] if found else value).strip(), typist.ids))
    if len(steps) > MOST_STEPS:
        raise _wrong("escalate", f"`escalate:` has more than {MOST_STEPS} steps.", "Leave some out.")
    return tuple(Step(after=after, mention=tuple(dict.fromkeys(whom))) for after, whom in sorted(steps))


def _spell_steps(steps: tuple[Step, ...]) -> str:
    return ",".join(f"{spans.spelled(step.after)}->{','.join(map(mentioned, step.mention))}" for step in steps)


def _reack(values: list[str], typist: Typist) -> int:
    seconds = _seconds(bare(values[0]))
    if len(values) > 1 or not 60 <= seconds <= 30 * 86400:
        raise _wrong(
            "reack",
            f"`{_shown(','.join(values))}` is not a time.",
            "`reack:4h` asks after four hours whether somebody is still on it; `1m` to `30d`.",
        )
    return seconds


_READ: dict[str, Callable[[list[str], Typist], Any]] = {
    "project": _patterns("project"),
    "env": _patterns("env"),
    "case": _patterns("case"),
    "on": _events,
    "group": _word("group", Group),
    "layout": _word("layout", Layout),
    "broadcast": _broadcasts,
    "after": _after,
    "mention": _mentions,
    "quiet": _quiet,
    "escalate": _steps,
    "reack": _reack,
}


def _clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


def spell_quiet(quiet: Quiet) -> str:
    """Quiet hours as they are typed: hours and days, ``critical`` where it is set, and always the zone."""
    return ",".join([spell_hours(quiet), *(["critical"] if quiet.critical else []), quiet.zone])


def spell_hours(quiet: Quiet) -> str:
    """The hours and the days alone: ``22:00-07:00,sat,sun``."""
    hours = [f"{_clock(quiet.start)}-{_clock(quiet.end)}"] if quiet.start != quiet.end else []
    return ",".join([*hours, *(DAYS[day][:3].lower() for day in quiet.days)])


def mentioned(identifier: str) -> str:
    """An id as Slack's mention of it, which notifies."""
    return f"<!subteam^{identifier}>" if identifier.startswith("S") else f"<@{identifier}>"


_WRITE: dict[str, Callable[[Any], str]] = {
    "project": quoted,
    "env": quoted,
    "case": quoted,
    "on": ",".join,
    "group": str,
    "layout": str,
    "broadcast": ",".join,
    "after": lambda after: (
        f"{after.count}-in-a-row" if after.in_a_row else f"{after.count}/{spans.spelled(after.window)}"
    ),
    "mention": lambda ids: ",".join(map(mentioned, ids)),
    "quiet": spell_quiet,
    "escalate": _spell_steps,
    "reack": spans.spelled,
}


def _wrong(name: str, sentence: str, step: str, instead: str = "") -> BadInput:
    return BadInput(sentence, step, example=_example(name, instead), verb="subscribe")


def _example(name: str, instead: str = "") -> str:
    return f"{COMMAND} subscribe {instead or EXAMPLES[name]}"


def _close(word: str, known: Sequence[str] | dict[str, str]) -> str:
    return next(iter(difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)), "")


def _or(choices: type[StrEnum]) -> str:
    return " or ".join(f"`{word.value}`" for word in choices)


def _shown(value: str) -> str:
    return re.sub(r"[`\s]+", " ", value)[:60].strip()
