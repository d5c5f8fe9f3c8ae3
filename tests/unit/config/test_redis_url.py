"""REDIS_URL in all its forms, and encrypted."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.asyncio.connection import parse_url

from zofbot.config.redis_url import RedisAddress, parse_redis_url


@pytest.mark.parametrize(
    ("url", "read"),
    [
        ("redis://host:6379/0", RedisAddress("server", "redis://host:6379/0")),
        ("unix://me@/run/redis.sock?db=1", RedisAddress("server", "unix://me@/run/redis.sock?db=1")),
        (
            "redis+sentinel://a:1,b/mymaster",
            RedisAddress("sentinel", "redis://a:1/0", (("a", 1), ("b", 26379)), "mymaster"),
        ),
        (
            "rediss+sentinel://me:p%40ss@[::1]:1,s-2.example/my.m/3?sentinel_password=x/y&ssl_ca_certs=/ca.pem",
            RedisAddress(
                "sentinel", "rediss://me:p%40ss@[::1]:1/3?sentinel_password=x/y&ssl_ca_certs=/ca.pem",
                (("::1", 1), ("s-2.example", 26379)), "my.m",
            ),
        ),
        ("redis+cluster://a,b:7001/0", RedisAddress("cluster", "redis://a:6379/0", (("a", 6379), ("b", 7001)))),
        ("rediss+cluster://:pw@a", RedisAddress("cluster", "rediss://:pw@a:6379/0", (("a", 6379),))),
    ],
)  # fmt: skip
def test_each_form_is_read(url: str, read: RedisAddress) -> None:
    assert parse_redis_url(url) == read


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://host", "must start with redis://"),
        ("redis+sentinels://a/m", "must start with redis://"),
        ("redis+sentinel://a:1,b:2", "service name"),
        ("redis+sentinel://a:1,b:2/?db=0", "service name"),
        ("redis+sentinel:///mymaster", "host:port"),
        ("redis+sentinel://a:1;b:2/mymaster", "host:port"),
        ("redis+sentinel://a:99999/mymaster", "host:port"),
        ("redis+sentinel://a:0/mymaster", "host:port"),
        ("redis+sentinel://a/mymaster/x", "database must be a number"),
        ("redis+cluster://a,,b", "host:port"),
        ("redis+cluster://a/1", "only database 0"),
    ],
)
def test_what_is_wrong_is_said_without_repeating_it(url: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        parse_redis_url(url)
    for secret in ("redis+cluster://me:hunter2@a/1", "redis+sentinel://me:hunter2@a b/x"):
        with pytest.raises(ValueError, match=r"must|only database 0") as caught:
            parse_redis_url(secret)
        assert "hunter2" not in str(caught.value)


HOST = st.from_regex(r"[a-z0-9][a-z0-9.-]{0,20}", fullmatch=True) | st.just("::1")
PORT = st.integers(1, 65535)


@given(st.lists(st.tuples(HOST, PORT), min_size=1, max_size=5), st.from_regex(r"[a-z0-9._-]{1,9}", fullmatch=True))
def test_what_is_written_is_read_back(hosts: list[tuple[str, int]], service: str) -> None:
    written = ",".join(f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in hosts)
    read = parse_redis_url(f"redis+sentinel://me:pw@{written}/{service}/2?socket_timeout=1")
    assert (read.hosts, read.service) == (tuple(hosts), service)
    options = parse_url(read.url)
    assert (options["host"], options["port"], options["db"]) == (*hosts[0], 2)
    assert (options["username"], options["password"]) == ("me", "pw")


def wrong(url: str) -> str:
    """What is wrong with it; or that it can be read."""
    try:
        parse_redis_url(url)
    except ValueError as error:
        return str(error)
    return "it can be read"


@given(st.text(max_size=80))
def test_any_text_is_an_address_or_wrong_in_a_sentence(text: str) -> None:
    for url in (text, f"redis+sentinel://{text}", f"rediss+cluster://{text}"):
        assert wrong(url).startswith(("it ", "its ", "a cluster"))
