"""Read the subscriptions file, and name the line of each mistake."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import yaml

from zofbot.domain.errors import BadInput
from zofbot.domain.text import read_input
from zofbot.subscriptions.filters import format_filters, parse_filters
from zofbot.subscriptions.model import MAX_SUBSCRIPTIONS, Subscription
from zofbot.subscriptions.yaml_entries import FIELD_PATTERNS, FILE_VERSION, FileEntry


class YamlReader:
    """Reads the parsed file and collects problems; methods return ``None`` for what could not be read."""

    def __init__(self, name: str, ids: Mapping[str, str]) -> None:
        self._name = name
        self._ids = ids
        self.problems: list[str] = []

    def _add_problem(self, line: int, field: str, sentence: str) -> None:
        self.problems.append(f"{self._name}, line {line}, {field}: {sentence}")

    def read_entries(self, root: yaml.Node | None) -> list[FileEntry]:
        if root is None:
            self.problems.append(
                f"{self._name} is empty. `channels: {{}}` with `version: {FILE_VERSION}` removes all subscriptions."
            )
            return []
        top = self._read_mapping(root, "file", ("version", "channels"), needed=("version", "channels"))
        if "version" in top and self._read_text(top["version"], "version") != str(FILE_VERSION):
            self._add_problem(_line_number(top["version"]), "version", f"it must be {FILE_VERSION}.")
        channels = self._read_mapping(top["channels"], "channels", shape="channel") if "channels" in top else {}
        return [entry for channel, node in channels.items() for entry in self._read_channel(channel, node)]

    def _read_channel(self, channel: str, node: yaml.Node) -> list[FileEntry]:
        if not isinstance(node, yaml.SequenceNode):
            self._add_problem(_line_number(node), channel, "it must be a list of entries that start with `- filters:`.")
            return []
        if len(node.value) > MAX_SUBSCRIPTIONS:
            self._add_problem(
                _line_number(node),
                channel,
                f"{len(node.value)} subscriptions; a channel can have {MAX_SUBSCRIPTIONS}.",
            )
        return [entry for item in node.value if (entry := self._read_entry(channel, item))]

    def _read_entry(self, channel: str, node: yaml.Node) -> FileEntry | None:
        fields = self._read_mapping(node, channel, ("filters", "id", "by", "by_name", "created"), needed=("filters",))
        given = {field: self._read_text(value, field) for field, value in fields.items()}
        for field in ("id", "by"):
            if (value := given.get(field)) is not None:
                self._check_pattern(_line_number(fields[field]), field, value)
        subscription = (
            self._read_filters(fields["filters"], given["filters"]) if given.get("filters") is not None else None
        )
        created = self._read_time(fields["created"], given["created"]) if given.get("created") is not None else None
        if subscription is None:
            return None
        return FileEntry(
            _line_number(node), channel, subscription, given.get("id"), given.get("by"), given.get("by_name"), created
        )

    def _read_mapping(
        self, node: yaml.Node, where: str, known: Sequence[str] = (), needed: Sequence[str] = (), shape: str = ""
    ) -> dict[str, yaml.Node]:
        if not isinstance(node, yaml.MappingNode):
            self._add_problem(
                _line_number(node), where, "it must have names and values, as in `zofbot subscriptions export`."
            )
            return {}
        found: dict[str, yaml.Node] = {}
        for key, value in node.value:
            name = key.value if isinstance(key, yaml.ScalarNode) else ""
            if name in found:
                self._add_problem(_line_number(key), name, "it is here twice.")
            elif not name or (known and name not in known):
                self._add_problem(_line_number(key), name or where, f"unknown field. Use {', '.join(known)}.")
            else:
                found[name] = value
            if shape:
                self._check_pattern(_line_number(key), shape, name)
        for name in needed:
            if name not in found:
                self._add_problem(_line_number(node), name, "it is missing.")
        return found

    def _read_text(self, node: yaml.Node, field: str) -> str | None:
        if not isinstance(node, yaml.ScalarNode):
            self._add_problem(_line_number(node), field, "it must be text.")
        elif node.tag == "tag:yaml.org,2002:null":
            self._add_problem(_line_number(node), field, "it has no value. Leave it out, or write '' for an empty one.")
        else:
            return str(node.value)
        return None

    def _read_filters(self, node: yaml.Node, typed: str | None) -> Subscription | None:
        try:
            return parse_filters(read_input(typed or ""), ids=self._ids)
        except BadInput as error:
            self._add_problem(_line_number(node), "filters", f"{error.sentence} {error.next_step}")
            return None

    def _read_time(self, node: yaml.Node, text: str | None) -> float | None:
        try:
            at = float(text or "")
        except ValueError:
            at = _parse_iso_time(text or "")
        if 0 <= at < 1e11:
            return at
        self._add_problem(_line_number(node), "created", "it must be a time such as 2026-11-23T09:30:00Z.")
        return None

    def _check_pattern(self, line: int, field: str, value: str) -> None:
        shape, meaning = FIELD_PATTERNS[field]
        if not re.fullmatch(shape, value):
            self._add_problem(line, field, f"`{value[:60]}` is not {meaning}.")

    def check_duplicates(self, entries: Sequence[FileEntry]) -> None:
        """Report duplicates: the same id twice, or entries without id with the same filters in one channel."""
        lines: dict[str, int] = {}
        counts = Counter((entry.channel, format_filters(entry.subscription)) for entry in entries)
        for entry in entries:
            if entry.id in lines:
                self._add_problem(entry.line, "id", f"`{entry.id}` is already in line {lines[entry.id]}.")
            elif entry.id is not None:
                lines[entry.id] = entry.line
            elif counts[entry.channel, format_filters(entry.subscription)] > 1:
                self._add_problem(entry.line, "filters", "the channel has another entry with the same filters.")


def _line_number(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _parse_iso_time(text: str) -> float:
    """Parse a time as Unix seconds, in UTC unless it names a zone; return -1 for an invalid one."""
    try:
        at = datetime.fromisoformat(text)
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return -1.0
