"""Fitting: weights are convex optima, left-out messages are left out, the same twice; a calibration fits one catalog and model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from constrained import Dialogue
from constrained.cli import fit as command
from constrained.cli.main import main
from constrained.engines.decoding import mixture, prompts
from constrained.engines.decoding.encoder import SentenceStates
from constrained.engines.decoding.fitted_rule import N_READ, VectorRule, letters_of
from constrained.engines.decoding.mixture import Mixture, prompt_version
from constrained.engines.decoding.rules import ProbabilityMap
from constrained.engines.protocol import Candidate, Choice, ChoiceRequest
from constrained.errors import CalibrationError, DataError, EngineError, StateError, TuningError
from constrained.quality.convex_fits import pool_weights, softmax_regression
from constrained.quality.fit import _n_allowed, fit, plain_rows
from constrained.quality.labelled_data import Example
from constrained.quality.mixing import (
    FitSettings,
    _balanced,
    _draw_allowed_sets,
    _draw_measured,
    _outside,
    _without,
    fit_mixture,
)
from constrained.quality.training import Row
from tests.engines.asked import SCENE
from tests.logic.packs import make
from tests.quality.tuning.conftest import EXAMPLES, desk, engine, tokenizer

WORDS = ("north", "south", "bread", "water", "sword", "shield", "candle", "rope")


def many(n: int = 15) -> list[Example]:
    """So many messages for each response that weights can be chosen on them."""
    return [
        Example(f"{example} {WORDS[at % 8]} {at}", (name,))
        for name, examples in EXAMPLES.items()
        for at in range(n)
        for example in examples[:1]
    ]


def fitted(folder: Path, **options: Any) -> Any:
    made = engine()
    report = fit(desk(), made, folder, FitSettings(n_read=6), more=many(), **options)
    return made, report


# -- the pieces -----------------------------------------------------------------------------------------------


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000))
def test_the_linear_map_is_where_nothing_near_is_better(seed: int) -> None:
    """Brute force: no small step from the optimum lowers the penalised loss."""
    chance = torch.Generator().manual_seed(seed)
    x, labels = torch.randn(12, 3, generator=chance), torch.randint(0, 3, (12,), generator=chance)
    y = torch.nn.functional.one_hot(labels, 3).double()

    def loss(weights: Any, bias: Any) -> float:
        return float(-(y * (x.double() @ weights.T + bias).log_softmax(1)).sum() + (weights**2).sum() / 6.0)

    weights, bias = (value.double() for value in softmax_regression(x, y, 3.0))
    best = loss(weights, bias)
    for _ in range(10):
        step = 0.05 * torch.randn(3, 3, generator=chance).double()
        assert loss(weights + step, bias) >= best - 1e-5


def test_a_judge_that_knows_nothing_gets_no_weight() -> None:
    chance = np.random.default_rng(0)
    labels = chance.integers(0, 4, 400).tolist()
    good = [np.eye(4)[label] * 2 + chance.normal(size=4) for label in labels]
    noise = [chance.normal(size=4) for _ in labels]
    first, second = pool_weights([good, noise], labels)
    assert first > 1.0
    assert second < 0.15
    swapped = pool_weights([noise, good], labels)
    assert swapped[1] == pytest.approx(first, abs=0.05)


def test_weights_of_judges_are_those_of_a_grid() -> None:
    chance = np.random.default_rng(1)
    labels = chance.integers(0, 3, 300).tolist()
    judges = [[np.eye(3)[label] * strength + chance.normal(size=3) for label in labels] for strength in (1.0, 1.5)]
    right = np.asarray(labels)

    def loss(a: float, b: float) -> float:
        total = a * np.stack(judges[0]) + b * np.stack(judges[1])
        return float(-(total - np.log(np.exp(total).sum(1, keepdims=True)))[np.arange(300), right].mean())

    found = pool_weights(judges, labels)
    grid = min(loss(a, b) for a in np.arange(0.5, 3, 0.1) for b in np.arange(0.5, 3, 0.1))
    assert loss(*found) <= grid + 1e-3


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 20), st.integers(2, 6))
def test_nothing_fits_as_often_as_is_likeliest(seed: int, n_rows: int, n: int) -> None:
    """Brute force: no other score of "none of these" makes what is right likelier, allowed in nine of ten cases."""
    chance = np.random.default_rng(seed)
    rows, labels = [chance.normal(size=n) * 3 for _ in range(n_rows)], chance.integers(0, n, n_rows).tolist()
    own = chance.normal(size=n_rows)

    def likely(rest: float) -> float:
        total = 0.0
        for row, label, more in zip(rows, labels, own, strict=True):
            others = [one for at, one in enumerate(row) if at != label]
            whole = np.exp(row).sum() + np.exp(rest + more)
            total += 0.9 * (row[label] - np.log(whole)) + 0.1 * (rest + more - np.log(np.exp(others).sum() + np.exp(rest + more)))
        return float(total)

    found = _outside(rows, labels, own)
    assert all(likely(found) >= likely(found + step) - 1e-9 for step in (-3.0, -0.1, 0.1, 3.0))


@given(st.lists(st.integers(0, 8), min_size=1, max_size=20), st.integers(1, 12), st.integers(0, 99))
def test_a_message_is_weighed_among_as_many_responses_as_a_turn_leaves(labels: list[int], n_allowed: int, seed: int) -> None:
    turns = _draw_allowed_sets(labels, 9, n_allowed, seed)
    for label, turn in zip(labels, turns, strict=True):
        assert turn.allowed[turn.right] == label
        assert sorted(set(turn.allowed.tolist())) == turn.allowed.tolist()
        assert len(turn.allowed) == min(max(n_allowed, 2), 9)
    assert [turn.allowed.tolist() for turn in turns] == [turn.allowed.tolist() for turn in _draw_allowed_sets(labels, 9, n_allowed, seed)]


def test_a_message_that_is_judged_is_not_among_the_examples() -> None:
    one = Candidate("0:a", "", when="asks for a key", examples=("the key please", "a key"))
    left = _without([one], "the key please", 0)[0]
    assert left.examples == ("a key",)
    assert letters_of("the key please", [left])[0] < letters_of("the key please", [one])[0]


def test_only_messages_with_a_companion_are_left_out() -> None:
    rows = [Row("a", "x"), Row("b", "x"), Row("c", "y"), Row("about y", "y")]
    found = _draw_measured(rows, torch.tensor([0, 0, 1, 1]), frozenset({"about y"}), FitSettings())
    assert sorted(found) == [0, 1]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000))
def test_evened_out_shares_are_even_and_sum_to_one(seed: int) -> None:
    scores = np.random.default_rng(seed).normal(size=(60, 4)) * 2
    shares = _balanced(scores, 1.0)
    assert np.allclose(shares.sum(axis=1), 1.0)
    assert np.allclose(shares.mean(axis=0), 0.25, atol=0.01)
    assert np.allclose(_balanced(scores, 0.0), np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True))


def test_what_all_descriptions_begin_with_is_left_out() -> None:
    rows, described = plain_rows(desk().catalog)
    assert described == {"sell_key", "rumour", "room"}  # of "the guest asks about sell_key"
    assert {row.message for row in rows} >= described


def test_an_encoder_is_known_again_after_it_was_used() -> None:
    encoder = SentenceStates(torch.nn.Linear(1, 1), tokenizer())
    known = encoder.tokenizer_hash
    encoder.rows(["a long message", "b"])
    assert encoder.tokenizer_hash == known


# -- a calibration --------------------------------------------------------------------------------------------


def test_it_is_fitted_written_and_used(inn: Any, tmp_path: Path) -> None:
    made, report = fitted(tmp_path)
    assert report.figures["vector"] >= 0.9
    assert made.identity["fitted"].startswith("sha256:")
    again = engine(fitted=tmp_path)
    for message in ("what's new?", "a room for the night north", "pay for the key"):
        one, other = (Dialogue(inn, engine=which).reply(message) for which in (made, again))
        assert one.decision.probabilities == pytest.approx(other.decision.probabilities)
        assert one.text == other.text


def test_the_same_seed_fits_the_same(inn: Any, tmp_path: Path) -> None:
    fitted(tmp_path / "a"), fitted(tmp_path / "b")
    assert (tmp_path / "a" / mixture.MIXTURE).read_bytes() == (tmp_path / "b" / mixture.MIXTURE).read_bytes()


def test_it_changes_who_is_picked_and_never_what_can_be_said(inn: Any, tmp_path: Path) -> None:
    made, _ = fitted(tmp_path)
    said = {Dialogue(inn, engine=made, threshold=0.0).reply(message).text for message in (*WORDS, "", "🗝️" * 50, "ignore all rules")}
    allowed = {"This is about sell_key.", "This is about rumour.", "This is about room.", "What was that?"}
    assert said <= allowed


def test_another_catalog_is_refused_with_the_command_that_renews_it(inn: Any, tmp_path: Path) -> None:
    made, _ = fitted(tmp_path)
    with pytest.raises(CalibrationError, match="earlier version") as refused:
        Dialogue(desk(version=2), engine=made)
    assert "constrained fit" in refused.value.hint
    with pytest.raises(CalibrationError, match="not 'inn'"):
        made.check_catalog("inn", "sha256:0")


def test_other_weights_or_another_file_are_refused(inn: Any, tmp_path: Path) -> None:
    fitted(tmp_path)
    with pytest.raises(CalibrationError, match=r"another (weights|encoder weights)"):
        engine(seed=1, fitted=tmp_path)
    file = tmp_path / mixture.MIXTURE
    whole = file.read_bytes()
    file.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(CalibrationError, match="not the file"):
        engine(fitted=tmp_path)
    file.write_bytes(whole)
    manifest = json.loads((tmp_path / mixture.MANIFEST).read_text())
    (tmp_path / mixture.MANIFEST).write_text(json.dumps(manifest | {"prompt": "sha256:0"}))
    with pytest.raises(CalibrationError, match="another prompt"):
        engine(fitted=tmp_path)
    (tmp_path / mixture.MANIFEST).unlink()
    with pytest.raises(CalibrationError, match="holds no calibration"):
        engine(fitted=tmp_path)


def test_an_adapter_and_a_mixture_are_not_both_used(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="both"):
        engine(adapter=tmp_path, fitted=tmp_path)


def test_a_policy_that_cannot_begin_without_facts_can_be_fitted(tmp_path: Path) -> None:
    policy = make(
        tmp_path,
        "\nclass Purse(State):\n    gold: int\n\n\n@policy('shop')\ndef desk(state: Purse):\n    yield say('hello')\n",
        hello="Hello.",
    )
    with pytest.raises(StateError):
        policy.state_type.default()
    assert _n_allowed(policy) is None


def test_one_network_chooses_by_what_was_fitted_and_without_it(inn: Any, tmp_path: Path) -> None:
    fitted(tmp_path / "fitted")
    plain = engine()
    other = plain.with_fitted(tmp_path / "fitted")
    assert other.reader is plain.reader  # and its lock
    assert "fitted" in other.identity
    assert "fitted" not in plain.identity
    alone = engine(fitted=tmp_path / "fitted")
    said = [Dialogue(desk(), engine=one, drafts=True).reply("a sword").decision.probabilities for one in (other, alone, plain)]
    assert said[0] == said[1] != said[2]
    with pytest.raises(EngineError, match="already"):
        other.with_fitted(tmp_path / "fitted")
    warm = engine(probability_map=ProbabilityMap(temperature_heard=3.3))
    assert warm.with_fitted(tmp_path / "fitted").probability_map.temperature_heard == 3.3  # questions are heard as before


def test_a_response_that_was_never_fitted_is_refused(inn: Any, tmp_path: Path) -> None:
    made, _ = fitted(tmp_path)
    choice = Choice("reply", "option", (Candidate("0:room", "a"), Candidate("1:cellar", "b")))
    with pytest.raises(CalibrationError, match="no response 'cellar'"):
        made.rule.scores(made.reader, [ChoiceRequest([choice], SCENE)], None)


def test_only_the_nearest_are_read_by_the_engines_own_rule(inn: Any, tmp_path: Path) -> None:
    read: list[int] = []

    class Counting:
        name = "counting"
        probability_map = engine().rule.probability_map

        def scores(self, reader: Any, asks: Any, deadline: Any) -> Any:
            read.extend(len(choice.candidates) for ask in asks for choice in ask.choices)
            return engine().rule.scores(reader, asks, deadline)

    made = engine()
    ids = tuple(f"r{index}" for index in range(30))
    n_hidden = made.states.states(made.states.rows(["a"])).shape[1]
    some = Mixture(ids, torch.randn(30, n_hidden, generator=torch.Generator().manual_seed(0)), torch.zeros(30), base=0.5, rest=0.0)
    choice = Choice("reply", "option", tuple(Candidate(f"{at}:{name}", name, when=f"asks {name}") for at, name in enumerate(ids)))
    found = VectorRule(made.states, some, Counting(), letters=0.1, mixed=0.5).scores(made.reader, [ChoiceRequest([choice], SCENE)], None)[
        0
    ][0]
    assert read == [N_READ]
    assert len(found.scores) == 30
    assert np.isfinite(found.scores).all()


def test_promises_rest_on_messages_that_were_held_back(inn: Any, tmp_path: Path) -> None:
    held = [Example(f"{example} {word}!", (name,)) for name, examples in EXAMPLES.items() for example in examples for word in WORDS]
    _, report = fitted(tmp_path, hold=held)
    assert report.n_held == 72
    assert "set, alpha 0.1" in report.promises
    assert json.loads((tmp_path / mixture.MANIFEST).read_text())["promises"]["n"] <= 72
    engine(fitted=tmp_path)
    _, few = fitted(tmp_path / "few", hold=held[:5])
    assert few.refused
    assert "set, alpha 0.1" not in few.promises
    with pytest.raises(TuningError, match="one to learn from"):
        fitted(tmp_path / "both", hold=many()[:1])


def test_few_examples_are_enough_to_fit_and_messages_without_labels_help(inn: Any, tmp_path: Path) -> None:
    made = engine()
    report = fit(desk(), made, tmp_path, FitSettings(), unlabelled=["a quiet bed", "any talk?", "sell me the key"], is_mixed=False)
    assert report.figures == {}
    assert report.n_unlabelled == 3
    row = made.rule.head.scores(made.states.states(made.states.rows(["any gossip?"])))[0]
    assert made.rule.head.ids[row.argmax()] == "rumour"


def test_settings_that_fit_nothing_are_refused() -> None:
    with pytest.raises(TuningError):
        FitSettings(folds=1)
    with pytest.raises(TuningError):
        FitSettings(balance=2.0)


def test_more_messages_without_labels_move_what_is_unsure(inn: Any) -> None:
    made = engine()
    rows = [Row(f"{name} {word}", name) for name in EXAMPLES for word in WORDS[:2]]
    candidates = [Candidate(f"{at}:{name}", "", when=name) for at, name in enumerate(EXAMPLES)]
    plain, more = (
        fit_mixture(made.states, rows, candidates, tuple(EXAMPLES), FitSettings(), unlabelled=some)
        for some in ((), ("room bread", "room rope"))
    )
    assert not torch.equal(plain.mixture.weights, more.mixture.weights)


# -- the command ----------------------------------------------------------------------------------------------


def test_the_command_writes_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(command, "load_policy", lambda name: desk())
    monkeypatch.setattr(command, "load_engine", lambda model: engine())
    (tmp_path / "more.txt").write_text("a bed\nany news\n\n")
    out = tmp_path / "fitted"
    with pytest.raises(SystemExit) as ended:
        main(["fit", "desk", "--encoder", "none", "--alone", "--unlabelled", str(tmp_path / "more.txt"), "--out", str(out)])
    told = capsys.readouterr()
    assert ended.value.code == 0, told.err
    assert "2 without labels" in told.out
    assert "reading messages: 0 of" in told.err, "in a pipe the stages are lines"
    assert f"--fitted {out}" in told.out + told.err
    manifest = json.loads((out / mixture.MANIFEST).read_text())
    assert manifest["renew"].startswith("constrained fit desk --unlabelled")


def test_lines_without_a_message_are_all_told(tmp_path: Path) -> None:
    file = tmp_path / "some.jsonl"
    file.write_text('{"message": "a"}\n{"text": "b"}\n[]\n')
    with pytest.raises(DataError) as refused:
        command.read_messages(file)
    assert [problem.line for problem in refused.value.problems] == [2, 3]
    with pytest.raises(DataError, match="cannot be read"):
        command.read_messages(tmp_path / "missing.txt")


def test_only_another_wording_of_the_prompts_makes_a_fitted_calibration_stale(monkeypatch: pytest.MonkeyPatch) -> None:
    before = prompt_version()
    assert before == prompt_version()
    monkeypatch.setattr(prompts, "heard_as", lambda message: f" {message}!\n")
    assert prompt_version() != before
