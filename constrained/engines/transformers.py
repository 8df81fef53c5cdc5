"""An engine that runs a causal language model of transformers in this process, on CPU or CUDA."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from threading import TIMEOUT_MAX
from typing import Any

import numpy as np
import torch
import transformers

from constrained.engines.decoding import mixture, slot_reading
from constrained.engines.decoding.adapter import Manifest, attach, read_manifest
from constrained.engines.decoding.channel import ContextFolder, Contexts
from constrained.engines.decoding.encoder import Encoder, LanguageStates, load_encoder
from constrained.engines.decoding.fitted_rule import VectorRule
from constrained.engines.decoding.language_model import LanguageModel
from constrained.engines.decoding.reader import Reader
from constrained.engines.decoding.rules import Channel, ProbabilityMap, ScoredChoice, ScoreRule
from constrained.engines.decoding.selftest import self_test
from constrained.engines.decoding.tokens import Tokens
from constrained.engines.model_files import home
from constrained.engines.protocol import Choice, ChoiceRequest, Deadline, Distribution, ExtractionField, PromptContext
from constrained.errors import EngineError


class TransformersEngine:
    """Chooses by the likelihoods of a causal LM.

    Args:
        model: a folder, a GGUF file, a hub id, or an alias that ``constrained model list`` shows.
        device: ``cpu`` or ``cuda``; CUDA when there is one.
        dtype: ``bfloat16`` or ``float32``; bfloat16 where the device computes it faster.
        rule: how candidates are scored; the channel by default (docs/choosing.md tells why).
        probability_map: temperatures and the weight of "none of these"; the rule's own when None.
        adapter: a folder that ``constrained tune`` wrote. Options are then chosen by what it learned; ``rule`` hears the questions.
        fitted: a folder that ``constrained fit`` wrote: likewise, by what was fitted. Not both.

    Attributes:
        is_shared: whether conversations that are decided at once share passes: by default on CUDA, where it is many times as fast.
            Sums of many rows are rounded in another order, so that near ties may be decided otherwise with other neighbours.

    Raises:
        ModelNotFoundError: no such model here. EngineError: it could not be loaded.
        AdapterError, CalibrationError: the adapter, or what was fitted, belongs to another model, or is not whole.
    """

    def __init__(
        self,
        model: str | Path,
        *,
        device: str | None = None,
        dtype: str | None = None,
        rule: ScoreRule[Reader] | None = None,
        probability_map: ProbabilityMap | None = None,
        adapter: str | Path | None = None,
        fitted: str | Path | None = None,
    ) -> None:
        device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        network, tokenizer = _load(str(model), device, _dtype(dtype, device))
        self._start(str(model), network, tokenizer, rule, probability_map)
        self._load_learned(adapter, fitted, probability_map)
        self.reader.contexts = Contexts(self.reader.model, folder=self._folder())

    @classmethod
    def around(
        cls,
        network: Any,
        tokenizer: Any,
        *,
        rule: ScoreRule[Reader] | None = None,
        probability_map: ProbabilityMap | None = None,
        adapter: str | Path | None = None,
        fitted: str | Path | None = None,
    ) -> TransformersEngine:
        """An engine around a model that the caller loaded."""
        engine = cls.__new__(cls)  # __init__ would load another model
        engine._start(type(network).__name__, network, tokenizer, rule, probability_map)
        engine._load_learned(adapter, fitted, probability_map)
        return engine

    def _start(
        self, name: str, network: Any, tokenizer: Any, rule: ScoreRule[Reader] | None, probability_map: ProbabilityMap | None
    ) -> None:
        self.rule: ScoreRule[Reader] = rule or Channel()
        self.manifest: Manifest | mixture.FitManifest | None = None
        self.probability_map = probability_map or self.rule.probability_map
        lm = LanguageModel(network)
        self.is_shared = lm.device.type == "cuda"
        self.reader = Reader(lm, Tokens(tokenizer))
        self.reader.has_tree = self_test(lm, self.reader.tokens)
        self._identity = {
            "engine": "transformers",
            "model": name,
            "tokenizer": self.reader.tokens.hash,
            "dtype": str(lm.dtype).removeprefix("torch."),
            "device": lm.device.type,
            "rule": self.rule.name,
            "calibration": self.probability_map.hash,
            "scoring": "tree" if self.reader.has_tree else "rows" if lm.has_cache else "rows without cache",
        }

    def _load_learned(self, adapter: str | Path | None, fitted: str | Path | None, probability_map: ProbabilityMap | None) -> None:
        if adapter is not None and fitted is not None:
            raise EngineError("an adapter and what was fitted both choose the options", hint="give one of the two")
        if adapter is not None:
            self._adapt(Path(adapter), probability_map)
        if fitted is not None:
            self._fit(Path(fitted), probability_map)

    def _fit(self, folder: Path, probability_map: ProbabilityMap | None) -> None:
        """Options by the mixture that was fitted, if it belongs to this model, rule and prompt."""
        found, manifest = mixture.read(folder)
        manifest.check_engine(self.identity["weights"], self.reader.tokens.hash, self.rule.name)
        encoder = load_encoder(manifest.encoder, self.reader.model.device) if manifest.encoder else self.states
        manifest.check_encoder(encoder)
        self.use(fitted_rule(encoder, found, self.rule), manifest, probability_map)

    def with_fitted(self, folder: str | Path) -> TransformersEngine:
        """Another engine on the same network, which chooses by what ``constrained fit`` wrote; both may be asked from any thread.

        Raises CalibrationError when it was fitted to another model, or is not whole.
        """
        if self.manifest is not None:
            raise EngineError("this engine chooses by what was learned already", hint="take one that was loaded without it")
        other = copy.copy(self)  # shares the reader, and so the network, its lock and all contexts
        other._identity = dict(self.identity)
        other._fit(Path(folder), None)
        learned = other.probability_map
        other.probability_map = replace(
            self.probability_map, temperature_option=learned.temperature_option, rest_option=learned.rest_option
        )
        other._identity["calibration"] = other.probability_map.hash
        return other

    @property
    def states(self) -> Encoder:
        """The model itself as a maker of vectors."""
        return LanguageStates(self.reader.model, self.reader.tokens)

    def _adapt(self, folder: Path, probability_map: ProbabilityMap | None) -> None:
        """Options by the adapter's head; the contexts of questions stay those of the model without it."""
        manifest = read_manifest(folder)
        self._identity["weights"] = self.reader.model.weights_hash()
        encoder = self.states
        if manifest.kind == "encoder":
            encoder = load_encoder(manifest.base, self.reader.model.device)
        self.use(VectorRule(encoder, attach(folder, manifest, encoder), self.rule), manifest, probability_map)

    def use(self, rule: VectorRule, manifest: Manifest | mixture.FitManifest, probability_map: ProbabilityMap | None = None) -> None:
        """Chooses by an adapter, or by what was fitted, from now on. The weights are named as they were before it."""
        self.rule, self.manifest, self.probability_map = rule, manifest, probability_map or rule.probability_map
        learned = "adapter" if isinstance(manifest, Manifest) else "fitted"
        self._identity |= {learned: manifest.hash, "rule": rule.name, "calibration": self.probability_map.hash}

    def check_catalog(self, name: str, digest: str) -> None:
        """Raises AdapterError or CalibrationError when what was learned was learned on another catalog."""
        if self.manifest is not None:
            self.manifest.check_catalog(name, digest)

    def _folder(self) -> ContextFolder:
        """Where contexts are kept between starts, under a name of all that their states depend on."""
        versions = ("torch", torch.__version__, "transformers", transformers.__version__)

        def owner() -> str:
            return " ".join([*(self.identity[name] for name in ("weights", "dtype", "device")), *versions])

        folder = ContextFolder(home() / "contexts", owner)
        folder.trim()
        return folder

    @property
    def identity(self) -> Mapping[str, str]:
        if "weights" not in self._identity:
            self._identity["weights"] = self.reader.model.weights_hash()
        return dict(self._identity)

    def choose(self, choices: Sequence[Choice], scene: PromptContext, deadline: Deadline | None = None) -> list[Distribution]:
        """One distribution per choice. All choices are scored in one batch where the rule allows it."""
        return self.decide_many([ChoiceRequest(choices, scene)], deadline)[0] if choices else []

    def decide_many(self, asks: Sequence[ChoiceRequest], deadline: Deadline | None = None) -> list[list[Distribution]]:
        """The choices of many conversations, each with a scene and candidates of its own; in one batch where ``is_shared``.

        Conversations of one catalog share its static part; one deadline holds for all.
        """
        asked = [ask for ask in asks if ask.choices]
        for ask in asked if self.manifest is not None else ():
            self.check_catalog("another one", ask.scene.static_id.split(" ", 1)[0])
        groups = [asked] if self.is_shared else [[ask] for ask in asked]
        with _locked(self.reader.model.lock, deadline):
            found = iter([one for group in groups if group for one in self.rule.scores(self.reader, group, deadline)])
        return [
            [self._distribution(choice, one) for choice, one in zip(ask.choices, next(found), strict=True)] if ask.choices else []
            for ask in asks
        ]

    def read(self, blanks: Sequence[ExtractionField], scene: PromptContext, deadline: Deadline | None = None) -> list[str | None]:
        """What the message says for each blank, by xgrammar's masks; None where it spells nothing of the form."""
        with _locked(self.reader.model.lock, deadline):
            return slot_reading.read(self.reader, blanks, scene, deadline)

    def _distribution(self, choice: Choice, found: ScoredChoice) -> Distribution:
        if found.scores is None:
            probabilities = tuple(float(index == found.picked) for index in range(len(choice.candidates)))
            return Distribution(probabilities, found.mode, (), found.decoding)
        if not np.isfinite(found.scores).all():
            raise EngineError(f"the model gave scores that are not finite for {choice.name!r}", hint="try dtype='float32'")
        weights = self.probability_map.probabilities(found.scores, choice)
        return Distribution(tuple(weights.tolist()), found.mode, tuple(found.scores.tolist()), found.decoding)


