"""The subscription file: the subscriptions of all channels as YAML, to review and keep under version control.

::

    version: 1
    channels:
      C0123456789:  # qa-alerts
        - filters: project:checkout env:production
          id: 5f1c0a9b7e21
          by: U0123456789
          by_name: Ana
          created: 2026-11-23T09:30:00Z

``filters`` are written as Slack delivers typed text: a name that itself contains ``&amp;`` or ``<http://…>`` is
escaped. The other fields are optional: left out, they keep their stored value, or get a new one.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import yaml

from zofbot.domain.text import escape_markup
from zofbot.subscriptions.filter_values import NO_IDS
from zofbot.subscriptions.filters import format_filters
from zofbot.subscriptions.model import Subscription
from zofbot.subscriptions.yaml_entries import FILE_VERSION, FileEntry, InvalidFile
from zofbot.subscriptions.yaml_reader import YamlReader

FILE_HEADER = """\
# Subscriptions by channel. After editing, `zofbot subscriptions import --plan FILE` shows what would change.
# Filters are those of `/zof subscribe`; '' means all failures. A new entry needs only filters.
"""


def render_yaml(subscriptions: Sequence[Subscription], names: Mapping[str, str]) -> str:
    """Render the file, so that ``parse_yaml`` reads it back; ``names`` adds channel names as comments.

    Channels are sorted by id, subscriptions as ``/zof subscriptions`` numbers them.
    """
    lines = [f"version: {FILE_VERSION}", "channels:" if subscriptions else "channels: {}"]
    for channel in sorted({subscription.channel for subscription in subscriptions}):
        name = "".join(filter(str.isprintable, names.get(channel, "")))
        lines.append(f"  {channel}:" + (f"  # {name}" if name else ""))
        mine = (subscription for subscription in subscriptions if subscription.channel == channel)
        for item in sorted(mine, key=lambda item: (item.created, item.id)):
            facts = [f"{field}: {_yaml_scalar(value)}" for field, value in file_entry(item).items()]
            lines += [f"    - {facts[0]}", *(f"      {fact}" for fact in facts[1:])]
    return FILE_HEADER + "\n".join(lines) + "\n"


def file_entry(subscription: Subscription) -> dict[str, str | float]:
    """Return a subscription's fields in the file, without its channel."""
    at = subscription.created
    created = datetime.fromtimestamp(at, UTC)
    exact = created.timestamp() == at
    return {
        "filters": escape_markup(format_filters(subscription)),
        "id": subscription.id,
        "by": subscription.by,
        "by_name": subscription.by_name,
        "created": created.isoformat().replace("+00:00", "Z") if exact else at,
    }


def _yaml_scalar(value: str | float) -> str:
    """Format a value as YAML, escaping characters that are invisible or change the text direction."""
    if isinstance(value, str) and re.fullmatch(r"\d{4}-[\d:T.-]+Z", value):
        return value  # unquoted, as a time is usually written
    unicode = isinstance(value, float) or value.isprintable()
    written = yaml.safe_dump(value, allow_unicode=unicode, width=math.inf)
    return str(written).removesuffix("...\n").removesuffix("\n")


def parse_yaml(source: bytes, name: str, ids: Mapping[str, str] = NO_IDS) -> list[FileEntry]:
    """Parse a subscription file, in file order; ``name`` is used in messages. Raises InvalidFile with all problems.

    ``ids`` has the ids of user groups and people by name, as for ``parse_filters``.
    """
    try:
        root = yaml.compose(source, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise InvalidFile([f"{name}, line {line}: not valid YAML: {error.problem}."]) from None
    except (yaml.YAMLError, UnicodeError):
        raise InvalidFile([f"{name} must be UTF-8 text without control characters."]) from None
    except RecursionError:
        raise InvalidFile([f"{name} is nested too deeply."]) from None
    reader = YamlReader(name, ids)
    entries = reader.read_entries(root)
    reader.check_duplicates(entries)
    if reader.problems:
        raise InvalidFile(reader.problems)
    return entries
