"""What Slack's words mean: only those known to be final are final."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import zofbot.simulator
from zofbot.domain.errors import SlackDeferred, SlackRefused, SlackUnknown
from zofbot.slack.errors import (
    DEFERRED_REASONS,
    EXPLANATIONS,
    REASONS_BY_HANDLING,
    RefusalHandling,
    classify_error,
    handling_for,
    is_known_reason,
    parse_retry_after,
)


def test_every_word_that_the_simulator_refuses_with_is_known() -> None:
    [folder] = zofbot.simulator.__path__
    source = "".join(path.read_text() for path in Path(folder).rglob("*.py"))
    words = set(re.findall(r'SlackRefusal\("([a-z_]+)"', source))
    assert len(words) > 30
    acknowledgements = {"invalid_errors"}  # about what the bot answers to a form, not about a call
    complaints = {"automatic_link"}  # the simulator's own, where Slack would make a link of hostile text
    assert {
        word for word in words - DEFERRED_REASONS - acknowledgements - complaints if not is_known_reason(word)
    } == set()


@pytest.mark.parametrize("word", ["a_word_nobody_knows", "access_denied_by_something_new", "", "http_403", "Forbidden"])
def test_a_word_that_nobody_knows_is_not_final(word: str) -> None:
    assert isinstance(classify_error(200, word, {}), SlackUnknown)


@pytest.mark.parametrize("status", [200, 400, 403, 404])
def test_a_final_word_is_final_with_any_status_that_slack_may_use(status: int) -> None:
    assert isinstance(classify_error(status, "no_text", {}), SlackRefused)


def test_no_word_has_two_remedies() -> None:
    words = [word for group in REASONS_BY_HANDLING.values() for word in group]
    assert len(words) == len(set(words))


@pytest.mark.parametrize(
    ("word", "helps"),
    [
        ("no_permission", RefusalHandling.JOIN),
        ("access_denied", RefusalHandling.PARK),
        ("team_added_to_org", RefusalHandling.PAUSE),
        ("accesslimited", RefusalHandling.PAUSE),
        ("two_factor_setup_required", RefusalHandling.PAUSE),
        ("edit_window_closed", RefusalHandling.SKIP),
        ("cant_update_message", RefusalHandling.SKIP),
    ],
)
def test_each_word_has_its_remedy(word: str, helps: RefusalHandling) -> None:
    assert handling_for(word) is helps


@pytest.mark.parametrize(
    ("header", "seconds"), [("30", 30), ("0.5", 0.5), ("0", 0.1), ("99999", 3600), ("", 1), ("soon", 1), ("inf", 1)]
)
def test_retry_after_is_believed_up_to_an_hour(header: str, seconds: float) -> None:
    assert parse_retry_after(header) == seconds


def test_a_channel_that_is_being_moved_is_waited_for() -> None:
    error = classify_error(200, "external_channel_migrating", {})
    assert isinstance(error, SlackDeferred)
    assert error.retry_after == 60


EXPLAINED = [
    reason
    for handling in (RefusalHandling.JOIN, RefusalHandling.PARK, RefusalHandling.PAUSE)
    for reason in REASONS_BY_HANDLING[handling]
]


@pytest.mark.parametrize("reason", EXPLAINED)
def test_what_people_must_fix_is_explained(reason: str) -> None:
    sentence, step = EXPLANATIONS[reason]
    error = classify_error(200, reason, {})
    assert isinstance(error, SlackRefused)
    assert (error.sentence, error.next_step) == (sentence, step)
    assert sentence.endswith(".")
    assert step.endswith(".")


@pytest.mark.parametrize(
    "reason",
    [*REASONS_BY_HANDLING[RefusalHandling.REPOST], *REASONS_BY_HANDLING[RefusalHandling.PLAIN], "edit_window_closed",
     "restricted_action_by_a_new_rule", "restricted_action_thread_locked", "restricted_action_non_threadable_channel",
     "no_text", "expired_trigger_id", "user_not_found", "a_word_nobody_knows", "", "ratelimited"],
)  # fmt: skip
@pytest.mark.parametrize("status", [200, 404, 500, None])
def test_every_error_says_what_to_do_next(status: int | None, reason: str) -> None:
    error = classify_error(status, reason, {})
    assert error.sentence
    assert error.next_step


def test_a_rule_of_the_channel_that_nobody_knows_sends_people_to_an_admin() -> None:
    assert "admin" in classify_error(200, "restricted_action_by_a_new_rule", {}).next_step


@pytest.mark.parametrize("reason", ["missing_scope", "messages_tab_disabled"])
def test_an_update_of_the_app_over_http_needs_its_url(reason: str) -> None:
    step = "An operator should update it from `zofbot manifest` (over HTTP, with `--url https://your.host`)."
    assert classify_error(200, reason, {}).next_step == step


def test_a_missing_scope_is_added_by_hand_because_the_manifest_may_not_have_it() -> None:
    error = classify_error(200, "missing_scope", {}, "users:read.email")
    added = "an operator should add it under OAuth & Permissions of the Slack app, then reinstall the app."
    assert error.next_step == f"It needs the scope `users:read.email`: {added}"
