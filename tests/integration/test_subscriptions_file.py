"""All subscriptions as one file: written, read back as the same, compared, put into force at once or not at all."""

from __future__ import annotations

import getpass
import json
import math
import os
import pty
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import redis.asyncio as redis
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tests.support.cli import CommandResult, run_command, run_command_reading
from tests.support.failure_reports import serve_world
from tests.support.strategies import SUBSCRIPTIONS
from tests.support.subscriptions import store_subscription
from tests.support.virtual_time import test_clock
from zofbot.cli.stored_data import open_stored_data
from zofbot.cli.subscriptions import apply_diff
from zofbot.clock import Clock
from zofbot.config.settings import Settings
from zofbot.domain.errors import ZofbotError
from zofbot.notifications.notification import NotificationState
from zofbot.simulator.seed import seed_world
from zofbot.simulator.world import World
from zofbot.store.audit import AuditLog
from zofbot.store.keyspace import Keyspace
from zofbot.store.outbox import Outbox
from zofbot.store.subscriptions import Subscriptions
from zofbot.subscriptions import Subscription, parse_filters
from zofbot.subscriptions.diff import ADD, CHANGE, REMOVE, SubscriptionDiff, diff_subscriptions
from zofbot.subscriptions.yaml_entries import InvalidFile
from zofbot.subscriptions.yaml_file import parse_yaml, render_yaml

NOW = 1_763_890_200.25


def make_subscription(
    wish: str, name: str = "s1", channel: str = "C0QA", created: float = NOW, by: str = "U0ANA"
) -> Subscription:
    own = {"id": name, "channel": channel, "by": by, "by_name": "Ana", "created": created}
    return parse_filters(wish).model_copy(update=own)


def plan_changes(standing: list[Subscription], source: str, now: float = NOW) -> SubscriptionDiff:
    return diff_subscriptions(
        standing, parse_yaml(source.encode(), "f.yml"), now=now, new_id=lambda: "new", by_name="root"
    )


def file_text(*entries: str, channel: str = "C0QA") -> str:
    return "\n".join(["version: 1", "channels:", f"  {channel}:", *(f"    - {entry}" for entry in entries)])


OWN = st.fixed_dictionaries(
    {
        "channel": st.from_regex(r"[CGD][A-Z0-9]{2,10}", fullmatch=True),
        "by": st.from_regex(r"(?:[UW][A-Z0-9]{1,10})?", fullmatch=True),
        "by_name": st.text(max_size=20),
        "created": st.floats(0, 1e10) | st.integers(0, 2_000_000_000).map(float),
    }
)
STANDING = st.lists(st.tuples(SUBSCRIPTIONS, OWN), max_size=6).map(
    lambda pairs: [pair.model_copy(update=own | {"id": f"s{n}"}) for n, (pair, own) in enumerate(pairs)]
)


@given(STANDING, st.text(max_size=20))
def test_what_is_written_is_read_back_as_exactly_the_same(standing: list[Subscription], name: str) -> None:
    written = render_yaml(standing, {item.channel: name for item in standing})
    made = diff_subscriptions(
        standing, parse_yaml(written.encode(), "f.yml"), now=math.inf, new_id=str, by_name="nobody"
    )
    assert made.changes == []
    assert sorted(made.same, key=lambda item: item.id) == sorted(standing, key=lambda item: item.id)
    afresh = diff_subscriptions([], parse_yaml(written.encode(), "f.yml"), now=math.inf, new_id=str, by_name="nobody")
    assert {change.after.id: change.after for change in afresh.changes if change.after} == {s.id: s for s in standing}


@given(STANDING, st.randoms())
def test_the_same_subscriptions_make_the_same_file_in_whatever_order(
    standing: list[Subscription], random: object
) -> None:
    mixed = list(standing)
    random.shuffle(mixed)  # type: ignore[attr-defined]  # hypothesis' own Random
    assert render_yaml(mixed, {}) == render_yaml(standing, {})


