"""Settings as people get them wrong: each ends the start in one sentence, exit code 2, and no secret is repeated."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.cli import run_command
from zofbot.config.redis_url import parse_redis_url
from zofbot.config.setting_values import describe_misplaced, find_misspelt
from zofbot.config.settings import Settings, load_settings
from zofbot.domain.errors import SettingsError
from zofbot.store.redis_server.following_connection import make_client

NEEDED = ("SLACK_BOT_TOKEN", "SLACK_SIGNING_SECRET", "ZOF_API_KEY")
WELL: dict[str, Any] = {
    "SLACK_BOT_TOKEN": "xoxb-1", "SLACK_SIGNING_SECRET": "0" * 32, "ZOF_API_KEY": "zof_key", "PORT": "0"
}  # fmt: skip


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


def start_problems(monkeypatch: pytest.MonkeyPatch, **settings: str) -> list[str]:
    for name, value in (WELL | settings).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as caught:
        load_settings(*NEEDED)
    return caught.value.problems


# --- REDIS_URL

PASSWORDS = ["hun#ter2", "hun/ter2", "hun?ter2", "hun ter2", "hun[ter]2", "#hunter2", "hunter2?", "hun?ter2=x&y", "hün"]


@pytest.mark.parametrize("scheme", ["redis", "rediss", "redis+sentinel", "rediss+cluster"])
@pytest.mark.parametrize("password", PASSWORDS)
def test_a_password_that_an_address_cannot_hold_is_said(
    monkeypatch: pytest.MonkeyPatch, scheme: str, password: str
) -> None:
    [problem] = start_problems(monkeypatch, REDIS_URL=f"{scheme}://me:{password}@host:6379/mymaster")
    assert problem.startswith("REDIS_URL is wrong: ")
    assert "# as %23" in problem
    assert "hun" not in problem
    assert "ter" not in problem.replace("characters", "")


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("redis://host:99999/0", "from 1 to 65535"),
        ("redis://host:port/0", "from 1 to 65535"),
        ("redis://:pw@/0", "one host"),
        ("redis://a,b:6379", "one host"),
        ("redis://host/zero", "database must be a number"),
        ("redis://host/0?sokcet_timeout=1", "an unknown option"),
        ("redis://host/0?password=hunter2&hunter3=x", "an unknown option"),
        ("redis://host/0?socket_timeout=soon", "its option socket_timeout"),
        ("redis://host/0?decode_responses=1", "an unknown option"),
        ("redis://host/0?ssl_cert_reqs=none", "rediss instead of redis"),
        ("rediss://host/0?ssl_cert_reqs=hunter2", "its option ssl_cert_reqs"),
        ("redis+cluster://host?db=hunter2", "its option db"),
        ("redis+sentinel://host/m?sentinel_pasword=hunter2", "an unknown option"),
        ("unix://run/redis.sock", "unix:///run/redis.sock"),
        ("unix://", "must start with"),
    ],
)
def test_an_address_that_the_client_would_stumble_over_later_is_said(
    monkeypatch: pytest.MonkeyPatch, url: str, says: str
) -> None:
    [problem] = start_problems(monkeypatch, REDIS_URL=url)
    assert says in problem
    assert "hunter" not in problem


@given(st.text(min_size=1, max_size=20))
def test_any_password_that_is_quoted_is_read_as_it_is(password: str) -> None:
    try:
        password.encode()
    except UnicodeEncodeError:
        return
    url = f"redis://me:{quote(password, safe='')}@host:6379/1"
    assert make_client(parse_redis_url(url).url, {}).connection_pool.connection_kwargs["password"] == password


@given(st.text(min_size=8, max_size=20).filter(lambda text: text.isprintable() and " " not in text))
def test_no_password_is_repeated(password: str) -> None:
    said = ""
    try:
        parse_redis_url(f"redis://me:{password}@host:6379/1")
    except ValueError as error:
        said = str(error)
    assert password not in said


@pytest.mark.parametrize("option", ["db=1", "socket_timeout=1.5", "max_connections=9", "protocol=2", "password=a%23b"])
@pytest.mark.parametrize("start", ["redis://host", "rediss://host", "unix:///run/redis.sock"])
def test_each_option_that_is_taken_is_one_of_the_clients(start: str, option: str) -> None:
    pool: Any = make_client(parse_redis_url(f"{start}?{option}").url, {}).connection_pool
    pool.make_connection()


async def test_the_command_line_ends_with_one_sentence(tmp_path: Path) -> None:
    for command in ("run", "web", "worker", "check", "outbox"):
        arguments = [command, "list"] if command == "outbox" else [command]
        ended = await run_command(*arguments, **WELL, REDIS_URL="redis://:hun#ter2@127.0.0.1:9/0")
        assert (ended.code, ended.out) == (2, ""), ended
        [line] = ended.err.splitlines()
        assert line.startswith("zofbot: REDIS_URL is wrong: ")
        assert "ter2" not in line


@pytest.mark.parametrize("option", ["ssl_ca_certs", "ssl_ca_path", "ssl_certfile", "ssl_keyfile"])
def test_a_file_of_tls_that_cannot_be_read_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, option: str
) -> None:
    url = f"rediss+sentinel://host/mymaster?{option}={quote(str(tmp_path / 'CA file'))}"
    [problem] = start_problems(monkeypatch, REDIS_URL=url)
    reason = "No such file or directory"
    assert problem == f"REDIS_URL is wrong: its option {option} names a file that cannot be read ({reason})."
    (tmp_path / "CA file").touch()
    assert load_settings(*NEEDED).redis_url == url


@pytest.mark.parametrize("command", [("run",), ("outbox", "list")], ids=" ".join)
async def test_a_redis_that_does_not_answer_at_the_start_is_named_with_its_setting(command: tuple[str, ...]) -> None:
    ended = await run_command(*command, **WELL, REDIS_URL="redis://127.0.0.1:9/0", ZOFBOT_LOG_LEVEL="error")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err == (
        "zofbot: Redis does not answer (ConnectionError). "
        "Check that it is running, and that REDIS_URL and TLS (rediss://) are right.\n"
    )


# --- ZOFBOT_DATA_DIR


def a_file(folder: Path) -> Path:
    (folder / "file").write_text("")
    return folder / "file"


def below_a_file(folder: Path) -> Path:
    return a_file(folder) / "data"


@pytest.mark.parametrize(
    "made", [a_file, below_a_file, lambda folder: Path("/proc/zofbot"), lambda folder: "\N{BULLET}" * 300]
)
async def test_a_folder_that_cannot_be_used_ends_the_start(tmp_path: Path, made: Any) -> None:
    ended = await run_command("run", **WELL, ZOFBOT_DATA_DIR=str(made(tmp_path)))
    assert ended.code == 2, ended
    [line] = ended.err.splitlines()
    assert line.startswith("zofbot: ZOFBOT_DATA_DIR is wrong: ")
    assert "cannot be used" in line


def test_an_address_is_no_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    [problem] = start_problems(monkeypatch, ZOFBOT_DATA_DIR="redis://:hunter2@host:6379")
    assert problem == "ZOFBOT_DATA_DIR is wrong: it must be a directory, such as /var/lib/zofbot."


# --- network


def test_ports_that_kubernetes_injects_count_as_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (WELL | {"ZOFBOT_METRICS_PORT": "tcp://10.0.0.7:9300"}).items():
        monkeypatch.setenv(name, value)
    assert load_settings(*NEEDED).zofbot_metrics_port == 0


def test_the_kubernetes_manifest_switches_service_links_off() -> None:
    text = (Path(__file__).parents[2] / "docs/deploy/kubernetes.yml").read_text()
    assert text.count("enableServiceLinks: false") == text.count("containers:") == 2


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "99999"),
        ("ZOFBOT_METRICS_PORT", "99999"),
        ("ZOF_BASE_URL", "https://api.zof.ai:99999/v1"),
        ("SLACK_API_URL", "https://slack.com:99999/api/"),
        ("ZOF_BASE_URL", "https://[api.zof.ai/v1"),
        ("REDIS_URL", "redis://host:99999"),
        ("REDIS_URL", "redis+cluster://host:99999"),
    ],
)
def test_a_port_that_cannot_be_is_said_in_a_sentence(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    [problem] = start_problems(monkeypatch, **{name: value})
    assert problem.startswith(f"{name} is wrong: ")
    assert problem.endswith(".")


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("ZOFBOT_POLL_INTERVAL", "often", "it must be a number."),
        ("PORT", "http", "it must be a whole number."),
        ("ZOFBOT_ALLOW_RUNS", "perhaps", "it must be true or false."),
        ("ZOFBOT_LOG_LEVEL", "loud", "it must be 'debug', 'info', 'warning' or 'error'."),
    ],
)
def test_a_value_of_the_wrong_kind_says_what_it_must_be(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, says: str
) -> None:
    assert start_problems(monkeypatch, **{name: value}) == [f"{name} is wrong: {says}"]


BAD_HOSTS = ["0.0.0..0", "a" * 64 + ".example"]


@pytest.mark.parametrize("host", BAD_HOSTS, ids=["empty label", "long label"])
@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("HOST", "{}", "it must be an IP address or a host name."),
        ("ZOF_BASE_URL", "https://{}/v1", "it must be a URL such as https://host/path."),
        ("SLACK_API_URL", "https://{}/api/", "it must be a URL such as https://host/path."),
    ],
)
async def test_a_host_that_cannot_be_is_said(host: str, name: str, value: str, says: str) -> None:
    ended = await run_command("run", **WELL | {name: value.format(host)})
    assert (ended.code, ended.err) == (2, f"zofbot: {name} is wrong: {says}\n")


@pytest.mark.parametrize("host", ["0.0.0.0", "::1", "localhost", "bücher.example.", "my_host"])
def test_a_host_that_can_be_is_taken(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    monkeypatch.setenv("HOST", host)
    assert load_settings().host == host


@pytest.mark.parametrize("host", BAD_HOSTS, ids=["empty label", "long label"])
async def test_a_host_of_the_demo_that_cannot_be_is_said(host: str) -> None:
    said = f"zofbot: --host {host} is not an IP address or a host name. Use one such as 127.0.0.1, or 0.0.0.0.\n"
    for arguments, settings in (("--host", host), {}), ((), {"DEMO_HOST": host}):
        ended = await run_command("demo", "--port", "0", "--no-browser", *arguments, **settings)
        assert (ended.code, ended.err) == (2, said)


async def test_a_port_of_the_demo_that_cannot_be_is_said() -> None:
    ended = await run_command("demo", "--port", "99999", "--no-browser")
    assert ended.code == 2
    assert "Traceback" not in ended.err


async def test_ranges_of_ipv6_in_no_proxy_do_not_end_the_start() -> None:
    proxies = {"NO_PROXY": "10.0.0.0/8,fd00::/8,::1,.svc", "HTTPS_PROXY": "http://127.0.0.1:9"}
    ended = await run_command("result", "res_1", **WELL, **proxies, ZOF_BASE_URL="http://[::1]:9/v1")
    assert ended.code == 1, ended
    assert "couldn't be reached" in ended.err or "did not answer" in ended.err


# --- secret files


async def test_secret_files_that_cannot_be_read_end_the_start(tmp_path: Path) -> None:
    (tmp_path / "ZOF_API_KEY").write_bytes(b"hunter2\xff")
    (tmp_path / "ZOF_WEBHOOK_SECRET").write_bytes("hunter2".encode("utf-16"))
    for command in ("run", "web", "worker", "check"):
        ended = await run_command(command, **WELL, ZOFBOT_SECRETS_DIR=str(tmp_path))
        assert (ended.code, ended.out) == (2, ""), ended
        assert ended.err.splitlines() == [
            "zofbot: ZOF_API_KEY is wrong: the secret file is not UTF-8 text.",
            "zofbot: ZOF_WEBHOOK_SECRET is wrong: the secret file is not UTF-8 text.",
        ]


# --- tokens and names


@pytest.mark.parametrize(
    ("name", "token", "says"),
    [
        ("SLACK_BOT_TOKEN", "xapp-1-A-hunter2", "app-level token, which belongs in SLACK_APP_TOKEN"),
        ("SLACK_BOT_TOKEN", "xoxp-1-hunter2", "user token; copy the Bot User OAuth Token (xoxb-…)"),
        ("SLACK_APP_TOKEN", "xoxb-1-hunter2", "belongs in SLACK_BOT_TOKEN; create an app-level token (xapp-…)"),
        ("SLACK_APP_TOKEN", "xoxp-1-hunter2", "user token"),
        ("SLACK_SIGNING_SECRET", "xapp-1-hunter2", "a token, not a signing secret"),
    ],
)
def test_tokens_that_are_mixed_up_end_the_start(
    monkeypatch: pytest.MonkeyPatch, name: str, token: str, says: str
) -> None:
    [problem] = start_problems(monkeypatch, **{name: token})
    assert problem.startswith(f"{name} is wrong: ")
    assert says in problem
    assert "hunter2" not in problem


def test_tokens_in_their_places_are_taken() -> None:
    for name, token in {"SLACK_BOT_TOKEN": "xoxe.xoxb-1-x", "SLACK_APP_TOKEN": "xapp-1-x"}.items():
        assert describe_misplaced(name, token) == ""


def test_malformed_values_do_not_hide_missing_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    found = start_problems(monkeypatch, ZOF_API_KEY="", PORT="http", SLACK_BOT_TOKEN="xoxb-ä")
    assert sorted(problem.partition(" is ")[0] for problem in found) == ["PORT", "SLACK_BOT_TOKEN", "ZOF_API_KEY"]
    assert any("ZOF_API_KEY is not set" in problem for problem in found)


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("ZOFBOT_POL_INTERVAL", "ZOFBOT_POLL_INTERVAL"),
        ("ZOF_APIKEY", "ZOF_API_KEY"),
        ("ZOF_WEBHOOK_SECRETS", "ZOF_WEBHOOK_SECRET"),
        ("ZOFBOT_QQ", ""),
    ],
)
def test_a_misspelt_name_is_told_with_the_nearest(name: str, nearest: str) -> None:
    assert find_misspelt([name], [each.upper() for each in Settings.model_fields]) == {name: nearest}


def test_names_that_kubernetes_injects_are_not_called_misspelt() -> None:
    names = ["ZOFBOT_PORT", "ZOFBOT_SERVICE_HOST", "ZOFBOT_SERVICE_PORT_HTTP", "ZOFBOT_PORT_3000_TCP_ADDR", "ZOFX"]
    assert find_misspelt(names, []) == {}


MISSPELT = {"ZOFBOT_POL_INTERVAL": "hunter2", "REDIS_URL": "redis://127.0.0.1:9"}


async def test_the_log_warns_of_a_misspelt_name() -> None:
    ended = await run_command("run", **WELL, **MISSPELT, ZOFBOT_LOG_FORMAT="json")
    [line] = [json.loads(line) for line in ended.err.splitlines() if "setting unknown" in line]
    assert (line["name"], line["nearest"], line["level"]) == ("ZOFBOT_POL_INTERVAL", "ZOFBOT_POLL_INTERVAL", "warning")


async def test_the_checkup_warns_of_a_misspelt_name_and_gives_the_advice_for_mixed_up_tokens() -> None:
    nowhere = {"SLACK_API_URL": "http://127.0.0.1:9/", "ZOF_BASE_URL": "http://127.0.0.1:9/"}
    mixed = {"SLACK_BOT_TOKEN": "xapp-1-hunter2", "SLACK_APP_TOKEN": "xoxb-1-hunter2"}
    ended = await run_command("check", "--json", **WELL | MISSPELT | nowhere | mixed)
    found = {load["about"]: load for load in json.loads(ended.out)["findings"]}
    misspelt = found["ZOFBOT_POL_INTERVAL"]
    assert (misspelt["level"], misspelt["mend"]) == ("warning", "Rename it to ZOFBOT_POLL_INTERVAL.")
    assert "belongs in SLACK_APP_TOKEN" in found["SLACK_BOT_TOKEN"]["what"]
    assert "xoxb-…" in found["SLACK_BOT_TOKEN"]["mend"]
    assert "belongs in SLACK_BOT_TOKEN" in found["SLACK_APP_TOKEN"]["what"]
    assert "hunter2" not in ended.out
    assert "install" not in found["SLACK_BOT_TOKEN"]["mend"]
