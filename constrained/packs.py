"""Packs by name: from ``tavern`` to its Policy.

A logic file is executed once for each content of itself and of the catalogs that it names, under a module name of its
own: two packs never collide, nothing is added to ``sys.path``, and a host that imported the file itself gets the classes
it imported.
"""

from __future__ import annotations

import hashlib
import importlib.util
import linecache
import sys
import threading
import traceback
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from constrained.catalog.response import Catalog
from constrained.errors import ConstrainedError, PolicyError, Problem
from constrained.logic.policy import Policy
from constrained.pack_folders import find_pack, list_packs

__all__ = ["list_packs", "load_policy", "load_policy_file"]

_lock = threading.RLock()  # one execution of a logic file at a time: its classes must exist once


@dataclass(frozen=True, slots=True)
class _Execution:
    """A logic file that was executed, and the contents that it was made from.

    Attributes:
        content: of the logic file and of the catalog of its name, which goes before one that was found elsewhere.
    """

    module: ModuleType
    content: bytes
    catalogs: tuple[Catalog, ...]

    def is_current(self, content: bytes) -> bool:
        """Whether an execution now would come to the same: neither the logic file nor a catalog of it has another content."""
        is_kept = sys.modules.get(self.module.__name__) is self.module
        return is_kept and content == self.content and all(one.is_current() for one in self.catalogs)


_executions: dict[Path, list[_Execution]] = {}


def load_policy(name: str) -> Policy:
    """The policy of a pack. Raises PackError, PolicyError (the logic file) or CatalogError (the catalog)."""
    return load_policy_file(find_pack(name).logic_path)


def load_policy_file(path: str | Path) -> Policy:
    """The one policy that a logic file defines. Raises PolicyError or CatalogError."""
    path = Path(path).resolve()
    with _lock:
        module = _imported_by_host(path) or _execute(path)
    found = [value for value in vars(module).values() if isinstance(value, Policy) and Path(value.file).resolve() == path]
    kept = {id(older) for policy in found for older in policy.terms.keeps}
    policies = list({id(policy): policy for policy in found if id(policy) not in kept}.values())
    if len(policies) == 1:
        return policies[0]
    raise PolicyError(
        f"a logic file defines one policy, {path} defines {len(policies) or 'none'}",
        hint="decorate exactly one function with @policy(...), one file each",
    )


def _imported_by_host(path: Path) -> ModuleType | None:
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        is_ours = getattr(module, "__name__", "").startswith("constrained_pack_")
        if file and not is_ours and file.endswith(path.name) and Path(file).resolve() == path:
            return module
    return None


def _execute(path: Path) -> ModuleType:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise PolicyError(f"{path} cannot be read: {error.strerror}", hint="check the path and its permissions") from error
    catalog = path.parent.parent / "catalogs" / f"{path.stem}.yaml"
    content += b"\0" + (catalog.read_bytes() if catalog.is_file() else b"")
    executions = _executions.setdefault(path, [])
    known = next((one for one in executions if one.is_current(content)), None)
    if known is not None:
        return known.module
    digest = hashlib.sha256(b"\0".join((str(path).encode(), content))).hexdigest()[:12]
    name = f"constrained_pack_{path.stem}_{digest}_{len(executions)}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise PolicyError(f"{path} is not a Python file", hint="a logic file is called NAME.py")
    module = importlib.util.module_from_spec(spec)
    linecache.checkcache(str(path))  # an edited file is read anew where its source is asked for
    sys.modules[name] = module  # pydantic and inspect look the module up by name while it runs
    try:
        spec.loader.exec_module(module)
    except BaseException as error:  # whatever a user's file raises, they get its line and no traceback of ours
        del sys.modules[name]
        if isinstance(error, ConstrainedError | KeyboardInterrupt):
            raise
        raise _broken(path, error) from error
    executions.append(_Execution(module, content, _catalogs(module)))
    return module


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
