"""Takes secrets out of text before anybody, person or machine, can read it, and leaves words as they are."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from zofbot.redact import shapes
from zofbot.redact.named import mask_named, names_secret
from zofbot.redact.shapes import MASK

__all__ = ["MASK", "RULES", "Rule", "names_secret", "redact"]


class Rule(NamedTuple):
    """One kind of secret: ``mask`` takes it out of a text, which holds one of the ``hints`` if there is one."""

    hints: tuple[str, ...]
    mask: Callable[[str], str]


RULES = (
    Rule(("-----begin",), partial(shapes.PRIVATE_KEY.sub, MASK)),
    Rule(("@",), partial(shapes.URL_PASSWORD.sub, shapes.mask_url_password)),
    Rule(("cookie",), partial(shapes.COOKIE.sub, shapes.mask_cookie)),
    Rule(("authorization",), partial(shapes.HEADER.sub, shapes.mask_header)),
    Rule(("bearer", "basic", "digest", "apikey", "token"), partial(shapes.SCHEME.sub, shapes.mask_scheme)),
    Rule(("-u", "--proxy-u"), partial(shapes.LOGIN.sub, shapes.mask_login)),
    Rule(("",), partial(shapes.TOKENS.sub, shapes.mask_token)),
    Rule(("k-", "k_", "f-", "f_"), partial(shapes.PREFIXED.sub, shapes.mask_prefixed)),
    Rule(("eyj",), partial(shapes.WEB_TOKEN.sub, shapes.mask_web_token)),
    Rule(("pass", "pwd", "secret", "cred", "key", "token", "sess", "sig", "cookie", "auth", "otp", "jwt"), mask_named),
)


def redact(text: str, *known: str) -> str:
    """Replace what looks like a secret, and each of the ``known`` ones, by ``[redacted]``.

    Bearer tokens, common vendors' keys, JSON web tokens, cookies, private keys, passwords in URLs, and values behind a
    name such as ``password=`` or ``api_key:``. Words stay, whatever they stand behind: names of tests and services, and
    sentences about passwords. Takes time in proportion to the text.
    """
    for secret in known:
        if secret:
            text = text.replace(secret, MASK)
    # Most texts are titles and names: what a rule cannot match without is looked for first, at a tenth of the cost.
    folded = text.casefold()
    for rule in RULES:
        if any(hint in folded for hint in rule.hints):
            text = rule.mask(text)
    return text
