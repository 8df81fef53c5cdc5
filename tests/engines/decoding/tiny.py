"""Tiny networks of random weights, one per family, and tokenizers trained on the spot. Needs no hub."""

from __future__ import annotations

from typing import Any

import numpy as np
import tokenizers as tk
import torch
import transformers

from constrained.engines.decoding.language_model import LanguageModel

N_VOCABULARY = 400
ASSORTED = ["<|im_start|>", "<|im_end|>", "<|endoftext|>"]
CORPUS = [
    "The innkeeper puts down his cup and says that fifty gold is a fair price for the key, not a copper less.",
    "The rooms upstairs are warm, dry and quiet at night. Does the player threaten the innkeeper? yes no none",
    "Good evening, old man! I'd like to buy the key to the cellar. Here are 60 gold; what do you say? - For example:",
    "Messages of every kind. When the customer wants a refund: I paid 12.50 twice, give it back (please).",
] * 8

_BASE: dict[str, Any] = {
    "vocab_size": N_VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,  # grouped queries
    "max_position_embeddings": 2048,
    "initializer_range": 0.3,  # wide, so that every token that is seen or not shows
    "bos_token_id": 0,
    "eos_token_id": 1,
    "pad_token_id": None,
}
_HEADS = {"head_dim": 8}
_NO_GROUPS = {name: value for name, value in _BASE.items() if name != "num_key_value_heads"}
_EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16, "shared_expert_intermediate_size": 16}
_LINEAR = {"linear_num_value_heads": 4, "linear_num_key_heads": 2, "linear_key_head_dim": 8, "linear_value_head_dim": 8}
_STATE_SPACE = {"vocab_size": N_VOCABULARY, "hidden_size": 32, "num_hidden_layers": 2, "state_size": 8, "initializer_range": 0.3}
_SMALL_GPT = {"vocab_size": N_VOCABULARY, "n_layer": 2, "n_head": 4, "initializer_range": 0.3, "bos_token_id": 0, "eos_token_id": 1}

FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("LlamaConfig", _BASE),
    "qwen2": ("Qwen2Config", _BASE),
    "gpt2": ("GPT2Config", _SMALL_GPT | {"n_embd": 32}),  # learned positions, blocks by another name
    "neox": ("GPTNeoXConfig", _NO_GROUPS),
    "bloom": ("BloomConfig", _SMALL_GPT | {"hidden_size": 32}),  # positions are a part of the mask
    "mistral": ("MistralConfig", _BASE | {"sliding_window": 4}),
    "phi3": ("Phi3Config", _BASE | {"sliding_window": 4}),
    "gemma3": ("Gemma3TextConfig", _BASE | _HEADS | {"sliding_window": 4}),  # sliding and full layers
    "gemma2": ("Gemma2Config", _BASE | _HEADS | {"sliding_window": 4}),  # and soft-capped logits
    "cohere": ("CohereConfig", _BASE),  # scaled logits
    "granite": ("GraniteConfig", _BASE | {"logits_scaling": 8.0}),  # and these the other way round
    "mamba": ("MambaConfig", _STATE_SPACE),
    "mamba2": ("Mamba2Config", _STATE_SPACE | {"num_heads": 8, "head_dim": 8, "n_groups": 1, "chunk_size": 16}),
    "lfm2": ("Lfm2Config", _BASE | {"layer_types": ["conv", "full_attention"]}),
    "qwen3_next": (
        "Qwen3NextConfig",
        _BASE | _HEADS | _EXPERTS | _LINEAR | {"layer_types": ["linear_attention", "full_attention"]},
    ),
    "bert": ("BertConfig", {name: value for name, value in _NO_GROUPS.items() if name != "pad_token_id"}),
}


def network(
    family: str = "llama", *, seed: int = 0, dtype: torch.dtype = torch.float32, attention: str | None = None, **changes: Any
) -> Any:
    """A causal LM of random weights, the same for the same arguments."""
    name, settings = FAMILIES[family]
    config = getattr(transformers, name)(**settings | changes)
    options = {"attn_implementation": attention} if attention else {}
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return transformers.AutoModelForCausalLM.from_config(config, dtype=dtype, **options).eval()


