"""Labelled failure texts, expanded from templates written by hand."""

from __future__ import annotations

import re
import string
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import NamedTuple

TEMPLATES = Path(__file__).parent / "failure_templates.txt"
HELD_OUT_TEMPLATES = sorted(Path(__file__).parent.glob("failure_templates_held_out*.txt"))
"""Each was written after the rules, and judged them before they were improved with it."""

TEXTS_PER_CAUSE = 7


class LabelledFailure(NamedTuple):
    """A failure text and its true cause."""

    id: str
    cause: str
    text: str


def read_corpus(path: Path = TEMPLATES, texts_per_cause: int = TEXTS_PER_CAUSE) -> list[LabelledFailure]:
    """Return the texts of a file of templates; deterministic.

    A template begins with ``=== cause`` or, for causes that differ in a name, ``=== cause: name; other name``, which
    replaces ``{{arg}}``. ``{{a|b}}`` is a choice, ``{{uuid}}`` and the like are values (``VALUES``), and a line that
    begins with ``{{0-3x}}`` is repeated that often. A second template of the same cause is a variant of it.
    """
    failures = []
    for cause, forms in _texts_by_cause(path.read_text(encoding="utf-8")).items():
        random = Random(cause)
        for number in range(texts_per_cause):
            template, arg = forms[number % len(forms)]
            text = _expand_template(template, arg, random)
            failures.append(LabelledFailure(f"{cause}#{number}", cause, _disguise_text(text, random)))
    return failures


def _texts_by_cause(source: str) -> dict[str, list[tuple[str, str]]]:
    causes: dict[str, list[tuple[str, str]]] = {}
    for block in re.split(r"^=== (?=[a-z0-9])", source, flags=re.MULTILINE)[1:]:
        head, _, template = block.partition("\n")
        cause, _, args = head.partition(": ")
        for arg in args.split("; "):
            causes.setdefault(f"{cause} {arg}".strip(), []).append((template.strip("\n"), arg))
    return causes


def _expand_template(template: str, arg: str, random: Random) -> str:
    lines: list[str] = []
    for line in template.splitlines():
        times = re.match(r"\{\{(\d+)-(\d+)x\}\}", line)
        rest = line[times.end() :] if times else line
        count = random.randint(int(times[1]), int(times[2])) if times else 1
        lines.extend(_VALUE.sub(lambda found: _random_value(found[1], arg, random), rest) for _ in range(count))
    return "\n".join(lines)


_VALUE = re.compile(r"\{\{([^{}]+)\}\}")


def _random_value(name: str, arg: str, random: Random) -> str:
    if name == "arg":
        return arg
    if "|" in name:
        return random.choice(name.split("|"))
    return VALUES[name](random) if name in VALUES else name


def _disguise_text(text: str, random: Random) -> str:
    """Change a text as test runners do: add colors, Windows line ends or a worker's mark, or cut off its end."""
    way = random.random()
    if way < 0.08:
        first, _, rest = text.partition("\n")
        return f"\x1b[31m{first}\x1b[39m\n{rest}" if rest else f"\x1b[1m\x1b[31m{first}\x1b[0m"
    if way < 0.13:
        return text.replace("\n", "\r\n")
    if way < 0.25 and len(text) > 1200 and "Traceback" not in text and "\nE  " not in text:
        return text[: random.randint(1000, len(text) - 50)].rstrip() + "…"
    return random.choice(RUNNER_MARKS).format(random.randint(1, 9)) + text if way > 0.85 else text


def _random_letters(alphabet: str, length: int) -> Callable[[Random], str]:
    return lambda random: "".join(random.choices(alphabet, k=length))


def _random_number(low: int, high: int) -> Callable[[Random], str]:
    return lambda random: str(random.randint(low, high))


def _random_form(*forms: str) -> Callable[[Random], str]:
    return lambda random: _expand_template(random.choice(forms), "", random)


def _random_date(random: Random) -> str:
    return f"2026-{random.randint(1, 12):02}-{random.randint(1, 28):02}"


def _random_clock_time(random: Random) -> str:
    return f"{random.randint(0, 23):02}:{random.randint(0, 59):02}:{random.randint(0, 59):02}"


