"""The rule book: the subscriptions of all channels as one YAML file that people read, review and keep.

::

    version: 1
    channels:
      C0123456789:  # qa-alerts
        - filters: project:checkout env:production
          id: 5f1c0a9b7e21
          by: U0123456789
          by_name: Ana
          created: 2026-11-23T09:30:00Z

``filters`` are spelled as Slack delivers what is typed there: a name that holds ``&amp;`` or ``<http://…>`` itself is
escaped. The rest may be left out: it stays as it was, or is new.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import yaml

from zofbot.domain.text import escape_markup, read_input
from zofbot.errors import BadInput
from zofbot.routing.spelling import NOBODY, parse, spelled
from zofbot.routing.subscription import MOST, Subscription

VERSION = 1

HEAD = """\
# What zofbot tells which channel. `zofbot subscriptions import --plan FILE` shows what an edit of this would change.
# Filters are those of `/zof subscribe`; '' means all failures. A new entry needs nothing but its filters.
"""
_SHAPES = {
    "channel": (r"[CGD][A-Z0-9]{2,30}", "a channel's id such as C0123456789, not its name"),
    "id": (r"[A-Za-z0-9_.:-]{1,64}", "an id: letters, digits, dots and dashes, 64 at most"),
    "by": (r"(?:[UW][A-Z0-9]{1,30})?", "the id of a person such as U0123456789"),
}


@dataclass(frozen=True)
class Rule:
    """One subscription as the file has it; what it leaves out is None. Lines count from 1, times are Unix seconds."""

    line: int
    channel: str
    wish: Subscription
    id: str | None = None
    by: str | None = None
    by_name: str | None = None
    created: float | None = None


class Misread(BadInput):
    """A rule book that cannot be used; ``problems`` has one sentence each, with file, line and field."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = list(problems)


def render(subscriptions: Sequence[Subscription], names: Mapping[str, str]) -> str:
    """Write the file, which ``read`` understands as the same; ``names`` gives channels a comment.

    Channels stand in the order of their ids, subscriptions in the order in which Slack numbers them.
    """
    lines = [f"version: {VERSION}", "channels:" if subscriptions else "channels: {}"]
    for channel in sorted({one.channel for one in subscriptions}):
        name = "".join(filter(str.isprintable, names.get(channel, "")))
        lines.append(f"  {channel}:" + (f"  # {name}" if name else ""))
        mine = (one for one in subscriptions if one.channel == channel)
        for one in sorted(mine, key=lambda one: (one.created, one.id)):
            facts = [f"{field}: {_scalar(value)}" for field, value in entry(one).items()]
            lines += [f"    - {facts[0]}", *(f"      {fact}" for fact in facts[1:])]
    return HEAD + "\n".join(lines) + "\n"


def entry(subscription: Subscription) -> dict[str, str | float]:
    """One subscription as the file's entry, without its channel."""
    at = subscription.created
    told = datetime.fromtimestamp(at, UTC)
    exact = told.timestamp() == at
    return {
        "filters": escape_markup(spelled(subscription)),
        "id": subscription.id,
        "by": subscription.by,
        "by_name": subscription.by_name,
        "created": told.isoformat().replace("+00:00", "Z") if exact else at,
    }


def _scalar(value: str | float) -> str:
    """A value as YAML; what an editor would not show, or would show the wrong way around, is escaped."""
    if isinstance(value, str) and re.fullmatch(r"\d{4}-[\d:T.-]+Z", value):
        return value  # unquoted, as a time is usually written
    unicode = isinstance(value, float) or value.isprintable()
    written = yaml.safe_dump(value, allow_unicode=unicode, width=math.inf)
    return str(written).removesuffix("...\n").removesuffix("\n")


