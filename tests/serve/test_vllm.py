"""A server before vLLM: turns go on by the rules while vLLM is down or hostile, and by the model when it is back."""

from __future__ import annotations

import socket

import pytest

pytest.importorskip("torch", reason="torch is not installed: pip install 'constrained[transformers]'")

from constrained.engines.vllm import VllmEngine
from tests.engines.decoding import tiny
from tests.engines.fake_vllm import HOW, WORDS, serving
from tests.serve.conftest import turn
from tests.serve.test_turns import is_approved


@pytest.fixture
def port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def engine_at(port, **options):
    return VllmEngine("tiny", [f"http://127.0.0.1:{port}"], tokenizer=tiny.bpe(), timeout_s=0.3, **options)


def test_it_is_killed_in_a_conversation_and_comes_back(start, port, policies):
    engine = engine_at(port)
    client = start({"vllm": engine})
    before = turn(client, conversation="c")
    with serving(port=port):
        engine.servers._servers[0].until_s = 0.0
        during = turn(client, conversation="c")
    after = [turn(client, conversation="c") for _ in range(4)]
    with serving(port=port):
        engine.servers._servers[0].until_s = 0.0
        again = turn(client, conversation="c")
    assert [one["source"] for one in (before, *after)] == ["fallback"] * 5
    assert [bool(one["degraded"]) for one in (before, during, *after, again)] == [True, False, True, True, True, True, False]
    assert [bool(one["heard"]) for one in (before, during, *after, again)] == [False, True, False, False, False, False, True]
    assert [one["number"] for one in (before, during, *after, again)] == list(range(1, 8))
    assert all(is_approved(one["text"], policies["library"]) for one in (before, during, *after, again))


@pytest.mark.parametrize("how", HOW)
def test_whatever_vllm_answers_only_approved_words_are_released(start, policies, how):
    with serving() as fake:
        fake.how = how
        client = start({"vllm": VllmEngine("tiny", [fake.url], tokenizer=tiny.bpe(), timeout_s=0.2)})
        found = client.post("/v1/turns", json={"pack": "library", "message": "can I borrow Emma?"})
        assert (found.status_code, found.json()["source"]) == (200, "fallback")
        assert found.json()["effects"] == []
        assert is_approved(found.json()["text"], policies["library"])
        assert WORDS not in found.text
