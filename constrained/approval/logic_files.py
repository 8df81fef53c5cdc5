"""The files that decide: a logic file, its properties, and the modules of the pack's folder that both import, as bytes to be signed.

Nothing is run to find them: import statements are read wherever they stand in a file, and looked up as Python would. Modules of
Python, of installed packages and of this library are no part of it; their versions are a matter of the host's lock file.
"""

from __future__ import annotations

import ast
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib.machinery import ModuleSpec, PathFinder, all_suffixes
from pathlib import Path

from constrained._canonical_json import canonical_json, sha256
from constrained._values import parse_source
from constrained.errors import ApprovalError, PolicyError

_LIBRARY = Path(__file__).resolve().parents[1]
_SUFFIXES = tuple(all_suffixes())
_INSTALLED = frozenset(("site-packages", "dist-packages"))


@dataclass(frozen=True)
class LogicFiles:
    """A logic file and what belongs to it, each read once: what is signed is what is run.

    Attributes:
        path: of the logic file. files: name from the pack's folder -> content; the logic file comes first.
        modules: name in an import statement -> name among ``files``.
    """

    path: Path
    files: Mapping[str, bytes]
    modules: Mapping[str, str]

    @cached_property
    def version(self) -> str:
        """``sha256:`` over the names and the hashes of all files."""
        return sha256(canonical_json({name: sha256(content) for name, content in self.files.items()}))

    @cached_property
    def text(self) -> str:
        """All files as JSON, name -> text: what somebody signs, for whoever compares later. Raises ApprovalError for what is no text."""
        return canonical_json({name: _text(name, content) for name, content in self.files.items()}).decode()

    @property
    def content(self) -> bytes:
        """Of the logic file."""
        return next(iter(self.files.values()))

    @cached_property
    def author(self) -> str:
        """``__author__ = "..."`` of the logic file, who does not approve it; empty where it names nobody."""
        return _author(self.content)

    def path_of(self, name: str) -> Path:
        return self.path.parent.parent / name


def read_logic_files(logic: str | Path) -> LogicFiles:
    """Reads a logic file, ``properties/NAME.py``, and the modules of the pack's folder that they import. Raises PolicyError."""
    path = Path(logic).resolve()
    root, properties = path.parent.parent, path.parent.parent / "properties" / path.name
    files, modules = {_name(path, root): _read(path)}, dict[str, str]()
    if properties.is_file():
        files[_name(properties, root)] = _read(properties)
    todo = [(content, "") for content in files.values()]
    while todo:
        for found, spec in _own_imports(*todo.pop(), root):
            if found in modules:
                continue
            place = Path(str(spec.origin)).absolute()
            modules[found] = name = _name(place, root)
            content = files.setdefault(name, _read(place))
            todo.append((content, found if spec.submodule_search_locations is not None else found.rpartition(".")[0]))
    first = next(iter(files))
    return LogicFiles(path, {first: files.pop(first), **dict(sorted(files.items()))}, modules)


def texts_of(signed: str) -> dict[str, str]:
    """The files in the text of a signature, name -> text; none where it is something else."""
    try:
        found = json.loads(signed)
    except ValueError:
        return {}
    return {str(name): str(text) for name, text in found.items()} if isinstance(found, dict) else {}


def is_own(place: str | None, root: Path) -> bool:
    """Whether a module that lies there belongs to the pack in the folder ``root``."""
    return place is not None and place.endswith(_SUFFIXES) and _is_below(place, root)


@lru_cache(maxsize=4096)  # a server looks every second
def _is_below(place: str, root: Path) -> bool:
    below = _below(Path(place).absolute(), root)
    is_library = _LIBRARY in Path(place).resolve().parents and _LIBRARY not in (root, *root.parents)
    return below is not None and not is_library and not _INSTALLED.intersection(below.parts)


def _own_imports(content: bytes, package: str, root: Path) -> Iterator[tuple[str, ModuleSpec]]:
    """The modules of the pack that a file imports, the packages around them among these."""
    for name in _imported(content, package):
        places: Sequence[str] | None = None
        parts = name.split(".")
        for n_parts in range(1, len(parts) + 1):
            whole = ".".join(parts[:n_parts])
            spec = find_spec(whole, places)
            if spec is None:
                break
            if is_own(spec.origin, root):
                yield whole, spec
            if spec.submodule_search_locations is None:
                break
            places = list(spec.submodule_search_locations)


def find_spec(name: str, places: Sequence[str] | None) -> ModuleSpec | None:
    """Where Python would find a module, by its search path first, then by other finders (of editable installs); imports nothing."""
    if places is None and name in sys.builtin_module_names:
        return None
    for finder in (PathFinder, *sys.meta_path):
        find = getattr(finder, "find_spec", None)
        try:
            spec = find(name, places) if find is not None else None
        except KeyError:  # a folder without __init__.py within one that is not imported yet
            spec = ModuleSpec(name, None, is_package=True)
            tail = name.rpartition(".")[2]
            spec.submodule_search_locations = [str(Path(one, tail)) for one in places or () if Path(one, tail).is_dir()]
        if isinstance(spec, ModuleSpec):
            return spec
    return None


@lru_cache(maxsize=256)
def _imported(content: bytes, package: str) -> tuple[str, ...]:
    """Every name that the import statements of a file may import as a module."""
    found: dict[str, None] = {}
    for node in ast.walk(_tree(content)):
        if isinstance(node, ast.Import):
            found |= dict.fromkeys(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            around = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level and package else []
            base = ".".join([*around, *([node.module] if node.module else [])])
            found |= dict.fromkeys(f"{base}.{alias.name}".strip(".") for alias in node.names if alias.name != "*") | {base: None}
    return tuple(name for name in found if name)


@lru_cache(maxsize=64)
def _author(content: bytes) -> str:
    for node in _tree(content).body:
        if isinstance(node, ast.Assign) and any(isinstance(one, ast.Name) and one.id == "__author__" for one in node.targets):
            value = node.value.value if isinstance(node.value, ast.Constant) else None
            return value if isinstance(value, str) else ""
    return ""


def _tree(content: bytes) -> ast.Module:
    """The syntax tree; an empty one for what is no Python: running it tells what is wrong."""
    from importlib.util import decode_source

    try:
        return parse_source(decode_source(content))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ast.Module([], [])


def _name(path: Path, root: Path) -> str:
    below = _below(path, root)
    return (below if below is not None else Path(path.name)).as_posix()


def _below(path: Path, root: Path) -> Path | None:
    """A path from ``root``; that of a link as it is written, wherever it leads."""
    for one in (path, path.parent.resolve() / path.name, path.resolve()):
        if one.is_relative_to(root):
            return one.relative_to(root)
    return None


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise PolicyError(f"{path} cannot be read: {error.strerror}", hint="check the path and its permissions") from error


def _text(name: str, content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        hint = "write it as UTF-8, or put it into a package that is installed"
        raise ApprovalError(f"{name} is no text, so nobody can read what they sign", file=name, hint=hint) from error
