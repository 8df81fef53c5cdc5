"""Turns a GGUF file into plain safetensors once, so that every later start is fast. Knows no model by name.

    python -m constrained.engines.convert MODEL.gguf FOLDER

Runs in a process of its own: dequantising needs several times the memory of what comes out.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any


def convert(gguf: Path, folder: Path) -> None:
    """Writes weights (bf16, tied ones once), config and tokenizer of ``gguf`` to ``folder``."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model: Any = AutoModelForCausalLM.from_pretrained(str(gguf.parent), gguf_file=gguf.name, dtype=torch.bfloat16)
    # The weights are plain numbers by now; a model that still calls itself quantised refuses to be saved.
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    model.is_quantized = False
    model.hf_quantizer = None
    model.to(torch.bfloat16).save_pretrained(str(folder))
    AutoTokenizer.from_pretrained(str(gguf.parent), gguf_file=gguf.name).save_pretrained(str(folder))


if __name__ == "__main__":
    convert(Path(sys.argv[1]), Path(sys.argv[2]))
