"""What fitting learned: a linear map from a message's vector to a catalog's responses, and how much each judge counts.

A calibration folder holds it beside a manifest of all that it belongs to.

Source: the judges' scores are added with a weight each, a logarithmic opinion pool (Genest and Zidek, Combining Probability
Distributions, Statistical Science 1986, section 4); the weights are those under which held-out labels are likeliest.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from constrained.engines.decoding import prompts
from constrained.engines.decoding.adapter import file_hash, manifest_hash, write_manifest
from constrained.engines.decoding.encoder import Encoder, encoder_hash
from constrained.errors import CalibrationError

FORMAT = 1
MANIFEST, MIXTURE = "calibration.json", "mixture.safetensors"


@dataclass(frozen=True, slots=True, eq=False)
class Mixture:
    """Scores of responses from a message's vector, and the weights of the judges.

    Attributes:
        ids: of the responses. weights: [id, hidden] and bias: [id], float32, nats for a unit vector.
        vector: weight of these scores. letters: nats for a unit of BM25 over runs of letters. base: weight of the engine's own
            score of an option, in nats; 0 where it is not asked.
        rest: nats of "none of these", where no messages told what it looks like; NaN where ``ids`` holds the fallback.
    """

    ids: tuple[str, ...]
    weights: Tensor
    bias: Tensor
    vector: float = 1.0
    letters: float = 0.0
    base: float = 0.0
    rest: float = float("nan")
    temperature: float = 1.0  # the weights hold it

    def scores(self, states: Tensor) -> NDArray[np.float64]:
        """[message, id] nats, of [message, hidden] unit vectors."""
        found = states.float() @ self.weights.T.to(states.device) + self.bias.to(states.device)
        return self.vector * found.double().detach().cpu().numpy()

    def of(self, row: NDArray[np.float64], ids: Sequence[str], is_no_match: Sequence[bool]) -> NDArray[np.float64]:
        """[candidate] out of one row of ``scores``. Raises CalibrationError for a response that was not there."""
        place = {name: index for index, name in enumerate(self.ids)}
        found = []
        for name, rest in zip(ids, is_no_match, strict=True):
            if name not in place and not rest:
                raise CalibrationError(f"the calibration knows no response {name!r}", hint="fit it again: constrained fit NAME")
            found.append(row[place[name]] if name in place else self.rest)
        return np.asarray(found, dtype=np.float64)


@dataclass(frozen=True, slots=True)
class FitManifest:
    """What a calibration belongs to: it is refused for anything else.

    Attributes:
        encoder: name or folder of what makes vectors; empty where the language model does. encoder_weights,
            encoder_tokenizer: hashes of it.
        model_weights, model_tokenizer, rule: of the engine whose own scores have a weight; empty where they have none.
        prompt: hash of how contexts and prompts are written.
        figures: what was measured while fitting. promises: thresholds and sets, each with what it rests on.
        renew: the command that makes it anew.
    """

    catalog: str
    catalog_hash: str
    encoder: str
    encoder_weights: str
    encoder_tokenizer: str
    model_weights: str
    model_tokenizer: str
    rule: str
    prompt: str
    file: str
    figures: Mapping[str, Any]
    promises: Mapping[str, Any]
    settings: Mapping[str, Any]
    renew: str
    format: int = FORMAT

    @property
    def hash(self) -> str:
        return manifest_hash(self)

    def check_catalog(self, name: str, digest: str) -> None:
        """Raises CalibrationError unless this is the catalog that it was fitted on."""
        if digest != self.catalog_hash:
            of = f"an earlier version of {name!r}" if name == self.catalog else f"the catalog {self.catalog!r}, not {name!r}"
            renew = self.renew if name == self.catalog else f"constrained fit {name}"
            raise CalibrationError(f"the calibration was fitted on {of}", hint=f"fit it again: {renew}")

    def check_engine(self, weights: str, tokenizer: str, rule: str) -> None:
        """Raises CalibrationError unless the engine's own scores are those that were weighed."""
        pairs = (("weights", self.model_weights, weights), ("tokenizer", self.model_tokenizer, tokenizer), ("rule", self.rule, rule))
        self._check((("prompt", self.prompt, prompt_version()), *(pairs if self.rule else ())))

    def check_encoder(self, encoder: Encoder) -> None:
        """Raises CalibrationError unless this is the network whose vectors were fitted on."""
        pairs = (
            ("encoder weights", self.encoder_weights, encoder_hash(encoder)),
            ("encoder tokenizer", self.encoder_tokenizer, encoder.tokenizer_hash),
        )
        self._check(pairs)

    def _check(self, pairs: Sequence[tuple[str, str, str]]) -> None:
        for what, known, given in pairs:
            if known != given:
                message = f"the calibration was fitted with another {what} ({known[:19]}) than this one ({given[:19]})"
                raise CalibrationError(message, hint=f"fit it again: {self.renew}")


def prompt_version() -> str:
    """Hash of what contexts and prompts read like: another wording gives other scores."""
    return "sha256:" + hashlib.sha256(prompts.rendered_sample().encode()).hexdigest()


def write(folder: Path, mixture: Mixture, **fields: Any) -> FitManifest:
    """Writes the mixture, then the manifest: a folder with a manifest is whole."""
    folder.mkdir(parents=True, exist_ok=True)
    numbers = {name: getattr(mixture, name) for name in ("vector", "letters", "base", "rest", "temperature")}
    tensors = {"weights": mixture.weights.float().cpu().contiguous(), "bias": mixture.bias.float().cpu().contiguous()}
    save_file(tensors, folder / MIXTURE, metadata={"mixture": json.dumps({"ids": mixture.ids, **numbers})})
    manifest = FitManifest(file=file_hash(folder / MIXTURE), prompt=prompt_version(), **fields)
    write_manifest(manifest, folder / MANIFEST)
    return manifest


def read(folder: str | Path) -> tuple[Mixture, FitManifest]:
    """What lies in a calibration's folder, its file checked. Raises CalibrationError."""
    folder = Path(folder)
    try:
        manifest = FitManifest(**json.loads((folder / MANIFEST).read_text(encoding="utf-8")))
        if manifest.format != FORMAT:
            message = f"{folder} is of format {manifest.format}, this library reads {FORMAT}"
            raise CalibrationError(message, hint=f"fit it again: {manifest.renew}")
        if file_hash(folder / MIXTURE) != manifest.file:
            raise CalibrationError(f"{folder / MIXTURE} is not the file that was fitted", hint=f"fit it again: {manifest.renew}")
        return _mixture(folder / MIXTURE), manifest
    except (OSError, ValueError, TypeError, KeyError, SafetensorError) as error:
        hint = "give the folder that constrained fit wrote; it ends its work with calibration.json"
        raise CalibrationError(f"{folder} holds no calibration: {error}", hint=hint) from error


def _mixture(file: Path) -> Mixture:
    with safe_open(file, framework="pt") as opened:
        fields = json.loads(opened.metadata()["mixture"])
        ids = tuple(fields.pop("ids"))
        mixture = Mixture(ids, opened.get_tensor("weights"), opened.get_tensor("bias"), **fields)
    if mixture.weights.shape[:1] != (len(ids),) or mixture.bias.shape != (len(ids),) or not torch.isfinite(mixture.weights).all():
        raise ValueError("its numbers are not those of its responses")
    return mixture
