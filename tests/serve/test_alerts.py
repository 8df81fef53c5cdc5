"""Alert rules: every metric, label and bucket in them is one that a server exports; limits come from the log or say that they do not."""

from __future__ import annotations

import re

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from constrained.serve.alerts import DEFAULTS, Limit, alert_rules
from tests.serve.conftest import turn

DEFAULT = Limit.of("fallback", None, "")
LASTING = re.compile(r"\d+[smhd]")


def rules_of(**limits):
    text = alert_rules(**{"fallback": DEFAULT, "hand_over": DEFAULT, "low": DEFAULT, **limits})
    (group,) = yaml.safe_load(text)["groups"]
    assert group["name"] == "constrained"
    return group["rules"]


def test_what_the_rules_ask_for_is_exported(start):
    from constrained.testing import ScriptedEngine

    client = start({"scripted": ScriptedEngine({"good day": {"reply": "welcome"}})})
    turn(client, "good day")
    client.post("/v1/turns", json={"pack": "nothing", "message": "hello"})
    service = client.app.state.service
    service.telemetry.count_refusal("busy")
    families = list(text_string_to_metric_families(service.telemetry.exposition()[0].decode()))
    samples = [sample for family in families for sample in family.samples]
    exported = {sample.name for sample in samples}
    labels = {}
    for sample in samples:
        labels.setdefault(sample.name, set()).update(sample.labels)
    edges = {sample.labels["le"] for sample in samples if sample.name == "constrained_best_probability_bucket"}
    for rule in rules_of():
        for name, chosen in re.findall(r"(constrained_\w+)\{(\w+)=", rule["expr"]):
            assert name in exported, rule["alert"]
            assert chosen in labels[name], rule["alert"]
        assert set(re.findall(r"constrained_\w+", rule["expr"])) <= exported, rule["alert"]
        assert set(re.findall(r'le="([\d.]+)"', rule["expr"])) <= edges
        for grouped in re.findall(r"by \(([\w, ]+)\) \(\w+\((constrained_\w+)", rule["expr"]):
            assert set(grouped[0].split(", ")) <= labels[grouped[1]], rule["alert"]


def test_the_form_is_promtool_s():
    names = [rule["alert"] for rule in rules_of()]
    assert len(set(names)) == len(names) == 7
    for rule in rules_of():
        assert set(rule) == {"alert", "expr", "for", "labels", "annotations"}
        assert LASTING.fullmatch(rule["for"])
        assert rule["expr"].count("(") == rule["expr"].count(")")
        assert re.search(r" > [\d.]+$", rule["expr"])
        assert set(rule["labels"]) == {"severity"}
        assert all(isinstance(value, str) and value for value in rule["annotations"].values())


@given(st.floats(0, 1))
@settings(max_examples=30)
def test_a_limit_is_twice_what_was_measured_within_bounds(upper):
    limit = Limit.of("low", upper, "3 of 100")
    assert 0.01 <= limit.share <= 0.9
    assert limit.share == pytest.approx(min(0.9, max(0.01, 2 * upper)), abs=1e-4)
    (rule,) = [one for one in rules_of(low=limit) if one["alert"] == "ConstrainedLowProbability"]
    assert rule["expr"].endswith(f" > {limit.share:g}")
    assert "3 of 100" in rule["annotations"]["basis"]


def test_a_limit_that_was_not_measured_says_so():
    assert Limit.of("hand_over", None, "x") == Limit(DEFAULTS["hand_over"], "a default of the library: not measured")


def test_unsigned_records_are_counted(start, tmp_path):
    client = start(log=str(tmp_path / "log.jsonl"))
    turn(client)
    text = client.app.state.service.telemetry.exposition()[0].decode()
    assert "constrained_unsigned_records 1.0" in text
