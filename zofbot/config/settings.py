"""All settings, read from the environment and secret files; nothing else in zofbot reads either."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from platformdirs import user_data_dir
from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SecretsSettingsSource,
    SettingsConfigDict,
)

from zofbot.config.extra_fields_file import load_extra_fields
from zofbot.config.owners_file import load_owners
from zofbot.config.secret_folders import describe_skipped_folder, find_secret_folders
from zofbot.config.setting_values import (
    ChannelId,
    ExtraFieldsPath,
    Folder,
    HeaderName,
    HeaderSecret,
    HostNames,
    ListenHost,
    OwnersPath,
    OwnPort,
    PeopleIds,
    QueryParameter,
    RedisUrl,
    SigningSecrets,
    StrippedSecret,
    Switch,
    WebAddress,
    describe_misplaced,
    find_misspelt,
    template_validator,
)
from zofbot.domain.errors import SettingsError
from zofbot.domain.extra_fields import ExtraFields

SETTING_FIXES = {
    "SLACK_BOT_TOKEN": "copy the Bot User OAuth Token (xoxb-…) from your app's OAuth & Permissions page",
    "SLACK_SIGNING_SECRET": "copy it from your app's Basic Information page, or set SLACK_APP_TOKEN for Socket Mode",
    "SLACK_APP_TOKEN": "create an app-level token (xapp-…) with connections:write on your app's Basic Information page",
    "ZOF_API_KEY": "create a key in Zof under Admin Center, Developer, API keys",
}
"""How to get each setting without a default."""

MAY_BE_EMPTY = ("ZOF_STATUS_PARAM", "ZOF_PROJECT_PARAM")
"""Settings for which an empty variable counts, though they have a default: it switches a filter off."""


class SecretFiles(SecretsSettingsSource):
    """Files named like the settings. Raises SettingsError that names all those that cannot be read."""

    def __init__(self, settings_cls: type[BaseSettings], folders: tuple[Path, ...]) -> None:
        super().__init__(settings_cls, list(folders))
        self._problems: list[str] = []

    def __call__(self) -> dict[str, Any]:
        values = super().__call__()
        if self._problems:
            raise SettingsError(self._problems)
        return values

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        try:
            return super().get_field_value(field, field_name)
        except OSError as error:
            reason = f"cannot be read ({error.strerror})"
        except UnicodeDecodeError:
            reason = "is not UTF-8 text"
        self._problems.append(f"{field_name.upper()} is wrong: the secret file {reason}.")
        return None, field_name, False


class Settings(BaseSettings):
    """The settings; names are those of the environment variables, in lower case.

    An empty variable counts as not set, except for ``MAY_BE_EMPTY``. Secrets may also be files named like the variable.
    """

    model_config = SettingsConfigDict(extra="ignore", env_ignore_empty=True, frozen=True, hide_input_in_errors=True)

    slack_bot_token: HeaderSecret = SecretStr("")
    slack_signing_secret: SigningSecrets = SecretStr("")
    """One, or two separated by a comma while one replaces the other."""
    slack_app_token: HeaderSecret = SecretStr("")
    slack_api_url: WebAddress = "https://slack.com/api/"

    zof_api_key: HeaderSecret = SecretStr("")
    zof_base_url: WebAddress = "https://api.zof.ai/v1"
    zof_run_url_template: Annotated[str, template_validator("{run_id}")] = ""
    zof_result_url_template: Annotated[str, template_validator("{result_id}")] = ""
    zof_link_hosts: HostNames = "zof.ai"
    """Comma-separated hosts, including subdomains, whose https links and images from Zof may be shown."""
    zof_extra_fields: ExtraFieldsPath = ""
    """YAML or JSON file with the paths of extra fields in runs and results."""
    zof_status_param: QueryParameter = "status"
    zof_project_param: QueryParameter = "project_id"
    zof_since_param: QueryParameter = ""
    zof_list_order: Literal["auto", "newest", "oldest"] = "auto"
    zof_duration_unit: Literal["ms", "s"] = "ms"
    """Unit of a bare ``duration`` field."""
    zof_webhook_secret: StrippedSecret = SecretStr("")
    """Empty: webhooks are disabled."""
    zof_webhook_secret_previous: StrippedSecret = SecretStr("")
    """Also accepted, while a secret is being replaced."""
    zof_signature_header: HeaderName = "X-Zof-Signature"

    redis_url: RedisUrl = ""
    host: ListenHost = "127.0.0.1"
    port: int = Field(3000, ge=0, le=65535)
    zofbot_metrics_port: OwnPort = Field(0, ge=0, le=65535)
    """Port on which a separate worker serves metrics and health; 0: none."""

    zofbot_default_channel: ChannelId = ""
    """Channel for failures that match no subscription."""
    zofbot_poll_interval: float = Field(60, ge=1, le=3600)
    """Seconds."""
    zofbot_lookback: float = Field(3600, ge=0, le=7 * 24 * 3600)
    """Seconds; on a first start, older failures are recorded and not posted."""

    zofbot_canary_channel: ChannelId = ""
    """Channel in which a test failure is posted, checked and removed; empty: disabled."""
    zofbot_canary_interval: float = Field(300, ge=1, le=3600)
    """Seconds."""

    zofbot_responders: PeopleIds = ""
    """Ids of people and user groups who may triage failures; empty: every full member."""
    zofbot_operators: PeopleIds = ""
    """Ids of those who may start and cancel runs if allowed; empty: everybody who may triage failures."""
    zofbot_admins: PeopleIds = ""
    """Ids of those who may read traces and retry messages; empty: admins and owners of the workspace."""
    zofbot_owners_file: OwnersPath = ""
    """File in CODEOWNERS syntax that says who owns which projects and cases."""
    zofbot_allow_runs: Switch = False
    """Whether runs may be started and cancelled from Slack."""
    zofbot_resolve_note: Switch = False
    """Whether resolving requires a note."""
    zofbot_shared_details: Switch = False
    """Whether channels shared with other organizations show failure details."""

    zofbot_data_dir: Folder = Field(default_factory=lambda: Path(user_data_dir("zofbot")))
    zofbot_namespace: str = Field("zofbot", pattern=r"^[A-Za-z0-9_.-]{1,64}$")
    zofbot_log_format: Literal["auto", "json", "pretty"] = "auto"
    zofbot_log_level: Literal["debug", "info", "warning", "error"] = "info"

    @field_validator("*", mode="before")
    @classmethod
    def _drop_byte_order_mark(cls, value: Any) -> Any:
        """Return the value without the mark that some editors put before the text of a file."""
        return value.removeprefix("\ufeff") if isinstance(value, str) else value

    @classmethod
    def settings_customise_sources(
        cls, settings_cls: type[BaseSettings], *_: PydanticBaseSettingsSource, **sources: PydanticBaseSettingsSource
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return the sources, the one that counts most first."""
        emptied = {name.lower(): "" for name in MAY_BE_EMPTY if os.environ.get(name) == ""}
        return (
            sources["init_settings"],
            sources["env_settings"],
            InitSettingsSource(settings_cls, emptied),
            SecretFiles(settings_cls, _secret_folders()),
        )

    @property
    def list_order(self) -> Literal["newest", "oldest"] | None:
        """The order of Zof's listings, if an operator set it; else it is found out."""
        return None if self.zof_list_order == "auto" else self.zof_list_order

    @property
    def uses_socket_mode(self) -> bool:
        """Whether Slack is connected by Socket Mode instead of HTTP."""
        return bool(self.slack_app_token.get_secret_value())

    @property
    def extra_fields(self) -> ExtraFields:
        """The extra fields to read from runs and results, and whom the owners file says cases belong to."""
        return load_extra_fields(self.zof_extra_fields)._replace(find_owners=load_owners(self.zofbot_owners_file))

    @property
    def finds_people_by_email(self) -> bool:
        """Whether authors or owners are configured, whom alerts may mention."""
        return bool(self.zof_extra_fields or self.zofbot_owners_file)

    @property
    def link_hosts(self) -> tuple[str, ...]:
        """Hosts that links may point to: the allowed ones and those of the URL templates."""
        return (*filter(None, self.zof_link_hosts.split(",")), *self.unfurl_domains)

    @property
    def unfurl_domains(self) -> tuple[str, ...]:
        """Hosts of the URL templates; links to them are unfurled as a small card."""
        templates = (self.zof_run_url_template, self.zof_result_url_template)
        return tuple(dict.fromkeys(host for url in templates if (host := urlsplit(url).hostname)))

    @property
    def signing_secrets(self) -> tuple[str, ...]:
        """Secrets accepted for signatures of Slack's requests."""
        return tuple(item for item in self.slack_signing_secret.get_secret_value().split(",") if item)

    @property
    def webhook_secrets(self) -> tuple[str, ...]:
        """Secrets accepted for signatures of webhooks; none if webhooks are disabled."""
        both = (self.zof_webhook_secret.get_secret_value(), self.zof_webhook_secret_previous.get_secret_value())
        return tuple(secret for secret in both if secret) if both[0] else ()

    def all_secrets(self) -> tuple[str, ...]:
        """Return every secret that is set and at least 8 characters long, for redaction in logs."""
        values = [value.get_secret_value() for _, value in self if isinstance(value, SecretStr)]
        values += self.signing_secrets
        return tuple(value for value in values if len(value) >= 8)


