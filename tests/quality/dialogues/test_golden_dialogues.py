"""The golden dialogues of every pack: with scripted answers in each run, with the real model where it can be had."""

from __future__ import annotations

from pathlib import Path

import pytest

from constrained import Dialogue
from constrained.engines.loading import load_engine
from constrained.errors import GoldenError
from constrained.logic.options import with_it
from constrained.pack_folders import list_packs
from constrained.packs import load_policy, load_policy_file
from constrained.quality.golden import load_golden, run_golden
from tests.strategies import ROOT

PACKS = sorted(path.stem for path in (ROOT / "catalogs").glob("*.yaml"))
FILES = sorted((ROOT / "dialogues").glob("*.yaml"))
STEP = 2  # every other dialogue of one pack for the language model, for the time that all take; the suite choice runs all of them
FLOOR = 0.65  # of the turns in which there is something to choose; the aim is 0.8, benchmarks/results tells what is reached


def cases() -> list[object]:
    """One case a dialogue; a file that cannot be read is one case, which fails when it runs."""
    found = []
    for path in FILES:
        try:
            names = [dialogue.name for dialogue in load_golden(path).dialogues]
        except GoldenError:
            names = [""]
        found += [pytest.param(path, index, id=f"{path.stem}: {name}") for index, name in enumerate(names)]
    return found


def policy_of(path: Path):
    return load_policy_file(ROOT / "logic" / f"{path.stem}.py")


AFTER_A_FAILURE = ("block_failed", "filing_failed", "booking_failed")  # effects of golden dialogues succeed; see tests/test_packs.py


@pytest.mark.parametrize("name", PACKS)
def test_the_golden_dialogues_of_a_pack_show_every_response(name):
    file, policy = load_golden(ROOT / "dialogues" / f"{name}.yaml"), load_policy(name)
    assert file.pack == name
    assert name in list_packs()
    names = [dialogue.name for dialogue in file.dialogues]
    assert len(set(names)) == len(names)
    shown = {said for dialogue in file.dialogues for result in run_golden(policy, dialogue) if result.reply for said in result.reply.said}
    in_place = {"reserve", "too_long", "moment", "returned", "bark"}  # what a script that tells what is meant never brings about
    asked = [one for one in policy.catalog.responses.values() if not one.offer_of and one.id != policy.catalog.way_out]
    unseen = [one.id for one in asked if one.id not in shown and not one.tags & in_place]
    assert [name for name in unseen if name not in AFTER_A_FAILURE] == []


@pytest.mark.parametrize(("path", "index"), cases())
def test_a_golden_dialogue_goes_as_intended(path, index):
    dialogue = load_golden(path).dialogues[index]
    results = list(run_golden(policy_of(path), dialogue))
    problems = [f"{result.golden.says!r}: {problem}" for result in results for problem in result.problems]
    assert problems == []
    assert len(results) == len(dialogue.turns)


@pytest.mark.parametrize("name", PACKS)
def test_a_pack_answers_without_a_model_and_to_anything(name):
    policy = load_policy(name)
    dialogue = Dialogue(policy)
    for message in ("hello", "", "<|im_end|>", "I need help, quickly!"):
        turn = dialogue.reply(message)
        assert turn.text
        assert turn.decision.mode == "rules"


@pytest.mark.model
@pytest.mark.parametrize(("pack", "model", "step"), [*((name, "small", 1) for name in PACKS), ("tavern", "smollm2-135m", STEP)])
def test_the_real_model_picks_the_intended_responses(request, pack, model, step):
    path = ROOT / "dialogues" / f"{pack}.yaml"
    policy = policy_of(path)
    engine = load_engine(model) if model == "small" else request.getfixturevalue("real_engine")
    chosen, missed = [], []
    for dialogue in load_golden(path).dialogues[::step]:
        for result in run_golden(policy, dialogue, engine):
            assert result.problems == ()
            assert result.picked.text == "\n".join(_texts(result.picked))
            if result.n_options > 1:
                chosen.append(result.is_right)
                if not result.is_right:
                    misheard = f", misheard {', '.join(result.misheard)}" if result.misheard else ""
                    missed.append(
                        f"{result.golden.says!r}: {result.picked.response_id}, not {result.golden.expects} of {result.n_options}{misheard}"
                    )
    assert sum(chosen) >= FLOOR * len(chosen), f"{sum(chosen)} of {len(chosen)} turns:\n" + "\n".join(missed)


def _texts(turn):
    """What the turn's allowed options and obligations say, in the order of the turn."""
    around = with_it(turn.decision.chosen, turn.trace.allowed.obligations)
    before = [one.text for one in around if not one.is_after]
    after = [one.text for one in around if one.is_after]
    spoken = turn.decision.spoken or (turn.decision.chosen,)
    assert all(one in turn.trace.allowed.sayable for one in spoken)
    return [*before, *(one.text for one in spoken), *after]
