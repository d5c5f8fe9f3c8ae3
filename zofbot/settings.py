"""Every setting, read once from the environment and secret files; nothing else in zofbot reads either."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from platformdirs import user_data_dir
from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from zofbot.address import address
from zofbot.errors import SettingsError

MENDS = {
    "SLACK_BOT_TOKEN": "copy the Bot User OAuth Token (xoxb-…) from your app's OAuth & Permissions page",
    "SLACK_SIGNING_SECRET": "copy it from your app's Basic Information page, or set SLACK_APP_TOKEN for Socket Mode",
    "SLACK_APP_TOKEN": "make an app-level token (xapp-…) with connections:write on your app's Basic Information page",
    "ZOF_API_KEY": "make a key in Zof under Admin Center, Developer, API keys",
}
"""How to come by each setting that has no default."""


def _address(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("it must be an address such as https://host/path")
    if parts.username or parts.password:
        raise ValueError("it must hold no user name or password")
    return value


def _store_address(value: str) -> str:
    if value:  # empty for the embedded store
        address(value)
    return value


def _template(placeholder: str) -> AfterValidator:
    def check(value: str) -> str:
        if value and (placeholder not in value or urlsplit(value).scheme != "https"):
            raise ValueError(f"it must be an https address that holds {placeholder}, or be empty")
        return value

    return AfterValidator(check)


def _ascii_header(secret: SecretStr) -> SecretStr:
    """Refuse what can't stand in an HTTP header before a request fails with something unreadable."""
    stripped = secret.get_secret_value().strip()
    if not re.fullmatch(r"[\x21-\x7e]*", stripped):
        raise ValueError("it holds spaces or characters that cannot be part of a key: copy it again")
    return SecretStr(stripped)


def _one_or_two(secret: SecretStr) -> SecretStr:
    """Two are taken, between commas, while one replaces the other."""
    each = [part.strip() for part in secret.get_secret_value().split(",") if part.strip()]
    if len(each) > 2:
        raise ValueError("it must be one secret, or two with a comma between them")
    return SecretStr(",".join(_ascii_header(SecretStr(part)).get_secret_value() for part in each))


def _stripped(secret: SecretStr) -> SecretStr:
    return SecretStr(secret.get_secret_value().strip())


def _header(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9-]{1,64}", name):
        raise ValueError("it must be the name of an HTTP header, such as X-Zof-Signature")
    return name


def _channel(value: str) -> str:
    if value and not re.fullmatch(r"[CGD][A-Z0-9]{2,20}", value):
        raise ValueError("it must be a channel's id such as C0123456789, not its name, or be empty")
    return value


def _people(value: str) -> str:
    names = [name.strip() for name in value.split(",") if name.strip()]
    for place, name in enumerate(names, start=1):
        if not re.fullmatch(r"[UWS][A-Z0-9]{2,30}", name):
            raise ValueError(f"entry {place} is no id of a person (U0123456789) or user group (S0123456789)")
    return ",".join(names)


def _switch(value: Any) -> bool:
    said = str(value).strip().lower()
    if said not in _SWITCH:
        raise ValueError("it must be true or false")
    return _SWITCH[said]


_SWITCH = dict.fromkeys(("true", "1", "yes", "on"), True) | dict.fromkeys(("false", "0", "no", "off"), False)

Address = Annotated[str, AfterValidator(_address)]
HeaderSecret = Annotated[SecretStr, AfterValidator(_ascii_header)]
Secret = Annotated[SecretStr, AfterValidator(_stripped)]
SigningSecrets = Annotated[SecretStr, AfterValidator(_one_or_two)]
People = Annotated[str, AfterValidator(_people)]
Switch = Annotated[bool, BeforeValidator(_switch)]


