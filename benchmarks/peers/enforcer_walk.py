"""lm-format-enforcer: a parser for each line, their union, and its function of allowed tokens in transformers' generate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lmformatenforcer import TokenEnforcer
from lmformatenforcer.characterlevelparser import StringParser, UnionParser

from benchmarks.peers import Answer, Entry, Recompiling
from benchmarks.peers.bed import Bed, Prompt
from benchmarks.peers.walks import generated


class Peer(Recompiling):
    """Greedy generation; tokens that a prompt led to are forgotten after each decision, as for a new request."""

    def __init__(self, bed: Bed) -> None:
        self._bed = bed
        self._data = _tokenizer_data(bed)

    def compile(self, entries: Sequence[Entry]) -> None:
        self.entries = entries
        parsers: list[Any] = [StringParser(entry.text) for entry in entries]
        self._parser = UnionParser(parsers)

    def decide(self, prompt: Prompt, max_tokens: int) -> Answer:
        enforcer = TokenEnforcer(self._data, self._parser)
        return generated(
            self._bed,
            prompt,
            max_tokens,
            prefix_allowed_tokens_fn=lambda _, ids: enforcer.get_allowed_tokens(ids.tolist()).allowed_tokens,
        )


def _tokenizer_data(bed: Bed) -> Any:
    """Its own helper lives in a module that imports a name of older transformers; where that fails, the same by hand."""
    try:
        from lmformatenforcer.integrations.transformers import build_token_enforcer_tokenizer_data
    except ImportError:
        return _tokenizer_data_by_hand(bed)
    return build_token_enforcer_tokenizer_data(bed.tokenizer, vocab_size=min(len(bed.tokenizer), bed.n_vocabulary))


def _tokenizer_data_by_hand(bed: Bed) -> Any:
    """[(id, text after a digit, whether a space came with it)] of every ordinary token, as its helper lists them."""
    from lmformatenforcer.tokenenforcer import TokenEnforcerTokenizerData

    tokenizer, n_tokens = bed.tokenizer, min(len(bed.tokenizer), bed.n_vocabulary)
    digit, special = tokenizer.encode("0", add_special_tokens=False)[-1], set(tokenizer.all_special_ids)
    ordinary = [token for token in range(n_tokens) if token not in special]
    after = [text[1:] for text in tokenizer.batch_decode([[digit, token] for token in ordinary])]
    alone = tokenizer.batch_decode([[token] for token in ordinary])
    regular = [(token, one, len(one) > len(other)) for token, one, other in zip(ordinary, after, alone, strict=True)]
    return TokenEnforcerTokenizerData(regular, lambda ids: tokenizer.decode(ids).rstrip("�"), bed.end, False, n_tokens)