VALUE_KINDS = {
    "bool_parsing": "it must be true or false",
    "float_parsing": "it must be a number",
    "int_parsing": "it must be a whole number",
    "literal_error": "it must be {expected}",
}
"""What a value must be, by pydantic's type of error (https://docs.pydantic.dev/latest/errors/validation_errors/)."""


def _secret_folders() -> tuple[Path, ...]:
    return find_secret_folders(os.environ.get("ZOFBOT_SECRETS_DIR", ""))


def _problem_sentence(problem: Any) -> str:
    name = str(problem["loc"][0]).upper()
    context = problem.get("ctx", {})
    wanted = VALUE_KINDS.get(problem["type"], "").format(**context)
    return f"{name} is wrong: {context.get('error') or wanted or problem['msg'][:1].lower() + problem['msg'][1:]}."


def load_settings(*required: str) -> Settings:
    """Read the settings and check that the ``required`` variables are set.

    ``SLACK_SIGNING_SECRET`` is not needed if ``SLACK_APP_TOKEN`` is set. Raises SettingsError with all problems.
    """
    problems: dict[str, str] = {}
    try:
        settings = Settings.model_validate({})
    except ValidationError as error:
        found = error.errors(include_url=False)
        problems = {str(problem["loc"][0]).upper(): _problem_sentence(problem) for problem in found}
        # Without the malformed ones, so that missing ones are reported too.
        settings = Settings.model_validate({name.lower(): _default_value(name.lower()) for name in problems})
    tokens = {name: getattr(settings, name.lower()).get_secret_value() for name in SETTING_FIXES}
    for name in required:
        spared = name == "SLACK_SIGNING_SECRET" and (settings.uses_socket_mode or "SLACK_APP_TOKEN" in problems)
        if not tokens[name] and not spared:
            problems.setdefault(name, f"{name} is not set: {SETTING_FIXES[name]}.")
    for name, value in tokens.items():
        if required and (what := describe_misplaced(name, value)):
            problems[name] = f"{name} is wrong: {what}; {SETTING_FIXES[name]}."
    if settings.zof_webhook_secret_previous.get_secret_value() and not settings.webhook_secrets:
        sentence = "ZOF_WEBHOOK_SECRET_PREVIOUS is set, but ZOF_WEBHOOK_SECRET is empty: set both, or neither."
        problems["ZOF_WEBHOOK_SECRET_PREVIOUS"] = sentence
    if problems:
        raise SettingsError([*problems.values(), *filter(None, [describe_skipped_folder()])])
    return settings


def _default_value(name: str) -> Any:
    return Settings.model_fields[name].get_default(call_default_factory=True)


def find_unknown_names() -> dict[str, str]:
    """Return variables and secret files with our prefix that are no settings, with the most similar setting."""
    files = [path.name for folder in _secret_folders() for path in folder.iterdir()]
    known = [name.upper() for name in Settings.model_fields]
    return find_misspelt([*os.environ, *files], [*known, "ZOFBOT_SECRETS_DIR"])
