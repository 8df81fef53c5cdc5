"""Reinforcement on the tiny model: the gradient is the exact one, rewards of later turns reach earlier choices, replies stay approved."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from constrained import State, policy, say
from constrained.catalog.load import catalog_from
from constrained.engines.decoding.encoder import LanguageStates
from constrained.errors import TuningError
from constrained.quality.training import Learner, Settings, rows_of
from constrained.quality.tuning import Episode, _EpisodeTurn, _objective, reinforce
from constrained.testing import ScriptedEngine
from tests.quality.tuning.conftest import EXAMPLES, desk, engine

EARS = ScriptedEngine({})


def learner_of(pack: Any) -> Learner:
    made = engine()
    torch.manual_seed(0)
    small = Settings(rank=4, alpha=8, dropout=0.0, scale=3.0)
    return Learner(LanguageStates(made.reader.model, made.reader.tokens), rows_of(pack.catalog), small)


def test_what_is_graded_well_comes_to_be_chosen() -> None:
    pack = desk()
    learner = learner_of(pack)
    found = reinforce(
        pack, learner, EARS, [Episode(("good evening",))], lambda turn: float(turn.response_id == "rumour"), rounds=30, rate=1e-3
    )
    assert found[-1].reward > found[0].reward + 0.4  # cosines end at 1, so chances do before that
    assert [one.number for one in found] == list(range(1, 31))


def test_the_same_seed_gives_the_same_rounds() -> None:
    rounds = []
    for _ in range(2):
        pack = desk()
        rounds.append(reinforce(pack, learner_of(pack), EARS, [Episode(("hello", "a key"))], lambda turn: len(turn.text) / 30, rounds=3))
    assert rounds[0] == rounds[1]


def test_every_option_is_graded_and_only_approved_words_are() -> None:
    pack = desk()
    seen: set[str] = set()

    def reward(turn: Any) -> float:
        seen.add(turn.text)
        return 0.0

    reinforce(pack, learner_of(pack), EARS, [Episode(("good evening",))], reward, rounds=1)
    assert seen == {f"This is about {name}." for name in EXAMPLES} | {"What was that?"}


def test_the_objective_of_one_turn_is_its_expected_reward() -> None:
    scores = torch.tensor([0.3, -1.0, 2.0], requires_grad=True)
    rewards = torch.tensor([1.0, 5.0, -2.0])
    _objective([_EpisodeTurn(scores.log_softmax(0), rewards, 0)], 1.0, {}).backward()
    shares = scores.detach().softmax(0)
    expected = shares * (rewards - (shares * rewards).sum())  # the policy gradient, by hand
    assert torch.allclose(scores.grad, expected, atol=1e-6)


def test_on_average_the_sampled_part_is_the_gradient_of_what_comes_later() -> None:
    """Two turns; the first choice decides what the second is worth. Averaged over what is said, by its probability."""
    scores = torch.tensor([0.2, -0.5], requires_grad=True)
    worth = (4.0, -1.0)  # of the second turn after each first choice
    shares = scores.detach().softmax(0)
    total = torch.zeros(2)
    for said in (0, 1):
        first = _EpisodeTurn(scores.log_softmax(0), torch.zeros(2), said)
        second = _EpisodeTurn(torch.zeros(1), torch.tensor([worth[said]]), 0)
        found = torch.autograd.grad(_objective([first, second], 1.0, {0: 1.0}), scores)[0]
        total += shares[said] * found
    mean = float(shares @ torch.tensor(worth))
    assert torch.allclose(total, shares * (torch.tensor(worth) - mean), atol=1e-6)


class Door(State):
    """No facts."""


def test_a_later_turns_reward_reaches_the_choice_that_led_to_it() -> None:
    responses = {
        "greet": {"text": "Good evening.", "when": "the guest comes in"},
        "insult": {"text": "Out!", "when": "the guest is unwelcome"},
        "pardon": {"text": "What?", "when": "nothing else fits"},
    }
    head = {"catalog": "door", "version": 1, "locale": "en", "speaker": "Brom", "fallback": "pardon"}

    def door(state: Door):
        """A greeting or an insult, each once."""
        yield say("greet").once()
        yield say("insult").once()

    def reward(turn: Any) -> float:
        """The second turn is good when the greeting is over by then, whatever is said there."""
        return 3.0 * float({one.id for one in turn.decision.options} == {"insult", "pardon"})

    pack = policy(catalog_from(head | {"responses": responses}))(door)
    learner = learner_of(pack)
    ids, rest = ["greet", "insult", "pardon"], learner.head("pardon").rest
    before = float(learner.log_probs("hello", ids, rest)[0].detach().exp())
    reinforce(pack, learner, EARS, [Episode(("hello", "here I am"))], reward, rounds=60, rate=1e-3, seed=1)
    assert float(learner.log_probs("hello", ids, rest)[0].detach().exp()) > before + 0.3


def test_a_reward_that_is_no_number_is_refused() -> None:
    pack = desk()
    with pytest.raises(TuningError, match="nan"):
        reinforce(pack, learner_of(pack), EARS, [Episode(("hello",))], lambda turn: float("nan"), rounds=1)
    with pytest.raises(TuningError, match="no turn"):
        reinforce(pack, learner_of(pack), EARS, [], lambda turn: 0.0, rounds=1)
