"""Dashboards and alerts speak of metrics that exist, in words for the person on duty."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import REGISTRY

import broadcast.api
import broadcast.app
import broadcast.bulletins.prepare_worker
import broadcast.delivery.dispatcher
import broadcast.ingest.worker  # noqa: F401  all roles register their metrics
from broadcast.config import Role
from broadcast.doctor import FILES

ROOT = Path(__file__).parents[2]
DASHBOARD = json.loads((ROOT / "deploy/grafana/dashboard.json").read_text())
ALERTS = yaml.safe_load((ROOT / "deploy/prometheus/alerts.yml").read_text())
SCRAPE = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text())
OPERATIONS = (ROOT / "docs/operations.md").read_text()

RULES = [rule for group in ALERTS["groups"] for rule in group["rules"]]
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
SUFFIXES = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"], "gauge": [""]}
ACCENTED = re.compile(r"[àáâãèéêìíòóôõùúýăđĩũơưạ-ỹ]", re.IGNORECASE)


def samples() -> dict[str, set[str]]:
    """Name of every sample that our code can export → its labels."""
    found = {}
    for collector in set(REGISTRY._names_to_collectors.values()):
        labels = set(getattr(collector, "_labelnames", ()))
        for family in collector.describe() if hasattr(collector, "describe") else ():
            for suffix in SUFFIXES.get(family.type, [""]):
                found[family.name + suffix] = labels | ({"le"} if suffix == "_bucket" else set())
    return found


SAMPLES = samples()
NAME = re.compile(r"\b((?:broadcast|process)_[a-z0-9_]+)(\{[^}]*\})?")


def expressions() -> Iterator[tuple[str, str]]:
    for rule in RULES:
        yield rule["alert"], rule["expr"]
    for panel in PANELS:
        for target in panel["targets"]:
            yield panel["title"], target["expr"]


@pytest.mark.parametrize(("where", "expression"), list(expressions()))
def test_every_metric_exists_with_its_labels(where: str, expression: str) -> None:
    named = NAME.findall(expression)
    assert named or expression.startswith("up{"), where
    for name, selector in named:
        if name.startswith("process_"):
            continue
        assert name in SAMPLES, f"{where}: no metric {name}"
        asked = set(re.findall(r"(\w+)=", selector))
        assert asked <= SAMPLES[name], f"{where}: {name} has no label {asked - SAMPLES[name]}"
    for grouped in re.findall(r"by \(([^)]*)\)", expression):
        known = set().union(*(SAMPLES.get(name, set()) for name, _ in named))
        assert {label.strip() for label in grouped.split(",")} <= known, where


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_a_legend_names_labels_that_the_expression_leaves(panel: dict[str, Any]) -> None:
    for target in panel["targets"]:
        for label in re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]):
            grouped = re.findall(r"by \(([^)]*)\)", target["expr"])
            left = {name.strip() for group in grouped for name in group.split(",")}
            assert label in left | {"instance"}, f"{panel['title']}: {label}"


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_is_for_a_person(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in {"critical", "warning"}
    for text in (rule["annotations"]["summary"], rule["annotations"]["description"]):
        assert ACCENTED.search(text), text
    assert f"| `{rule['alert']}` |" in OPERATIONS, "docs/operations.md has no line in its runbook"


def test_alerts_and_panels_have_names_of_their_own() -> None:
    names = [rule["alert"] for rule in RULES]
    assert len(names) == len(set(names)) > 10
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    places = [tuple(panel["gridPos"].values()) for panel in DASHBOARD["panels"]]
    assert len(places) == len(set(places))


def test_the_scrape_example_loads_the_alerts() -> None:
    assert SCRAPE["rule_files"] == ["alerts.yml"]
    (job,) = SCRAPE["scrape_configs"]
    assert job["job_name"] == "broadcast"


def test_an_alert_names_the_process_that_is_missing() -> None:
    """A target that is down has no labels but those of the scrape configuration."""
    groups = SCRAPE["scrape_configs"][0]["static_configs"]
    assert all(len(group["targets"]) == 1 and group["labels"]["unit"] for group in groups)
    (down,) = (rule for rule in RULES if rule["alert"] == "BroadcastDown")
    assert "{{ $labels.unit }}" in down["annotations"]["summary"]
    service = (ROOT / "deploy/systemd/broadcast-ingest@.service").read_text()
    (port,) = re.findall(r"BROADCAST_METRICS__PORT=(\d+)%i$", service, re.MULTILINE)
    assert all(1024 <= int(f"{port}{worker}") < 32768 for worker in range(1, 100))
    example = (ROOT / "deploy/prometheus/prometheus.yml").read_text()
    assert f'"127.0.0.1:{port}2"' in example


SERVICES = (ROOT / "deploy/systemd").glob("broadcast-*.service")
UNITS = sorted(unit for unit in SERVICES if "--role" in unit.read_text())


def test_every_role_has_a_unit_with_a_port_of_its_own_and_files_enough() -> None:
    roles, ports = [], []
    for unit in UNITS:
        text = unit.read_text()
        roles += re.findall(r"--role (\w+)", text)
        ports += re.findall(r"^Environment=BROADCAST_METRICS__PORT=(\S+)$", text, re.MULTILINE)
        assert f"LimitNOFILE={FILES}" in text
        assert "PartOf=broadcast.target" in text
        assert "EnvironmentFile" not in text, "the program reads it; two readers would disagree"
    assert sorted(roles) == sorted(Role)
    assert len(set(ports)) == len(ports) == len(UNITS)
    targets = {group["targets"][0] for group in SCRAPE["scrape_configs"][0]["static_configs"]}
    assert targets == {f"127.0.0.1:{port.replace('%i', '1')}" for port in ports}
    drop_in = (ROOT / "deploy/systemd/mosquitto.service.d/limits.conf").read_text()
    assert f"LimitNOFILE={FILES}" in drop_in


def test_operations_names_only_metrics_that_exist() -> None:
    for name in set(re.findall(r"`(broadcast_[a-z0-9_]+)", OPERATIONS)):
        assert {name, f"{name}_total", f"{name}_count"} & SAMPLES.keys(), name
