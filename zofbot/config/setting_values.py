"""Validators of settings: each returns the value, or raises ValueError with the second half of a sentence."""

from __future__ import annotations

import os
import re
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, SecretStr

from zofbot.config.extra_fields_file import load_extra_fields
from zofbot.config.owners_file import load_owners
from zofbot.config.redis_url import find_tls_files, parse_redis_url

_SERVICE_PORT_PATTERN = re.compile(r"(tcp|udp|sctp)://", re.IGNORECASE)
_SERVICE_LINK_PATTERN = re.compile(r"_SERVICE_(HOST|PORT)(_\w+)?$|_PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?$")
"""Variables that Kubernetes sets in every container for a Service of the same name
(https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables)."""

_MISPLACED_TOKENS = {
    "SLACK_BOT_TOKEN": {
        "xapp-": "it is an app-level token, which belongs in SLACK_APP_TOKEN",
        "xoxp-": "it is a user token",
        "xoxe-": "it is a refresh token",
    },
    "SLACK_APP_TOKEN": {
        "xoxb-": "it is the bot token, which belongs in SLACK_BOT_TOKEN",
        "xoxp-": "it is a user token",
        "xoxe": "it is an OAuth token",
    },
    "SLACK_SIGNING_SECRET": dict.fromkeys(("xoxb-", "xoxp-", "xapp-"), "it is a token, not a signing secret"),
}
"""Setting, then token prefix (https://docs.slack.dev/authentication/tokens), to what the token is instead."""


def describe_misplaced(name: str, value: str) -> str:
    """Explain, as half a sentence, why a token is in the wrong setting; empty if it is not known to be."""
    return next((what for start, what in _MISPLACED_TOKENS.get(name, {}).items() if value.startswith(start)), "")


def find_misspelt(names: list[str], known: list[str]) -> dict[str, str]:
    """Return the ``names`` with our prefix that are no settings, each with the most similar ``known`` name or empty."""
    ours = (name for name in names if re.match(r"ZOF(BOT)?_", name) and name not in known)
    strange = [name for name in ours if not _SERVICE_LINK_PATTERN.search(name)]
    return {name: next(iter(get_close_matches(name, known, 1, 0.7)), "") for name in sorted(strange)}


def is_host_name(host: str) -> bool:
    """Return whether ``host`` can be looked up: the resolver raises UnicodeError for empty and overlong labels."""
    try:
        host.encode("idna")
    except UnicodeError:
        return False
    return bool(host)


def _check_listen_host(host: str) -> str:
    if not is_host_name(host):
        raise ValueError("it must be an IP address or a host name")
    return host


def _check_web_address(value: str) -> str:
    try:
        parts = urlsplit(value)
        port_is_fine = parts.port != 0
    except ValueError:
        raise ValueError("it must be a URL such as https://host/path, with a port from 1 to 65535") from None
    if parts.scheme not in ("http", "https") or not is_host_name(parts.hostname or "") or not port_is_fine:
        raise ValueError("it must be a URL such as https://host/path")
    if parts.username or parts.password:
        raise ValueError("it must not contain a user name or password")
    return value


def _check_redis_url(value: str) -> str:
    if value:  # empty for the embedded store
        parse_redis_url(value)
    for option, path in find_tls_files(value).items():
        try:
            os.close(os.open(path, os.O_RDONLY))
        except OSError as error:
            raise ValueError(f"its option {option} names a file that cannot be read ({error.strerror})") from None
    return value


def template_validator(placeholder: str) -> AfterValidator:
    """Return a validator for an https URL template that contains ``placeholder``, or is empty."""

    def check_template(value: str) -> str:
        parts = urlsplit(value)
        if value and (placeholder not in value or parts.scheme != "https" or not parts.hostname):
            raise ValueError(f"it must be an https URL that contains {placeholder}, or be empty")
        if re.search(r"[{}\s]", value.replace(placeholder, "")):
            raise ValueError(f"it must contain no other placeholder than {placeholder}, and no spaces")
        return value

    return AfterValidator(check_template)


def _check_header_secret(secret: SecretStr) -> SecretStr:
    """Reject a secret that cannot be sent in an HTTP header."""
    stripped = secret.get_secret_value().strip()
    if not re.fullmatch(r"[\x21-\x7e]*", stripped):
        raise ValueError("it contains spaces or characters that a key cannot have: copy it again")
    return SecretStr(stripped)


