"""The exact conditional over a list by its definition, and what peers' answers are worth beside it.

For the conditional every row is scored in a plain causal pass of transformers, in float32; nothing of the library's own passes is used.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.harness import Bench
from benchmarks.measure import Spread
from benchmarks.peers import Answer, Entry, Spec, Surface
from benchmarks.peers.bed import Bed, Prompt
from constrained.engines.decoding.tokens import Tokens

Floats = NDArray[np.float64]
BATCH_TOKENS = 2048  # that go through the model at a time


@dataclass(frozen=True, slots=True)
class Conditional:
    """What a prompt makes of a list of rows.

    Attributes:
        exact: [row] log P(row | prompt, one of the rows), in nats.
        masked: [row] the log-probability with which sampling under a mask of allowed tokens draws the row: at each
            step the model's distribution, renormalised over the tokens that may follow. Canonical tokens only.
        walked: the row that greedy decoding under that mask comes to.
    """

    exact: Floats
    masked: Floats
    walked: int

    @property
    def best(self) -> int:
        return int(self.exact.argmax())


def conditional(bed: Bed, prompt: Prompt, rows: Sequence[Sequence[int]]) -> Conditional:
    """By one plain pass a row, some rows in a batch."""
    tokens = _token_log_probs(bed, prompt, rows)
    sums = np.asarray([float(one.sum()) for one in tokens])
    return Conditional(log_softmax(sums), *_masked(rows, tokens))


def divergence(exact: Floats, other: Floats) -> float:
    """KL(exact || other) in nats, of two arrays of log-probabilities; the second is normalised first."""
    return float((np.exp(exact) * (exact - log_softmax(other))).sum())


def log_softmax(scores: Floats) -> Floats:
    top = scores.max()
    return np.asarray(scores - top - np.log(np.exp(scores - top).sum()), dtype=np.float64)


def _token_log_probs(bed: Bed, prompt: Prompt, rows: Sequence[Sequence[int]]) -> list[Floats]:
    """[row] of [token] log P(token | prompt, the row so far)."""
    cache = bed.cache()
    first = bed.logits(prompt.suffix, cache)[-1].float().log_softmax(-1)
    held = [(layer.keys, layer.values) for layer in cache.layers]
    found: dict[int, Floats] = {}
    order = sorted(range(len(rows)), key=lambda row: len(rows[row]))  # batches of like lengths: little padding
    while order:
        n_batch = max(1, BATCH_TOKENS // max(len(rows[order[0]]), 1))
        batch, order = order[:n_batch], order[n_batch:]
        for row, values in zip(batch, _batch(bed, held, first, [rows[row] for row in batch]), strict=True):
            found[row] = values
    return [found[row] for row in range(len(rows))]


def _batch(bed: Bed, held: Sequence[tuple[torch.Tensor, torch.Tensor]], first: torch.Tensor, rows: Sequence[Sequence[int]]) -> list[Floats]:
    """Padding stands on the right, where a causal mask keeps it from being seen."""
    from transformers.cache_utils import DynamicCache

    longest = max(len(row) for row in rows)
    ids = torch.tensor([[*row, *[0] * (longest - len(row))] for row in rows], device=bed.network.device)
    cache = DynamicCache()
    for layer, (keys, values) in enumerate(held):
        cache.update(keys.expand(len(rows), -1, -1, -1), values.expand(len(rows), -1, -1, -1), layer)
    start = first[ids[:, :1]]  # [row, 1]
    if longest == 1:
        gathered = start
    else:
        with torch.inference_mode():
            logits = bed.network(ids[:, :-1], past_key_values=cache).logits.float()
        rest = logits.gather(2, ids[:, 1:, None])[..., 0] - logits.logsumexp(-1)
        gathered = torch.cat([start, rest], dim=1)
    found: Floats = gathered.double().cpu().numpy()
    return [found[index, : len(row)] for index, row in enumerate(rows)]


def _masked(rows: Sequence[Sequence[int]], tokens: Sequence[Floats]) -> tuple[Floats, int]:
    """Renormalises every step over the tokens that may follow in some row; and walks greedily."""
    following: dict[tuple[int, ...], dict[int, float]] = {}
    for row, values in zip(rows, tokens, strict=True):
        for depth, (token, value) in enumerate(zip(row, values, strict=True)):
            following.setdefault(tuple(row[:depth]), {})[token] = float(value)
    total = {node: float(np.logaddexp.reduce(list(after.values()))) for node, after in following.items()}
    masked = [
        sum(float(value) - total[tuple(row[:depth])] for depth, value in enumerate(values))
        for row, values in zip(rows, tokens, strict=True)
    ]
    node: tuple[int, ...] = ()
    while node in following:
        after = following[node]
        node = (*node, max(after, key=after.__getitem__))
    return np.asarray(masked), [tuple(row) for row in rows].index(node)


# -- verdicts: in the catalog or not, in canonical tokens or not, how far from the exact conditional ------------


BUDGETS = (4, 8, 16, 32, 64)  # max_tokens, besides the one that the walks were measured with


class Judge:
    """Holds a model in float32, and the exact conditionals that it has computed.

    Args:
        neutral: the prompt of a prior, for modes that take one off.
    """

    def __init__(self, bed: Bed, neutral: Prompt) -> None:
        self._bed, self._neutral, self._tokens = bed, neutral, Tokens(bed.tokenizer)
        self._known: dict[tuple[str, Surface], list[Conditional]] = {}
        self._priors: dict[tuple[str, Surface], Conditional] = {}

    def tell(self, bench: Bench, spec: Spec, case: str, entries: Sequence[Entry], answers: Sequence[Answer]) -> None:
        """``answers`` are those of the first prompts, one each."""
        self._tell_in_catalog(bench, spec, case, entries, answers)
        self._tell_wrong(bench, spec, case, entries, answers)
        walks = [answer for answer in answers if answer.ids is not None]
        if walks:
            bench.add(case, f"{spec.name}: in canonical tokens", sum(map(self._is_canonical, walks)) / len(walks), "share")
        if spec.is_compared and len(entries) <= bench.options.reference_up_to:
            self._tell_agreement(bench, spec, case, entries, answers)

    def chosen(self, answer: Answer, entries: Sequence[Entry]) -> Entry | None:
        """The line that an answer names or spells out; None where it is not one of the list."""
        if answer.row is not None:
            return entries[answer.row] if 0 <= answer.row < len(entries) else None
        if answer.text is None or not answer.has_ended:
            return None
        return next((entry for entry in entries if entry.text == answer.text), None)

    def _tell_in_catalog(self, bench: Bench, spec: Spec, case: str, entries: Sequence[Entry], answers: Sequence[Answer]) -> None:
        """One row a budget; only one for peers whose budget plays no part, since they name a line and generate none."""
        most = bench.options.max_tokens
        if all(answer.row is not None for answer in answers):
            rate = sum(self.chosen(answer, entries) is not None for answer in answers) / len(answers)
            bench.add(case, f"{spec.name}: in the catalog, every max_tokens", rate, "share")
            return
        for budget in (*(one for one in BUDGETS if one < most), most):
            rates = [self._is_in_catalog(answer, entries, budget, most) for answer in answers]
            known = [rate for rate in rates if rate is not None]
            if known:
                bench.add(case, f"{spec.name}: in the catalog, max_tokens {budget}", sum(known) / len(known), "share")

    def _is_in_catalog(self, answer: Answer, entries: Sequence[Entry], budget: int, most: int) -> bool | None:
        """Under a budget that was measured, or one that cuts the same tokens; None where that cannot be told."""
        is_in = self.chosen(answer, entries) is not None
        if budget == most or not is_in:
            return is_in
        return None if answer.ids is None else len(answer.ids) <= budget

    def _tell_wrong(self, bench: Bench, spec: Spec, case: str, entries: Sequence[Entry], answers: Sequence[Answer]) -> None:
        wrong = [answer for answer in answers if answer.has_ended and self.chosen(answer, entries) is None]
        if wrong:
            said = " ".join((wrong[0].text or "").split())[:80]
            bench.add(case, f"{spec.name}: failed in decide, wrong output: {said!r}", len(wrong), f"of {len(answers)}")

    def _is_canonical(self, answer: Answer) -> bool:
        """Whether it ended, in the tokens that the tokenizer itself gives for its text: those that the model was trained on."""
        ids = list(answer.ids or ())
        if not answer.has_ended or answer.text is None:
            return False
        return self._tokens.plain(answer.text) == (ids[:-1] if ids and ids[-1] == self._bed.end else ids)

    def _tell_agreement(self, bench: Bench, spec: Spec, case: str, entries: Sequence[Entry], answers: Sequence[Answer]) -> None:
        exact = [one.exact for one in self._conditionals(bench, case, entries, spec.surface, len(answers))]
        named = _named(spec.surface)
        if spec.has_prior:
            prior = self._prior(case, entries, spec.surface).exact
            exact, named = [log_softmax(one - prior) for one in exact], f"{named}, its prior taken off"
        pairs = list(zip(exact, answers, strict=True))
        same = [self.chosen(answer, entries) is entries[int(one.argmax())] for one, answer in pairs]
        bench.add(case, f"{spec.name}: same best line", sum(same) / len(same), "share", reference=named)
        lost = [float(one.max() - one[entries.index(line)]) for one, answer in pairs if (line := self.chosen(answer, entries)) is not None]
        if lost:
            bench.add(case, f"{spec.name}: below the best line", Spread.of(lost), "nats", reference=named)
        scored = [(one, answer.scores) for one, answer in pairs if spec.kind != "walk" and answer.scores is not None]
        if scored:
            values = [max(0.0, divergence(one, np.asarray(scores))) for one, scores in scored]
            bench.add(case, f"{spec.name}: divergence (KL)", Spread.of(values), "nats", reference=named)

    def _conditionals(self, bench: Bench, case: str, entries: Sequence[Entry], surface: Surface, n: int) -> list[Conditional]:
        """Of the first ``n`` prompts. When first computed, what masked sampling would draw from is told beside them."""
        found = self._known.setdefault((case, surface), [])
        if len(found) < n:
            is_first, rows = not found, self._rows(entries, surface)
            found += [conditional(self._bed, prompt, rows) for prompt in self._bed.prompts[len(found) : n]]
            if is_first:
                _tell_masked(bench, case, surface, found)
        return found[:n]

    def _prior(self, case: str, entries: Sequence[Entry], surface: Surface) -> Conditional:
        if (case, surface) not in self._priors:
            self._priors[case, surface] = conditional(self._bed, self._neutral, self._rows(entries, surface))
        return self._priors[case, surface]

    def _rows(self, entries: Sequence[Entry], surface: Surface) -> list[tuple[int, ...]]:
        end = () if self._bed.end is None else (self._bed.end,)
        return [(*row, *end) for row in self._tokens.plain_batch([entry.of(surface) for entry in entries])]


def _tell_masked(bench: Bench, case: str, surface: Surface, found: Sequence[Conditional]) -> None:
    """What any sampling under a mask draws from, if it keeps to canonical tokens: no peer's figure, but that of the method."""
    named = f"masked sampling of the {surface}"
    values = [max(0.0, divergence(one.exact, one.masked)) for one in found]
    bench.add(case, f"{named}: divergence (KL)", Spread.of(values), "nats", reference=_named(surface))
    same = [one.walked == one.best for one in found]
    bench.add(case, f"{named}: greedy comes to the same best line", sum(same) / len(same), "share", reference=_named(surface))


def _named(surface: Surface) -> str:
    return f"the exact conditional of the {surface}"
