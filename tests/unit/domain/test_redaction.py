"""Redaction takes secrets and leaves words. All secrets here are invented."""

from __future__ import annotations

import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.proportion import is_in_proportion
from zofbot.domain.redaction import MASK, SECRET_RULES, is_secret_name, redact

_WORDS = """
    task-management-service test_task_list_shows_all_items disk_usage_threshold_exceeded /desk-reservations-overview
    risk-assessment-dashboard-loads test_disk_quota_is_enforced_for_guests desk_test_internationalization_2
    sk-learn-pipeline-integration pk_customer_orders_constraint rk-api-gateway-smoke-test kiosk-live-preview-component
    TaskManagementService testTaskListShowsAllItems com.acme.task.TaskListControllerTest
    checkout.spec.ts:42:7 tests/e2e/test_password_reset.py::test_token_expires test_password_is_required
    password-reset-flow-with-token secret-santa-campaign token-bucket-rate-limiter-test api-key-rotation-runbook
    cookie-banner-consent-dialog session_id_is_regenerated PasswordResetPage#sendsLink api_key_rotation_works
    high_availability_failover_test weighs_internationalization npm_install_and_build_everything_now hvac-control-loop
    xoxo-hugs-and-kisses MSG.something_long_enough.another_long_name ASIA_PACIFIC_REGION_CHECKOUT basic-auth-login-page
    login_with_basic_auth authorization_code_flow bearer_token_validation digest-mismatch-is-reported private_key_upload
    disk-0a1b2c3d4e5f67890
    chrome-120-windows-11 release/2026.11.27-rc.1 build#4821 run_1001 res_4821 v2.14.0-beta.3 UTF-8 sha256 p95
"""
WORDS = _WORDS.split()
SENTENCES = [
    "Bearer authentication returns 401",
    "Forgot password: sends the reset link",
    "Change password: 'Save' is disabled until both match",
    "Password: required",
    "Reset token: expired after an hour",
    "API key: rotation keeps the old one for a day",
    "Client secret: never shown twice",
    "Session id: changes after login",
    "Cookie: banner is shown to new visitors",
    "Set-Cookie: header is missing on logout",
    "Authorization: header is missing",
    "Authorization: Bearer",
    "Basic arithmetic works in the cart",
    "Basic OAuth2 login works with Okta",
    "Digest emails are sent on Monday mornings",
    "Token refresh happens before expiry",
    "token v2.14.0-beta.3 of the design system",
    "expected token: got ')'",
    "Unexpected token: 'else' at line 3",
    "assert token == expected_token",
    "Run it with the --password flag",
    "--token is required",
    "The private key must be at least 2048 bits",
    "secretary of state, key results, monkey: banana, keyboard: shows",
    '{"password": "must be at least 8 characters"}',
    '{"password": null, "token": undefined, "secret": true}',
    "PWD=/home/ana/checkout",
    "https://shop.example:8443/carts/ana@shop.example?page=2",
    "image pulled, Digest sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b",
    "pass: 12, fail: 3, skipped: 1",
    "max_tokens=4096, tokens: 512",
    "primary_key: id, foreign key: order_id, sort key: created_at",
    "رمز عبور: نادرست است",
    "Пароль: неверный, token: просрочен",
    "Passwort zurücksetzen: Schaltfläche fehlt",
    "-u 1000:1000",
]
_PARTS = """
    task risk disk desk kiosk mask ask list test live proj management service overview password token secret key api
    session cookie login reset link guest checkout total shows all items works fails page user admin bearer basic auth
    header digest flask-task risk-management internationalization
"""
PARTS = _PARTS.split()


@pytest.mark.parametrize("words", [*WORDS, *SENTENCES])
def test_words_stay(words: str) -> None:
    assert redact(words) == words


@given(st.lists(st.sampled_from(PARTS), min_size=1, max_size=9), st.sampled_from("_-/. "), st.sampled_from([0, 1, 2]))
def test_no_name_made_of_words_is_touched(parts: list[str], joint: str, spelling: int) -> None:
    said = joint.join([str.lower, str.title, str.upper][spelling](part) for part in parts)
    assert redact(said) == said


