"""Transformers' decision pipeline as an engine: a decision head and a chat model, of random weights; loading, limits, deadlines."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="torch is not installed: pip install 'constrained[transformers]'")

import torch
import transformers

from constrained import Dialogue
from constrained.engines.decision_models import systemone_questions
from constrained.engines.decision_pipeline import DecisionPipelineEngine
from constrained.engines.loading import load_engine
from constrained.engines.protocol import Candidate, Choice, Deadline
from constrained.errors import DeadlineError, EngineError
from tests.engines.asked import CHOICES, OPTIONS, SCENE
from tests.engines.decoding import tiny

LABELS = [*"ABCDEFGHIJKLMNOP"]


@pytest.fixture(autouse=True)
def _no_network(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Folders as transformers saves them: one with a decision head, one of a chat model."""
    text = transformers.Qwen2Config(**(tiny.FAMILIES["qwen2"][1] | {"vocab_size": tiny.N_VOCABULARY + 2}))
    torch.manual_seed(0)
    offsets = {"noul": 0, "score": 2, "choice": 7}
    config = transformers.JevConfig(hidden_size=32, text_config=text, num_verbalizers=7 + len(LABELS), offsets=offsets)
    head = transformers.JevForDecision(config)
    head.decision_config = transformers.decision.DecisionConfig(labels={"choice": LABELS})
    chat = transformers.Qwen2ForCausalLM(text)
    folders = {}
    for name, network in (("head", head), ("chat", chat)):
        folders[name] = tmp_path_factory.mktemp(name)
        network.eval().save_pretrained(folders[name])
        tiny.bpe().save_pretrained(folders[name])
    return folders


@pytest.mark.parametrize("name", ["head", "chat"])
def test_it_tells_what_the_pipeline_tells(saved, name):
    engine = load_engine(f"decision:{saved[name]}")
    found = engine.choose(CHOICES, SCENE)
    assert engine.identity["architecture"] == {"head": "JevForDecision", "chat": "Qwen2ForCausalLM"}[name]
    from constrained.engines.decision_models import _question, systemone_state

    question = _question("q", OPTIONS, range(3), SCENE)
    network = {"head": transformers.JevForDecision, "chat": transformers.Qwen2ForCausalLM}[name].from_pretrained(saved[name])
    pipeline = transformers.pipelines.DecisionPipeline(model=network, tokenizer=transformers.AutoTokenizer.from_pretrained(saved[name]))
    told = pipeline({"state": systemone_state(SCENE), "questions": systemone_questions([question])})["q"]
    assert found[0].probabilities == pytest.approx(tuple(told["probabilities"].values()), abs=1e-5)
    assert found[3].probabilities == (1.0,)
    assert Dialogue("tavern", engine=engine).reply("Good evening").text


def test_more_options_than_it_has_labels_are_refused(saved):
    many = Choice("many", "heard", tuple(Candidate(str(at), str(at)) for at in range(len(LABELS) + 1)), "Which?")
    with pytest.raises(EngineError, match="'many' has 17 options, the decision model takes 16"):
        load_engine(f"decision:{saved['head']}").choose([many], SCENE)


def test_a_deadline_is_looked_at_between_questions(saved):
    with pytest.raises(DeadlineError):
        load_engine(f"decision:{saved['head']}").choose(CHOICES, SCENE, Deadline.after(0.0))


class Unsound:
    """A pipeline that tells what is no distribution, or cannot be asked."""

    decision_config = transformers.decision.DecisionConfig()

    def __init__(self, told):
        self.told = told

    def __call__(self, request):
        if isinstance(self.told, Exception):
            raise self.told
        return {"q0": {"type": "choice", "choice": "sell", "probabilities": self.told}}


@pytest.mark.parametrize("told", [{"sell": 1.0}, {"sell": float("nan"), "rumour": 0.5, "pardon": 0.5}, ValueError("no single tokens")])
def test_what_is_no_distribution_is_a_typed_error(told):
    with pytest.raises(EngineError, match="decision model"):
        DecisionPipelineEngine("m", pipeline=Unsound(told)).choose([OPTIONS], SCENE)


def test_what_cannot_be_loaded_is_a_typed_error(tmp_path):
    with pytest.raises(EngineError, match="could not be loaded as a decision model"):
        load_engine(f"decision:{tmp_path / 'none'}")
    with pytest.raises(EngineError, match="taken as it is"):
        load_engine("decision:x", adapter=tmp_path)
