"""Rule ``direct``: how likely each candidate is after the prompt, in any mode; and mode ``code``, which reads one letter.

In mode ``code`` the candidates are listed in the prompt, and one token is read: a letter a candidate, in several orders. Small
models prefer a letter, or a place in the list, over what stands there (Zheng et al., Large Language Models Are Not Robust
Multiple Choice Selectors, ICLR 2024): every candidate is scored under several letters, and ``flips`` tells how many of the orders
pick another one than their mean does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from string import ascii_uppercase
from typing import Literal, get_args

import numpy as np

from constrained.engines.decoding import prompts
from constrained.engines.decoding.exact import RowQuery, RowScores, TreePasses, score_forest, score_rows
from constrained.engines.decoding.grammar_masks import backend_name, check_backend
from constrained.engines.decoding.language_model import Prefix
from constrained.engines.decoding.masks import Backend
from constrained.engines.decoding.reader import ChoiceSize, IndexedTexts, Reader, pick
from constrained.engines.decoding.rules import PLAIN_SOFTMAX, ProbabilityMap, ScoredChoice, Surface, check_one_of, scored_choice, surface_of
from constrained.engines.decoding.search import Floats, Objective, Scored, bounded, refine, score_prefixes
from constrained.engines.decoding.trie import Ids, Trie
from constrained.engines.decoding.walk import walk_rows
from constrained.engines.protocol import Choice, ChoiceRequest, Deadline, Decoding, Mode, PromptContext
from constrained.errors import EngineError

MOST = len(ascii_uppercase)


def score_letters(
    reader: Reader, prefix: Prefix, dynamic: str, surfaces: Sequence[str], n_orders: int = 2, deadline: Deadline | None = None
) -> Scored:
    """[candidate] mean over the orders of log P(its letter | one of the letters), in nats.

    Args:
        dynamic: the turn, as it stands before the list.
        n_orders: the order given, its reverse, and then rotations of both; at least 2 where there are two candidates.

    Raises EngineError for more than 26 candidates, or a tokenizer whose letters are not one token each.
    """
    n = len(surfaces)
    if n > MOST:
        raise EngineError(f"mode 'code' lists at most {MOST} candidates, and {n} are allowed", hint="use mode='auto'")
    letters = _letters(reader, n)
    orders = _orders(n, max(n_orders, 2))
    queries = [RowQuery(tuple(reader.tokens.chat("", f"{dynamic}\n{_listing(order, surfaces)}")[1]), tuple(letters)) for order in orders]
    answer = score_forest(reader.model, prefix, queries, deadline, has_tree=reader.has_tree)
    by_order = np.empty((len(orders), n))
    for place, (order, log_probs) in enumerate(zip(orders, answer.log_probs, strict=True)):
        by_order[place, order] = log_probs - np.logaddexp.reduce(log_probs)
    scores = by_order.mean(0)
    flips = int((by_order.argmax(1) != scores.argmax()).sum())
    return Scored(scores, answer.n_tokens, answer.n_passes, answer.n_nodes, answer.n_nodes, flips=flips)


def _letters(reader: Reader, n: int) -> list[tuple[int, ...]]:
    rows = [tuple(row) for row in reader.tokens.plain_batch(list(ascii_uppercase[:n]))]
    if any(len(row) != 1 for row in rows) or len(set(rows)) < n:
        raise EngineError("this tokenizer has no token of its own for each letter", hint="use mode='exact' on keys")
    return rows


def _orders(n: int, n_orders: int) -> list[list[int]]:
    """Distinct orders of n candidates, so that none stands at the same letter more often than must be."""
    found: dict[tuple[int, ...], None] = {}
    for turn in range(n):
        rotated = [*range(turn, n), *range(turn)]
        for order in (rotated, rotated[::-1]):
            found.setdefault(tuple(order))
    return [list(order) for order in list(found)[:n_orders]]


def _listing(order: Sequence[int], surfaces: Sequence[str]) -> str:
    lines = [f"{ascii_uppercase[place]}. {surfaces[candidate]}" for place, candidate in enumerate(order)]
    return "\n".join(["What fits? Answer with one letter.", *lines])


# -- the rule -------------------------------------------------------------------------------------------------------

DIRECT_MODES = ("exact", "refine", "bounded", "prefix", "code", "walk", "auto")


@dataclass(frozen=True, slots=True)
class Direct:
    """log P(candidate | prompt), less its prior under a neutral prompt.

    Source: Holtzman et al., Surface Form Competition: Why the Highest Probability Answer Isn't Always Right,
    EMNLP 2021, section 3 (domain-conditional PMI); the neutral prompt is the same prompt before anyone spoke.

    Attributes:
        surface: what is scored: the approved text, the readable key, or ``when``.
        has_prior: subtract the prior; without it this is the plain likelihood.
        is_mean: per token instead of summed.
        mode: how it is decoded; ``auto`` picks for each choice and tells why.
        budget: nodes that ``bounded`` may feed; all when None.
        n_orders: in how many orders ``code`` lists the candidates.
        backend: what masks the tokens of ``walk``: ``trie``, ``xgrammar``, or a compiler of masks.
    """

    surface: Surface = "text"
    has_prior: bool = True
    is_mean: bool = False
    plan: prompts.PromptPlan = field(default_factory=prompts.PromptPlan)
    mode: Mode | Literal["auto"] = "exact"
    budget: int | None = None
    n_orders: int = 2
    backend: Backend = "trie"

    def __post_init__(self) -> None:
        """Raises EngineError for a surface, mode or backend that is not known."""
        check_one_of("surface", self.surface, get_args(Surface))
        check_one_of("mode", self.mode, DIRECT_MODES)
        check_backend(self.backend)

    @property
    def name(self) -> str:
        parts = [f"direct-{self.surface}", "pmi" if self.has_prior else "raw", *(["mean"] if self.is_mean else [])]
        parts += [*(["rules"] if self.plan.has_rules else []), *(["listing"] if self.plan.has_listing else [])]
        return "-".join(parts)

    @property
    def probability_map(self) -> ProbabilityMap:
        return PLAIN_SOFTMAX

    def scores(self, reader: Reader, asks: Sequence[ChoiceRequest], deadline: Deadline | None) -> list[list[ScoredChoice]]:
        tasks = [[_task(self, reader, ask.scene, choice) for choice in ask.choices] for ask in asks]
        flat = [task for group in tasks for task in group]
        modes = [self._mode(reader, task, deadline) for task in flat]
        together = [task for task, (mode, _) in zip(flat, modes, strict=True) if mode == "exact"]
        exact = iter(self._exact(reader, together, deadline))
        found = iter(
            [
                scored_choice(next(exact), "exact", reason) if mode == "exact" else self._decode(reader, task, mode, reason, deadline)
                for task, (mode, reason) in zip(flat, modes, strict=True)
            ]
        )
        return [[next(found) for _ in group] for group in tasks]

    def _mode(self, reader: Reader, task: _Task, deadline: Deadline | None) -> tuple[Mode, str]:
        if not reader.has_tree and self.mode not in ("code", "walk"):
            return "exact", "row by row: this model honours no tree mask"
        if len(task.rows) == 1:
            return "exact", "there is one candidate"
        if self.mode != "auto":
            return self.mode, "asked for"
        size = ChoiceSize(
            len(task.suffix),
            task.trie.n_inner,
            len(task.index.identifying),
            self.has_prior,
            task.key("nodes") in reader.priors,
        )
        return pick(size, reader.speed, deadline)

    # -- exact: all choices in one tree ----------------------------------------------------------------------

    def _exact(self, reader: Reader, tasks: Sequence[_Task], deadline: Deadline | None) -> list[Scored]:
        """The choices of one static part go through the model together."""
        found: dict[int, Scored] = {}
        for static in dict.fromkeys(task.static for task in tasks):
            group = [(index, task) for index, task in enumerate(tasks) if task.static == static]
            queries = [RowQuery(task.suffix, task.rows) for _, task in group]
            answer = score_forest(reader.model, reader.prefix(static, deadline), queries, deadline, has_tree=reader.has_tree)
            for place, (index, task) in enumerate(group):
                found[index] = self._less_prior(reader, task, answer, place, deadline)
        return [found[index] for index in range(len(tasks))]

    def _less_prior(self, reader: Reader, task: _Task, answer: RowScores, place: int, deadline: Deadline | None) -> Scored:
        scores = answer.log_probs[place]
        if self.has_prior:
            scores = scores - self._row_prior(reader, task, deadline)
        if self.is_mean:
            scores = scores / [len(row) for row in task.rows]
        return Scored(scores, answer.n_tokens, answer.n_passes, answer.n_nodes, answer.n_nodes)

    def _row_prior(self, reader: Reader, task: _Task, deadline: Deadline | None) -> Floats:
        if reader.has_tree:
            return task.trie.path_sums(self._prior(reader, task, deadline))[task.trie.leaf]
        prefix = reader.prefix(task.static, deadline)
        return reader.priors.get(
            task.key("rows"), lambda: score_rows(reader.model, prefix, task.silent_suffix, task.rows, deadline).log_probs
        )

    # -- the other modes: one choice at a time ---------------------------------------------------------------

    def _decode(self, reader: Reader, task: _Task, mode: Mode, reason: str, deadline: Deadline | None) -> ScoredChoice:
        prefix = reader.prefix(task.static, deadline)
        if mode == "walk":
            return self._walk(reader, task, reason, deadline)
        if mode == "code":
            return scored_choice(self._by_letter(reader, task, deadline), mode, reason)
        objective = self._objective(reader, task, mode, deadline)
        passes = TreePasses(reader.model, prefix, task.suffix, task.trie, deadline)
        if mode == "refine":
            return scored_choice(refine(passes, task.trie, objective), mode, reason)
        if mode == "prefix":
            return scored_choice(score_prefixes(passes, task.trie, objective), mode, reason)
        return scored_choice(bounded(passes, task.trie, objective, self.budget), "bounded", reason)

    def _objective(self, reader: Reader, task: _Task, mode: Mode, deadline: Deadline | None) -> Objective:
        """``refine`` reads the prior even where it is not taken off: it tells which rows are worth reading."""
        weight = float(self.has_prior)
        if not self.has_prior and mode != "refine":
            return Objective(np.zeros(len(task.trie)), weight, self.is_mean)
        return Objective(self._prior(reader, task, deadline, is_identifying=mode == "prefix"), weight, self.is_mean)

    def _prior(self, reader: Reader, task: _Task, deadline: Deadline | None, *, is_identifying: bool = False) -> Floats:
        """[node] log P(token | path) under the neutral prompt, once per catalog version, question and set of rows."""
        key = task.key("nodes")
        if is_identifying and key not in reader.priors:
            return reader.priors.get(task.key("identifying"), lambda: _node_prior(reader, task, task.index.identifying, deadline))
        return reader.priors.get(key, lambda: _node_prior(reader, task, np.flatnonzero(task.trie.has_child), deadline))

    def _by_letter(self, reader: Reader, task: _Task, deadline: Deadline | None) -> Scored:
        prefix = reader.prefix(task.static, deadline)
        asked = score_letters(reader, prefix, prompts.dynamic(task.scene, task.choice), task.surfaces, self.n_orders, deadline)
        if not self.has_prior:
            return asked
        silent = prompts.dynamic(prompts.neutral(task.scene), task.choice)
        prior = reader.priors.get(
            (*task.key("letters"), self.n_orders),
            lambda: score_letters(reader, prefix, silent, task.surfaces, self.n_orders, deadline).log_probs,
        )
        return Scored(asked.log_probs - prior, asked.n_tokens, asked.n_passes, asked.n_nodes, asked.n_expanded, flips=asked.flips)

    def _walk(self, reader: Reader, task: _Task, reason: str, deadline: Deadline | None) -> ScoredChoice:
        row, walked = walk_rows(
            reader.model,
            reader.prefix(task.static, deadline),
            task.suffix,
            task.rows,
            task.surfaces,
            backend=self.backend,
            tokens=reader.tokens,
            deadline=deadline,
            is_scored=False,
        )
        cost = Decoding(
            f"{reason}; masked by {backend_name(self.backend)}", walked.n_tokens, walked.n_passes, task.trie.n_inner, walked.n_tokens
        )
        return ScoredChoice(None, "walk", cost, row)


@dataclass(frozen=True, slots=True, eq=False)
class _Task:
    """One choice in token ids."""

    scene: PromptContext
    choice: Choice
    static: Ids
    suffix: Ids
    silent_suffix: Ids
    surfaces: tuple[str, ...]
    index: IndexedTexts

    @property
    def rows(self) -> tuple[Ids, ...]:
        return self.index.rows

    @property
    def trie(self) -> Trie:
        return self.index.trie

    def key(self, what: str) -> tuple[object, ...]:
        """What a prior depends on besides the model."""
        return (what, self.static, self.silent_suffix, self.rows)


def _task(rule: Direct, reader: Reader, scene: PromptContext, choice: Choice) -> _Task:
    static, suffix = reader.tokens.chat(rule.plan.static(scene), prompts.dynamic(scene, choice))
    _, silent = reader.tokens.chat("", prompts.dynamic(prompts.neutral(scene), choice))
    surfaces = tuple(surface_of(candidate, rule.surface) for candidate in choice.candidates)
    return _Task(scene, choice, tuple(static), tuple(suffix), tuple(silent), surfaces, reader.indexed(surfaces))


def _node_prior(reader: Reader, task: _Task, nodes: np.ndarray, deadline: Deadline | None) -> Floats:
    passes = TreePasses(reader.model, reader.prefix(task.static, deadline), task.silent_suffix, task.trie, deadline)
    passes.feed(nodes)
    return passes.log_probs
