"""The manifest: what the file says is what the code needs, no more and no less."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from tests.support.paths import ROOT
from zofbot.config.manifest import (
    EMAIL_SCOPES,
    LINK_SCOPES,
    SCOPES,
    SCOPES_BY_EVENT,
    SCOPES_BY_METHOD,
    build_manifest,
    render_manifest,
)
from zofbot.domain.commands import SLASH_COMMAND

PACKAGE = ROOT / "zofbot"


def test_the_file_is_what_the_command_prints() -> None:
    assert (ROOT / "manifest.yml").read_text() == render_manifest()
    assert yaml.safe_load(render_manifest()) == build_manifest()


def called_methods() -> set[str]:
    """The methods that are called through the SDK, by its own names, or posted as JSON."""
    source = "".join(path.read_text() for path in (PACKAGE / "slack").glob("*.py"))
    posted = re.findall(r'post_json\(\s*"([\w.]+)"', source)
    return {*re.findall(r"_calls\.client\.([a-z]+_\w+)", source), *(name.replace(".", "_") for name in posted)}


def test_the_methods_named_are_the_methods_called() -> None:
    assert called_methods() == {name.replace(".", "_") for name in SCOPES_BY_METHOD}


def test_nobody_else_calls_slack() -> None:
    for path in PACKAGE.rglob("*.py"):
        if "simulator" not in path.parts and path.parent != PACKAGE / "slack":
            assert not re.search(
                r"client\.(chat|conversations|views|auth|users|usergroups|reactions)_", path.read_text()
            ), path


def test_each_scope_is_there_for_a_method_or_a_feature() -> None:
    needed = {scope for scopes in (SCOPES_BY_METHOD | SCOPES_BY_EVENT).values() for scope in scopes} | {"commands"}
    assert set(SCOPES | LINK_SCOPES | EMAIL_SCOPES) == needed


def test_links_are_heard_of_only_where_the_operator_says_whose_they_are() -> None:
    def manifest_requests(made: dict[str, Any]) -> tuple[set[str], set[str], list[str]]:
        scopes, events = made["oauth_config"]["scopes"]["bot"], made["settings"]["event_subscriptions"]["bot_events"]
        return set(scopes), set(events), made["features"].get("unfurl_domains", [])

    scopes, events, domains = manifest_requests(build_manifest())
    more = manifest_requests(build_manifest(domains=["app.zof.example"]))
    assert (scopes, domains) == (set(SCOPES), [])
    assert more == (scopes | set(LINK_SCOPES), set(SCOPES_BY_EVENT), ["app.zof.example"])
    assert events == set(SCOPES_BY_EVENT) - {"link_shared"}


def test_events_and_commands_are_the_listeners_registered() -> None:
    sources = "".join(path.read_text() for path in (PACKAGE / "listeners").rglob("*.py"))
    heard = set(re.findall(r'table\.events\["(\w+)"\]', sources))
    assert heard == {event.partition(".")[0] for event in SCOPES_BY_EVENT}
    assert "app.command(commands.ANY_COMMAND_PATTERN)" in sources
    assert [command["command"] for command in build_manifest()["features"]["slash_commands"]] == [SLASH_COMMAND]


def addresses(node: Any) -> list[str]:
    if isinstance(node, dict):
        own = [value for name, value in node.items() if name in ("url", "request_url")]
        return own + [found for value in node.values() for found in addresses(value)]
    return [found for value in node for found in addresses(value)] if isinstance(node, list) else []


@pytest.mark.parametrize("url", ["https://bot.example", "https://bot.example/"])
def test_over_http_every_address_is_the_web_door(url: str) -> None:
    found = addresses(build_manifest(url))
    assert len(found) == 3
    assert set(found) == {"https://bot.example/slack/events"}
    assert not build_manifest(url)["settings"]["socket_mode_enabled"]


def test_socket_mode_needs_no_address() -> None:
    assert addresses(build_manifest()) == []
    assert build_manifest()["settings"]["socket_mode_enabled"]


def test_slack_takes_the_texts() -> None:
    [command] = build_manifest()["features"]["slash_commands"]
    assert len(command["command"]) <= 32
    assert len(command["description"]) <= 2000
    assert len(command["usage_hint"]) <= 1000


def test_over_http_the_form_s_menus_have_an_address_to_be_filled_from() -> None:
    interactivity = build_manifest("https://bot.example")["settings"]["interactivity"]
    assert interactivity["message_menu_options_url"] == "https://bot.example/slack/events"
    assert build_manifest()["settings"]["interactivity"] == {"is_enabled": True}
