"""Training of an encoder's adapter: settings, rows to learn from, the network and its losses, the loop with its checkpoints."""

from __future__ import annotations

import hashlib
import json
import math
import random
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize

from constrained._durable_files import move_into_place
from constrained.catalog.response import Catalog, Response
from constrained.engines.decoding import adapter
from constrained.engines.decoding.adapter import Head
from constrained.engines.decoding.encoder import Encoder, vectors
from constrained.errors import SampleError, TuningError
from constrained.quality.labelled_data import Example

REST_QUANTILE = 0.75
CHECKPOINT = "checkpoint.pt"
EVERY_S = 30.0  # between two checkpoints
WARM_UP = 0.06  # share of the steps in which the rates rise; then they fall to 0 along a line
MAX_NORM = 1.0


@dataclass(frozen=True, slots=True)
class Settings:
    """How a model is tuned; the defaults are those that did best in benchmarks/LOG.md.

    Attributes:
        epochs: times that every message is read. batch: messages a step.
        rate, vector_rate: learning rates of the adapter and of the responses' vectors.
        rank, alpha, dropout: of the low-rank changes.
        scale: nats that a cosine of 1 is worth. contrast: weight of the loss within the batch.
        seed: of everything that is drawn: the same seed on the same machine gives the same adapter.
    """

    epochs: int = 8
    batch: int = 32
    rate: float = 5e-4
    vector_rate: float = 1e-2
    rank: int = 16
    alpha: int = 32
    dropout: float = 0.1
    scale: float = 20.0
    contrast: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        """Raises TuningError for numbers that nothing can be tuned with."""
        counts = {"epochs": self.epochs, "batch": self.batch, "rank": self.rank, "alpha": self.alpha}
        wrong = next((name for name, value in counts.items() if value < 1), "")
        wrong = wrong or next((name for name in ("rate", "vector_rate", "scale") if not getattr(self, name) > 0), "")
        if wrong or not 0 <= self.dropout < 1 or not self.contrast >= 0:
            raise TuningError(
                f"nothing can be tuned with {wrong or 'this dropout or contrast'}", hint="use numbers above 0; dropout below 1"
            )

    @classmethod
    def for_encoder(cls) -> Settings:
        """For a sentence encoder: smaller, and near to what is wanted before it learns."""
        return cls(rate=1e-3)

    def changed(self, **values: Any) -> Settings:
        return replace(self, **values)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Row:
    """One message and the id of the response that answers it; the fallback's where nothing does."""

    message: str
    id: str


def rows_of(catalog: Catalog, more: Iterable[Row] = ()) -> tuple[Row, ...]:
    """Examples of every locale, what each response is for (``when``, else its key), and ``more``; each once.

    The fallback has rows only where somebody wrote messages that nothing answers: its ``when`` tells of none.
    Raises SampleError when fewer than two responses would be told apart.
    """
    own = [
        row
        for response in catalog.responses.values()
        for row in _rows(response, is_fallback=response.id == catalog.fallback)
        if not response.offer_of
    ]
    found = tuple(dict.fromkeys((*own, *more)))
    if len({row.id for row in found if row.id != catalog.fallback}) < 2:
        hint = "a catalog of at least two responses beside the fallback is needed"
        raise SampleError(f"the catalog {catalog.name!r} has nothing to tell apart", hint=hint)
    return found


def check_apart(rows: Sequence[Row], check: Sequence[Example]) -> None:
    """Raises TuningError when a message to measure on is one to learn from."""
    known = {" ".join(row.message.casefold().split()) for row in rows}
    shared = next((one for one in check if " ".join(one.message.casefold().split()) in known), None)
    if shared is not None:
        hint = "take it out of the messages to check, or of the examples"
        raise TuningError(f"{shared.message!r} (line {shared.line}) is a message to check and one to learn from", hint=hint)


def batches(rows: Sequence[Row], size: int, seed: int, epoch: int) -> Iterator[list[int]]:
    """Indices of rows: each once an epoch, two of one response side by side. The same for the same seed and epoch.

    A batch in which most messages have a companion tells what messages to one response share, not only which it is.
    """
    chance = random.Random(f"{seed} {epoch}")
    groups: dict[str, list[int]] = {}
    for index, row in enumerate(rows):
        groups.setdefault(row.id, []).append(index)
    pairs: list[list[int]] = []
    for group in groups.values():
        chance.shuffle(group)
        pairs += [group[at : at + 2] for at in range(0, len(group), 2)]
    chance.shuffle(pairs)
    order = [index for pair in pairs for index in pair]
    for at in range(0, len(order), size):
        yield order[at : at + size]


def _rows(response: Response, *, is_fallback: bool) -> Iterator[Row]:
    for messages in response.examples.values():
        yield from (Row(message, response.id) for message in messages)
    if not is_fallback:
        yield Row(response.when or response.key, response.id)


