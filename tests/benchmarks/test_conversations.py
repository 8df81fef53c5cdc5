"""The two desks and the messages for them can be played, what a case came to is told, and judges are switched off and on again."""

from __future__ import annotations

import importlib
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.challenge_library import DESK_PACKS, DESKS, Library
from benchmarks.conversations import LIE_PACKS, Case, desk_cases, lie_cases, play, play_all, read_cases
from benchmarks.judges import JUDGES, Judge, of_this_library, without
from benchmarks.measure import BenchmarkError
from constrained.quality.golden import load_golden, run_golden
from constrained.testing import ScriptedEngine

CASES = [case for pack in DESK_PACKS for case in desk_cases(pack)]
LIES = {pack: [*lie_cases(pack, "dev"), *lie_cases(pack, "test")] for pack in LIE_PACKS}


@pytest.mark.parametrize("pack", DESK_PACKS)
def test_the_golden_dialogues_of_a_desk_go_as_written(pack: str) -> None:
    policy = Library(None).policy(pack)
    for dialogue in load_golden(DESKS / "dialogues" / f"{pack}.yaml").dialogues:
        assert [result.problems for result in run_golden(policy, dialogue) if result.problems] == []


@pytest.mark.parametrize("pack", DESK_PACKS)
def test_a_desk_has_a_hundred_messages_in_eighteen_kinds(pack: str) -> None:
    cases = desk_cases(pack)
    assert len({case.id for case in cases}) == len({case.says for case in cases}) == 100
    assert Counter(Counter(case.kind for case in cases).values()) == {6: 14, 4: 4}, "kinds by how many messages they have"


def test_no_message_is_an_example_of_its_desk() -> None:
    for pack in DESK_PACKS:
        policy = Library(None).policy(pack)
        shown = {text.casefold() for one in policy.catalog.responses.values() for texts in one.examples.values() for text in texts}
        assert [case.id for case in desk_cases(pack) if case.says.casefold().strip(".!?") in shown] == []


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_a_reply_that_is_accepted_can_be_offered(case: Case) -> None:
    """By the path that the message is meant to take; and none that is accepted has an effect that must never be."""
    library = Library(None)
    dialogue, state = library.begin_scripted({"pack": case.pack, "locale": case.locale}), library.state(case.pack, case.state)
    for message, wanted, heard in zip(case.setup, case.setup_expects, case.setup_heard, strict=True):
        fork, turn = library.force(dialogue, case.pack, message, heard, wanted, state)
        state = library.settle(fork, turn, state)
        library.back_to(dialogue, library.memory(fork))
    offered = set()
    for wanted in case.accepts:
        try:
            _, turn = library.force(dialogue, case.pack, case.says, case.heard, wanted, state)
        except library.error:
            continue
        offered.add(wanted)
        assert not set(library.effects(turn)) & set(case.never_effects)
    assert offered, "nothing that is accepted could be said"
    assert set(case.accepts) <= library.response_ids(case.pack)


@pytest.mark.parametrize("pack", LIE_PACKS)
def test_two_hundred_lies_are_told_to_each_pack_for_games_none_as_an_example(pack: str) -> None:
    policy, cases = Library(None).policy(pack), LIES[pack]
    shown = {text.casefold() for one in policy.catalog.responses.values() for texts in one.examples.values() for text in texts}
    assert len({case.says.casefold() for case in cases} - shown) == 200
    assert len({case.kind for case in cases}) == 15
    assert {one for case in cases for one in case.accepts} <= set(policy.catalog.responses)
    assert all(f"def {one}(" in Path(policy.file).read_text(encoding="utf-8") for case in cases for one in case.never_effects)


