"""What people type, as Slack hands it on with ``should_escape``: links, mentions and entities."""

from __future__ import annotations

import pytest

from zofbot.clock import MovableClock
from zofbot.simulator.seed import seed_world
from zofbot.simulator.slack import payloads
from zofbot.simulator.slack.state import Workspace
from zofbot.simulator.world import World

PLAIN = "res_1 run_2 1.5h 09:00 login.py.old tests/cart e.g. checkout-v2"


@pytest.fixture
def workspace() -> Workspace:
    world = World(MovableClock())
    seed_world(world)
    return world.slack


def slash_text(workspace: Workspace, typed: str) -> str:
    user, channel = workspace.users["U0ANA"], workspace.channels["C0QA"]
    return payloads.command_payload(workspace, user, channel, f"/zof {typed}", "")["text"]


@pytest.mark.parametrize(
    ("typed", "sent"),
    [
        ("shop.io", "<http://shop.io|shop.io>"),
        ("project:shop.io env:staging", "project:<http://shop.io|shop.io> env:staging"),
        ("case:-login.py,x", "case:-<http://login.py|login.py>,x"),
        ("Shop.IO.", "<http://Shop.IO|Shop.IO>."),
        ("a.shop.io/x?y=1&z=2", "<http://a.shop.io/x?y=1&amp;z=2|a.shop.io/x?y=1&amp;z=2>"),
        ("https://app.zof.example/results/res_1", "<https://app.zof.example/results/res_1>"),
        ("see https://a.example/x?b=1&c=2, or", "see <https://a.example/x?b=1&amp;c=2>, or"),
        ("<https://a.example>", "&lt;<https://a.example>&gt;"),
        ("a<https://b.example>c", "a&lt;<https://b.example>&gt;c"),
        ("ben@acme.example", "<mailto:ben@acme.example|ben@acme.example>"),
        ("@ben in #search", "<@U0BEN|ben> in <#C0SEARCH|search>"),
        ("@oncall-checkout", "<!subteam^S0ONCALL|@oncall-checkout>"),
        ("a < b & c > d", "a &lt; b &amp; c &gt; d"),
        (PLAIN, PLAIN),
    ],
)
def test_slash_text_is_written_as_slack_writes_it(workspace: Workspace, typed: str, sent: str) -> None:
    assert slash_text(workspace, typed) == sent


def test_a_message_links_the_same_and_mentions_without_names(workspace: Workspace) -> None:
    assert payloads.escape_typed(workspace, "@ben: shop.io & more") == "<@U0BEN>: <http://shop.io|shop.io> &amp; more"


def test_without_should_escape_only_entities_are_escaped(workspace: Workspace) -> None:
    workspace.should_escape = False
    assert slash_text(workspace, "@ben < shop.io") == "@ben &lt; shop.io"
