"""xgrammar: the lines as one EBNF rule, a token mask at every step, over the same cached prefix as our own passes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import xgrammar

from benchmarks.peers import MOST_TOKENS, Walk
from benchmarks.setting import Prompt, Setting

_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"})


class XgrammarWalk:
    """Greedy decoding under xgrammar's mask."""

    name = "xgrammar"

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        self._n_vocabulary = setting.model.config.vocab_size
        self._info = xgrammar.TokenizerInfo.from_huggingface(
            setting.tokenizer, vocab_size=self._n_vocabulary, stop_token_ids=setting.tokens.end
        )

    def compile(self, lines: Sequence[str]) -> None:
        """A compiler of its own each time: nothing is taken from its cache."""
        rule = "root ::= " + " | ".join(f'"{line.translate(_ESCAPES)}"' for line in lines)
        self._grammar = xgrammar.GrammarCompiler(self._info).compile_grammar(xgrammar.Grammar.from_ebnf(rule))

    def walk(self, prompt: Prompt) -> Walk:
        """Reads the suffix, then one token a pass."""
        matcher = xgrammar.GrammarMatcher(self._grammar)
        allowed_mask = xgrammar.allocate_token_bitmask(1, self._n_vocabulary)
        cache, new, ids = self._setting.cache(), list(prompt.suffix), list[int]()
        while len(ids) < MOST_TOKENS and not matcher.is_terminated():
            matcher.fill_next_token_bitmask(allowed_mask)
            new = [self._best(new, cache, allowed_mask)]
            matcher.accept_token(new[0])
            ids += new
        return Walk(tuple(ids))

    def _best(self, new: list[int], cache: object, allowed_mask: torch.Tensor) -> int:
        """The most likely allowed token after one pass over the new ones."""
        with torch.inference_mode():
            ids = self._setting.model.tensor(new)[None]
            logits = self._setting.network(ids, past_key_values=cache, logits_to_keep=1).logits[:, -1].float()
            xgrammar.apply_token_bitmask_inplace(logits, allowed_mask.to(logits.device))
            return int(logits.argmax())
