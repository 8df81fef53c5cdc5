"""An engine whose model runs in vLLM servers elsewhere: choices by one-token distributions over HTTP.

    VllmEngine("HuggingFaceTB/SmolLM2-135M-Instruct", ["http://127.0.0.1:8000"])

The tokenizer is here, the weights are there. Nothing that a server writes is read but numbers for tokens that were asked
for; what cannot be believed is an EngineError, and the turn goes by the rules.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from constrained.engines.decoding.rules import Calibration
from constrained.engines.decoding.tokens import Tokens
from constrained.engines.model_files import locate_model
from constrained.engines.protocol import Choice, ChoiceRequest, Deadline, Distribution, PromptContext
from constrained.engines.vllm_rules import Answer, RemoteChannel, RemoteRule, Source
from constrained.engines.vllm_servers import VllmServers
from constrained.errors import EngineError

PROBE = "Good evening, and what would you like to know about the weather today?"


class VllmEngine:
    """Chooses by the likelihoods that vLLM servers tell.

    Args:
        model: a known model's name, a folder, or a hub id: its tokenizer is loaded from there.
        urls: of the servers, or of one router before them. They hold the same model.
        served_as: the name under which they serve it; ``model`` when None.
        rule: how candidates are scored; the channel by default. calibration: the rule's own when None.
        api_key: sent as a bearer token; the environment's VLLM_API_KEY when None.
        timeout_s: for one request; a turn's deadline cuts it short. n_connections: requests at once.

    Nothing is asked before the first choice: a server may come up later, and go.

    Raises EngineError when there is no such tokenizer.
    """

    is_concurrent = True  # conversations ask it at once; the servers make the batches

    def __init__(
        self,
        model: str | Path,
        urls: Sequence[str],
        *,
        served_as: str | None = None,
        rule: RemoteRule | None = None,
        calibration: Calibration | None = None,
        api_key: str | None = None,
        timeout_s: float = 5.0,
        n_connections: int = 16,
        tokenizer: Any = None,
    ) -> None:
        if not urls:
            raise EngineError("a VllmEngine needs at least one server", hint='urls=["http://127.0.0.1:8000"]')
        self.rule: RemoteRule = rule or RemoteChannel()
        self.calibration = calibration or self.rule.calibration
        tokens = Tokens(_tokenizer(str(model)) if tokenizer is None else tokenizer)
        probe = tuple(tokens.plain(PROBE))
        self.servers = VllmServers(
            urls,
            served_as or str(model),
            probe=tuple(dict.fromkeys(probe)),
            tokenizer=(PROBE, probe),
            api_key=api_key or os.environ.get("VLLM_API_KEY"),
            timeout_s=timeout_s,
            n_connections=n_connections,
        )
        self._source = Source(self.servers, tokens)
        self._identity = {
            "engine": "vllm",
            "model": served_as or str(model),
            "tokenizer": tokens.hash,
            "rule": self.rule.name,
            "calibration": self.calibration.hash,
            "scoring": "one token at a time",
        }

    @property
    def identity(self) -> Mapping[str, str]:
        return dict(self._identity)

    def choose(self, choices: Sequence[Choice], scene: PromptContext, deadline: Deadline | None = None) -> list[Distribution]:
        """One distribution per choice; all are asked for together."""
        return self.decide_many([ChoiceRequest(choices, scene)], deadline)[0]

    def decide_many(self, asks: Sequence[ChoiceRequest], deadline: Deadline | None = None) -> list[list[Distribution]]:
        """The choices of many conversations, asked for together; one deadline holds for all."""
        asked = [ask for ask in asks if ask.choices]
        found = iter(self.rule.scores(self._source, asked, deadline) if asked else [])
        return [
            [self._distribution(choice, one) for choice, one in zip(ask.choices, next(found), strict=True)] if ask.choices else []
            for ask in asks
        ]

    def close(self) -> None:
        self.servers.close()

    def _distribution(self, choice: Choice, found: Answer) -> Distribution:
        if not np.isfinite(found.scores).all():
            raise EngineError(f"the scores of {choice.name!r} are not finite", hint="nothing was said; see to the servers")
        weights = self.calibration.probabilities(found.scores, choice)
        return Distribution(tuple(weights.tolist()), found.mode, tuple(found.scores.tolist()), found.decoding)


def _tokenizer(model: str) -> Any:
    try:
        from transformers import AutoTokenizer
    except ImportError as error:
        raise EngineError("a tokenizer needs transformers", hint="pip install 'constrained[vllm]'") from error
    found = locate_model(model)
    named = {"gguf_file": found.name} if found is not None and found.suffix == ".gguf" else {}
    source = model if found is None else str(found.parent if named else found)
    try:
        return AutoTokenizer.from_pretrained(source, **named)
    except Exception as error:  # transformers and tokenizers raise what they like
        told = " ".join(str(error).split())
        raise EngineError(
            f"the tokenizer of {model!r} could not be loaded: {told:.200}", hint="give the model's folder or hub id"
        ) from error
