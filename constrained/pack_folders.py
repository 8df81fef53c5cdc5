"""Where packs lie: the working directory first, then those shipped with the package.

A pack is three files of one name: ``catalogs/NAME.yaml``, ``logic/NAME.py`` and, optionally, ``dialogues/NAME.yaml``.
"""

from __future__ import annotations

import difflib
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from constrained.errors import PackError

_NAME = re.compile(r"[a-z][a-z0-9_]*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Pack:
    """The files of one pack; ``dialogues_path`` is None where none were written."""

    name: str
    catalog_path: Path
    logic_path: Path
    dialogues_path: Path | None


def shipped_folder() -> Path:
    """The folder with the packs of this package: inside the wheel, or the root of the checkout."""
    package = Path(__file__).resolve().parent
    inside = package / "_packs"
    return inside if inside.is_dir() else package.parent


def folders() -> tuple[Path, ...]:
    """The folders searched, in order, each once. A build that ``constrained pack`` made has its own pack, wherever it is started."""
    if getattr(sys, "frozen", False):
        return (shipped_folder(),)
    return tuple(dict.fromkeys((Path.cwd().resolve(), shipped_folder())))


def find_pack(name: str) -> Pack:
    """The pack of that name. Raises PackError when it is nowhere, or only half there."""
    check_name(name)
    for folder in folders():
        catalog, logic = folder / "catalogs" / f"{name}.yaml", folder / "logic" / f"{name}.py"
        if catalog.is_file() and logic.is_file():
            dialogues = folder / "dialogues" / f"{name}.yaml"
            return Pack(name, catalog, logic, dialogues if dialogues.is_file() else None)
        if catalog.is_file() or logic.is_file():
            there, missing = (catalog, logic) if catalog.is_file() else (logic, catalog)
            raise PackError(
                f"half of the pack {name!r} is missing: {there} is there, {missing} is not",
                name=name,
                searched=folders(),
                hint=f"write {missing}, or start anew with: constrained new {name} --dir FOLDER",
            )
    raise _not_found(name, "pack", list_packs())


def catalog_path(name: str, beside: Path | None = None) -> Path:
    """The file ``catalogs/NAME.yaml``: in the folder ``beside`` first, then as for packs. Raises PackError."""
    check_name(name)
    first = [beside.resolve()] if beside else []
    searched = tuple(dict.fromkeys([*first, *folders()]))
    for folder in searched:
        path = folder / "catalogs" / f"{name}.yaml"
        if path.is_file():
            return path
    known = sorted({path.stem for folder in searched for path in (folder / "catalogs").glob("*.yaml")})
    raise _not_found(name, "catalog", known, searched)


def list_packs() -> list[str]:
    """Names of all packs that are complete, sorted."""
    found: set[str] = set()
    for folder in folders():
        catalogs = {path.stem for path in (folder / "catalogs").glob("*.yaml")}
        found |= catalogs & {path.stem for path in (folder / "logic").glob("*.py")}
    return sorted(name for name in found if _NAME.fullmatch(name))


def check_name(name: str) -> None:
    """Raises PackError unless ``name`` may name a pack: it becomes file names and a Python module."""
    if not _NAME.fullmatch(name):
        raise PackError(
            f"{name!r} is not a pack name", name=name, hint="use lower-case letters, digits and underscores, a letter first: night_desk"
        )


def _not_found(name: str, kind: str, known: list[str], searched: tuple[Path, ...] | None = None) -> PackError:
    searched = searched or folders()
    near = difflib.get_close_matches(name, known, n=3)
    if near:
        hint = "did you mean " + " or ".join(near) + "?"
    else:
        hint = ("there are " + ", ".join(known) + "; or" if known else "") + f" make one with: constrained new {name}"
    places = ", ".join(str(folder / "catalogs") for folder in searched)
    return PackError(f"there is no {kind} {name!r} (searched {places})", name=name, searched=searched, hint=hint.strip())
