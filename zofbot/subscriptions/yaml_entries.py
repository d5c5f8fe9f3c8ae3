"""An entry of the subscriptions file, and what is wrong in the file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from zofbot.domain.errors import BadInput
from zofbot.subscriptions.model import Subscription

FILE_VERSION = 1

FIELD_PATTERNS = {
    "channel": (r"[CGD][A-Z0-9]{2,30}", "a channel's id such as C0123456789, not its name"),
    "id": (r"[A-Za-z0-9_.:-]{1,64}", "an id: letters, digits, dots and dashes, 64 at most"),
    "by": (r"(?:[UW][A-Z0-9]{1,30})?", "the id of a person such as U0123456789"),
}


@dataclass(frozen=True)
class FileEntry:
    """A subscription in the file; missing fields are None. Lines count from 1, times are Unix seconds."""

    line: int
    channel: str
    subscription: Subscription
    id: str | None = None
    by: str | None = None
    by_name: str | None = None
    created: float | None = None


class InvalidFile(BadInput):
    """A subscription file that cannot be used; ``problems`` has a sentence for each, with file, line and field."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = list(problems)