@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_whatever_the_file_holds_is_understood_or_refused_by_its_name(source: bytes) -> None:
    problems = []
    try:
        parse_yaml(source, "f.yml")
    except InvalidFile as error:
        problems = error.problems
        assert problems
    assert all(problem.startswith("f.yml") for problem in problems)


def test_people_can_read_it() -> None:
    standing = [
        make_subscription('project:checkout,-legacy case:"cart total*"', "b", "C0B"),
        make_subscription("", "a", "C0A", created=0.5),
    ]
    told = render_yaml(standing, {"C0B": "checkout\nevil: true"})
    assert told.split("\n", 2)[2] == (
        "version: 1\n"
        "channels:\n"
        "  C0A:\n"
        "    - filters: ''\n"
        "      id: a\n"
        "      by: U0ANA\n"
        "      by_name: Ana\n"
        "      created: 1970-01-01T00:00:00.500000Z\n"
        "  C0B:  # checkoutevil: true\n"
        '    - filters: project:checkout,-legacy case:"cart total*"\n'
        "      id: b\n"
        "      by: U0ANA\n"
        "      by_name: Ana\n"
        "      created: 2025-11-23T09:30:00.250000Z\n"
    )


def test_text_that_reads_the_wrong_way_around_is_escaped() -> None:
    assert "\u202e" not in render_yaml([make_subscription("project:a\u202eb")], {})


def test_a_plan_adds_changes_and_removes() -> None:
    standing = [
        make_subscription("project:a", "s1"),
        make_subscription("project:b", "s2"),
        make_subscription("project:c", "s3"),
    ]
    made = plan_changes(
        standing, file_text("{filters: 'project:a env:x', id: s1}", "filters: project:b", "filters: project:d")
    )
    assert [(change.verb, change.id) for change in made.changes] == [(CHANGE, "s1"), (ADD, "new"), (REMOVE, "s3")]
    assert [item.id for item in made.same] == ["s2"]
    assert [str(change) for change in made.changes] == [
        "~ project:a  →  project:a env:x  [s1]",
        "+ project:d",
        "- project:c  [s3]",
    ]
    assert str(made) == "1 to add, 1 to change, 1 to remove, 1 unchanged."


def test_an_entry_without_an_id_takes_nothing_from_one_that_names_it() -> None:
    made = plan_changes(
        [make_subscription("project:a")], file_text("filters: project:a", "{filters: project:b, id: s1}")
    )
    assert [(change.verb, change.id) for change in made.changes] == [(ADD, "new"), (CHANGE, "s1")]


def test_a_change_keeps_who_and_since_when_so_that_nothing_is_told_again() -> None:
    [change] = plan_changes(
        [make_subscription("project:a")], file_text("{filters: project:b, id: s1}"), now=NOW + 99
    ).changes
    assert change.after == make_subscription("project:b")


def test_a_new_one_begins_now_and_is_the_operators() -> None:
    [change] = plan_changes([], file_text("filters: project:b")).changes
    assert change.after
    assert (change.after.created, change.after.by, change.after.by_name) == (NOW, "", "root")


def test_what_else_changes_is_named() -> None:
    [change] = plan_changes(
        [make_subscription("project:a")], file_text("{filters: project:a, id: s1, by: U0BEN}", channel="C0B")
    ).changes
    assert str(change) == "~ project:a (channel C0QA → C0B, by U0ANA → U0BEN)  [s1]"
    assert list(change.channel_messages()) == [
        ("C0QA", "ended its subscription to project:a"),
        ("C0B", "subscribed it to project:a"),
    ]


def test_a_channel_hears_nothing_of_what_only_concerns_the_record() -> None:
    [change] = plan_changes(
        [make_subscription("project:a")], file_text("{filters: project:a, id: s1, by: U0BEN}")
    ).changes
    assert list(change.channel_messages()) == []


