"""What tuning learned: one vector for each response, and low-rank changes of the network that makes vectors of messages.

An adapter's folder holds both beside a manifest of all that they belong to; on a network it can be turned on and off.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn.functional import normalize

from constrained._durable_files import move_into_place
from constrained.engines.decoding.encoder import Encoder, encoder_hash
from constrained.errors import AdapterError, EngineError


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

    def of(self, row: NDArray[np.float64], ids: Sequence[str], is_no_match: Sequence[bool]) -> NDArray[np.float64]:
        """[candidate] scores out of one row of ``scores``. Raises AdapterError for a response that was never tuned."""
        place = {name: index for index, name in enumerate(self.ids)}
        found = []
        for name, rest in zip(ids, is_no_match, strict=True):
            if name not in place and not rest:
                raise AdapterError(f"the adapter knows no response {name!r}", hint="tune it again: constrained tune NAME")
            found.append(row[place[name]] if name in place else self.scale * self.rest)
        return np.asarray(found, dtype=np.float64)

    def save(self, file: Path) -> None:
        fields = json.dumps({"ids": self.ids, "scale": self.scale, "rest": self.rest, "temperature": self.temperature})
        save_file({"vectors": self.vectors.detach().float().cpu().contiguous()}, file, metadata={"head": fields})  # several have no order

    @classmethod
    def load(cls, file: Path, device: torch.device | str = "cpu") -> Head:
        with safe_open(file, framework="pt", device=str(device)) as opened:
            fields = json.loads(opened.metadata()["head"])
            vectors = opened.get_tensor("vectors")
        return cls(tuple(fields["ids"]), vectors, fields["scale"], fields["rest"], fields["temperature"])


# -- on disk --------------------------------------------------------------------------------------------------------

FORMAT = 1
MANIFEST, WEIGHTS, HEAD = "adapter.json", "weights.safetensors", "head.safetensors"
Kind = Literal["model", "encoder"]


@dataclass(frozen=True, slots=True)
class Manifest:
    """What an adapter belongs to: it is refused for anything else.

    Attributes:
        kind: whether the language model itself was tuned, or a sentence encoder beside it. base: its name or folder.
        catalog, catalog_hash: whose responses it scores. tokenizer, weights: hashes of what was tuned.
        rank, alpha, dropout: of the low-rank changes. files: name -> SHA-256.
        renew: the command that makes it anew. settings, versions: how it was made.
    """

    kind: Kind
    base: str
    catalog: str
    catalog_hash: str
    tokenizer: str
    weights: str
    rank: int
    alpha: int
    files: Mapping[str, str]
    renew: str
    settings: Mapping[str, Any]
    versions: Mapping[str, str]
    format: int = FORMAT

    @property
    def hash(self) -> str:
        return manifest_hash(self)

    def check_catalog(self, name: str, digest: str) -> None:
        """Raises AdapterError unless this is the catalog that the adapter was tuned on."""
        if digest != self.catalog_hash:
            of = f"an earlier version of {name!r}" if name == self.catalog else f"the catalog {self.catalog!r}, not {name!r}"
            raise AdapterError(f"the adapter was tuned on {of}", hint=f"tune it again: {self._renewed(name)}")

    def check_network(self, encoder: Encoder) -> None:
        """Raises AdapterError unless this is the network that was tuned, with the tokenizer that it had."""
        for what, known, given in (("weights", self.weights, encoder_hash(encoder)), ("tokenizer", self.tokenizer, encoder.tokenizer_hash)):
            if known != given:
                raise AdapterError(
                    f"the adapter was tuned for other {what} ({known[:19]}) than these ({given[:19]})", hint=f"tune it again: {self.renew}"
                )

    def _renewed(self, name: str) -> str:
        return self.renew if name == self.catalog else f"constrained tune {name}"


def read_manifest(folder: str | Path) -> Manifest:
    """What lies in an adapter's folder, its files checked. Raises AdapterError."""
    folder = Path(folder)
    try:
        fields = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        manifest = Manifest(**fields)
        digests = {name: file_hash(folder / name) for name in (WEIGHTS, HEAD)}
    except (OSError, ValueError, TypeError) as error:
        hint = "give the folder that constrained tune wrote; it ends its work with adapter.json"
        raise AdapterError(f"{folder} holds no adapter: {error}", hint=hint) from error
    if manifest.format != FORMAT:
        raise AdapterError(f"{folder} is of format {manifest.format}, this library reads {FORMAT}", hint=f"tune it again: {manifest.renew}")
    changed = [name for name, digest in digests.items() if manifest.files.get(name) != digest]
    if changed:
        raise AdapterError(f"{folder / changed[0]} is not the file that was tuned", hint=f"tune it again: {manifest.renew}")
    return manifest


