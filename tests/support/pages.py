"""The project's own pages, as tests read them: tables, headings, links."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

from tests.support.paths import ROOT

PAGES = sorted(
    path for path in ROOT.rglob("*.md") if not any(part.startswith(".") for part in path.relative_to(ROOT).parts)
)
"""Every Markdown file of the project; folders whose name begins with a dot are not part of it."""

_CODE = re.compile(r"^ *```.*?^ *```|`[^`\n]*`", re.MULTILINE | re.DOTALL)
_CODE_BLOCK = re.compile(r"^ *```.*?^ *```", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)


def read_page(name: str) -> str:
    """The text of a page, by its path from the project's root."""
    return (ROOT / name).read_text()


def table_rows(text: str, *headings: str) -> list[list[str]]:
    """The cells of the table with these headings, row by row."""
    lines = text.split(f"| {' | '.join(headings)} |\n", 1)[1].split("\n\n", 1)[0].splitlines()[1:]
    return [split_row(line) for line in lines]


def split_row(line: str) -> list[str]:
    """The cells of a table's line; GitHub also splits within code, unless a backslash precedes the bar."""
    return [cell.strip().replace(r"\|", "|") for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))]


def uneven_rows(text: str) -> list[str]:
    """The lines of tables whose number of cells is not that of the table's line before."""
    lines = _CODE_BLOCK.sub("", text).splitlines()
    pairs = [(above, line) for above, line in pairwise(lines) if above.startswith("|") and line.startswith("|")]
    return [line for above, line in pairs if len(split_row(above)) != len(split_row(line))]


def relative_links(text: str) -> list[str]:
    """Targets of links and pictures inside the project, anchors included."""
    return [target for target in _LINK.findall(_CODE.sub("", text)) if not re.match(r"[a-z]+:", target)]


def anchors(text: str) -> set[str]:
    """The anchors that GitHub gives a page's headings: lower case, no punctuation, dashes for spaces."""
    found: list[str] = []
    for heading in _HEADING.findall(_CODE_BLOCK.sub("", text)):
        words = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", words.lower()).replace(" ", "-")
        repeats = sum(re.fullmatch(rf"{re.escape(slug)}(-\d+)?", earlier) is not None for earlier in found)
        found.append(f"{slug}-{repeats}" if repeats else slug)
    return set(found)


def broken_links(page: Path) -> list[str]:
    """The relative links of a page whose file or heading is not there."""
    broken = []
    for target in relative_links(page.read_text()):
        path, _, anchor = target.partition("#")
        file = page.parent / path if path else page
        if not file.exists() or (anchor and (file.suffix != ".md" or anchor not in anchors(file.read_text()))):
            broken.append(target)
    return broken
