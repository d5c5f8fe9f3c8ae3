"""Parse stack frames of Python, JavaScript, Java, Go, C#, Ruby, PHP and Rust, line by line."""

from __future__ import annotations

import re
from enum import Enum
from functools import lru_cache
from typing import NamedTuple


class Origin(Enum):
    """Whose code a frame belongs to."""

    PRODUCT = "product"
    TEST = "test"
    LIBRARY = "library"


class Frame(NamedTuple):
    """A function and its file, without directories and line numbers; either may be empty."""

    function: str
    file: str
    origin: Origin

    def __str__(self) -> str:
        return " ".join(filter(None, ("at", self.function, self.file)))


_LIBRARY = re.compile(
    r"""
      node_modules | node: | ^internal/ | <anonymous>$ | \(native\) | ^native$ | cypress_runner | __cypress/runner
    | site-packages | dist-packages | /lib/python\d | <frozen | /_pytest/ | /usr/lib/ | importlib
    | /gems/ | /rubygems | <internal: | /lib/ruby/
    | /usr/local/go/ | /go/src/(?:runtime|testing|net|database)/ | pkg/mod/ | /vendor/
    | /rustc/ | \.cargo/
    | ^(?:java|javax|jakarta|jdk|sun|kotlin|kotlinx|scala|groovy|reactor|feign|junit)\.
    | ^com\.(?:sun|mysql|zaxxer|fasterxml|google|microsoft|oracle|mongodb|rabbitmq|jayway|squareup|intellij|codeborne)\.
    | ^org\.(?!acme|example|company)                         # nearly all such packages are open source
    | ^io\.(?:grpc|netty|micrometer|lettuce|restassured|cucumber|vertx|micronaut|quarkus|reactivex)\.
    | ^(?:okhttp3|okio|retrofit2|redis\.clients|worker\.org\.gradle|net\.bytebuddy|ch\.qos)\.
    | ^(?:System|Microsoft|Xunit|NUnit|OpenQA|Npgsql|Newtonsoft|FluentAssertions|Shouldly|Moq|Grpc|StackExchange
        |MySql|Polly|Castle|TechTalk|Reqnroll|Dapper|MediatR|AutoMapper|Swashbuckle|RestSharp)\.
    | ^(?:runtime|testing|reflect|net|net/http|database/sql|sync|syscall|io|os|context|encoding/json)[./]
    | ^google\.golang\.org/ | ^golang\.org/ | ^gopkg\.in/ | ^github\.com/(?:stretchr|lib|jackc|go-|gin-|redis
        |onsi|labstack)
    """,
    re.VERBOSE,
)
_TEST = re.compile(
    r"""
      (?:^|/)(?:tests?|specs?|__tests__|e2e|cypress|features|step_definitions|test_helpers)/
    | (?:^|/)test_[\w-]+\.\w+$ | conftest\.py$ | _test\.(?:py|go|rb|exs|dart)$ | _spec\.rb$ | _steps?\.\w+$
    | [.-](?:test|spec|cy|e2e|unit|steps)\.[cm]?[jt]sx?$
    | (?:Tests?|Spec|IT|TestCase|Steps)\.(?:java|kt|cs|groovy|scala|php|swift)$
    """,
    re.VERBOSE,
)
_TEST_CLASS = re.compile(r"(?:^|\.)\w*(?:Tests?|TestCase|Spec|Specs|IT|Steps)(?:\$\w+)?\.[\w$<>]+$")

_PYTHON = re.compile(r'File "([^"]{1,300})", line \d+(?:, in (.{1,120}))?$')
_PYTEST = re.compile(r"((?:[A-Za-z]:)?[\w./\\@+<>~-]{1,200}\.py):\d+:(?: in (\S{1,100})| ([A-Za-z_][\w.]{0,100})|)$")
_GO = re.compile(r"((?:[A-Za-z]:)?[\w./\\@+~-]{1,300}\.go):\d+(?: \+0x[0-9a-f]{1,16})?$")
_GO_FUNCTION = re.compile(r"([\w./*()@~-]{2,300}?[.\w)])(?:\[\.\.\.\])?\((?:0x|\.\.\.|\{|\"|\)|\?|nil)[^\n]*$")
_RUBY = re.compile(
    r"(?:from |# )?([\w./@+~<>: -]{1,300}?\.(?:rb|rake|erb)):\d+(?::in [`'\"‘]([^'\"’]{1,120})['\"’])?(?::|$)"
)
_PHP = re.compile(r"#\d+ ([\w./\\-]{1,300}\.php)\(\d+\)(?:: ([\w\\:>-]{1,200}))?")
_PHP_PLACE = re.compile(r"([\w./\\-]{1,300}\.php):\d+$")
_VITEST = re.compile(r"❯ (?:(\S{1,120}) )?(\S{1,300}?\.[cm]?[jt]sx?):\d+(?::\d+)?$")
_JVM = re.compile(r"(?:[\w.-]{1,60}/{1,2})?((?:[\w$-]{1,80}\.){1,12}[\w$<>-]{1,120})\(([^()]{0,200})\)")
_DOTNET_FILE = re.compile(r" in (.{1,300}):line \d+$")
_LOCATION = re.compile(r"(?::\d+){1,2}$")
_AT_LOCATION = re.compile(r"(?:async )?([^\s()]{1,400}?):\d+(?::\d+)?(?: in (\w{1,120}))?$")
_CUT_LOCATION = re.compile(r"(\s*at [^()]{1,200} \([^()]{1,300}\.[cm]?[jt]sx?):")
_CUT_FRAME = re.compile(r"(\s*at (?:[\w.-]{1,60}/{1,2})?(?:[\w$-]{1,80}\.){1,12}[\w$<>-]{1,120})\(")
_NUMBERED = re.compile(r"[$]+\d+|\$\$[A-Za-z]+\$\$\w+|\.lambda|[`´]\d+|(?<=[-._])[0-9a-f]{6,}(?=\.)|@[\w.-]+(?=/)")
_RUBY_BLOCK = re.compile(r"^(?:(?:block|rescue|ensure)(?: \(\d+ levels\))? in )*(?:<[^<>]+>)?")


