"""Ids as people paste them, and words that are none."""

from __future__ import annotations

import pytest

from zofbot.domain.command_parser import ParsedCommand, parse_command
from zofbot.domain.errors import BadInput
from zofbot.domain.text import read_input
from zofbot.slack.links import ZofLinks

LINKS = ZofLinks("https://console.example/open?org=acme&run={run_id}", "https://app.zof.ai/results/{result_id}")


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("<https://app.zof.ai/results/res_1>", ParsedCommand("result", id="res_1")),
        ("result <https://app.zof.ai/results/res_1?tab=logs>", ParsedCommand("result", id="res_1")),
        (
            "run <https://console.example/acme/runs/run_7|console.example/acme/runs/run_7>",
            ParsedCommand("run", id="run_7"),
        ),
        ("run <https://console.example/open?org=acme&amp;run=run_7>", ParsedCommand("run", id="run_7")),
        ("why https://console.example/open?org=acme&amp;run=run_7", ParsedCommand("why", id="run_7")),
        ("run <https://console.example/runs/run_7/results/abc-9>", ParsedCommand("result", id="abc-9")),
        ("why https://console.example/runs/run_7", ParsedCommand("why", id="run_7")),
        ("result \u200b`res_1`\u2060,", ParsedCommand("result", id="res_1")),
        ("`runs status:failed`", ParsedCommand("runs", filters="status:failed")),
        ("subscribe `project:checkout`", ParsedCommand("subscribe", filters="project:checkout")),
        ("--help", ParsedCommand("help")),
        ("result --help", ParsedCommand("help", about="result")),
        ("—help", ParsedCommand("help")),
        ("result —help", ParsedCommand("help", about="result")),
        ("mute –help", ParsedCommand("help", about="mute")),
        ("mute -H", ParsedCommand("help", about="mute")),
        ("trace Zof returned no request id. Reference: `ref_0f3a`", ParsedCommand("trace", id="ref_0f3a")),
        ("trace Request ID: `req_1` Reference: `ref_2`", ParsedCommand("trace", id="req_1")),
        ("trace Zof was asked in vain. Request ID: req_1.", ParsedCommand("trace", id="req_1")),
    ],
)
def test_ids_are_found_in_what_was_pasted(typed: str, meant: ParsedCommand) -> None:
    assert parse_command(read_input(typed), LINKS.identify_target) == meant


@pytest.mark.parametrize("typed", ["ack", "list", "latest", "-x", "status", "result --all", "<https://example.com/about>",
                                   "cancel https://console.example/runs/run_7/results/res_1"])  # fmt: skip
def test_what_is_no_id_is_refused_before_zof_is_asked(typed: str) -> None:
    with pytest.raises(BadInput):
        parse_command(read_input(typed), LINKS.identify_target)
