"""Tuning of a model to a policy: on labelled messages, with figures before and after, and by a reward that grades turns.

``tune`` is ``constrained tune`` without its command line. ``reinforce`` is the second stage: a reward in Python grades turns, and
the model comes to choose what is graded well. An action is the choice of one option, and its probability is known: nothing has
to be sampled to know what a turn is worth. For the turn itself the gradient of the expected reward is exact, a sum over the
options. What a choice does to later turns is credited to it by REINFORCE with a baseline (Williams, Simple Statistical
Gradient-Following Algorithms for Connectionist Reinforcement Learning, Machine Learning 8, 1992, section 3).
"""

from __future__ import annotations

import importlib.metadata
import json
import math
import random
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from constrained.dialogue.dialogue import Dialogue
from constrained.dialogue.turn import Turn
from constrained.engines.decoding import adapter
from constrained.engines.decoding.adapter import Head
from constrained.engines.decoding.encoder import Encoder, LanguageStates, encoder_hash, load_encoder
from constrained.engines.decoding.fitted_rule import VectorRule
from constrained.engines.protocol import Choice, Deadline, Distribution, Engine, ExtractionField, Extractor, PromptContext
from constrained.engines.transformers import TransformersEngine
from constrained.errors import TuningError
from constrained.logic.policy import Policy
from constrained.logic.state import State
from constrained.quality.evaluation import MessageOutcome, run_examples
from constrained.quality.labelled_data import Example
from constrained.quality.metrics import MeanDifference, paired_bootstrap, replace_nan, summarise, to_arrays
from constrained.quality.training import Learner, Row, Run, Settings, check_apart, rows_of

REPORT = "report.json"
BASELINE_DECAY = 0.9
Stage = Literal["before", "tune", "after"]
Progress = Callable[[Stage, int, int, float], object]
"""Called with the stage, what is done of it, of how much, and the loss (NaN where there is none)."""
Reward = Callable[[Turn], float]
"""Grades a turn: a finite number."""


@dataclass(frozen=True, slots=True)
class TuneReport:
    """Size, time and figures of a tuning run.

    Attributes:
        n_rows, n_responses: that were learned from. seconds: of tuning alone. memory_mb: the process's largest.
        before, after: figure -> value on the messages to check; empty without any. accuracy: what is right after less what was
            right before, with a 95 % interval over the messages; None likewise.
        adapter: its hash; folder: where it lies.
    """

    catalog: str
    base: str
    n_rows: int
    n_responses: int
    n_steps: int
    seconds: float
    memory_mb: float
    folder: str
    adapter: str
    settings: dict[str, Any]
    n_checked: int = 0
    before: dict[str, float] = field(default_factory=dict)
    after: dict[str, float] = field(default_factory=dict)
    accuracy: MeanDifference | None = None

    def to_json(self) -> str:
        return json.dumps(replace_nan(asdict(self)), ensure_ascii=False, indent=1) + "\n"


