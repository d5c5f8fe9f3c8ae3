"""Extra fields of runs and results: what Zof may know about a failure under names that it does not document."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum
from typing import NamedTuple


class FieldType(StrEnum):
    """How a value is shown."""

    TEXT = "text"
    LINK = "link"
    IMAGE = "image"
    PERSON = "person"
    """An e-mail address."""


class ExtraField(NamedTuple):
    """A label, its type, and the paths at which Zof may have the value; the first with a value counts."""

    label: str
    type: FieldType
    paths: tuple[tuple[str, ...], ...]


class ExtraValue(NamedTuple):
    """The values of one label in a run or result, as Zof sent them."""

    label: str
    type: FieldType
    values: tuple[str, ...]


def parse_path(dotted: str) -> tuple[str, ...]:
    """Split a dotted path."""
    return tuple(dotted.split("."))


def _known_field(label: str, kind: FieldType, *paths: str) -> ExtraField:
    return ExtraField(label, kind, tuple(map(parse_path, paths)))


KNOWN_FIELDS = (
    _known_field("commit", FieldType.TEXT, "commit", "commit_sha", "commit.sha", "git.commit", "git.sha", "revision",
                 "trigger.commit", "metadata.commit"),
    _known_field("branch", FieldType.TEXT, "branch", "git.branch", "branch_name", "ref_name", "trigger.branch",
                 "metadata.branch"),
    _known_field("author_email", FieldType.PERSON, "author_email", "author.email", "commit.author.email",
                 "git.author_email", "git.author.email", "trigger.author_email", "metadata.author_email"),
    _known_field("pull_request", FieldType.LINK, "pull_request_url", "pull_request.url", "pull_request", "pr_url",
                 "git.pull_request_url", "metadata.pull_request_url"),
    _known_field("screenshot", FieldType.IMAGE, "screenshot_url", "screenshot.url", "screenshot", "screenshots",
                 "artifacts.screenshot", "failure.screenshot_url"),
    _known_field("video", FieldType.LINK, "video_url", "video.url", "video", "artifacts.video"),
    _known_field("trace", FieldType.LINK, "trace_url", "trace.url", "trace", "artifacts.trace"),
    _known_field("expected", FieldType.TEXT, "expected", "failure.expected", "error.expected"),
    _known_field("actual", FieldType.TEXT, "actual", "failure.actual", "error.actual"),
    _known_field("step", FieldType.TEXT, "failed_step", "step", "step.name", "failure.step", "failed_step.name"),
    _known_field("owner", FieldType.TEXT, "owner", "owner.email", "owner.name", "test_case.owner", "case.owner"),
    _known_field("tags", FieldType.TEXT, "tags", "labels", "test_case.tags", "metadata.tags"),
)  # fmt: skip
"""Labels with a meaning, and where their values are believed to be; ``ZOF_EXTRA_FIELDS`` replaces or adds some."""


_WHAT_HAPPENED = frozenset(("screenshot", "video", "trace", "expected", "actual", "step"))
"""Labels that describe a result, not the change or the case."""

FindOwners = Callable[[tuple[str, ...], str], tuple[str, ...]]
"""Finds the owners of a case: the names of its project, and its title, to e-mail addresses and names with ``@``."""


def no_owners(projects: tuple[str, ...], case: str) -> tuple[str, ...]:
    """Find nobody: there is no owners file."""
    return ()


class ExtraFields(NamedTuple):
    """The fields to read, and the first steps of their paths, which tell quickly that an object has none of them.

    ``find_owners`` finds a case's owners in the owners file; these count instead of Zof's.
    """

    fields: tuple[ExtraField, ...]
    roots: frozenset[str]
    find_owners: FindOwners = no_owners

    @classmethod
    def from_fields(cls, fields: Iterable[ExtraField]) -> ExtraFields:
        """Collect fields; of those with the same label, the last one counts."""
        chosen = tuple({field.label: field for field in fields}.values())
        return cls(chosen, frozenset(path[0] for field in chosen for path in field.paths))


DEFAULT_EXTRA_FIELDS = ExtraFields.from_fields(KNOWN_FIELDS)


def values_of(extras: Sequence[ExtraValue], label: str) -> tuple[str, ...]:
    """Return the values of a label; empty if there is none."""
    return next((extra.values for extra in extras if extra.label == label), ())


def has_image(extras: Sequence[ExtraValue]) -> bool:
    """Whether there is an image to show in a thread."""
    return any(extra.type is FieldType.IMAGE for extra in extras)


def merge_extras(*sources: Sequence[ExtraValue]) -> tuple[ExtraValue, ...]:
    """Join the extra fields of several objects; of those with the same label, the first counts."""
    found: dict[str, ExtraValue] = {}
    for extra in (extra for source in sources for extra in source):
        found.setdefault(extra.label, extra)
    return tuple(found.values())


def common_extras(sources: Sequence[Sequence[ExtraValue]]) -> tuple[ExtraValue, ...]:
    """Return what all of several results have with equal values, but nothing of what happened in them."""
    first = [extra for extra in sources[0] if extra.label not in _WHAT_HAPPENED] if sources else []
    return tuple(extra for extra in first if all(extra in source for source in sources[1:]))
