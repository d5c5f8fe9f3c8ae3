"""Dashboard and alert rules: they speak of metrics that there are, and fire when they should."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from functools import cache
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from tests.support.paths import ROOT
from zofbot.clock import Clock
from zofbot.delivery.outcome_labels import known_causes
from zofbot.observability.metrics import Metrics

DOCS = ROOT / "docs"
RULES = [rule for group in yaml.safe_load((DOCS / "alerts.yml").read_text())["groups"] for rule in group["rules"]]
DASHBOARD = json.loads((DOCS / "grafana.json").read_text())
TARGETS = [(panel["title"], target["expr"]) for panel in DASHBOARD["panels"] for target in panel["targets"]]

needs_promtool = pytest.mark.skipif(
    not shutil.which("promtool"), reason="promtool is missing: apt-get install prometheus"
)


@cache
def sample_series() -> dict[str, list[dict[str, str]]]:
    """Every series that there is, by the name of its samples."""
    metrics = Metrics(Clock())
    for labels in known_causes():
        metrics.notifications.labels(*labels)
    there: dict[str, list[dict[str, str]]] = {}
    for family in text_string_to_metric_families(metrics.render_text().decode()):
        for sample in family.samples:
            there.setdefault(sample.name, []).append(sample.labels)
    return there


@pytest.mark.parametrize("expr", [rule["expr"] for rule in RULES] + [expr for _, expr in TARGETS])
def test_every_series_named_is_one(expr: str) -> None:
    there = sample_series()
    selectors = re.findall(r"\b((?:zofbot|process)_\w+)(?:\{([^}]*)\})?", expr)
    assert selectors
    for name, matchers in selectors:
        assert name in there, name
        for label, sign, value in re.findall(r'(\w+)(=~?)"([^"]*)"', matchers):
            values = {labels.get(label) for labels in there[name]}
            wanted = value.split("|") if sign == "=~" else [value]
            assert set(wanted) <= values, f"{name}: no {label} is {value}"


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_every_rule_says_what_to_do(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in {"page", "ticket"}
    assert rule["annotations"]["summary"].endswith(".")
    assert len(rule["annotations"]["runbook"]) > 30


def test_every_rule_is_tried() -> None:
    tried = (DOCS / "alerts_test.yml").read_text()
    assert [rule["alert"] for rule in RULES if f'alertname="{rule["alert"]}"' not in tried] == []


def test_panels_do_not_lie_on_each_other() -> None:
    corners = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in DASHBOARD["panels"]]
    assert len(set(corners)) == len(corners)


@needs_promtool
@pytest.mark.parametrize("asked", [("check", "rules", "alerts.yml"), ("test", "rules", "alerts_test.yml")])
def test_promtool_agrees(asked: tuple[str, ...]) -> None:
    found = subprocess.run(["promtool", *asked], cwd=DOCS, capture_output=True, text=True, check=False, timeout=60)
    assert found.returncode == 0, found.stdout + found.stderr
