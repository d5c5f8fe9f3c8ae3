"""Text from Zof is hostile: what reaches Slack is stripped, redacted, escaped and clipped, in that order."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.proportion import is_in_proportion
from zofbot.domain.redaction import MASK, redact
from zofbot.notifications import text

ANY = st.text(max_size=400)
NASTY = st.lists(
    st.sampled_from(
        ["&", "<", ">", "&amp;", "<!channel>", "<@U0ANA>", "a", "é", "\u202e", "\u200b", "`", "*", "\n", ";"]
    )
).map("".join)
SECRETS = {
    "bearer": "Authorization: Bearer abcDEF123456.x-y",
    "slack bot token": "xoxb-" + "123456789012-abcdefghij",
    "slack app token": "xapp-" + "1-A0B1C2-3456789-abcdef",
    "github": "ghp_" + "a1B2" * 9,
    "aws": "AKIA" + "IOSFODNN7EXAMPLE",
    "stripe": "sk_live_" + "a1B2c3D4e5F6g7H8",
    "openai": "sk-proj-" + "a1B2c3D4e5F6g7H8i9",
    "google": "AIza" + "SyA1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q",
    "jwt": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N",
    "url password": "postgres://app:hunter2pass@db.internal/x",
    "cookie": "Cookie: session=abc123; csrf=def456",
    "set-cookie": "set-cookie: sid=s%3Aabc; Path=/",
    "password": 'password="hunter2 and more"',
    "env": "DB_PASSWORD=hunter2",
    "json api key": '{"api_key": "a1b2c3d4e5"}',
    "query": "GET /x?access_token=abcdefghij&page=2",
    "private key": "-----BEGIN RSA PRIVATE KEY-----\nMIIEabc\ndef\n-----END RSA PRIVATE KEY-----",
}
SECRET_PARTS = [
    "abcDEF123456", "abcdefghij", "3456789-abcdef", "a1B2", "IOSFODNN7", "c3D4", "SyA1b2", "eyJzdWIi", "hunter2",
    "abc123", "def456", "s%3Aabc", "a1b2c3d4e5", "MIIEabc",
]  # fmt: skip


@pytest.mark.parametrize("name", SECRETS)
def test_secrets_are_redacted(name: str) -> None:
    said = redact(f"before {SECRETS[name]}\nafter")
    assert MASK in said
    assert not [part for part in SECRET_PARTS if part in said]
    assert said.startswith("before")
    assert said.endswith("after")


@pytest.mark.parametrize(
    "plain",
    [
        "basic arithmetic failed", "expected token: got ')'", "the token bucket is full", "Bearer of bad news",
        "Expected 3 to equal 4 at checkout.spec.ts:42:7", "secretary of state", "https://shop.example/cart?page=2",
    ],
)  # fmt: skip
def test_plain_english_stays(plain: str) -> None:
    assert redact(plain) == plain


def test_known_secrets_are_redacted_whatever_they_look_like() -> None:
    assert redact("the key is correct horse", "correct horse") == f"the key is {MASK}"


def test_a_secret_split_by_an_invisible_character_is_found() -> None:
    assert "hunter2" not in text.escape_mrkdwn("pass\u200bword=hun\u202eter2").replace("\u200b", "")


@given(st.text(alphabet="a-_.:=/@ eyJ\"'\n", max_size=3000))
def test_redaction_ends_for_any_text(anything: str) -> None:
    assert isinstance(redact(anything), str)


BEGINNINGS = [
    "eyJ", "eyJa.", "eyJabcdef.abcd", "-----BEGIN ", "-----BEGIN PRIVATE KEY-----", "https://a:", "://", "a@", "key=",
    "a_key:", "password: ", "a_b.", "token ", "Bearer ", "basic a", "Cookie: a=b; ", "cookie:", "xoxb-", "AKIA", "SG.a",
    "sk-", "\x1b[", "\x1b]", "&", "<@", "_a", "`", "\u202e", "token=\"a", "'", "\t", "a-", "😀",
]  # fmt: skip
"""What looks, again and again, as if it went on to something."""


@pytest.mark.parametrize("beginning", BEGINNINGS)
def test_no_text_takes_more_than_its_length_is_worth(beginning: str) -> None:
    """What tests print must not hold up the loop."""
    assert is_in_proportion(text.escape_mrkdwn, beginning)


@given(NASTY | ANY, st.integers(1, 200))
def test_mrkdwn_is_inert_and_within_its_limit(anything: str, limit: int) -> None:
    shown = text.escape_mrkdwn(anything, limit)
    assert len(shown) <= limit
    assert "<" not in shown
    assert ">" not in shown
    assert re.fullmatch(r"(?:[^&]|&(?:amp|lt|gt);)*", shown, re.DOTALL), "an entity was cut in two"
    assert not re.search("[\u202a-\u202e\u2066-\u2069\x00-\x08]", shown)


@given(NASTY | ANY, st.integers(1, 200))
def test_literal_text_mentions_nobody(anything: str, limit: int) -> None:
    shown = text.clean_literal(anything, limit)
    assert len(shown) <= limit
    assert not re.search("<[!@#]", shown)


@given(NASTY | ANY, st.integers(3, 200))
def test_inline_code_stays_closed(anything: str, limit: int) -> None:
    shown = text.inline_code(anything, limit)
    assert len(shown) <= limit
    assert shown == "" or (shown[0] == shown[-1] == "`" and "`" not in shown[1:-1] and "\n" not in shown)


@given(NASTY | ANY)
def test_a_line_is_one_line(anything: str) -> None:
    assert "\n" not in text.escape_line(anything)


def test_short_text_is_escaped_and_otherwise_as_it_came() -> None:
    assert text.escape_mrkdwn("a < b && c > d") == "a &lt; b &amp;&amp; c &gt; d"
    assert text.escape_line("test_login_flow works") == "test_login_flow works"


def test_colors_for_terminals_are_taken_out() -> None:
    assert text.clean_literal("\x1b[1;31mred\x1b[0m \x1b]8;;https://x.example\x07link\x1b]8;;\x07") == "red link"


def test_text_is_escaped_before_it_is_clipped() -> None:
    assert text.escape_mrkdwn("<<<<", 10) == "&lt;&lt;…"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0 ms"), (0.85, "850 ms"), (1, "1 s"), (4.24, "4.2 s"), (9.96, "10 s"), (59.4, "59 s"), (59.7, "1 min"),
        (60, "1 min"), (102, "1 min 42 s"), (3600, "1 h"), (7500, "2 h 5 min"), (273_600, "3 d 4 h"),
    ],
)  # fmt: skip
def test_durations_are_said_as_people_do(seconds: float, said: str) -> None:
    assert text.describe_duration(seconds) == said


@given(st.floats(0, 1e9))
def test_any_duration_can_be_said(seconds: float) -> None:
    assert re.fullmatch(r"[\d.]+ (ms|s|min|h|d)( \d+ (s|min|h))?", text.describe_duration(seconds))


def test_moments_are_shown_in_the_readers_own_zone() -> None:
    at = datetime(2026, 6, 1, 8, 15, 30, tzinfo=UTC)
    assert text.format_local_time(at) == "<!date^1780301730^{date_short_pretty} at {time}|2026-06-01 08:15:30 UTC>"
    assert text.format_local_time(at, ", ") == (
        "<!date^1780301730^, {date_short_pretty} at {time}|, 2026-06-01 08:15:30 UTC>"
    )


@pytest.mark.parametrize("length", [0, text.MAX_CACHED_CHARACTERS])
def test_a_text_that_comes_again_is_redacted_again(length: int) -> None:
    said = "x" * length + " password=hunter2swordfish \x1b[31m"
    assert [text.sanitize_text(said) for _ in range(2)] == ["x" * length + f" password={MASK} "] * 2