RUNNER_MARKS = [
    "[worker {}] ", "[gw{}] ", "(shard {}/9) ", "worker-{} | ", "[worker={}] ", "Worker #{}: ", "e2e-runner-{}  | ",
    "[node {}] › ", "pid={} ", "w{}: ", "[job 2, worker {}] ", "chromium-{} › ", "Thread-{} - ", "<runner-{}> ",
    "#{} | ", "{{worker {}}} ", "Test worker {} | ", "xdist-gw{}: ", "runner{}> ", "[{}/12] ",
    "[10:15:0{}] ", "2026-11-27T10:15:0{}.1234567Z ",
]  # fmt: skip
HEX_DIGITS = "0123456789abcdef"
VALUES: dict[str, Callable[[Random], str]] = {
    "n": _random_number(1, 99999),
    "d": _random_number(1, 9),
    "small": _random_number(2, 40),
    "line": _random_number(3, 900),
    "col": _random_number(1, 90),
    "pid": _random_number(100, 99999),
    "ms": lambda random: f"{random.choice([5000, 10000, 15000, 30000, 30012, 45000, 60000, 1234])}",
    "dur": _random_form("{{small}}s", "{{n}}ms", "{{small}}.{{small}}s", "{{n}} ms", "{{d}}m{{small}}s"),
    "money": lambda random: f"{random.choice(['$', '€', '£', ''])}{random.randint(1, 1999)}.{random.randint(0, 99):02}",
    "hex6": _random_letters(HEX_DIGITS, 6),
    "hex8": lambda random: "4f" + "".join(random.choices(HEX_DIGITS, k=5)) + "9",
    "hex12": lambda random: "7f3" + "".join(random.choices(HEX_DIGITS, k=9)),
    "hex32": _random_letters(HEX_DIGITS, 32),
    "hex40": _random_letters(HEX_DIGITS, 40),
    "uuid": lambda random: "-".join("".join(random.choices(HEX_DIGITS, k=length)) for length in (8, 4, 4, 4, 12)),
    "id": lambda random: (
        "".join(random.choices(string.ascii_letters, k=5))
        + "7x4"
        + "".join(random.choices(string.ascii_letters + string.digits, k=12))
    ),
    "tmp8": lambda random: (
        "".join(random.choices(string.ascii_lowercase, k=3))
        + "4_x"
        + "".join(random.choices(string.ascii_lowercase + string.digits, k=2))
    ),
    "pod": _random_form("{{hex8}}9-x{{d}}k{{d}}q"),
    "ip": lambda random: (
        f"{random.randint(10, 192)}.{random.randint(0, 255)}.{random.randint(0, 255)}.{random.randint(1, 254)}"
    ),
    "port": _random_number(1024, 65000),
    "host": _random_form(
        "api-{{d}}.staging.shop.example",
        "localhost",
        "checkout.internal",
        "shop-{{small}}.eu.example.com",
        "10.0.{{small}}.{{small}}",
    ),
    "iso": lambda random: f"{_random_date(random)}T{_random_clock_time(random)}.{random.randint(0, 999):03}Z",
    "stamp": lambda random: f"{_random_date(random)} {_random_clock_time(random)},{random.randint(0, 999):03}",
    "clock": _random_clock_time,
    "epoch": _random_number(1750000000, 1790000000),
    "email": _random_form(
        "maria{{n}}@example.com", "qa+{{hex6}}@shop.example", "bob.jones@mail.example.org", "test-user@example.net"
    ),
    "name": lambda random: random.choice(
        ["Maria Lopez", "John Smith", "Ana Kovács", "Wei Chen", "Bob Jones", "Priya N. Patel"]
    ),
    "product": lambda random: random.choice(
        ["Trail Runner GTX", "Espresso Machine 3", "Blue Mug (large)", "Gift card", "Road Racer 4"]
    ),
    "home": _random_form(
        "/srv/ci/shop/shop",
        "/builds/qa/shop",
        "/Users/maria/dev/shop",
        "/home/jenkins/workspace/shop_PR-{{n}}",
        "/app",
    ),
    "jwt": _random_form("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ{{id}}.{{id}}"),
}
