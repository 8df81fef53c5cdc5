"""Runs PyInstaller on a plan, and says what came of it."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from constrained.cli.packing.parts import Wanted
from constrained.errors import ConstrainedError

PATIENCE_S = 180.0  # for a first start
SPEC = """
import json
from pathlib import Path
from PyInstaller.utils.hooks import collect_data_files, collect_submodules, copy_metadata
from constrained.cli.packing.parts import is_data_needed

plan = json.loads(Path(SPECPATH, "plan.json").read_text(encoding="utf-8"))
languages = frozenset(plan["languages"])
datas = [(one["source"], one["folder"]) for one in plan["files"]]
for package in plan["data_of"]:
    datas += collect_data_files(package)
datas += copy_metadata("constrained")
modules = [*plan["modules"], *(name for package in plan["whole"] for name in collect_submodules(package))]
found = Analysis([plan["entry"]], pathex=plan["paths"], datas=datas, hiddenimports=modules, excludes=plan["left_out"],
    module_collection_mode=dict.fromkeys(plan["as_source"], "py"))
found.datas = [one for one in found.datas if is_data_needed(one[0], languages)]
found.binaries = [one for one in found.binaries if is_data_needed(one[0], languages)]
told = {"modules": [one[0] for one in found.pure], "libraries": [one[1] for one in found.binaries]}
told["modules"] += [one[0].replace("\\\\", "/").partition("/")[0] for one in found.datas + found.binaries]
Path(SPECPATH, "collected.json").write_text(json.dumps(told), encoding="utf-8")
program = EXE(PYZ(found.pure), found.scripts, [], exclude_binaries=True, name=plan["name"], console=True, hide_console=plan["hide_console"])
COLLECT(program, found.binaries, found.datas, name=plan["name"])
"""


@dataclass(frozen=True, slots=True)
class Plan:
    """What PyInstaller is told.

    Attributes:
        name: of the executable and its folder. entry: the file that is run. paths: where modules are looked for.
        files: that go in as they are. data_of: packages whose data files do. whole: packages of which every module does.
        modules: beside what ``entry`` imports. left_out: modules that must not come in.
        as_source: packages that lie in the folder as they are: users must be able to replace them (LGPL).
        hide_console: no window opens where a game starts it (Windows).
    """

    name: str
    entry: str
    paths: tuple[str, ...]
    languages: tuple[str, ...]
    files: tuple[Wanted, ...]
    data_of: tuple[str, ...]
    whole: tuple[str, ...]
    modules: tuple[str, ...]
    left_out: tuple[str, ...]
    as_source: tuple[str, ...]
    hide_console: str | None = "hide-early" if sys.platform == "win32" else None


@dataclass(frozen=True, slots=True)
class Built:
    """A folder with an executable; the modules and the shared libraries inside."""

    folder: Path
    modules: tuple[str, ...]
    libraries: tuple[Path, ...]


def require_pyinstaller() -> None:
    if importlib.util.find_spec("PyInstaller") is None:
        raise ConstrainedError("a build needs a package that is not installed: pyinstaller", hint="pip install 'constrained[pack]'")


def build(plan: Plan, work: Path) -> Built:
    """Builds in the folder ``work``. Raises ConstrainedError with the end of PyInstaller's log when it fails."""
    work.mkdir(parents=True, exist_ok=True)
    (work / "plan.json").write_text(json.dumps(asdict(plan)), encoding="utf-8")
    spec, log = work / "pack.spec", work / "pyinstaller.log"
    spec.write_text(SPEC, encoding="utf-8")
    command = [sys.executable, "-m", "PyInstaller", "--noconfirm", "--distpath", str(work / "dist"), "--workpath", str(work / "build")]
    with log.open("wb") as out:
        done = subprocess.run([*command, str(spec)], stdout=out, stderr=out, stdin=subprocess.DEVNULL, cwd=work, check=False)
    if done.returncode:
        end = "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-5:])
        raise ConstrainedError(f"PyInstaller failed:\n{end}", hint="Python must have a shared library (--enable-shared)")
    told = json.loads((work / "collected.json").read_text(encoding="utf-8"))
    if sys.platform.startswith("linux"):
        strip_symbols(work / "dist" / plan.name)
    return Built(work / "dist" / plan.name, tuple(told["modules"]), tuple(map(Path, told["libraries"])))


def strip_symbols(folder: Path) -> None:
    """Drops what only debuggers read. Not of libraries that wheels bring along: those were patched, and ``strip`` breaks them."""
    tool = shutil.which("strip")
    found = [file for file in folder.rglob("*.so*") if not file.is_symlink() and not any(part.endswith(".libs") for part in file.parts)]
    for file in found if tool else ():
        subprocess.run([str(tool), "--strip-unneeded", str(file)], capture_output=True, check=False)  # what cannot be stripped stays


def check_start(program: Path, work: Path) -> None:
    """Starts a built program until it is ready, and ends it. Raises ConstrainedError, with what it told, when it does not start."""
    told, errors = work / "port.json", work / "errors"
    command = [str(program), "--port", "0", "--data", str(work / "data"), "--port-file", str(told)]
    with errors.open("wb") as out, subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=out, stdin=subprocess.PIPE) as child:
        end_s = time.monotonic() + PATIENCE_S
        while not told.is_file() and child.poll() is None and time.monotonic() < end_s:
            time.sleep(0.05)
        is_ready = told.is_file()
        child.terminate()
    if not is_ready:
        end = "\n".join(errors.read_text(encoding="utf-8", errors="replace").splitlines()[-3:])
        raise ConstrainedError(
            f"the built program does not start:\n{end}", hint="files that the logic reads beside its modules are not packed"
        )
