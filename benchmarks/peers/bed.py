"""What every peer starts from: a model, prompts whose static part is cached, plain forward passes; and a toy model for smoke runs.

Imports torch and transformers and nothing of the library, so that it runs in a peer's own virtual environment too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

END = "<|end|>"
TEMPLATE = "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}{% if add_generation_prompt %}reply: {% endif %}"


def toy_tokenizer() -> Any:
    """One token a byte, an end token, and a chat template of one line a message."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    core = Tokenizer(models.BPE(vocab={char: index for index, char in enumerate(alphabet)}, merges=[]))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    build: Any = PreTrainedTokenizerFast  # typed only in part
    tokenizer = build(tokenizer_object=core, eos_token=END, pad_token=END)
    tokenizer.chat_template = TEMPLATE
    return tokenizer


def toy_network(dtype: str, seed: int) -> Any:
    """A Llama of two small layers with random weights, the same ones for the same seed."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=257,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=4096,
        initializer_range=0.3,  # larger than usual: what a token attends to must show in what it predicts
        eos_token_id=256,
        pad_token_id=256,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return LlamaForCausalLM(config).to(getattr(torch, dtype)).eval()


# -- the bed ----------------------------------------------------------------------------------------------------


TOY = "toy"


@dataclass(frozen=True, slots=True)
class Prompt:
    """One turn's prompt; the same tokens for every peer.

    Attributes:
        static, dynamic: the texts of the system and of the user message.
        prefix_ids: tokens of the static part; their keys and values are cached. suffix: the new ones.
        before: what was said before, as (user, reply); part of the suffix.
    """

    question: str
    static: str
    dynamic: str
    prefix_ids: tuple[int, ...]
    suffix: tuple[int, ...]
    before: tuple[tuple[str, str], ...] = ()

    @property
    def ids(self) -> list[int]:
        return [*self.prefix_ids, *self.suffix]

    @property
    def messages(self) -> list[dict[str, str]]:
        """The same prompt as a chat, for peers that render it themselves."""
        turns = [{"role": role, "content": text} for turn in self.before for role, text in zip(("user", "assistant"), turn, strict=True)]
        return [{"role": "system", "content": self.static}, *turns, {"role": "user", "content": self.dynamic}]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, told: dict[str, Any]) -> Prompt:
        before = tuple((user, reply) for user, reply in told.get("before", ()))
        return cls(told["question"], told["static"], told["dynamic"], tuple(told["prefix_ids"]), tuple(told["suffix"]), before)


@dataclass(frozen=True, slots=True)
class Bed:
    """A loaded model and its prompts; all prompts have one static part.

    Attributes:
        model: the folder that it came from, or ``toy``.
        settings: what the run was asked for beyond that, for adapters that need more (the seed).
    """

    model: str
    network: Any
    tokenizer: Any
    prompts: tuple[Prompt, ...]
    prefix: tuple[tuple[Tensor, Tensor], ...]
    settings: dict[str, Any]

    @classmethod
    def around(cls, model: str, network: Any, tokenizer: Any, prompts: Sequence[Prompt], settings: dict[str, Any]) -> Bed:
        return cls(model, network, tokenizer, tuple(prompts), _prefix(network, prompts[0].prefix_ids), settings)

    @property
    def end(self) -> int | None:
        found: int | None = self.tokenizer.eos_token_id
        return found

    @property
    def n_vocabulary(self) -> int:
        """Rows of the output matrix: what a mask must cover."""
        return int(self.network.get_output_embeddings().weight.shape[0])

    def cache(self, batch: int = 1) -> Any:
        """The prefix as a fresh cache of transformers, once for each row of a batch."""
        from transformers.cache_utils import DynamicCache

        cache = DynamicCache()
        for layer, (keys, values) in enumerate(self.prefix):
            cache.update(keys.expand(batch, -1, -1, -1), values.expand(batch, -1, -1, -1), layer)
        return cache

    def tensor(self, ids: Sequence[int]) -> Tensor:
        """[1, token] on the model's device."""
        return torch.as_tensor([list(ids)], dtype=torch.long, device=self.network.device)

    def logits(self, ids: Sequence[int], cache: Any, n_logits: int = 1) -> Tensor:
        """[n_logits, vocabulary] of the last new tokens (0: of all), which the cache then holds too."""
        with torch.inference_mode():
            found: Tensor = self.network(self.tensor(ids), past_key_values=cache, logits_to_keep=n_logits).logits[0]
        return found

    def suffix_pass(self, prompt: Prompt) -> float:
        """F: one forward pass of the suffix over the cached static part, with the logits of its last token."""
        return float(self.logits(prompt.suffix, self.cache())[0, 0])  # reading it waits for the device

    def greedy(
        self,
        prompt: Prompt,
        mask: Callable[[Tensor], None],
        accept: Callable[[int], Sequence[int]],
        *,
        max_tokens: int,
        is_over: Callable[[], bool] = lambda: False,
    ) -> tuple[list[int], int]:
        """Token by token, the most likely one that a mask leaves; returns the new tokens and how many passes it took.

        Args:
            mask: sets the logits [1, vocabulary] of forbidden tokens to minus infinity, in place.
            accept: takes a token, returns those that are forced after it: they are fed together, never sampled.
            is_over: whether nothing may follow; the end token ends a walk in any case.
        """
        cache, new, ids, n_passes = self.cache(), list(prompt.suffix), list[int](), 0
        while len(ids) < max_tokens and not is_over():
            with torch.inference_mode():
                logits = self.logits(new, cache).float()
                mask(logits)
                token = int(logits.argmax())
            n_passes += 1
            new = [token, *([] if token == self.end else accept(token))]
            ids += new
            if self.end in new:
                break
        return ids, n_passes  # forced tokens may go beyond max_tokens: ``walked`` cuts them


def load(spec: dict[str, Any], *, has_network: bool = True) -> Bed:
    """The bed that a run asked for (``model``, ``dtype``, ``device``, ``prompts``, ``settings``).

    Args:
        has_network: False for the client of a server, which needs the tokenizer alone.
    """
    prompts = [Prompt.from_json(told) for told in spec["prompts"]]
    settings = spec["settings"] | {"dtype": spec["dtype"]}
    if not has_network:
        from transformers import AutoTokenizer

        tokenizer = None if spec["model"] == TOY else AutoTokenizer.from_pretrained(spec["model"])
        return Bed(spec["model"], None, tokenizer, tuple(prompts), (), settings)
    network, tokenizer = networks(spec["model"], spec["dtype"], spec["device"], settings["seed"])
    return Bed.around(spec["model"], network, tokenizer, prompts, settings)


def networks(model: str, dtype: str, device: str, seed: int) -> tuple[Any, Any]:
    """A causal LM and its tokenizer; a toy of random weights for ``toy``."""
    if model == TOY:
        from benchmarks.peers.bed import toy_network, toy_tokenizer

        return toy_network(dtype, seed).to(device), toy_tokenizer()
    from transformers import AutoModelForCausalLM, AutoTokenizer

    networks: Any = AutoModelForCausalLM
    network = networks.from_pretrained(model, dtype=getattr(torch, dtype))
    return network.to(device).eval(), AutoTokenizer.from_pretrained(model)


def _prefix(network: Any, ids: Sequence[int]) -> tuple[tuple[Tensor, Tensor], ...]:
    """[layer] keys and values of the static part, computed once."""
    with torch.inference_mode():
        given = torch.as_tensor([list(ids)], dtype=torch.long, device=network.device)
        cache = network(given, use_cache=True, logits_to_keep=1).past_key_values
    return tuple((layer.keys, layer.values) for layer in cache.layers)
