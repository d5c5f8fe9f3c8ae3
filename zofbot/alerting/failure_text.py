"""A failure text taken apart: what it says, and where it happened; logs, dumps and titles are left out."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from zofbot.alerting.stack_frames import Frame, Origin, is_go_call, parse_frame

MAX_CHARACTERS = 16_000
"""Characters read, half of them from the end: Python and Java name the cause last."""

_TERMINAL = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?)|\[(?:\d{1,3};?){1,4}m")
_INVISIBLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u00ad\u061c\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\ud800-\udfff]")
_PRIVATE_KEY = re.compile(r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----.*?(?:-----END [A-Z ]{0,30}PRIVATE KEY-----|\Z)", re.DOTALL)
_CLIPPED = re.compile(r"\s*(?:…|\.{3}|\[?\(?(?:…|\.{3})?\s?(?:\d+ (?:more )?(?:characters|chars|bytes|lines) )?(?:truncated|clipped|omitted|more)\)?\]?)$")
_ENTITIES = (("&lt;", "<"), ("&gt;", ">"), ("&quot;", '"'), ("&#39;", "'"), ("&amp;", "&"))


@dataclass
class FailureText:
    """What a failure says, line by line, and its frames, the innermost first."""

    lines: list[str] = field(default_factory=list)
    frames: list[Frame] = field(default_factory=list)


def read_failure(text: str) -> FailureText:
    """Take ``text`` apart, as pytest, Python, or any other tool prints it."""
    lines = _lines(text)
    if any(line.startswith(("E  ", "E\t")) for line in lines):
        return _read_pytest(lines)
    if any(line.lstrip().startswith("Traceback (most recent call last)") for line in lines):
        found = _read_python(lines)
        if found.lines:
            return found
    return _read_other(lines)


def _lines(text: str) -> list[str]:
    if len(text) > MAX_CHARACTERS:
        text = f"{text[: MAX_CHARACTERS // 2]}\n{text[-MAX_CHARACTERS // 2 :]}"
    if not (text.isascii() and text.isprintable()):
        text = _TERMINAL.sub("", text).replace("\r\n", "\n").replace("\r", "\n")
        text = _INVISIBLE.sub("", text).replace("\u2028", "\n").replace("\xa0", " ")
    if "-----BEGIN" in text:
        text = _PRIVATE_KEY.sub("[redacted]", text)
    if "&" in text:
        for entity, character in _ENTITIES:
            text = text.replace(entity, character)
    if "\n" not in text and "\\n" in text:
        text = text.replace("\\n", "\n").replace("\\t", "\t")
    lines = text.split("\n")
    while lines and not lines[-1].strip():
        lines.pop()
    if lines and (clipped := _CLIPPED.search(lines[-1])):
        lines[-1:] = [] if len(lines) > 1 else [lines[-1][: clipped.start()].rpartition(" ")[0] or lines[-1][: clipped.start()]]
    return lines


# Lines that tell nothing of the cause, by how they begin.
_NOISE = re.compile(
    r"""
      [\s{}\[\]()<>,;|+\-~^=_*#.:/\\'"`─━═│┃▶►✗✘✖×●•·]*$                       # rules, brackets, carets
    | >?\s*\d+\s*\|\s | \|\s*[\^~]+ | \s*\^+                                       # source, as Babel and Rust show it
    | (?:Build\ info|System\ info|Driver\ info|Session\ ID|Capabilities|\(Session\ info|\(Driver\ info|Command:\ \[)
    | Element:\ \[\[ | For\ documentation\ on\ this\ error | remote\ stacktrace | Stacktrace:$ | Backtrace:$ | Stack:$
    | \#\d+\ 0x | \*\*\*\ Element\ info | attachment\ \# | test-results/ | Usage:$ | Hint:\ use
    | (?:=+|-+|_+)\s.*\s?(?:=+|-+|_+)$ | =+\ .* | ---\ (?:FAIL|PASS|End|expected) | ===\ (?:RUN|PAUSE|CONT|NAME)
    | (?:FAIL|PASS|RUNS|ok)\s+[\w./@-]+(?:\s.*)?$ | \d+\)\s | [●✕✗✘×]\s | \[pid=\d | (?:\[[\w -]+\]\s)?[›»]\s
    | (?:\[[\w -]+\]\s)?[\w./\\-]+\.(?:spec|test|cy|e2e)\.[cm]?[jt]sx?(?::\d+)*\s[›>»] | Browser\ logs: | (?:exit\ status\ 1|FAIL)$
    | (?:Test(?:\ name)?|Test\ Suite|Suite|Spec|Scenario|Feature|Title|File|Browser|Project|Environment|Worker|Run|Run\ ID|Duration|Started|Finished
        |Elapsed|Time|Date|Timestamp|Host|Pod|Build|Commit|Branch|Attempt|Retry|Retries|Shard|Seed|Random\ seed|Job|Timeout
        |Request[ -]?Id|Trace[ -]?Id|Correlation[ -]?Id|x-request-id|x-trace(?:-id)?|Screenshot|Video|Trace|Console\ log|Logs?|Artifacts?
        |content-type|content-length|date|server|via|etag|cf-ray|vary|connection|x-[\w-]+|User-Agent|Accept|Authorization|Cookie|Set-Cookie
        |Node\.js|Ran\ \d+|Tests\ run|Snapshots?|Error\ Trace|Stack\ Trace|StackTrace|Test\ ID|URL\ hash|Session|cookie|password):(?:\s|$)
    | (?:goroutine\ \d+\ \[ | created\ by\ | exit\ status | \[signal\ | stack\ backtrace | note:\ run\ with | note:\ Some)
    | \.\.\.\s\d+\s(?:more|common|lines) | \d+\s(?:more|frames)
    | (?:Suppressed:|Omitting\ \d|Full\ diff|Use\ -v|use\ '-vv'|Left\ contains|Right\ contains|Skipping\ \d|\?\s)
    | Ignored\ nodes: | Here\ are\ the\ accessible | This\ could\ be\ because | Because\ this\ error\ occurred | Difference: | Diff:$
    | \(compared\ using | Shared\ Example\ Group | Diff:\s*$ | @@\s | [-+]{3}\s | \+\ Expected | \+\ Received
    | (?:Waiting|waiting|Still\ waiting|Polling|polling|Retrying|retrying|Downloading|Progress|Sleeping|Backing\ off|Attempt\ \d+/|\[\d+/\d+\])\b
    | (?:at\ )?\[internal | From\ previous\ event | at\ process\.processTicks | Error\ occurred\ in | Randomized\ with
    | Node\.js\ v\d | npm\ ERR! | error\ Command\ failed | info\ Visit | Thrown\ at: | During\ handling | The\ above\ exception
    | [A-Za-z0-9+/]{60,}={0,2}$ | \[redacted\]$ | (?:http|GET|POST|PUT)\s?[<>]\s
    """,
    re.VERBOSE,
)
_LEVEL = re.compile(
    r"""
    (?:[\[(]?(?:\d{4}[-/]\d\d[-/]\d\d[T ])?\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|\s?[+-]\d\d:?\d\d|\sUTC)?[\])]?[\s|:-]*)?
    (?:\[[\w. :#/@-]{1,60}\]\s*){0,3}
    (?:[\[(<|]?\b(TRACE|DEBUG|INFO|NOTICE|WARN(?:ING)?|ERROR|FATAL|SEVERE|CRITICAL|E|I|W)\b[\])>|]?:?\s)?
    (?:\[[\w. :#/@-]{1,60}\]\s*){0,3}
    (?:(?<=[\]\s])\d{2,7}\s)?(?:---\s\[[^\]]{1,60}\]\s)?(?:(?<=\s)[\w.$-]{3,80}\s(?::|-)\s)?
    """,
    re.VERBOSE,
)
_QUIET_LEVELS = frozenset(("TRACE", "DEBUG", "INFO", "NOTICE", "WARN", "WARNING", "I", "W"))
_STAMPED = re.compile(r"[\[(]?(?:\d{4}[-/]\d\d[-/]\d\d[T ])?\d\d:\d\d:\d\d|\[[\w. :#/@-]{1,60}\]|(?:TRACE|DEBUG|INFO|WARN|ERROR|FATAL)")
_PREFIX = re.compile(
    r"(?:Exception in thread (?:\"[^\"\n]{0,100}\"|\S+) |Uncaught (?:\(in promise\) )?|Unhandled (?:exception\. |rejection:? |Promise Rejection:? )"
    r"|\(node:\d+\) |FAILED \S+(?: - |$)|ERROR \S+::\S+ - |\S+_test\.go:\d+: |[\[(](?:[Aa]ttempt|[Rr]etry|[Tt]ry) #?\d+(?: ?(?:/|of) ?\d+)?[\])]:?\s*"
    r"|Failure/Error: |Errors?:\s{2,}|Messages?:\s{2,}|Failures?:$|[•→]\s)"
)
_ATTEMPT = re.compile(r"(?:[Aa]ttempt|[Rr]etry|[Tt]ry) #?\d+(?: ?(?:/|of) ?\d+)?(?: failed)?[:,.)-]*\s*")
_OUTPUT_FOLLOWS = re.compile(
    r"[-=*#\s\[]*(?:[Cc]aptured )?(?:std ?(?:out|err)|[Cc]onsole|[Bb]rowser (?:console|logs?)|[Ss]erver (?:logs?|output)|[Ll]ogs?|[Oo]utput|[Pp]age source|HTML"
    r"|DOM(?: snapshot)?|[Nn]etwork(?: log)?|[Ee]nvironment|[Ss]ystem[- ](?:out|err)|STDOUT|STDERR)(?: (?:output|logs?|call|setup|teardown|dump|messages))*"
    r"[\]:\s]*[-=*#]*$"
)
_CAUSE = re.compile(r"(?:Caused by:?|\[cause\]:|Cause:|-+>|Root cause:|caused by:?)\s*")
_LABEL = re.compile(r"(?:[Ee]xpect(?:ed|ing)|[Rr]eceived|[Aa]ctual|[Bb]ut(?: was| got)?|[Gg]ot|[Ww]ant(?:ed)?|to (?:be )?equal(?: to)?|to contain)\b[^:<]{0,30}[:<]")
_PYTEST_FAILED = re.compile(r"FAILED ([\w./-]{1,200}\.py)::([\w:]{1,200})")
_DOM = re.compile(r"<(?!\*>)/?[A-Za-z!?]")
_JSON = re.compile(r"""["']?[\w.@-]+["']?\s*(?:=>|:)\s.*[,\[{]?$|["'][^"']*["'],?$""")
_DIFF = re.compile(r"[-+]\s?(?![-+])\s*(.+)$")
_DIFF_KEY = re.compile(r"""["']?([A-Za-z_][\w.-]*)["']?\s*(?:=>|:|=)\s""")
_RUBY_HEAD = re.compile(r"[\w./@+~-]{1,200}\.rb:\d+:in [`'][^'\n]{1,100}': ")
_RUST_HEAD = re.compile(r"thread '[^'\n]{1,60}'(?: \(\d+\))? panicked at (?:'(.+)', )?(\S+?):\d+(?::\d+)?:?$")


def _read_other(lines: list[str]) -> FailureText:
    """JavaScript, Java, Go, C#, Ruby and plain text: what is said first, then frames, then perhaps a deeper cause."""
    found = FailureText()
    sections: list[list[Frame]] = [[]]
    previous = ""
    reader = _Reader()
    for line in lines:
        stripped = line.strip()
        if failed := _PYTEST_FAILED.match(stripped):
            sections[-1].append(Frame(failed[2], failed[1].rpartition("/")[2], Origin.TEST))
        if not stripped:
            reader.end_block()
            continue
        if _OUTPUT_FOLLOWS.match(stripped) and found.lines:
            break
        head = _RUBY_HEAD.match(stripped)
        frame = parse_frame(stripped, previous)
        if frame is not None and not (head and not found.lines):
            if found.lines and is_go_call(found.lines[-1]) and found.lines[-1] == previous:
                found.lines.pop()
            sections[-1].append(frame)
            reader.in_frames = True
        elif head:
            sections[-1].extend(filter(None, [parse_frame(head[0])]))
            found.lines.append(stripped[head.end() :])
        elif cause := _CAUSE.match(stripped):
            sections.append([])
            found.lines.append(stripped[cause.end() :])
            reader.in_frames = True
        elif stripped.startswith("Error Trace:"):
            sections[-1].extend(filter(None, [parse_frame(stripped.removeprefix("Error Trace:").strip())]))
        else:
            found.lines.extend(reader.keep(line, stripped))
        previous = stripped
    if not found.lines:
        found.lines = reader.attempts[:2]
    if not found.lines:
        found.lines = [line.strip() for line in lines if line.strip() and not parse_frame(line.strip())][:2]
    found.frames = next((frames for frames in reversed(sections) if any(f.origin is Origin.PRODUCT for f in frames)), sections[0])
    found.lines = list(_join_labels(found.lines))
    return found


class _Reader:
    """Keeps the lines of a text that tell something of its cause."""

    def __init__(self) -> None:
        self.in_frames = False
        self.attempts: list[str] = []
        self._kept = 0
        self._log = False
        self._waits = 0
        self._diff = False
        self._changes: set[str] = set()

    def end_block(self) -> None:
        """Note an empty line, which ends a list of calls."""
        self._log = False

    def keep(self, line: str, stripped: str) -> Iterator[str]:
        if stripped.startswith(("Call log:", "=========================== logs", "logs:")) or "= logs =" in stripped:
            self._log = True
        elif self._log:
            yield from self._keep_call(stripped)
        elif stripped.startswith(("- Expected", "+ Received", "+ Expected", "- Actual", "+ Actual", "Diff:", "diff:", "--- Expected")):
            self._diff = True
        elif self._diff or (self._kept and stripped[0] in "-+" and stripped[1:2] in (" ", "")):
            yield from self._keep_change(stripped)
        elif self.in_frames and self._kept:
            return
        else:
            yield from self._keep_line(stripped)

    def _keep_line(self, stripped: str) -> Iterator[str]:
        stripped = _PREFIX.sub("", stripped, count=1) if _PREFIX.match(stripped) else stripped
        if _STAMPED.match(stripped) and (level := _LEVEL.match(stripped)):
            if level[1] in _QUIET_LEVELS:
                return
            stripped = stripped[level.end() :]
            stripped = _PREFIX.sub("", stripped, count=1) if _PREFIX.match(stripped) else stripped
        if attempt := _ATTEMPT.match(stripped):
            self.attempts.append(stripped[attempt.end() :])
            return
        if not stripped or _NOISE.match(stripped) or (self._kept and (_DOM.match(stripped) or self._is_data(stripped))):
            return
        self._kept += 1
        yield stripped

    def _is_data(self, stripped: str) -> bool:
        return _JSON.match(stripped) is not None and not re.match(r"""["'{]*(?:error|message|code|reason|detail|type|status|Locator|field)""", stripped, re.I) and stripped[0] in "\"'"

    def _keep_call(self, stripped: str) -> Iterator[str]:
        """Of a list of calls: what was waited for first, and what first stood in the way."""
        call = stripped.lstrip("-•· ").lstrip("0123456789×x ")
        if call.startswith("waiting for ") and re.search(r"[gG]etBy|locator|selector|[\"']", call) and not self._waits & 1:
            self._waits |= 1
            yield call
        elif not self._waits & 2 and (found := re.search(r"<[^<>]+>.{0,200}intercepts pointer events|element is not \w+|element is outside|was detached|not attached", call)):
            self._waits |= 2
            yield found[0]

    def _keep_change(self, stripped: str) -> Iterator[str]:
        """Of a difference: the name of the first field that changed, with both its values."""
        found = _DIFF.match(stripped)
        key = _DIFF_KEY.match(found[1]) if found else None
        if found and key and (not self._changes or (key[1] in self._changes and len(self._changes) == 1)):
            self._changes.add(key[1])
            yield "~ " + found[1].rstrip(",")


def _join_labels(lines: Iterable[str]) -> Iterator[str]:
    """Join what was expected with what came instead: only together do they say whether they are status codes."""
    joined: list[str] = []
    for line in lines:
        if _LABEL.match(line):
            joined.append(line)
            continue
        if joined:
            yield " | ".join(joined)
            joined = []
        yield line
    if joined:
        yield " | ".join(joined)


def _read_pytest(lines: list[str]) -> FailureText:
    """What pytest marks with E, the assertion above it, and the type in the line beneath."""
    said: list[str] = []
    frames: list[Frame] = []
    asserted = kind = ""
    reader = _Reader()
    for line in lines:
        stripped = line.strip()
        if line.startswith((">  ", ">\t")):
            asserted = stripped[1:].strip() if stripped[1:].strip().startswith("assert ") else ""
        elif line.startswith(("E  ", "E\t")):
            if asserted:
                said.append(asserted)
                asserted = ""
            said.extend(reader.keep(line[1:], line[1:].strip()) if line[1:].strip() else ())
        elif frame := parse_frame(stripped):
            frames.append(frame)
            kind = stripped.rpartition(": ")[2] if not frame.function and ".py:" in stripped else kind
    frames.reverse()
    lead = re.match(r"[A-Za-z_][\w.]*(?:Error|Exception|Failure|Timeout|Exit|Interrupt)\b", next((s for s in said if not s.startswith("assert ")), ""))
    if kind and not lead and re.match(r"[A-Za-z_][\w.]*$", kind):
        said.insert(0, kind)
    return FailureText(said, [Frame("" if f.function == kind else f.function, f.file, f.origin) for f in frames])


def _read_python(lines: list[str]) -> FailureText:
    """The first and the last exception of a traceback, and the frames of the first."""
    raised: list[list[str]] = []
    first: list[Frame] = []
    frames: list[Frame] = []
    inside = False
    for line in lines:
        stripped = line.strip()
        if stripped.startswith("Traceback (most recent call last)"):
            inside, frames = True, []
        elif inside and (frame := parse_frame(stripped)):
            frames.append(frame)
        elif inside and stripped and not line.startswith((" ", "\t", "|")):
            inside = False
            first = first or frames[::-1]
            raised.append([stripped])
        elif not inside and stripped and raised and not _NOISE.match(stripped) and len(raised[-1]) < 3:
            raised[-1].append(stripped)
    chosen = [*raised[0], *(raised[-1] if len(raised) > 1 else ())] if raised else []
    return FailureText(chosen, first or frames[::-1])
