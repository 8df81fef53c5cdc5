"""The disputes desk keeps its properties, and every seeded fault is found with a shortest conversation that shows it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from constrained.analysis.prover.proofs import prove
from constrained.analysis.prover.properties import read_properties
from constrained.packs import load_policy_file
from constrained.quality.golden import run_golden
from tests.analysis.bank_faults import FAULTS
from tests.strategies import ROOT

LOGIC = ROOT / "logic" / "bank_disputes.py"
DECLARED = read_properties(ROOT / "properties" / "bank_disputes.py")
SMALL = replace(
    DECLARED.scope, starts=tuple(one for one in DECLARED.scope.starts if not one.keys() & {"complaint_on", "stopped_merchants"})
)
FAILING = ("effects_can_run", "no_turn_fails")  # the last turn of their conversations cannot be taken to its end


QUICK = replace(SMALL, starts=tuple(one for one in SMALL.starts if len(one.get("transactions", ())) < 2))


def test_the_desk_as_it_is_breaks_nothing():
    proof = prove(load_policy_file(LOGIC), DECLARED.properties, QUICK, source=DECLARED.text)
    statuses = {one.name: one.status for one in proof.verdicts}
    statuses.pop("no_dead_response")  # some take a customer with two payments: ``constrained prove`` starts with those as well
    assert set(statuses.values()) == {"proved"}
    assert len({one.says for one in DECLARED.properties}) >= 15
    assert proof.explored.is_closed


def test_there_are_at_least_twenty_faults():
    assert len({fault.name for fault in FAULTS}) == len(FAULTS) >= 20


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_seeded_fault_is_found_with_its_shortest_conversation(fault, tmp_path):
    source = LOGIC.read_text(encoding="utf-8")
    for old, new in fault.edits:
        assert source.count(old) == 1, old
        source = source.replace(old, new)
    (tmp_path / "logic").mkdir()
    path = tmp_path / "logic" / "bank_disputes.py"
    path.write_text(source, encoding="utf-8")
    policy = load_policy_file(path)
    properties = [one for one in DECLARED.properties if one.name in fault.broken]
    proof = prove(policy, properties, SMALL, most_points=fault.most_points)
    broken = {one.name: one for one in proof.violated}
    assert set(fault.broken) <= set(broken), sorted(broken)
    for name in fault.broken:
        dialogue = broken[name].dialogue
        assert dialogue is not None
        results = list(run_golden(policy, dialogue))
        assert len(results) == len(dialogue.turns)
        kept = results[:-1] if name in FAILING else results
        assert [problem for result in kept for problem in result.problems] == []
        assert name not in FAILING or results[-1].problems