def ignoring_masks(built: Any) -> Any:
    """The network, made deaf to every mask, as linear attention is."""
    forward = built.model.forward
    built.model.forward = lambda *args, attention_mask=None, **options: forward(*args, **options)
    return built


def by_definition(model: LanguageModel, prompt: Any, row: Any) -> float:
    """log P(row | prompt) by hand: the network's own logits, a log-softmax, a sum."""
    with torch.inference_mode():
        logits = model.network(input_ids=torch.tensor([[*prompt, *row]]), use_cache=False).logits[0].double().numpy()
    log_probs = logits - np.log(np.exp(logits - logits.max(-1, keepdims=True)).sum(-1, keepdims=True)) - logits.max(-1, keepdims=True)
    return float(sum(log_probs[len(prompt) - 1 + index, token] for index, token in enumerate(row)))


# -- tokenizers -------------------------------------------------------------------------------------------

CHAT = "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}<|im_start|>assistant\n"
LLAMA_CHAT = (
    "{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "{% for message in messages %}<s>[INST] {{ message.content | trim }} [/INST]{% endfor %}"
)


def bpe(chat_template: str | None = CHAT) -> Any:
    """Bytes and merges, as GPT-2, Llama 3, Qwen and SmolLM have them."""
    made = tk.Tokenizer(tk.models.BPE())
    made.pre_tokenizer = tk.pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = tk.decoders.ByteLevel()
    alphabet = tk.pre_tokenizers.ByteLevel.alphabet()
    trainer = tk.trainers.BpeTrainer(vocab_size=N_VOCABULARY - 1, special_tokens=ASSORTED, initial_alphabet=alphabet, show_progress=False)
    made.train_from_iterator(CORPUS, trainer)
    # The unknown token is the end as well, as in GPT-2; "<think>" is added, not special, as in Qwen.
    return _wrapped(made, chat_template, bos_token="<|im_start|>", eos_token="<|im_end|>", unk_token="<|im_end|>", extra_tokens=["<think>"])


def unigram(chat_template: str | None = LLAMA_CHAT) -> Any:
    """Pieces with their likelihoods, as SentencePiece makes them; its own control pieces are in the vocabulary."""
    made = tk.Tokenizer(tk.models.Unigram())
    made.pre_tokenizer = tk.pre_tokenizers.Metaspace()
    made.decoder = tk.decoders.Metaspace()
    trainer = tk.trainers.UnigramTrainer(
        vocab_size=N_VOCABULARY, special_tokens=["<unk>", "<s>", "</s>"], unk_token="<unk>", show_progress=False
    )
    made.train_from_iterator(CORPUS, trainer)
    made.post_processor = tk.processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", made.token_to_id("<s>"))])
    return _wrapped(made, chat_template, bos_token="<s>", eos_token="</s>", unk_token="<unk>")


def wordpiece(chat_template: str | None = None) -> Any:
    """Words and their endings in lower case, as BERT's; what it does not know becomes the unknown token."""
    made = tk.Tokenizer(tk.models.WordPiece(unk_token="[UNK]"))
    made.normalizer = tk.normalizers.BertNormalizer()
    made.pre_tokenizer = tk.pre_tokenizers.BertPreTokenizer()
    made.decoder = tk.decoders.WordPiece()
    specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    made.train_from_iterator(CORPUS, tk.trainers.WordPieceTrainer(vocab_size=N_VOCABULARY, special_tokens=specials, show_progress=False))
    names = {f"{name}_token": f"[{name.upper()}]" for name in ("pad", "unk", "cls", "sep", "mask")}
    return _wrapped(made, chat_template, **names)


TOKENIZERS = {"bpe": bpe, "unigram": unigram, "wordpiece": wordpiece}


def _wrapped(made: tk.Tokenizer, chat_template: str | None, extra_tokens: Any = (), **names: str) -> Any:
    made.add_tokens(list(extra_tokens))
    wrapped = transformers.PreTrainedTokenizerFast(tokenizer_object=made, **names)
    wrapped.chat_template = chat_template
    assert len(wrapped) <= N_VOCABULARY
    return wrapped
