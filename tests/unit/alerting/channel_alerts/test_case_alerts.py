"""The alerts of several cases of one run: which relapses the channel hears of, and which alerts become a storm."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

from tests.support.rules import (
    NOON,
    RuleBench,
    failed_finding,
    make_finding,
    make_result,
    make_subscription,
    passed_finding,
)
from zofbot.alerting.storms.storm_record import Storm
from zofbot.domain.model import Result
from zofbot.notifications.notification import NotificationKind
from zofbot.subscriptions import RunFinding

MINUTE = 60.0


def take_turns(bench: RuleBench, *runs: str, at: float = NOON, pause: float = 5 * MINUTE) -> None:
    """End a run for each of ``runs``: its cases fail, or pass if they are in capitals."""
    for number, cases in enumerate(runs):
        make: Callable[..., RunFinding] = passed_finding if cases.isupper() else failed_finding
        bench.process_findings(make(f"{at:.0f}{number}", at + number * pause, *cases.lower().split()))


def broadcasts(bench: RuleBench) -> list[tuple[str, int]]:
    """Return what each reply that the channel also sees is about, with the number of others that it stands for."""
    replies = [note for note in bench.notifications_of(NotificationKind.REPLY) if note.body.get("broadcast")]
    return [
        (note.body.get("title") or note.body.get("case", {}).get("title", ""), note.body.get("others", 0))
        for note in replies
    ]


@pytest.mark.parametrize("layout", ["thread", "flat"])
def test_the_channel_hears_of_a_relapse_beside_a_case_that_flaps(layout: str) -> None:
    bench = RuleBench(make_subscription(f"group:case layout:{layout}"))
    take_turns(bench, "aa", "AA", "aa", "AA", "aa bb cc", "AA BB CC")
    assert broadcasts(bench) == [("aa", 0), ("aa", 0)], "its first relapse, and the line that it flaps"
    take_turns(bench, "aa bb cc", at=NOON + 30 * MINUTE)
    assert broadcasts(bench)[2:] == [("bb", 1)]


def test_the_channel_hears_of_flapping_beside_a_relapse() -> None:
    bench = RuleBench(make_subscription("group:case"))
    take_turns(bench, "bb", "BB", "aa bb", "AA BB", "aa bb")
    assert broadcasts(bench) == [("bb", 0), ("aa", 0), ("bb", 0)]
    assert any(note.key.startswith("flapping:res_") for note in bench.notifications.values())


def test_the_channel_hears_of_a_relapse_beside_one_in_a_storm() -> None:
    bench = RuleBench(make_subscription("group:case"))
    take_turns(bench, " ".join(f"a{number:02}" for number in range(30)))
    take_turns(bench, "zz", "A00 A01 ZZ", "a00 a01 zz", at=NOON + 10 * MINUTE)
    assert broadcasts(bench) == [("a01", 0), ("zz", 0)], "the storm's thread gets one reply a minute"


CASES = tuple(f"a{number:02}" for number in range(25))


def failed_run(*results: Result) -> RunFinding:
    return make_finding("1", NOON, *results)


def root_kinds(bench: RuleBench) -> Counter[str]:
    return Counter(note.key.partition(":")[0] for note in bench.notifications_of(NotificationKind.ROOT))


@pytest.mark.parametrize("group", ["case", "cause"])
def test_one_failure_of_a_large_run_that_mentions_others_is_a_message_of_its_own(group: str) -> None:
    bench = RuleBench(make_subscription(f"group:{group} mention:<@U1>"))
    texts = [f"KeyError: '{'abcdefghijklmnopqrstuvwxyz'[number] * 5}'" for number in range(26)]
    quarantined = make_result("q", failure=texts[25], quarantined=True)
    bench.process_findings(
        failed_run(quarantined, *(make_result(case, failure=text) for case, text in zip(CASES, texts, strict=False)))
    )
    storms = [
        Storm.model_validate_json(text)
        for field, text in bench.memory.hashes["storms:C1"].items()
        if field.startswith("storm:")
    ]
    assert sorted((storm.members, storm.by_cause) for storm in storms) == sorted(
        [(25, False), *[(1, True)] * (group == "cause")]
    )
    assert len(bench.notifications_of(NotificationKind.ROOT)) == 2


def test_each_owner_of_a_few_failures_of_a_large_run_gets_messages_of_their_own() -> None:
    bench = RuleBench(make_subscription("group:case mention:owner"))
    bench.process_findings(
        failed_run(*(make_result(case, owner_ids=(f"U{number // 3}",)) for number, case in enumerate(CASES)))
    )
    assert root_kinds(bench) == {"case": 25}


def test_several_sorts_of_a_large_run_that_are_too_many_together_are_storms() -> None:
    bench = RuleBench(make_subscription("group:case mention:owner"))
    bench.process_findings(
        failed_run(*(make_result(case, owner_ids=(f"U{number // 10}",)) for number, case in enumerate(CASES)))
    )
    assert root_kinds(bench) == {"storm": 2, "case": 5}


@pytest.mark.parametrize(
    ("first", "second", "heard"),
    [
        ("broadcast:never", "", [("b", 1)]),
        ("", "broadcast:never", [("a", 0)]),
        ("", "", [("a", 2)]),
        ("broadcast:never", "broadcast:never", []),
    ],
)
def test_whether_a_relapse_is_broadcast_depends_on_its_own_subscription_only(
    first: str, second: str, heard: list[tuple[str, int]]
) -> None:
    bench = RuleBench(
        make_subscription(f"group:case case:a {first}"), make_subscription(f"group:case case:b,c {second}", number=2)
    )
    take_turns(bench, "a b c", "A B C", "a b c")
    assert broadcasts(bench) == heard


def test_flapping_is_broadcast_by_the_first_case_whose_subscription_asks_for_it() -> None:
    bench = RuleBench(
        make_subscription("group:case case:a broadcast:never"), make_subscription("group:case case:b", number=2)
    )
    take_turns(bench, "a b", "A B", "a b", "A B", "a b")
    assert broadcasts(bench) == [("b", 0), ("b", 0)], "its first relapse, and the line that it flaps"
