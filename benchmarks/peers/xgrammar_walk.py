"""xgrammar: the lines as one EBNF rule, a token mask at every step."""

from __future__ import annotations

from collections.abc import Sequence

import xgrammar
from torch import Tensor

from benchmarks.peers import Answer, Entry, Recompiling
from benchmarks.peers.bed import Bed, Prompt
from benchmarks.peers.walks import walked

_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"})


class Peer(Recompiling):
    """Greedy decoding under xgrammar's mask, over the cached static part.

    Args:
        is_forced: text that it knows to be forced (``find_jump_forward_string``) is tokenised and fed together with the
            token before it; else one token a pass.
    """

    def __init__(self, bed: Bed, is_forced: bool = False) -> None:
        self._bed, self._is_forced = bed, is_forced
        self._info = xgrammar.TokenizerInfo.from_huggingface(bed.tokenizer, vocab_size=bed.n_vocabulary, stop_token_ids=bed.end)

    def compile(self, entries: Sequence[Entry]) -> None:
        """A compiler of its own each time: nothing is taken from its cache."""
        self.entries = entries
        rule = "root ::= " + " | ".join(f'"{entry.text.translate(_ESCAPES)}"' for entry in entries)
        self._grammar = xgrammar.GrammarCompiler(self._info).compile_grammar(xgrammar.Grammar.from_ebnf(rule))

    def decide(self, prompt: Prompt, max_tokens: int) -> Answer:
        matcher = xgrammar.GrammarMatcher(self._grammar)
        allowed_mask = xgrammar.allocate_token_bitmask(1, self._bed.n_vocabulary)

        def mask(logits: Tensor) -> None:
            matcher.fill_next_token_bitmask(allowed_mask)
            xgrammar.apply_token_bitmask_inplace(logits, allowed_mask.to(logits.device))

        def accept(token: int) -> Sequence[int]:
            _accept(matcher, [token])
            if not self._is_forced or matcher.is_terminated():
                return ()
            text = matcher.find_jump_forward_string()
            forced = self._bed.tokenizer(text, add_special_tokens=False)["input_ids"] if text else []
            _accept(matcher, forced)
            return forced

        ids, n_passes = self._bed.greedy(prompt, mask, accept, max_tokens=max_tokens, is_over=matcher.is_terminated)
        return walked(self._bed, prompt, ids, n_passes, max_tokens)


def _accept(matcher: xgrammar.GrammarMatcher, tokens: Sequence[int]) -> None:
    for token in tokens:
        if not matcher.accept_token(token):
            raise ValueError(f"the matcher rejected token {token}, which it had allowed or forced")
