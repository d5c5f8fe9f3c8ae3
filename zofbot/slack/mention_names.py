"""Names of the people and user groups that subscriptions mention by id."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

import structlog

from zofbot.domain.errors import SlackError, SlackRefused
from zofbot.domain.permissions import Person
from zofbot.slack.errors import UNKNOWN_USER_REASONS
from zofbot.slack.users import user_name
from zofbot.subscriptions.filter_people import name_key
from zofbot.subscriptions.tokenizer import quote_list

log = structlog.get_logger()

MAX_PEOPLE_NAMED = 40
"""Maximum people looked up for one subscription: Slack allows about 100 such calls a minute."""

_MENTION_PATTERN = re.compile(r"<(?:@|!subteam\^)([UWS][A-Z0-9]+)>")


class MentionNames:
    """Translates between ids and names; ``load_handles`` returns the handles of user groups by id."""

    def __init__(
        self,
        load_person: Callable[[str], Awaitable[Person]],
        fetch_user: Callable[[str], Awaitable[Mapping[str, Any]]],
        load_handles: Callable[[], Awaitable[dict[str, str]]],
    ) -> None:
        self._load_person = load_person
        self._fetch_user = fetch_user
        self._load_handles = load_handles

    async def with_names(self, filters: str) -> str:
        """Replace mentions in a subscription's text with names, because Slack shows ids within code formatting.

        People without a known name keep their id.
        """
        mentioned = set(_MENTION_PATTERN.findall(filters))
        groups = {item for item in mentioned if item.startswith("S")}
        people = await asyncio.gather(*(self._load_person(item) for item in mentioned - groups))
        names = {person.id: person.name for person in people if person.name} | (
            await self._load_handles() if groups else {}
        )
        return _MENTION_PATTERN.sub(lambda found: quote_list([f"@{names.get(found[1], found[1])}"]), filters)

    async def ids_by_name(self, known: Iterable[str] = ()) -> dict[str, str]:
        """Return the ids, by ``name_key``, of all user groups and of the people among ``known``.

        Ambiguous names are left out, as are people beyond the first ``MAX_PEOPLE_NAMED``.
        """
        asked = [each for each in dict.fromkeys(known) if not each.startswith("S")][:MAX_PEOPLE_NAMED]
        people = await asyncio.gather(*map(self._load_person, asked))
        named = [(name, identifier) for identifier, name in (await self._load_handles()).items()]
        named += [(person.name, person.id) for person in people if person.name]
        found: dict[str, set[str]] = {}
        for name, identifier in named:
            found.setdefault(name_key(name), set()).add(identifier)
        return {name: ids.pop() for name, ids in found.items() if len(ids) == 1}

    async def describe_unreachable(self, identifiers: Iterable[str]) -> str:
        """Return a sentence about the first of these that Slack cannot notify; empty if none is known."""
        said = await asyncio.gather(*map(self._unreachable_reason, identifiers))
        return next(filter(None, said), "")

    async def _unreachable_reason(self, identifier: str) -> str:
        if identifier.startswith("S"):
            groups = await self._load_handles()
            known = not groups or identifier in groups
            return "" if known else f"There is no user group `{identifier}`, or it is disabled."
        try:
            user = await self._fetch_user(identifier)
        except SlackRefused as error:
            is_unknown = error.reason in UNKNOWN_USER_REASONS
            return f"Slack knows nobody with the id `{identifier}`." if is_unknown else ""
        except SlackError as error:
            log.warning("person unknown", user=identifier, reason=error.reason)
            return ""
        name = user_name(identifier, user)
        return f"The account of {name} is deactivated." if user.get("deleted") else ""
