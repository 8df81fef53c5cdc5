"""A flow graph becomes a procedure that admits what follows the graph, and says why it does not admit the rest."""

from __future__ import annotations

import pytest

from benchmarks.star_flows import POLITE, Replays, Task, imported

GRAPH = {
    **{"hello": "ask_name", "ask_name": "shop_ask_size", "shop_ask_size": "query_check", "available": "shop_ask_confirm_booking"},
    **{
        "unavailable": "shop_unavailable",
        "yes": "query_book",
        "no": "shop_ask_size",
        "query_book": "shop_done",
        "shop_done": "anything_else",
    },
}
STEPS = ("hello", "ask_name", "shop_ask_size", "shop_ask_confirm_booking", "shop_unavailable", "shop_done")
TASK = Task("shop_book", {**POLITE, "out_of_scope": "What?", **{name: f"This is {name}." for name in STEPS}}, GRAPH)


@pytest.fixture(scope="module")
def policy(tmp_path_factory):
    return imported(TASK, tmp_path_factory.mktemp("star"))


@pytest.mark.parametrize(
    ("picks", "strict", "lenient"),
    [
        ("hello ask_name ask_size ask_confirm_booking done anything_else goodbye_1", "", ""),
        ("hello ask_name ask_size unavailable", "", ""),
        ("hello ask_name out_of_scope ask_size goodbye_2", "", ""),
        ("hello ask_name ask_size ask_confirm_booking ask_size ask_confirm_booking done", "", ""),
        ("ask_name ask_confirm_booking done", "said before its turn", ""),
        ("hello ask_size ask_name", "said before its turn", "said before its turn"),
        ("hello ask_name ask_name", "said again", "said again"),
        ("hello rating", "said what the graph does not hold", "said what the graph does not hold"),
    ],
)
def test_what_a_graph_admits(policy, picks, strict, lenient):
    assert Replays(policy, TASK, False).refused(picks.split()) == strict
    assert Replays(policy, TASK, True).refused(picks.split()) == lenient


def test_an_imported_procedure_can_be_explored(policy):
    from constrained.analysis.prover.proofs import prove
    from constrained.analysis.prover.properties import before, scope

    proof = prove(policy, [before("ask_name", "shop_done").named("named")], scope(heard={"given": ["x"]}), most_points=300)
    assert {one.name: one.status for one in proof.verdicts}["named"] == "violated"  # a known name is passed over
