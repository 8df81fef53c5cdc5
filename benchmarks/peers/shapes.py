"""Models of usual shapes with random weights, and a tokenizer trained on generated lines: for throughput alone.

Throughput does not depend on the values of the weights; how many nodes ``refine`` or ``bounded`` read does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from benchmarks.peers.bed import TEMPLATE
from benchmarks.sets.lines import made_lines

END = "<|end|>"
N_MERGED = 6_000  # tokens that the lines need; the model's vocabulary is larger, as a language model's is


@dataclass(frozen=True, slots=True)
class Shape:
    """The numbers of a Llama."""

    n_vocabulary: int
    n_layers: int
    n_hidden: int
    n_inner: int
    n_heads: int
    n_kv_heads: int
    is_tied: bool

    @property
    def n_head(self) -> int:
        """Size of one head."""
        return self.n_hidden // self.n_heads

    @property
    def layer_weights(self) -> int:
        """Of all matrices that every token is multiplied with, the output matrix not among them."""
        attention = self.n_hidden * self.n_head * (2 * self.n_heads + 2 * self.n_kv_heads)
        return self.n_layers * (attention + 3 * self.n_hidden * self.n_inner)

    def flop(self, n_tokens: float, n_logit_rows: float, n_context: float) -> float:
        """Of a pass: two for each weight and token, the scores and sums of attention, and the logits that are needed."""
        attention = 4 * self.n_layers * self.n_hidden * n_context * n_tokens
        return 2 * self.layer_weights * n_tokens + attention + 2 * self.n_hidden * self.n_vocabulary * n_logit_rows


SHAPES = {
    "1B": Shape(128_256, 16, 2_048, 8_192, 32, 8, True),
    "3B": Shape(128_256, 28, 3_072, 8_192, 24, 8, True),
    "8B": Shape(128_256, 32, 4_096, 14_336, 32, 8, False),
}
TINY = Shape(8_192, 2, 32, 64, 4, 2, True)


def network(shape: Shape, dtype: str, device: str, seed: int) -> Any:
    """Made on the device, in its own type: an 8B model needs 16 GB in bfloat16, and never more."""
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=shape.n_vocabulary,
        hidden_size=shape.n_hidden,
        intermediate_size=shape.n_inner,
        num_hidden_layers=shape.n_layers,
        num_attention_heads=shape.n_heads,
        num_key_value_heads=shape.n_kv_heads,
        max_position_embeddings=8_192,
        tie_word_embeddings=shape.is_tied,
        eos_token_id=0,
        pad_token_id=0,
    )
    before = torch.get_default_dtype()
    try:
        torch.set_default_dtype(getattr(torch, dtype))
        with torch.random.fork_rng(), torch.device(device):
            torch.manual_seed(seed)
            build: Any = LlamaForCausalLM  # typed only in part
            return build(config).eval()
    finally:
        torch.set_default_dtype(before)


def tokenizer(seed: int, n_lines: int = 4_000) -> Any:
    """Bytes and merges learned from generated lines, which it cuts into about one token a word."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=N_MERGED, special_tokens=[END], initial_alphabet=alphabet, show_progress=False)
    core.train_from_iterator(made_lines(n_lines, seed + 1), trainer)
    build: Any = PreTrainedTokenizerFast  # typed only in part
    found = build(tokenizer_object=core, eos_token=END, pad_token=END)
    found.chat_template = TEMPLATE
    return found
