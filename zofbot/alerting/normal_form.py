"""One line of a failure in normal form: what differs from time to time is taken out, names and codes stay."""

from __future__ import annotations

import re
from functools import lru_cache

from zofbot.alerting.quoted import Quoted, judge_quoted
from zofbot.redact import MASK, redact

VARIABLE = "<*>"
"""Stands for whatever was taken out, however long it was."""

MAX_LINE_CHARACTERS = 400
"""What follows in a line is left out, which bounds the cost of each pattern."""

_MONTH = "(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]{0,6}"
_DAY = "(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]{0,6}"
_TIMES = re.compile(
    rf"""
      \d{{4}}[-/]\d\d[-/]\d\d(?:[T ]\d\d:\d\d(?::\d\d)?(?:[.,]\d{{1,9}})?)?(?:\ ?(?:Z|UTC|GMT|[+-]\d\d:?\d\d)\b)?(?:\[[\w/]+\])?
    | (?:\b{_DAY},?\ )?\b(?:\d{{1,2}}(?:st|nd|rd|th)?[ -]{_MONTH}|{_MONTH}\ \d{{1,2}})(?:,?[ -]\d{{2,4}}\b(?!:))?
      (?:,?\ (?:at\ )?\d{{1,2}}:\d\d(?::\d\d)?(?:\.\d+)?(?:\ ?[AaPp]\.?[Mm]\b\.?)?)?
      (?:\ (?=UTC|GMT|[A-Z]{{3,4}}\b|[+-]\d|\d{{4}}\b)(?:UTC|GMT|[A-Z]{{3,4}})?(?:[+-]\d\d:?\d\d)?(?:\ \([\w ]{{3,40}}\))?(?:\ \d{{4}}\b)?)?
    | \b\d{{1,2}}[/.]\d{{1,2}}[/.]\d{{4}}\b(?:,?\ \d\d?:\d\d(?::\d\d)?(?:\ ?[AP]M)?)?
    | \b\d{{1,2}}:\d\d:\d\d(?:[.,:]\d{{1,9}})?\b(?:\ ?[AP]M)?
    """,
    re.VERBOSE,
)
_EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63})+")
_URL = re.compile(r"\b(?:[a-z][a-z0-9+-]{1,20}:){1,2}//((?:[^\s\"'`<>)\]},;]|<\*>)*)")
_UUID = re.compile(r"(?<![0-9A-Fa-f])[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}(?![0-9A-Fa-f])")
_ADDRESS = re.compile(
    r"""
      (?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?:[:/]\d{1,5})?(?![\w.]\d)
    | \[?(?<![\w:])(?:[0-9a-fA-F]{0,4}:){2,7}(?:[0-9a-fA-F]{1,4}|(?<=::))(?![\w:])\]?(?::\d{1,5})?
    | \b(?:us|eu|ap|sa|ca|me|af|cn|il)-(?:gov-)?(?:north|south|east|west|central){1,2}-?\d\b
    | (?<![\w.-])localhost(?::\d{1,5})?\b
    | (?<![\w.@/-])(?:[A-Za-z0-9][A-Za-z0-9-]{0,62}\.){1,8}(?:com|net|org|io|dev|local|internal|cluster|svc|test|example|ai|app|co
        |cloud|lan|corp|invalid|eu|de|uk|us|intra|localdomain|consul|host|site|tech|sh)(?::\d{2,5})?\b(?![\w.(-])
    | (?<![\w./-])(?!line|code|error|errno|status|port|column|row|col)[a-z][a-z0-9]*(?:[.-][a-z0-9]+)*:\d{4,5}\b(?!:)
    """,
    re.VERBOSE,
)
_HOST_AFTER = re.compile(
    r"\b(ENOTFOUND|EAI_AGAIN|lookup|[hH]ost(?:name)?[=:]\s?|[Uu]nknown[hH]ostException:|host name)(\s*)[\"'(]?([A-Za-z0-9][\w.-]*)[\"')]?(?::\d+)?"
    r"(?:\s(?:on|via)\s<\*>)?"
)
_FILE_PATH = re.compile(
    r"(?<![\w/.])(?:file://)?(?:[A-Za-z]:[\\/]|/(?=(?:home|Users|tmp|var|private|builds?|workspaces?|github|opt|usr|srv|mnt|root|"
    r"app|src|code|data|etc|runner|__w|go|repo|project|usr|vagrant|jenkins|agent|bamboo|proc|dev|run|Volumes|output|drone|circleci)/)|~/|\./|\.\./)"
    r"([^\s\"'`<>|*?:;,()\[\]{}]+)(?::\d+(?::\d+)?)?"
)
_API_PATH = re.compile(r"(?<![\w/.<>*])/(?!/)([A-Za-z0-9_<{:][\w./%@~:+<>*{}-]*)(\?[^\s\"'`<>)\]}]*)?")
_QUERY = re.compile(r"(?<=[\w/>])\?[\w.%\[\]-]{1,60}=[^\s\"'`<>)\]}]*")
_JVM_LOCAL = re.compile(r"<local\d+>")
_HEX = re.compile(r"\+?\b0x[0-9a-fA-F]{1,16}\b(?:\s*<[^<>]{1,80}>)?")
_ENTITY = re.compile(
    r"\b((?:user(?:_?name|_?id)?|tenant|customer|account|owner|login|pod|node|worker|instance|container|host|thread|session|trace|"
    r"span|request|correlation|transaction|job|build|pid|tid)(?:[ _-]?id)?[=:]\s?)([\w@.+/-]+)",
    re.IGNORECASE,
)
_ACCOUNT = re.compile(
    r"\b((?:[Uu]ser|[Tt]enant|[Cc]ustomer)\s)(?!(?:account|session|profile|input|data|agent|interface|service|role|id|token|name|group|not|is|has"
    r"|was|does|did|cannot|could|already|record|object|table|email|store|must|with|list|pool|api|model)\b)([a-z][\w.-]*)"
    r"(?=\s(?:could|cannot|can't|failed|has|is|was|does|did|not|with|at|from|in|exceeded|already|may|must|timed|lacks)\b|$|[,;)])"
)
_QUOTED = re.compile(
    r"""(?<![\w\\])'([^'\n]{0,300})'(?![A-Za-z])|"([^"\n]{0,300})"|`([^`\n]{0,300})`|“([^”\n]{0,300})”|‘([^’\n]{0,300})’|«([^»\n]{0,300})»"""
)
_ANGLED = re.compile(r"((?:expected|but was|was|actual|got|is|not|to be):?\s?(?:not )?(?:equal to )?:?)<([^<>\n]{0,200})>", re.IGNORECASE)
_UNIT = (
    r"(?:[ ]?(?:ns|us|µs|μs|ms|msec|millis|milliseconds?|micros|seconds?|secs?|minutes?|mins?|hours?|hrs?|days?|bytes?|[KMGT]i?B|kb|"
    r"kB|B|px|em|rem|percent|%|[smhd](?=[\d\s).,;:\]'\"]|$)|€|USD|EUR|GBP)(?![A-Za-z]))?"
)
_NUMBER = re.compile(
    rf"(?:(?<![\w<])[-+~≈]|(?<![\w<-]))[$€£¥]?(?:\d+(?:[.,_]\d+)*(?:-(?:rc|alpha|beta|dev|pre|SNAPSHOT)[.\d]*)?(?:[eE][+-]?\d+)?|\.\d+){_UNIT}(?:\d+(?:\.\d+)?(?:ms|[smh]))*(?:/\d+)?(?![\w])"
)
_WORD_WITH_DIGIT = re.compile(r"(?<![A-Za-z0-9_])(?:[A-Za-z_]++(?:-[A-Za-z_]++)*+-?)?\d[\w-]*")
_COLLAPSE = re.compile(r"(?:[-#$€£+~_./:\\]?<\*>(?:[A-Z]{0,2}(?=<))?){2,}|[#$€£+~-]<\*>")
_LIST = re.compile(r"([\"'`]?<\*>[\"'`]?)(?:(?:\s*[,;|&x×/–-]\s*|\s+(?:(?:and|to|of|x|×)\s+)?)[\"'`]?<\*>[\"'`]?)+")
_PLURAL = re.compile(r"(<\*> (?:[a-z]+ )?[a-z]{2,}?)(?:\(e?s\)|(?<=ch)es|(?<=sh)es|(?<=ss)es|(?<=x)es|(?<!s)s|(ies))\b")

