"""Filters by branch, tag and owner: typed, shown, and matched with what Zof gives."""

from __future__ import annotations

import pytest

from zofbot.domain.extra_fields import ExtraValue, FieldType
from zofbot.domain.model import Outcome, Result, Run
from zofbot.subscriptions import RunFinding, Subscription, format_filters, match_subscription, parse_filters


def extra(label: str, *values: str) -> ExtraValue:
    return ExtraValue(label, FieldType.TEXT, values)


RUN = Run(id="run_1", outcome=Outcome.FAILED, extras=(extra("branch", "Feature/Vouchers"),))
CART = Result(
    id="res_1", outcome=Outcome.FAILED, title="Cart", extras=(extra("tags", "smoke", "slow"), extra("owner", "@cart"))
)
SEARCH = Result(id="res_2", outcome=Outcome.FAILED, title="Search", extras=(extra("branch", "main"),))
FINDING = RunFinding.from_results(RUN, [CART, SEARCH], otherwise=1.0)


@pytest.mark.parametrize(
    ("filters", "matching"),
    [
        ("branch:main", {"res_2"}),
        ("branch:feature/*", {"res_1"}),
        ("branch:-main", {"res_1"}),
        ("tag:smoke", {"res_1"}),
        ("tag:-slow", {"res_2"}),
        ("labels:smoke owner:cart", {"res_1"}),
        ("owner:@cart", {"res_1"}),
        ("owner:<!subteam^S1|@cart>", {"res_1"}),
        ("owner:-@cart", {"res_2"}),
    ],
)
def test_each_failure_is_matched_by_itself(filters: str, matching: set[str]) -> None:
    subscription = parse_filters(filters)
    assert {result.id for result in match_subscription(subscription, FINDING).results} == matching
    assert parse_filters(format_filters(subscription)) == subscription


@pytest.mark.parametrize(
    ("filters", "reason"),
    [
        ("branch:release-*", "branch is Feature/Vouchers / main, wanted release-*"),
        ("owner:ana", "owner is @cart / cart, wanted ana"),
        ("tag:nightly", "tag is slow / smoke, wanted nightly"),
        ("case:Search tag:smoke", "tag is unknown, wanted smoke"),
    ],
)
def test_a_mismatch_says_what_was_found(filters: str, reason: str) -> None:
    assert match_subscription(parse_filters(filters), FINDING).reason_text == reason


def test_a_run_without_known_cases_is_matched_by_its_own_branch() -> None:
    finding = RunFinding.from_results(RUN, [], otherwise=1.0)
    assert match_subscription(parse_filters("branch:feature/*"), finding).matched
    assert not match_subscription(parse_filters("branch:main"), finding).matched
    assert not match_subscription(parse_filters("tag:smoke"), finding).matched


def test_old_records_have_no_such_filters() -> None:
    stored = Subscription.model_validate_json('{"id": "a", "channel": "C1", "case": ["x"], "schema": 1}')
    assert (stored.branch, stored.tag, stored.owner) == ((), (), ())
