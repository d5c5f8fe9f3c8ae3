"""The subscription form's menus of projects and user groups: what they offer, and what is chosen is kept."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.bot import RunningBot, each_transport, text_of, wait_until
from zofbot.domain.model import Project
from zofbot.simulator.blockkit import blocks
from zofbot.simulator.slack.model import UserGroup, View
from zofbot.slack.views import menu_options
from zofbot.slack.views.subscription_form import form_parser, modal
from zofbot.store.subscriptions import Subscriptions
from zofbot.subscriptions import Subscription, parse_filters

ANA, CHANNEL = "U0ANA", "C0QA"


async def open_subscription_form(bot: RunningBot) -> View:
    """Open the form with all its fields."""
    await bot.type_text("/zof subscribe")
    await wait_until(lambda: bool(bot.world.slack.modals.get(ANA)))
    view = bot.world.slack.modals[ANA][-1]
    await bot.simulator.people.press_element(ANA, {"action_id": modal.MORE_ACTION_ID}, view_id=view.id)
    await wait_until(lambda: "Add projects" in str(view.payload))
    return view


async def offered_options(bot: RunningBot, view: View, menu: str, typed: str = "") -> list[str]:
    return [each["text"]["text"] for each in await bot.simulator.people.load_options(ANA, view.id, menu, typed)]


async def saved_subscriptions(bot: RunningBot) -> list[Subscription]:
    return list(await Subscriptions(bot.app.store.keyspace).list_for_channel(CHANNEL))


def chosen_options(menu: str, *options: dict[str, Any]) -> dict[str, Any]:
    return {menu: {menu: {"type": "multi_external_select", "selected_options": list(options)}}}


@each_transport
async def test_projects_and_groups_are_offered_as_somebody_types(bot: RunningBot) -> None:
    view = await open_subscription_form(bot)
    assert await offered_options(bot, view, "projects") == ["checkout", "search"]
    assert await offered_options(bot, view, "projects", "CHECK") == ["checkout"]
    assert await offered_options(bot, view, "projects", "proj_sea") == ["search"], "an id finds its project, too"
    assert await offered_options(bot, view, "projects", "nothing like that") == []
    assert await offered_options(bot, view, "groups", "@onc") == ["@oncall-checkout"]
    assert await offered_options(bot, view, "escalate_groups_2") == ["@oncall-checkout"]


async def test_the_same_question_is_answered_again_and_zof_and_slack_are_asked_once(bot: RunningBot) -> None:
    view = await open_subscription_form(bot)
    for _ in range(3):
        assert await offered_options(bot, view, "projects", "c") == ["checkout", "search"]
        assert await offered_options(bot, view, "groups") == ["@oncall-checkout"]
    assert sum(call.path == "/projects" for call in bot.world.zof.calls) == 1
    assert sum(call.method == "usergroups.list" for call in bot.world.slack.calls) == 1


async def test_what_is_chosen_is_subscribed_and_shown_when_it_is_edited(bot: RunningBot) -> None:
    view = await open_subscription_form(bot)
    [project] = await bot.simulator.people.load_options(ANA, view.id, "projects", "check")
    [group] = await bot.simulator.people.load_options(ANA, view.id, "groups")
    pattern = {"project": {"project": {"type": "plain_text_input", "value": "shop-*"}}}
    await bot.simulator.people.submit_view(
        ANA, view.id, chosen_options("projects", project) | chosen_options("groups", group) | pattern
    )
    await wait_until(lambda: any("Over the last 7 days" in text_of(message) for message in bot.private_messages()))
    [subscription] = await saved_subscriptions(bot)
    assert (subscription.project, subscription.mention) == (("shop-*", "checkout"), ("S0ONCALL",))
    await bot.answer_text("/zof subscriptions")
    await bot.press_button(bot.private_messages()[-1], "zof_edit")
    await wait_until(lambda: bool(bot.world.slack.modals.get(ANA)))
    shown = bot.world.slack.modals[ANA][-1].payload["blocks"]
    fields = {block.get("block_id"): block.get("element", {}) for block in shown}
    assert fields["project"]["initial_value"] == "shop-*, checkout"
    assert fields["groups"]["initial_options"] == [group]


async def test_a_zof_that_is_slow_leaves_the_menu_empty_and_not_broken(bot: RunningBot) -> None:
    bot.world.zof.faults.delays["slow"] = 5
    bot.world.zof.faults.set_fault("slow", only="/projects")
    view = await open_subscription_form(bot)
    before = bot.world.clock.monotonic()
    assert await offered_options(bot, view, "projects") == []
    assert bot.world.clock.monotonic() - before < 3
    await bot.world.clock.sleep(10)
    assert await offered_options(bot, view, "projects") == ["checkout", "search"]


async def test_a_key_that_may_not_list_projects_leaves_the_pattern(bot: RunningBot) -> None:
    bot.world.zof.forbidden = {"projects"}
    view = await open_subscription_form(bot)
    assert await offered_options(bot, view, "projects") == []
    pattern = {"project": {"project": {"type": "plain_text_input", "value": "checkout"}}}
    await bot.simulator.people.submit_view(ANA, view.id, pattern)

    async def has_pattern() -> bool:
        return bool(await saved_subscriptions(bot))

    await wait_until(has_pattern)
    assert (await saved_subscriptions(bot))[0].project == ("checkout",)


async def test_without_the_scope_no_groups_are_offered_and_the_form_works(bot: RunningBot) -> None:
    bot.world.slack.scopes.discard("usergroups:read")
    view = await open_subscription_form(bot)
    assert await offered_options(bot, view, "groups") == []


async def test_of_many_groups_no_more_are_offered_than_slack_takes(bot: RunningBot) -> None:
    for number in range(150):
        bot.world.slack.groups[f"S1{number:03}"] = UserGroup(f"S1{number:03}", f"team-{number:03}", "Team", [])
    view = await open_subscription_form(bot)
    assert len(await offered_options(bot, view, "groups")) == 100
    assert await offered_options(bot, view, "groups", "team-149") == ["@team-149"]


# --- pure


def test_two_projects_of_one_name_are_told_apart_and_chosen_by_their_ids() -> None:
    projects = [Project(id="p1", name="shop"), Project(id="p2", name="Shop"), Project(id="p3")]
    found = menu_options.project_options(projects, "")
    assert [(each["text"]["text"], each["value"]) for each in found] == [
        ("p3", "p3"), ("shop (p1)", "p1"), ("Shop (p2)", "p2"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "value"),
    [("-odd", "\\-odd"), ("a*b", "p1"), ("x" * 200, None), ("<!channel> `*`", "p1"), ("a, b", "a, b")],
)
def test_a_name_becomes_the_pattern_that_means_it(name: str, value: str | None) -> None:
    found = menu_options.project_options([Project(id="p1", name=name)], "")
    assert [each["value"] for each in found] == ([value] if value else [])


@pytest.mark.parametrize(
    "wish",
    ["project:checkout", "project:checkout,shop-*,search", "project:shop-*,checkout", r"project:\-odd,-x", "",
     'project:"a, b",c mention:<!subteam^S1>,<@U1>', "project:" + "x" * 76, "project:<!channel>"],
)  # fmt: skip
def test_the_form_reads_back_what_it_was_filled_with(wish: str) -> None:
    start = parse_filters(wish)
    view = modal.build_modal(modal.SubscriptionFormState("C1", "", 1.0), "qa", start, handles={"S1": "leads"})
    assert blocks.find_problems(view, "modal") == []
    state: dict[str, Any] = {}
    for block in view["blocks"]:
        if element := block.get("element"):
            filled = {name.replace("initial", "selected"): value for name, value in element.items()}
            state[block["block_id"]] = {element["action_id"]: filled | {"value": element.get("initial_value")}}
    read = form_parser.parse_form(state)
    assert not read.errors
    assert (read.subscription.project, set(read.subscription.mention)) == (start.project, set(start.mention))
