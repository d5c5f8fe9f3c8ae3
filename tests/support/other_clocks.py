"""Finds in source code each way to wait, to limit a wait or to ask for the time that is not the one clock's.

It reads what the source says: names are followed through imports and plain assignments, wherever they stand in a file.
It does not see the timers that libraries set by default, except the one of aiohttp's sessions.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

MODULES = {"sched", "stamina", "tenacity", "time"}
"""Modules for time, which may not be imported."""

NAMES = re.compile(
    r"asyncio\.(\w+\.)?(Timeout|sleep|timeout|timeout_at|wait_for)"
    r"|datetime\.(date|datetime)\.(now|today|utcnow)"
    r"|aiohttp\.ClientTimeout|httpx\.Timeout|redis\.backoff\.(?!NoBackoff)\w+Backoff"
    r"|signal\.(alarm|setitimer)|structlog\.processors\.TimeStamper|threading\.Timer"
    r"|zofbot\.clock\.(Movable)?Clock"
)
"""What waits, limits a wait or reads another clock; and the clocks themselves, because one is passed in."""

WAITS = re.compile(r"asyncio\.[\w.]+|aiohttp\.ClientTimeout|httpx\.Timeout")
"""What waits for nothing, or sets no limit, if it is called with None and zero only."""

METHODS = {"call_at", "call_later", "settimeout"}
"""Methods that set a timer, whatever their object is called."""

SESSION = "aiohttp.ClientSession"
"""What has a limit of five minutes unless it is told otherwise."""

OPTION = re.compile(r"(\w+_)?timeout|heartbeat|health_check_interval|lingering_time")
"""Options that set a timer: keywords, and keys of a dict of options."""


def find_other_clocks(source: str) -> set[str]:
    """Return what a source uses besides the one clock, such as ``asyncio.sleep``, ``.call_later`` and ``timeout=``."""
    tree = ast.parse(source)
    names = _Names(tree)
    found = {module for name in names.imported if (module := name.partition(".")[0]) in MODULES}
    for node in _walk_code(tree, names):
        if isinstance(node, ast.Name | ast.Attribute) and NAMES.fullmatch(name := names.find(node)):
            found.add(name)
        if isinstance(node, ast.Attribute) and (node.attr in METHODS or _reads_time(node, names)):
            found.add(f".{node.attr}")
        options = dict(_options_of(node))
        found |= {f"{name}=" for name, value in options.items() if OPTION.fullmatch(name) and not _is_off(value)}
        if isinstance(node, ast.Call) and names.find(node.func) == SESSION and "timeout" not in options:
            found.add(f"{SESSION} without timeout=")
    return found


class _Names:
    """The dotted names of what the names of a file stand for."""

    def __init__(self, tree: ast.Module) -> None:
        self.imported: set[str] = set()
        self._known: dict[str, str] = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom):
                self._known |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
                self.imported |= {f"{node.module}.{alias.name}" for alias in node.names}
            elif isinstance(node, ast.Import):
                roots = {alias.name.partition(".")[0] for alias in node.names if not alias.asname}
                self._known |= {alias.asname: alias.name for alias in node.names if alias.asname}
                self._known |= {root: root for root in roots}
                self.imported |= {alias.name for alias in node.names}
        for node in ast.walk(tree):
            if isinstance(node, ast.Assign) and (name := self.find(node.value)):
                self._known |= {target.id: name for target in node.targets if isinstance(target, ast.Name)}

    def find(self, node: ast.expr) -> str:
        """Return the dotted name; empty if it was not imported."""
        if isinstance(node, ast.Attribute):
            owner = self.find(node.value)
            return f"{owner}.{node.attr}" if owner else ""
        return self._known.get(node.id, "") if isinstance(node, ast.Name) else ""


def _walk_code(node: ast.AST, names: _Names) -> Iterator[ast.AST]:
    """Yield all below a node but annotations, and waits that are no waits, such as ``asyncio.sleep(0)``."""
    for field, value in ast.iter_fields(node):
        for child in value if isinstance(value, list) else [value]:
            if not isinstance(child, ast.AST) or field in ("annotation", "returns"):
                continue
            if isinstance(child, ast.Call) and WAITS.fullmatch(names.find(child.func)) and _is_off(child):
                continue
            yield child
            yield from _walk_code(child, names)


def _reads_time(node: ast.Attribute, names: _Names) -> bool:
    """Return whether it is the ``time`` of an object that is not called a clock, such as ``self._loop.time``."""
    owner = node.value.func if isinstance(node.value, ast.Call) else node.value
    called = owner.id if isinstance(owner, ast.Name) else owner.attr if isinstance(owner, ast.Attribute) else ""
    return node.attr == "time" and not names.find(node) and not called.lower().endswith("clock")


def _options_of(node: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    """Yield the keywords of a call, or the texts that are keys of a dict, with their values."""
    if isinstance(node, ast.Call):
        yield from ((keyword.arg, keyword.value) for keyword in node.keywords if keyword.arg)
    elif isinstance(node, ast.Dict):
        pairs = zip(node.keys, node.values, strict=True)
        yield from ((str(key.value), value) for key, value in pairs if isinstance(key, ast.Constant))


def _is_off(value: ast.expr) -> bool:
    """Return whether a value sets no timer: None, zero, or a call with nothing else."""
    if isinstance(value, ast.Call):
        given = [*value.args, *(keyword.value for keyword in value.keywords)]
        return bool(given) and all(map(_is_off, given))
    return isinstance(value, ast.Constant) and value.value in (None, 0)
