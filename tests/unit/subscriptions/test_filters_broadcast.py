"""Which replies a subscription shows in its channel, as it is typed and as it is stored."""

from __future__ import annotations

import json

import pytest

from zofbot.domain.errors import BadInput
from zofbot.subscriptions import Broadcast, Subscription, format_filters, parse_filters

NEVER, RELAPSE, WORSE, RECOVERED = Broadcast


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("", (RELAPSE,)),
        ("broadcast:relapse", (RELAPSE,)),
        ("broadcast:never", (NEVER,)),
        ("broadcast:recovered", (RELAPSE, RECOVERED)),
        ("broadcast:worse", (RELAPSE, WORSE)),
        ("broadcast:Recovered,worse", (RELAPSE, WORSE, RECOVERED)),
    ],
)
def test_whoever_asks_for_anything_is_shown_relapses_too(typed: str, meant: tuple[Broadcast, ...]) -> None:
    assert parse_filters(typed).broadcast == meant
    assert parse_filters(format_filters(parse_filters(typed))) == parse_filters(typed)


@pytest.mark.parametrize("typed", ["broadcast:never,worse", "broadcast:worse broadcast:never"])
def test_what_contradicts_itself_is_refused(typed: str) -> None:
    with pytest.raises(BadInput, match=r"can't be combined|given twice"):
        parse_filters(typed)


@pytest.mark.parametrize(("stored", "meant"), [("never", (RELAPSE,)), ("worse", (RELAPSE, WORSE))])
def test_of_earlier_records_never_was_the_default_and_not_a_choice(stored: str, meant: tuple[Broadcast, ...]) -> None:
    assert Subscription.model_validate_json(json.dumps({"broadcast": stored})).broadcast == meant


def test_an_earlier_version_reads_new_records() -> None:
    kept = json.loads(parse_filters("broadcast:recovered").model_dump_json(by_alias=True))
    assert "broadcast" not in kept  # where it takes one word
    assert kept["broadcasts"] == ["relapse", "recovered"]
