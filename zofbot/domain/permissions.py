"""Permissions: people's roles, and the explanation for somebody who lacks one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, tzinfo
from enum import Enum, IntEnum

from zofbot.domain.text import format_mention

MAX_NAMED_IDS = 5
"""People and groups named in a refusal."""


class Role(IntEnum):
    """A person's role; each includes the ones before."""

    READER = 0
    """Looks things up."""
    RESPONDER = 1
    """Triages failures: acknowledges, assigns, snoozes, resolves; subscribes the channel they are in."""
    OPERATOR = 2
    """Starts and cancels runs in Zof."""
    ADMIN = 3
    """Reads traces, and retries undelivered messages of any channel."""


class Membership(Enum):
    """A person's relation to the workspace; only members can be more than readers."""

    MEMBER = "member"
    GUEST = "guest"
    EXTERNAL = "stranger"
    """From another organization, in a shared channel."""
    BOT = "bot"
    DEACTIVATED = "gone"
    """The account is deactivated."""
    UNKNOWN = "unknown"
    """Slack did not tell."""


@dataclass(frozen=True)
class Person:
    """A person in Slack, as far as Slack provided details."""

    id: str
    membership: Membership = Membership.MEMBER
    groups: frozenset[str] = frozenset()
    """Ids of the user groups with roles that they belong to."""
    admin: bool = False
    """Admin or owner of the workspace."""
    name: str = ""
    """Display name in Slack; not escaped."""
    zone: tzinfo = UTC
    doubt: str = ""
    """Why details are missing, and what to do about it; empty if none are."""


@dataclass(frozen=True)
class Roles:
    """Roles by ids of people (``U…``, ``W…``) and user groups (``S…``).

    Without responders every full member is one. Without operators every responder is one if ``runs`` is on; without
    ``runs`` nobody starts runs. Without admins the workspace's admins and owners are.
    """

    responders: frozenset[str] = frozenset()
    operators: frozenset[str] = frozenset()
    admins: frozenset[str] = frozenset()
    runs: bool = False
    """Whether runs may be started and cancelled from Slack at all."""

    @classmethod
    def from_settings(cls, responders: str = "", operators: str = "", admins: str = "", *, runs: bool = False) -> Roles:
        """Parse the settings' comma-separated lists of ids."""
        return cls(_split_ids(responders), _split_ids(operators), _split_ids(admins), runs)

    @property
    def group_ids(self) -> frozenset[str]:
        """The user groups among the ids, whose members have to be looked up."""
        return frozenset(
            responder for responder in self.responders | self.operators | self.admins if responder.startswith("S")
        )


def role_of(person: Person, roles: Roles) -> Role:
    """Return a person's highest role; only full members of the workspace are more than readers."""
    if person.membership is not Membership.MEMBER:
        return Role.READER
    ids = person.groups | {person.id}
    if ids & roles.admins or (person.admin and not roles.admins):
        return Role.ADMIN
    if ids & roles.operators:
        return Role.OPERATOR
    if roles.responders and not ids & roles.responders:
        return Role.READER
    return Role.OPERATOR if roles.runs and not roles.operators else Role.RESPONDER


def explain_refusal(needed: Role, person: Person, roles: Roles, tried: str = "") -> str | None:
    """Explain why a person lacks the role ``needed``, who has it, and what to do; return None if they have it.

    The text is mrkdwn, to be shown only to that person because it mentions others. It names what was ``tried`` (worded
    to follow "you cannot"), or else what the role is for.
    """
    action = tried or _ACTIONS_BY_ROLE[needed]
    if needed is Role.OPERATOR and not roles.runs:
        allows = "An operator can turn it on with `ZOFBOT_ALLOW_RUNS`."
        return f"You can't {action} here: starting and canceling runs from Slack is off. {allows}"
    if role_of(person, roles) >= needed:
        return None
    if person.membership in _REFUSED_MEMBERSHIPS:
        who = _REFUSED_MEMBERSHIPS[person.membership]
        return f"{who} can't {action} here. Ask a full member of this workspace."
    if person.doubt or person.membership is Membership.UNKNOWN:
        return f"You can't {action} right now: Slack didn't say who you are. {person.doubt}".strip()
    also = " You can also do it in Zof." if needed is Role.OPERATOR else ""
    return f"You can't {action} here. Ask {_describe_allowed(needed, roles)}.{also}"


_REFUSED_MEMBERSHIPS = {
    Membership.GUEST: "Guests of this workspace",
    Membership.EXTERNAL: "People of other organizations",
    Membership.BOT: "Bots and workflows",
    Membership.DEACTIVATED: "Deactivated accounts",
}
_ACTIONS_BY_ROLE = {
    Role.READER: "look things up",
    Role.RESPONDER: "work on failures",
    Role.OPERATOR: "start or cancel runs",
    Role.ADMIN: "look up traces and retry messages",
}


def _describe_allowed(needed: Role, roles: Roles) -> str:
    """Describe who has the role: those listed for it, else those listed as responders."""
    listed = {Role.RESPONDER: roles.responders, Role.OPERATOR: roles.operators, Role.ADMIN: roles.admins}
    if needed is Role.ADMIN and not roles.admins:
        return "an admin or owner of this workspace"
    chosen = sorted(listed[needed] or roles.responders)
    more = f" and {len(chosen) - MAX_NAMED_IDS} more" if len(chosen) > MAX_NAMED_IDS else ""
    return ", ".join(map(format_mention, chosen[:MAX_NAMED_IDS])) + more


def _split_ids(names: str) -> frozenset[str]:
    return frozenset(name for part in names.split(",") if (name := part.strip()))
