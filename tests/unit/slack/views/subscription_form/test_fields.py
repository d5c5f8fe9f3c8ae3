"""The form's fields for branches, tags, owners and the people of a failure."""

from __future__ import annotations

from typing import Any

from zofbot.slack.views.subscription_form.fields import basic_inputs, more_inputs
from zofbot.slack.views.subscription_form.form_parser import parse_form
from zofbot.subscriptions import format_filters, parse_filters

TYPED = 'branch:main,release-* tag:smoke owner:"cart team" mention:<@U0ANA>,author,owner'


def test_a_form_keeps_what_was_typed() -> None:
    start = parse_filters(TYPED)
    shown = [*basic_inputs(start, {}), *more_inputs(start, "UTC", {})]
    fields = {block["block_id"]: block["element"] for block in shown if block["type"] == "input"}
    assert fields["people"]["initial_users"] == ["U0ANA"]
    state: dict[str, Any] = {
        name: {name: {"value": fields[name].get("initial_value")}} for name in ("branch", "tag", "owner")
    }
    state["people"] = {"people": {"selected_users": fields["people"]["initial_users"]}}
    state["roles"] = {"roles": {"selected_options": fields["roles"]["initial_options"]}}
    state["on"] = {"on": {"selected_options": fields["on"]["initial_options"]}}
    filled = parse_form(state)
    assert not filled.errors
    assert format_filters(filled.subscription).removesuffix(" broadcast:never") == format_filters(start)
    assert format_filters(start) == TYPED.replace("U0ANA>,", "U0ANA>,")


def test_roles_are_no_ids_and_cannot_be_escalated_to() -> None:
    subscription = parse_filters("mention:OWNER,<!subteam^S1>")
    assert subscription.mention_ids == ("S1",)
    assert [role.value for role in subscription.mention_roles] == ["owner"]
    assert parse_filters("mention:@owner", ids={"owner": "S2"}).mention_ids == ("S2",)