@pytest.mark.parametrize(
    ("source", "line", "says"),
    [
        ("", None, "is empty"),
        ("version: 1\nchannels: [", 2, "not valid YAML"),
        ("version: 1\nchannels: {}\nversion: 1", 3, "version: it is here twice"),
        ("version: 2\nchannels: {}", 1, "version: it must be 1"),
        ("channels: {}", 1, "version: it is missing"),
        ("version: 1", 1, "channels: it is missing"),
        ("version: 1\nchannels: {}\nrules: 1", 3, "rules: unknown field"),
        ("version: 1\nchannels:\n  C0A: 3", 3, "C0A: it must be a list"),
        (file_text("filters: ''", channel="'#qa'"), 3, "channel: `#qa` is not a channel's id"),
        (file_text("project:a"), 4, "C0QA: it must have names and values"),
        (file_text("id: s1"), 4, "filters: it is missing"),
        (file_text("filters:"), 4, "filters: it has no value"),
        (file_text("filters: [a]"), 4, "filters: it must be text"),
        (
            file_text("filters: ''", "filters: projekt:a"),
            5,
            "filters: Unknown filter `projekt:`. Did you mean `project:`?",
        ),
        (file_text("{filters: '', id: a b}"), 4, "id: `a b` is not an id"),
        (file_text("{filters: '', by: ana}"), 4, "by: `ana` is not the id of a person"),
        (file_text("{filters: '', created: soon}"), 4, "created: it must be a time"),
        (file_text("{filters: '', created: .nan}"), 4, "created: it must be a time"),
        (file_text("{filters: '', created: 99999999999999}"), 4, "created: it must be a time"),
        (
            file_text("{filters: project:a, id: s1}", "{filters: project:b, id: s1}"),
            5,
            "id: `s1` is already in line 4",
        ),
        (file_text("{filters: project:a, id: s1}", "filters: project:a"), 5, "another entry with the same filters"),
        (file_text(*(f"filters: project:p{n}" for n in range(51))), 4, "51 subscriptions; a channel can have 50"),
        (file_text("? [a]\n      : b"), 4, "unknown field"),
    ],
)
def test_what_is_wrong_is_named_with_its_line_and_field(source: str, line: int | None, says: str) -> None:
    with pytest.raises(InvalidFile) as refused:
        parse_yaml(source.encode(), "f.yml")
    assert any(says in problem for problem in refused.value.problems), refused.value.problems
    if line:
        assert f"f.yml, line {line}" in "".join(p for p in refused.value.problems if says in p)


def test_everything_wrong_is_said_at_once() -> None:
    with pytest.raises(InvalidFile) as refused:
        parse_yaml(file_text("filters: nope:1", "{filters: '', by: ana}").encode(), "f.yml")
    assert len(refused.value.problems) == 2


def test_deep_nesting_is_a_sentence() -> None:
    with pytest.raises(InvalidFile):
        parse_yaml(b"[" * 100_000, "f.yml")


@pytest.fixture
async def store(store_url: str) -> AsyncIterator[redis.Redis]:
    async with redis.from_url(store_url) as client:
        await client.flushall()
        yield client


async def run_zofbot(store_url: str, *arguments: str, **settings: str) -> CommandResult:
    return await run_command("subscriptions", *arguments, REDIS_URL=store_url, **settings)


