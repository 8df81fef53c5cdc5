"""Licences of everything in a build, collected into one text; what has none is listed by name."""

from __future__ import annotations

import platform
import re
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution, packages_distributions
from pathlib import Path

_TEXT = re.compile(r"(licen[cs]e|copying|notice|thirdparty|third_party|copyright)[^/]*$", re.IGNORECASE)
_LONGEST_NAME = 60  # a metadata field that is longer is the text itself
ALWAYS = ("constrained", "pyinstaller")  # the loader of the latter is in every build


@dataclass(frozen=True, slots=True)
class Licence:
    """The licence of one part.

    Attributes:
        name: of the part, with its version. expression: its name; empty where none is told. texts: in full; empty where none was found.
    """

    name: str
    expression: str
    texts: tuple[str, ...]


def collect(modules: Iterable[str], libraries: Iterable[Path]) -> list[Licence]:
    """Of Python, of the packages that ``modules`` come from, and of shared libraries of this system.

    Args:
        modules: dotted names. libraries: files that were taken; those of Python and of packages are covered by theirs.
    """
    tops = {module.partition(".")[0] for module in modules}
    known = packages_distributions()
    names = sorted({name for top in tops for name in known.get(top, ())} | {*ALWAYS})
    return [_of_python(), *map(of_package, names), *_of_system(libraries)]


def of_package(name: str) -> Licence:
    """Of an installed package: its License-Expression, and every file in it that is called a licence or notice."""
    try:
        found = distribution(name)
    except PackageNotFoundError:
        return Licence(name, "", ())
    return Licence(f"{found.metadata['Name']} {found.version}", _expression(found), tuple(dict.fromkeys(_texts(found))))


def _expression(found: Distribution) -> str:
    told = _field(found, "License-Expression") or _field(found, "License")
    if told and len(told) <= _LONGEST_NAME:
        return str(told)
    classifiers = [one.rpartition(" :: ")[2] for one in found.metadata.get_all("Classifier") or () if one.startswith("License ::")]
    return " AND ".join(classifiers)


def _field(found: Distribution, name: str) -> str:
    return next(iter(found.metadata.get_all(name) or ()), "")


def _texts(found: Distribution) -> Iterator[str]:
    for file in found.files or ():
        place = Path(str(file.locate()))
        if _TEXT.search(file.name) and place.suffix not in (".py", ".pyc", ".pyi", ".json") and place.is_file():
            yield place.read_text(encoding="utf-8", errors="replace").strip()
    told = _field(found, "License")
    if len(told) > _LONGEST_NAME:
        yield told.strip()


def _of_python() -> Licence:
    places = [Path(sysconfig.get_path("stdlib")) / "LICENSE.txt", Path(sys.base_prefix) / "LICENSE.txt"]
    places.append(Path("/usr/share/doc") / f"python3.{sys.version_info.minor}" / "copyright")
    texts = [one.read_text(encoding="utf-8", errors="replace").strip() for one in places if one.is_file()]
    return Licence(f"Python {platform.python_version()}", "PSF-2.0", tuple(texts[:1]))


def _of_system(libraries: Iterable[Path]) -> Iterator[Licence]:
    """Of shared libraries that come with neither: by Debian's package database, where there is one."""
    own = (Path(sys.base_prefix).resolve(), Path(sys.prefix).resolve())
    seen = set()
    for file in sorted(one.resolve() for one in libraries):
        if file.is_relative_to(own[0]) or file.is_relative_to(own[1]) or "site-packages" in file.parts:
            continue
        package = _debian_package(file)
        text = Path("/usr/share/doc") / package / "copyright"
        if package in seen:
            continue
        if package:
            seen.add(package)
        is_there = bool(package) and text.is_file()
        yield Licence(f"{file.name} ({package or 'of the system'})", "", (text.read_text(encoding="utf-8").strip(),) if is_there else ())


def _debian_package(file: Path) -> str:
    for name in (file, Path("/", *file.parts[2:]) if file.parts[:2] == ("/", "usr") else file):  # /lib is a link to /usr/lib
        try:
            done = subprocess.run(["dpkg", "-S", str(name)], capture_output=True, text=True, timeout=10, check=False)
        except (OSError, subprocess.SubprocessError):
            return ""
        if done.returncode == 0:
            return done.stdout.partition(":")[0]
    return ""


def compose(found: Iterable[Licence], fallbacks: dict[str, str]) -> tuple[str, list[str]]:
    """One text, and the names of the parts whose licence text is missing.

    Args:
        fallbacks: expression -> text, for parts that name a licence and carry no copy of it.
    """
    licences, gaps, parts = list(found), [], []
    for one in licences:
        texts = one.texts or tuple(text for name, text in fallbacks.items() if name == _plain(one.expression))
        if not texts:
            gaps.append(f"{one.name} ({one.expression or 'no licence is told'})")
        told = "\n\n".join(texts) or "No copy of the licence came with it."
        parts.append(f"{'=' * 80}\n{one.name}\n{one.expression}\n{'-' * 80}\n{told}\n")
    head = "What is inside, and under which licence.\n\n" + "".join(f"- {one.name}: {one.expression or 'see below'}\n" for one in licences)
    missing = "\nNo licence text was found for:\n\n" + "".join(f"- {gap}\n" for gap in gaps) if gaps else ""
    return "\n".join([head + missing, *parts]), gaps


def _plain(expression: str) -> str:
    """``Apache 2.0`` and the classifier's name as SPDX writes them."""
    is_apache = "apache" in expression.lower() and " or " not in expression.lower() and " and " not in expression.lower()
    return "Apache-2.0" if is_apache else expression
