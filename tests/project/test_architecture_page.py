"""The architecture page and the glossary: the paths, names, states and folders in them are those of the code."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import get_args

import pytest

from tests.support.pages import table_rows
from tests.support.paths import ROOT
from zofbot.notifications.notification import NotificationState
from zofbot.store.attempt_results import Adopted, AttemptResult

PACKAGE = ROOT / "zofbot"
ARCHITECTURE = (ROOT / "docs/architecture.md").read_text()
GLOSSARY = (ROOT / "docs/glossary.md").read_text()
PAGES = sorted(
    page.relative_to(ROOT).as_posix()
    for page in (*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"))
    if page.name != "CHANGELOG.md"
)
"""All of them but the changelog, which is about earlier versions as well."""

MAX_WALK_FILES = 20
WALK_STAGES = ("http", "store", "polling", "alerting", "notifications", "store", "delivery", "slack", "store")
"""The folders that a failing run passes; the store takes in the hint, the notification and the receipt."""

DEFINED_ELSEWHERE = {"RunFinding"}
"""What an item of the walk names that its file only imports."""

MIN_TERMS, MAX_TERMS = 30, 45

PATH = re.compile(r"[a-z_][\w.-]*(?:/[\w.-]+)*/?")
NAME = re.compile(r"[A-Za-z_]\w*(?:\.[a-z_]\w*)?")


def section(page: str, heading: str) -> str:
    return page.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]


def code_words(text: str) -> list[str]:
    return re.findall(r"`([^`\n]+)`", text)


def is_path(word: str) -> bool:
    return bool(PATH.fullmatch(word)) and ("/" in word or word.endswith((".py", ".lua")))


def find_path(word: str) -> Path | None:
    return next((base / word for base in (PACKAGE, ROOT) if (base / word).exists()), None)


def python_names(body: list[ast.stmt], owner: str = "") -> Iterator[str]:
    """What a module or a class defines; members also with the name of their class in front."""
    for node in body:
        match node:
            case ast.ClassDef(name=name):
                yield name
                yield from python_names(node.body, name)
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield from (name, f"{owner}.{name}")
            case ast.Assign() | ast.AnnAssign():
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                names = [item.id for target in targets for item in ast.walk(target) if isinstance(item, ast.Name)]
                yield from (each for name in names for each in (name, f"{owner}.{name}"))
            case _:
                pass


def defined_names(path: Path) -> set[str]:
    text = path.read_text()
    if path.suffix == ".lua":
        return set(re.findall(r"^(?:local )?function (?:verbs\.)?(\w+)", text, re.MULTILINE))
    return set(python_names(ast.parse(text).body))


def undefined_names(text: str) -> set[str]:
    """The names in a text that none of the files named beside them defines."""
    words = code_words(text)
    files = [path for word in words if is_path(word) and (path := find_path(word)) and path.is_file()]
    named = {word for word in words if NAME.fullmatch(word) and not is_path(word)}
    return named - set().union(*map(defined_names, files))


def walk_items() -> list[str]:
    return re.split(r"^\d+\. ", section(ARCHITECTURE, "A failing run, file by file"), flags=re.MULTILINE)[1:]


def tree_entries() -> list[str]:
    """The paths that the picture of the folders shows, in its order."""
    entries, parent = [], ""
    for indent, name in re.findall(r"^(│?) *[├└]── (\S+)", section(ARCHITECTURE, "Folders"), re.MULTILINE):
        parent = parent if indent else name
        entries.append(parent + name if indent else name)
    return entries


def top_level() -> list[str]:
    return [entry for entry in tree_entries() if "/" not in entry.removesuffix("/")]


@pytest.mark.parametrize("page", PAGES)
def test_every_path_it_names_is_there(page: str) -> None:
    named = {word for word in code_words((ROOT / page).read_text()) if is_path(word)}
    assert not {word for word in named if not find_path(word)}


@pytest.mark.parametrize("page", [ARCHITECTURE, GLOSSARY], ids=["architecture", "glossary"])
def test_every_link_leads_somewhere(page: str) -> None:
    headings = {
        f"#{line[3:].lower().replace(' ', '-').replace(',', '')}" for line in page.splitlines() if line[:3] == "## "
    }
    for target in re.findall(r"\]\(([^)]+)\)", page):
        assert target in headings if target.startswith("#") else (ROOT / "docs" / target).exists(), target


def test_the_tree_has_every_folder_and_module_and_no_other() -> None:
    there = {path.name for path in PACKAGE.glob("*.py")} | {f"{path.parent.name}/" for path in PACKAGE.glob("*/*.py")}
    assert sorted(top_level()) == sorted(there - {"__init__.py"})
    assert not [entry for entry in tree_entries() if not (PACKAGE / entry).exists()]


def test_what_a_module_imports_stands_below_it_in_the_tree() -> None:
    place = {entry.removesuffix("/").removesuffix(".py"): number for number, entry in enumerate(top_level())}
    for path in PACKAGE.rglob("*.py"):
        own = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        for other in re.findall(r"^ *from zofbot(?:\.| import )(\w+)", path.read_text(), re.MULTILINE):
            assert own in (other, "__init__") or other == "__version__" or place[own] < place[other], f"{path}: {other}"


def test_the_walk_names_few_files_in_the_order_of_the_folders() -> None:
    files = [next(filter(is_path, code_words(item))) for item in walk_items()]
    assert len(set(files)) == len(files) <= MAX_WALK_FILES
    assert all((PACKAGE / file).is_file() for file in files)
    assert set(files) == {word for item in walk_items() for word in code_words(item) if is_path(word)}
    assert tuple(folder for folder, _ in groupby(file.split("/")[0] for file in files)) == WALK_STAGES


@pytest.mark.parametrize("item", walk_items(), ids=lambda item: item.split("`")[1])
def test_each_function_of_the_walk_is_in_its_file(item: str) -> None:
    file, *names = code_words(item)
    here = [name for name in names if NAME.fullmatch(name) and name not in DEFINED_ELSEWHERE]
    assert here
    assert not set(here) - defined_names(PACKAGE / file)


def test_the_state_table_has_the_states_and_the_results_of_the_code() -> None:
    rows = table_rows(ARCHITECTURE, "now", "event", "becomes", "next look")
    before = {state for now, *_ in rows for state in now.split(", ")}
    after = {re.split(r"[ ,:]", becomes)[0] for _, _, becomes, _ in rows}
    assert before - {"(none)"} | after == set(NotificationState)
    results = {result.__name__ for result in (*get_args(AttemptResult), Adopted)}
    assert results == {word for _, event, *_ in rows for word in code_words(event) if NAME.fullmatch(word)}


@pytest.mark.parametrize("row", table_rows(ARCHITECTURE, "to change", "go to"), ids=lambda row: row[0])
def test_what_is_to_be_changed_is_where_it_says(row: list[str]) -> None:
    assert any(map(is_path, code_words(row[1])))
    assert not undefined_names(row[1])


def test_the_glossary_has_as_many_terms_as_fit_on_a_page_in_order() -> None:
    terms = [row[0].casefold() for row in table_rows(GLOSSARY, "term", "meaning", "defined in")]
    assert MIN_TERMS <= len(terms) <= MAX_TERMS
    assert terms == sorted(set(terms))


@pytest.mark.parametrize("row", table_rows(GLOSSARY, "term", "meaning", "defined in"), ids=lambda row: row[0])
def test_each_term_is_defined_where_it_says(row: list[str]) -> None:
    assert any(map(is_path, code_words(row[2])))
    assert not undefined_names(row[2])
