"""Replace times, addresses and paths in a line."""

from __future__ import annotations

import re

VARIABLE = "<*>"
"""Placeholder for a replaced part of any length."""

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MONTH = f"(?:{'|'.join(_MONTHS)})[a-z]{{0,6}}"
_DAY = "(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]{0,6}"
_NUMERIC_TIMES = re.compile(
    r"""
      \d{4}[-/]\d\d[-/]\d\d(?:[T ]\d\d:\d\d(?::\d\d)?(?:[.,]\d{1,9})?)?(?:\ ?(?:Z|UTC|GMT
          |[+-]\d\d:?\d\d)\b)?(?:\[[\w/]+\])?
    | \b\d{1,2}[/.]\d{1,2}[/.]\d{4}\b(?:,?\ \d\d?:\d\d(?::\d\d)?(?:\ ?[AP]M)?)?
    | \b\d{1,2}:\d\d:\d\d(?:[.,:]\d{1,9})?\b(?:\ ?[AP]M)?
    """,
    re.VERBOSE,
)
_NAMED_TIMES = re.compile(
    rf"""
      (?:\b{_DAY},?\ )?\b(?:\d{{1,2}}(?:st|nd|rd|th)?[ -]{_MONTH}|{_MONTH}\ \d{{1,2}})(?:,?[ -]\d{{2,4}}\b(?!:))?
      (?:,?\ (?:at\ )?\d{{1,2}}:\d\d(?::\d\d)?(?:\.\d+)?(?:\ ?[AaPp]\.?[Mm]\b\.?)?)?
      (?:\ (?=UTC|GMT|[A-Z]{{3,4}}\b|[+-]\d|\d{{4}}\b)(?:UTC|GMT
          |[A-Z]{{3,4}})?(?:[+-]\d\d:?\d\d)?(?:\ \([\w ]{{3,40}}\))?(?:\ \d{{4}}\b)?)?
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
    | (?<![\w.@/-])(?:[A-Za-z0-9][A-Za-z0-9-]{0,62}\.){1,8}(?:com|net|org|io|dev|local|internal|cluster|svc
        |test|example|ai|app|co
        |cloud|lan|corp|invalid|eu|de|uk|us|intra|localdomain|consul|host|site|tech|sh)(?::\d{2,5})?\b(?![\w(-]|\.\w)
    | (?<![\w./-])(?!line|code|error|errno|status|port|column|row|col)[a-z][a-z0-9]*(?:[.-][a-z0-9]+)*:\d{4,5}\b(?!:)
    """,
    re.VERBOSE,
)
_HOST_AFTER = re.compile(
    r"\b(ENOTFOUND|EAI_AGAIN|lookup|[hH]ost(?:name)?[=:]\s?|[Uu]nknown[hH]ostException:"
    r"|host name)(\s*)[\"'(]?(<\*>|[A-Za-z0-9][\w.-]*)[\"')]?(?::\d+)?"
    r"(?:\s(?:on|via)\s<\*>)?"
)
_FILE_PATH = re.compile(
    r"(?<![\w/.])(?:file://)?(?:[A-Za-z]:[\\/]|/(?=(?:home|Users|tmp|var|private|builds?|workspaces?|github|opt"
    r"|usr|srv|mnt|root|"
    r"app|src|code|data|etc|runner|__w|go|repo|project|usr|vagrant|jenkins|agent|bamboo|proc|dev|run|Volumes"
    r"|output|drone|circleci)/)|~/|\./|\.\./)"
    r"([^\s\"'`<>|*?:;,()\[\]{}]+)(?::\d+(?::\d+)?)?"
)
_API_PATH = re.compile(r"(?<![\w/.<>*])/(?!/)([A-Za-z0-9_<{:][\w./%@~:+<>*{}-]*)(\?[^\s\"'`<>)\]}]*)?")
_QUERY = re.compile(r"(?<=[\w/>])\?[\w.%\[\]-]{1,60}=[^\s\"'`<>)\]}]*")
_JVM_LOCAL = re.compile(r"<local\d+>")
_HEX = re.compile(r"\+?\b0x[0-9a-fA-F]{1,16}\b(?:\s*<[^<>]{1,80}>)?")
_HRESULT = re.compile(r"0x8[0-9a-fA-F]{7}$")
_ENTITY = re.compile(
    r"\b((?:user(?:_?name|_?id)?|tenant|customer|account|owner|login|pod|node|worker|instance|container|host"
    r"|thread|session|trace|"
    r"span|request|correlation|transaction|job|build|pid|tid)(?:[ _-]?id)?[=:]\s?)([\w@.+/-]+)",
    re.IGNORECASE,
)
_ACCOUNT = re.compile(
    r"\b((?:[Uu]ser|[Tt]enant|[Cc]ustomer)\s)(?!(?:account|session|profile|input|data|agent|interface|service"
    r"|role|id|token|name|group|not|is|has"
    r"|was|does|did|cannot|could|already|record|object|table|email|store|must|with|list|pool|api"
    r"|model)\b)([a-z][\w.-]*)"
    r"(?=\s(?:could|cannot|can't|failed|has|is|was|does|did|not|with|at|from|in|exceeded|already|may|must|timed"
    r"|lacks)\b|$|[,;)])"
)


