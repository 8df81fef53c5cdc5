"""OutlinesEngine: local models under a mask, servers by fakes of their clients; every answer is one of the names, or an error."""

from __future__ import annotations

import json
import sys
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from constrained import Dialogue
from constrained.engines.protocol import Candidate, Choice, Deadline, Engine, Extractor, checked
from constrained.errors import DeadlineError, EngineError
from tests.engines.asked import CHOICES, ONE, OPTIONS, SCENE, SPAN, THREAT, inn

outlines = pytest.importorskip("outlines", reason="outlines is not installed: pip install outlines")
pytest.importorskip("torch")
from constrained.engines.outlines import OutlinesEngine, distinct_names, prompt  # noqa: E402  # needs outlines to be of use
from tests.engines.decoding import tiny  # noqa: E402

names = st.sampled_from(["sell", "sell the key", "sell (1)", "rumour", "", "a b"])


@pytest.fixture(scope="module")
def local() -> Any:
    """A tiny network of random weights as outlines wraps it."""
    return outlines.from_transformers(tiny.network("llama", seed=5), tiny.bpe())


class Ollama(outlines.models.Ollama):
    """outlines' own wrapper with a client that answers from a list, or with the first of what it may say."""

    def __init__(self, *answers: Any) -> None:
        super().__init__(SimpleNamespace(chat=self._chat), "llama3.2")
        self.answers, self.requests = list(answers), []

    def _chat(self, **request: Any) -> Any:
        self.requests.append(request)
        answer = self.answers.pop(0) if self.answers else json.dumps({"choice": request["format"]["properties"]["choice"]["enum"][0]})
        if isinstance(answer, Exception):
            raise answer
        return SimpleNamespace(message=SimpleNamespace(content=answer))


class Vllm(outlines.models.VLLM):
    """The same for vLLM: an OpenAI client with a regular expression in the request."""

    def __init__(self, *answers: str) -> None:
        super().__init__(SimpleNamespace(chat=SimpleNamespace(completions=SimpleNamespace(create=self._create))), "model")
        self.answers, self.requests = list(answers), []

    def _create(self, **request: Any) -> Any:
        self.requests.append(request)
        message = SimpleNamespace(content=self.answers.pop(0), refusal=None)
        return SimpleNamespace(choices=[SimpleNamespace(message=message, finish_reason="stop")])


def picked(engine: OutlinesEngine, choice: Choice) -> int:
    (answer,) = checked(engine.choose([choice], SCENE), [len(choice.candidates)])
    assert answer.mode == "walk"
    assert answer.scores == ()
    assert sorted(answer.probabilities) == [0.0] * (len(choice.candidates) - 1) + [1.0]
    return answer.best


# -- a local model -----------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # outlines-core compiles its kernel by torch.jit
@pytest.mark.parametrize("backend", [pytest.param(None, marks=pytest.mark.slow), "xgrammar"])
def test_a_local_model_walks_to_one_candidate(local, backend):
    engine = OutlinesEngine(local, backend=backend)
    for choice in CHOICES:
        first = picked(engine, choice)
        assert picked(engine, choice) == first


def test_a_dialogue_runs_on_a_local_model(local):
    turn = Dialogue(inn(), engine=OutlinesEngine(local, backend="xgrammar")).reply("sixty for the key")
    assert turn.text in [option.text for option in turn.decision.options]
    assert turn.decision.mode == "walk"
    assert turn.record.versions["engine"].startswith("outlines 1.")


def test_a_message_cannot_end_its_turn(local):
    engine = OutlinesEngine(local)
    assert engine._without_special_tokens("a <|im_end|> b") == "a < |im_end|> b"


def test_generators_are_kept_and_bounded(local, monkeypatch):
    from constrained.engines import outlines as module

    monkeypatch.setattr(module, "MOST_GENERATORS", 2)
    engine = OutlinesEngine(local, backend="xgrammar")
    for choice in (OPTIONS, THREAT, SPAN, OPTIONS):
        engine.choose([choice], SCENE)
    assert list(engine._generators) == [distinct_names(SPAN.candidates), distinct_names(OPTIONS.candidates)]


# -- servers -----------------------------------------------------------------------------------------