@given(st.lists(st.sampled_from(PARTS), min_size=2, max_size=9))
def test_no_name_in_camel_case_is_touched(parts: list[str]) -> None:
    said = parts[0] + "".join(part.title().replace("-", "") for part in parts[1:])
    assert redact(said) == said


@given(st.lists(st.sampled_from(WORDS), max_size=20).map(", ".join))
def test_a_list_of_names_stays(said: str) -> None:
    assert redact(said) == said


# --- secrets


def made_of(alphabet: str, least: int, most: int | None = None) -> st.SearchStrategy[str]:
    """Letters as a machine draws them: at least one of each kind that the alphabet has."""
    kinds = [
        kind for kind in (string.digits, string.ascii_lowercase, string.ascii_uppercase) if set(kind) & set(alphabet)
    ]
    drawn = st.text(alphabet, min_size=least, max_size=most or least)
    return drawn.filter(lambda text: all(set(text) & set(kind) for kind in kinds))


ALNUM = string.ascii_letters + string.digits
HEX = "0123456789abcdef"
LONG = made_of(ALNUM, 24, 40)


def prefixed_secrets(prefix: str, rest: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return rest.map(lambda text: prefix + text)


VENDORS = st.one_of(
    prefixed_secrets("AKIA", made_of(string.ascii_uppercase + "234567", 16)),
    prefixed_secrets("ASIA", made_of(string.ascii_uppercase + "234567", 16)),
    *(prefixed_secrets(f"gh{kind}_", made_of(ALNUM, 36)) for kind in "pousr"),
    prefixed_secrets("github" + "_pat_", made_of(ALNUM + "_", 40, 60)),
    *(
        prefixed_secrets(f"xox{kind}-", st.from_regex(r"[0-9]{10,13}-[0-9]{10,13}-[A-Za-z0-9]{24}", fullmatch=True))
        for kind in "bp"
    ),
    prefixed_secrets("xa" + "pp-1-A0", made_of(ALNUM + "-", 30)),
    *(prefixed_secrets(f"{kind}_{mode}_", LONG) for kind in ("sk", "rk") for mode in ("live", "test")),
    prefixed_secrets("whsec_", LONG),
    prefixed_secrets("sk-" + "proj-", LONG),
    prefixed_secrets("sk-" + "ant-api03-", LONG),
    prefixed_secrets("sk-", made_of(ALNUM, 48)),
    prefixed_secrets("glpat-", made_of(ALNUM, 20)),
    prefixed_secrets("AI" + "za", made_of(ALNUM + "_-", 35)),
    prefixed_secrets("npm_", made_of(ALNUM, 36)),
    prefixed_secrets("hf_", made_of(ALNUM, 34)),
    prefixed_secrets("SG.", st.tuples(made_of(ALNUM, 22), made_of(ALNUM, 43)).map(".".join)),
    prefixed_secrets("shpat_", made_of(HEX, 32)),
    prefixed_secrets("dop_v1_", made_of(HEX, 64)),
    prefixed_secrets("zof_", LONG),
    prefixed_secrets("zof_live_", LONG),
    prefixed_secrets("eyJ", st.tuples(made_of(ALNUM, 20), made_of(ALNUM, 30), made_of(ALNUM + "_-", 43)).map(".".join)),
    prefixed_secrets("https://hooks.slack.com/services/T0123ABCD/B0123ABCD/", made_of(ALNUM, 24)),
)
AROUND = st.sampled_from(
    ["{}", "before {} after", '"{}"', "'{}'", "({})", "[{}]", "<{}>", "key={}", "a:{},b", "\n{}\n", "https://x.example/?q={}&r=1",
     '{{"x":"{}"}}', "`{}`", "got {}.", "name-{}", "_{}", "=> {};", "\t{}", "héé{}", "😀{}😀", '\\"{}\\"']
)  # fmt: skip


def leaked_parts(secret: str, said: str) -> list[str]:
    """Pieces of a secret, 8 characters long, that can still be read."""
    return [secret[at : at + 8] for at in range(4, max(len(secret) - 7, 5)) if secret[at : at + 8] in said]


@given(VENDORS, AROUND)
def test_a_vendors_secret_is_redacted_wherever_it_is(secret: str, around: str) -> None:
    said = redact(around.replace("{{", "{").replace("}}", "}").replace("{}", secret))
    assert MASK in said
    tail = secret.rpartition("/")[2]
    assert tail[-8:] not in said
    assert not leaked_parts(tail, said)


SECRETS = st.one_of(
    st.sampled_from(
        ["hunter2", "Tr0ub4dor&3", "s3cr3t!", "P@ssw0rd", "0123456789", "correct-horse-battery-9", "пароль123"]
    ),
    made_of(ALNUM, 8, 40),
    made_of(HEX, 32),
)
_SYNTAXES = """
{name}={secret}
export {name}={secret}
{name}="{secret}"
{name}: {secret}
{name}: "{secret}"
  - {name}: '{secret}'
"{name}": "{secret}"
"{name}":"{secret}"
'{name}': '{secret}'
\\"{name}\\":\\"{secret}\\"
{name} = {secret}
?{name}={secret}&page=2
x=1&{name}={secret}
--{name} {secret}
--{name}={secret}
--{name} "{secret}"
:{name} => "{secret}"
{name} := "{secret}"
<{name}>{secret}</{name}>
<add key="{name}" value="{secret}"/>
{{"name": "{name}", "value": "{secret}"}}
login(user="a", {name}="{secret}")
login(user=a,{name}={secret},retry=3)
config["{name}"] = "{secret}"
{{{name}: {secret}}}
{name} == "{secret}"
X-{name}: {secret}
failed with {name}: {secret}, twice
Server=x;{name}={secret};Timeout=3
"""
SYNTAXES = _SYNTAXES.strip().splitlines()
NAMES = [
    "password", "PASSWORD", "DB_PASSWORD", "dbPassword", "db.password", "passwd", "pwd", "passphrase", "secret",
    "client_secret", "clientSecret", "SECRET_KEY", "api_key", "apiKey", "API-KEY", "x-api-key", "ZOF_API_KEY",
    "ZOF_WEBHOOK_SECRET", "SLACK_BOT_TOKEN", "access_token", "accessToken", "refresh-token", "aws_secret_access_key",
    "AccountKey", "private_key", "signing_key", "session_id", "new_password", "password_confirmation", "smtp_pass",
    "SLACK_SIGNING_SECRET", "credentials", "spring.datasource.password", "X-Auth-Token",
]  # fmt: skip


@given(st.sampled_from(NAMES), SECRETS, st.sampled_from(SYNTAXES))
def test_what_follows_a_secrets_name_is_redacted(name: str, secret: str, syntax: str) -> None:
    said = redact("before\n" + syntax.format(name=name, secret=secret) + "\nafter")
    assert secret not in said
    assert said.startswith("before")
    assert said.endswith("after")
    assert name in said, "the name stays, so that it can be read what was taken"


@pytest.mark.parametrize(
    ("said", "secrets"),
    [
        ("postgres://app:hunter2pass@db.internal/x", ["hunter2pass"]),
        ("redis://:p#a?s/s@w@cache:6379/0", ["p#a", "s/s", "s@w"]),
        ("https://a1b2c3d4e5:@api.example/v1", ["a1b2c3"]),
        ("https://a1b2c3d4e5:x-oauth-basic@git.example/x", ["a1b2c3"]),
        ("Cookie: session=abc123; csrf=def456", ["abc123", "def456"]),
        ("set-cookie: sid=s%3Aabc; Path=/", ["s%3Aabc"]),
        ("{'Cookie': 'session=abc123; b=c'}", ["abc123"]),
        ('curl --cookie "sid=abc123" https://x.example', ["abc123"]),
        ("curl -u admin:hunter2 https://x.example", ["hunter2"]),
        ("Authorization: Bearer abcDEF123456.x-y", ["abcDEF"]),
        ("authorization: bearer letmeinplease", ["letmein"]),
        ("'Authorization': 'Basic dXNlcjpwYXNz'", ["dXNlcjpwYXNz"]),
        ("Authorization: Basic dXNlcjpwYXNz", ["dXNlcjpwYXNz"]),
        ("Proxy-Authorization: abcdefghijk", ["abcdefghijk"]),
        ('Authorization: Digest username="ana", response="6629fae49393"', ["6629fae49393"]),
        ("got Bearer hunter2secret in the log", ["hunter2secret"]),
        ("token 0a1b2c3d4e5f", ["0a1b2c"]),
        ("API key: a1b2c3d4", ["a1b2c3d4"]),
        ("password: letmein", ["letmein"]),
        ("  - password: letmein # of the test user", ["letmein"]),
        ('password="hunter2 and more"', ["hunter2", "more"]),
        ('{"password": "with \\"quotes\\" in it"}', ["quotes", "in it"]),
        ("PASSWORD=p@ss,w0rd(1)", ["p@ss", "w0rd"]),
        ("a" * 300 + "_password=hunter2", ["hunter2"]),
        ('"secret": "' + "a1" * 3000 + '"', ["a1a1"]),
        ("secret=" + "a1" * 3000, ["a1a1"]),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIEabc\ndef\n-----END RSA PRIVATE KEY-----", ["MIIE", "def"]),
        ("-----BEGIN OPENSSH PRIVATE KEY-----\\nb3BlbnNza\\n-----END OPENSSH PRIVATE KEY-----", ["b3Blbn"]),
        ("-----BEGIN PGP PRIVATE KEY BLOCK-----\n\nlQOYBF", ["lQOYBF"]),
        ("12345678:AA" + "a1B2c3D4e5F" * 3, ["a1B2"]),
    ],
)
def test_secrets_of_headers_addresses_and_files_are_taken(said: str, secrets: list[str]) -> None:
    shown = redact(f"before\n{said}")
    assert MASK in shown
    assert [part for part in secrets if part in shown] == []


PIECES = [
    "bearer", "Bearer ", "BASIC ", "to\u212aen", "pa\u017f\u017fword", "api_key", "cookie", "Set-Cookie", "session-id",
    "-----BEGIN PRIVATE KEY-----", "postgres://app", "a1b2c3d4e5f6", "xoxb-123456", "secret", ":", "=", "@", " ", "\t",
    "\n", '"', "'", "x", "9", "Authorization: ", "-u a:", "--password ", "sk_live_", "value", ">", "<", "\\", "a=b",
    "must ", ",",
]  # fmt: skip
ANY = st.lists(st.sampled_from(PIECES), max_size=14).map("".join) | st.text(max_size=300)


@given(ANY)
def test_looking_first_for_what_a_rule_needs_misses_nothing(anything: str) -> None:
    """A rule is left out where it cannot match; all of them, always, come to the same."""
    plainly = anything
    for rule in SECRET_RULES:
        plainly = rule.mask(plainly)
    assert redact(anything) == plainly


@given(ANY)
def test_a_second_time_takes_no_more_words(anything: str) -> None:
    once = redact(anything)
    assert len(re.sub(re.escape(MASK), "", redact(once))) <= len(once)


def test_names_of_fields_that_hold_secrets_are_known() -> None:
    assert all(map(is_secret_name, NAMES))
    assert not any(
        map(is_secret_name, ["key", "channel", "run_id", "keyboard", "bypass", "tokens", "secretary", "author"])
    )


BEGINNINGS = [
    "cookie:", "cookies ", "api key: ", "password=", "password=,", "password=a,", "password=a,a", "password: ",
    'password: "must ', "password: 'is \"x token: \"is ", "authorization: ", "authorization: a ", "authorization:a,",
    "--password ", "-u a:", 'cookie: "a=b', '"value', 'password"', "\\", 'password\\"', "sk_a_", "sk-", "sk_live_",
    "eyJabcdef.abcd.eyJabcdef", "hooks.slack.com/", "a.", "https://a:b:", "https://a:", "1:", " a@a", "--a ", "basic ",
    "A", "aA", "a1", "AKIA", "SG.a", "xoxb-", "Bearer ", "token a1", "a_key:", "key-", "x:AA", "<password>",
    "0" * 9 + ":AA",
    "-----BEGIN PRIVATE KEY-----", "-----BEGIN ", '"a":', "password value=", 'password","value":', "dp.pt.", "a-",
]  # fmt: skip


@pytest.mark.parametrize("beginning", BEGINNINGS)
def test_time_is_in_proportion_to_the_text(beginning: str) -> None:
    assert is_in_proportion(redact, beginning)
