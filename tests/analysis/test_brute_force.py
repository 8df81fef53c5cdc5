"""The prover against brute force on small policies and procedures: the same verdicts, counterexamples of the same length."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st

from constrained.analysis.prover.proofs import Proof, Verdict, prove
from constrained.analysis.prover.properties import always, before, eventually, never_after, scope
from constrained.analysis.prover.watch import StateWatch
from constrained.logic.state import State
from constrained.quality.golden import run_golden
from tests.analysis.small import HEAD, IDS, Brute, loaded, policies, procedures

EVENTS = (*IDS, "turn_a", "set_b", "count", "step")
_pairs = st.tuples(st.sampled_from(EVENTS), st.sampled_from(EVENTS)).filter(lambda pair: pair[0] != pair[1])
_settings = settings(  # the same examples each time: about one run in some twenty finds a witness that goes through a failing turn
    max_examples=40, deadline=None, phases=[Phase.explicit, Phase.generate], suppress_health_check=list(HealthCheck), derandomize=True
)


def events(step):
    return (*step.said, *step.done)


def expected(brute: Brute, kind: str, first: str, then: str) -> int | None:
    """Length of a shortest counterexample by brute force."""

    def before_rule(mode, step):
        names = events(step)
        if then in names and (first not in names or names.index(then) < names.index(first)):
            return "bad"
        return "stop" if first in names else mode

    def never_rule(mode, step):
        names = events(step)
        if then in names and (mode or (first in names and names.index(first) < names.index(then))):
            return "bad"
        return 1 if mode or first in names else 0

    return brute.shortest(before_rule if kind == "before" else never_rule)


def verdict(proof: Proof, name: str) -> Verdict:
    return next(one for one in proof.verdicts if one.name == name)


def agrees(found: Verdict, length: int | None, is_sound: bool) -> None:
    if length is None:
        assert found.status in ("held", "proved")
        assert (found.status == "proved") == is_sound
    else:
        assert found.status == "violated"
        assert len(found.dialogue.turns) == length


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("packs")


@pytest.mark.parametrize("sources", [policies, procedures], ids=["policies", "procedures"])
def test_the_prover_agrees_with_brute_force(sources, folder):
    @_settings
    @given(sources, _pairs, st.sampled_from(EVENTS), st.integers(1, 3))
    def agree(source, pair, wanted, within):
        policy = loaded(folder, source)
        assume(policy is not None)
        brute = Brute(policy, policy.state_type.default(), most=400)
        assume(brute.is_closed)
        first, then = pair
        properties = (
            before(first, then).named("before"),
            never_after(first, then).named("never"),
            always(lambda turn: not (turn.before.a and turn.after.b)).named("always"),
            always(lambda turn: not turn.heard.x or turn.before.n < 2, on=wanted).named("hearing"),
            always(lambda turn: len(turn.options) < 4).named("options"),
            eventually(wanted, within=within).named("eventually"),
        )
        proof = prove(policy, properties)
        assert proof.explored.is_closed
        assert proof.explored.n_points == len(brute.steps)
        failing = brute.failing()
        is_sound = failing is None
        known = {one.id for one in policy.catalog.responses.values()} | {
            name for row in brute.steps.values() for one in row for name in one.done
        }
        if {first, then} <= known:
            agrees(verdict(proof, "before"), expected(brute, "before", first, then), is_sound)
            agrees(verdict(proof, "never"), expected(brute, "never", first, then), is_sound)
        states = {node: state for node, (state, _) in brute.keys.items()}
        agrees(
            verdict(proof, "always"),
            brute.shortest(lambda mode, step: "bad" if states[step.before].a and states[step.after].b else 0),
            is_sound,
        )
        if wanted in known:
            heard = brute.shortest(
                lambda mode, step: "bad" if wanted in events(step) and step.heard.x and states[step.before].n == 2 else 0
            )
            agrees(verdict(proof, "hearing"), heard, is_sound)
            assert (verdict(proof, "eventually").status == "violated") == far(brute, wanted, within)
        agrees(verdict(proof, "options"), brute.shortest(lambda mode, step: "bad" if step.n_options >= 4 else 0), is_sound)
        worst = [one for one in proof.verdicts if one.name in ("effects_can_run", "no_turn_fails", "obligations_can_be_said")]
        assert any(one.status == "violated" for one in worst) == (failing is not None)
        if failing is not None:
            assert min(len(one.dialogue.turns) for one in worst if one.dialogue) == failing
        replayed(policy, proof)

    agree()


def far(brute: Brute, wanted: str, within: int) -> bool:
    """Whether some conversation that has not come to it cannot come to it in time."""
    near = {node for node, steps in brute.steps.items() if any(wanted in events(one) and one.after is not None for one in steps)}
    for _ in range(within - 1):
        near |= {node for node, steps in brute.steps.items() if any(one.after in near for one in steps)}
    seen, todo = {brute.start}, [brute.start]
    while todo:
        node = todo.pop()
        if node not in near:
            return True
        for one in brute.steps[node]:
            if one.after is not None and wanted not in events(one) and one.after not in seen:
                seen.add(one.after)
                todo.append(one.after)
    return False


def replayed(policy, proof: Proof) -> None:
    """Every counterexample is a conversation that can be had: as the golden dialogue says, up to its last turn at least."""
    for one in proof.verdicts:
        if one.dialogue is None:
            continue
        results = list(run_golden(policy, one.dialogue))
        is_failing = one.name in ("effects_can_run", "no_turn_fails", "obligations_can_be_said")
        problems = [problem for result in (results[:-1] if is_failing else results) for problem in result.problems]
        if any(problem.startswith("'sorry' is not allowed") for problem in problems):
            continue  # a turn of the last resort: it comes where nothing else may be said, and no pick of an engine brings it about
        assert problems == []
        assert len(results) == len(one.dialogue.turns)
        assert not is_failing or results[-1].problems


def test_a_limit_is_no_proof(folder):
    body = '@policy("small")\ndef small(state: Small, heard: Heard):\n    yield say("one").then(count)\n    yield say("two").then(turn_a)\n'
    policy = loaded(folder, HEAD + body)
    proof = prove(policy, (never_after("one", "three").named("never"),), most_points=2)
    assert not proof.explored.is_closed
    assert verdict(proof, "never").status == "held"
    whole = prove(policy, (never_after("one", "three").named("never"),), scope(starts=[{"a": True}]))
    assert verdict(whole, "never").status == "proved"


def test_values_that_could_not_all_be_tried_are_no_proof(folder):
    body = (
        "class Priced(Understanding):\n    price: int | None = amount('How much?')\n\n"
        '@policy("small")\ndef small(state: Small, heard: Priced):\n    yield say("one")\n'
        '    if heard.price == 7_654:\n        yield say("two")\n'
    )
    policy = loaded(folder, "from constrained.hear import amount\n" + HEAD + body)
    never = (never_after("one", "three").named("never"),)
    assert verdict(prove(policy, never), "never").status == "held"
    assert prove(policy, never).explored.sampled == ("price",)
    assert verdict(prove(policy, never, scope(heard={"price": [7_654]})), "never").status == "proved"
    assert verdict(prove(policy, (before("three", "two").named("order"),)), "order").status == "violated"


def test_what_the_second_procedure_of_a_turn_hears_is_part_of_its_events(folder):
    body = (
        "from constrained.steps import start\n\n"
        'async def first(state: Small):\n    await ask("three", ("yes",), tries=1)\n    await tell("one")\n\n'
        "async def second(state: Small, heard: Heard):\n"
        '    if heard.k == "q":\n        await ask("four", ("yes",), tries=1)\n    await tell("two")\n\n'
        '@policy("small")\ndef small(state: Small, heard: Heard):\n    yield start(first)\n    yield start(second)\n'
    )
    policy = loaded(folder, HEAD + body)
    brute = Brute(policy, policy.state_type.default())
    proof = prove(policy, (before("four", "two").named("order"), never_after("two", "one").named("never")))
    assert proof.explored.n_points == len(brute.steps)
    assert len(verdict(proof, "order").dialogue.turns) == expected(brute, "before", "four", "two") == 1
    replayed(policy, proof)


def test_a_copy_of_a_watched_state_reads_nothing_and_remembers_what_it_changed():
    class Purse(State):
        gold: int = 0
        place: str = "here"

    fields: list[str] = []
    watch = StateWatch(Purse, fields.append)
    after = watch.make({"gold": 3, "place": "there"}).replace(gold=2)
    assert watch.changes(after) == {"gold": 2}
    assert fields == []
    assert (after.gold, fields) == (2, ["gold"])
