"""The loop: steps over batches, a checkpoint now and then, and the way back into a run that was interrupted. Knows no catalog."""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from constrained._durable_files import move_into_place
from constrained.decoding import adapter
from constrained.errors import TuningError
from constrained.tuning.learner import Learner
from constrained.tuning.rows import Row, batches

CHECKPOINT = "checkpoint.pt"
EVERY_S = 30.0  # between two checkpoints
WARM_UP = 0.06  # share of the steps in which the rates rise; then they fall to 0 along a line
MAX_NORM = 1.0


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
        self.key = _key(base, self.rows, settings.told())
        self.n_steps = settings.epochs * math.ceil(len(rows) / settings.batch)
        groups = [{"params": learner.parameters, "lr": settings.rate}, {"params": [learner.vectors], "lr": settings.vector_rate}]
        self._rates = (settings.rate, settings.vector_rate)
        self._optimizer = torch.optim.AdamW(groups, weight_decay=0.01)
        self.number = 0

    def train(self, told: Callable[[Step], object] = lambda step: None, stop_after: int | None = None) -> bool:
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
                told(Step(self.number, self.n_steps, loss, is_resumed))
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

    # -- one step --------------------------------------------------------------------------------------------

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

    # -- going on --------------------------------------------------------------------------------------------

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
    told = json.dumps([base, [[row.message, row.id] for row in rows], settings, torch.__version__, torch.get_num_threads()], sort_keys=True)
    return "sha256:" + hashlib.sha256(told.encode()).hexdigest()
