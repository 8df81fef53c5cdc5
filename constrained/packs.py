"""Packs by name: from ``tavern`` to its Policy.

A logic file is executed once for each content of itself and of the catalogs that it names, under a module name of its
own: two packs never collide, nothing is added to ``sys.path``, and a host that imported the file itself gets the classes
it imported.

What is run are the bytes that were read, and that signatures are held against: of the logic file, and of the modules of the
pack's folder that it imports. No file is read twice, and no compiled copy of one is taken.
"""

from __future__ import annotations

import hashlib
import importlib.abc
import importlib.util
import linecache
import sys
import threading
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from weakref import WeakKeyDictionary

from constrained.approval.logic_files import LogicFiles, is_own, read_logic_files
from constrained.approval.logic_signatures import may_need_signing, require_signed
from constrained.catalog.response import Catalog
from constrained.errors import ApprovalError, ConstrainedError, PolicyError, Problem
from constrained.logic.policy import Policy
from constrained.pack_folders import find_pack, list_packs

__all__ = ["files_of", "list_packs", "load_policy", "load_policy_file", "run_logic"]

_lock = threading.RLock()  # one execution of a logic file at a time: its classes must exist once


@dataclass(frozen=True, slots=True)
class _Execution:
    """A logic file that was executed, and the contents that it was made from.

    Attributes:
        content: names the logic's files, and holds the catalog of its name, which goes before one that was found elsewhere.
    """

    module: ModuleType
    content: bytes
    files: LogicFiles
    catalogs: tuple[Catalog, ...]

    def is_current(self, content: bytes) -> bool:
        """Whether an execution now would come to the same: neither the logic file nor a catalog of it has another content."""
        is_kept = sys.modules.get(self.module.__name__) is self.module
        return is_kept and content == self.content and all(one.is_current() for one in self.catalogs)


_executions: dict[Path, list[_Execution]] = {}
_helpers: dict[str, tuple[ModuleType, bytes]] = {}  # modules of packs by the name of their import, with what they were made from
_files: WeakKeyDictionary[Policy, LogicFiles] = WeakKeyDictionary()  # of policies that were asked about: each turn asks


def load_policy(name: str, *, signed: bool = False) -> Policy:
    """The policy of a pack. Raises PackError, PolicyError (the logic file) or CatalogError (the catalog).

    Args:
        signed: nothing is run that is not signed, where the pack requires approvals; raises ApprovalError.
    """
    return load_policy_file(find_pack(name).logic_path, signed=signed)


def load_policy_file(path: str | Path, *, signed: bool = False) -> Policy:
    """The one policy that a logic file defines. Raises PolicyError or CatalogError; for ``signed`` see ``load_policy``."""
    path = Path(path).resolve()
    with _lock:
        files = read_logic_files(path)
        if signed:
            require_signed(files)
        module = _imported_by_host(path) or _execute(files)
    found = [value for value in vars(module).values() if isinstance(value, Policy) and Path(value.file).resolve() == path]
    kept = {id(older) for policy in found for older in policy.terms.keeps}
    policies = list({id(policy): policy for policy in found if id(policy) not in kept}.values())
    if len(policies) == 1:
        return policies[0]
    raise PolicyError(
        f"a logic file defines one policy, {path} defines {len(policies) or 'none'}",
        hint="decorate exactly one function with @policy(...), one file each",
    )


def run_logic(path: str | Path, version: str = "") -> ModuleType:
    """Runs a logic file as it is now, if it is of that version of its files (any, when empty). Raises PolicyError or CatalogError."""
    files = read_logic_files(path)
    if version not in ("", files.version):
        raise PolicyError(f"{files.path}, or what belongs to it, has changed meanwhile", hint="check it again")
    with _lock:
        return _execute(files)


def files_of(policy: Policy) -> LogicFiles:
    """The files that a policy was made from. Those that the host imported itself are read now, once.

    Raises ApprovalError where the file has changed since the host imported it, or an older version that is kept lies in no file of these.
    """
    known = _files.get(policy)
    if known is not None:
        return known
    path = Path(policy.file).resolve()
    run = next((one for one in list(_executions.get(path, ())) if one.module.__name__ == policy.__module__), None)
    files = run.files if run is not None else read_logic_files(path)
    if _source(files.content) != policy.source:
        hint = "start the process anew"
        raise ApprovalError(f"{path} has changed since it was imported", file=str(path), hint=hint)
    places = {files.path_of(name).resolve() for name in files.files}
    for older in policy.terms.keeps:
        if Path(older.file).resolve() not in places:
            message = f"{older.file} holds a version that {path.name} keeps, and no import statement of it leads there"
            raise ApprovalError(message, file=older.file, hint="import it from the logic file, so that it is signed with it")
    return _files.setdefault(policy, files)


def _imported_by_host(path: Path) -> ModuleType | None:
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        is_ours = getattr(module, "__name__", "").startswith("constrained_pack_")
        if file and not is_ours and file.endswith(path.name) and Path(file).resolve() == path:
            return module
    return None


