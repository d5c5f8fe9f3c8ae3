"""Exceptions, sorted by what the person or the caller should do next.

::

    ZofbotError
    ├── BadInput                      what was typed or pressed is not valid: correct it
    ├── NotAllowed                    the person lacks the permission: ask somebody who has it
    ├── SettingsError                 the bot cannot start: correct the named variables
    ├── StoreUnavailable              Redis does not answer: wait
    │   └── OutdatedVersion           a newer zofbot has written to the store: leave the work to that one
    ├── ZofError                      the request to Zof failed
    │   ├── ZofUnavailable            try again later, perhaps at a known time
    │   │   └── PersonalQuotaExceeded one person has caused too many requests in a minute
    │   ├── ZofRejected               do not retry until somebody has fixed the cause
    │   └── ZofUnreadable             Zof's reply cannot be parsed
    └── SlackError                    Slack did not accept what was sent
        ├── SlackDeferred             certainly not posted: try again later
        ├── SlackRefused              certainly not posted: do not retry
        └── SlackUnknown              may be posted: look before sending again
"""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar, Self


class ZofbotError(Exception):
    """Base class of zofbot's errors.

    ``sentence`` says what happened and ``next_step`` what to do about it, both for people.
    """

    def __init__(self, sentence: str, next_step: str = "") -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.next_step = next_step


class BadInput(ZofbotError):
    """What was typed is not valid. ``example`` works when copied; ``verb`` is the verb it is for."""

    def __init__(self, sentence: str, next_step: str = "", *, example: str = "", verb: str = "") -> None:
        super().__init__(sentence, next_step)
        self.example = example
        self.verb = verb


class NotAllowed(ZofbotError):
    """The person lacks the permission. ``sentence`` is mrkdwn: it mentions those who have it."""


class SettingsError(ZofbotError):
    """Settings are missing or wrong; ``problems`` has one sentence for each."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class StoreUnavailable(ZofbotError):
    """The store (Redis) does not answer, or refuses writes."""

    reason = "does not answer"
    """The reason that ``/readyz`` shows, as the second half of a sentence."""


class OutdatedVersion(StoreUnavailable):
    """A newer zofbot has written to the store, and this one might misread or corrupt it."""


class ZofError(ZofbotError):
    """A request to Zof failed.

    ``request_id`` is the cleaned ``X-Request-Id`` of the last attempt, ``None`` if Zof returned none; ``status`` the
    HTTP status, ``None`` without a reply; ``message`` and ``code`` are from Zof, not yet escaped.
    """

    kind: ClassVar[str] = "zof"
    permission: str = ""
    """The permission that the API key lacks (HTTP 403), if known, such as ``projects:read``."""

    def __init__(  # noqa: PLR0913  (each is one fact of the reply, and all have defaults)
        self,
        sentence: str,
        next_step: str = "",
        *,
        status: int | None = None,
        request_id: str | None = None,
        code: str | None = None,
        message: str | None = None,
        param: str | None = None,
    ) -> None:
        super().__init__(sentence, next_step)
        self.status = status
        self.request_id = request_id
        self.code = code
        self.message = message
        self.param = param


class ZofUnavailable(ZofError):
    """Zof is busy, slow or unreachable: try again later, at ``retry_at`` if Zof named a time."""

    kind = "unavailable"
    retry_at: datetime | None = None

    @property
    def is_quota_spent(self) -> bool:
        """Whether no request may be sent before ``retry_at``: Zof says so, or zofbot keeps the rest for commands."""
        return self.status == 429 or (self.status is None and self.retry_at is not None)


class PersonalQuotaExceeded(ZofUnavailable):
    """One person has used up their requests for a minute; Zof was not asked."""


class ZofRejected(ZofError):
    """Zof rejected the request: do not retry until somebody has fixed what ``sentence`` names."""

    kind = "rejected"


class ZofUnreadable(ZofError):
    """Zof's reply is not the JSON that it documents."""

    kind = "unreadable"


class SlackError(ZofbotError):
    """Slack did not accept what was sent; ``reason`` is Slack's error code, or our own if there was none."""

    outcome: ClassVar[str]
    """Its name in metrics, logs and traces."""
    status: int | None = None
    """HTTP status of Slack's reply; ``None`` without one."""

    def __init__(self, reason: str, sentence: str, next_step: str = "") -> None:
        super().__init__(sentence, next_step)
        self.reason = reason

    def with_sentence(self, sentence: str, next_step: str) -> Self:
        """Return this failure with a description of what failed for a person."""
        described = type(self)(self.reason, sentence, next_step)
        described.status = self.status
        return described


class SlackDeferred(SlackError):
    """Certainly not posted: try again after ``retry_after`` seconds."""

    outcome = "deferred"
    retry_after: float = 1.0


class SlackRefused(SlackError):
    """Certainly not posted: do not retry until somebody has fixed what ``reason`` names."""

    outcome = "refused"


class SlackUnknown(SlackError):
    """It may be posted: look before sending again."""

    outcome = "unknown"
