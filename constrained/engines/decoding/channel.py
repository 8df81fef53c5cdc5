"""log P(message | context) for many pairs at once, over keys and values of the contexts that are computed once.

These are held in memory and kept on disk between starts. Each context goes through the model alone, so its states do not
depend on what else was asked before.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from constrained.engines.decoding.language_model import LanguageModel, Prefix
from constrained.engines.decoding.rules import MessageScores, Pair
from constrained.engines.decoding.trie import Ids
from constrained.engines.protocol import Deadline

MAX_TOKENS = 4_096  # held in memory; about 95 MB for the 135M model; the others are on disk, some milliseconds away
MAX_DISK_BYTES = 2**29  # of all models together; a pack of 70 responses takes 250 MB with the 135M model
ABANDONED_S = 3_600.0  # after which what a process left half written is nobody's any more


class ContextFolder:
    """Contexts' states on disk, one file each; before one is added, those used longest ago go: all stay within MAX_DISK_BYTES.

    A file is named after all that its content depends on, so what is stale is never found. It is written under another name and
    then renamed, and ignored when it cannot be read. A folder that cannot be written is not used any more.
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
                if self.trim(written.stat().st_size):
                    written.replace(self._file(context))
        except (OSError, SafetensorError):  # a full or read-only disk costs time at the next start, not this turn
            self._is_usable = False

    def trim(self, n_new: int = 0) -> bool:
        """Removes the files that were used longest ago, until ``n_new`` bytes more fit; False where they never do."""
        held = n_new
        for _, size, file in sorted(self._files(), reverse=True):
            held += size
            if held > MAX_DISK_BYTES:
                with suppress(OSError):  # another process was faster, or reads it (Windows): its bytes go at the next call
                    file.unlink()
        return n_new <= MAX_DISK_BYTES

    def _files(self) -> Iterator[tuple[float, int, Path]]:
        """When each was last used, its bytes, its path; with what other processes began to write and left behind."""
        for file in (*self._path.glob("*.safetensors"), *self._path.glob("tmp*/states")):
            try:
                found = file.stat()
            except OSError:  # gone meanwhile
                continue
            if file.name != "states":
                yield found.st_mtime, found.st_size, file
            elif time.time() - found.st_mtime > ABANDONED_S:
                shutil.rmtree(file.parent, ignore_errors=True)

    def _file(self, context: Ids) -> Path:
        self._salt = self._salt or self._owner().encode()
        digest = hashlib.sha256(self._salt + np.asarray(context, dtype=np.int64).tobytes()).hexdigest()
        return self._path / f"{digest}.safetensors"


class Contexts:
    """Keys and values of contexts by their token ids; the least recently used go when ``max_tokens`` are held."""

    def __init__(self, model: LanguageModel, max_tokens: int = MAX_TOKENS, folder: ContextFolder | None = None) -> None:
        self._model, self._max_tokens, self._folder = model, max_tokens, folder
        self._keeps = True
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

    @contextmanager
    def not_kept(self) -> Iterator[None]:
        """What is computed meanwhile is not written to disk: contexts that nobody will ask for again. The model's lock is held."""
        kept, self._keeps = self._keeps, False
        try:
            yield
        finally:
            self._keeps = kept

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
        if self._folder and self._keeps:
            self._folder.save(context, states)
        return len(context)

    def _forget(self, keep: int) -> None:
        held = sum(map(len, self._held))
        while held > self._max_tokens and len(self._held) > keep:
            held -= len(self._held.popitem(last=False)[0])


# -- scores of messages --------------------------------------------------------------------------------------------

BATCH_TOKENS = 1024  # message tokens of all pairs together that go through the model in one pass
BATCH_TOKENS_CUDA = 16_384


def score_message(
    model: LanguageModel, bank: Contexts, contexts: Sequence[Ids], message: Sequence[int], deadline: Deadline | None = None
) -> tuple[np.ndarray, int]:
    """``score_messages`` of one message after many contexts: [context] nats, and the tokens that went through the model."""
    found = score_messages(model, bank, [(context, tuple(message)) for context in contexts], deadline)
    return found.log_probs, found.n_tokens


