"""The clinic and the tavern keep their properties, as far as a short exploration sees; a seeded fault in each is found."""

from __future__ import annotations

import pytest

from constrained.analysis.prover.proofs import prove
from constrained.analysis.prover.properties import read_properties
from constrained.packs import load_policy_file
from tests.strategies import ROOT

FAULTS = {
    "clinic_booking": ("    if heard.emergency or heard.crisis:\n        return\n", "", "alarm_comes_first"),
    "tavern": ("offer >= KEY_FLOOR and", "offer >= KEY_INSULT and", "key_is_paid"),
}


def declared(pack):
    return read_properties(ROOT / "properties" / f"{pack}.py")


@pytest.mark.parametrize(("pack", "n_properties", "most"), [("clinic_booking", 15, 1_500), ("tavern", 8, 5_000)])
def test_nothing_is_violated(pack, n_properties, most):
    found = declared(pack)
    proof = prove(load_policy_file(ROOT / "logic" / f"{pack}.py"), found.properties, found.scope, source=found.text, most_points=most)
    assert [one.name for one in proof.violated] == []
    assert {one.status for one in proof.verdicts} <= {"proved", "held", "open"}
    assert len({one.says for one in found.properties}) >= n_properties


@pytest.mark.parametrize("pack", FAULTS)
def test_a_seeded_fault_is_found(pack, tmp_path):
    old, new, name = FAULTS[pack]
    source = (ROOT / "logic" / f"{pack}.py").read_text(encoding="utf-8")
    assert source.count(old) == 1
    (tmp_path / "logic").mkdir()
    path = tmp_path / "logic" / f"{pack}.py"
    path.write_text(source.replace(old, new), encoding="utf-8")
    found = declared(pack)
    proof = prove(load_policy_file(path), [one for one in found.properties if one.name == name], found.scope, most_points=1_500)
    assert [one.name for one in proof.violated if not one.is_built_in] == [name]
