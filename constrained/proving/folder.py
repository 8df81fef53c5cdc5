"""Where a pack's properties and its proof lie: ``properties/NAME.py`` and ``proofs/NAME.json``. Judges nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from constrained.errors import ConstrainedError, Problem, PropertyError
from constrained.proving.declared import Property, Scope


@dataclass(frozen=True, slots=True)
class Declared:
    """A file of properties, read and run.

    Attributes:
        text: of the file, for its hash; empty where there is none.
    """

    properties: tuple[Property, ...] = ()
    scope: Scope = field(default_factory=Scope)
    text: str = ""
    path: str = ""


def properties_path(logic: Path) -> Path:
    """The file of properties that goes with a logic file."""
    return logic.parent.parent / "properties" / logic.name


def proof_path(logic: Path) -> Path:
    """Where the proof of a pack is kept."""
    return logic.parent.parent / "proofs" / f"{logic.stem}.json"


def read_properties(path: Path) -> Declared:
    """What a file of properties declares; nothing where there is no file. Raises PropertyError."""
    if not path.is_file():
        return Declared()
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise PropertyError(f"{path} cannot be read: {error}", hint="a Python file in UTF-8") from error
    return declared_in(text, str(path))


def declared_in(text: str, file: str) -> Declared:
    """Runs a file of properties; every Property and the Scope that it leaves in a variable are declared."""
    names: dict[str, Any] = {"__name__": "constrained_properties", "__file__": file}
    try:
        exec(compile(text, file, "exec"), names)
    except ConstrainedError:
        raise
    except Exception as error:  # whatever a user's file raises, they get its line and no traceback of ours
        problem = Problem(file, _line(error, file), 0, f"{type(error).__name__}: {error}", "mend the line")
        raise PropertyError(f"{file} cannot be run", [problem]) from error
    scopes = [value for value in names.values() if isinstance(value, Scope)]
    if len(scopes) > 1:
        raise PropertyError(f"{file} declares {len(scopes)} scopes", hint="one scope(...) a file")
    return Declared(tuple(_properties(names)), scopes[0] if scopes else Scope(), text, file)


def _properties(names: dict[str, Any]) -> list[Property]:
    found = []
    for name, value in names.items():
        if isinstance(value, Property):
            found.append(value.named(name))
        elif isinstance(value, tuple) and value and all(isinstance(one, Property) for one in value):
            found += [one.named(f"{name}_{number}") for number, one in enumerate(value, start=1)]
    return found


def _line(error: BaseException, file: str) -> int:
    line = getattr(error, "lineno", 0) or 0
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == file:
            line = trace.tb_lineno
        trace = trace.tb_next
    return line