def write(folder: Path, encoder: Encoder, head: Head, **fields: Any) -> Manifest:
    """Writes weights and head, then the manifest: a folder with a manifest is whole."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file({name: value.detach().cpu().contiguous() for name, value in changes(encoder.network).items()}, folder / WEIGHTS)
    head.save(folder / HEAD)
    manifest = Manifest(files={name: file_hash(folder / name) for name in (WEIGHTS, HEAD)}, **fields)
    write_manifest(manifest, folder / MANIFEST)
    return manifest


def attach(folder: str | Path, manifest: Manifest, encoder: Encoder) -> Head:
    """Puts the adapter onto the encoder's network, turned off; returns its head. Raises AdapterError."""
    manifest.check_network(encoder)
    add(encoder.network, rank=manifest.rank, alpha=manifest.alpha)
    try:
        put(encoder.network, load_file(Path(folder) / WEIGHTS))
        return Head.load(Path(folder) / HEAD, encoder.network.device)
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise AdapterError(f"{folder} cannot be read: {error}", hint=f"tune it again: {manifest.renew}") from error


# -- on a network ------------------------------------------------------------------------------------------------


def add(network: Any, *, rank: int, alpha: int, dropout: float = 0.0) -> None:
    """Low-rank changes of all linear layers but the head's, zero at first and turned off."""
    peft = _peft()
    config = peft.LoraConfig(r=rank, lora_alpha=alpha, lora_dropout=dropout, target_modules="all-linear", bias="none")
    peft.inject_adapter_in_model(config, network)
    for parameter in changes(network).values():
        parameter.data = parameter.data.float()
    turn(network, is_on=False)


def changes(network: Any) -> dict[str, torch.nn.Parameter]:
    """The adapter's own parameters by name."""
    return {name: value for name, value in network.named_parameters() if ".lora_" in name}


def put(network: Any, values: Mapping[str, torch.Tensor]) -> None:
    """Sets the adapter's parameters. Raises ValueError when they are not those of this network."""
    own = changes(network)
    if own.keys() != values.keys() or any(own[name].shape != values[name].shape for name in own):
        raise ValueError("its parameters are not those of this network")
    with torch.no_grad():
        for name, parameter in own.items():
            parameter.copy_(values[name])


def turn(network: Any, *, is_on: bool) -> None:
    """Turned off, the network computes what it computed before it had an adapter, bit for bit. What learns goes on learning."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    learning = [value for value in changes(network).values() if value.requires_grad]
    for module in network.modules():
        if isinstance(module, BaseTunerLayer):
            module.enable_adapters(is_on)
    for value in learning:  # peft freezes what it turns off, and a gradient may still be on its way there
        value.requires_grad_(True)


@contextmanager
def adapted(network: Any) -> Iterator[None]:
    """The network with its adapter; without it again afterwards. The caller holds the network's lock."""
    turn(network, is_on=True)
    try:
        yield
    finally:
        turn(network, is_on=False)


def _peft() -> Any:
    try:
        import peft
    except ModuleNotFoundError as error:
        raise EngineError("an adapter needs the package peft, which is not installed", hint="pip install 'constrained[tune]'") from error
    return peft


# -- manifests, also those of what was fitted ------------------------------------------------------------------------


def file_hash(file: Path) -> str:
    return "sha256:" + hashlib.sha256(file.read_bytes()).hexdigest()


def manifest_hash(manifest: Any) -> str:
    """Of a dataclass: how a record names what was learned."""
    return "sha256:" + hashlib.sha256(json.dumps(asdict(manifest), sort_keys=True).encode()).hexdigest()


def write_manifest(manifest: Any, file: Path) -> None:
    """In one step: who finds the file finds it whole."""
    written = file.with_name(f".{file.name}")
    written.write_text(json.dumps(asdict(manifest), indent=1, sort_keys=True) + "\n", encoding="utf-8")
    move_into_place(written, file)
