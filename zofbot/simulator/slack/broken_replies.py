"""Broken replies in place of Slack's: web pages of proxies, truncated and invalid bodies.

Seen in public: HTML and empty bodies with 200 and 4xx (python-slack-sdk 718, 821 and 1454, node-slack-sdk 843).
Floods, deep nesting and wrong types have not been seen from Slack, but are possible.
"""

from __future__ import annotations

import gzip
from functools import cache

from aiohttp import web

ERROR_PAGE = b"<!doctype html><html><head><title>Error</title></head><body><h1>Request blocked</h1></body></html>"
PROXY_STATUSES = (403, 404, 407, 408, 413, 421)
"""HTTP statuses that proxies and gateways return themselves."""
FLOOD_BYTES = 80 * 1024 * 1024

_HTML, _JSON = "text/html; charset=utf-8", "application/json; charset=utf-8"
BrokenReply = tuple[int, str, bytes]
"""HTTP status, content type, and body."""

BROKEN_REPLIES: dict[str, tuple[str, BrokenReply]] = {
    "html": ("HTML page (200)", (200, _HTML, ERROR_PAGE)),
    "empty": ("Empty response (200)", (200, _JSON, b"")),
    "cut_json": ("JSON cut in half (200)", (200, _JSON, b'{"ok":true,"channel":"C0QA","ts":"18')),
    "list": ("JSON list instead of an object", (200, _JSON, b'[{"ok":true}]')),
    "redirect": ("Redirect (302)", (302, _HTML, b"")),
    **{f"html_{status}": (f"HTML page ({status})", (status, _HTML, ERROR_PAGE)) for status in PROXY_STATUSES},
    "no_word": ("ok: false without an error code", (200, _JSON, b'{"ok":false}')),
    "bare_ok": ("ok: true and nothing else", (200, _JSON, b'{"ok":true}')),
    "odd_types": ("Fields of wrong types", (200, _JSON, b'{"ok":true,"ts":17,"channel":["C0QA"],"messages":{},"user":7,'
                  b'"users":"U0ANA","usergroups":1,"view":"V1","channels":0,"user_id":0,"permalink":{}}')),
    "odd_error": ("An error code that is not a string", (200, _JSON, b'{"ok":false,"error":{"code":[1]}}')),
    "bad_utf8": ("Bytes that are not UTF-8", (200, _JSON, b'{"ok":true,"ts":"\xff\xfe"}')),
    "deep": ("JSON nested too deeply", (200, _JSON, b'{"ok":true,"a":' + b"[" * 100_000)),
}  # fmt: skip
"""Broken replies by name, each with its label on the page."""


@cache
def gzip_bomb() -> bytes:
    """Return a few KiB of gzip that decompress to 80 MiB of JSON."""
    return gzip.compress(b'{"ok":true,"ts":"1.1","x":"' + b"x" * FLOOD_BYTES + b'"}', 1)


BROKEN_REPLIES["bomb"] = ("A compressed bomb", (200, _JSON, b""))


def broken_response(fault: str) -> web.Response:
    """Build the response of ``fault``, one of ``BROKEN_REPLIES``."""
    status, kind, body = BROKEN_REPLIES[fault][1]
    headers = {"Content-Type": kind}
    if fault == "bomb":
        body, headers["Content-Encoding"] = gzip_bomb(), "gzip"
    if fault == "redirect":
        headers["Location"] = "/captive-portal"
    return web.Response(status=status, body=body, headers=headers)
