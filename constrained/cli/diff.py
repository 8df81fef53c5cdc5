"""``constrained diff OLD NEW``: what changed in what can be said and when, as Markdown for a pull request."""

from __future__ import annotations

import io
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from constrained.analysis.diff import Change, PackVersion, differences, markdown
from constrained.catalog.load import load_catalog
from constrained.cli.screen import out
from constrained.errors import PackError
from constrained.packs import load_policy_file


@dataclass(frozen=True, slots=True)
class _Files:
    """The files of one version of a pack."""

    catalog: Path
    logic: Path | None


def diff(
    old: Annotated[str, typer.Argument(help="A folder with catalogs/ and logic/, a catalog file, or a git revision of this folder.")],
    new: Annotated[str, typer.Argument(help="The same, after the change.")] = ".",
    pack: Annotated[list[str] | None, typer.Option("--pack", help="Only this pack; may be repeated.")] = None,
    fail: Annotated[bool, typer.Option("--exit-code", help="Exit status 1 when something differs.")] = False,
) -> None:
    """Compare catalogs and logic by meaning: texts, conditions, reachable responses, obligations, approvals to renew."""
    with ExitStack() as stack:
        before, after = (_packs(_place(one, stack)) for one in (old, new))
        names = [name for name in sorted(before.keys() | after.keys()) if not pack or name in pack]
        if not names:
            raise PackError(f"there is no catalog to compare in {old} and {new}", name=old, hint="give folders that hold catalogs/")
        n_changes = 0
        for name, changes in _compared(names, before, after):
            n_changes += len(changes)
            out.file.write(markdown(name, changes) + "\n")
    if fail and n_changes:
        raise typer.Exit(1)


def _compared(names: list[str], before: dict[str, _Files], after: dict[str, _Files]) -> Iterator[tuple[str, list[Change]]]:
    if len(names) == 2 and len(before) == len(after) == 1:  # two catalog files of different names
        yield f"{names[0]}, {names[1]}", differences(_side(*before.values()), _side(*after.values()))
        return
    for name in names:
        if name not in before or name not in after:
            yield name, [Change("Catalog", name, "new pack" if name in after else "taken out")]
        else:
            yield name, differences(_side(before[name]), _side(after[name]))


def _side(files: _Files) -> PackVersion:
    if files.logic is None:
        return PackVersion(load_catalog(files.catalog))
    policy = load_policy_file(files.logic)
    return PackVersion(policy.catalog, policy)


def _packs(path: Path) -> dict[str, _Files]:
    if path.is_file():
        return {path.stem: _Files(path, None)}
    found = {}
    for catalog in sorted((path / "catalogs").glob("*.yaml")):
        logic = path / "logic" / f"{catalog.stem}.py"
        found[catalog.stem] = _Files(catalog, logic if logic.is_file() else None)
    return found


def _place(given: str, stack: ExitStack) -> Path:
    """A path as it is; else the catalogs and logic of a git revision, in a folder that lasts as long as ``stack``."""
    path = Path(given)
    if path.exists():
        return path
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="constrained-")))
    content = _archive(given)
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        archive.extractall(folder, filter="data")
    return folder


def _archive(revision: str) -> bytes:
    """The folders catalogs and logic of the working directory, as they were in a revision."""
    hint = "give a folder, a catalog file, or a git revision such as main or HEAD~1"
    if revision.startswith("-"):
        raise PackError(f"{revision} is neither a path nor a revision", name=revision, hint=hint)
    try:
        done = _git_archive(revision, "catalogs", "logic")
        if done.returncode != 0:  # there may be no logic yet
            done = _git_archive(revision, "catalogs")
    except OSError as error:
        raise PackError(f"{revision} is no path, and git cannot be run: {error.strerror}", name=revision, hint=hint) from error
    if done.returncode != 0:
        reason = done.stderr.decode(errors="replace").strip().splitlines()
        raise PackError(f"{revision} is neither a path nor a revision here: {reason[-1] if reason else ''}", name=revision, hint=hint)
    return done.stdout


def _git_archive(revision: str, *folders: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["git", "archive", "--format=tar", revision, *folders], capture_output=True, check=False)
