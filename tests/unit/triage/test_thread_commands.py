"""What a mention of the bot means: a word for the alert, or a verb of the slash command with all that follows it."""

from __future__ import annotations

import pytest

from zofbot.domain.command_parser import ParsedCommand, parse_command
from zofbot.domain.commands import VERBS
from zofbot.domain.errors import BadInput
from zofbot.slack.links import ZofLinks
from zofbot.triage import Action
from zofbot.triage.thread_commands import ACTION_WORDS, ThreadCommand, parse_thread_command

BOT = "U0ZOFBOT"
LINKS = ZofLinks(result_template="https://app.zof.ai/results/{result_id}")


def parse_mention(words: str) -> ThreadCommand:
    return parse_thread_command(f"<@{BOT}> {words}", BOT, LINKS.identify_target)


@pytest.mark.parametrize("verb", VERBS.values(), ids=lambda verb: verb.name)
def test_every_example_means_what_it_means_as_a_slash_command(verb: object) -> None:
    example = verb.example  # type: ignore[attr-defined]  # pytest hands it over untyped
    for typed in (example, f"`{example}`", example.upper() if example.isalpha() else example):
        assert parse_command(parse_mention(typed).slash_command) == parse_command(example), typed


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("res_4821", ParsedCommand("result", id="res_4821")),
        ("res_4821 share", ParsedCommand("result", id="res_4821", share=True)),
        ("run_1001?", ParsedCommand("run", id="run_1001")),
        ("<https://app.zof.ai/results/res_4821>", ParsedCommand("result", id="res_4821")),
        ("<https://console.example/runs/run_7|console.example/runs/run_7>", ParsedCommand("run", id="run_7")),
        ("run <https://console.example/runs/run_7>", ParsedCommand("run", id="run_7")),
        ("result res_4821 share!", ParsedCommand("result", id="res_4821", share=True)),
        ('subscribe case:"a b" mention:<@U0BEN>', ParsedCommand("subscribe", filters='case:"a b" mention:<@U0BEN>')),
        ("subscribe escalate:15m-&gt;<@U0BEN>", ParsedCommand("subscribe", filters="escalate:15m-><@U0BEN>")),
        ("`mute env:qa 2h moving.`", ParsedCommand("mute", filters="env:qa 2h moving.")),
        ("runs\nstatus:failed", ParsedCommand("runs", filters="status:failed")),
        ("runs env:staging!", ParsedCommand("runs", filters="env:staging")),
        ("subscribe project:checkout env:staging.", ParsedCommand("subscribe", filters="project:checkout env:staging")),
        ("unmute all.", ParsedCommand("unmute", filters="all")),
        ("unmute 1!", ParsedCommand("unmute", filters="1")),
        ("/zof runs env:staging", ParsedCommand("runs", filters="env:staging")),
        ("please run run_7", ParsedCommand("run", id="run_7")),
        ("why run_1001?", ParsedCommand("why", id="run_1001")),
        ("triage mine.", ParsedCommand("triage", about="mine")),
        ("--help runs", ParsedCommand("help", about="runs")),
        ("result --help", ParsedCommand("help", about="result")),
        ("—help runs", ParsedCommand("help", about="runs")),
    ],
)  # fmt: skip
def test_what_follows_a_mention_is_read_as_a_slash_command(typed: str, meant: ParsedCommand) -> None:
    assert parse_command(parse_mention(typed).slash_command, LINKS.identify_target) == meant


@pytest.mark.parametrize(
    "typed", ["help", "help ack", "-h", "—help", "?", "", "help snooze?", "help me please", "help nothing"]
)
def test_help_on_the_words_of_a_thread_lists_them(typed: str) -> None:
    assert parse_mention(typed) == ThreadCommand(question="help")


@pytest.mark.parametrize("asked", ["help", "--help", "-h", "HELP!", "`--help`", "—help", "–help", "–h", "-help"])
def test_help_alone_after_a_word_explains_it_and_does_not_act(asked: str) -> None:
    for word in ACTION_WORDS:
        about = word if word in VERBS else ""
        assert parse_mention(f"{word} {asked}") == ThreadCommand(question="help", rest=about), word
    for verb in VERBS:
        assert parse_command(parse_mention(f"{verb} {asked}").slash_command) == parse_command(f"{verb} help"), verb