def _execute(files: LogicFiles) -> ModuleType:
    path = files.path
    catalog = path.parent.parent / "catalogs" / f"{path.stem}.yaml"
    content = files.version.encode() + b"\0" + (catalog.read_bytes() if catalog.is_file() else b"")
    executions = _executions.setdefault(path, [])
    known = next((one for one in executions if one.is_current(content)), None)
    if known is not None:
        return known.module
    digest = hashlib.sha256(b"\0".join((str(path).encode(), content))).hexdigest()[:12]
    name = f"constrained_pack_{path.stem}_{digest}_{len(executions)}"
    spec = importlib.util.spec_from_file_location(name, path, loader=_Loader(str(path), files.content))
    if spec is None or spec.loader is None:
        raise PolicyError(f"{path} is not a Python file", hint="a logic file is called NAME.py")
    module = importlib.util.module_from_spec(spec)
    linecache.checkcache(str(path))  # an edited file is read anew where its source is asked for
    sys.modules[name] = module  # pydantic and inspect look the module up by name while it runs
    try:
        with _as_read(files):
            spec.loader.exec_module(module)
        _check_source(module, files)
    except BaseException as error:  # whatever a user's file raises, they get its line and no traceback of ours
        del sys.modules[name]
        if isinstance(error, Exception) and _is_other(files):
            raise PolicyError(f"{path} changed while it was loaded", hint="load it again") from error
        if isinstance(error, ConstrainedError | KeyboardInterrupt):
            raise
        raise _broken(path, error) from error
    executions.append(_Execution(module, content, files, _catalogs(module)))
    return module


class _Loader(importlib.abc.SourceLoader):
    """A module out of bytes that were read before: neither its file nor a compiled copy of it is looked at."""

    def __init__(self, path: str, content: bytes) -> None:
        self._path, self._content = path, content

    def get_filename(self, fullname: str) -> str:
        return self._path

    def get_data(self, path: str | bytes) -> bytes:
        return self._content


class _Finder(importlib.abc.MetaPathFinder):
    """Finds the modules of a pack as they were read, for the thread that runs it. Where the pack is signed, one that reading the import
    statements did not find is refused."""

    def __init__(self, files: LogicFiles, *, is_strict: bool) -> None:
        self._files, self._is_strict, self._thread = files, is_strict, threading.get_ident()

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if threading.get_ident() != self._thread:
            return None
        name = self._files.modules.get(fullname)
        if name is not None and name.endswith(".py"):  # a compiled module cannot be signed, and is not kept in a game from being used
            place = str(self._files.path_of(name))
            return importlib.util.spec_from_file_location(fullname, place, loader=_Loader(place, self._files.files[name]))
        found = PathFinder.find_spec(fullname, path) if self._is_strict else None
        if found is not None and is_own(found.origin, self._files.path.parent.parent):
            hint = "import it with an import statement, so that it is found and signed with the logic"
            raise PolicyError(f"{self._files.path.name} imports {found.origin}, and no import statement says so", hint=hint)
        return None


@contextmanager
def _as_read(files: LogicFiles) -> Iterator[None]:
    """Imports give the modules of the pack as they were read; those that the host imported before stay the host's."""
    is_strict = may_need_signing(files.path)
    for name, file in files.modules.items():
        present, place = sys.modules.get(name), str(files.path_of(file))
        module, content = _helpers.get(name, (None, b""))
        if present is None:
            continue
        if present is module:
            if (content, module.__file__) != (files.files[file], place):
                del sys.modules[name]
        elif is_strict and not _is_same_file(getattr(present, "__file__", None), place):
            message = f"{files.path.name} imports {name}, which is another module in this process: {getattr(present, '__file__', None)}"
            raise PolicyError(message, hint="give the module of the pack a name of its own")
    before, finder = set(sys.modules), _Finder(files, is_strict=is_strict)
    sys.meta_path.insert(0, finder)
    try:
        yield
        for name in files.modules if is_strict else ():
            with suppress(ImportError):  # what only the properties need may not be installed here
                importlib.import_module(name)  # what a function imports when it is called is then there, as it was signed
    finally:
        sys.meta_path.remove(finder)
        for name in files.modules.keys() & (sys.modules.keys() - before):
            _helpers[name] = sys.modules[name], files.files[files.modules[name]]


def _is_same_file(one: str | None, other: str) -> bool:
    return one is not None and Path(one).resolve() == Path(other).resolve()


def _is_other(files: LogicFiles) -> bool:
    """Whether the logic file has another content by now: then what is wrong may be that."""
    try:
        return files.path.read_bytes() != files.content
    except OSError:
        return True


def _check_source(module: ModuleType, files: LogicFiles) -> None:
    """The text that policies are checked by and shown with is the one that was run. Raises PolicyError."""
    for value in vars(module).values():
        if isinstance(value, Policy) and Path(value.file).resolve() == files.path and value.source != _source(files.content):
            raise PolicyError(f"{files.path} changed while it was loaded", hint="load it again")


def _source(content: bytes) -> str:
    """A file as ``linecache`` gives it: every line with its end."""
    text = importlib.util.decode_source(content)
    return text if text.endswith("\n") or not text else text + "\n"


def _catalogs(module: ModuleType) -> tuple[Catalog, ...]:
    """The catalogs of a module's policies, and those that it loaded by itself."""
    found = [value.catalog if isinstance(value, Policy) else value for value in vars(module).values()]
    return tuple({id(one): one for one in found if isinstance(one, Catalog) and one.path}.values())


def _broken(path: Path, error: BaseException) -> PolicyError:
    if isinstance(error, SyntaxError) and error.filename == str(path):
        line, column, text = error.lineno or 0, error.offset or 0, error.msg
    else:
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
        line, column, text = (lines[-1] if lines else 0) or 0, 0, f"{type(error).__name__}: {error}"
    problem = Problem(str(path), line, column or 1, text)
    return PolicyError(f"{path.name} cannot be imported", [problem], hint="mend the line named below")
