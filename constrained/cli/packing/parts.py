"""Which files and modules a build holds: those of one pack, its languages' encoders and data, and what its logic imports."""

from __future__ import annotations

import ast
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.util import decode_source
from itertools import islice
from pathlib import Path, PurePosixPath

from constrained.analysis.explore import explore
from constrained.approval.documents import document_path
from constrained.approval.ledger import ledger_path
from constrained.approval.logic_files import LogicFiles
from constrained.approval.people import people_path
from constrained.catalog.response import Catalog
from constrained.dialogue.dialogue import Dialogue
from constrained.engines.small import lean
from constrained.engines.small.encoder import ENGLISH, MULTILINGUAL
from constrained.errors import ConstrainedError, PackError
from constrained.logic.policy import Policy
from constrained.pack_folders import Pack
from constrained.quality.golden import load_golden, run_golden

PACKS, HOME = "constrained/_packs", "constrained/_home"  # in the build
_UNUSED = """
    torch transformers accelerate safetensors peft gguf outlines vllm ray xgrammar llguidance huggingface_hub hf_xet fsspec tqdm
    scipy sklearn matplotlib pandas onnx google.protobuf PIL openpyxl pyphen psycopg tree_sitter datasets sympy
    IPython pytest _pytest hypothesis mypy setuptools pkg_resources pip tkinter pygments openai readline httpx._main
    numpy.random numpy.fft numpy.f2py numpy.testing numpy.ma numpy.polynomial
    constrained.quality.pytest_plugin sqlalchemy.dialects.mysql sqlalchemy.dialects.oracle sqlalchemy.dialects.mssql
"""
LEFT_OUT = tuple(_UNUSED.split())
BY_NAME = ("constrained.engines.small.engine", "constrained.catalog.load")
MULTILINGUAL_FILES = ("weights.npz", "sp.model")
ENGLISH_ONLY = ("onnxruntime", "tokenizers", ENGLISH.package)
HASHED = ("courtesies", "evidence", "head", "store", "words")  # the small engine tells by the hashes of these files what made its heads
N_STATES, MESSAGE = 50, "Good day. Could you tell me more about that, please?"  # sampled
ALWAYS = ("root", "en")  # locale data
DOUBLES = ("_avx2.", "_sse2.")  # rapidfuzz brings its code once more for newer processors; the results are the same


@dataclass(frozen=True, slots=True)
class Wanted:
    """A file and the folder of the build that it goes into, with forward slashes."""

    source: str
    folder: str


def languages_of(catalog: Catalog) -> frozenset[str]:
    """ISO 639 codes of what the catalog speaks."""
    return frozenset(locale.split("-")[0] for one in catalog.responses.values() for locale in one.texts) | {catalog.locale.split("-")[0]}


def stage_pack(pack: Pack, catalog: Catalog, logic: LogicFiles, root: Path) -> list[Path]:
    """Copies a pack's files to ``root`` as they lie in its own folder, with what its approvals are verified by; returns the copies.

    Raises PackError for a file outside the pack's folder, which would have no place.
    """
    own = pack.logic_path.parent.parent.resolve()
    catalog_file = Path(catalog.path).resolve()
    files = [catalog_file, *(logic.path_of(name) for name in logic.files)]
    files += [one for one in (ledger_path(catalog_file), people_path(catalog_file)) if one.is_file()]
    files += [document_path(catalog, one) for one in catalog.documents.values()]
    made = []
    for file in dict.fromkeys(one.resolve() for one in files):
        if not file.is_relative_to(own):
            raise PackError(f"{file} lies outside {own}", name=pack.name, hint="move it into the pack's folder")
        target = root / file.relative_to(own)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)
        made.append(target)
    return made


def modules_of(logic: LogicFiles) -> list[str]:
    """What the pack's own files import beside each other: found by reading them, since they are run by name."""
    found: set[str] = set()
    for name, content in logic.files.items():
        tree = ast.parse(decode_source(content)) if name.endswith(".py") else ast.Module([], [])
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module)
    return sorted(found - set(logic.modules))