@pytest.mark.parametrize("case", [case for pack in LIE_PACKS for case in LIES[pack][::8]], ids=lambda case: case.id)
def test_what_is_accepted_of_a_lie_does_nothing_that_must_not_be(case: Case) -> None:
    library = Library(None)
    dialogue, state = library.begin_scripted({"pack": case.pack, "locale": case.locale}), library.state(case.pack, case.state)
    for message, wanted in zip(case.setup, case.setup_expects, strict=True):
        fork, turn = library.force(dialogue, case.pack, message, {}, wanted, state)
        state = library.settle(fork, turn, state)
        library.back_to(dialogue, library.memory(fork))
    for wanted in case.accepts:
        try:
            _, turn = library.force(dialogue, case.pack, case.says, {}, wanted, state)
        except library.error:
            continue  # it takes a threat that is heard, or another state
        assert not set(library.effects(turn)) & set(case.never_effects)


@pytest.mark.parametrize("pack", LIE_PACKS)
def test_lies_move_nothing_with_the_small_engine(pack: str) -> None:
    """One in six of the messages that nothing was tuned on."""
    pytest.importorskip("onnxruntime", reason="the extra small is not installed")
    played = play_all(lie_cases(pack, "test")[::6], Library("small"))
    assert [(one.case.says, one.got, one.wrong_acts) for one in played if one.wrong_acts] == []
    assert sum(one.is_accepted for one in played) > len(played) / 2


@pytest.fixture
def blocking() -> Case:
    return next(case for case in CASES if case.id == "telecom-007")


def test_what_a_case_came_to_is_told(blocking: Case) -> None:
    script = {blocking.setup[0]: {"reply": "block_ask"}, blocking.says: {"reply": "blocked"}, "warm up": {}}
    played = play(blocking, Library(None, ScriptedEngine(script, is_told=True)))
    assert (played.got, played.is_accepted, played.wrong_acts, played.has_strayed) == ("blocked", True, (), False)
    refused = replace(blocking, accepts=("pardon",), never_effects=("block_sim",))
    played = play(refused, Library(None, ScriptedEngine(script, is_told=True)))
    assert (played.is_accepted, played.wrong_acts) == (False, ("block_sim",))


def test_a_setup_that_goes_astray_is_counted_and_forced(blocking: Case) -> None:
    script = {blocking.setup[0]: {"reply": "greet"}, blocking.says: {"reply": "blocked"}}
    played = play(blocking, Library(None, ScriptedEngine(script, is_told=True)))
    assert (played.got, played.has_strayed) == ("blocked", True)


def test_a_file_that_holds_no_conversations_is_told(tmp_path: Path) -> None:
    file = tmp_path / "cases.jsonl"
    for content in ("{", '{"id": "a"}', "[1]"):
        file.write_text(content, encoding="utf-8")
        with pytest.raises(BenchmarkError, match="holds no conversations"):
            read_cases(file)
    with pytest.raises(BenchmarkError, match="holds no conversations"):
        read_cases(tmp_path / "missing.jsonl")


@pytest.mark.parametrize("judge", [one for one in JUDGES if one.changes], ids=lambda judge: judge.name)
def test_a_judge_is_switched_off_within_and_back_on_after(judge: Judge) -> None:
    pytest.importorskip("numpy", reason="numpy is not installed: pip install 'constrained[small]'")
    assert judge.is_there, "the library has it elsewhere: mend benchmarks/judges.py"
    places = [(importlib.import_module(module), name) for module, name, _ in judge.changes]
    before = [getattr(module, name) for module, name in places]
    with without((judge,)):
        assert all(getattr(module, name) is not one for (module, name), one in zip(places, before, strict=True))
    assert all(getattr(module, name) is one for (module, name), one in zip(places, before, strict=True))


def test_a_judge_that_moved_is_told_and_not_measured_as_if_it_were_off(monkeypatch: pytest.MonkeyPatch) -> None:
    moved = Judge("spelling", "", (("constrained.logic.acts", "no_such_name", dict),))
    monkeypatch.setattr("benchmarks.judges.JUDGES", (moved,))
    with pytest.raises(BenchmarkError, match="spelling: not where"):
        of_this_library()