def test_a_server_of_json_schemas_is_given_one():
    model = Ollama('{"choice": "rumour"}', '{ "choice" : "no" }')
    engine = OutlinesEngine(model, options={"keep_alive": 60})
    assert picked(engine, OPTIONS) == 1
    assert picked(engine, THREAT) == 1
    asked = model.requests[0]
    assert asked["format"]["properties"]["choice"]["enum"] == ["sell", "rumour", "pardon"]
    assert asked["model"] == "llama3.2"
    assert asked["keep_alive"] == 60
    assert "- rumour: the player asks for news" in asked["messages"][0]["content"]
    assert engine.identity["model"] == "llama3.2"
    assert engine.identity["server"] == "Ollama"


def test_a_server_of_expressions_is_given_a_literal():
    model = Vllm("pardon")
    assert picked(OutlinesEngine(model), OPTIONS) == 2
    assert model.requests[0]["extra_body"]["structured_outputs"]["regex"] == "(sell|rumour|pardon)"


@pytest.mark.parametrize(
    "answer", ["sell", '{"choice": "steal"}', '{"choice": "sell"', "[]", '{"choice": ["sell"]}', '{"choice": "sell", "b": 1}', "", "{}"]
)
def test_an_answer_that_is_no_candidate_is_an_error(answer):
    with pytest.raises(EngineError, match="none of the 3 candidates of 'reply'") as caught:
        OutlinesEngine(Ollama(answer)).choose([OPTIONS], SCENE)
    assert "ignore the constraint" in caught.value.hint


def test_a_literal_answer_is_compared_as_it_is():
    for answer in ("Sell", " sell", "sell\n", "se"):
        with pytest.raises(EngineError, match="none of the 3 candidates"):
            OutlinesEngine(Vllm(answer)).choose([OPTIONS], SCENE)


def test_a_failing_server_is_an_error_of_ours():
    with pytest.raises(EngineError, match=r"Ollama failed: .*connection refused"):
        OutlinesEngine(Ollama(ConnectionError("connection refused"))).choose([OPTIONS], SCENE)


def test_one_candidate_is_not_asked_for():
    model = Ollama()
    assert picked(OutlinesEngine(model), ONE) == 0
    assert not model.requests


def test_a_deadline_is_kept_between_requests():
    with pytest.raises(DeadlineError):
        OutlinesEngine(Ollama()).choose([OPTIONS], SCENE, Deadline.after(-1))


# -- names and prompt --------------------------------------------------------------------------------


@given(st.lists(names, min_size=1, max_size=8))
def test_no_name_is_another_s_or_begins_it(given_names):
    found = distinct_names([Candidate(f"{index}:x", "text", name=name) for index, name in enumerate(given_names)])
    assert len(found) == len(given_names)
    assert not any(one != other and one.startswith(other) for one in found for other in found)
    assert len(set(found)) == len(found)


def test_twins_are_told_apart_by_what_they_say():
    twins = Choice("reply", "option", tuple(Candidate(str(n), f"{n} gold.", "asks the price", name="price") for n in (5, 6)))
    text = prompt(distinct_names(twins.candidates), twins, SCENE)
    assert "- price (1): asks the price (5 gold.)" in text
    assert "- price (2): asks the price (6 gold.)" in text


# -- what is refused ---------------------------------------------------------------------------------


def test_it_is_an_engine_that_only_chooses():
    assert isinstance(OutlinesEngine(Ollama()), Engine)
    assert not isinstance(OutlinesEngine(Ollama()), Extractor)


@pytest.mark.parametrize("model", [object(), "llama", outlines.models.AsyncOllama(SimpleNamespace(), "m")])
def test_other_models_are_refused(model):
    with pytest.raises(EngineError, match="no model of outlines that answers at once") as caught:
        OutlinesEngine(model)
    assert "from_ollama" in caught.value.hint


def test_without_outlines_the_error_names_the_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "outlines", None)
    with pytest.raises(EngineError, match="outlines is not installed") as caught:
        OutlinesEngine(object())
    assert caught.value.hint == "pip install outlines"


def test_a_mask_engine_that_is_not_there_is_an_error_of_ours(local):
    with pytest.raises(EngineError, match="Transformers failed"):
        OutlinesEngine(local, backend="guesswork").choose([OPTIONS], SCENE)
