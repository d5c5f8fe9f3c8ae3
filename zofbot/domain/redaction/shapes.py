"""Redact secrets recognized by their form: vendors' keys, headers, cookies, URLs, private keys."""

from __future__ import annotations

import re

from zofbot.domain.redaction.words import STATE_WORDS, is_prose, reads_as_words

MASK = "[redacted]"

# Vendors' published key shapes. Zof promises no redaction of its own (failure text can hold what a test printed).
TOKEN_PATTERN = re.compile(
    r"""
      xox[abeprs]-[A-Za-z0-9-]{6,} | xapp-[A-Za-z0-9-]{6,}           # Slack
    | gh[pousr]_[A-Za-z0-9]{16,} | github_pat_\w{16,}                # GitHub
    | (?:glpat|gldt|glrt|glsoat)-[\w-]{16,} | glsa_\w{30,}           # GitLab, Grafana
    | (?:AKIA|ASIA|AROA|AIDA)(?=[A-Z]{0,40}\d)[A-Z0-9]{12,}          # AWS key ids
    | (?:sk|rk)_(?:live|test)_[A-Za-z0-9]{16,} | whsec_[\w+/=-]{16,} # Stripe
    | AIza[\w-]{30,} | ya29\.[\w-]{16,} | GOCSPX-[\w-]{20,}          # Google
    | (?<![A-Za-z0-9])SG\.[\w-]{16,}\.[\w-]{16,}                     # SendGrid
    | npm_[A-Za-z0-9]{30,} | pypi-[\w-]{30,} | hf_[A-Za-z0-9]{30,}   # package and model registries
    | dop_v1_[a-f0-9]{32,} | dapi[a-f0-9]{32} | pscale_(?:tkn|pw)_[\w-]{30,} | dp\.(?:pt|st|ct|sa)\.[A-Za-z0-9]{30,}
    | hv[sb]\.[\w-]{20,} | AGE-SECRET-KEY-1[A-Z0-9]{40,}             # Vault, age
    | shp(?:at|ca|pa|ss)_[A-Fa-f0-9]{32} | sq0(?:atp|csp|idp)-[\w-]{20,}
    | (?<![A-Za-z0-9])SK[a-f0-9]{32} | key-[a-f0-9]{32} | (?<![a-f0-9])[a-f0-9]{32}-us\d{1,2}  # Twilio, Mailgun, -chimp
    | lin_api_[A-Za-z0-9]{30,} | ntn_[A-Za-z0-9]{40,} | figd_[\w-]{30,} | ATATT[\w=-]{30,} | NRAK-[A-Z0-9]{20,}
    | sntrys_[\w+/=-]{30,} | (?<!\d)\d{8,10}:AA[\w-]{33}             # Sentry, Telegram
    | (?<=hooks\.slack\.com/)(?:services|workflows|triggers)/[\w/-]{20,}
    | (?<=/api/webhooks/)\d{16,20}/[\w-]{40,}                        # Discord
    """,
    re.VERBOSE,
)
# Beginnings that names have as well: ``sk-learn-pipeline``, ``pk_orders_customers``.
PREFIXED_KEY_PATTERN = re.compile(r"(?<![A-Za-z0-9])(sk|rk|pk|zof)[-_]([A-Za-z0-9_-]{16,})")
_ISSUED_KEY_PATTERN = re.compile(r"(?:live|test|proj|ant|or|api\d*)[-_][A-Za-z0-9]{16,}")
# JSON web tokens. A run of letters is looked through once, from its start, however often one seems to begin in it.
WEB_TOKEN_PATTERN = re.compile(r"(?<![\w-])((?>[\w-]*?(?=eyJ)))eyJ[\w-]{6,}+\.[\w-]{4,}+(?:\.[\w-]*)*+")
PRIVATE_KEY_PATTERN = re.compile(
    r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY(?: BLOCK)?-----.*?(?:-----END [A-Z ]{0,30}PRIVATE KEY(?: BLOCK)?-----|\Z)",
    re.DOTALL,
)
HEADER_PATTERN = re.compile(
    r"""\b(authorization["'\\]{0,4}[ \t]{0,4}(?:=>|[:=])[ \t]{0,4}["'\\]{0,4})
    (?:((?:digest|aws4-hmac-sha256)[ \t])[^\r\n]+ | ([a-z][a-z0-9-]{1,24}[ \t]{1,4})?([^\s"'\\,]+)(?=([ \t]+\w)?))""",
    re.VERBOSE | re.IGNORECASE,
)
SCHEME_PATTERN = re.compile(
    r"\b(bearer|basic|digest|apikey|token)([ \t]{1,4})(?!sha\d+:)([A-Za-z0-9._~+/=:-]{8,})", re.IGNORECASE
)
COOKIE_PATTERN = re.compile(
    r"""\b((?:set-)?cookies?(?:["'\\]{0,4}[ \t]{0,4}[:=]|(?<=--cookie)[ \t])[ \t]{0,4})(\\{0,8}["'`])?
    (?=[^\s=;:,"'\\]{1,128}=[^\s=]) (?(2)(?:(?!\2)[^\r\n])+|[^\r\n]+)""",
    re.VERBOSE | re.IGNORECASE,
)
# A port is never a password. The match extends to the last @, because passwords may contain any character.
URL_PASSWORD_PATTERN = re.compile(
    r"\b([a-z][a-z0-9+.-]{0,30}://)([^\s:/@\"'<>]{0,256}:)(?!\d{1,5}[/?\#])"
    r"([^\s\"'<>]{0,256})@",
    re.IGNORECASE,
)
_NO_PASSWORDS = ("", "x", "X", "x-oauth-basic")
"""Used as the password where the user name is the secret."""
LOGIN_PATTERN = re.compile(r"(?<!\S)((?:-u|--user|--proxy-user)[ \t=]{1,4}[\"']?[^\s:\"'/]{1,64}:)(?!\d+\b)([^\s\"']+)")


