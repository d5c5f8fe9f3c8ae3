"""Which hosts NO_PROXY excludes from the proxy."""

from __future__ import annotations

import pytest

from zofbot.zof.transport.proxy import is_excluded


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
