"""One vector for each response: how near a message's vector is to it is the response's score. Knows no network."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor
from torch.nn.functional import normalize

from constrained.errors import AdapterError


@dataclass(frozen=True, slots=True, eq=False)
class Head:
    """What tuning learned of the responses.

    Attributes:
        ids: of the responses. vectors: [id, hidden] float32, unit length.
        scale: nats that a cosine of 1 is worth.
        rest: cosine of "none of these", where no messages told what it looks like; NaN where ``ids`` holds the fallback.
        temperature: the scores are divided by it before they become probabilities.
    """

    ids: tuple[str, ...]
    vectors: Tensor
    scale: float
    rest: float = float("nan")
    temperature: float = 1.0

    def logits(self, states: Tensor) -> Tensor:
        """[message, id] nats, of [message, hidden] unit vectors."""
        return self.scale * states.float() @ normalize(self.vectors, dim=-1).T

    def scores(self, states: Tensor) -> NDArray[np.float64]:
        """The same as an array: one judge among others, for a mixture."""
        return self.logits(states).double().detach().cpu().numpy()

    def of(self, row: NDArray[np.float64], ids: Sequence[str], is_rest: Sequence[bool]) -> NDArray[np.float64]:
        """[candidate] scores out of one row of ``scores``. Raises AdapterError for a response that was never tuned."""
        place = {name: index for index, name in enumerate(self.ids)}
        found = []
        for name, rest in zip(ids, is_rest, strict=True):
            if name not in place and not rest:
                raise AdapterError(f"the adapter knows no response {name!r}", hint="tune it again: constrained tune NAME")
            found.append(row[place[name]] if name in place else self.scale * self.rest)
        return np.asarray(found, dtype=np.float64)

    def save(self, file: Path) -> None:
        told = json.dumps({"ids": self.ids, "scale": self.scale, "rest": self.rest, "temperature": self.temperature})
        save_file({"vectors": self.vectors.detach().float().cpu().contiguous()}, file, metadata={"head": told})  # several have no order

    @classmethod
    def load(cls, file: Path, device: torch.device | str = "cpu") -> Head:
        with safe_open(file, framework="pt", device=str(device)) as opened:
            told = json.loads(opened.metadata()["head"])
            vectors = opened.get_tensor("vectors")
        return cls(tuple(told["ids"]), vectors, told["scale"], told["rest"], told["temperature"])
