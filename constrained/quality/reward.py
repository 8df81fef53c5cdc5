"""The second stage: a reward in Python grades turns, and the model comes to choose what is graded well.

An action is the choice of one option, and its probability is known: nothing has to be sampled to know what a turn is worth.
For the turn itself the gradient of the expected reward is exact, a sum over the options. What a choice does to later turns is
credited to it by REINFORCE with a baseline (Williams, Simple Statistical Gradient-Following Algorithms for Connectionist
Reinforcement Learning, Machine Learning 8, 1992, section 3).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from constrained.dialogue.dialogue import Dialogue
from constrained.dialogue.turn import Turn
from constrained.engines.protocol import Choice, Deadline, Distribution, Engine, ExtractionField, Extractor, PromptContext
from constrained.errors import TuningError
from constrained.logic.policy import Policy
from constrained.logic.state import State
from constrained.quality.training import Learner

Reward = Callable[[Turn], float]
BASELINE_DECAY = 0.9


@dataclass(frozen=True, slots=True)
class Episode:
    """A conversation to learn in: what the user says, turn by turn, and the state at its start (the default when None)."""

    messages: tuple[str, ...]
    state: State | None = None


@dataclass(frozen=True, slots=True)
class Round:
    """What one pass over the episodes was worth: the mean expected reward of a turn, under the probabilities of that pass."""

    number: int
    reward: float


@dataclass(frozen=True, slots=True, eq=False)
class _Taken:
    """One turn of an episode: log-probabilities with gradients, what each option would have been worth, and which was said."""

    log_probs: Tensor
    rewards: Tensor
    said: int


def reinforce(
    policy: Policy,
    learner: Learner,
    ears: Engine,
    episodes: Sequence[Episode],
    reward: Reward,
    *,
    rounds: int = 10,
    rate: float = 1e-4,
    vector_rate: float = 1e-2,
    later: float = 1.0,
    seed: int = 0,
) -> list[Round]:
    """Raises the expected reward by gradient steps, one an episode.

    Args:
        ears: hears the questions. Its answers to options are not used.
        reward: grades a turn; called for every option of every turn, so it has no effects of its own.
        later: what a reward is worth to the choices of the turns before, each turn on; 0 makes every turn its own.

    Raises TuningError for a reward that is no number, or episodes in which there is never a choice.
    """
    groups = [{"params": learner.parameters, "lr": rate}, {"params": [learner.vectors], "lr": vector_rate}]
    optimizer = torch.optim.Adam(groups)
    chance, baselines, found = random.Random(seed), dict[int, float](), list[Round]()
    rest = learner.head(policy.catalog.fallback).rest
    for number in range(1, rounds + 1):
        worth: list[float] = []
        for episode in episodes:
            taken = list(_played(policy, learner, rest, ears, episode, reward, chance))
            worth += [float((one.log_probs.detach().exp() * one.rewards).sum()) for one in taken]
            if any(len(one.rewards) > 1 for one in taken):
                _climb(optimizer, learner, _objective(taken, later, baselines))
        if not worth:
            raise TuningError("there is no turn in these episodes", hint="give episodes with messages")
        found.append(Round(number, sum(worth) / len(worth)))
    return found


def _climb(optimizer: torch.optim.Optimizer, learner: Learner, objective: Tensor) -> None:
    optimizer.zero_grad()
    (-objective).backward()  # type: ignore[no-untyped-call]  # torch types it not
    torch.nn.utils.clip_grad_norm_([*learner.parameters, learner.vectors], 1.0)
    optimizer.step()


def _objective(taken: Sequence[_Taken], later: float, baselines: dict[int, float]) -> Tensor:
    """What is climbed: the expected reward of each turn, and log-probability times what came later beyond the baseline."""
    total = torch.zeros(())
    after = 0.0  # what followed the turn at hand
    for place in reversed(range(len(taken))):
        one = taken[place]
        total = total + (one.log_probs.exp() * one.rewards).sum()
        if later and place + 1 < len(taken):
            base = baselines.get(place, after)
            total = total + one.log_probs[one.said] * (after - base)
            baselines[place] = BASELINE_DECAY * base + (1 - BASELINE_DECAY) * after
        after = later * (after + float(one.rewards[one.said]))
    return total


def _played(
    policy: Policy, learner: Learner, rest: float, ears: Engine, episode: Episode, reward: Reward, chance: random.Random
) -> Iterator[_Taken]:
    """The episode's turns, each with every option tried, and one of them said, as likely as the learner makes it."""
    state = episode.state if episode.state is not None else policy.state_type.default()
    lead = Dialogue(policy, engine=_Told(ears), threshold=0.0, drafts=True)
    for message in episode.messages:
        told = _Told(ears)
        turn = lead.fork(told).reply(message, state)
        if told.choice is None:  # the rules left one option
            said, rewards, log_probs = 0, [_graded(reward, turn)], torch.zeros(1)
        else:
            ids = [candidate.key.split(":", 1)[-1] for candidate in told.choice.candidates]
            others = (lead.fork(told.saying(index)).reply(message, state) for index in range(1, len(ids)))
            rewards = [_graded(reward, one) for one in (turn, *others)]
            log_probs = learner.log_probs(told.message, ids, rest)
            said = chance.choices(range(len(ids)), log_probs.detach().exp().tolist())[0]
        lead.engine = told.saying(said)
        state = lead.reply(message, state).apply(state)
        yield _Taken(log_probs, torch.tensor(rewards), said)


class _Told:
    """An engine that hears by ``ears`` once, and says the option that it is told to say; it keeps the choice that it was put."""

    def __init__(self, ears: Engine, said: int = 0, heard: dict[tuple[str, ...], list[Distribution]] | None = None) -> None:
        self._ears, self._said, self._heard = ears, said, heard if heard is not None else {}
        self.choice: Choice | None = None
        self.message = ""

    def saying(self, said: int) -> _Told:
        """Another one, of the same hearing."""
        return _Told(self._ears, said, self._heard)

    @property
    def identity(self) -> Mapping[str, str]:
        return {"model": "tuning"}

    def choose(self, choices: Sequence[Choice], scene: PromptContext, deadline: Deadline | None = None) -> list[Distribution]:
        if any(choice.kind != "option" for choice in choices):
            asked = tuple(choice.name for choice in choices)
            if asked not in self._heard:
                self._heard[asked] = list(self._ears.choose(choices, scene, deadline))
            return self._heard[asked]
        self.choice, self.message = choices[0], scene.message
        n = len(self.choice.candidates)
        return [Distribution(tuple(float(index == self._said) for index in range(n)), "exact")]

    def read(self, blanks: Sequence[ExtractionField], scene: PromptContext, deadline: Deadline | None = None) -> Sequence[str | None]:
        return self._ears.read(blanks, scene, deadline) if isinstance(self._ears, Extractor) else [None] * len(blanks)


def _graded(reward: Reward, turn: Turn) -> float:
    value = float(reward(turn))
    if value != value or abs(value) == float("inf"):
        raise TuningError(f"the reward of {turn.response_id!r} is {value}", hint="a reward is a finite number")
    return value