def score_messages(model: LanguageModel, bank: Contexts, pairs: Sequence[Pair], deadline: Deadline | None = None) -> MessageScores:
    """[pair] log P(message | context) in nats, each distinct pair once.

    The last context token predicts the message's first one, so it is fed again with the message: contexts need
    at least two tokens. A message of no tokens (a tokenizer that drops white space) scores 0 everywhere: nothing was
    said, so nothing tells the contexts apart.
    """
    unique = [pair for pair in dict.fromkeys(pairs) if pair[1]]
    scores: dict[Pair, float] = {pair: 0.0 for pair in pairs if not pair[1]}
    n_tokens = bank.fill([context[:-1] for context, _ in unique], deadline)
    n_passes = 0
    for batch in _batches(unique, BATCH_TOKENS_CUDA if model.device.type == "cuda" else BATCH_TOKENS):
        scores.update(zip(batch, _score_batch(model, bank, batch, deadline), strict=True))
        n_tokens, n_passes = n_tokens + sum(len(message) for _, message in batch), n_passes + 1
    return MessageScores(np.asarray([scores[pair] for pair in pairs], dtype=np.float64), n_tokens, n_passes)


def score_message_rows(model: LanguageModel, pairs: Sequence[Pair], deadline: Deadline | None = None) -> MessageScores:
    """The same by its definition: one plain pass over context and message each. The reference, and the fallback."""
    sums = []
    for context, message in pairs:
        if not message:
            sums.append(0.0)
            continue
        states, _ = model.run(model.tensor([*context, *message[:-1]])[None], deadline=deadline)
        sums.append(float(model.log_probs(states[0, len(context) - 1 :], model.tensor(message)).double().sum()))
    return MessageScores(np.asarray(sums), sum(len(context) + len(message) for context, message in pairs), len(pairs))


def _batches(pairs: Sequence[Pair], most_tokens: int) -> Iterator[list[Pair]]:
    """Pairs in their order, as many as fit with all messages padded to the longest one."""
    batch: list[Pair] = []
    longest = 0
    for pair in pairs:
        longest = max(longest, len(pair[1]))
        if batch and (len(batch) + 1) * longest > most_tokens:
            yield batch
            batch, longest = [], len(pair[1])
        batch.append(pair)
    if batch:
        yield batch


def _score_batch(model: LanguageModel, bank: Contexts, pairs: Sequence[Pair], deadline: Deadline | None) -> list[float]:
    prefix = bank.stacked([context[:-1] for context, _ in pairs])
    n_rows, n_new = len(pairs), max(len(message) for _, message in pairs)
    n_message = model.tensor([len(message) for _, message in pairs])
    padded = model.tensor(
        [[*message, *[message[-1]] * (n_new - len(message))] for _, message in pairs]
    )  # what is padded sees, and is not seen
    ids = torch.cat([model.tensor([[context[-1]] for context, _ in pairs]), padded[:, :-1]], dim=1)
    n_context = model.tensor([len(context) - 1 for context, _ in pairs])
    places = torch.arange(n_new, device=ids.device)
    seen = torch.arange(prefix.length, device=ids.device) >= prefix.length - n_context[:, None]  # False: padding
    mask = torch.ones(n_new, n_new, dtype=torch.bool, device=ids.device).tril().expand(n_rows, 1, n_new, n_new)
    mask = torch.cat([seen[:, None, None].expand(n_rows, 1, n_new, prefix.length), mask], dim=-1)
    states, _ = model.run(ids, positions=n_context[:, None] + places, allowed_mask=mask, prefix=prefix, deadline=deadline)
    found = model.log_probs(states.reshape(n_rows * n_new, -1), padded.reshape(-1)).double().reshape(n_rows, n_new)
    return [float(value) for value in found.where(places < n_message[:, None], 0.0).sum(1)]