class Learner:
    """An encoder with an adapter that learns, and the responses' vectors, which begin as the mean of their rows.

    Args:
        encoder: its network gets the adapter. rows: every response that is to be scored has one at least.

    The encoder's network stays as it is but for what the adapter adds; turn the adapter off to have it back.
    """

    def __init__(self, encoder: Encoder, rows: Sequence[Row], settings: Settings) -> None:
        self.encoder, self.settings = encoder, settings
        self.ids = tuple(dict.fromkeys(row.id for row in rows))
        self._places = {name: index for index, name in enumerate(self.ids)}
        self.targets = torch.tensor([self._places[row.id] for row in rows], device=encoder.network.device)
        self._read = encoder.rows([row.message for row in rows])
        start = vectors(encoder, [row.message for row in rows])
        means = torch.zeros(len(self.ids), start.shape[1], device=start.device).index_add_(0, self.targets, start)
        adapter.add(encoder.network, rank=settings.rank, alpha=settings.alpha, dropout=settings.dropout)
        self.vectors = torch.nn.Parameter(normalize(means, dim=-1))

    @property
    def parameters(self) -> list[torch.nn.Parameter]:
        """Of the adapter."""
        return list(adapter.changes(self.encoder.network).values())

    def loss(self, indices: Sequence[int]) -> Tensor:
        """Cross-entropy of these rows over all responses, and of each row's companions over the batch."""
        states = self.encoder.states([self._read[index] for index in indices])
        targets = self.targets[list(indices)]
        found = cross_entropy(self.logits(states), targets)
        return found + self.settings.contrast * contrast(states, targets, self.settings.scale)

    def logits(self, states: Tensor) -> Tensor:
        """[message, id] nats: cosines with all responses' vectors, the whole admissible set, times a scale."""
        return self.settings.scale * states @ normalize(self.vectors, dim=-1).T

    def log_probs(self, message: str, ids: Sequence[str], rest: float) -> Tensor:
        """[candidate] log-probabilities among a turn's own admissible responses, with gradients.

        Args:
            rest: cosine of a response without rows: the fallback. It learns nothing.
        """
        with adapter.adapted(self.encoder.network):
            logits = self.logits(self.encoder.states(self.encoder.rows([message])))[0]
        unknown = torch.tensor(self.settings.scale * rest, device=logits.device)
        return torch.stack([logits[self._places[name]] if name in self._places else unknown for name in ids]).log_softmax(0).cpu()

    def head(self, fallback: str) -> Head:
        """What was learned of the responses, to decide with."""
        learned = normalize(self.vectors.detach(), dim=-1).clone()
        with adapter.adapted(self.encoder.network):
            rest = float("nan") if fallback in self.ids else self._rest(learned)
        return Head(self.ids, learned, self.settings.scale, rest)

    def _rest(self, learned: Tensor) -> float:
        """The cosine of "none of these" where no message shows what it is: as near as most messages come to the nearest
        response that is not their own.
        """
        with torch.inference_mode():
            parts = [self.encoder.states(self._read[at : at + 64]) for at in range(0, len(self._read), 64)]
            cosines = torch.cat(parts) @ learned.T
            others = cosines.scatter(1, self.targets[:, None], -1.0).max(1).values
        return float(np.quantile(others.cpu().numpy(), REST_QUANTILE))


def contrast(states: Tensor, targets: Tensor, scale: float) -> Tensor:
    """Of each row the mean cross-entropy of its companions (same response) over all other rows; 0 where none has one.

    Source: Khosla et al., Supervised Contrastive Learning, NeurIPS 2020, equation 2.
    """
    is_self = torch.eye(len(targets), dtype=torch.bool, device=states.device)
    log_probs = (scale * states @ states.T).masked_fill(is_self, -torch.inf).log_softmax(1).masked_fill(is_self, 0.0)
    is_companion = (targets[:, None] == targets[None]) & ~is_self
    n_companions = is_companion.sum(1)
    if not bool((n_companions > 0).any()):
        return states.sum() * 0.0
    per_row = -(log_probs * is_companion).sum(1) / n_companions.clamp(min=1)
    return per_row[n_companions > 0].mean()


@dataclass(frozen=True, slots=True)
class Step:
    """How far a run is. ``loss`` is that of the last step; ``is_resumed``: it went on from a checkpoint."""

    number: int
    n_steps: int
    loss: float
    is_resumed: bool = False


