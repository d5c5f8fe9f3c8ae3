"""Read the owners file: CODEOWNERS syntax over ``project/case`` in place of paths.

Syntax: https://docs.github.com/en/repositories/managing-your-repositorys-settings-and-features/customizing-your-repository/about-code-owners#codeowners-syntax
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from codeowners import CodeOwners

from zofbot.domain.extra_fields import FindOwners, no_owners

MAX_FILE_BYTES = 1_000_000
MAX_CACHED_CASES = 10_000


@lru_cache(maxsize=8)
def load_owners(path: str) -> FindOwners:
    """Return a function that finds the owners of a case, by the names of its project and its title.

    The last line that matches counts, as in CODEOWNERS. Raises ValueError with the second half of a sentence.
    """
    if not path:
        return no_owners
    lines = [line.partition(" #")[0].rstrip() for line in _read_file(path).splitlines()]
    for number, line in enumerate(lines, start=1):
        if problem := _find_problem(line):
            raise ValueError(f"line {number} of {path}: {problem}")
    rules = CodeOwners("\n".join(lines))

    @lru_cache(maxsize=MAX_CACHED_CASES)
    def find_owners(projects: tuple[str, ...], case: str) -> tuple[str, ...]:
        found = (rules.of(f"{project}/{case}") for project in projects or ("",))
        return tuple(owner for _, owner in next(filter(None, found), []))

    return find_owners


def _read_file(path: str) -> str:
    try:
        with Path(path).open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from None
    if len(content) > MAX_FILE_BYTES:
        raise ValueError(f"{path} is larger than 1 MB")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not text in UTF-8") from None


def _find_problem(line: str) -> str:
    """Check a line by itself, as the parser names none, and ignores owners that it does not understand."""
    try:
        paths = CodeOwners(line).paths
    except ValueError as error:
        return str(error)
    owners = {owner for rule in paths for _, owner in rule[2]}
    words = line.replace("\\ ", "").split()[1:] if paths else []
    wrong = next((word for word in words if word not in owners), "")
    return f"`{wrong[:60]}` is neither an e-mail address nor a name with `@`" if wrong else ""
