"""Which links may become buttons: those of the operator's templates, and Zof's own where the host is allowed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, NamedTuple
from urllib.parse import SplitResult, quote, unquote, urlsplit

from zofbot.model import Result, Run, is_id

RUN, RESULT = "{run_id}", "{result_id}"
"""What stands for the id in the two templates."""

_PATH = re.compile(r"/(run|result)s?/([^/#?]+)", re.IGNORECASE)

LONGEST = 3000
"""Characters of a link that is read back."""


class Linked(NamedTuple):
    """What a link leads to."""

    kind: Literal["run", "result"]
    id: str


@dataclass(frozen=True)
class Links:
    """The operator's choice of links; see ``ZOF_RUN_URL_TEMPLATE`` and its neighbours."""

    run_template: str = ""
    result_template: str = ""
    hosts: tuple[str, ...] = ("zof.ai",)

    def run(self, run: Run) -> str:
        """The run's page in Zof, or nothing."""
        return self._filled(self.run_template, RUN, run.id) or self.allowed(run.url)

    def result(self, result: Result) -> str:
        """The result's page in Zof, else its run's, else nothing."""
        own = self._filled(self.result_template, RESULT, result.id) or self.allowed(result.url)
        return own or self._filled(self.run_template, RUN, result.run_id or "")

    def allowed(self, url: str | None) -> str:
        """The address itself when it is https, on an allowed host or beneath one, and holds no credentials."""
        try:
            parts = urlsplit(url or "")
            host = (parts.hostname or "").lower().rstrip(".")
        except ValueError:  # such as an unclosed bracket
            return ""
        credentials = parts.username or parts.password
        known = any(host == name or host.endswith("." + name) for name in self.hosts if name)
        printable = bool(url) and all("!" <= character <= "~" and character not in "<>|\\" for character in url or "")
        return url or "" if parts.scheme == "https" and known and not credentials and printable else ""

    def read(self, url: str) -> Linked | None:
        """Which run or result a link of the operator's templates leads to; nothing for any other, however odd.

        Everything that the template has must be there; a query or a fragment may come on top of it.
        """
        if result := _read_back(self.result_template, RESULT, url):
            return Linked("result", result)
        run = _read_back(self.run_template, RUN, url)
        return Linked("run", run) if run else None

    def identify(self, url: str) -> Linked | None:
        """Which run or result a pasted address is of: by the templates, else by its path (``…/runs/run_1``).

        Its scheme may be missing; its host does not matter, for only the id is used.
        """
        known = self.read(url if "://" in url else f"https://{url}")
        found = _PATH.findall(url.partition("?")[0][:LONGEST])
        kind, identifier = found[-1] if found else ("", "")
        if known or not is_id(identifier):
            return known
        return Linked("run" if kind.lower() == "run" else "result", identifier)

    @staticmethod
    def _filled(template: str, placeholder: str, value: str) -> str:
        return template.replace(placeholder, quote(value, safe="")) if template and value else ""


def _read_back(template: str, placeholder: str, url: str) -> str:
    """The id that makes ``url`` of the template; nothing where none does."""
    if not template or len(url) > LONGEST:
        return ""
    try:
        wanted, given = urlsplit(template), urlsplit(url)
        if given.scheme != "https" or _origin(wanted) != _origin(given):
            return ""
    except ValueError:  # such as an unclosed bracket, or a port that is no number
        return ""
    pairs = [(wanted.path.rstrip("/"), [given.path.rstrip("/")])]
    pairs += [(part, given.query.split("&")) for part in wanted.query.split("&") if part]
    pairs += [(wanted.fragment, [given.fragment])] if wanted.fragment else []
    found = [_fitting(part, placeholder, there) for part, there in pairs]
    ids = {unquote(one) for match in found if match for one in match.groups()}
    return ids.pop() if all(found) and len(ids) == 1 and all(map(is_id, ids)) else ""


def _origin(parts: SplitResult) -> tuple[str | None, int, str, str]:
    return parts.hostname, parts.port or 443, parts.username or "", parts.password or ""


def _fitting(part: str, placeholder: str, there: list[str]) -> re.Match[str] | None:
    """The first of ``there`` that is this part of a template, with anything for its placeholder but what ends one."""
    pattern = re.compile("([^/?#&]+)".join(map(re.escape, part.split(placeholder))))
    return next(filter(None, map(pattern.fullmatch, there)), None)