def read(source: bytes, name: str, ids: Mapping[str, str] = NOBODY) -> list[Rule]:
    """Understand a rule book called ``name``, in the file's order. Raises Misread with everything wrong in it.

    ``ids`` has the ids of user groups and people by name, as for ``parse``.
    """
    try:
        root = yaml.compose(source, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise Misread([f"{name}, line {line}: this is not YAML: {error.problem}."]) from None
    except (yaml.YAMLError, UnicodeError):
        raise Misread([f"{name} is not text in UTF-8 without control characters."]) from None
    except RecursionError:
        raise Misread([f"{name} is nested too deeply."]) from None
    reader = _Reader(name, ids)
    rules = reader.book(root)
    reader.compare(rules)
    if reader.problems:
        raise Misread(reader.problems)
    return rules


class _Reader:
    """Walks the parsed file and collects what is wrong; ``None`` stands for what could not be read."""

    def __init__(self, name: str, ids: Mapping[str, str]) -> None:
        self._name = name
        self._ids = ids
        self.problems: list[str] = []

    def _wrong(self, line: int, field: str, sentence: str) -> None:
        self.problems.append(f"{self._name}, line {line}, {field}: {sentence}")

    def book(self, root: yaml.Node | None) -> list[Rule]:
        if root is None:
            self.problems.append(f"{self._name} is empty; `channels: {{}}` would say that no channel is told anything.")
            return []
        top = self._mapping(root, "file", ("version", "channels"), needed=("version", "channels"))
        if "version" in top and self._text(top["version"], "version") != str(VERSION):
            self._wrong(_line(top["version"]), "version", f"this zofbot reads version {VERSION}.")
        channels = self._mapping(top["channels"], "channels", shape="channel") if "channels" in top else {}
        return [rule for channel, node in channels.items() for rule in self._channel(channel, node)]

    def _channel(self, channel: str, node: yaml.Node) -> list[Rule]:
        if not isinstance(node, yaml.SequenceNode):
            self._wrong(_line(node), channel, "it must be a list, each entry beginning with `- filters:`.")
            return []
        if len(node.value) > MOST:
            self._wrong(_line(node), channel, f"{len(node.value)} subscriptions are more than the {MOST} it may have.")
        return [rule for one in node.value if (rule := self._rule(channel, one))]

    def _rule(self, channel: str, node: yaml.Node) -> Rule | None:
        fields = self._mapping(node, channel, ("filters", "id", "by", "by_name", "created"), needed=("filters",))
        told = {field: self._text(value, field) for field, value in fields.items()}
        for field in ("id", "by"):
            if (value := told.get(field)) is not None:
                self._shaped(_line(fields[field]), field, value)
        wish = self._wish(fields["filters"], told["filters"]) if told.get("filters") is not None else None
        created = self._moment(fields["created"], told["created"]) if told.get("created") is not None else None
        if wish is None:
            return None
        return Rule(_line(node), channel, wish, told.get("id"), told.get("by"), told.get("by_name"), created)

    def _mapping(
        self, node: yaml.Node, where: str, known: Sequence[str] = (), needed: Sequence[str] = (), shape: str = ""
    ) -> dict[str, yaml.Node]:
        if not isinstance(node, yaml.MappingNode):
            self._wrong(_line(node), where, "it must be names and values, as in `zofbot subscriptions export`.")
            return {}
        found: dict[str, yaml.Node] = {}
        for key, value in node.value:
            name = key.value if isinstance(key, yaml.ScalarNode) else ""
            if name in found:
                self._wrong(_line(key), name, "it stands here twice.")
            elif not name or (known and name not in known):
                self._wrong(_line(key), name or where, f"there is no such field; there are {', '.join(known)}.")
            else:
                found[name] = value
            if shape:
                self._shaped(_line(key), shape, name)
        for name in needed:
            if name not in found:
                self._wrong(_line(node), name, "it is missing.")
        return found

    def _text(self, node: yaml.Node, field: str) -> str | None:
        if not isinstance(node, yaml.ScalarNode):
            self._wrong(_line(node), field, "it must be text.")
        elif node.tag == "tag:yaml.org,2002:null":
            self._wrong(_line(node), field, "it has no value; leave it out, or write '' for an empty one.")
        else:
            return str(node.value)
        return None

    def _wish(self, node: yaml.Node, typed: str | None) -> Subscription | None:
        try:
            return parse(read_input(typed or ""), ids=self._ids)
        except BadInput as error:
            self._wrong(_line(node), "filters", f"{error.sentence} {error.next_step}")
            return None

    def _moment(self, node: yaml.Node, told: str | None) -> float | None:
        try:
            at = float(told or "")
        except ValueError:
            at = _iso(told or "")
        if 0 <= at < 1e11:
            return at
        self._wrong(_line(node), "created", "it must be a time such as 2026-11-23T09:30:00Z.")
        return None

    def _shaped(self, line: int, field: str, value: str) -> None:
        shape, meaning = _SHAPES[field]
        if not re.fullmatch(shape, value):
            self._wrong(line, field, f"`{value[:60]}` is not {meaning}.")

    def compare(self, rules: Sequence[Rule]) -> None:
        """Find what is wrong only beside something else: one id twice, or the same wish twice in a channel."""
        lines: dict[str, int] = {}
        wishes = Counter((rule.channel, spelled(rule.wish)) for rule in rules)
        for rule in rules:
            if rule.id in lines:
                self._wrong(rule.line, "id", f"`{rule.id}` stands in line {lines[rule.id]} already.")
            elif rule.id is not None:
                lines[rule.id] = rule.line
            elif wishes[rule.channel, spelled(rule.wish)] > 1:
                self._wrong(rule.line, "filters", "the channel has another entry that says the same.")


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _iso(told: str) -> float:
    """The time in Unix seconds, UTC where no zone is named; one that cannot be meant where it is no time."""
    try:
        at = datetime.fromisoformat(told)
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return -1.0