class Settings(BaseSettings):
    """What operators may set; the names are those of the environment, in lower case.

    An empty variable counts as one that is not set. Secrets may also be files named like the variable.
    """

    model_config = SettingsConfigDict(extra="ignore", env_ignore_empty=True, frozen=True, hide_input_in_errors=True)

    slack_bot_token: HeaderSecret = SecretStr("")
    slack_signing_secret: SigningSecrets = SecretStr("")
    """One, or two with a comma between them while one replaces the other."""
    slack_app_token: HeaderSecret = SecretStr("")
    slack_api_url: Address = "https://slack.com/api/"

    zof_api_key: HeaderSecret = SecretStr("")
    zof_base_url: Address = "https://api.zof.ai/v1"
    zof_run_url_template: Annotated[str, _template("{run_id}")] = ""
    zof_result_url_template: Annotated[str, _template("{result_id}")] = ""
    zof_link_hosts: str = "zof.ai"
    """Hosts (with their subdomains) whose https links from Zof may become buttons, comma-separated."""
    zof_status_param: str = "status"
    zof_project_param: str = "project_id"
    zof_since_param: str = ""
    zof_list_order: Literal["auto", "newest", "oldest"] = "auto"
    zof_duration_unit: Literal["ms", "s"] = "ms"
    """Unit of a bare ``duration`` field."""
    zof_webhook_secret: Secret = SecretStr("")
    """Empty: no webhooks are received."""
    zof_webhook_secret_previous: Secret = SecretStr("")
    """Taken as well while a secret is being replaced."""
    zof_signature_header: Annotated[str, AfterValidator(_header)] = "X-Zof-Signature"

    redis_url: Annotated[str, AfterValidator(_store_address)] = ""
    host: str = "127.0.0.1"
    port: int = Field(3000, ge=0, le=65535)
    zofbot_metrics_port: int = Field(0, ge=0, le=65535)
    """Where a worker of its own shows metrics and health; 0: nowhere."""

    zofbot_default_channel: Annotated[str, AfterValidator(_channel)] = ""
    """Where a failure goes that no subscription took."""
    zofbot_poll_interval: float = Field(60, ge=1, le=3600)
    """Seconds."""
    zofbot_lookback: float = Field(3600, ge=0, le=7 * 24 * 3600)
    """Seconds; on a first start, what failed longer ago is noted and not posted."""

    zofbot_canary_channel: Annotated[str, AfterValidator(_channel)] = ""
    """Where a failure that never was is sent, seen and removed; empty: none is."""
    zofbot_canary_interval: float = Field(300, ge=1, le=3600)
    """Seconds."""

    zofbot_responders: People = ""
    """Ids of people and user groups who may work on failures; empty: every full member."""
    zofbot_operators: People = ""
    """Who may start and cancel runs once that is allowed; empty: whoever may work on failures."""
    zofbot_admins: People = ""
    """Who may change what belongs to any channel; empty: admins and owners of the workspace."""
    zofbot_allow_runs: Switch = False
    """Whether runs may be started and cancelled from Slack."""
    zofbot_resolve_note: Switch = False
    """Whether resolving takes a note."""
    zofbot_shared_details: Switch = False
    """Whether channels that are shared with other organizations see what failures say."""

    zofbot_data_dir: Path = Field(default_factory=lambda: Path(user_data_dir("zofbot")))
    zofbot_namespace: str = Field("zofbot", pattern=r"^[A-Za-z0-9_.-]{1,64}$")
    zofbot_log_format: Literal["auto", "json", "pretty"] = "auto"
    zofbot_log_level: Literal["debug", "info", "warning", "error"] = "info"

    @property
    def socket_mode(self) -> bool:
        """Slack over Socket Mode instead of HTTP."""
        return bool(self.slack_app_token.get_secret_value())

    @property
    def link_hosts(self) -> tuple[str, ...]:
        """Hosts that links may lead to: the allowed ones and those of the two templates."""
        named = [host.strip().lower() for host in self.zof_link_hosts.split(",") if host.strip()]
        return (*named, *self.unfurl_domains)

    @property
    def unfurl_domains(self) -> tuple[str, ...]:
        """Hosts of the two templates: links to them are answered with a small card."""
        templates = (self.zof_run_url_template, self.zof_result_url_template)
        return tuple(dict.fromkeys(host for url in templates if (host := urlsplit(url).hostname)))

    @property
    def signing_secrets(self) -> tuple[str, ...]:
        """Those that Slack's requests may be signed with."""
        return tuple(one for one in self.slack_signing_secret.get_secret_value().split(",") if one)

    @property
    def webhook_secrets(self) -> tuple[str, ...]:
        """Those that a webhook may be signed with; none when the receiver is off."""
        both = (self.zof_webhook_secret.get_secret_value(), self.zof_webhook_secret_previous.get_secret_value())
        return tuple(secret for secret in both if secret) if both[0] else ()

    def secrets(self) -> tuple[str, ...]:
        """Every secret that is set, so that logs can be kept clean of them."""
        values = [value.get_secret_value() for _, value in self if isinstance(value, SecretStr)]
        values += self.signing_secrets
        return tuple(value for value in values if len(value) >= 8)


def _secret_dirs() -> tuple[Path, ...]:
    candidates = (Path("/run/secrets"), Path(os.environ.get("ZOFBOT_SECRETS_DIR") or "/run/secrets"))
    return tuple(path for path in dict.fromkeys(candidates) if path.is_dir())


def _sentence(problem: Any) -> str:
    name = str(problem["loc"][0]).upper()
    cause = problem.get("ctx", {}).get("error")
    return f"{name} is wrong: {cause or problem['msg'][:1].lower() + problem['msg'][1:]}."


def load(*required: str) -> Settings:
    """Read the settings and insist on the ``required`` variables.

    ``SLACK_SIGNING_SECRET`` counts as given when ``SLACK_APP_TOKEN`` is. Raises SettingsError, a sentence a problem.
    """
    try:
        settings = Settings(_secrets_dir=_secret_dirs())  # type: ignore[call-arg]  # pydantic-settings takes it at run time
    except ValidationError as error:
        raise SettingsError([_sentence(problem) for problem in error.errors(include_url=False)]) from None
    missing = [name for name in required if not getattr(settings, name.lower()).get_secret_value()]
    if settings.socket_mode and "SLACK_SIGNING_SECRET" in missing:
        missing.remove("SLACK_SIGNING_SECRET")
    if missing:
        raise SettingsError([f"{name} is not set: {MENDS[name]}." for name in missing])
    return settings