def take_out_times(line: str) -> str:
    """Replace UUIDs, dates and times."""
    if any(month in line for month in _MONTHS):
        line = _NAMED_TIMES.sub(VARIABLE, line)
    return _NUMERIC_TIMES.sub(VARIABLE, _UUID.sub(VARIABLE, line))


def take_out_places(line: str) -> str:
    """Replace hosts, ports, accounts, memory addresses, queries and directories; keep the path of a URL."""
    if "@" in line:
        line = _EMAIL.sub(VARIABLE, line)
    if "://" in line:
        line = _URL.sub(_replace_url, line)
    if "." in line or ":" in line or "localhost" in line:
        line = _ADDRESS.sub(VARIABLE, line)
    line = _HOST_AFTER.sub(_replace_host, line)
    if "<local" in line:
        line = _JVM_LOCAL.sub("<local>", line)
    if "0x" in line:
        line = _HEX.sub(_replace_hex, line)
    if "/" in line or "\\" in line:
        line = _FILE_PATH.sub(_replace_file_path, line)
        line = _API_PATH.sub(_replace_api_path, line)
        if "?" in line:
            line = _QUERY.sub("", line)
    if "=" in line or ":" in line:
        line = _ENTITY.sub(_replace_entity, line)
    if "user " in line or "ser " in line or "tenant " in line or "customer " in line:
        line = _ACCOUNT.sub(_replace_entity, line)
    return line


def _replace_url(found: re.Match[str]) -> str:
    _, slash, path = found[1].partition("/")
    path = path.partition("?")[0].partition("#")[0].rstrip(".:")
    rest = (found[1].rstrip("/").endswith((":", ".")) and found[1][-1]) or ""
    if not slash or not path:
        return VARIABLE + rest
    return f"{VARIABLE} /{path}{rest}"


def _replace_host(found: re.Match[str]) -> str:
    return f"{found[1]}{found[2]}{VARIABLE}"


def _replace_hex(found: re.Match[str]) -> str:
    """Keep HRESULTs, which are error codes; other hexadecimal numbers are addresses or offsets."""
    return found[0] if _HRESULT.match(found[0]) else VARIABLE


def _replace_file_path(found: re.Match[str]) -> str:
    """Return the file name of a path; directories differ between machines."""
    parts = re.split(r"[\\/]+", found[1].rstrip("/\\."))
    name = parts[-1]
    if name.startswith("tmp") and len(name) >= 8 and "." not in name[:8]:
        suffix = name.partition(".")[2]
        name = VARIABLE + ("." + suffix if suffix else "")
    return name


def _replace_api_path(found: re.Match[str]) -> str:
    return "/" + found[1]


def _replace_entity(found: re.Match[str]) -> str:
    return found[1] + VARIABLE