def modules_by_name(languages: frozenset[str]) -> list[str]:
    """What the library and its packages import by a name that they make up while they run."""
    days = {f"dateparser.data.date_translation_data.{language}" for language in {*languages, "en"}}
    return sorted({*BY_NAME, *days, *(ENGLISH_ONLY if "en" in languages else ())})


def modules_left_out(languages: frozenset[str], wanted: Iterable[str] = ()) -> tuple[str, ...]:
    """English is read by two encoders, any other language by the multilingual one, which needs numpy alone.

    Args:
        wanted: modules that the logic imports; nothing of their packages is left out.
    """
    tops = {name.partition(".")[0] for name in wanted} - {"constrained"}
    found = (*LEFT_OUT, *(() if "en" in languages else ENGLISH_ONLY))
    return tuple(name for name in found if name.partition(".")[0] not in tops)


def is_data_needed(name: str, languages: frozenset[str]) -> bool:
    """Whether a collected data file or library is any use to a pack that speaks these languages.

    Args:
        name: its place in the build.
    """
    path = PurePosixPath(name.replace("\\", "/"))
    if "locale-data" in path.parts:
        return path.suffix != ".dat" or path.stem.partition("_")[0] in {*ALWAYS, *languages}
    if path.parts[0] == "rapidfuzz":
        return not any(mark in path.name for mark in DOUBLES)
    if path.parts[0] == "stdnum" and len(path.parts) == 2:
        return path.suffix != ".dat" or path.name == "iban.dat"  # of books, telephones and the like
    if path.name in ("heads.en.npz", "heads.other.npz"):  # of protected triggers
        return bool(languages & {"en"} if "en" in path.name.split(".") else languages - {"en"})
    if path.name in (Path(ENGLISH.file).name, *MULTILINGUAL_FILES):
        return HOME in name.replace("\\", "/")  # they go in as ``lean`` writes them
    return not (len(path.parts) > 1 and path.parts[-2] == "tests")


def library_data(package: Path) -> Iterator[Wanted]:
    """The library's own data files, and the sources that it hashes; no pack, nothing of the command ``new``."""
    for file in sorted(package.rglob("*")):
        place = file.relative_to(package)
        is_hashed = place.parent.as_posix() == "engines/small" and place.stem in HASHED
        is_code = file.suffix in (".py", ".pyc", ".pyi") and not is_hashed
        if file.is_file() and not is_code and place.parts[0] not in ("_packs", "_home") and "scaffold" not in place.parts:
            yield Wanted(str(file), f"constrained/{place.parent.as_posix()}")


def prepare_encoders(languages: frozenset[str], home: Path) -> None:
    """Writes the encoders that read these languages. Raises EngineError or ConstrainedError where a package is missing or another one."""
    MULTILINGUAL.locate()
    try:
        lean.prepare(home / "encoders", ENGLISH.locate() if "en" in languages else None)
    except ModuleNotFoundError as error:
        raise ConstrainedError(
            f"a build needs a package that is not installed: {error.name}", hint="pip install 'constrained[pack]'"
        ) from error


def ship_vectors(found: Pack, policy: Policy, home: Path) -> None:
    """Writes the vectors of all texts that the engine's heads are fitted on, so that no start reads them again.

    They are those that the golden dialogues and sampled states need; what else a turn comes to is read when it does.
    """
    from constrained.engines.small.answer_head import AnswerHead
    from constrained.engines.small.engine import SmallEngine

    engine, folder = SmallEngine(), home / "vectors"
    for dialogue in load_golden(found.dialogues_path).dialogues if found.dialogues_path else ():
        list(run_golden(policy, dialogue, engine))
    for locale in sorted({locale for one in policy.catalog.responses.values() for locale in one.texts}):
        for run in islice((one for one in explore(policy, N_STATES) if not one.is_made_up), N_STATES):
            Dialogue(policy, engine=engine, locale=locale, drafts=True).reply(MESSAGE, run.state)
    engine.ship_vectors(folder)
    AnswerHead().ship_vectors(sorted(languages_of(policy.catalog)), folder)
