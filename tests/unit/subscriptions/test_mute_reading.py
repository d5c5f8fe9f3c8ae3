"""A mute as it is typed, and what it matches."""

from __future__ import annotations

import pytest

from zofbot.domain.errors import BadInput
from zofbot.subscriptions.mute import Mute, active_mutes, read_mutes
from zofbot.subscriptions.mute_reading import read_mute


@pytest.mark.parametrize(
    ("typed", "filters", "seconds", "reason"),
    [
        ("project:checkout 2h", {"project": ("checkout",)}, 7200, ""),
        ("project:checkout 2h release week", {"project": ("checkout",)}, 7200, "release week"),
        ('env:staging,qa case:"cart total*" 1h30m see https://ops.example.com: later',
         {"env": ("staging", "qa"), "case": ("cart total*",)}, 5400, "see https://ops.example.com: later"),
        ("for 90 min environment:staging moving house", {"env": ("staging",)}, 5400, "moving house"),
        ("2 days project:*", {"project": ("*",)}, 172800, ""),
        ("project:checkout 2h.", {"project": ("checkout",)}, 7200, ""),
        ("env:qa for 2 hours, moving house.", {"env": ("qa",)}, 7200, "moving house."),
    ],
)  # fmt: skip
def test_filters_duration_and_reason_are_told_apart(
    typed: str, filters: dict[str, tuple[str, ...]], seconds: int, reason: str
) -> None:
    wish = read_mute(typed)
    given = {name: getattr(wish.filters, name) for name in ("project", "env", "case")}
    assert {name: value for name, value in given.items() if value} == filters
    assert (wish.seconds, wish.reason) == (seconds, reason)


@pytest.mark.parametrize(
    ("typed", "says", "example"),
    [
        ("", "Nothing to mute.", "project:checkout 2h release"),
        ("2h", "Nothing to mute.", "project:checkout 2h release"),
        ("project:checkout", "The duration is missing.", "project:checkout 2h"),
        ("project:checkout soon", "`soon` isn't a duration.", "project:checkout 2h"),
        ("project:checkout 0m", "The duration is missing.", "project:checkout 2h"),
        ("project:checkout 20s", "from one minute", ""),
        ("project:checkout 31d", "to 30 days", ""),
        ("checkout 2h", "`checkout` has no filter name", "project:checkout 2h"),
        ("mention:@ana 2h", "no filter `mention:`", ""),
        ("projct:checkout 2h", "Unknown filter `projct:`", "project:checkout 2h"),
        ("project: 2h", "has no value", ""),
    ],
)
def test_what_is_missing_or_wrong_is_named_with_an_example(typed: str, says: str, example: str) -> None:
    with pytest.raises(BadInput) as caught:
        read_mute(typed)
    assert says in caught.value.sentence
    assert caught.value.next_step
    assert caught.value.example.startswith("/zof mute ")
    assert caught.value.example.endswith(example)


def test_a_mute_of_cases_means_only_what_is_all_muted() -> None:
    cart = Mute(id="m", channel="C1", until=9.0, project=("checkout",), case=("cart*",))
    assert cart.matches(["proj_1", "Checkout"], "qa", [["tc_1", "Cart total"], ["Cart empty"]])
    assert not cart.matches(["Checkout"], "qa", [["Cart total"], ["Pay"]])
    assert not cart.matches(["Checkout"], "qa", []), "no case is known"
    assert not cart.matches(["Shop"], "qa", [["Cart total"]])
    assert Mute(id="m", channel="C1", until=9.0, env=("-qa",)).matches([], "staging", [])


def test_records_that_cannot_be_read_are_left_out_and_those_that_ended_are_not_active() -> None:
    kept = Mute(id="m", channel="C1", until=9.0, env=("qa",)).model_dump_json(exclude_defaults=True)
    mutes = read_mutes({"m": kept, "x": "{}", "later": kept.replace('"m"', '"n"').replace("}", ',"who":1}')})
    assert [mute.id for mute in mutes] == ["m", "n"]
    assert active_mutes(mutes, "C1", 8.9)
    assert not active_mutes(mutes, "C1", 9.0)
    assert not active_mutes(mutes, "C2", 1.0)
