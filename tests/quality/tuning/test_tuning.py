"""Tuning on a tiny model: it learns, twice the same, stopped or not; its adapter fits one catalog and one model and nothing else."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from constrained import Dialogue
from constrained.engines.batching import BatchingEngine
from constrained.engines.cascade import Cascade, Stage
from constrained.engines.decoding import adapter
from constrained.engines.decoding.adapter import Head
from constrained.engines.decoding.encoder import LanguageStates, vectors
from constrained.engines.decoding.fitted_rule import VectorRule
from constrained.engines.protocol import Candidate, CatalogBound, Choice
from constrained.errors import AdapterError, SampleError, TuningError
from constrained.quality.labelled_data import Example
from constrained.quality.training import CHECKPOINT, Learner, Row, Run, Settings, batches, contrast, rows_of
from constrained.quality.tuning import REPORT, tune
from tests.engines.asked import SCENE, SPAN, THREAT
from tests.quality.tuning.conftest import EXAMPLES, desk, engine

QUICK = Settings(epochs=12, batch=4, rate=3e-3, rank=4, alpha=8, dropout=0.1)
CHECK = (Example("the key, please", ("sell_key",)), Example("is there gossip", ("rumour",)), Example("a quiet room", ("room",)))


def tuned(folder: Path, seed: int = 0, **options: Any) -> Any:
    made = engine()
    report = tune(desk(), made, folder, QUICK.changed(seed=seed), **options)
    return made, report


def weights(folder: Path) -> tuple[bytes, bytes]:
    return (folder / adapter.WEIGHTS).read_bytes(), (folder / adapter.HEAD).read_bytes()


# -- learning -----------------------------------------------------------------------------------------------


def test_what_was_learned_is_chosen(inn: Any, tmp_path: Path) -> None:
    made, report = tuned(tmp_path)
    dialogue = Dialogue(inn, engine=made, threshold=0.0)
    right = [dialogue.reply(message).response_id == name for name, examples in EXAMPLES.items() for message in examples]
    assert sum(right) == len(right)
    assert report.n_rows == 12  # nine examples and three descriptions
    assert not (tmp_path / CHECKPOINT).exists()


def test_the_loss_falls(inn: Any, tmp_path: Path) -> None:
    rows = rows_of(inn.catalog)
    made = engine()
    torch.manual_seed(0)
    learner = Learner(LanguageStates(made.reader.model, made.reader.tokens), rows, QUICK)
    losses: list[float] = []
    Run(learner, rows, tmp_path, "base").train(lambda step: losses.append(step.loss))
    assert np.mean(losses[-3:]) < 0.5 * np.mean(losses[:3])


def test_the_same_seed_gives_the_same_adapter_and_another_one_another(tmp_path: Path) -> None:
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        tuned(tmp_path / name, seed)
    assert weights(tmp_path / "a") == weights(tmp_path / "b")
    assert weights(tmp_path / "a") != weights(tmp_path / "c")


@pytest.mark.parametrize("stop", [1, 7, 29])
def test_a_run_that_was_stopped_ends_with_the_same_adapter(tmp_path: Path, stop: int) -> None:
    tuned(tmp_path / "whole")
    rows = rows_of(desk().catalog)
    made = engine()
    base = made.identity["weights"]
    with torch.random.fork_rng():
        torch.manual_seed(QUICK.seed)
        learner = Learner(LanguageStates(made.reader.model, made.reader.tokens), rows, QUICK)
        assert not Run(learner, rows, tmp_path / "parts", base).train(stop_after=stop)
    told = []
    tuned(tmp_path / "parts", report_progress=lambda stage, done, total, loss: told.append(done))
    assert told[0] == stop + 1
    assert weights(tmp_path / "whole") == weights(tmp_path / "parts")


def test_a_checkpoint_of_other_messages_or_settings_is_refused(tmp_path: Path) -> None:
    rows = rows_of(desk().catalog)
    made = engine()
    learner = Learner(LanguageStates(made.reader.model, made.reader.tokens), rows, QUICK)
    Run(learner, rows, tmp_path, made.identity["weights"]).train(stop_after=1)
    with pytest.raises(TuningError, match="another model"):
        tune(desk(), engine(), tmp_path, QUICK.changed(seed=3))
    with pytest.raises(TuningError, match="another model"):
        tune(desk(), engine(), tmp_path, QUICK, more=[Example("one more", ("room",))])
    (tmp_path / CHECKPOINT).write_bytes(b"no checkpoint")
    with pytest.raises(TuningError, match="cannot be read"):
        tune(desk(), engine(), tmp_path, QUICK)


def test_figures_before_and_after_stand_in_one_report(tmp_path: Path) -> None:
    _, report = tuned(tmp_path, check=CHECK)
    told = json.loads((tmp_path / REPORT).read_text())
    assert told["n_checked"] == 3
    assert told["before"].keys() == told["after"].keys()
    assert told["after"]["accuracy"] == report.after["accuracy"]
    assert told["accuracy"]["low"] <= told["accuracy"]["value"] <= told["accuracy"]["high"]
    assert told["memory_mb"] > 0


def test_nothing_is_measured_on_what_was_learned(tmp_path: Path) -> None:
    with pytest.raises(TuningError, match="one to learn from"):
        tune(desk(), engine(), tmp_path, QUICK, check=[Example("ANY gossip?", ("rumour",))])


def test_messages_that_nothing_answers_are_learned(tmp_path: Path) -> None:
    more = [Example(message, ("pardon",)) for message in ("a copper less", "who puts down his cup", "good evening old man")]
    made, _ = tuned(tmp_path, more=more)
    dialogue = Dialogue(desk(), engine=made, threshold=0.0)
    assert [dialogue.reply(one.message).response_id for one in more] == ["pardon"] * 3


def test_without_such_messages_the_rest_is_as_near_as_strangers_are(tmp_path: Path) -> None:
    made, _ = tuned(tmp_path)
    assert "pardon" not in made.rule.head.ids
    assert -1.0 < made.rule.head.rest < 1.0


def test_a_loss_that_is_no_number_ends_the_run(tmp_path: Path) -> None:
    rows = rows_of(desk().catalog)
    made = engine()
    learner = Learner(LanguageStates(made.reader.model, made.reader.tokens), rows, QUICK)
    with torch.no_grad():
        learner.vectors.fill_(float("nan"))
    with pytest.raises(TuningError, match="no number"):
        Run(learner, rows, tmp_path, "base").train()


@pytest.mark.parametrize("wrong", [{"epochs": 0}, {"rate": 0.0}, {"dropout": 1.0}, {"contrast": float("nan")}, {"rate": float("nan")}])
def test_settings_that_nothing_can_be_tuned_with(wrong: dict[str, Any]) -> None:
    with pytest.raises(TuningError):
        Settings(**wrong)


# -- rows and batches ---------------------------------------------------------------------------------------


def test_a_catalog_with_one_response_is_refused() -> None:
    catalog = desk().catalog
    alone = type(catalog)(**{name: getattr(catalog, name) for name in catalog.__slots__} | {"responses": {"pardon": catalog["pardon"]}})
    with pytest.raises(SampleError, match="nothing to tell apart"):
        rows_of(alone)


@given(st.lists(st.sampled_from("abcd"), min_size=1, max_size=40), st.integers(1, 9), st.integers(0, 99), st.integers(0, 3))
def test_every_row_is_in_one_batch_of_an_epoch(ids: list[str], size: int, seed: int, epoch: int) -> None:
    rows = [Row(str(index), name) for index, name in enumerate(ids)]
    found = list(batches(rows, size, seed, epoch))
    assert sorted(index for batch in found for index in batch) == list(range(len(rows)))
    assert all(len(batch) == size for batch in found[:-1])
    assert found == list(batches(rows, size, seed, epoch))


def test_the_loss_within_a_batch_by_hand() -> None:
    states = torch.nn.functional.normalize(torch.tensor([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0]]), dim=-1)
    targets = torch.tensor([0, 0, 1])
    expected = []
    for row, companion in ((0, 1), (1, 0)):
        others = [index for index in range(3) if index != row]
        cosines = {index: 5.0 * float(states[row] @ states[index]) for index in others}
        expected.append(-(cosines[companion] - np.log(sum(np.exp(value) for value in cosines.values()))))
    assert float(contrast(states, targets, 5.0)) == pytest.approx(np.mean(expected), abs=1e-5)
    assert float(contrast(states[1:], targets[1:], 5.0)) == 0.0


# -- adapters -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("adapter")
    tuned(folder)
    return folder


def test_an_adapter_that_is_loaded_chooses_as_the_one_that_was_tuned(inn: Any, tmp_path: Path) -> None:
    first, _ = tuned(tmp_path)
    second = engine(adapter=tmp_path)
    for message in ("what about the key", "hello", "a bed"):
        answers = [Dialogue(inn, engine=one).reply(message).decision.probabilities for one in (first, second)]
        assert answers[0] == pytest.approx(answers[1], rel=1e-4)
    assert first.identity["adapter"] == second.identity["adapter"]


def test_the_base_rule_is_the_same_to_the_bit_while_an_adapter_is_there(made: Path) -> None:
    plain, adapted = engine(), engine(adapter=made)
    scene = replace(SCENE, static_id=f"{desk().catalog.hash} x en")
    options = Choice("reply", "option", tuple(Candidate(f"{index}:{name}", name) for index, name in enumerate(EXAMPLES)))
    for _ in range(2):  # with contexts computed, and with those that are at hand
        adapted.choose([options, THREAT], scene)
        first, second = ([one.scores for one in made_by.choose([THREAT, SPAN], scene)] for made_by in (plain, adapted))
        assert first == second
    assert plain.identity["weights"] == adapted.identity["weights"]
    assert "adapter" not in plain.identity


def test_an_adapter_of_another_catalog_is_refused_before_the_first_message(made: Path) -> None:
    for version, match in ((desk(version=2), "an earlier version of 'desk'"), (desk(catalog="other"), "'desk', not 'other'")):
        with pytest.raises(AdapterError, match=match) as caught:
            Dialogue(version, engine=engine(adapter=made))
        assert f"constrained tune {version.catalog.name}" in caught.value.hint


def test_wrappers_refuse_it_too(made: Path) -> None:
    made_by = engine(adapter=made)
    with pytest.raises(AdapterError):
        Dialogue(desk(version=2), engine=Cascade([Stage(made_by)]))
    with BatchingEngine(made_by) as shared:
        assert isinstance(shared, CatalogBound)
        with pytest.raises(AdapterError):
            Dialogue(desk(version=2), engine=shared)


def test_a_scene_of_another_catalog_is_refused(made: Path) -> None:
    with pytest.raises(AdapterError):
        engine(adapter=made).choose([THREAT], SCENE)


def test_an_adapter_of_another_model_is_refused(made: Path) -> None:
    with pytest.raises(AdapterError, match="other weights") as caught:
        engine(seed=1, adapter=made)
    assert "constrained tune desk" in caught.value.hint


@pytest.mark.parametrize("name", [adapter.WEIGHTS, adapter.HEAD, adapter.MANIFEST])
@pytest.mark.parametrize("how", ["missing", "changed"])
def test_an_adapter_that_is_not_whole_is_refused(made: Path, tmp_path: Path, name: str, how: str) -> None:
    for file in (adapter.WEIGHTS, adapter.HEAD, adapter.MANIFEST):
        (tmp_path / file).write_bytes((made / file).read_bytes())
    if how == "missing":
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:-9])
    with pytest.raises(AdapterError):
        engine(adapter=tmp_path)


def test_a_folder_without_an_adapter_is_told_as_such(tmp_path: Path) -> None:
    with pytest.raises(AdapterError, match="holds no adapter"):
        engine(adapter=tmp_path)


# -- closure ------------------------------------------------------------------------------------------------


@settings(max_examples=25)
@given(seed=st.integers(0, 10_000), size=st.sampled_from([0.0, 0.1, 10.0, 1e4]), message=st.text(max_size=60))
def test_no_adapter_makes_a_reply_that_is_not_approved(inn: Any, seed: int, size: float, message: str) -> None:
    made_by = engine()
    network = made_by.reader.model.network
    adapter.add(network, rank=2, alpha=4)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in adapter.changes(network).values():
            parameter.copy_(size * torch.randn(parameter.shape, generator=generator))
    encoder = LanguageStates(made_by.reader.model, made_by.reader.tokens)
    head = Head(tuple(EXAMPLES), torch.randn(3, 32, generator=generator), 20.0, rest=0.5)
    made_by.rule = VectorRule(encoder, head, made_by.rule)
    made_by.probability_map = made_by.rule.probability_map
    turn = Dialogue(inn, engine=made_by).reply(message)
    assert turn.text in {f"This is about {name}." for name in EXAMPLES} | {"What was that?"}


def test_a_response_that_was_never_tuned_is_refused_not_guessed(inn: Any) -> None:
    made_by = engine()
    adapter.add(made_by.reader.model.network, rank=2, alpha=4)
    encoder = LanguageStates(made_by.reader.model, made_by.reader.tokens)
    made_by.rule = VectorRule(encoder, Head(("room",), torch.ones(1, 32), 20.0, rest=0.5), made_by.rule)
    with pytest.raises(AdapterError, match="no response 'sell_key'"):
        Dialogue(inn, engine=made_by).reply("hello")


@given(st.lists(st.text(min_size=1, max_size=30).filter(str.strip), min_size=1, max_size=6))
@settings(max_examples=20)
def test_a_messages_vector_does_not_depend_on_its_neighbours(messages: list[str]) -> None:
    made_by = engine()
    encoder = LanguageStates(made_by.reader.model, made_by.reader.tokens)
    together = vectors(encoder, messages)
    alone = torch.cat([vectors(encoder, [message]) for message in messages])
    assert torch.allclose(together, alone, atol=1e-5)
    assert torch.allclose(together.norm(dim=-1), torch.ones(len(messages)), atol=1e-5)


def test_two_fillings_of_one_response_are_told_apart_by_the_base_rule(made: Path) -> None:
    scene = replace(SCENE, static_id=f"{desk().catalog.hash} x en")
    twins = (Candidate("0:room", "A room upstairs.", "a room"), Candidate("1:room", "A room downstairs.", "a room"))
    other = Candidate("2:rumour", "They say the smith drinks.", "news")
    adapted, plain = engine(adapter=made), engine()
    found = adapted.choose([Choice("reply", "option", (*twins, other))], scene)[0].scores
    among = plain.choose([Choice("reply", "option", twins)], scene)[0].scores
    assert found[0] - found[1] == pytest.approx(among[0] - among[1])
    alone = adapted.choose([Choice("reply", "option", (twins[0], other))], scene)[0].scores
    assert max(found[:2]) == pytest.approx(alone[0])
