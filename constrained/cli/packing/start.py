"""The program of a build: ``constrained serve`` of the one pack inside, with the arguments that it is given."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from constrained.errors import ConstrainedError
from constrained.pack_folders import list_packs, shipped_folder

REFUSED = ("--drafts", "--watch")  # what is for writing a pack, which a build is not
ONE_THREAD = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS")  # a message gains nothing by more, and each has a buffer of its own


def main(given: Sequence[str] | None = None) -> NoReturn:
    """Serves until a signal. Exit status as of ``constrained``."""
    arguments = list(sys.argv[1:] if given is None else given)
    home = shipped_folder().with_name("_home")
    os.environ["CONSTRAINED_HOME"] = str(home)
    for name in ONE_THREAD:
        os.environ.setdefault(name, "1")
    from constrained.cli.screen import run_app

    run_app(lambda: _serve(arguments))


def _serve(arguments: list[str]) -> None:
    import typer

    from constrained.cli.serve import serve

    refused = [one for one in arguments if one in REFUSED]
    if refused:
        raise ConstrainedError(f"{refused[0]} is for writing a pack, and this is a build", hint="use: constrained serve")
    sys.path.insert(0, str(shipped_folder()))  # modules that the logic imports
    name = list_packs()[0]
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
    app.command()(serve)
    app([name, "--data", str(data_folder(name)), *arguments, "--no-watch"], prog_name=Path(sys.executable).stem)


def data_folder(name: str) -> Path:
    """Where a player's system keeps what programs write: the build's own folder may not be written to."""
    if sys.platform == "win32":
        place = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        place = Path.home() / "Library" / "Application Support"
    else:
        place = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    return place / "constrained" / name


if __name__ == "__main__":
    main()
