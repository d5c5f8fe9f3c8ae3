"""Recognize lines that do not describe a cause (titles, logs, rules, dumps), and strip prefixes from others."""

from __future__ import annotations

import re

# Matched at the start of a line.
_NOISE = re.compile(
    r"""
      [\s{}\[\]()<>,;|+\-~^=_*#.:/\\'"`─━═│┃▶►✗✘✖×●•·]*$                       # rules, brackets, carets
    | >?\s*\d+\s*\|\s | \|\s*[\^~]+ | \s*\^+                                       # source, as printed by Babel, Rust
    | (?:Build\ info|System\ info|Driver\ info|Session\ ID|Capabilities|\(Session\ info|\(Driver\ info|Command:\ \[)
    | Element:\ \[\[ | For\ documentation\ on\ this\ error | remote\ stacktrace | Stacktrace:$ | Backtrace:$ | Stack:$
    | \#\d+\ 0x | \*\*\*\ Element\ info | attachment\ \# | test-results/ | Usage:$ | Hint:\ use
    | (?:=+|-+|_+)\s.*\s?(?:=+|-+|_+)$ | =+\ .* | ---\ (?:FAIL|PASS|End|expected) | ===\ (?:RUN|PAUSE|CONT|NAME)
    | (?:FAIL|PASS|RUNS|ok)\s+[\w./@-]+(?:\s.*)?$ | \d+\)\s | [●✕✗✘×]\s | \[pid=\d
    | \[\d+:\d+:[\d/.:]+:[A-Z]+: | at\s[\w.$]+$
    | (?:\[[\w -]+\]\s)?[›»]\s
    | (?:\[[\w -]+\]\s)?[\w./\\-]+\.(?:spec|test|cy|e2e)\.[cm]?[jt]sx?(?::\d+)*\s[›>»] | Browser\ logs:
        | (?:exit\ status\ 1|FAIL)$
    | (?:Test(?:\ name)?|Test\ Suite|Suite|Spec|Scenario|Feature|Title|File|Browser|Project|Environment|Worker
        |Run|Run\ ID|Duration|Started|Finished
        |Elapsed|Time|Date|Timestamp|Host|Pod|Build|Commit|Branch|Attempt|Retry|Retries|Shard|Seed|Random\ seed
            |Job|Timeout
        |Request[ -]?Id|Trace[ -]?Id|Correlation[ -]?Id|x-request-id|x-trace(?:-id)?|Screenshot|Video|Trace
            |Console\ log|Logs?|Artifacts?
        |content-type|content-length|date|server|via|etag|cf-ray|vary|connection|x-[\w-]+|User-Agent|Accept
            |Authorization|Cookie|Set-Cookie
        |Node\.js|Ran\ \d+|Tests\ run|Snapshots?|Error\ Trace|Stack\ Trace|StackTrace|Test\ ID|URL\ hash
            |Session|cookie|password):(?:\s|$)
    | (?:goroutine\ \d+\ \[ | created\ by\ | exit\ status | \[signal\ | stack\ backtrace | note:\ run\ with
        | note:\ Some)
    | \.\.\.\s\d+\s(?:more|common|lines) | \d+\s(?:more|frames)
    | (?:Suppressed:|Omitting\ \d|Full\ diff|Use\ -v|use\ '-vv'|Left\ contains|Right\ contains|Skipping\ \d|\?\s)
    | Ignored\ nodes: | Here\ are\ the\ accessible | This\ could\ be\ because | Because\ this\ error\ occurred
        | Difference: | Diff:$
    | \(compared\ using | Shared\ Example\ Group | Diff:\s*$ | @@\s | [-+]{3}\s | \+\ Expected | \+\ Received
    | (?:Waiting|waiting|Still\ waiting|Polling|polling|Retrying|retrying|Downloading|Progress|Sleeping
        |Backing\ off|Attempt\ \d+/|\[\d+/\d+\])\b
    | (?:at\ )?\[internal | From\ previous\ event | at\ process\.processTicks | Error\ occurred\ in | Randomized\ with
    | Node\.js\ v\d | npm\ ERR! | error\ Command\ failed | info\ Visit | Thrown\ at: | During\ handling
        | The\ above\ exception
    | \(Background\ on\ this\ error | For\ further\ information\ visit | \[parameters:\s
    | <-{2,3}\s | \[\d+:0x | \d+:\s0x
    | [A-Za-z0-9+/]{60,}={0,2}$ | \[redacted\]$ | (?:http|GET|POST|PUT)\s?[<>]\s
    """,
    re.VERBOSE,
)
_LEVEL = re.compile(
    r"""
    (?:[\[(]?(?:\d{4}[-/]\d\d[-/]\d\d[T ])?\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|\s?[+-]\d\d:?\d\d|\sUTC)?[\])]?[\s|:-]*)?
    (?:\[[\w. :#/@-]{1,60}\]\s*){0,3}
    (?:[\[(<|]?\b(TRACE|DEBUG|INFO|NOTICE|WARN(?:ING)?|ERROR|FATAL|SEVERE|CRITICAL|E|I|W)\b[\])>|]?:?\s(?!\d+\ \())?
    (?:\[[\w. :#/@-]{1,60}\]\s*){0,3}
    (?:(?<=[\]\s])\d{2,7}\s)?(?:---\s\[[^\]]{1,60}\]\s)?(?:(?<=\s)(?![\w.$]*(?:Exception|Error)\s)[\w.$-]{3,80}\s(?::|-)\s)?
    """,
    re.VERBOSE,
)
_QUIET_LEVELS = frozenset(("TRACE", "DEBUG", "INFO", "NOTICE", "WARN", "WARNING", "I", "W"))
_STAMPED = re.compile(
    r"[\[(]?(?:\d{4}[-/]\d\d[-/]\d\d[T ])?\d\d:\d\d:\d\d|\[[\w. :#/@-]{1,60}\]|(?:TRACE|DEBUG|INFO|WARN|ERROR|FATAL)"
)
_PREFIX = re.compile(
    r"\A(?:Exception in thread (?:\"[^\"\n]{0,100}\"|\S+) |Uncaught (?:\(in promise\) )?"
    r"|Unhandled (?:exception\. |rejection:? |Promise Rejection:? )"
    r"|[EWIF]\d{4} [\d:.]+\s+\d+ [\w.]+:\d+\] |\(node:\d+\) "
    r"|FAILED \S+(?: - |$)|ERROR \S+::\S+ - |\S+_test\.go:\d+: |[\[(](?:[Aa]ttempt|[Rr]etry"
    r"|[Tt]ry) #?\d+(?: ?(?:/|of) ?\d+)?[\])]:?\s*"
    r"|Failure/Error: |Errors?:\s{2,}|Messages?:\s{2,}|Failures?:$|[•→]\s)"
)
_OUTPUT_FOLLOWS = re.compile(
    r"[-=*#\s\[]*(?:[Cc]aptured )?(?:std ?(?:out|err)|[Cc]onsole|[Bb]rowser (?:console|logs?)"
    r"|[Ss]erver (?:logs?|output)|[Ll]ogs?|[Oo]utput|[Pp]age source|HTML"
    r"|DOM(?: snapshot)?|[Nn]etwork(?: log)?|[Ee]nvironment|[Ss]ystem[- ](?:out|err)|STDOUT"
    r"|STDERR)(?: (?:output|logs?|call|setup|teardown|dump|messages))*"
    r"[\]:\s]*[-=*#]*$"
)
_RUNNER = (
    "(?:gw|w|t|worker|runner|shard|node|job|agent|slot|process|proc|thread|pid|executor|fork|instance|container|pod"
    "|browser|chrome|chromium|firefox|webkit|edge|safari|electron|project|build)"
)
_NUMBERED = rf"(?:test\ )?(?:[\w.]{{1,20}}[_-]){{0,2}}{_RUNNER}[\s\#=:_-]{{0,2}}\[?\d+\]?(?:\s?(?:/|of)\s?\d+)?"
_RUNNER_MARKS = re.compile(
    rf"""
    \A(?:
      [\[(]?(?:\d{{4}}[-/]\d\d[-/]\d\d[T ])?\d\d:\d\d:\d\d(?:[.,]\d{{1,9}})?(?:Z|\s?[+-]\d\d:?\d\d|\sUTC)?[\])]?[:|]?\s
    | [\[(<{{](?:{_NUMBERED}(?:,\s{_NUMBERED}){{0,3}}|\d{{1,5}}/\d{{1,5}})[\])>}}]:?\s(?:[|›»-]\s)?
    | {_NUMBERED}(?:\s*[|>›»▶:]|\s[-–])\s
    | {_RUNNER}[\#=_-]?\d+\s
    | [A-Za-z][\w.]{{0,60}}(?:-[\w.]{{1,60}}){{0,5}}[_-]\d+(?:\s+\||\s?[>›»▶])\s
    | \#\d+\s?[|:>›-]\s
    | \[[\w .:-]{{1,40}}\]\s(?=[E>]\s\s)
    )+
    """,
    re.VERBOSE | re.IGNORECASE,
)
_STATUS_IN_BRACKETS = re.compile(
    r"\[(?:(?:HTTP(?:/[\d.]+)?|[Ss]tatus|[Cc]ode)[ =:]{0,2}[1-5]\d\d|[45]\d\d"
    r"|[A-Z]{2,}[A-Z_]*[_-]?\d{3,}|E(?!RROR)[A-Z]{4,}|ERR_\w+)\]"
)

