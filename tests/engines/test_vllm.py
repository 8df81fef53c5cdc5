"""The engine over HTTP: the same scores as in this process, other servers when one fails, and no harm from a hostile one."""

from __future__ import annotations

import contextlib
import logging
import math
import subprocess
import sys
import threading

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from constrained import Dialogue
from constrained.engines.decoding.direct_rule import Direct
from constrained.engines.decoding.rules import Channel
from constrained.engines.protocol import Candidate, Choice, Deadline, Engine
from constrained.engines.transformers import TransformersEngine
from constrained.engines.vllm import RemoteDirect, VllmEngine
from constrained.engines.vllm_servers import MOST_IDS, MOST_PROMPTS, N_FAILURES, HttpFailure, NextTokenQuery, VllmServers, read_answer
from constrained.errors import DeadlineError, EngineError
from tests.engines.asked import CHOICES, OPTIONS, SCENE, inn
from tests.engines.decoding import tiny
from tests.engines.fake_vllm import HOW, SPOILT, WORDS, MadeUp, serving
from tests.strategies import messages

TOLERANCE_NATS = 1e-3
PROBE = (1, 2, 3, 4)


def telling(network):
    """What the tiny network says after a prompt, one row at a time."""

    @torch.inference_mode()
    def tell(prompt):
        return network(torch.tensor([list(prompt)])).logits[0, -1].double().log_softmax(-1).tolist()

    return tell


@pytest.fixture(scope="module")
def fake(network):
    tokenizer = tiny.bpe()
    with serving(telling(network), lambda text: tokenizer(text, add_special_tokens=False)["input_ids"]) as server:
        yield server


def engine_at(*fakes, **options):
    return VllmEngine("tiny", [one.url for one in fakes], tokenizer=tiny.bpe(), **options)