def _check_signing_secrets(secret: SecretStr) -> SecretStr:
    """Accept one secret, or two separated by a comma while one replaces the other."""
    each = [part.strip() for part in secret.get_secret_value().split(",") if part.strip()]
    if len(each) > 2:
        raise ValueError("it must be one secret, or two separated by a comma")
    return SecretStr(",".join(_check_header_secret(SecretStr(part)).get_secret_value() for part in each))


def _strip_secret(secret: SecretStr) -> SecretStr:
    return SecretStr(secret.get_secret_value().strip())


def _check_header_name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9-]{1,64}", name):
        raise ValueError("it must be the name of an HTTP header, such as X-Zof-Signature")
    return name


def _check_channel_id(value: str) -> str:
    if value and not re.fullmatch(r"[CGD][A-Z0-9]{2,20}", value):
        raise ValueError("it must be a channel ID such as C0123456789, not a name, or be empty")
    return value


def _check_people_ids(value: str) -> str:
    what = "the ID of a person (U0123456789) or user group (S0123456789)"
    return _check_entries(value, r"[UWS][A-Z0-9]{2,30}", what)


def _check_host_names(value: str) -> str:
    what = "a host name such as zof.ai, without https://, *, port or path; subdomains are included"
    return _check_entries(value.lower(), r"[a-z0-9]([a-z0-9_-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9_-]*[a-z0-9])?)*", what)


def _check_entries(value: str, pattern: str, what: str) -> str:
    """Return the comma-separated entries without spaces and empty ones; each must match the pattern."""
    entries = [entry.strip() for entry in value.split(",") if entry.strip()]
    for place, entry in enumerate(entries, start=1):
        if not re.fullmatch(pattern, entry):
            raise ValueError(f"entry {place} is not {what}")
    return ",".join(entries)


def _check_query_parameter(value: str) -> str:
    if re.search(r"[^!-~]|[=&?#/]", value):
        raise ValueError("it must be the name of a query parameter, such as status, without = or ?")
    return value


def _parse_switch(value: Any) -> bool:
    text = str(value).strip().lower()
    if text not in _SWITCH_VALUES:
        raise ValueError("it must be true or false")
    return _SWITCH_VALUES[text]


def _ignore_service_port(value: Any) -> Any:
    """Ignore the variable that Kubernetes injects for a Service named zofbot-metrics."""
    return 0 if _SERVICE_PORT_PATTERN.match(str(value)) else value


def _check_folder(value: Path) -> Path:
    if ":/" in str(value):
        raise ValueError("it must be a directory, such as /var/lib/zofbot")
    return value


def _check_extra_fields(path: str) -> str:
    load_extra_fields(path)
    return path


def _check_owners(path: str) -> str:
    load_owners(path)
    return path


_SWITCH_VALUES = dict.fromkeys(("true", "1", "yes", "on"), True) | dict.fromkeys(("false", "0", "no", "off"), False)

ListenHost = Annotated[str, AfterValidator(_check_listen_host)]
WebAddress = Annotated[str, AfterValidator(_check_web_address)]
RedisUrl = Annotated[str, AfterValidator(_check_redis_url)]
HeaderSecret = Annotated[SecretStr, AfterValidator(_check_header_secret)]
StrippedSecret = Annotated[SecretStr, AfterValidator(_strip_secret)]
SigningSecrets = Annotated[SecretStr, AfterValidator(_check_signing_secrets)]
HeaderName = Annotated[str, AfterValidator(_check_header_name)]
ChannelId = Annotated[str, AfterValidator(_check_channel_id)]
PeopleIds = Annotated[str, AfterValidator(_check_people_ids)]
HostNames = Annotated[str, AfterValidator(_check_host_names)]
QueryParameter = Annotated[str, AfterValidator(_check_query_parameter)]
OwnersPath = Annotated[str, AfterValidator(_check_owners)]
ExtraFieldsPath = Annotated[str, AfterValidator(_check_extra_fields)]
Switch = Annotated[bool, BeforeValidator(_parse_switch)]
OwnPort = Annotated[int, BeforeValidator(_ignore_service_port)]
Folder = Annotated[Path, AfterValidator(_check_folder)]
