"""Options of the subscription form's menus while somebody types: projects and user groups (pure).

Slack has no user group menu (https://github.com/slackapi/deno-slack-sdk/issues/218), so both menus load their options
from zofbot (https://docs.slack.dev/reference/block-kit/block-elements/multi-select-menu-element).
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
STEP_GROUPS_ACTION_PREFIX = "escalate_groups_"
"""The same of an escalation step's menu of user groups, before the step's number."""

MAX_OPTIONS = 100
"""Maximum options (https://docs.slack.dev/reference/interaction-payloads/block_suggestion-payload)."""

MAX_LABEL_CHARS, MAX_VALUE_CHARS = 75, 150
"""Maximum lengths (https://docs.slack.dev/reference/block-kit/composition-objects/option-object)."""


def project_options(projects: Iterable[Project], typed: str) -> list[Block]:
    """Return the projects whose name or id contains ``typed``; the values are patterns that match them."""
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
    """Return the user groups (id to handle) whose handle or id contains ``typed``."""
    known = sorted(handles.items(), key=lambda each: (fold_name(each[1]), each[0]))
    return _build_options(
        (group, f"@{handle}") for group, handle in known if _any_contains((handle, group), typed.lstrip("@"))
    )


def external_menu(chosen: Sequence[Block], placeholder: str) -> Block:
    """Return a menu that loads its options when opened, with the initial options ``chosen``."""
    element: Block = {
        "type": "multi_external_select",
        "min_query_length": 0,
        "placeholder": plain_text(placeholder, 150),
    }
    return element | ({"initial_options": list(chosen)} if chosen else {})


def group_initial_options(groups: Iterable[str], handles: Mapping[str, str]) -> list[Block]:
    """Return initial options for user groups; one without a known handle is shown by its id."""
    return _build_options((group, f"@{handles[group]}" if group in handles else group) for group in groups)


def _project_name(project: Project) -> str:
    return project.name or project.id


def _any_contains(names: Iterable[str], typed: str) -> bool:
    wanted = fold_name(typed)
    return any(wanted in fold_name(name) for name in names)


def _build_options(found: Iterable[tuple[str, str]]) -> list[Block]:
    """Return options from values and labels, each value once; values that are too long for Slack are left out."""
    labels = {
        value: text.clean_literal(label, MAX_LABEL_CHARS) for value, label in found if len(value) <= MAX_VALUE_CHARS
    }
    return [
        {"text": plain_text(label, MAX_LABEL_CHARS), "value": value} for value, label in labels.items() if label.strip()
    ][:MAX_OPTIONS]
