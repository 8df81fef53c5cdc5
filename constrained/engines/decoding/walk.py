"""Mode ``walk``: token by token under a mask, the most likely allowed one each time. Never exact: greedy sees one path."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from constrained.engines.decoding.grammar_masks import backend_name, mask_of
from constrained.engines.decoding.language_model import LanguageModel, Prefix
from constrained.engines.decoding.masks import Backend, TokenMask, unpacked
from constrained.engines.decoding.tokens import Tokens
from constrained.engines.protocol import Deadline
from constrained.errors import EngineError

MOST_TOKENS = 512  # of one walk: a grammar that lets a text go on for ever ends here


@dataclass(frozen=True, slots=True)
class Walk:
    """A finished walk.

    Attributes:
        ids: the tokens walked, the end token included where the mask has one.
        n_tokens: tokens that went through the model, the suffix included. n_passes: forward passes.
        n_asked: tokens that the model had a choice in; the others were forced.
        log_prob: log P(ids | prompt) in nats over the whole vocabulary; None when it was not asked for.
        log_prob_masked: the same over the allowed tokens alone, step by step: what sampling under the mask follows.
            Forced tokens add nothing to it.
    """

    ids: tuple[int, ...]
    n_tokens: int
    n_passes: int
    n_asked: int
    log_prob: float | None
    log_prob_masked: float


def walk(
    model: LanguageModel,
    prefix: Prefix | None,
    suffix: Sequence[int],
    mask: TokenMask,
    *,
    end: int | None,
    deadline: Deadline | None = None,
    is_scored: bool = True,
) -> Walk:
    """Walks greedily under ``mask`` after ``prefix`` and ``suffix`` (at least one token).

    Args:
        end: the token that ends a text; nothing may follow it.
        is_scored: False leaves out ``log_prob``, and so the last pass when the walk ends in forced tokens.

    Raises:
        EngineError: the walk cannot go on, does not end within MOST_TOKENS, or the model's scores are no numbers.
        DeadlineError: the deadline was over between two passes or within one.
    """
    if not suffix:
        raise ValueError("the suffix needs at least one token: its state predicts the first token of the walk")
    state = mask.start()
    steps = _Steps(model, prefix, list(suffix), deadline)
    while True:
        n_forced = 0
        while forced := state.forced():
            for token in forced:
                state.accept(token)
            steps.add(forced)
            n_forced += len(forced)
            _check(steps.ids, mask, end, is_done=state.is_done())
        if state.is_done():
            break
        states = steps.feed(n_forced if is_scored else 0)
        token = steps.pick(states[-1:], state.allowed(), mask.name)
        state.accept(token)
        steps.add([token])
        _check(steps.ids, mask, end, is_done=state.is_done())
    if is_scored and n_forced:
        steps.score_tail(n_forced)
    return Walk(
        tuple(steps.ids), steps.n_tokens, steps.n_passes, steps.n_asked, steps.log_prob if is_scored else None, steps.log_prob_masked
    )


def walk_rows(
    model: LanguageModel,
    prefix: Prefix | None,
    suffix: Sequence[int],
    rows: Sequence[Sequence[int]],
    texts: Sequence[str],
    *,
    backend: Backend = "trie",
    tokens: Tokens | None = None,
    deadline: Deadline | None = None,
    is_scored: bool = True,
) -> tuple[int, Walk]:
    """Walks to one of ``rows`` and says which.

    Args:
        rows: token ids, each with the end token at its end where the tokenizer has one.
        texts: [row] what the rows say, for errors.
        backend: ``trie``, ``xgrammar``, or a compiler of masks; all but the trie let the model leave its own tokenisation.
        tokens: the tokenizer; the trie needs none.

    Raises EngineError as ``walk`` does, when the engine cannot use the rows, or when the walk ended elsewhere.
    """
    n_vocabulary = model.network.get_output_embeddings().weight.shape[0]
    given = tuple(tuple(row) for row in rows)
    compiled = mask_of(backend, given, None if backend == "trie" else tokens, n_vocabulary)
    walked = walk(model, prefix, suffix, compiled.mask, end=tokens.end if tokens else None, deadline=deadline, is_scored=is_scored)
    row = compiled.row(walked.ids)
    if row is None:
        known = f"{texts[0]!r} and {len(texts) - 1} more" if len(texts) > 1 else repr(texts[0])
        raise EngineError(
            f"the walk of {backend_name(backend)} left the rows ({known}): {walked.ids}", hint="nothing was chosen; use backend='trie'"
        )
    return row, walked


def _check(ids: Sequence[int], mask: TokenMask, end: int | None, *, is_done: bool) -> None:
    if not is_done and end is not None and ids[-1] == end:
        raise EngineError(f"the mask of {mask.name} goes on after the end of a text", hint="does the end token belong to this model?")
    if not is_done and len(ids) >= MOST_TOKENS:
        raise EngineError(f"the walk of {mask.name} did not end within {MOST_TOKENS} tokens", hint="bound what the grammar repeats")


@dataclass(slots=True)
class _Steps:
    """What was walked and fed so far.

    Attributes:
        prefix: keys and values of everything fed. pending: tokens that were not fed yet, at least one.
    """

    model: LanguageModel
    prefix: Prefix | None
    pending: list[int]
    deadline: Deadline | None
    ids: list[int] = field(default_factory=list)
    n_tokens: int = 0
    n_passes: int = 0
    n_asked: int = 0
    log_prob: float = 0.0
    log_prob_masked: float = 0.0

    def add(self, tokens: Sequence[int]) -> None:
        self.ids += tokens
        self.pending += tokens

    def feed(self, n_scored: int) -> Tensor:
        """One pass over the pending tokens: [pending, hidden] states. Scores the last ``n_scored`` of them."""
        if self.deadline is not None:
            self.deadline.check()
        states, new = self.model.run(self.model.tensor(self.pending)[None], prefix=self.prefix, deadline=self.deadline)
        self._score(states[0, : len(self.pending) - 1], n_scored)
        self.n_tokens, self.n_passes = self.n_tokens + len(self.pending), self.n_passes + 1
        self.prefix = self._extended(new)
        self.pending = []
        return states[0]

    def pick(self, state: Tensor, allowed: Tensor, name: str) -> int:
        """The most likely allowed token after ``state`` ([1, hidden]); the only point where the walk waits for the device."""
        with torch.inference_mode():
            logits = self.model.logits(state)[0]
            allowed_mask = unpacked(allowed.to(logits.device), len(logits))
            masked = logits.masked_fill(~allowed_mask, float("-inf"))
            best, logit = masked.argmax(), masked.max()
            found = torch.stack([best.double(), (logit - logits.logsumexp(0)).double(), (logit - masked.logsumexp(0)).double()])
        token, log_prob, log_prob_masked = found.tolist()
        if not bool(allowed.any()):
            raise EngineError(f"the mask of {name} allows no token, though the text is not complete", hint="use backend='trie'")
        if log_prob != log_prob or log_prob == float("-inf"):
            raise EngineError("the model gave scores that are not finite", hint="try dtype='float32'")
        self.n_asked, self.log_prob, self.log_prob_masked = (
            self.n_asked + 1, self.log_prob + log_prob, self.log_prob_masked + log_prob_masked
        )  # fmt: skip
        return int(token)

    def score_tail(self, n_forced: int) -> None:
        """Scores forced tokens at the end of a walk; the last of them predicts nothing and is not fed."""
        last = self.pending.pop()
        states = self.feed(n_forced - 1)
        self.log_prob += float(self.model.log_probs(states[-1:], self.model.tensor([last])).double().sum())

    def _score(self, states: Tensor, n_scored: int) -> None:
        """Adds log P of the last ``n_scored`` pending tokens; ``states`` are those of all pending but the last."""
        if n_scored:
            found = self.model.log_probs(states[-n_scored:], self.model.tensor(self.pending[-n_scored:]))
            self.log_prob += float(found.double().sum())

    def _extended(self, new: Prefix) -> Prefix:
        if not self.model.has_cache:
            return Prefix((), (), (*(self.prefix.ids if self.prefix else ()), *self.pending))
        return new if self.prefix is None else self.prefix.join(new)
