"""Keys and values of the channel's contexts: computed once, held in memory, kept on disk between starts.

Each context goes through the model alone, so its states do not depend on what else was asked before.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from constrained.choice import Deadline
from constrained.decoding.model import LanguageModel, Prefix

Ids = tuple[int, ...]
MAX_TOKENS = 4_096  # held in memory; about 95 MB for the 135M model; the others are on disk, some milliseconds away
MAX_DISK_BYTES = 2**30


class ContextFolder:
    """Contexts' states on disk, one file each; the oldest go when they take more than MAX_DISK_BYTES.

    A file is named after all that its content depends on, written under another name and then renamed, and
    ignored when it cannot be read. A folder that cannot be written is not used any more.
    """

    def __init__(self, path: Path, owner: Callable[[], str]) -> None:
        """``owner`` names model, dtype, device and library versions; it is asked when a file is first looked for."""
        self._path, self._owner, self._is_usable = path, owner, True
        self._salt = b""

    def load(self, context: Ids) -> Tensor | None:
        """[layer, 2, kv head, position, head size], or None when there is no such file."""
        file = self._file(context)
        try:
            states = load_file(file)["states"]
            os.utime(file)
        except (OSError, SafetensorError, KeyError):  # not there, or not whole: it is computed again
            return None
        return states if states.shape[3] == len(context) else None

    def save(self, context: Ids, states: Tensor) -> None:
        if not self._is_usable:
            return
        try:
            self._path.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=self._path) as folder:
                written = Path(folder) / "states"
                save_file({"states": states.contiguous()}, written)
                written.replace(self._file(context))
        except (OSError, SafetensorError):  # a full or read-only disk costs time at the next start, not this turn
            self._is_usable = False

    def trim(self) -> None:
        """Removes the files that were used longest ago."""
        files = sorted(self._path.glob("*.safetensors"), key=lambda file: file.stat().st_mtime, reverse=True)
        held = 0
        for file in files:
            held += file.stat().st_size
            if held > MAX_DISK_BYTES:
                file.unlink(missing_ok=True)

    def _file(self, context: Ids) -> Path:
        self._salt = self._salt or self._owner().encode()
        digest = hashlib.sha256(self._salt + np.asarray(context, dtype=np.int64).tobytes()).hexdigest()
        return self._path / f"{digest}.safetensors"


class Contexts:
    """Keys and values of contexts by their token ids; the least recently used go when ``max_tokens`` are held."""

    def __init__(self, model: LanguageModel, max_tokens: int = MAX_TOKENS, folder: ContextFolder | None = None) -> None:
        self._model, self._max_tokens, self._folder = model, max_tokens, folder
        self._held: OrderedDict[Ids, Tensor] = OrderedDict()  # [layer, 2, kv head, position, head size]

    def fill(self, contexts: Sequence[Ids], deadline: Deadline | None = None) -> int:
        """Reads or computes what is missing; returns how many tokens went through the model."""
        n_tokens = 0
        for context in dict.fromkeys(contexts):
            if context not in self._held:
                n_tokens += self._add(context, deadline)
            self._held.move_to_end(context)
        self._forget(keep=len(set(contexts)))
        return n_tokens

    def stacked(self, contexts: Sequence[Ids]) -> Prefix:
        """One batch row a context, padded on the left; ``fill`` came before."""
        held = [self._held[context] for context in contexts]
        longest = max(one.shape[3] for one in held)
        shape = (held[0].shape[0], 2, len(held), held[0].shape[2], longest, held[0].shape[4])
        stack = held[0].new_zeros(shape)
        for row, one in enumerate(held):
            stack[:, :, row, :, longest - one.shape[3] :] = one
        return Prefix(tuple(layer[0] for layer in stack), tuple(layer[1] for layer in stack))

    def _add(self, context: Ids, deadline: Deadline | None) -> int:
        known = self._folder.load(context) if self._folder else None
        if known is not None:
            self._held[context] = known.to(self._model.device)
            return 0
        prefix = self._model.prefill(context, deadline)
        states = torch.stack([torch.stack(pair)[:, 0] for pair in zip(prefix.keys, prefix.values, strict=True)])
        self._held[context] = states
        if self._folder:
            self._folder.save(context, states)
        return len(context)

    def _forget(self, keep: int) -> None:
        held = sum(map(len, self._held))
        while held > self._max_tokens and len(self._held) > keep:
            held -= len(self._held.popitem(last=False)[0])
