"""The index of subscriptions finds every one that matches."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from zofbot.domain.model import Outcome, Run
from zofbot.subscriptions import RunFinding, Subscription
from zofbot.subscriptions.index import SubscriptionIndex
from zofbot.subscriptions.matching import matches_location

NAMES = ["checkout", "Checkout", "cart `v2`", "-odd", "search-web", "straße"]
PATTERNS = [*NAMES[:3], "\\-odd", "search-*", "-checkout", "STRASSE", "?art*"]

subscriptions = st.lists(
    st.builds(
        Subscription,
        id=st.uuids().map(str),
        channel=st.sampled_from(["C1", "C2", "C3"]),
        project=st.lists(st.sampled_from(PATTERNS), max_size=3).map(tuple),
    ),
    max_size=12,
)


@given(subscriptions, st.sampled_from(NAMES), st.sampled_from([None, *NAMES]))
def test_what_matches_is_among_the_candidates_in_order(
    made: list[Subscription], project: str, name: str | None
) -> None:
    run = Run(id="run_1", outcome=Outcome.FAILED, project_id=project, project_name=name)
    finding = RunFinding.from_results(run, (), otherwise=1)
    found = SubscriptionIndex(made).find_candidates(finding.projects)
    assert [each for each in made if matches_location(each, finding)] == [
        each for each in found if matches_location(each, finding)
    ]


@given(subscriptions)
def test_all_of_a_channel_are_candidates(made: list[Subscription]) -> None:
    found = SubscriptionIndex(made).find_candidates([], ["C2"])
    assert [each for each in made if each.channel == "C2"] == [each for each in found if each.channel == "C2"]


def test_a_subscription_to_another_project_is_no_candidate() -> None:
    other, own = (Subscription(id=name, channel="C1", project=(name,)) for name in ("search", "Checkout"))
    assert SubscriptionIndex([other, own]).find_candidates(["checkout"]) == [own]