async def test_an_export_edited_and_imported_is_in_force_and_in_the_audit(
    store_url: str, store: redis.Redis, tmp_path: Path
) -> None:
    subscriptions, file = Subscriptions(Keyspace(store, "zofbot")), tmp_path / "rules.yml"
    await store_subscription(Keyspace(store, "zofbot"), make_subscription("project:a", "s1"))
    await store_subscription(Keyspace(store, "zofbot"), make_subscription("project:b", "s2", "C0B"))
    assert (await run_zofbot(store_url, "export", "-o", str(file))).code == 0
    before = await store.hgetall("{zofbot}:subscriptions")
    version = await store.hgetall("{zofbot}:subscriptions:version")

    edited = file.read_text().replace("project:a", "project:a env:x").replace("  C0B:", "  C0B:\n    - filters: env:y")
    file.write_text(edited)
    shown = await run_zofbot(store_url, "import", str(file), "--plan")
    assert (shown.code, shown.err) == (0, "")
    assert "+ env:y" in shown.out
    assert "~ project:a → project:a env:x" in shown.out
    assert await store.hgetall("{zofbot}:subscriptions") == before, "a plan changes nothing"

    unasked = await run_zofbot(store_url, "import", str(file))
    assert unasked.code == 2
    assert "--yes" in unasked.err
    assert await store.hgetall("{zofbot}:subscriptions") == before, "nor does a question nobody answers"

    done = await run_zofbot(store_url, "import", str(file), "--yes")
    assert done.out.endswith("Done.\n"), done
    assert await store.hgetall("{zofbot}:subscriptions:version") != version, "the poller reads them anew"
    assert [item.env for item in await subscriptions.list_for_channel("C0QA")] == [("x",)]
    assert [item.env for item in await subscriptions.list_for_channel("C0B")] == [(), ("y",)]
    acts = await AuditLog(Keyspace(store, "zofbot")).read_records()
    assert [(act.user, act.act, act.channel, act.before, act.after) for act in acts] == [
        (getpass.getuser(), "subscription add", "C0B", "", "env:y"),
        (getpass.getuser(), "subscription change", "C0QA", "project:a", "project:a env:x"),
    ]
    waiting = await Outbox(Keyspace(store, "zofbot"), Clock()).list_records(NotificationState.PENDING)
    assert {item.channel: item.body["said"] for item in waiting} == {
        "C0QA": f"{getpass.getuser()}, an operator, changed its subscription from project:a to project:a env:x.",
        "C0B": f"{getpass.getuser()}, an operator, subscribed it to env:y.",
    }
    again = await run_zofbot(store_url, "import", str(file), "--yes")
    assert "0 to add, 0 to change, 0 to remove, 3 unchanged." in again.out, "an import twice is an import once"


async def test_a_file_that_cannot_be_written_is_a_sentence(store_url: str, store: redis.Redis, tmp_path: Path) -> None:
    ended = await run_zofbot(store_url, "export", "-o", str(tmp_path))
    assert (ended.code, ended.out) == (1, "")
    assert ended.err == f"zofbot: Cannot write {tmp_path} (Is a directory). Choose another file.\n"


async def test_what_would_not_be_read_back_as_the_same_is_not_exported(store_url: str, store: redis.Redis) -> None:
    one = make_subscription("escalate:15m-><@U0ANA>,1h-><@U0BEN>")
    turned = one.model_copy(update={"escalate": one.escalate[::-1]})  # an order that nobody can type
    await store_subscription(Keyspace(store, "zofbot"), turned)
    ended = await run_zofbot(store_url, "export")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err == "zofbot: Subscription s1 cannot be exported without loss. Edit it in Slack.\n"


async def test_what_the_file_lacks_is_removed(store_url: str, store: redis.Redis, tmp_path: Path) -> None:
    await store_subscription(Keyspace(store, "zofbot"), make_subscription("project:a"))
    (tmp_path / "none.yml").write_text("version: 1\nchannels: {}\n")
    ended = await run_zofbot(store_url, "import", str(tmp_path / "none.yml"), "--yes")
    assert "- project:a" in ended.out
    assert await Subscriptions(Keyspace(store, "zofbot")).list_all() == []


async def test_one_wrong_entry_and_nothing_is_applied(store_url: str, store: redis.Redis, tmp_path: Path) -> None:
    await store_subscription(Keyspace(store, "zofbot"), make_subscription("project:a"))
    file = tmp_path / "wrong.yml"
    file.write_text(file_text("filters: project:b", "filters: nope:b"))
    ended = await run_zofbot(store_url, "import", str(file), "--yes")
    assert ended.code == 2
    assert f"{file}, line 5, filters: Unknown filter `nope:`" in ended.err
    assert [item.project for item in await Subscriptions(Keyspace(store, "zofbot")).list_all()] == [("a",)]
    assert await AuditLog(Keyspace(store, "zofbot")).read_records() == []