# Replacements are functions, for Python parses a template anew with each text, whether anything matches or not.
def mask_token(found: re.Match[str]) -> str:
    """Mask a vendor's key; directly after a word, only if it looks like a key."""
    glued = found.string[: found.start()][-1:].isalnum()
    return found[0] if glued and reads_as_words(found[0]) else MASK


def mask_prefixed_key(found: re.Match[str]) -> str:
    """Mask text that starts like a key, unless it continues in words."""
    issued = found[1] in ("sk", "rk") and _ISSUED_KEY_PATTERN.fullmatch(found[2])
    return MASK if issued or not reads_as_words(found[2]) else found[0]


def mask_header(found: re.Match[str]) -> str:
    """Mask the value of an ``Authorization`` header."""
    before, whole, scheme, value, goes_on = found.groups()
    if whole:
        return f"{before}{whole}{MASK}"
    if value.casefold() in STATE_WORDS or (goes_on and is_prose(value)):
        return found[0]
    return f"{before}{scheme or ''}{MASK}"


def mask_scheme(found: re.Match[str]) -> str:
    """Mask what follows ``Bearer`` or a similar scheme, unless it is a word."""
    words = reads_as_words(found[3], digits=found[1].casefold() != "bearer")
    return found[0] if words else f"{found[1]}{found[2]}{MASK}"


def mask_cookie(found: re.Match[str]) -> str:
    """Mask all cookies of a header."""
    return f"{found[1]}{found[2] or ''}{MASK}"


def mask_url_password(found: re.Match[str]) -> str:
    """Mask the password in a URL, or the user name where that is the secret."""
    if found[3] in _NO_PASSWORDS:
        return f"{found[1]}{MASK}:{found[3]}@" if found[2] != ":" else found[0]
    return f"{found[1]}{found[2]}{MASK}@"


def mask_login(found: re.Match[str]) -> str:
    """Mask the password of ``curl -u name:password``."""
    return f"{found[1]}{MASK}"


def mask_web_token(found: re.Match[str]) -> str:
    """Mask a JSON web token."""
    return f"{found[1]}{MASK}"