def tune(
    policy: Policy,
    engine: TransformersEngine,
    folder: Path,
    settings: Settings,
    *,
    encoder: str | None = None,
    more: Sequence[Example] = (),
    check: Sequence[Example] = (),
    is_before_checked: bool = True,
    renew: str = "",
    report_progress: Progress = lambda stage, done, total, loss: None,
) -> TuneReport:
    """Tunes the engine's model, or a sentence encoder beside it, and writes the adapter into ``folder``.

    Args:
        engine: it chooses by the adapter afterwards. encoder: name or folder of what is tuned in place of the model.
        more: labelled messages beside the catalog's examples, the fallback's among them: these answer nothing else.
        check: other labelled messages, to measure on before and after; nothing is learned from them.
        is_before_checked: measure before tuning too: the engine's own rule may take seconds a message.

    Raises TuningError: ``check`` holds a message to learn from, or the run could not be ended. SampleError: too few responses.
    """
    rows = rows_of(policy.catalog, [Row(one.message, one.expects[0]) for one in more])
    check_apart(rows, check)
    before = _measure(policy, engine, check, "before", report_progress) if is_before_checked else []
    tuned: Encoder = load_encoder(encoder) if encoder else LanguageStates(engine.reader.model, engine.reader.tokens)
    base = encoder or engine.identity["model"]
    weights = encoder_hash(tuned) if encoder else engine.identity["weights"]  # asked before there is an adapter
    start = time.monotonic()
    with torch.random.fork_rng():
        torch.manual_seed(settings.seed)
        learner = Learner(tuned, rows, settings)
        run = Run(learner, rows, folder, weights)
        run.train(lambda step: report_progress("tune", step.number, step.n_steps, step.loss))
    seconds = time.monotonic() - start
    head = learner.head(policy.catalog.fallback)
    kind: adapter.Kind = "encoder" if encoder else "model"
    manifest = _write_adapter(folder, policy, learner, head, kind=kind, base=base, weights=weights, renew=renew)
    engine.use(VectorRule(tuned, head, engine.rule), manifest)
    after = _measure(policy, engine, check, "after", report_progress)
    report = TuneReport(
        catalog=policy.catalog.name,
        base=base,
        n_rows=len(rows),
        n_responses=len(learner.ids),
        n_steps=run.n_steps,
        seconds=seconds,
        memory_mb=_memory_mb(),
        folder=str(folder),
        adapter=manifest.hash,
        settings=settings.to_json(),
        n_checked=len(check),
        before=_figures(before, policy),
        after=_figures(after, policy),
        accuracy=_difference(before, after, policy),
    )
    (folder / REPORT).write_text(report.to_json(), encoding="utf-8")
    run.finish()
    return report


def _write_adapter(
    folder: Path, policy: Policy, learner: Learner, head: Head, *, kind: adapter.Kind, base: str, weights: str, renew: str
) -> adapter.Manifest:
    settings, catalog = learner.settings, policy.catalog
    return adapter.write(
        folder,
        learner.encoder,
        head,
        kind=kind,
        base=base,
        catalog=catalog.name,
        catalog_hash=catalog.hash,
        tokenizer=learner.encoder.tokenizer_hash,
        weights=weights,
        rank=settings.rank,
        alpha=settings.alpha,
        renew=renew or f"constrained tune {policy.name}",
        settings=settings.to_json(),
        versions={name: importlib.metadata.version(name) for name in ("torch", "transformers", "peft")},
    )


def _measure(
    policy: Policy, engine: TransformersEngine, check: Sequence[Example], stage: Stage, report_progress: Progress
) -> list[MessageOutcome]:
    if not check:
        return []
    return run_examples(policy, engine, check, report_progress=lambda done: report_progress(stage, done, len(check), float("nan")))


def _figures(outcomes: Sequence[MessageOutcome], policy: Policy) -> dict[str, float]:
    return dict(summarise(outcomes, policy.catalog.fallback, []).figures) if outcomes else {}


def _difference(before: Sequence[MessageOutcome], after: Sequence[MessageOutcome], policy: Policy) -> MeanDifference | None:
    if not before or not after:
        return None
    ours, theirs = (to_arrays(one, policy.catalog.fallback).is_right.astype(float) for one in (after, before))
    return paired_bootstrap(ours, theirs)


def _memory_mb() -> float:
    """The largest that this process has been; NaN on Windows."""
    if sys.platform == "win32":  # it has no such module
        return math.nan
    import resource

    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used / (1 << 20 if sys.platform == "darwin" else 1 << 10)


@dataclass(frozen=True, slots=True)
class Episode:
    """A conversation to learn in: what the user says, turn by turn, and the state at its start (the default when None)."""

    messages: tuple[str, ...]
    state: State | None = None


@dataclass(frozen=True, slots=True)
class RewardRound:
    """One pass over the episodes, and the mean expected reward of a turn under the probabilities of that pass."""

    number: int
    reward: float


