"""Unit tests are found where the module that they test is; what tests share is in tests/support."""

from __future__ import annotations

import re
from pathlib import Path

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


def test_no_test_file_imports_from_another() -> None:
    imported = re.compile(r"^(?:from|import) tests\.(?!support\b)", re.MULTILINE)
    assert [str(file) for file in (ROOT / "tests").rglob("*.py") if imported.search(file.read_text())] == []