def fitted_rule(encoder: Encoder, found: mixture.Mixture, base: ScoreRule[Reader]) -> VectorRule:
    """The rule that chooses options by what was fitted."""
    return VectorRule(encoder, found, base, letters=found.letters, mixed=found.base, kind="fitted")


@contextmanager
def _locked(lock: Any, deadline: Deadline | None) -> Iterator[None]:
    """The model to ourselves; DeadlineError when another turn keeps it until the deadline."""
    if deadline is None:
        lock.acquire()
    else:
        while not lock.acquire(timeout=min(max(0.0, deadline.left_s), TIMEOUT_MAX)):
            deadline.check()
    try:
        yield
    finally:
        lock.release()


def _dtype(name: str | None, device: str) -> torch.dtype:
    if name is not None:
        if name not in ("bfloat16", "float32"):
            raise EngineError(f"dtype {name!r} is not one that scoring supports", hint="use 'bfloat16' or 'float32'")
        return torch.bfloat16 if name == "bfloat16" else torch.float32
    if device.startswith("cuda"):
        return torch.bfloat16
    flags = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    return torch.bfloat16 if "avx512_bf16" in flags or "amx_bf16" in flags else torch.float32


def _load(model: str, device: str, dtype: torch.dtype) -> tuple[Any, Any]:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    source, options = _source(model)
    networks: Any = AutoModelForCausalLM  # what it returns depends on the options, which its types do not say
    try:
        tokenizer = AutoTokenizer.from_pretrained(source, **options)
        network, found = networks.from_pretrained(source, dtype=dtype, output_loading_info=True, **options)
        network = network.to(device)
    except Exception as error:  # transformers, tokenizers, safetensors and torch raise what they like at what they cannot use
        raise _loading_error(model, f"{type(error).__name__}: {' '.join(str(error).split()):.200}") from error
    if found["missing_keys"]:
        raise _loading_error(model, f"its files lack {', '.join(sorted(found['missing_keys'])[:3])}")
    return network, tokenizer


def _source(model: str) -> tuple[str, dict[str, Any]]:
    """What transformers is to load, and how."""
    from constrained.engines.model_files import locate_model

    found = locate_model(model)
    if found is None:
        return _from_hub(model), {}
    if found.suffix == ".gguf":
        return str(found.parent), {"gguf_file": found.name}
    if not (found / "config.json").is_file():
        raise _loading_error(model, "it is no folder with a config.json")
    return str(found), {}


def _from_hub(model: str) -> str:
    """The id, once the hub or its cache has shown that it is there; transformers itself would try for a minute."""
    from huggingface_hub import snapshot_download

    from constrained.engines.model_files import model_not_found

    if "/" not in model:
        raise model_not_found(model)
    try:
        snapshot_download(model, allow_patterns="config.json")
    except Exception as error:  # no network, no such repository, no right to read it
        raise model_not_found(model) from error
    return model


def _loading_error(model: str, why: str) -> EngineError:
    return EngineError(
        f"the model {model!r} could not be loaded: {why}", hint="is it a causal language model of transformers, and complete?"
    )