@pytest.fixture
def at():
    """``at(fake, rule=...)``: an engine that is closed after the test."""
    made = []

    def make(*fakes, **options):
        made.append(engine_at(*fakes, **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


PAIRS = [
    (Channel(), Channel()),
    (Channel(words=0.0), Channel(words=0.0)),
    (RemoteDirect(), Direct("key")),
    (RemoteDirect("text"), Direct("text")),
    (RemoteDirect("when"), Direct("when")),
]


@pytest.mark.parametrize(("remote", "local"), PAIRS, ids=[one.name for one, _ in PAIRS])
def test_its_scores_are_those_of_the_engine_in_this_process(network, fake, at, remote, local):
    here = TransformersEngine.around(network, tiny.bpe(), rule=local).choose(CHOICES, SCENE)
    engine = at(fake, rule=remote)
    there = engine.choose(CHOICES, SCENE)
    assert isinstance(engine, Engine)
    assert remote.name == local.name
    assert [one.mode for one in there] == [one.mode for one in here]
    for mine, other in zip(there, here, strict=True):
        assert mine.scores == pytest.approx(other.scores, abs=TOLERANCE_NATS)
        assert mine.probabilities == pytest.approx(other.probabilities, abs=TOLERANCE_NATS)


def test_it_needs_no_torch():
    """docs/scale.md: ``constrained[vllm]`` brings a tokenizer and no torch."""
    code = "import sys; sys.modules['torch'] = None; import constrained.engines.vllm"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_search_of_a_large_trie_finds_the_same_best_candidate_for_less(network, fake, at):
    words = "the key is yours for fifty gold pieces and a rumour"
    texts = [f"{words[index % 7 :]} {index}" for index in range(24)]
    choice = Choice("reply", "option", tuple(Candidate(f"{index}:c", text, name=f"c{index}") for index, text in enumerate(texts)))
    whole = at(fake, rule=RemoteDirect("text", budget=10_000)).choose([choice], SCENE)[0]
    part = at(fake, rule=RemoteDirect("text", budget=60)).choose([choice], SCENE)[0]
    assert (whole.mode, part.mode) == ("exact", "bounded")
    exact = np.asarray(whole.scores)
    assert part.decoding.n_expanded < whole.decoding.n_expanded
    assert part.decoding.gap < 0 or part.best == whole.best
    assert part.scores[part.best] == pytest.approx(exact[part.best], abs=TOLERANCE_NATS)


def test_many_candidates_are_read_as_far_as_they_share_words(fake, at):
    choice = Choice("reply", "option", tuple(Candidate(f"{index}:c", f"text {index}", f"case {index}") for index in range(40)))
    answer = at(fake).choose([choice], SCENE)[0]
    assert (answer.mode, len(answer.probabilities), answer.decoding.n_exact) == ("refine", 40, 32)


def test_a_message_of_no_tokens_tells_nothing(network, fake, at):
    import dataclasses

    silent = dataclasses.replace(SCENE, message="")
    here = TransformersEngine.around(network, tiny.bpe()).choose(CHOICES, silent)
    assert [one.scores for one in at(fake).choose(CHOICES, silent)] == [pytest.approx(one.scores, abs=TOLERANCE_NATS) for one in here]


def test_no_choice_asks_nothing(fake, at):
    n_before = len(fake.paths)
    assert at(fake).choose([], SCENE) == []
    assert len(fake.paths) == n_before


def test_priors_are_asked_for_once(fake, at):
    engine = at(fake, rule=RemoteDirect())
    engine.choose(CHOICES, SCENE)
    n_first = len(fake.log)
    engine.choose(CHOICES, SCENE)
    again = len(fake.log) - n_first
    engine.choose(CHOICES, SCENE)
    assert len(fake.log) - n_first == 2 * again
    assert again < n_first


# -- requests --------------------------------------------------------------------------------------------------


@settings(max_examples=20)
@given(st.lists(st.tuples(st.lists(st.integers(0, 999), max_size=5), st.sets(st.integers(0, 999), min_size=1, max_size=300)), max_size=90))
def test_any_questions_are_answered_in_their_order(steady, questions):
    server, servers = steady
    server.log.clear()
    asked = [NextTokenQuery(tuple(prompt), tuple(sorted(tokens))) for prompt, tokens in questions]
    expected = [tuple(MadeUp(one.prompt)[token] for token in one.tokens) for one in asked]
    assert servers.ask(asked) == [pytest.approx(row) for row in expected]
    for body in server.log:
        assert len(body["prompt"]) <= MOST_PROMPTS
        assert len(body["logprob_token_ids"]) == len(set(body["logprob_token_ids"])) <= MOST_IDS
        assert body["logprob_token_ids"] == body["allowed_token_ids"]
        assert body["max_tokens"] == 1


@pytest.fixture(scope="module")
def steady():
    with serving() as server:
        servers = VllmServers([server.url], "m", probe=PROBE)
        yield server, servers
        servers.close()


def test_it_says_who_asks(steady):
    seen = []
    server, _ = steady
    servers = VllmServers([server.url], "m", probe=PROBE, api_key="key")
    send = servers._http.send
    servers._http.send = lambda *arguments, **options: seen.append(arguments[3]) or send(*arguments, **options)
    servers.ask([NextTokenQuery((1,), (2,))])
    servers.close()
    assert all(one == {"Authorization": "Bearer key"} for one in seen)


names = st.sampled_from(["choices", "index", "logprobs", "top_logprobs", "token_id:1"]) | st.text(max_size=5)
json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=12,
)


@settings(max_examples=300)
@given(json_values)
def test_whatever_json_comes_it_is_refused_or_numbers(found):
    with contextlib.suppress(HttpFailure):
        (row,) = read_answer(found, [NextTokenQuery((1,), (1,))], frozenset([1]))
        assert math.isfinite(row[0])
        assert row[0] <= 1e-3


@given(index=json_values | st.just(0), value=json_values | st.integers(-(10**400), 10**400) | st.floats(max_value=0.0))
def test_in_an_answer_of_the_right_form_any_index_and_number_is_refused_or_finite(index, value):
    found = {"choices": [{"index": index, "logprobs": {"top_logprobs": [{"token_id:1": value}]}}]}
    with contextlib.suppress(HttpFailure):
        ((number,),) = read_answer(found, [NextTokenQuery((1,), (1,))], frozenset([1]))
        assert math.isfinite(1_000 * number)
        assert number <= 1e-3


# -- servers that fail -----------------------------------------------------------------------------------------


def quick(*fakes, clock=None, **options):
    options = {"probe": PROBE, "timeout_s": 0.3, **options, **({"clock": clock} if clock else {})}
    return VllmServers([one.url for one in fakes], "m", **options)


ASKED = [NextTokenQuery((5, 6), (7, 8)), NextTokenQuery((5,), (9,))]


@pytest.mark.parametrize("how", HOW)
def test_another_server_answers_when_one_does_wrong(how, caplog):
    with serving() as bad, serving() as good:
        bad.how = how
        servers = quick(bad, good)
        expected = [tuple(MadeUp(one.prompt)[token] for token in one.tokens) for one in ASKED]
        with caplog.at_level(logging.WARNING):
            for _ in range(4):
                assert servers.ask(ASKED) == [pytest.approx(row) for row in expected]
        servers.close()
    assert "vLLM server 1" in caplog.text
    assert WORDS not in caplog.text


@pytest.mark.parametrize("how", HOW)
def test_alone_it_is_an_engine_error_and_never_a_word(how):
    with serving() as bad:
        bad.how = how
        servers = quick(bad)
        with pytest.raises(EngineError) as caught:
            servers.ask(ASKED)
        servers.close()
    assert WORDS not in str(caught.value)


@pytest.mark.parametrize("how", SPOILT)
def test_a_server_that_turns_hostile_is_not_believed_any_more(how):
    if how == "masked":
        pytest.skip("a known server's settings do not change while it runs; a restarted one is tried out again")
    with serving() as server:
        servers = quick(server)
        servers.ask(ASKED)
        server.how = how
        with pytest.raises(EngineError):
            servers.ask(ASKED)
        servers.close()


def test_a_server_that_fails_is_left_alone_then_tried_by_one_and_taken_back():
    now = [0.0]
    with serving() as server:
        servers = quick(server, clock=lambda: now[0])
        server.how = "HTTP 500"
        for _ in range(N_FAILURES):
            with pytest.raises(EngineError):
                servers.ask(ASKED)
        n_paths = len(server.paths)
        with pytest.raises(EngineError):
            servers.ask(ASKED)
        assert len(server.paths) == n_paths, "nobody asks it"
        server.how = ""
        now[0] += 100
        assert len(servers.ask(ASKED)) == 2
        assert len(servers.ask(ASKED)) == 2
        servers.close()


def test_a_tokenizer_that_is_another_one_is_not_believed():
    with serving(tokenize=lambda text: [1, 2, 3]) as server:
        servers = quick(server, tokenizer=("words", (1, 2, 4)))
        with pytest.raises(EngineError):
            servers.ask(ASKED)
        servers.close()
        servers = quick(server, tokenizer=("words", (1, 2, 3)))
        assert servers.ask(ASKED)
        servers.close()


def test_nothing_listens():
    servers = VllmServers(["http://127.0.0.1:9"], "m", probe=PROBE, timeout_s=0.3)
    with pytest.raises(EngineError):
        servers.ask(ASKED)
    servers.close()


def test_a_deadline_is_kept_though_a_server_hangs_and_proves_nothing_against_it():
    with serving() as server:
        servers = quick(server, timeout_s=30.0)
        servers.ask(ASKED)
        for how in ("hangs", "drips the head", "drips the body"):
            server.how = how
            with pytest.raises(DeadlineError):
                servers.ask(ASKED, Deadline.after(0.05))
        server.how = ""
        assert servers.ask(ASKED, Deadline.after(30))
        servers.close()


# -- in a conversation -----------------------------------------------------------------------------------------


def approved(turn, dialogue):
    return turn.text == turn.record.text and turn.text in {option.text for option in turn.decision.options}


@settings(max_examples=5)
@given(message=messages)
def test_any_message_gets_an_approved_reply(fake, message):
    engine = engine_at(fake)
    dialogue = Dialogue(inn(), engine=engine)
    assert approved(dialogue.reply(message), dialogue)
    engine.close()


@pytest.mark.parametrize("how", HOW)
def test_a_hostile_server_gets_nothing_out_and_the_conversation_goes_on(fake, how):
    with serving(fake.tell, fake.tokenize) as server:
        engine = engine_at(server, timeout_s=0.3)
        dialogue = Dialogue(inn(), engine=engine)
        assert dialogue.reply("hello").decision.mode == "exact"
        server.how = how
        if how == "masked":  # seen only when a server is tried out anew
            assert approved(dialogue.reply("any news?"), dialogue)
        else:
            with pytest.raises(EngineError) as caught:
                dialogue.reply("any news?", within=5)
            assert WORDS not in str(caught.value)
        server.how = ""
        assert approved(dialogue.reply("any news?"), dialogue)
        engine.close()


def test_conversations_ask_at_once(fake, at):
    engine, found = at(fake), []
    expected = engine.choose([OPTIONS], SCENE)
    threads = [threading.Thread(target=lambda: found.append(engine.choose([OPTIONS], SCENE))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [[one.scores for one in row] for row in found] == [[pytest.approx(one.scores, abs=TOLERANCE_NATS) for one in expected]] * 8


def test_it_needs_a_server_and_a_tokenizer():
    with pytest.raises(EngineError, match="at least one server"):
        VllmEngine("m", [], tokenizer=tiny.bpe())
    with pytest.raises(EngineError, match="no-such-model"):
        VllmEngine("no-such-model-anywhere", ["http://127.0.0.1:9"])
    with pytest.raises(EngineError, match="surface"):
        RemoteDirect("words")