def parse_frame(line: str, previous: str = "") -> Frame | None:
    """Parse a stripped line as a stack frame; return None if it is none.

    Go prints a frame as two lines: the function in ``previous``, the file in ``line``.
    """
    if line.startswith("at "):
        line = line.removesuffix(" {")
        return _read_at(line[3:].strip())
    if line.startswith('File "'):
        found = _PYTHON.match(line)
        return _build_frame(found[2] or "", found[1]) if found else None
    if ".go:" in line and (found := _GO.match(line)):
        if called := _GO_FUNCTION.match(previous):
            return _build_frame(_short_go(called[1]), found[1], called[1])._replace(file="")
        return _build_frame("", found[1])
    if ".py:" in line and (found := _PYTEST.match(line)):
        return _build_frame(found[2] or "", found[1])
    if (".rb:" in line or ".rake:" in line or ".erb:" in line) and (found := _RUBY.match(line)):
        return _build_frame(_RUBY_BLOCK.sub("", found[2] or ""), found[1])
    if ".php:" in line and (found := _PHP_PLACE.match(line)):
        return _build_frame("", found[1])
    if line.startswith("❯ ") and (found := _VITEST.match(line)):
        return _build_frame(_short_js(found[1] or ""), found[2])
    if line.startswith("#") and (found := _PHP.match(line)):
        return _build_frame(found[2] or "", found[1])
    return None


def is_go_call(line: str) -> bool:
    """Whether ``line`` is the first line of a Go frame, such as ``main.(*Server).handle(0xc000…)``."""
    return line.endswith(")") and " " not in line.partition("(0x")[0] and _GO_FUNCTION.match(line) is not None


def parse_go_call(line: str) -> Frame:
    """Parse the first line of a Go frame alone, for a text that ends there."""
    qualified = line.partition("(0x")[0]
    return _build_frame(_short_go(qualified), "", qualified)


def complete_frame(line: str) -> str:
    """Return a frame that was cut off after its file or function as a whole one, or nothing if it is none."""
    if found := _CUT_LOCATION.match(line):
        return f"{found[1]}:1:1)"
    found = _CUT_FRAME.match(line)
    return f"{found[1]}()" if found else ""


def _read_at(body: str) -> Frame | None:
    """Parse a frame after its ``at``: JavaScript, Java, Kotlin, C# and Rust."""
    if found := _DOTNET_FILE.search(body):
        qualified = body.partition("(")[0]
        return _build_frame(_short_class(qualified), found[1], qualified)._replace(file="")
    if body.endswith(")") and " (" in body:
        function, _, location = body[:-1].rpartition(" (")
        if _LOCATION.search(location) or location in ("<anonymous>", "native", "index 0"):
            return _build_frame(_short_js(function), _LOCATION.sub("", location))
    if found := _JVM.match(body):
        file = found[2].partition(":")[0]
        path = file if "." in file and " " not in file else ""
        return _build_frame(_short_class(found[1]), path, found[1])._replace(file="")
    if found := _AT_LOCATION.match(body):
        return _build_frame(found[2] or "", found[1])
    if body.endswith(")") and "." in body.partition("(")[0] and " " not in body.partition("(")[0]:
        qualified = body.partition("(")[0]
        return _build_frame(_short_class(qualified), "", qualified)
    return None


def forget_frames() -> None:
    """Clear the cache of frames."""
    _build_frame.cache_clear()


@lru_cache(maxsize=1024)
def _build_frame(function: str, path: str, qualified: str = "") -> Frame:
    path = path.replace("\\", "/").partition("?")[0]
    file = "" if path.startswith("<") else path.rpartition("/")[2]
    if _LIBRARY.search(path) or (qualified and _LIBRARY.search(qualified)):
        origin = Origin.LIBRARY
    elif _TEST.search(path) or (qualified and _TEST_CLASS.search(qualified)):
        origin = Origin.TEST
    else:
        origin = Origin.PRODUCT
    return Frame(_NUMBERED.sub("", function), _NUMBERED.sub("", file), origin)


def _short_class(qualified: str) -> str:
    """Return class and method without the package, which may change and is repeated in the file name."""
    return ".".join(qualified.split(".")[-2:])


def _short_go(qualified: str) -> str:
    return qualified.rpartition("/")[2]


def _short_js(function: str) -> str:
    for word in ("async ", "new "):
        function = function.removeprefix(word)
    function = function.partition(" [as ")[0]
    return "" if "<anonymous>" in function or function in ("eval", "null") else function