@dataclass(frozen=True, slots=True, eq=False)
class _EpisodeTurn:
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
) -> list[RewardRound]:
    """Raises the expected reward by gradient steps, one an episode.

    Args:
        ears: hears the questions. Its answers to options are not used.
        reward: grades a turn; called for every option of every turn, so it has no effects of its own.
        later: what a reward is worth to the choices of the turns before, each turn on; 0 makes every turn its own.

    Raises TuningError for a reward that is no number, or episodes in which there is never a choice.
    """
    groups = [{"params": learner.parameters, "lr": rate}, {"params": [learner.vectors], "lr": vector_rate}]
    optimizer = torch.optim.Adam(groups)
    chance, baselines, found = random.Random(seed), dict[int, float](), list[RewardRound]()
    rest = learner.head(policy.catalog.fallback).rest
    for number in range(1, rounds + 1):
        worth: list[float] = []
        for episode in episodes:
            turns = list(_play(policy, learner, rest, ears, episode, reward, chance))
            worth += [float((one.log_probs.detach().exp() * one.rewards).sum()) for one in turns]
            if any(len(one.rewards) > 1 for one in turns):
                _climb(optimizer, learner, _objective(turns, later, baselines))
        if not worth:
            raise TuningError("there is no turn in these episodes", hint="give episodes with messages")
        found.append(RewardRound(number, sum(worth) / len(worth)))
    return found


def _climb(optimizer: torch.optim.Optimizer, learner: Learner, objective: Tensor) -> None:
    optimizer.zero_grad()
    (-objective).backward()  # type: ignore[no-untyped-call]  # torch types it not
    torch.nn.utils.clip_grad_norm_([*learner.parameters, learner.vectors], 1.0)
    optimizer.step()


def _objective(turns: Sequence[_EpisodeTurn], later: float, baselines: dict[int, float]) -> Tensor:
    """What is climbed: the expected reward of each turn, and log-probability times what came later beyond the baseline."""
    total = torch.zeros(())
    after = 0.0  # what followed the turn at hand
    for place in reversed(range(len(turns))):
        one = turns[place]
        total = total + (one.log_probs.exp() * one.rewards).sum()
        if later and place + 1 < len(turns):
            base = baselines.get(place, after)
            total = total + one.log_probs[one.said] * (after - base)
            baselines[place] = BASELINE_DECAY * base + (1 - BASELINE_DECAY) * after
        after = later * (after + float(one.rewards[one.said]))
    return total


def _play(
    policy: Policy, learner: Learner, rest: float, ears: Engine, episode: Episode, reward: Reward, chance: random.Random
) -> Iterator[_EpisodeTurn]:
    """The turns of an episode, each with every option tried, and one of them said, as likely as the learner makes it."""
    state = episode.state if episode.state is not None else policy.state_type.default()
    lead = Dialogue(policy, engine=_FixedChoiceEngine(ears), threshold=0.0, drafts=True)
    for message in episode.messages:
        engine = _FixedChoiceEngine(ears)
        turn = lead.fork(engine).reply(message, state)
        if engine.choice is None:  # the rules left one option
            said, rewards, log_probs = 0, [_graded(reward, turn)], torch.zeros(1)
        else:
            ids = [candidate.key.split(":", 1)[-1] for candidate in engine.choice.candidates]
            others = (lead.fork(engine.choosing(index)).reply(message, state) for index in range(1, len(ids)))
            rewards = [_graded(reward, one) for one in (turn, *others)]
            log_probs = learner.log_probs(engine.message, ids, rest)
            said = chance.choices(range(len(ids)), log_probs.detach().exp().tolist())[0]
        lead.engine = engine.choosing(said)
        state = lead.reply(message, state).apply(state)
        yield _EpisodeTurn(log_probs, torch.tensor(rewards), said)


class _FixedChoiceEngine:
    """An engine that hears by ``ears`` once and chooses a given option; it keeps the choice that it was asked."""

    is_told = True

    def __init__(self, ears: Engine, said: int = 0, heard: dict[tuple[str, ...], list[Distribution]] | None = None) -> None:
        self._ears, self._said, self._heard = ears, said, heard if heard is not None else {}
        self.choice: Choice | None = None
        self.message = ""

    def choosing(self, said: int) -> _FixedChoiceEngine:
        """Another one, of the same hearing."""
        return _FixedChoiceEngine(self._ears, said, self._heard)

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
