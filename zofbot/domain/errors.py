"""Everything that can go wrong, sorted by what the person or the caller should do next.

::

    ZofbotError
    ├── BadInput            what was typed or pressed cannot be used: say it differently
    ├── NotAllowed          the person may not do this: ask somebody who may
    ├── SettingsError       the bot cannot start like this: mend the named variables
    ├── StoreUnavailable    Redis does not answer: what needs it has to wait
    │   └── Outdated        a newer zofbot writes there: what needs the store is left to that one
    ├── ZofError            Zof did not give what was asked for
    │   ├── ZofUnavailable  try again later, perhaps at a known time
    │   │   └── ShareUsedUp one person has asked for too much in a minute
    │   ├── ZofRejected     trying again changes nothing until somebody mends something
    │   └── ZofUnreadable   it answered, but not in a form that can be read
    └── SlackError          Slack did not take what was sent
        ├── SlackDeferred   certainly not there: try again later
        ├── SlackRefused    certainly not there and never will be
        └── SlackUnknown    may be there: look before sending again
"""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar


class ZofbotError(Exception):
    """Something went wrong in zofbot.

    ``sentence`` says what happened and ``next_step`` what to do about it, both for a person.
    """

    def __init__(self, sentence: str, next_step: str = "") -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.next_step = next_step


class BadInput(ZofbotError):
    """What was typed cannot be used. ``example`` can be copied and works; ``verb`` is the verb it belongs to."""

    def __init__(self, sentence: str, next_step: str = "", *, example: str = "", verb: str = "") -> None:
        super().__init__(sentence, next_step)
        self.example = example
        self.verb = verb


class NotAllowed(ZofbotError):
    """The person may not do this. ``preview`` is mrkdwn: it mentions those who may."""


class SettingsError(ZofbotError):
    """A setting is missing or wrong; ``problems`` has one sentence for each."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class StoreUnavailable(ZofbotError):
    """The store (Redis) does not answer, or refuses to write."""

    reason = "does not answer"
    """What ``/readyz`` says of it, as the second half of a sentence."""


class OutdatedVersion(StoreUnavailable):
    """A newer zofbot has written to the store, and this one might misread or spoil it."""


class ZofError(ZofbotError):
    """Zof did not give what was asked for.

    ``request_id`` is the cleaned ``X-Request-SlackId`` of the last try, ``None`` when Zof returned none;
    ``status`` the HTTP status, ``None`` when there was no reply; ``message`` and ``code`` are Zof's own
    words, not yet escaped.
    """

    kind: ClassVar[str] = "zof"
    permission: str = ""
    """What the key lacks where that was the reason (HTTP 403) and is known, such as ``projects:read``."""

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
    """Zof is busy, slow or out of reach: try again later, at ``retry_at`` when Zof named a time."""

    kind = "unavailable"
    retry_at: datetime | None = None


class PersonalQuotaExceeded(ZofUnavailable):
    """One person has caused more requests than are theirs in a minute: Zof was not asked."""


class ZofRejected(ZofError):
    """Zof understood and said no: trying again changes nothing until somebody mends what the sentence names."""

    kind = "rejected"


class ZofUnreadable(ZofError):
    """Zof answered with something that is not the JSON it promises."""

    kind = "unreadable"


class SlackError(ZofbotError):
    """Slack did not take what was sent; ``reason`` is Slack's word, or ours where it had none."""

    status: int | None = None
    """Of Slack's reply; ``None`` when there was none."""

    def __init__(self, reason: str, sentence: str, next_step: str = "") -> None:
        super().__init__(sentence, next_step)
        self.reason = reason


class SlackDeferred(SlackError):
    """Certainly not there: try again after ``retry_after`` seconds."""

    retry_after: float = 1.0


class SlackRefused(SlackError):
    """Certainly not there and never will be until somebody mends what ``reason`` names."""


class SlackUnknown(SlackError):
    """It may be there: look before sending again."""
