"""llguidance: the lines as one terminal of a grammar; with or without feeding forced tokens together."""

from __future__ import annotations

import json
from collections.abc import Sequence

import llguidance.hf
import llguidance.torch
from llguidance import LLMatcher
from torch import Tensor

from benchmarks.peers import Answer, Entry, Recompiling
from benchmarks.peers.bed import Bed, Prompt
from benchmarks.peers.walks import walked


class Peer(Recompiling):
    """Greedy decoding under llguidance's mask, over the cached static part.

    Args:
        is_forced: tokens that it knows to be forced are fed together with the one before them, as its interface allows
            and engines seldom do; else one token a pass.
    """

    def __init__(self, bed: Bed, is_forced: bool = False) -> None:
        self._bed, self._is_forced = bed, is_forced
        self._tokenizer = llguidance.hf.from_tokenizer(bed.tokenizer, n_vocab=bed.n_vocabulary)

    def compile(self, entries: Sequence[Entry]) -> None:
        """Up to a matcher that has computed its first mask: the lexer's automaton is built no earlier.

        As alternatives of a rule, which its own ``choice`` makes of them, it refuses more than 2,000 lines.
        """
        self.entries = entries
        lines = " | ".join(json.dumps(entry.text, ensure_ascii=False) for entry in entries)
        grammar = LLMatcher.grammar_from_lark(f"start: LINE\nLINE: {lines}")
        self._matcher = LLMatcher(self._tokenizer, grammar, log_level=0)
        self._mask = llguidance.torch.allocate_token_bitmask(1, self._bed.n_vocabulary)
        llguidance.torch.fill_next_token_bitmask(self._matcher, self._mask)
        self._check(self._matcher)

    def decide(self, prompt: Prompt, max_tokens: int) -> Answer:
        matcher = self._matcher.deep_copy()

        def mask(logits: Tensor) -> None:
            llguidance.torch.fill_next_token_bitmask(matcher, self._mask)
            self._check(matcher)
            llguidance.torch.apply_token_bitmask_inplace(logits, self._mask.to(logits.device))

        def accept(token: int) -> Sequence[int]:
            matcher.consume_token(token)
            forced = matcher.compute_ff_tokens() if self._is_forced and not matcher.is_stopped() else []
            if forced:
                matcher.consume_tokens(forced)
            self._check(matcher)
            return forced

        ids, n_passes = self._bed.greedy(prompt, mask, accept, max_tokens=max_tokens, is_over=lambda: bool(matcher.is_stopped()))
        return walked(self._bed, prompt, ids, n_passes, max_tokens, is_whole=bool(matcher.is_stopped()))

    def _check(self, matcher: LLMatcher) -> None:
        """It keeps its errors to itself until it is asked."""
        if matcher.is_error():
            raise ValueError(matcher.get_error())
