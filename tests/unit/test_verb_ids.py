"""Ids as people paste them, and words that are none."""

from __future__ import annotations

import pytest

from zofbot.domain.text import read_input
from zofbot.errors import BadInput
from zofbot.slack.links import Links
from zofbot.verbs import Typed, parse

LINKS = Links(result_template="https://app.zof.ai/results/{result_id}")


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("<https://app.zof.ai/results/res_1>", Typed("result", id="res_1")),
        ("result <https://app.zof.ai/results/res_1?tab=logs>", Typed("result", id="res_1")),
        ("run <https://console.example/acme/runs/run_7|console.example/acme/runs/run_7>", Typed("run", id="run_7")),
        ("run <https://console.example/runs/run_7/results/abc-9>", Typed("result", id="abc-9")),
        ("why https://console.example/runs/run_7", Typed("why", id="run_7")),
        ("result \u200b`res_1`\u2060,", Typed("result", id="res_1")),
        ("`runs status:failed`", Typed("runs", filters="status:failed")),
        ("subscribe `project:checkout`", Typed("subscribe", filters="project:checkout")),
        ("--help", Typed("help")),
        ("result --help", Typed("help", about="result")),
        ("trace Zof returned no request id. Reference: `ref_0f3a`", Typed("trace", id="ref_0f3a")),
        ("trace Request ID: `req_1` Reference: `ref_2`", Typed("trace", id="req_1")),
        ("trace Zof was asked in vain. Request ID: req_1.", Typed("trace", id="req_1")),
    ],
)
def test_ids_are_found_in_what_was_pasted(typed: str, meant: Typed) -> None:
    assert parse(read_input(typed), LINKS.identify) == meant


@pytest.mark.parametrize("typed", ["ack", "list", "latest", "-x", "status", "result --all", "<https://example.com/about>",
                                   "cancel https://console.example/runs/run_7/results/res_1"])  # fmt: skip
def test_what_is_no_id_is_refused_before_zof_is_asked(typed: str) -> None:
    with pytest.raises(BadInput):
        parse(read_input(typed), LINKS.identify)
