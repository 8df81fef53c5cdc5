"""Decision models: what is asked, what is believed, blocks merged exactly or refused, faults, this library's own server."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from constrained import Dialogue
from constrained.engines.cascade import Cascade, Stage
from constrained.engines.decision_models import (
    DecisionsEngine,
    MergedBlocks,
    SystemoneEngine,
    option_values,
    read_shares,
    systemone_state,
)
from constrained.engines.http import HttpFailure
from constrained.engines.protocol import Candidate, Choice, Deadline, Distribution
from constrained.errors import DeadlineError, EngineError
from tests.engines.asked import CHOICES, OPTIONS, SCENE, SPAN
from tests.engines.fake_decisions import MATRIX, FakeDecisions, own_shares
from tests.engines.fake_vllm import WORDS, serving
from tests.serve.conftest import TOKEN, running, turn
from tests.serve.test_turns import is_approved

ENGINES = [DecisionsEngine, SystemoneEngine]
DOCS = Path(__file__).parents[2] / "docs" / "decision_models.md"


@pytest.fixture(scope="module")
def fake():
    with serving(fake=FakeDecisions()) as found:
        yield found


OPEN = []


@pytest.fixture(autouse=True)
def _sound(fake):
    fake.how, fake.tell_shares = "", own_shares
    fake.log.clear()
    yield
    while OPEN:
        OPEN.pop().close()


def made(kind, fake, **options):
    OPEN.append(kind("model-1", fake.url, **{"timeout_s": 20.0, **options}))
    return OPEN[-1]


def choice_of(n):
    return Choice("many", "heard", tuple(Candidate(str(at), f"text {at}", name=f"name {at}") for at in range(n)), "Which?")


# -- what is asked, what is believed ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ENGINES)
def test_each_option_gets_the_probability_that_the_server_tells(fake, kind):
    found = made(kind, fake).choose(CHOICES, SCENE)
    for choice, answer in zip(CHOICES[:3], found, strict=False):
        told = own_shares(option_values(choice.candidates))
        assert answer.probabilities == pytest.approx(tuple(told.values()))
        assert answer.decoding.n_tokens == 7
    assert found[3].probabilities == (1.0,), "of a single candidate nothing is asked"
    assert len(fake.log) == 1, "all in one request"


@pytest.mark.parametrize("kind", ENGINES)
def test_the_conversation_and_the_message_are_sent_and_not_the_state(fake, kind):
    made(kind, fake).choose([OPTIONS], SCENE)
    sent = str(fake.log[0])
    assert all(text in sent for text in (SCENE.message, "Brom, the innkeeper: Good evening.", "User: hello", "buy the key", "model-1"))
    assert not any(text in sent for text in (SCENE.state, SCENE.rules))


@given(st.lists(st.text("ab", max_size=900), max_size=6), st.text("xy", max_size=2_000))
def test_of_a_long_conversation_the_oldest_lines_are_left_out_of_a_state(lines, message):
    scene = replace(SCENE, history=tuple(("user", line) for line in lines), message=message)
    text = systemone_state(scene)
    assert len(text) <= 2_000
    assert text.endswith(message)
    kept = text.removesuffix(message).removesuffix("User: ").split("\n")[:-1]
    assert kept == [f"User: {line}" for line in lines][len(lines) - len(kept) :]


def test_options_without_names_of_their_own_are_called_by_their_keys():
    assert option_values(SPAN.candidates) == ["60", "50", "none"]
    twins = (Candidate("0:paid", "1 euro", name="paid"), Candidate("1:paid", "2 euros", name="paid"))
    assert option_values(twins) == ["0:paid", "1:paid"]


SHARES = st.lists(st.floats(0.0, 1.0), min_size=2, max_size=5)


@given(SHARES, st.integers(0, 4))
def test_numbers_are_believed_where_they_are_a_distribution_and_nowhere_else(shares, best):
    values = [str(at) for at in range(len(shares))]
    told, chosen = dict(zip(values, shares, strict=True)), str(best)
    is_sound = abs(math.fsum(shares) - 1) <= 1e-3 and best < len(shares) and shares[best] >= max(shares) - 1e-3
    if is_sound:
        assert math.fsum(read_shares(values, told, chosen)) == pytest.approx(1.0, abs=1e-12)
    else:
        with pytest.raises(HttpFailure):
            read_shares(values, told, chosen)


# -- more options than a server takes --------------------------------------------------------------------------------

WEIGHTS = st.lists(st.floats(1e-12, 1.0), min_size=1, max_size=40)


@given(WEIGHTS, st.integers(3, 9))
def test_blocks_are_merged_into_the_distribution_over_all_options(weights, most):
    merged = MergedBlocks(choice_of(len(weights)), most)
    while not merged.is_complete:
        block = merged.next_block()
        assert len(block) <= most
        whole = math.fsum(weights[index] for index in block)
        merged.add(block, [weights[index] / whole for index in block])
    whole = math.fsum(weights)
    assert merged.probabilities() == pytest.approx([one / whole for one in weights], abs=1e-9)


@given(WEIGHTS, st.integers(3, 9), st.lists(st.floats(-1e-6, 1e-6), min_size=100, max_size=100))
def test_an_error_of_the_numbers_stays_as_small_as_it_is(weights, most, errors):
    merged, noise = MergedBlocks(choice_of(len(weights)), most), iter(errors * 4)
    while not merged.is_complete:
        block = merged.next_block()
        whole = math.fsum(weights[index] for index in block)
        merged.add(block, [max(0.0, weights[index] / whole + next(noise)) for index in block])
    whole = math.fsum(weights)
    assert merged.probabilities() == pytest.approx([one / whole for one in weights], abs=1e-3)


@pytest.mark.parametrize("kind", ENGINES)
def test_a_choice_of_many_options_is_refused_or_merged(fake, kind):
    choice = choice_of(23)
    with pytest.raises(EngineError, match=r"'many' has 23 options, the decision model takes 7: .* no common scale"):
        made(kind, fake, most_options=7).choose([OPTIONS, choice], SCENE)
    assert fake.log == [], "it is refused before anything is sent"
    first, second = made(kind, fake, most_options=7, scores_options_alone=True, most_questions=1).choose([OPTIONS, choice], SCENE)
    assert second.probabilities == pytest.approx(tuple(own_shares([f"name {at}" for at in range(23)]).values()))
    assert first.probabilities == pytest.approx(tuple(own_shares(["sell", "rumour", "pardon"]).values()))
    assert len(fake.log) == 6  # 3 options; 7, then 5 more each


def test_a_server_whose_scores_depend_on_the_other_options_is_found_out(fake):
    def by_place(values):  # likes what stands first
        return {value: 2.0**-at / (2 - 2.0 ** (1 - len(values))) for at, value in enumerate(values)}

    def by_size(values):  # shares that get flatter with more options
        powers = [(1 + int(value.split()[1])) ** (1 / len(values)) for value in values]
        return {value: power / math.fsum(powers) for value, power in zip(values, powers, strict=True)}

    for fake.tell_shares in (by_place, by_size):
        engine = made(SystemoneEngine, fake, most_options=7, scores_options_alone=True)
        if fake.tell_shares is by_place:
            engine.choose([choice_of(7)], SCENE)  # one block is what it is
        with pytest.raises(EngineError, match="cannot be merged"):
            engine.choose([choice_of(9 if fake.tell_shares is by_size else 23)], SCENE)


@pytest.mark.parametrize("options", [{"most_options": 2}, {"most_questions": 0}])
def test_sizes_that_cannot_be_are_refused(options):
    with pytest.raises(EngineError):
        SystemoneEngine("m", "http://127.0.0.1:1", **options)
    with pytest.raises(EngineError, match="http"):
        SystemoneEngine("m", "127.0.0.1:1")


# -- faults ----------------------------------------------------------------------------------------------------------

LATE = ("hangs", "drips the head", "drips the body")


@pytest.mark.parametrize("how", MATRIX)
@pytest.mark.parametrize("kind", ENGINES)
def test_a_fault_is_a_typed_error_without_a_word_of_the_server(fake, kind, how):
    engine = made(kind, fake, timeout_s=0.2 if how in LATE else 20.0)
    fake.how = how
    with pytest.raises(EngineError, match=re.escape(MATRIX[how]) or None) as error:
        engine.choose([OPTIONS], SCENE)
    assert WORDS not in str(error.value)
    fake.how = ""
    assert engine.choose([OPTIONS], SCENE)[0].probabilities, "the next request is asked as if nothing had been"


@pytest.mark.parametrize("how", MATRIX)
@pytest.mark.parametrize("kind", ENGINES)
def test_at_a_fault_a_server_goes_on_by_the_rules(fake, desk, kind, how):
    desk.engine = made(kind, fake, timeout_s=0.2 if how in LATE else 20.0)
    fake.how = how
    found = turn(desk.client, "here are 2 euros", state={"owed": "5"})
    assert (found["source"], bool(found["degraded"]), found["effects"]) == ("fallback", True, [])
    assert is_approved(found["text"], desk.policy)
    assert WORDS not in str(found)


class Desk:
    """A server of this library whose engine is set from test to test."""

    is_concurrent = True
    identity = {"engine": "decisions"}  # noqa: RUF012  # as an engine's may be

    def choose(self, choices, scene, deadline=None):
        return self.engine.choose(choices, scene, deadline)


@pytest.fixture(scope="module")
def desk(library):
    from starlette.testclient import TestClient

    from constrained.serve.app import create_app
    from constrained.serve.packs import Packs
    from tests.serve.conftest import settings

    found = Desk()
    found.policy = library
    with TestClient(
        create_app(settings(), Packs({"library": library}), {"d": found}), headers={"Authorization": f"Bearer {TOKEN}"}
    ) as client:
        found.client = client
        yield found


@pytest.mark.parametrize("kind", ENGINES)
@pytest.mark.parametrize("how", LATE)
def test_the_deadline_of_a_turn_cuts_a_request_short(fake, kind, how):
    fake.how = how
    with pytest.raises(DeadlineError):
        made(kind, fake).choose([OPTIONS], SCENE, Deadline.after(0.1))


def test_a_cascade_hands_on_to_a_decision_model_and_tells_of_its_fault(fake):
    cascade = Cascade([Stage(ByName(), threshold=1.0), Stage(made(SystemoneEngine, fake))])
    assert cascade.choose([OPTIONS], SCENE)[0].probabilities == pytest.approx(tuple(own_shares(["sell", "rumour", "pardon"]).values()))
    fake.how = "NaN"
    with pytest.raises(EngineError, match="no JSON"):
        cascade.choose([OPTIONS], SCENE)


def test_the_documentation_has_the_matrix():
    rows = re.findall(r"^\| ([^|]+?) \| (?:EngineError|DeadlineError)", DOCS.read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(one for row in rows for one in row.split("; ")) == sorted(MATRIX)


# -- this library's own server ---------------------------------------------------------------------------------------


class ByName:
    """Weighs an option by its name."""

    identity = {"engine": "by name"}  # noqa: RUF012

    def choose(self, choices, scene, deadline=None):
        return [Distribution(tuple(own_shares([one.name for one in choice.candidates]).values()), "exact") for choice in choices]


@pytest.fixture(scope="module")
def own(library):
    with running({"library": library}, {"by name": ByName()}) as server:
        yield server


@pytest.mark.parametrize("kind", ENGINES)
def test_a_dialogue_asks_the_librarys_own_server(own, library, kind):
    engine, stranger = kind("by name", own.url, api_key=TOKEN), kind("by name", own.url, api_key="wrong")
    OPEN.extend([engine, stranger])
    local, remote = Dialogue(library, engine=ByName()), Dialogue(library, engine=engine)
    for message in ("hello", "when do you close?", "can I borrow Emma?", "bye"):
        here, there = local.reply(message), remote.reply(message)
        assert there.text == here.text
        assert there.decision.probabilities == pytest.approx(here.decision.probabilities)
    assert there.record.versions["engine"] in ("decisions", "systemone")
    with pytest.raises(EngineError, match="HTTP 401"):
        Dialogue(library, engine=stranger).reply("hello")


def test_what_is_asked_is_what_other_servers_take(fake):
    """The strict types of this library's server refuse a field that the formats do not have."""
    made(DecisionsEngine, fake).choose(CHOICES, SCENE)
    from constrained.serve.decisions import DecisionRequest

    assert DecisionRequest.model_validate(fake.log[0])
    roles = {one["role"] for one in fake.log[0]["input"]}
    assert roles == {"user"}, "vLLM and LiteLLM know no other"
    openai = pytest.importorskip("openai")
    answer = httpx.post(f"{fake.url}/v1/decisions", json=fake.log[0], trust_env=False).json()
    answer["usage"] |= {"total_tokens": 7, "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0}}
    answer["usage"]["output_tokens_details"] = {"reasoning_tokens": 0}
    assert [one.type for one in openai.types.Decision.model_validate(answer).answers] == ["choice"] * 3
