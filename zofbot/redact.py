"""Takes secrets out of text before anybody, person or machine, can read it."""

from __future__ import annotations

import re

MASK = "[redacted]"

# Vendors' published key shapes. Zof promises no redaction of its own (failure text can hold what a test printed).
_TOKENS = re.compile(
    r"""
      xox[abeoprs]-[A-Za-z0-9-]{6,}                     # Slack tokens
    | xapp-[A-Za-z0-9-]{6,}
    | (?:gh[pousr]_[A-Za-z0-9]{16,}|github_pat_\w{16,}) # GitHub
    | glpat-[\w-]{16,}                                  # GitLab
    | (?:AKIA|ASIA|AROA|AIDA)[A-Z0-9]{12,}              # AWS key ids
    | (?:sk|rk|pk)[-_](?:live|test|proj|ant|or)?[-_]?[A-Za-z0-9_-]{16,}  # Stripe, OpenAI, Anthropic
    | AIza[\w-]{30,}                                    # Google
    | ya29\.[\w-]{16,}
    | SG\.[\w-]{16,}\.[\w-]{16,}                        # SendGrid
    | npm_[A-Za-z0-9]{30,}
    | pypi-[\w-]{30,}
    | dop_v1_[a-f0-9]{32,}                              # DigitalOcean
    | hv[sb]\.[\w-]{20,}                                # Vault
    | zof_[A-Za-z0-9_-]{16,}
    """,
    re.VERBOSE,
)
# JSON web tokens. A run of letters is looked through once, from its start, however often one seems to begin in it.
_WEB_TOKEN = re.compile(r"(?<![\w-])((?>[\w-]*?(?=eyJ)))eyJ[\w-]{6,}+\.[\w-]{4,}+\.[\w-]*")
_PRIVATE_KEY = re.compile(
    r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----.*?(?:-----END [A-Z ]{0,30}PRIVATE KEY-----|\Z)", re.DOTALL
)
# After a word that is also plain English ("basic arithmetic"), only what has a digit counts as a credential.
_AUTHORIZATION = re.compile(
    r"\b(bearer(?=[ \t]+)|(?:basic|digest|apikey|token)(?=[ \t]+[^\s\d]{0,80}\d))([ \t]+)([A-Za-z0-9._~+/=:-]{8,})",
    re.IGNORECASE,
)
_COOKIE = re.compile(r"\b((?:set-)?cookie[\"']?[ \t]*[:=][ \t]*)([^\r\n]+)", re.IGNORECASE)
_URL_PASSWORD = re.compile(r"\b([a-z][a-z0-9+.-]{0,30}://[^\s:/@]{0,256}:)([^\s/@]{1,256})(@)", re.IGNORECASE)
_NAMED = re.compile(
    r"""
    ((?<![A-Za-z0-9])(?:[A-Za-z0-9]{1,40}[_.-]){0,6}
     (?:passwords?|passwd|pwd|passphrase|secret|api[_-]?key|apikey|access[_-]?key|private[_-]?key|signing[_-]?key
       |client[_-]?secret|[a-z]{2,12}[_-]?token|session[_-]?id
       |token(?=["']?[ \t]{0,4}[:=]{1,2}>?[ \t]{0,4}["']?[^\s\d]{0,80}\d))
     ["']?[ \t]{0,4}(?:=>|[:=])[ \t]{0,4})
    (?: "([^"\r\n]{1,2048})" | '([^'\r\n]{1,2048})' | ([^\s"',;&<>(){}\[\]]{3,2048}) )
    """,
    re.VERBOSE | re.IGNORECASE,
)


# Replacements are functions, for Python parses a template anew with each text, whether anything matches or not.
def _named(found: re.Match[str]) -> str:
    quote = '"' if found[2] is not None else "'" if found[3] is not None else ""
    return f"{found[1]}{quote}{MASK}{quote}"


def _value(found: re.Match[str]) -> str:
    return f"{found[1]}{MASK}"


def _password(found: re.Match[str]) -> str:
    return f"{found[1]}{MASK}{found[3]}"


def _credential(found: re.Match[str]) -> str:
    return f"{found[1]}{found[2]}{MASK}"


_AUTHORIZES = ("bearer", "basic", "digest", "apikey", "token")
_NAMES = ("pass", "pwd", "secret", "key", "token", "session")


def redact(text: str, *known: str) -> str:
    """Replace what looks like a secret, and each of the ``known`` ones, by ``[redacted]``.

    It errs on the side of hiding: bearer tokens, common vendors' keys, JSON web tokens, cookies, private keys,
    passwords in URLs, and values that stand behind a name such as ``password=`` or ``api_key:``.
    """
    for secret in known:
        if secret:
            text = text.replace(secret, MASK)
    # Most texts are titles and names: what a pattern cannot match without is looked for first, at a tenth of the cost.
    folded = text.casefold()
    if "-----begin" in folded:
        text = _PRIVATE_KEY.sub(MASK, text)
    if "@" in folded:
        text = _URL_PASSWORD.sub(_password, text)
    if "cookie" in folded:
        text = _COOKIE.sub(_value, text)
    if any(word in folded for word in _AUTHORIZES):
        text = _AUTHORIZATION.sub(_credential, text)
    text = _TOKENS.sub(MASK, text)
    if "eyj" in folded:
        text = _WEB_TOKEN.sub(_value, text)
    if (":" in folded or "=" in folded) and any(word in folded for word in _NAMES):
        text = _NAMED.sub(_named, text)
    return text
