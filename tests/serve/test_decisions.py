"""``/v1/decisions``: OpenAI's own client, a pack's choice that is not taken, ad-hoc options, errors as the original has them."""

from __future__ import annotations

import httpx
import openai
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from constrained.testing import RandomEngine, ScriptedEngine
from tests.engines.fake_decisions import own_shares, weight
from tests.serve.conftest import TOKEN, running
from tests.serve.test_live import Hanging


class ByName:
    """Weighs an option by its name; keeps what it was asked."""

    identity = {"engine": "by name"}  # noqa: RUF012  # as an engine's may be

    def choose(self, choices, scene, deadline=None):
        from constrained.engines.protocol import Decoding, Distribution

        self.choices, self.scene = choices, scene
        told = Decoding(n_tokens=5)
        weights = [[weight(one.name) for one in choice.candidates] for choice in choices]
        return [Distribution(tuple(one / sum(row) for one in row), "exact", decoding=told) for row in weights]


BY_NAME = ByName()
PAID = {"wish": "pay", "offer": 2, "reply": "paid"}


@pytest.fixture(scope="module")
def server(policies):
    engines = {"scripted": ScriptedEngine(lambda message: PAID), "by_name": BY_NAME, "random": RandomEngine(4), "hanging": Hanging()}
    with running(policies, engines) as found:
        yield found


@pytest.fixture(scope="module")
def client(server):
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key=TOKEN, http_client=httpx.Client(trust_env=False), max_retries=0) as found:
        yield found


REPLY = {"type": "choice", "name": "reply", "instructions": "What is said?"}
TOPIC = {"type": "choice", "instructions": "What is it about?", "choices": [{"value": "fine", "description": "a debt"}, {"value": "hours"}]}


# -- ad-hoc options ----------------------------------------------------------------------------------------------------


def test_every_kind_of_question_is_answered_in_its_order(client):
    questions = [
        {**TOPIC, "name": "topic"},
        {"type": "predicate", "instructions": "Is it urgent?"},
        {
            "type": "score",
            "name": "anger",
            "instructions": "How angry?",
            "levels": [{"label": "calm"}, {"label": "cross"}, {"label": "wild"}],
        },
        {"type": "choice", "name": "sure", "instructions": "?", "choices": [{"value": True}, {"value": "true"}, {"value": False}]},
    ]
    found = client.decisions.create(model="by_name", input="What do I owe?", questions=questions)
    topic, urgent, anger, sure = found.answers
    told = own_shares(["fine", "hours"])
    assert {one.value: one.probability for one in topic.probabilities} == pytest.approx(told)
    assert (topic.name, topic.choice) == ("topic", max(told, key=told.get))
    assert (urgent.type, urgent.name, urgent.probability) == ("predicate", None, pytest.approx(own_shares(["yes", "no"])["yes"]))
    levels = own_shares(["calm", "cross", "wild"])
    assert [(one.value, one.label) for one in anger.probabilities] == [(0, "calm"), (1, "cross"), (2, "wild")]
    assert anger.score == pytest.approx(levels["cross"] + 2 * levels["wild"])
    assert [one.value for one in sure.probabilities] == [True, "true", False]
    assert (found.model, found.usage.input_tokens, found.usage.total_tokens, found.usage.output_tokens) == ("by_name", 20, 20, 0)


def test_messages_and_json_are_read(client):
    parts = [{"type": "input_text", "text": "and this:"}, {"type": "input_json", "data": {"owed": 5}}]
    said = [
        {"role": "developer", "content": "It is Monday."},
        {"role": "user", "content": "good day"},
        {"role": "assistant", "content": [{"type": "output_text", "text": "Good day."}]},
        {"role": "user", "content": parts},
    ]
    client.decisions.create(model="by_name", input=said, questions=[TOPIC], safety_identifier="x", prompt_cache_key="y")
    scene = BY_NAME.scene
    assert (scene.state, scene.message) == ("It is Monday.", 'and this: {"owed": 5}')
    assert scene.history == (("user", "good day"), ("reply", "Good day."))
    assert [one.when for one in BY_NAME.choices[0].candidates] == ["a debt", "hours"]


def test_a_pack_answers_ad_hoc_options_by_its_engine(client):
    found = client.decisions.create(model="library@by_name", input="hello", questions=[TOPIC])
    assert {one.value: one.probability for one in found.answers[0].probabilities} == pytest.approx(own_shares(["fine", "hours"]))


# -- a pack's own choice -------------------------------------------------------------------------------------------------


def test_a_pack_decides_by_the_ids_of_what_it_may_say(client, server):
    before = server.app.state.service.turns.journal.last
    found = client.decisions.create(
        model="library", input="here are 2 euros", questions=[REPLY, REPLY | {"name": None}], extra_body={"state": {"owed": "5"}}
    )
    reply, again = found.answers
    assert (reply.name, reply.choice, again.choice) == ("reply", "paid", "paid")
    told = {one.value: one.probability for one in reply.probabilities}
    assert sum(told.values()) == pytest.approx(1.0)
    assert told["paid"] == max(told.values())
    assert "Thank you" not in found.model_dump_json(), "no text leaves"
    assert server.app.state.service.turns.journal.last == before, "nothing is recorded"
    owed = client.decisions.create(
        model="library@by_name", input="here are 2 euros", questions=[REPLY], extra_body={"state": {"owed": "0"}}
    )
    assert "paid" not in {one.value for one in owed.answers[0].probabilities}, "the logic does not allow it"


