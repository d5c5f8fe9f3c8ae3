"""Replace numbers and words with digits in a line, except error codes and statuses."""

from __future__ import annotations

import re
from itertools import pairwise

from zofbot.alerting.failure_signature.variable_parts import VARIABLE

_UNIT = (
    r"(?:[ ]?(?:ns|us|µs|μs|ms|msec|millis|milliseconds?|micros|seconds?|secs?|minutes?|mins?|hours?|hrs?|days?"
    r"|bytes?|[KMGT]i?B|kb|"
    r"kB|B|px|em|rem|percent|%|[smhd](?=[\d\s).,;:\]'\"]|$)|€|USD|EUR|GBP)(?![A-Za-z]))?"
)
_NUMBER = re.compile(
    rf"(?:(?<![\w<])[-+~≈]|(?<![\w<-]))[$€£¥]?(?:\d+(?:[.,_]\d+)*(?:-(?:rc|alpha|beta|dev|pre"
    rf"|SNAPSHOT)[.\d]*)?(?:[eE][+-]?\d+)?|\.\d+){_UNIT}(?:\d+(?:\.\d+)?(?:ms|[smh]))*(?:/\d+)?(?![\w])"
)
_WORD_WITH_DIGIT = re.compile(r"(?<![A-Za-z0-9_])(?:[A-Za-z_]++(?:-[A-Za-z_]++)*+-?)?\d[\w-]*")
_REASONS = re.compile(
    r"[\s:,)\]\-–(]*(?:Continue|OK|Created|Accepted|No Content|Moved|Found|Not Modified|Bad Request"
    r"|Unauthori[sz]ed|Payment Required|"
    r"Forbidden|Not Found|Method Not Allowed|Not Acceptable|Request Timeout|Conflict|Gone|Length Required"
    r"|Precondition|Payload|"
    r"Request Entity|Content Too|URI Too|Unsupported|Unprocessable|Too Many Requests|Locked|Failed Dependency"
    r"|Too Early|Upgrade|"
    r"Internal Server|Not Implemented|Bad Gateway|Service (?:Temporarily )?Unavailable|Gateway Time"
    r"|HTTP Version|Client Error|"
    r"Server Error|CANCELLED|UNKNOWN|INVALID_ARGUMENT|DEADLINE_EXCEEDED|NOT_FOUND|ALREADY_EXISTS|PERMISSION_DENIED|"
    r"RESOURCE_EXHAUSTED|FAILED_PRECONDITION|ABORTED|OUT_OF_RANGE|UNIMPLEMENTED|INTERNAL|UNAVAILABLE|DATA_LOSS"
    r"|UNAUTHENTICATED)\b",
    re.IGNORECASE,
)
_STATUS_BEFORE = re.compile(
    r"(?:\bstatus(?:[ _-]?code)?|\bhttp(?:/[\d.<>*]+)?(?: (?:error|status|code|response))?|\bresponse(?: code)?|_status"
    r"|[a-z]Status(?:Code)?|status_code|\bStatusCode)[\"'`]?\)?\s*(?:was|is|of|to be|to equal|toBe|got|with"
    r"|equals?)?[\s:=(\[<\"'>!]*$",
    re.IGNORECASE,
)
_CODE_BEFORE = re.compile(
    r"(?:\bexit(?:ed)?(?: ?(?:code|status))?|\bexited with|(?:\berror|\bstatus|\bexit|\breturn|\breason|\bclose"
    r"|\bresult|\bwith|\bvendor|"
    r"\bnative|\bgrpc|\brpc|\bsql|\bsignal|^|[({\[,:;]\s?)\s?code|[a-z]Code|_code|\berrno|\bErrno"
    r"|\berr(?:or)?(?: number| no\.?)?|\bsqlstate|"
    r"\bsignal|\bWinError|\bHRESULT|(?:Error|Exception):?\s?\(|(?:^|\s)[a-z]+:\s\()[\"'`]?\s*(?:was|is"
    r"|of)?[\s:=(\[<\"'#]*$",
    re.IGNORECASE,
)
_WEB = (
    "status",
    "http",
    "respon",
    "request",
    " api ",
    "fetch",
    "webhook",
    "endpoint",
    "get ",
    "post ",
    "put ",
    "patch ",
    "delete ",
)
_COMPARES = re.compile(r"assert|expected|Expected|==|want|got")
_PLACE_BEFORE = re.compile(r"\w\.[a-z]{1,5}:$|\b(?:line|column|row)\s$")
_ANNOUNCES_A_CODE = ("code", "exit", "err", "sqlstate", "signal", "hresult", "exception", ": (")
_STATUSES = frozenset(
    [
        "200",
        "201",
        "202",
        "204",
        "206",
        "301",
        "302",
        "303",
        "304",
        "307",
        "308",
        "400",
        "401",
        "402",
        "403",
        "404",
        "405",
        "406",
        "408",
        "409",
        "410",
        "411",
        "412",
        "413",
        "414",
        "415",
        "416",
        "417",
        "418",
        "421",
        "422",
        "423",
        "424",
        "425",
        "426",
        "428",
        "429",
        "431",
        "451",
        "500",
        "501",
        "502",
        "503",
        "504",
        "505",
        "507",
        "508",
        "511",
        "520",
        "521",
        "522",
        "523",
        "524",
        "525",
        "526",
        "530",
    ]
)
_ERROR_CODE = re.compile(
    r"""
      (?:ORA|PLS|TNS|DPI|DPY|NJS|CS|TS|MSB|NU|FS|BC|CA|TF|AADSTS|PGRST|HY|WCF|KB|SQL|ER|ERR|PG|RUF|ESP|NETSDK
          |XUNIT|BUG)[-_]?\d{3,6}
    | [EP]\d{3,5} | \d{2}[0-9A-Z]{3} | \d{2}P\d{2} | [0-9A-Z]{2}[A-Z]\d{2}
    """,
    re.VERBOSE,
)
_SHORT_NUMBERED = re.compile(r"(?:[A-Za-z_][A-Za-z]+|[A-Za-z])\d{1,2}[A-Za-z]{0,8}$|[a-z]\d[a-z]$|\d[dD]$")
_INSTANCE = re.compile(
    r"(?:gw|worker|thread|node|shard|run|attempt|retry|browser|test|user|item|order|id|tmp|job|build|pod|host"
    r"|agent|runner|process|slot|replica)\d+$",
    re.IGNORECASE,
)
_LONG_HEX = re.compile(r"(?=[a-f]*\d)[0-9a-f]{8,}$")
_SHORT_HEX = re.compile(r"(?=[a-f]*\d)[0-9a-f]{6,7}$")
_HRESULT = re.compile(r"0x8[0-9a-fA-F]{7}$")
_UPPER_CODE = re.compile(r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+$")


def take_out_numbers(line: str) -> str:
    """Replace numbers and random words, except statuses, error codes and digits in names such as ``h1``."""
    numbers = re.findall(r"(?<![\w.])\d{3}(?![\w.])", line)
    lower = line.lower()
    web = any(word in lower for word in _WEB) or (
        len(numbers) > 1 and _COMPARES.search(line) is not None and _STATUSES.issuperset(numbers)
    )

    def replace_number(found: re.Match[str]) -> str:
        return found[0] if _is_code(found, web) else VARIABLE

    line = _WORD_WITH_DIGIT.sub(_replace_word, line)
    return _NUMBER.sub(replace_number, line)


def _is_code(found: re.Match[str], web: bool) -> bool:
    """Whether a number is an HTTP status, an exit code or an error number, and not data."""
    digits = found[0].lstrip("-")
    if not digits.isdigit() or len(digits) > 5:
        return False
    if _PLACE_BEFORE.search(found.string, max(0, found.start() - 8), found.start()):
        return False
    before = found.string[max(0, found.start() - 32) : found.start()]
    if len(digits) == 3 and "1" <= digits[0] <= "5":
        if _STATUS_BEFORE.search(before) or _REASONS.match(found.string, found.end()):
            return True
        if web and digits in _STATUSES:
            return True
    lower = before.lower()
    if len(digits) == 5 and "sqlstate" not in lower and "code" not in lower:
        return False
    if not any(word in lower for word in _ANNOUNCES_A_CODE):
        return False
    return _CODE_BEFORE.search(before[-24:]) is not None and not found.string.startswith(" ---", found.end())


def _replace_word(found: re.Match[str]) -> str:
    word = found[0]
    if word.isdigit():
        return word
    if _SHORT_HEX.match(word):
        return VARIABLE
    if _INSTANCE.match(word) or _LONG_HEX.match(word):
        return word.rstrip("0123456789") + VARIABLE if _INSTANCE.match(word) else VARIABLE
    if _ERROR_CODE.fullmatch(word) or _HRESULT.match(word) or _SHORT_NUMBERED.match(word):
        return word
    if _UPPER_CODE.match(word) and not re.search(r"\d{3}", word):
        return word
    if word[0].isdigit() and re.match(
        r"\d+(?:ns|us|ms|s|m|h|d|[KMGT]i?B|[kK]b|B|px|em|rem|x|st|nd|rd|th|k|M|e\d+)+(?:\d|$)|\d+-\d+$", word
    ):
        return VARIABLE
    parts = re.split(r"([_-]+)", word)
    mixed = any(_is_random(part) for part in parts)
    if mixed and len(word) >= 16:
        head = parts[0] if parts[0].isalpha() and len(parts[0]) <= 12 and len(parts) > 1 else ""
        return f"{head}{parts[1] if head else ''}{VARIABLE}"
    return "".join(_replace_part(part) for part in parts)


def _replace_part(part: str) -> str:
    if not part or not any(map(str.isdigit, part)):
        return part
    if part.isdigit() or _is_random(part):
        return VARIABLE
    if _SHORT_NUMBERED.match(part):
        return part
    letters = part.rstrip("0123456789")
    return letters + VARIABLE if letters.isalpha() else VARIABLE


def _is_random(part: str) -> bool:
    """Whether letters and digits alternate more than twice, as in ``9f8a7c``, or it is a long hexadecimal run."""
    if len(part) < 4 or part.isdigit() or part.isalpha():
        return False
    changes = sum(a.isdigit() != b.isdigit() for a, b in pairwise(part))
    return changes > 2 or (len(part) >= 6 and all(c in "0123456789abcdefABCDEF" for c in part))