@pytest.mark.parametrize(
    ("typed", "named"),
    [("why", False), ("why?", False), ("why was this posted", False), ("why run_1001", True),
     ("why did 2 cases fail?", False), ("why is run_1001 red", False), ("why was this posted in qa-2", False),
     ("why https://console.example/runs/abc", True)],
)  # fmt: skip
def test_an_id_after_why_is_noticed(typed: str, named: bool) -> None:
    assert parse_mention(typed).names_id is named


@pytest.mark.parametrize(
    ("typed", "near"),
    [
        ("acknowlege", "acknowledge"),
        ("snooze2h", "snooze"),
        ("resutl res_1", "result"),
        ("subscirbe env:qa", "subscribe"),
        ("subscripions", "subscriptions"),
        ("handovr 8h", "handover"),
        ("casues", "causes"),
        ("digset", "digest"),
        ("trase ref_1", "trace"),
    ],
)
def test_a_mistyped_word_gets_the_nearest_of_all_words(typed: str, near: str) -> None:
    with pytest.raises(BadInput) as caught:
        parse_mention(typed)
    assert caught.value.next_step == f"Did you mean `{near}`?"
    assert caught.value.verb == near
    rest = typed.partition(" ")[2]
    assert caught.value.example == f"@zofbot {near} {rest}".strip()


@pytest.mark.parametrize(
    "typed", ["hello", "what is failing right now", "thanks a lot", "résumé", "<https://a.example>"]
)
def test_other_words_lead_to_the_help(typed: str) -> None:
    with pytest.raises(BadInput) as caught:
        parse_mention(typed)
    assert caught.value.next_step == "`@zofbot help` lists all commands."
    assert caught.value.verb == ""


@pytest.mark.parametrize(
    "typed",
    ["still failing?", "release 2.3 broke this", "take a look", "mine says it works", "still failing, sorry",
     "release - 2.3 - thanks", "mine and it's :eyes: on this", "take <@U0BEN>, please", "still :2.3:"],
)  # fmt: skip
def test_a_sentence_that_begins_with_the_word_for_an_action_is_none(typed: str) -> None:
    with pytest.raises(BadInput) as caught:
        parse_mention(typed)
    assert "alone or with `it`" in caught.value.sentence
    assert caught.value.example == f"@zofbot {typed.split(maxsplit=1)[0]}"


@pytest.mark.parametrize(
    ("typed", "act"),
    [
        ("please ack", Action.ACKNOWLEDGE),
        ("ack, looking into it", Action.ACKNOWLEDGE),
        ("take over please", Action.ACKNOWLEDGE),
        ("take it, please", Action.ACKNOWLEDGE),
        ("take _this_, thanks", Action.ACKNOWLEDGE),
        ("mine :eyes:", Action.ACKNOWLEDGE),
        ("mine 👀", Action.ACKNOWLEDGE),
        ("mine, thx", Action.ACKNOWLEDGE),
        ("release it", Action.UNACKNOWLEDGE),
        ("release it - thanks", Action.UNACKNOWLEDGE),
        ("still on it!", Action.CONFIRM),
        ("still on it, sorry", Action.CONFIRM),
        ("still on it :+1::skin-tone-3:", Action.CONFIRM),
        ("close product: fixed in 2.3", Action.RESOLVE),
    ],
)
def test_an_action_is_taken_with_the_words_that_people_put_around_it(typed: str, act: Action) -> None:
    assert parse_mention(typed).act is act


@pytest.mark.parametrize(
    ("text", "act"),
    [
        (f"&gt; <@{BOT}> ack\nwho did that? <@{BOT}> unack", Action.UNACKNOWLEDGE),
        (f"<@{BOT}> resolve flaky: as they said\n&gt; it is flaky", Action.RESOLVE),
        (f"<@{BOT}> ack\n&gt;&gt;&gt; a\n<@{BOT}> undo", Action.ACKNOWLEDGE),
    ],
)
def test_what_a_message_quotes_is_not_read(text: str, act: Action) -> None:
    command = parse_thread_command(text, BOT)
    assert command.act is act
    assert "it is flaky" not in command.rest


def test_the_words_of_a_thread_win() -> None:
    assert parse_mention("snooze until it fails 5 more times").act is Action.SNOOZE
    assert parse_mention("still on it").act is Action.CONFIRM