@pytest.mark.parametrize(("answer", "ends"), [(b"n\n", (1, "a")), (b"y\n", (0, "b"))])
async def test_on_a_terminal_it_asks_first(
    store_url: str, store: redis.Redis, tmp_path: Path, answer: bytes, ends: tuple[int, str]
) -> None:
    await store_subscription(Keyspace(store, "zofbot"), make_subscription("project:a"))
    (tmp_path / "b.yml").write_text(file_text("filters: project:b"))
    person, terminal = pty.openpty()
    os.write(person, answer)
    ended = await run_command_reading(terminal, "subscriptions", "import", str(tmp_path / "b.yml"), REDIS_URL=store_url)
    os.close(person)
    os.close(terminal)
    [left] = await Subscriptions(Keyspace(store, "zofbot")).list_all()
    assert "Apply these changes?" in ended.out
    assert (ended.code, left.project[0]) == ends


async def test_what_changed_since_the_plan_was_shown_is_left_alone(store_url: str, store: redis.Redis) -> None:
    async with open_stored_data(Settings.model_validate({"redis_url": store_url}), Clock()) as books:
        await store_subscription(Keyspace(store, "zofbot"), make_subscription("project:a"))
        stored = await books.subscriptions.read()
        made = plan_changes(
            await books.subscriptions.list_all(), file_text("{filters: project:c, id: s1}", "filters: project:d")
        )
        await store_subscription(Keyspace(store, "zofbot"), make_subscription("project:b"))
        with pytest.raises(ZofbotError, match="in the meantime"):
            await apply_diff(books, made, stored, NOW)
        assert await books.subscriptions.list_all() == [make_subscription("project:b")]
        assert await books.audit.read_records() == []
        assert await books.outbox.list_records(NotificationState.PENDING) == []


async def test_channels_are_called_as_slack_calls_them(store_url: str, store: redis.Redis) -> None:
    world = World(test_clock())
    seed_world(world)
    async with serve_world(world) as simulator:
        await store_subscription(Keyspace(store, "zofbot"), make_subscription("project:a"))
        await store_subscription(Keyspace(store, "zofbot"), make_subscription("project:a", "s2", "C0NOWHERE"))
        slack = {"SLACK_BOT_TOKEN": world.slack.bot_token, "SLACK_API_URL": f"{simulator.url}/api/"}
        named = await run_zofbot(store_url, "export", **slack)
        world.slack.faults.set_fault("invalid_auth")
        nameless = await run_zofbot(store_url, "export", **slack)
    assert "  C0QA:  # qa-alerts\n" in named.out
    assert "  C0NOWHERE:\n" in named.out
    assert "  C0QA:\n" in nameless.out
    assert yaml.safe_load(named.out) == yaml.safe_load(nameless.out)


async def test_user_groups_may_be_written_by_their_handles(store_url: str, store: redis.Redis, tmp_path: Path) -> None:
    world, file = World(test_clock()), tmp_path / "rules.yml"
    seed_world(world)
    group = next(iter(world.slack.groups.values()))
    file.write_text(file_text(f"filters: project:a mention:@{group.handle}"))
    async with serve_world(world) as simulator:
        slack = {"SLACK_BOT_TOKEN": world.slack.bot_token, "SLACK_API_URL": f"{simulator.url}/api/"}
        named = await run_zofbot(store_url, "import", str(file), "--yes", **slack)
        world.slack.faults.set_fault("invalid_auth")
        refused = await run_zofbot(store_url, "import", str(file), "--yes", **slack)
        tokenless = await run_zofbot(store_url, "import", str(file), "--yes")
    assert named.out.endswith("Done.\n"), named
    [stored] = await Subscriptions(Keyspace(store, "zofbot")).list_for_channel("C0QA")
    assert stored.mention_ids == (group.id,)
    assert refused.code == tokenless.code == 2
    assert refused.err.startswith("zofbot: Could not read Slack's user groups: ")
    assert f"@{group.handle}" in tokenless.err


async def test_it_can_be_had_as_json(store_url: str, store: redis.Redis) -> None:
    await store_subscription(Keyspace(store, "zofbot"), make_subscription("project:a"))
    told = json.loads((await run_zofbot(store_url, "export", "--json")).out)
    assert told["channels"]["C0QA"][0] == {
        "filters": "project:a", "id": "s1", "by": "U0ANA", "by_name": "Ana", "created": "2025-11-23T09:30:00.250000Z"
    }  # fmt: skip