@settings(max_examples=10, deadline=None)
@given(message=st.sampled_from(["hello", "do I owe anything?", "is there somewhere quiet?", "", "x" * 1_999]), owed=st.integers(0, 9))
def test_what_a_pack_decides_is_what_a_turn_says(server, client, message, owed):
    asked = {"pack": "library", "engine": "by_name", "message": message, "state": {"owed": str(owed)}, "effects": "hand_over"}
    taken = httpx.post(f"{server.url}/v1/turns", json=asked, headers={"Authorization": f"Bearer {TOKEN}"}, trust_env=False).json()
    body = {"state": {"owed": str(owed)}}
    found = client.decisions.create(model="library@by_name", input=message, questions=[REPLY], extra_body=body).answers[0]
    assert found.choice == taken["response_id"]
    assert {one.value for one in found.probabilities} >= {one["id"] for one in taken["decision"]["options"]}


def test_what_was_said_before_counts(client, policies):
    welcome = policies["library"].catalog["welcome"].texts["en"].literal
    said = [{"role": "user", "content": "hello"}, {"role": "assistant", "content": welcome}, {"role": "user", "content": "hello"}]
    first, second = (client.decisions.create(model="library@by_name", input=one, questions=[REPLY]).answers[0] for one in ("hello", said))
    assert "welcome" in {one.value for one in first.probabilities}
    assert "welcome" not in {one.value for one in second.probabilities}, "it is offered once in a conversation"


# -- errors --------------------------------------------------------------------------------------------------------------

MANY = [{"value": str(at)} for at in range(256)]
IMAGE = [{"role": "user", "content": [{"type": "input_image", "image_url": "data:image/png;base64,AA"}]}]
WRONG = {
    "no question": {"questions": []},
    "too many questions": {"questions": [TOPIC] * 401},
    "one choice": {"questions": [{**TOPIC, "choices": [{"value": "a"}]}]},
    "too many choices": {"questions": [{**TOPIC, "choices": MANY}]},
    "a choice twice": {"questions": [{**TOPIC, "choices": [{"value": "a"}, {"value": "a"}]}]},
    "a number as a choice": {"questions": [{**TOPIC, "choices": [{"value": 1}, {"value": "a"}]}]},
    "eleven levels": {"questions": [{"type": "score", "instructions": "?", "levels": [{"label": "a"}] * 11}]},
    "another type": {"questions": [{"type": "noul", "instructions": "?"}]},
    "an unknown field": {"questions": [{**TOPIC, "threshold": 1}]},
    "an image": {"input": IMAGE},
    "a tool call": {"input": [{"type": "function_call", "call_id": "a", "name": "f", "arguments": "{}"}]},
    "the assistant last": {"input": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]},
    "too long": {"input": "x" * 2_001},
    "an engine's own options": {"questions": [REPLY]},
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_a_wrong_request_is_refused_as_openai_does(client, wrong):
    with pytest.raises(openai.BadRequestError) as error:
        client.decisions.create(**{"model": "by_name", "input": "hello", "questions": [TOPIC], **wrong})
    assert error.value.type == "invalid_request_error"
    assert error.value.param.split(".")[0] in ("input", "questions")


def test_a_model_that_is_not_there_or_cannot_answer(client):
    for name in ("gpt-6-luna", "library@gpt-6-luna", "nowhere@random"):
        with pytest.raises(openai.NotFoundError) as error:
            client.decisions.create(model=name, input="hello", questions=[TOPIC])
        assert (error.value.code, error.value.param, error.value.type) == ("model_not_found", "model", "invalid_request_error")
    for name, question in (("rules", TOPIC), ("library@rules", REPLY)):
        with pytest.raises(openai.InternalServerError) as failed:
            client.decisions.create(model=name, input="hello", questions=[question])
        assert failed.value.status_code == 503
    with pytest.raises(openai.UnprocessableEntityError):
        client.decisions.create(model="library", input="hello", questions=[REPLY], extra_body={"state": {"none": 1}})


@pytest.mark.parametrize("question", [TOPIC, REPLY])
def test_more_haste_than_can_be_made(client, question):
    with pytest.raises(openai.APIStatusError) as error:
        client.decisions.create(model="library@hanging", input="hello", questions=[question], extra_body={"within": 0.05})
    assert error.value.status_code == 408


def test_a_state_of_systemone_that_would_be_cut_is_refused(server):
    asked = {"model": "by_name", "state": "x" * 2_001, "questions": {"urgent": {"type": "noul", "instructions": "Is it urgent?"}}}
    found = httpx.post(f"{server.url}/v1/systemone", json=asked, headers={"Authorization": f"Bearer {TOKEN}"}, trust_env=False)
    assert (found.status_code, found.json()["error"]["param"]) == (422, "state")
