"""Which proxy the environment names for a URL, and which hosts NO_PROXY excludes from it."""

from __future__ import annotations

import pytest

from tests.support.recording_proxy import set_proxies
from zofbot.config.proxy import is_excluded, proxy_for
from zofbot.domain.errors import SettingsError


@pytest.mark.parametrize(
    ("no_proxy", "excluded"),
    [
        ("", False),
        ("*", True),
        ("other.example, *", True),
        ("api.zof.ai", True),
        ("zof.ai", True),
        (".zof.ai", True),
        ("*.ZOF.ai", True),
        ("of.ai", False),
        ("https://api.zof.ai", True),
        ("api.zof.ai:8443", True),
        ("api.zof.ai:443", False),
        ("10.0.0.0/8", False),
    ],
)
def test_an_entry_is_a_name_with_its_subdomains_or_everything(no_proxy: str, excluded: bool) -> None:
    assert is_excluded("API.zof.ai", 8443, no_proxy) == excluded


@pytest.mark.parametrize(
    ("host", "no_proxy", "excluded"),
    [
        ("10.1.2.3", "10.0.0.0/8", True),
        ("11.1.2.3", "10.0.0.0/8", False),
        ("10.1.2.3", "10.1.2.3", True),
        ("10.1.2.3", "10.1.2.3:80", False),
        ("::1", "[::1]", True),
        ("fd00::1", "fd00::/8", True),
    ],
)
def test_an_entry_is_an_address_or_a_range(host: str, no_proxy: str, excluded: bool) -> None:
    assert is_excluded(host, 443, no_proxy) == excluded


@pytest.mark.parametrize(
    ("proxies", "url", "proxy"),
    [
        ({}, "https://slack.com/api/", None),
        ({"HTTPS_PROXY": "proxy:3128"}, "https://slack.com/api/", "http://proxy:3128"),
        ({"HTTPS_PROXY": "user:pw@proxy:3128"}, "https://slack.com/api/", "http://user:pw@proxy:3128"),
        ({"HTTPS_PROXY": "http://proxy:3128\r"}, "https://slack.com/api/", "http://proxy:3128"),
        ({"https_proxy": "https://proxy"}, "https://slack.com/api/", "https://proxy"),
        ({"HTTPS_PROXY": "proxy:3128"}, "http://slack.com/api/", None),
        ({"ALL_PROXY": "proxy:3128"}, "https://slack.com/api/", "http://proxy:3128"),
        ({"ALL_PROXY": "all:1", "HTTPS_PROXY": "proxy:3128"}, "https://slack.com/api/", "http://proxy:3128"),
        ({"ALL_PROXY": "proxy:3128", "NO_PROXY": "slack.com"}, "https://hooks.slack.com/x", None),
        ({"ALL_PROXY": "proxy:3128"}, "http://[::1]:80/", None),
        ({"ALL_PROXY": "proxy:3128"}, "https://[half/", None),
        ({"ALL_PROXY": "proxy:3128"}, "https://slack.com:port/", None),
    ],
)
def test_the_proxy_is_that_of_the_scheme_or_else_the_one_for_all(
    monkeypatch: pytest.MonkeyPatch, proxies: dict[str, str], url: str, proxy: str | None
) -> None:
    set_proxies(monkeypatch, **proxies)
    assert proxy_for(url) == proxy


@pytest.mark.parametrize(
    "proxy", ["gopher://hunter2", "socks5://hunter2:1", "http://", "http://[hunter2", "hunter2:port", "//x"]
)
def test_what_is_no_http_proxy_is_refused_without_being_quoted(monkeypatch: pytest.MonkeyPatch, proxy: str) -> None:
    set_proxies(monkeypatch, HTTPS_PROXY=proxy)
    with pytest.raises(SettingsError, match="HTTPS_PROXY") as caught:
        proxy_for("https://slack.com/api/")
    assert "hunter2" not in str(caught.value)
