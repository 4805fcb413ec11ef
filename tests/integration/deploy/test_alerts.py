"""The alert rules, by Prometheus' own tool."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from tests.prometheus import promtool

PROMETHEUS = Path(__file__).parents[3] / "deploy" / "prometheus"


def alerts() -> list[dict[str, Any]]:
    """All of them."""
    groups = yaml.safe_load((PROMETHEUS / "alerts.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def test_the_rules_and_the_example_are_what_prometheus_reads() -> None:
    """Without a warning."""
    checked = promtool("check", "rules", PROMETHEUS / "alerts.yml")
    promtool("check", "config", PROMETHEUS / "prometheus.yml")

    assert f"{len(alerts())} rules found" in checked


def test_each_alert_fires_when_it_should_and_only_then() -> None:
    """As their own tests say."""
    promtool("test", "rules", PROMETHEUS / "alerts_test.yml")


def test_each_alert_is_shown_to_fire_and_to_be_silent() -> None:
    """A test of each kind at the least."""
    text = (PROMETHEUS / "alerts_test.yml").read_text()
    blocks = yaml.safe_load(text)["tests"]

    shown = {"fires": set(), "silent": set()}
    for rule_test in (test for block in blocks for test in block["alert_rule_test"]):
        shown["fires" if rule_test["exp_alerts"] else "silent"].add(rule_test["alertname"])

    assert shown["fires"] == shown["silent"] == {alert["alert"] for alert in alerts()}


def test_each_alert_says_what_is_wrong_and_where_to_read_on() -> None:
    """One line, one sentence, and a section of the runbook; which has none that nobody is sent to."""
    sections = {
        title.lower(): title for title in re.findall(r"^## (\S+)$", (PROMETHEUS / "RUNBOOK.md").read_text(), re.M)
    }

    for alert in alerts():
        notes = alert["annotations"]
        assert notes["summary"]
        assert notes["description"].endswith(".")
        assert sections.pop(notes["runbook"].removeprefix("deploy/prometheus/RUNBOOK.md#")) == alert["alert"]
        assert alert["labels"]["severity"] in {"page", "ticket"}
    assert sections == {}
