"""Cards: complete, inside every limit of Slack's, and readable when half of it is missing."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zofbot.domain.command_parser import parse_command
from zofbot.domain.commands import VERBS
from zofbot.domain.errors import BadInput, ZofRejected, ZofUnavailable
from zofbot.domain.model import CaseCounts, Outcome, Result, Run
from zofbot.notifications import titles
from zofbot.simulator.blockkit.blocks import count_text, find_problems
from zofbot.simulator.blockkit.mentions import find_unescaped
from zofbot.slack.links import ZofLinks
from zofbot.slack.views import cards, outcomes, run_list
from zofbot.slack.views.blocks import MAX_MESSAGE_TEXT_CHARS, Block, Message, context_block
from zofbot.slack.views.replies import error_replies, help_replies, request_replies, share_replies
from zofbot.subscriptions.filter_errors import FILTER_EXAMPLES

LINKS = ZofLinks("https://app.zof.ai/runs/{run_id}", "https://app.zof.ai/results/{result_id}", ("zof.ai",))
NO_LINKS = ZofLinks()
NOW = datetime(2026, 6, 1, 8, 15, tzinfo=UTC)

WORDS = st.text(max_size=60) | st.sampled_from(
    ["<!channel>", "&" * 3000, "x" * 5000, "```\n<@U1>", "None", "a\nb", "\u202eabc", "<https://evil|good>"]
)
MAYBE = st.none() | WORDS
TIMES = st.none() | st.datetimes(datetime(1971, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))
SEEN: dict[str, Any] = {
    "id": WORDS.filter(bool), "outcome": st.sampled_from(Outcome), "status": MAYBE, "title": MAYBE, "project_id": MAYBE,
    "project_name": MAYBE, "environment": MAYBE, "duration": st.none() | st.floats(0, 1e7), "started": TIMES,
    "ended": TIMES, "created": TIMES, "url": MAYBE,
}  # fmt: skip
RESULTS = st.builds(
    Result, **SEEN, run_id=MAYBE, case_id=MAYBE, failure=MAYBE | st.just("é" * 30_000), logs=MAYBE, severity=MAYBE
)
NUMBERS = st.none() | st.integers(0, 10_000)
COUNTS = st.builds(CaseCounts, total=NUMBERS, passed=NUMBERS, failed=NUMBERS, error=NUMBERS, skipped=NUMBERS)
RUNS = st.builds(Run, **SEEN, counts=COUNTS)


def render_accepted(message: Message) -> str:
    """The whole message as text, after making sure that Slack would take it."""
    payload = message.message_fields()
    assert not find_problems(payload, "message")
    assert count_text(payload) <= MAX_MESSAGE_TEXT_CHARS
    said = json.dumps(payload, ensure_ascii=False)
    assert not find_unescaped(payload, ())
    assert "<!channel>" not in said
    assert payload["text"].strip()
    return said


@given(RESULTS, st.booleans(), MAYBE)
def test_any_result_makes_a_card_that_slack_takes(result: Result, share: bool, by: str | None) -> None:
    render_accepted(cards.result_card(result, LINKS, share=share, by=by or ""))


@given(RUNS, st.lists(RESULTS, max_size=14), st.integers(0, 20), st.booleans())
def test_any_run_makes_a_card_that_slack_takes(run: Run, bad: list[Result], start: int, more: bool) -> None:
    render_accepted(cards.run_card(run, bad, NO_LINKS, start=start, more=more))


FILTERS = st.sampled_from(["", "status:failed", "env:" + "x" * 4000, "project:`a`&b"])


@given(st.lists(RUNS, max_size=14), FILTERS, st.integers(0, 20), st.booleans())
def test_any_list_of_runs_is_one_that_slack_takes(runs: list[Run], filters: str, start: int, part: bool) -> None:
    render_accepted(run_list.runs_card(runs, filters, start=start, partial=part))


@pytest.mark.parametrize(
    ("partial", "sentence"),
    [(False, "No runs match `env:qa`."), (True, "None of the runs that were read match `env:qa`, but Zof has more.")],
)
def test_an_empty_list_of_runs_says_whether_all_were_read(partial: bool, sentence: str) -> None:
    card = run_list.runs_card([], "env:qa", partial=partial, hint="No project named `x`.")
    assert card.text.startswith(sentence)
    assert card.text.endswith("No project named `x`.")


@given(WORDS, WORDS, st.none() | WORDS.filter(bool))
def test_any_error_makes_an_answer_that_slack_takes(sentence: str, step: str, request: str | None) -> None:
    said = render_accepted(error_replies.error_reply(ZofRejected(sentence, step, request_id=request)))
    assert "Request ID: " in said or "Zof returned no request id" in said


FULL = Result(
    id="res_4821", outcome=Outcome.FAILED, status="failed", title="Guest checkout totals are right",
    project_id="proj_1",
    project_name="checkout", environment="staging", duration=102.0, started=NOW, ended=NOW, run_id="run_1001",
    case_id="tc_7", failure="expected 3\n  to equal 4", logs="https://logs.zof.ai/x", severity="critical",
)  # fmt: skip


def test_a_full_card_says_everything() -> None:
    said = render_accepted(cards.result_card(FULL, LINKS, share=True))
    for part in (
        "❌ Failed: Guest checkout totals are right (checkout, staging)", "`run_1001`", "`tc_7`", "1 min 42 s",
        "critical", "expected 3\\n  to equal 4", "`res_4821`", "https://app.zof.ai/results/res_4821",
        "https://logs.zof.ai/x", "Share to channel", "View run",
        "<!date^1780301700^finished ",
    ):  # fmt: skip
        assert part in said, part
    assert said.count("staging") == 3, "in the title, and in the text twice"
    assert cards.result_card(FULL, LINKS).message_fields()["text"] == (
        "Failed: Guest checkout totals are right (checkout, staging) · 1 min 42 s · res_4821"
    )


def test_a_card_of_nothing_but_an_id_leaves_the_rest_out() -> None:
    said = render_accepted(cards.result_card(Result(id="res_1"), LINKS))
    assert "None" not in said
    assert "Duration" not in said
    assert "Status unknown: Result res_1" in said


def test_an_unknown_status_is_shown_as_zof_says_it() -> None:
    said = render_accepted(cards.result_card(Result(id="res_1", status="half_baked"), NO_LINKS))
    assert "half_baked: Result res_1" in said


@pytest.mark.parametrize("outcome", Outcome)
def test_every_outcome_has_its_word_emoji_and_color(outcome: Outcome) -> None:
    payload = cards.result_card(Result(id="r", outcome=outcome, status=outcome.value), NO_LINKS).message_fields()
    look = outcomes.OUTCOME_STYLES[outcome]
    assert payload["attachments"][0]["color"] == look.color
    assert look.emoji in payload["blocks"][0]["text"]["text"]
    assert (look.word or outcome.value) in payload["blocks"][0]["text"]["text"]


def test_failed_and_error_read_differently() -> None:
    failed = render_accepted(cards.result_card(Result(id="r", outcome=Outcome.FAILED), NO_LINKS))
    error = render_accepted(cards.result_card(Result(id="r", outcome=Outcome.ERROR), NO_LINKS))
    assert "❌ Failed: Result r" in failed
    assert "⚠️ Error: Result r" in error
    assert "The platform failed" in error
    assert "The platform failed" not in failed


def test_the_actor_is_named_without_a_mention() -> None:
    said = render_accepted(cards.result_card(FULL, LINKS, by="ana"))
    assert "Shared by ana" in said
    assert "<@" not in said


def test_fifty_three_failures_are_paged() -> None:
    bad = [Result(id=f"res_{n}", outcome=Outcome.FAILED, title=f"case {n}") for n in range(53)]
    run = Run(id="run_1", outcome=Outcome.FAILED, counts=CaseCounts(total=60, passed=7, failed=53))
    first = render_accepted(cards.run_card(run, bad, NO_LINKS))
    assert "case 9*" in first
    assert "case 10*" not in first
    assert "and 43 more failed or errored cases" in first
    assert "Show 10 more" in first
    last = render_accepted(cards.run_card(run, bad, NO_LINKS, start=50))
    assert "51 to 53 of 53" in last
    assert "Show" not in last.replace("View this result", "")
    assert "Back" in last


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        (CaseCounts(total=10, passed=8, failed=2), "2 failed · 8 passed of 10"),
        (CaseCounts(total=14, passed=2, failed=8, error=4), "8 failed · 4 errored · 2 passed of 14"),
        (CaseCounts(total=1000, passed=998, error=1, skipped=1), "1 errored · 998 passed · 1 skipped of 1000"),
        (CaseCounts(passed=3), "3 passed"),
        (CaseCounts(total=10), "10 cases"),
        (CaseCounts(), ""),
    ],
)
def test_totals_are_numbers_worst_first(counts: CaseCounts, said: str) -> None:
    assert outcomes.format_counts(Run(id="run_1", counts=counts)) == said


@pytest.mark.parametrize(
    ("title", "project", "environment", "shown"),
    [
        ("checkout: cart on staging", "checkout", "staging", "cart (checkout, staging)"),
        ("Nightly", "checkout", "", "Nightly (checkout)"),
        ("Nightly", "", "", "Nightly"),
        ("checkout: ", "checkout", "", "checkout: (checkout)"),
        ("x" * 300, "p" * 99, "staging", f"{'x' * 81}… ({'p' * 23}…, staging)"),
        ("cart", "password=hunter2hunter2", "", "cart (password=[redacted])"),
    ],
)
def test_a_title_says_its_place_once(title: str, project: str, environment: str, shown: str) -> None:
    assert titles.format_title(title, project, environment) == shown
    assert (project[:50] in outcomes.format_long_place(project, environment)) is (len(project) > 24 or not project)


@pytest.mark.parametrize(
    "url",
    [
        "http://app.zof.ai/x", "https://zof.ai.evil.example/x", "https://evilzof.ai/x", "https://u:p@app.zof.ai/x",
        "javascript:alert(1)", "https://app.zof.ai/x|y", "https://app.zof.ai/x y", "https://[", "", None,
        "https://app.zof.ai\\@evil.example/",
    ],
)  # fmt: skip
def test_only_https_links_on_allowed_hosts_are_shown(url: str | None) -> None:
    assert NO_LINKS.allowed_url(url) == ""


def test_templates_are_filled_with_percent_encoded_ids() -> None:
    assert LINKS.run_url(Run(id="a/b?c")) == "https://app.zof.ai/runs/a%2Fb%3Fc"


def test_an_error_ends_with_the_request_id() -> None:
    payload = error_replies.error_reply(
        ZofUnavailable("Zof is busy.", "Try again in 42 s.", request_id="req_1")
    ).message_fields()
    assert payload["blocks"][-1]["elements"][-1]["text"] == "Request ID: `req_1`"
    assert payload["text"] == "Zof is busy. Try again in 42 s. Request ID: req_1"


def test_wrong_input_gets_an_example_to_copy_and_no_ids() -> None:
    error = BadInput("Which result?", "Copy an id.", example="/zof result res_1")
    said = render_accepted(error_replies.error_reply(error, "ref_0123456789"))
    assert "`/zof result res_1`" in said
    assert "request id" not in said.lower()
    assert "ref_" not in said


def test_a_mistyped_command_gets_one_line() -> None:
    with pytest.raises(BadInput) as caught:
        parse_command("resutl res_4821")
    assert error_replies.error_reply(caught.value, "ref_0123456789").text == (
        "Unknown command `resutl`. Did you mean `/zof result res_4821`?"
    )


def test_help_fits_a_screen_and_names_each_command_once() -> None:
    lines = [line for block in help_replies.all_commands_help().blocks if block["type"] == "section"
             for line in block["text"]["text"].splitlines()]  # fmt: skip
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 110
    named = [line.split()[1].strip("`") for line in lines if line.startswith("`")]
    assert sorted(named) == sorted(set(VERBS) - {"help"})


def test_help_explains_each_filter_with_an_example() -> None:
    said = render_accepted(help_replies.command_help(VERBS["subscribe"]))
    assert list(help_replies.FILTER_EXPLANATIONS) == list(FILTER_EXAMPLES)
    for name in FILTER_EXAMPLES:
        assert f"`{name}:" in said, name


@pytest.mark.parametrize(
    "message",
    [
        help_replies.all_commands_help(),
        *map(help_replies.command_help, VERBS.values()),
        request_replies.still_working_reply(),
        error_replies.unexpected_error_reply("ref_1"),
        share_replies.shared_reply("https://x.example/1"),
        share_replies.shared_reply(""),
        share_replies.already_shared_reply("ana", 3, "https://x.example/1"),
        share_replies.share_running_reply(""),
    ],
)
def test_every_other_answer_is_one_that_slack_takes(message: Message) -> None:
    render_accepted(message)


def test_a_message_of_too_many_blocks_keeps_the_first_fifty() -> None:
    rows: list[Block] = [context_block(str(number)) for number in range(80)]
    payload = Message("many", rows[:10], "#000000", rows).message_fields()
    render_accepted(Message("many", rows[:10], "#000000", rows))
    assert len(payload["blocks"]) + len(payload["attachments"][0]["blocks"]) == 50
