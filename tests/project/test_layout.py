"""Unit tests are found where the module that they test is; what tests share is in tests/support."""

from __future__ import annotations

import ast
import re
from importlib.util import resolve_name
from pathlib import Path

import pytest

from tests.support.paths import ROOT

PACKAGE, UNIT_TESTS = ROOT / "zofbot", ROOT / "tests" / "unit"


def module_of(test_file: Path) -> Path | None:
    """Return the module or folder of the package that a test file is named after, or None.

    Tests of a module may be in several files: a topic can follow its name, as in ``test_filters_broadcast.py``.
    """
    folder = PACKAGE / test_file.relative_to(UNIT_TESTS).parent
    words = test_file.stem.removeprefix("test_").split("_")
    names = ("_".join(words[:count]) for count in range(len(words), 0, -1))
    found = (place for name in names for place in (folder / f"{name}.py", folder / name) if place.exists())
    return next(found, None)


def test_each_unit_test_file_is_named_after_a_module_and_in_the_same_folder() -> None:
    assert [str(file) for file in sorted(UNIT_TESTS.rglob("test_*.py")) if not module_of(file)] == []


def test_a_file_that_is_named_after_no_module_is_found() -> None:
    assert module_of(UNIT_TESTS / "store" / "test_leases.py") == PACKAGE / "store" / "leases.py"
    assert module_of(UNIT_TESTS / "subscriptions" / "test_filters_extra.py") == PACKAGE / "subscriptions/filters.py"
    assert module_of(UNIT_TESTS / "triage" / "test_snooze_counts.py") is None


def find_test_imports(source: str, package: str) -> set[str]:
    """Return what a module of ``package`` imports, at any place, from tests other than tests/support."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            origin = resolve_name("." * node.level + (node.module or ""), package)
            names |= {f"{origin}.{alias.name}" for alias in node.names}
    return {name for name in names if re.match(r"tests(?!\.support\b)\b", name)}


def test_no_test_file_imports_from_another() -> None:
    files = {file.relative_to(ROOT): file.read_text() for file in (ROOT / "tests").rglob("*.py")}
    found = {str(file): find_test_imports(text, ".".join(file.parent.parts)) for file, text in files.items()}
    assert {file: names for file, names in found.items() if names} == {}


@pytest.mark.parametrize(
    "source",
    [
        "import tests.unit.test_cli",
        "import tests",
        "from tests.unit import test_cli",
        "from tests import unit",
        "def test() -> None:\n    from tests.unit.test_cli import invoke",
        "from . import test_cli",
        "from .test_cli import invoke",
        "from ..unit.test_cli import invoke",
    ],
)
def test_an_import_of_another_test_file_is_found_in_each_form(source: str) -> None:
    assert len(find_test_imports(source, "tests.unit")) == 1


def test_imports_of_shared_code_and_of_other_packages_are_fine() -> None:
    lines = ["from tests.support.bot import RunningBot", "from ..support import bot", "from tests import support"]
    assert find_test_imports("\n".join([*lines, "import testsuite"]), "tests.unit") == set()
