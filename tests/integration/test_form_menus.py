"""The subscription form's menus of projects and user groups: what they offer, and what is chosen is kept."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.bot import RunningBot, each_transport, text_of, until
from zofbot.model import Project
from zofbot.routing import Subscription, parse
from zofbot.simulator import blocks
from zofbot.simulator.entities import Group, View
from zofbot.slack import modals, suggestions
from zofbot.store.subscriptions import Subscriptions

ANA, CHANNEL = "U0ANA", "C0QA"


async def form(bot: RunningBot) -> View:
    await bot.type("/zof subscribe")
    await until(lambda: bool(bot.world.slack.modals.get(ANA)))
    return bot.world.slack.modals[ANA][-1]


async def offered(bot: RunningBot, view: View, menu: str, typed: str = "") -> list[str]:
    return [each["text"]["text"] for each in await bot.stage.people.suggest(ANA, view.id, menu, typed)]


async def kept(bot: RunningBot) -> list[Subscription]:
    return list(await Subscriptions(bot.app.store.client, "zofbot").of(CHANNEL))


def choice(menu: str, *options: dict[str, Any]) -> dict[str, Any]:
    return {menu: {menu: {"type": "multi_external_select", "selected_options": list(options)}}}


@each_transport
async def test_projects_and_groups_are_offered_as_somebody_types(bot: RunningBot) -> None:
    view = await form(bot)
    assert await offered(bot, view, "projects") == ["checkout", "search"]
    assert await offered(bot, view, "projects", "CHECK") == ["checkout"]
    assert await offered(bot, view, "projects", "proj_sea") == ["search"], "an id finds its project, too"
    assert await offered(bot, view, "projects", "nothing like that") == []
    assert await offered(bot, view, "groups", "@onc") == ["@oncall-checkout"]


async def test_the_same_question_is_answered_again_and_zof_and_slack_are_asked_once(bot: RunningBot) -> None:
    view = await form(bot)
    for _ in range(3):
        assert await offered(bot, view, "projects", "c") == ["checkout", "search"]
        assert await offered(bot, view, "groups") == ["@oncall-checkout"]
    assert sum(call.path == "/projects" for call in bot.world.zof.calls) == 1
    assert sum(call.method == "usergroups.list" for call in bot.world.slack.calls) == 1


async def test_what_is_chosen_is_subscribed_and_shown_when_it_is_edited(bot: RunningBot) -> None:
    view = await form(bot)
    [project] = await bot.stage.people.suggest(ANA, view.id, "projects", "check")
    [group] = await bot.stage.people.suggest(ANA, view.id, "groups")
    pattern = {"project": {"project": {"type": "plain_text_input", "value": "shop-*"}}}
    await bot.stage.people.submit(ANA, view.id, choice("projects", project) | choice("groups", group) | pattern)
    await until(lambda: any("Over the last 7 days" in text_of(message) for message in bot.private()))
    [subscription] = await kept(bot)
    assert (subscription.project, subscription.mention) == (("shop-*", "checkout"), ("S0ONCALL",))
    await bot.answer("/zof subscriptions")
    await bot.press(bot.private()[-1], "zof_edit")
    await until(lambda: bool(bot.world.slack.modals.get(ANA)))
    shown = bot.world.slack.modals[ANA][-1].payload["blocks"]
    fields = {block.get("block_id"): block.get("element", {}) for block in shown}
    assert fields["project"]["initial_value"] == "shop-*, checkout"
    assert fields["groups"]["initial_options"] == [group]


async def test_a_zof_that_is_slow_leaves_the_menu_empty_and_not_broken(bot: RunningBot) -> None:
    bot.world.zof.faults.delays["slow"] = 5
    bot.world.zof.faults.set("slow", only="/projects")
    view = await form(bot)
    before = bot.world.clock.monotonic()
    assert await offered(bot, view, "projects") == []
    assert bot.world.clock.monotonic() - before < 3
    await bot.world.clock.sleep(10)
    assert await offered(bot, view, "projects") == ["checkout", "search"]


async def test_a_key_that_may_not_list_projects_leaves_the_pattern(bot: RunningBot) -> None:
    bot.world.zof.forbidden = {"projects"}
    view = await form(bot)
    assert await offered(bot, view, "projects") == []
    pattern = {"project": {"project": {"type": "plain_text_input", "value": "checkout"}}}
    await bot.stage.people.submit(ANA, view.id, pattern)

    async def there() -> bool:
        return bool(await kept(bot))

    await until(there)
    assert (await kept(bot))[0].project == ("checkout",)


async def test_without_the_scope_no_groups_are_offered_and_the_form_works(bot: RunningBot) -> None:
    bot.world.slack.scopes.discard("usergroups:read")
    view = await form(bot)
    assert await offered(bot, view, "groups") == []


async def test_of_many_groups_no_more_are_offered_than_slack_takes(bot: RunningBot) -> None:
    for number in range(150):
        bot.world.slack.groups[f"S1{number:03}"] = Group(f"S1{number:03}", f"team-{number:03}", "Team", [])
    view = await form(bot)
    assert len(await offered(bot, view, "groups")) == 100
    assert await offered(bot, view, "groups", "team-149") == ["@team-149"]


# --- pure


def test_two_projects_of_one_name_are_told_apart_and_chosen_by_their_ids() -> None:
    projects = [Project(id="p1", name="shop"), Project(id="p2", name="Shop"), Project(id="p3")]
    found = suggestions.project_options(projects, "")
    assert [(each["text"]["text"], each["value"]) for each in found] == [
        ("p3", "p3"), ("shop (p1)", "p1"), ("Shop (p2)", "p2"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "value"),
    [("-odd", "\\-odd"), ("a*b", "p1"), ("x" * 200, None), ("<!channel> `*`", "p1"), ("a, b", "a, b")],
)
def test_a_name_becomes_the_pattern_that_means_it(name: str, value: str | None) -> None:
    found = suggestions.project_options([Project(id="p1", name=name)], "")
    assert [each["value"] for each in found] == ([value] if value else [])


@pytest.mark.parametrize(
    "wish",
    ["project:checkout", "project:checkout,shop-*,search", "project:shop-*,checkout", r"project:\-odd,-x", "",
     'project:"a, b",c mention:<!subteam^S1>,<@U1>', "project:" + "x" * 76, "project:<!channel>"],
)  # fmt: skip
def test_the_form_reads_back_what_it_was_filled_with(wish: str) -> None:
    start = parse(wish)
    view = modals.subscribing(modals.Form("C1", "", 1.0), "qa", start, handles={"S1": "leads"})
    assert blocks.problems(view, "modal") == []
    state: dict[str, Any] = {}
    for block in view["blocks"]:
        if element := block.get("element"):
            filled = {name.replace("initial", "selected"): value for name, value in element.items()}
            state[block["block_id"]] = {element["action_id"]: filled | {"value": element.get("initial_value")}}
    read = modals.read(state)
    assert not read.errors
    assert (read.subscription.project, set(read.subscription.mention)) == (start.project, set(start.mention))
