"""An engine that runs a causal language model of transformers in this process, on CPU or CUDA."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from constrained.choice import Choice, Deadline, Distribution, Scene
from constrained.decoding.calibration import Calibration
from constrained.decoding.model import LanguageModel
from constrained.decoding.rules import Channel, Reader, ScoreRule
from constrained.decoding.selftest import honours_tree_mask
from constrained.decoding.tokens import Tokens
from constrained.errors import EngineError, ModelNotFoundError


class TransformersEngine:
    """Chooses by the likelihoods of a causal LM.

    Args:
        model: a folder, a GGUF file, a hub id, or an alias that ``constrained model list`` shows.
        device: ``cpu`` or ``cuda``; CUDA when there is one.
        dtype: ``bfloat16`` or ``float32``; bfloat16 where the device computes it faster.
        rule: how candidates are scored; the channel by default (docs/choosing.md tells why).
        calibration: temperature and the weight of "none of these".

    Raises:
        ModelNotFoundError: no such model here. EngineError: it could not be loaded.
    """

    def __init__(
        self,
        model: str | Path,
        *,
        device: str | None = None,
        dtype: str | None = None,
        rule: ScoreRule | None = None,
        calibration: Calibration | None = None,
    ) -> None:
        device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        network, tokenizer = _load(str(model), device, _dtype(dtype, device))
        self._start(str(model), network, tokenizer, rule, calibration)

    @classmethod
    def around(
        cls, network: Any, tokenizer: Any, *, rule: ScoreRule | None = None, calibration: Calibration | None = None
    ) -> TransformersEngine:
        """An engine around a model that the caller loaded."""
        engine = cls.__new__(cls)
        engine._start(type(network).__name__, network, tokenizer, rule, calibration)
        return engine

    def _start(self, name: str, network: Any, tokenizer: Any, rule: ScoreRule | None, calibration: Calibration | None) -> None:
        self.rule: ScoreRule = rule or Channel()
        self.calibration = calibration or Calibration()
        lm = LanguageModel(network)
        self.reader = Reader(lm, Tokens(tokenizer))
        self.reader.has_tree = honours_tree_mask(lm, self.reader.tokens)
        self._identity = {
            "engine": "transformers",
            "model": name,
            "tokenizer": self.reader.tokens.hash,
            "dtype": str(lm.dtype).removeprefix("torch."),
            "device": lm.device.type,
            "rule": self.rule.name,
            "calibration": self.calibration.hash,
            "scoring": "tree" if self.reader.has_tree else "rows",
        }

    @property
    def identity(self) -> Mapping[str, str]:
        if "weights" not in self._identity:
            self._identity["weights"] = self.reader.model.weights_hash()
        return self._identity

    def choose(self, choices: Sequence[Choice], scene: Scene, deadline: Deadline | None = None) -> list[Distribution]:
        """One distribution per choice. All choices are scored in one batch where the rule allows it."""
        if not choices:
            return []
        with self.reader.model.lock:
            found = self.rule.scores(self.reader, choices, scene, deadline)
        return [self._distribution(choice, scores) for choice, scores in zip(choices, found, strict=True)]

    def _distribution(self, choice: Choice, scores: np.ndarray[Any, np.dtype[np.float64]]) -> Distribution:
        if not np.isfinite(scores).all():
            raise EngineError(f"the model gave scores that are not finite for {choice.name!r}", hint="try dtype='float32'")
        probabilities = self.calibration.probabilities(scores, choice)
        return Distribution(tuple(probabilities.tolist()), self.rule.mode, tuple(scores.tolist()))


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

    from constrained.models import locate_model

    found = locate_model(model)
    source = str(found) if found else model
    options: dict[str, Any] = {}
    if source.endswith(".gguf"):
        options, source = {"gguf_file": Path(source).name}, str(Path(source).parent)
    try:
        tokenizer = AutoTokenizer.from_pretrained(source, **options)
        network = AutoModelForCausalLM.from_pretrained(source, dtype=dtype, **options)
    except OSError as error:
        raise ModelNotFoundError(
            f"no model {model!r} on this machine, and none could be fetched",
            model=model,
            hint="`constrained model get` fetches the default model; or give the path of a model folder",
        ) from error
    except (ValueError, RuntimeError, KeyError, ImportError) as error:
        raise EngineError(f"the model {model!r} could not be loaded: {error}", hint="is it a causal language model of transformers?") from error
    return network.to(device), tokenizer