class Run:
    """One tuning run over ``rows``, in ``folder``, where its checkpoints lie while it is under way.

    A run that is stopped at any time goes on from its last checkpoint, and ends with the same adapter as one that never
    stopped: position, optimiser and random numbers are in the checkpoint.
    """

    def __init__(self, learner: Learner, rows: Sequence[Row], folder: Path, base: str) -> None:
        """``base`` names the network that is tuned: a checkpoint of another one is refused."""
        self.learner, self.rows, self.folder = learner, tuple(rows), folder
        settings = learner.settings
        self.key = _key(base, self.rows, settings.to_json())
        self.n_steps = settings.epochs * math.ceil(len(rows) / settings.batch)
        groups = [{"params": learner.parameters, "lr": settings.rate}, {"params": [learner.vectors], "lr": settings.vector_rate}]
        self._rates = (settings.rate, settings.vector_rate)
        self._optimizer = torch.optim.AdamW(groups, weight_decay=0.01)
        self.number = 0

    def train(self, report_progress: Callable[[Step], object] = lambda step: None, stop_after: int | None = None) -> bool:
        """All steps that are left, or ``stop_after`` of them; whether the run is at its end.

        Raises TuningError when the folder holds a checkpoint of another run, or the loss is no number any more.
        """
        network = self.learner.encoder.network
        is_resumed = self._resume()
        last = self.n_steps if stop_after is None else min(self.n_steps, self.number + stop_after)
        saved_s = time.monotonic()
        adapter.turn(network, is_on=True)
        network.train()
        try:
            while self.number < last:
                loss = self._step(self._batch())
                report_progress(Step(self.number, self.n_steps, loss, is_resumed))
                if time.monotonic() - saved_s > EVERY_S:
                    self.save()
                    saved_s = time.monotonic()
        finally:
            network.eval()
            adapter.turn(network, is_on=False)
        self.save()
        return self.number == self.n_steps

    def finish(self) -> None:
        """The checkpoint goes: what was learned is written elsewhere."""
        (self.folder / CHECKPOINT).unlink(missing_ok=True)

    def save(self) -> None:
        """Written under another name, then renamed: a checkpoint is whole or it is the one before."""
        self.folder.mkdir(parents=True, exist_ok=True)
        values = {name: value.detach() for name, value in adapter.changes(self.learner.encoder.network).items()}
        state = {
            "key": self.key,
            "number": self.number,
            "values": values,
            "vectors": self.learner.vectors.detach(),
            "optimizer": self._optimizer.state_dict(),
            "random": torch.get_rng_state(),
        }
        written = self.folder / f".{CHECKPOINT}"
        torch.save(state, written)
        move_into_place(written, self.folder / CHECKPOINT)

    def _batch(self) -> list[int]:
        settings = self.learner.settings
        epoch, at = divmod(self.number, math.ceil(len(self.rows) / settings.batch))
        return list(batches(self.rows, settings.batch, settings.seed, epoch))[at]

    def _step(self, indices: Sequence[int]) -> float:
        share = (self.number + 1) / self.n_steps
        factor = min(share / WARM_UP, 1.0) * (1.0 - self.number / self.n_steps)
        for group, rate in zip(self._optimizer.param_groups, self._rates, strict=True):
            group["lr"] = rate * factor
        self._optimizer.zero_grad()
        loss = self.learner.loss(indices)
        if not bool(torch.isfinite(loss)):
            raise TuningError(f"the loss is no number at step {self.number + 1}", hint="use a lower rate, or dtype float32")
        loss.backward()  # type: ignore[no-untyped-call]  # torch types it not
        torch.nn.utils.clip_grad_norm_(self.learner.parameters, MAX_NORM)
        self._optimizer.step()
        self.number += 1
        return float(loss.detach())

    def _resume(self) -> bool:
        file = self.folder / CHECKPOINT
        if self.number or not file.exists():
            return False
        state = self._read(file)
        if state.get("key") != self.key:
            hint = "give another --out, or --restart to begin anew"
            raise TuningError(f"{file} belongs to a run with other messages, settings or another model", hint=hint)
        adapter.put(self.learner.encoder.network, state["values"])
        with torch.no_grad():
            self.learner.vectors.copy_(state["vectors"])
        self._optimizer.load_state_dict(state["optimizer"])
        torch.set_rng_state(state["random"].cpu())
        self.number = state["number"]
        return True

    def _read(self, file: Path) -> dict[str, Any]:
        try:
            state: dict[str, Any] = torch.load(file, map_location=self.learner.vectors.device, weights_only=True)
        except Exception as error:  # torch, pickle and zipfile raise what they like at what is no checkpoint
            raise TuningError(f"{file} cannot be read: {error}", hint="--restart begins anew") from error
        return state


def _key(base: str, rows: Sequence[Row], settings: dict[str, Any]) -> str:
    text = json.dumps([base, [[row.message, row.id] for row in rows], settings, torch.__version__, torch.get_num_threads()], sort_keys=True)
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()
