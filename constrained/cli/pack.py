"""``constrained pack``: a folder with one pack's server as an executable, which runs where no Python is."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from constrained.approval.logic_files import read_logic_files
from constrained.approval.worklist import approval_report
from constrained.cli.models import loading
from constrained.cli.screen import line, today
from constrained.errors import ConstrainedError, PackError
from constrained.logic.policy import Policy
from constrained.pack_folders import Pack, find_pack, shipped_folder

if TYPE_CHECKING:
    from constrained.cli.packing.build import Built, Plan

CLIENTS = ("godot", "unity", "renpy", "typescript")
SERVER = "server"  # the folder inside
PACKAGE = Path(__file__).resolve().parents[1]
README = """{name}: a conversation server for one pack, which needs no Python.

Start:      {start} --port 0 --port-file FILE --parent PID
Ready:      FILE then holds url, port and token, as JSON; the server ends with the process PID
Options:    {start} --help
Kept:       conversations and their log in the user's data folder, or where --data says; nothing is written into this folder
Licences:   LICENSES.txt

Built on {platform}. It runs on that system, or a newer one of the same processor.
"""


def pack(
    name: Annotated[str, typer.Argument(help="A pack; see: constrained list")],
    out: Annotated[Path, typer.Option(help="The folder to make; it must not be there, or be empty.")],
    client: Annotated[str | None, typer.Option(help=f"Put the client of an engine beside it: {', '.join(CLIENTS)}.")] = None,
) -> None:
    """Make a folder with a pack's server as an executable, for a machine without Python.

    It is for the system that it is made on: make one on Windows for Windows, and one on macOS for macOS.
    """
    from constrained.cli.packing import licences
    from constrained.cli.packing.build import build, check_start, require_pyinstaller

    require_pyinstaller()
    source = client_folder(client) if client else None
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise PackError(f"{out} is not empty; nothing was written", name=name, hint="choose another --out, or remove it")
    found = find_pack(name)
    policy = checked_policy(found)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        with loading(f"reading the examples of {name}"):
            plan = _plan(found, policy, work)
        with loading(f"building {name}"):
            built = build(plan, work / "build")
        with loading(f"starting {name}"):
            check_start(built.folder / _program(name), work)
        text, gaps = licences.compose(licences.collect(built.modules, built.libraries), {"Apache-2.0": _apache()})
        _put(out, name, built, text, source)
    for gap in gaps:
        line(f"remark: no licence text was found for {gap}", "yellow")
    n_bytes = sum(file.lstat().st_size for file in out.rglob("*") if file.is_file())
    line(f"{out}: {n_bytes / 1e6:.0f} MB; start it with {out / SERVER / _program(name)}")


def checked_policy(found: Pack) -> Policy:
    """The policy of a pack that may be shipped. Raises what its check finds, and ApprovalError for what is not signed."""
    from constrained.serve.packs import load_checked

    policy = load_checked(found.name, signed=True)
    problems, _ = approval_report(policy.catalog, today())
    if problems:
        raise PackError(
            f"{found.name} cannot be shipped: {problems[0].message}", name=found.name, hint=f"{problems[0].file}: {problems[0].hint}"
        )
    return policy


def client_folder(client: str) -> Path:
    """Where the client of an engine lies. Raises ConstrainedError for one that is not there."""
    folder = shipped_folder() / "clients" / client
    if client not in CLIENTS or not folder.is_dir():
        known = ", ".join(name for name in CLIENTS if (shipped_folder() / "clients" / name).is_dir())
        raise ConstrainedError(f"there is no client {client!r}", hint=f"there are {known}" if known else "leave --client out")
    return folder


def _plan(found: Pack, policy: Policy, work: Path) -> Plan:
    from constrained.cli.packing import parts
    from constrained.cli.packing.build import Plan
    from constrained.cli.packing.parts import HOME, PACKS, Wanted

    languages = parts.languages_of(policy.catalog)
    logic = read_logic_files(found.logic_path)
    modules = parts.modules_of(logic)
    root, home = work / "packs", work / "home"
    files = [
        Wanted(str(file), f"{PACKS}/{file.parent.relative_to(root).as_posix()}")
        for file in parts.stage_pack(found, policy.catalog, logic, root)
    ]
    files += parts.library_data(PACKAGE)
    parts.prepare_encoders(languages, home)
    parts.ship_vectors(found, policy, home)
    files += [Wanted(str(file), f"{HOME}/{file.parent.relative_to(home).as_posix()}") for file in sorted(home.rglob("*")) if file.is_file()]
    return Plan(
        name=found.name,
        entry=str(PACKAGE / "cli" / "packing" / "start.py"),
        paths=(str(PACKAGE.parent), str(found.logic_path.parent.parent)),
        languages=tuple(sorted(languages)),
        files=tuple(files),
        data_of=("dateparser",),
        whole=("stdnum",),
        modules=(*parts.modules_by_name(languages), *modules),
        as_source=("stdnum",),
        left_out=parts.modules_left_out(languages, modules),
    )


def _put(out: Path, name: str, built: Built, text: str, client: Path | None) -> None:
    out.mkdir(parents=True, exist_ok=True)
    shutil.move(built.folder, out / SERVER)
    (out / "LICENSES.txt").write_text(text, encoding="utf-8")
    start = Path(SERVER) / _program(name)
    (out / "README.txt").write_text(README.format(name=name, start=start, platform=_platform()), encoding="utf-8")
    if client is not None:
        shutil.copytree(client, out / "client", ignore=shutil.ignore_patterns("node_modules", ".*", "__pycache__", "Tests~"))


def _program(name: str) -> str:
    return f"{name}.exe" if sys.platform == "win32" else name


def _platform() -> str:
    import platform

    libc = " ".join(platform.libc_ver()).strip()
    return f"{platform.system()} {platform.machine()}" + (f" with {libc}" if libc else "")


def _apache() -> str:
    """The library's own licence: parts of the same that carry no copy get it."""
    from constrained.cli.packing import licences

    return next(iter(licences.of_package("constrained").texts), "")
