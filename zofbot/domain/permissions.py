"""Who may do what: the roles of people, and the sentence for somebody who may not."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, tzinfo
from enum import Enum, IntEnum

from zofbot.domain.text import format_mention

MAX_NAMED_IDS = 5
"""How many of those who may are named to somebody who may not."""


class Role(IntEnum):
    """What somebody may do; each role may do what those before it may."""

    READER = 0
    """Looks things up."""
    RESPONDER = 1
    """Works on failures: acknowledges, assigns, snoozes, resolves; subscribes their own channel."""
    OPERATOR = 2
    """Starts and cancels runs in Zof."""
    ADMIN = 3
    """Sees and changes what belongs to any channel: subscriptions, outbox, trace."""


class Membership(Enum):
    """What somebody is in our workspace; only a member can be more than a reader."""

    MEMBER = "member"
    GUEST = "guest"
    EXTERNAL = "stranger"
    """Of another organization, in a channel shared with it."""
    BOT = "bot"
    DEACTIVATED = "gone"
    """Their account is switched off."""
    UNKNOWN = "unknown"
    """Slack would not say."""


@dataclass(frozen=True)
class Person:
    """Somebody in Slack, as far as Slack told."""

    id: str
    standing: Membership = Membership.MEMBER
    groups: frozenset[str] = frozenset()
    """Those of the user groups in question that they belong to."""
    admin: bool = False
    """Admin or owner of the workspace."""
    name: str = ""
    """As Slack shows it; not escaped."""
    zone: tzinfo = UTC
    doubt: str = ""
    """Why Slack did not say all of this, and what to do; empty when it did."""


@dataclass(frozen=True)
class Roles:
    """Who was given which role, by ids of people (``U…``, ``W…``) and user groups (``S…``).

    Without responders every full member is one. Without operators every responder is one, because whoever turned
    ``runs`` on meant it to be used; until then nobody runs anything. Without admins the workspace's own are meant.
    """

    responders: frozenset[str] = frozenset()
    operators: frozenset[str] = frozenset()
    admins: frozenset[str] = frozenset()
    runs: bool = False
    """Whether runs may be started and cancelled from Slack at all."""

    @classmethod
    def from_settings(cls, responders: str = "", operators: str = "", admins: str = "", *, runs: bool = False) -> Roles:
        """Read the settings' lists: ids with commas."""
        return cls(_split_ids(responders), _split_ids(operators), _split_ids(admins), runs)

    @property
    def group_ids(self) -> frozenset[str]:
        """The user groups whose members have to be known."""
        return frozenset(
            responder for responder in self.responders | self.operators | self.admins if responder.startswith("S")
        )


def role_of(person: Person, roles: Roles) -> Role:
    """The highest role that somebody has; nobody but a full member of the workspace is more than a reader."""
    if person.standing is not Membership.MEMBER:
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
    """Why somebody may not do what takes the role ``needed``, who may, and what to do; ``None`` when they may.

    The sentence is mrkdwn, for the person alone: it mentions those who may. It names what was ``tried``, as it
    follows "you cannot", or else all that the role is for.
    """
    deed = tried or _ACTIONS_BY_ROLE[needed]
    if needed is Role.OPERATOR and not roles.runs:
        allows = "An operator of zofbot can set `ZOFBOT_ALLOW_RUNS`."
        return f"You cannot {deed} here: runs are not started or cancelled from Slack. {allows}"
    if role_of(person, roles) >= needed:
        return None
    if person.standing in _REFUSED_MEMBERSHIPS:
        who = _REFUSED_MEMBERSHIPS[person.standing]
        return f"{who} can look things up here, but not {deed}. Ask a full member of this workspace."
    if person.doubt or person.standing is Membership.UNKNOWN:
        return f"You cannot {deed} right now, because Slack did not say who you are. {person.doubt}".strip()
    also = " You can also do it in Zof." if needed is Role.OPERATOR else ""
    return f"You cannot {deed} here: that is for {_describe_allowed(needed, roles)}. Ask one of them.{also}"


_REFUSED_MEMBERSHIPS = {
    Membership.GUEST: "Guests of this workspace",
    Membership.EXTERNAL: "People of other organizations",
    Membership.BOT: "Bots and workflows",
    Membership.DEACTIVATED: "Accounts that are switched off",
}
_ACTIONS_BY_ROLE = {
    Role.READER: "look things up",
    Role.RESPONDER: "work on failures",
    Role.OPERATOR: "start or cancel runs",
    Role.ADMIN: "see or change what belongs to other channels",
}


def _describe_allowed(needed: Role, roles: Roles) -> str:
    """Those who may, in words: who was listed for the role, or for a higher one."""
    listed = {Role.RESPONDER: roles.responders, Role.OPERATOR: roles.operators, Role.ADMIN: roles.admins}
    if needed is Role.ADMIN and not roles.admins:
        return "admins and owners of this workspace"
    chosen = sorted(listed[needed] or roles.responders)
    more = f" and {len(chosen) - MAX_NAMED_IDS} more" if len(chosen) > MAX_NAMED_IDS else ""
    return ", ".join(map(format_mention, chosen[:MAX_NAMED_IDS])) + more


def _split_ids(names: str) -> frozenset[str]:
    return frozenset(name for part in names.split(",") if (name := part.strip()))
