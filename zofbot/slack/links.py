"""Links to runs and results: from the operator's templates, or from Zof if the host is allowed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, NamedTuple
from urllib.parse import SplitResult, quote, unquote, urlsplit

from zofbot.domain.model import Result, Run, is_valid_id

RUN_PLACEHOLDER, RESULT_PLACEHOLDER = "{run_id}", "{result_id}"
"""Placeholders for the id in the two templates."""

_RESOURCE_PATH = re.compile(r"/(run|result)s?/([^/#?]+)", re.IGNORECASE)

MAX_LINK_CHARS = 3000
"""Maximum length of a link that is parsed."""


class LinkTarget(NamedTuple):
    """The run or result that a link points to."""

    kind: Literal["run", "result"]
    id: str


@dataclass(frozen=True)
class ZofLinks:
    """Configured link templates and hosts (``ZOF_RUN_URL_TEMPLATE`` and the settings next to it)."""

    run_template: str = ""
    result_template: str = ""
    hosts: tuple[str, ...] = ("zof.ai",)

    def run_url(self, run: Run) -> str:
        """Return the URL of the run's page in Zof, or an empty string."""
        return self._fill_template(self.run_template, RUN_PLACEHOLDER, run.id) or self.allowed_url(run.url)

    def result_url(self, result: Result) -> str:
        """Return the URL of the result's page in Zof, else of its run's, else an empty string."""
        own = self._fill_template(self.result_template, RESULT_PLACEHOLDER, result.id) or self.allowed_url(result.url)
        return own or self._fill_template(self.run_template, RUN_PLACEHOLDER, result.run_id or "")

    def allowed_url(self, url: str | None) -> str:
        """Return the URL if it is https, on an allowed host or subdomain, without credentials; else an empty string."""
        try:
            parts = urlsplit(url or "")
            host = (parts.hostname or "").lower().rstrip(".")
        except ValueError:  # such as an unclosed bracket
            return ""
        credentials = parts.username or parts.password
        known = any(host == name or host.endswith("." + name) for name in self.hosts if name)
        printable = bool(url) and all("!" <= character <= "~" and character not in "<>|\\" for character in url or "")
        return url or "" if parts.scheme == "https" and known and not credentials and printable else ""

    def match_template(self, url: str) -> LinkTarget | None:
        """Return the run or result that a link made from a template points to; None for any other text.

        Every part of the template must match; an additional query or fragment is allowed.
        """
        if result := _match_id(self.result_template, RESULT_PLACEHOLDER, url):
            return LinkTarget("result", result)
        run = _match_id(self.run_template, RUN_PLACEHOLDER, url)
        return LinkTarget("run", run) if run else None

    def identify_target(self, url: str) -> LinkTarget | None:
        """Return the run or result of a pasted URL: by the templates, else by its path (``…/runs/run_1``).

        The scheme may be missing; the host does not matter, because only the id is used.
        """
        known = self.match_template(url if "://" in url else f"https://{url}")
        found = _RESOURCE_PATH.findall(url.partition("?")[0][:MAX_LINK_CHARS])
        kind, identifier = found[-1] if found else ("", "")
        if known or not is_valid_id(identifier):
            return known
        return LinkTarget("run" if kind.lower() == "run" else "result", identifier)

    @staticmethod
    def _fill_template(template: str, placeholder: str, value: str) -> str:
        return template.replace(placeholder, quote(value, safe="")) if template and value else ""


def _match_id(template: str, placeholder: str, url: str) -> str:
    """Return the id with which the template gives ``url``; empty if there is none."""
    if not template or len(url) > MAX_LINK_CHARS:
        return ""
    try:
        wanted, given = urlsplit(template), urlsplit(url)
        if given.scheme != "https" or _url_origin(wanted) != _url_origin(given):
            return ""
    except ValueError:  # such as an unclosed bracket, or a port that is no number
        return ""
    pairs = [(wanted.path.rstrip("/"), [given.path.rstrip("/")])]
    pairs += [(part, given.query.split("&")) for part in wanted.query.split("&") if part]
    pairs += [(wanted.fragment, [given.fragment])] if wanted.fragment else []
    found = [_match_part(part, placeholder, there) for part, there in pairs]
    ids = {unquote(group) for match in found if match for group in match.groups()}
    return ids.pop() if all(found) and len(ids) == 1 and all(map(is_valid_id, ids)) else ""


def _url_origin(parts: SplitResult) -> tuple[str | None, int, str, str]:
    return parts.hostname, parts.port or 443, parts.username or "", parts.password or ""


def _match_part(part: str, placeholder: str, there: list[str]) -> re.Match[str] | None:
    """Match the first of ``there`` with a part of a template; the placeholder matches all but URL delimiters."""
    pattern = re.compile("([^/?#&]+)".join(map(re.escape, part.split(placeholder))))
    return next(filter(None, map(pattern.fullmatch, there)), None)
