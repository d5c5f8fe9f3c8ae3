"""Which links may become buttons: those of the operator's templates, and Zof's own where the host is allowed."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from zofbot.model import Result, Run


@dataclass(frozen=True)
class Links:
    """The operator's choice of links; see ``ZOF_RUN_URL_TEMPLATE`` and its neighbours."""

    run_template: str = ""
    result_template: str = ""
    hosts: tuple[str, ...] = ("zof.ai",)

    def run(self, run: Run) -> str:
        """The run's page in Zof, or nothing."""
        return self._filled(self.run_template, "{run_id}", run.id) or self.allowed(run.url)

    def result(self, result: Result) -> str:
        """The result's page in Zof, else its run's, else nothing."""
        own = self._filled(self.result_template, "{result_id}", result.id) or self.allowed(result.url)
        return own or self._filled(self.run_template, "{run_id}", result.run_id or "")

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

    @staticmethod
    def _filled(template: str, placeholder: str, value: str) -> str:
        return template.replace(placeholder, quote(value, safe="")) if template and value else ""
