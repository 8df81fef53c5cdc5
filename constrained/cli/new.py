"""``constrained new``: writes a small pack, a smith of a game or a desk, that passes its check and its test; to be changed then."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Annotated

import typer

from constrained.cli.screen import line
from constrained.errors import PackError
from constrained.pack_folders import check_name

FILES = {
    "catalogs/{name}.yaml": "catalog.yaml.txt",
    "logic/{name}.py": "logic.py.txt",
    "dialogues/{name}.yaml": "dialogues.yaml.txt",
}


DESK_FILES = {target: f"desk_{template}" for target, template in FILES.items()}


def new(
    name: Annotated[str, typer.Argument(help="Name of the pack: lower-case letters, digits, underscores.")],
    directory: Annotated[Path, typer.Option("--dir", help="The folder to write into.")] = Path(),
    desk: Annotated[
        bool, typer.Option("--desk/--game", help="A parcel desk that hears the protected triggers, or a smith who haggles.")
    ] = False,
) -> None:
    """Write a catalog, its logic and golden dialogues: a smith of a game, or a desk, to be changed."""
    check_name(name)
    targets = {directory / path.format(name=name): template for path, template in (DESK_FILES if desk else FILES).items()}
    refuse_to_overwrite(name, list(targets))
    for target, template in targets.items():
        write_new(name, target, _filled(template, name))
        line(str(target))
    _show_next_steps(name, directory, desk)


def _show_next_steps(name: str, directory: Path, is_desk: bool) -> None:
    steps = {
        f"constrained check {name}": "what is wrong with it: nothing, as it is",
        f"constrained test {name}": "do the dialogues go as written?",
        f"constrained play {name} --why": "talk with it, and see why it says what",
        f"python logic/{name}.py": f"talk with it as a {'host' if is_desk else 'game'} does",
    }
    line()
    line("next:")
    if directory != Path():
        line(f"  cd {directory}")
    width = max(map(len, steps))
    for command, what in steps.items():
        line(f"  {command.ljust(width)}  # {what}")
    line(f"Then write your words in catalogs/{name}.yaml and your rules in logic/{name}.py; run check and test after each change.")
    if is_desk:
        _show_approvals(name)


def _show_approvals(name: str) -> None:
    """The way of a desk to its first customer: nothing is said, and no logic runs, that nobody has signed."""
    line()
    line(f"before it speaks to customers: write its author and approvals: required into catalogs/{name}.yaml, and then")
    line("  constrained keys new PERSON  # for each who approves; write the lines that it prints into catalogs/people.toml")
    line(f"  constrained approve {name}  # what waits: the people, the responses, the logic; signs nothing")
    for what in ("--people ", "", "--logic "):
        line(f"  constrained approve {name} {what}--as PERSON")


def refuse_to_overwrite(name: str, targets: list[Path]) -> None:
    there = [str(target) for target in targets if target.exists()]
    if there:
        raise PackError(f"{', '.join(there)} would be overwritten; nothing was written", name=name, hint="choose another name or --dir")


def _filled(template: str, name: str) -> str:
    text = files("constrained.cli").joinpath("scaffold", template).read_text(encoding="utf-8")
    return Template(text).substitute(name=name)


def write_new(name: str, target: Path, text: str) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise PackError(f"{target} cannot be written: {error.strerror}", name=name, hint="choose another --dir") from error
