"""Roles: who may do what, and what somebody is told who may not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zofbot.domain.permissions import MAX_NAMED_IDS, Membership, Person, Role, Roles, explain_refusal, role_of
from zofbot.simulator.blockkit.mentions import find_unescaped

ANA, BEN, CHIOMA = (Person(name) for name in ("U0ANA", "U0BEN", "U0CHIOMA"))
BOSS = Person("U0BOSS", admin=True)
ON_CALL = Person("U0DAN", groups=frozenset({"S0ONCALL"}))

ids = st.frozensets(st.sampled_from(["U0ANA", "U0BEN", "S0ONCALL", "S0LEADS"]), max_size=3)
roles = st.builds(Roles, responders=ids, operators=ids, admins=ids, runs=st.booleans())
people = st.builds(
    Person,
    id=st.sampled_from(["U0ANA", "U0BEN", "U0CHIOMA"]),
    membership=st.sampled_from(Membership),
    groups=st.frozensets(st.sampled_from(["S0ONCALL", "S0LEADS"])),
    admin=st.booleans(),
    doubt=st.sampled_from(["", "Try again in a moment."]),
)


def test_with_no_lists_every_full_member_works_on_failures_and_the_workspaces_admins_are_ours() -> None:
    assert role_of(ANA, Roles()) is Role.RESPONDER
    assert role_of(BOSS, Roles()) is Role.ADMIN


def test_runs_are_nobodys_until_they_are_allowed_and_then_every_responders() -> None:
    assert role_of(ANA, Roles(runs=True)) is Role.OPERATOR
    only = Roles.from_settings(responders="U0BEN", runs=True)
    assert [role_of(person, only) for person in (ANA, BEN)] == [Role.READER, Role.OPERATOR]
    for person in (ANA, BOSS):
        assert "ZOFBOT_ALLOW_RUNS" in (
            explain_refusal(Role.OPERATOR, person, Roles(operators=frozenset({"U0ANA"}))) or ""
        )


def test_a_list_names_people_and_groups() -> None:
    listed = Roles.from_settings("S0ONCALL, U0BEN,", "U0ANA", "U0CHIOMA", runs=True)
    assert role_of(ON_CALL, listed) is Role.RESPONDER
    assert role_of(BEN, listed) is Role.RESPONDER
    assert role_of(ANA, listed) is Role.OPERATOR
    assert role_of(CHIOMA, listed) is Role.ADMIN
    assert role_of(BOSS, listed) is Role.READER, "the list replaces the workspace's admins"
    assert role_of(Person("U0EVE"), listed) is Role.READER
    assert listed.group_ids == {"S0ONCALL"}


@given(people, roles)
def test_nobody_but_a_full_member_is_more_than_a_reader(person: Person, given_roles: Roles) -> None:
    if person.membership is not Membership.MEMBER:
        assert role_of(person, given_roles) is Role.READER


@given(people, roles, st.sampled_from(["responders", "operators", "admins"]))
def test_being_listed_takes_no_role_away(person: Person, given_roles: Roles, name: str) -> None:
    listed = getattr(given_roles, name)
    if listed:
        more = Roles(**{**vars(given_roles), name: listed | {person.id}})
        assert role_of(person, more) >= role_of(person, given_roles)


@given(people, roles, st.sampled_from(Role))
def test_whoever_may_is_not_refused_and_whoever_may_not_is_told_why(
    person: Person, given_roles: Roles, needed: Role
) -> None:
    said = explain_refusal(needed, person, given_roles)
    off = needed is Role.OPERATOR and not given_roles.runs
    assert (said is None) == (role_of(person, given_roles) >= needed and not off)
    if said is not None:
        assert said.endswith(".")
        assert "  " not in said
        assert "Ask ." not in said
        assert not list(find_unescaped({"text": said}, {"U0ANA", "U0BEN", "S0ONCALL", "S0LEADS"}))


@pytest.mark.parametrize(
    ("person", "needed", "says"),
    [
        (ANA, Role.RESPONDER, "You can't work on failures here. Ask <!subteam^S0ONCALL>."),
        (
            ANA,
            Role.ADMIN,
            "You can't look up traces and retry messages here. Ask an admin or owner",
        ),
        (ON_CALL, Role.OPERATOR, "Ask <@U0BEN>. You can also do it in Zof."),
        (Person("U0G", Membership.GUEST), Role.RESPONDER, "Guests of this workspace can't work on failures here"),
        (Person("U0X", Membership.EXTERNAL), Role.ADMIN, "People of other organizations can't look up traces"),
        (Person("U0U", Membership.UNKNOWN, doubt="Try again."), Role.RESPONDER, "didn't say who you are. Try again."),
        (Person("U0U", doubt="It needs a scope."), Role.RESPONDER, "didn't say who you are. It needs a scope."),
    ],
)
def test_a_refusal_says_who_may_and_what_to_do(person: Person, needed: Role, says: str) -> None:
    listed = Roles.from_settings("S0ONCALL", "U0BEN", runs=True)
    assert says in (explain_refusal(needed, person, listed) or "")


def test_a_long_list_is_not_read_out() -> None:
    many = Roles(responders=frozenset(f"U0{number:03}" for number in range(40)))
    said = explain_refusal(Role.RESPONDER, ANA, many) or ""
    assert said.count("<@") == MAX_NAMED_IDS
    assert "and 35 more" in said
