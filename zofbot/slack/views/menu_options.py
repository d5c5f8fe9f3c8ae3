"""What the subscription form's menus offer while somebody types: projects and user groups (pure).

Slack has no menu of user groups (https://github.com/slackapi/deno-slack-sdk/issues/218), so both are menus of which
zofbot loads the options (https://docs.slack.dev/reference/block-kit/block-elements/multi-select-menu-element).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from zofbot.domain.model import Project
from zofbot.domain.text import fold_name
from zofbot.notifications import text
from zofbot.slack.views.blocks import Block, plain_text
from zofbot.subscriptions.patterns import is_glob, to_literal_pattern

PROJECTS_ACTION_ID, GROUPS_ACTION_ID = "projects", "groups"
"""``action_id`` and ``block_id`` of the menus."""

MAX_OPTIONS = 100
"""Options that Slack takes (https://docs.slack.dev/reference/interaction-payloads/block_suggestion-payload)."""

MAX_LABEL_CHARS, MAX_VALUE_CHARS = 75, 150
"""Characters of an option (https://docs.slack.dev/reference/block-kit/composition-objects/option-object)."""


def project_options(projects: Iterable[Project], typed: str) -> list[Block]:
    """The projects whose name or id holds what was typed, as patterns that include them."""
    known = sorted(
        {each.id: each for each in projects}.values(), key=lambda each: (fold_name(_project_name(each)), each.id)
    )
    twice = {name for name, number in Counter(fold_name(_project_name(each)) for each in known).items() if number > 1}
    found = []
    for each in known:
        if not _any_contains((each.name or "", each.id), typed):
            continue
        same = fold_name(_project_name(each)) in twice
        label = f"{_project_name(each)} ({each.id})" if same else _project_name(each)
        found.append(
            (to_literal_pattern(each.id if same or is_glob(_project_name(each)) else _project_name(each)), label)
        )
    return _build_options(found)


def group_options(handles: Mapping[str, str], typed: str) -> list[Block]:
    """The user groups (id to handle) whose handle holds what was typed."""
    known = sorted(handles.items(), key=lambda each: (fold_name(each[1]), each[0]))
    return _build_options(
        (group, f"@{handle}") for group, handle in known if _any_contains((handle, group), typed.lstrip("@"))
    )


def external_menu(chosen: Sequence[Block], placeholder: str) -> Block:
    """A menu whose options are loaded as soon as it is opened, with what is ``chosen`` already."""
    element: Block = {
        "type": "multi_external_select",
        "min_query_length": 0,
        "placeholder": plain_text(placeholder, 150),
    }
    return element | ({"initial_options": list(chosen)} if chosen else {})


def group_initial_options(groups: Iterable[str], handles: Mapping[str, str]) -> list[Block]:
    """User groups that are chosen already; one of which the handle is not known is shown by its id."""
    return _build_options((group, f"@{handles[group]}" if group in handles else group) for group in groups)


def _project_name(project: Project) -> str:
    return project.name or project.id


def _any_contains(names: Iterable[str], typed: str) -> bool:
    wanted = fold_name(typed)
    return any(wanted in fold_name(name) for name in names)


def _build_options(found: Iterable[tuple[str, str]]) -> list[Block]:
    """Options by value and label, each value once; what Slack could not hold is left out."""
    labels = {
        value: text.clean_literal(label, MAX_LABEL_CHARS) for value, label in found if len(value) <= MAX_VALUE_CHARS
    }
    return [
        {"text": plain_text(label, MAX_LABEL_CHARS), "value": value} for value, label in labels.items() if label.strip()
    ][:MAX_OPTIONS]