MAX_HEADING_CHARACTERS = 90
MAX_STAMPS = 2
"""Loggers that may put time and level before one message."""


def is_noise(line: str) -> bool:
    """Whether a stripped line does not describe the cause."""
    return _NOISE.match(line) is not None


def announces_output(line: str) -> bool:
    """Whether what follows ``line`` is captured output, a log or a dump."""
    return len(line) <= MAX_HEADING_CHARACTERS and _OUTPUT_FOLLOWS.match(line) is not None


def strip_runner_marks(lines: list[str]) -> list[str]:
    """Strip the time and the worker that a runner puts before the first line, or before each."""
    if not (lines and _RUNNER_MARKS.match(lines[0])):
        return lines
    return [_RUNNER_MARKS.sub("", line, count=1) for line in lines]


def strip_prefix(line: str) -> str:
    """Strip what loggers and runners put before a message; return nothing for a log level below error."""
    line = _PREFIX.sub("", line, count=1)
    for _ in range(MAX_STAMPS):
        if not _STAMPED.match(line) or _STATUS_IN_BRACKETS.match(line) or not (level := _LEVEL.match(line)):
            return line
        if level[1] in _QUIET_LEVELS:
            return ""
        line = _PREFIX.sub("", line[level.end() :], count=1)
    return line