_REASONS = re.compile(
    r"[\s:,)\]\-–(]*(?:Continue|OK|Created|Accepted|No Content|Moved|Found|Not Modified|Bad Request|Unauthori[sz]ed|Payment Required|"
    r"Forbidden|Not Found|Method Not Allowed|Not Acceptable|Request Timeout|Conflict|Gone|Length Required|Precondition|Payload|"
    r"Request Entity|Content Too|URI Too|Unsupported|Unprocessable|Too Many Requests|Locked|Failed Dependency|Too Early|Upgrade|"
    r"Internal Server|Not Implemented|Bad Gateway|Service (?:Temporarily )?Unavailable|Gateway Time|HTTP Version|Client Error|"
    r"Server Error|CANCELLED|UNKNOWN|INVALID_ARGUMENT|DEADLINE_EXCEEDED|NOT_FOUND|ALREADY_EXISTS|PERMISSION_DENIED|"
    r"RESOURCE_EXHAUSTED|FAILED_PRECONDITION|ABORTED|OUT_OF_RANGE|UNIMPLEMENTED|INTERNAL|UNAVAILABLE|DATA_LOSS|UNAUTHENTICATED)\b",
    re.IGNORECASE,
)
_STATUS_BEFORE = re.compile(
    r"(?:\bstatus(?:[ _-]?code)?|\bhttp(?:/[\d.<>*]+)?(?: (?:error|status|code|response))?|\bresponse(?: code)?|_status"
    r"|[a-z]Status(?:Code)?|status_code|\bStatusCode)[\"'`]?\)?\s*(?:was|is|of|to be|to equal|toBe|got|with|equals?)?[\s:=(\[<\"'>!]*$",
    re.IGNORECASE,
)
_CODE_BEFORE = re.compile(
    r"(?:\bexit(?:ed)?(?: ?(?:code|status))?|\bexited with|(?:\berror|\bstatus|\bexit|\breturn|\breason|\bclose|\bresult|\bwith|\bvendor|"
    r"\bnative|\bgrpc|\brpc|\bsql|\bsignal|^|[({\[,:;]\s?)\s?code|[a-z]Code|_code|\berrno|\bErrno|\berr(?:or)?(?: number| no\.?)?|\bsqlstate|"
    r"\bsignal|\bWinError|\bHRESULT|(?:Error|Exception):?\s?\(|(?:^|\s)[a-z]+:\s\()[\"'`]?\s*(?:was|is|of)?[\s:=(\[<\"'#]*$",
    re.IGNORECASE,
)
_WEB = re.compile(r"status|\bhttps?\b|respon|\b(?:GET|POST|PUT|PATCH|DELETE|HEAD)\b|[Rr]equest|\bAPI\b|[Ff]etch|[Ww]ebhook|[Ee]ndpoint|expected \d+ to")
_STATUSES = frozenset(
    "200 201 202 204 206 301 302 303 304 307 308 400 401 402 403 404 405 406 408 409 410 411 412 413 414 415 416 417 418 421 "
    "422 423 424 425 426 428 429 431 451 500 501 502 503 504 505 507 508 511 520 521 522 523 524 525 526 530".split()
)
_ERROR_CODE = re.compile(
    r"""
      (?:ORA|PLS|TNS|DPI|DPY|NJS|CS|TS|MSB|NU|FS|BC|CA|TF|AADSTS|PGRST|HY|WCF|KB|SQL|ER|ERR|PG|RUF|ESP|NETSDK|XUNIT|BUG)[-_]?\d{3,6}
    | [EP]\d{3,5} | \d{2}[0-9A-Z]{3} | \d{2}P\d{2} | [0-9A-Z]{2}[A-Z]\d{2}
    """,
    re.VERBOSE,
)
_SHORT_NUMBERED = re.compile(r"(?:[A-Za-z_][A-Za-z]+|[A-Za-z])\d{1,2}[A-Za-z]{0,8}$|[a-z]\d[a-z]$|\d[dD]$")
_INSTANCE = re.compile(
    r"(?:gw|worker|thread|node|shard|run|attempt|retry|browser|test|user|item|order|id|tmp|job|build|pod|host|agent|runner|process|slot|replica)\d+$",
    re.IGNORECASE,
)
_LONG_HEX = re.compile(r"(?=[a-f]*\d)[0-9a-f]{8,}$")
_HRESULT = re.compile(r"0x8[0-9a-fA-F]{7}$")
_UPPER_CODE = re.compile(r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+$")


def normalize_line(line: str) -> str:
    """Bring one line into normal form; spaces become single ones.

    The normal form of a normal form is itself. What ``redact`` would take out is taken out as well.
    """
    return _normalize(" ".join(line[: 2 * MAX_LINE_CHARACTERS].split()))


@lru_cache(maxsize=2048)
def _normalize(line: str) -> str:
    line = _redact(line)[:MAX_LINE_CHARACTERS]
    if not _may_vary(line):
        return line
    line = _without_times_and_places(line)
    line = _take_out_quoted(line)
    if "<" in line:
        line = _ANGLED.sub(_angled, line)
    line = _take_out_numbers(line)
    return _collapse(line)


_NAMES_A_SECRET = ("pass", "pwd", "secret", "key", "token", "session", "cookie", "bearer", "basic", "digest", "eyJ", "xox", "xapp", "://")
_LONG_WORD = re.compile(r"[\w-]{16}")


def _redact(line: str) -> str:
    """What redaction leaves: asked only where it could find something, for it costs more than all else."""
    lower = line.lower()
    if any(word in lower for word in _NAMES_A_SECRET) or _LONG_WORD.search(line):
        line = redact(line)
    return line.replace(MASK, VARIABLE)


_PLAIN = re.compile(r"(?:[A-Za-z_ ,;:!?()-]|\.(?=\s|$))*$")


def _may_vary(line: str) -> bool:
    return _PLAIN.match(line) is None or "localhost" in line or "ENOTFOUND" in line


def _without_times_and_places(line: str) -> str:
    has_digit = any(map(line.__contains__, "0123456789"))
    if has_digit:
        line = _UUID.sub(VARIABLE, line)
        line = _TIMES.sub(VARIABLE, line)
    if "@" in line:
        line = _EMAIL.sub(VARIABLE, line)
    if "://" in line:
        line = _URL.sub(_url, line)
    if "." in line or ":" in line or "localhost" in line:
        line = _ADDRESS.sub(VARIABLE, line)
    line = _HOST_AFTER.sub(_host, line)
    if "<local" in line:
        line = _JVM_LOCAL.sub("<local>", line)
    if "0x" in line:
        line = _HEX.sub(_hex, line)
    if "/" in line or "\\" in line:
        line = _FILE_PATH.sub(_file_path, line)
        line = _API_PATH.sub(_api_path, line)
        if "?" in line:
            line = _QUERY.sub("", line)
    if "=" in line or ":" in line:
        line = _ENTITY.sub(_entity, line)
    if "user " in line or "ser " in line or "tenant " in line or "customer " in line:
        line = _ACCOUNT.sub(_entity, line)
    return line


def _url(found: re.Match[str]) -> str:
    host, slash, path = found[1].partition("/")
    path = path.partition("?")[0].partition("#")[0].rstrip(".:")
    rest = found[1].rstrip("/").endswith((":", ".")) and found[1][-1] or ""
    if not slash or not path:
        return VARIABLE + rest
    return f"{VARIABLE} /{path}{rest}"


def _host(found: re.Match[str]) -> str:
    return f"{found[1]}{found[2]}{VARIABLE}"


def _hex(found: re.Match[str]) -> str:
    """HRESULTs are error codes, everything else in hexadecimal is an address or an offset."""
    return found[0] if _HRESULT.match(found[0]) else VARIABLE


_TEMPORARY = re.compile(r"tmp[\w-]{4,}|\w*[-_.][A-Za-z0-9]{6,}$")


def _file_path(found: re.Match[str]) -> str:
    """The last part of a path names the file; directories differ from machine to machine."""
    parts = re.split(r"[\\/]+", found[1].rstrip("/\\."))
    name = parts[-1]
    if name.startswith("tmp") and len(name) >= 8 and "." not in name[:8]:
        suffix = name.partition(".")[2]
        name = VARIABLE + ("." + suffix if suffix else "")
    return name


def _api_path(found: re.Match[str]) -> str:
    return "/" + found[1]


def _entity(found: re.Match[str]) -> str:
    return found[1] + VARIABLE


def _take_out_quoted(line: str) -> str:
    return _QUOTED.sub(_quoted, line)


def _quoted(found: re.Match[str]) -> str:
    content = next(group for group in found.groups() if group is not None)
    if VARIABLE == content.strip():
        return VARIABLE
    before = found.string[max(0, found.start() - 80) : found.start()]
    kind = judge_quoted(content, before, found.string[found.end() : found.end() + 30])
    if kind is Quoted.DATA:
        return VARIABLE
    if kind is Quoted.TEXT and ("'" in content or '"' in content):
        content = _QUOTED.sub(_quoted, content)
    return f"'{content}'"


def _angled(found: re.Match[str]) -> str:
    content = found[2].replace("[", "").replace("]", "")
    if content == "*":
        return found[0]
    if content.isdigit():
        return f"{found[1]} {content}"
    is_data = judge_quoted(content, f"{found[1]} ", "") is Quoted.DATA
    return f"{found[1]} {VARIABLE if is_data else content}"


def _take_out_numbers(line: str) -> str:
    if not any(map(line.__contains__, "0123456789")):
        return line
    numbers = re.findall(r"(?<![\w.])\d{3}(?![\w.])", line)
    web = _WEB.search(line) is not None or (len(numbers) > 1 and _COMPARES.search(line) and _STATUSES.issuperset(numbers))

    def number(found: re.Match[str]) -> str:
        return found[0] if _is_code(found, web) else VARIABLE

    line = _WORD_WITH_DIGIT.sub(_word, line)
    return _NUMBER.sub(number, line)


_COMPARES = re.compile(r"assert|expected|Expected|==|want|got")


def _is_code(found: re.Match[str], web: object) -> bool:
    """Whether a number is an HTTP status, an exit code or an error number rather than data."""
    digits = found[0].lstrip("-")
    if not digits.isdigit() or len(digits) > 5:
        return False
    before = found.string[max(0, found.start() - 40) : found.start()]
    if len(digits) == 3 and "1" <= digits[0] <= "5":
        if _STATUS_BEFORE.search(before) or _REASONS.match(found.string, found.end()):
            return True
        if web and digits in _STATUSES:
            return True
    if len(digits) == 5 and "sqlstate" not in before.lower() and "code" not in before.lower():
        return False
    return _CODE_BEFORE.search(before) is not None and not found.string.startswith(" ---", found.end())


def _word(found: re.Match[str]) -> str:
    word = found[0]
    if word.isdigit():
        return word
    if _INSTANCE.match(word) or _LONG_HEX.match(word):
        return word.rstrip("0123456789") + VARIABLE if _INSTANCE.match(word) else VARIABLE
    if _ERROR_CODE.fullmatch(word) or _HRESULT.match(word) or _SHORT_NUMBERED.match(word):
        return word
    if _UPPER_CODE.match(word) and not re.search(r"\d{3}", word):
        return word
    if word[0].isdigit() and re.match(r"\d+(?:ns|us|ms|s|m|h|d|[KMGT]i?B|[kK]b|B|px|em|rem|x|st|nd|rd|th|k|M|e\d+)+(?:\d|$)|\d+-\d+$", word):
        return VARIABLE
    parts = re.split(r"([_-]+)", word)
    mixed = any(_is_random(part) for part in parts)
    if mixed and len(word) >= 16:
        head = parts[0] if parts[0].isalpha() and len(parts[0]) <= 12 and len(parts) > 1 else ""
        return f"{head}{parts[1] if head else ''}{VARIABLE}"
    return "".join(_part(part) for part in parts)


def _part(part: str) -> str:
    if not part or not any(map(str.isdigit, part)):
        return part
    if part.isdigit() or _is_random(part):
        return VARIABLE
    if _SHORT_NUMBERED.match(part):
        return part
    letters = part.rstrip("0123456789")
    return letters + VARIABLE if letters.isalpha() else VARIABLE


def _is_random(part: str) -> bool:
    """Whether letters and digits change more than twice, as in ``9f8a7c``, or it is a long run of hexadecimal."""
    if len(part) < 4 or part.isdigit() or part.isalpha():
        return False
    changes = sum(a.isdigit() != b.isdigit() for a, b in zip(part, part[1:], strict=False))
    return changes > 2 or (len(part) >= 6 and all(c in "0123456789abcdefABCDEF" for c in part))


def _collapse(line: str) -> str:
    if VARIABLE not in line:
        return line
    line = _COLLAPSE.sub(VARIABLE, line)
    line = _LIST.sub(VARIABLE, line)
    return _PLURAL.sub(_singular, line)


def _singular(found: re.Match[str]) -> str:
    return found[1] + ("y" if found[2] else "")


def forget_lines() -> None:
    """Empty the memory of lines, so that a benchmark measures what the first time costs."""
    _normalize.cache_clear()
