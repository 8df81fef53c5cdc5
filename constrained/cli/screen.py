"""What the commands share: two consoles, lines, tables, bars, errors, files, and the arguments that several of them take."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from rich.padding import Padding
from rich.progress import Progress, ProgressColumn, TaskID, TextColumn
from rich.table import Table
from rich.text import Text

from constrained.errors import AuditError, ConstrainedError, PackError
from constrained.pack_folders import catalog_path
from constrained.records.log import read_log
from constrained.records.record import Record

out = Console(markup=False, emoji=False, highlight=False)
err = Console(markup=False, emoji=False, highlight=False, stderr=True)

_EIGHTHS = " ▏▎▍▌▋▊▉"


def prepare_streams() -> None:
    """Text that a terminal's encoding lacks, or input that is not valid, is shown replaced and never raises."""
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="replace")


def run_app(app: Callable[[], object]) -> NoReturn:
    """Runs a program. Exit status: 0 done, 1 an error that was told, 2 wrong usage, 130 interrupted."""
    prepare_streams()
    try:
        app()
    except ConstrainedError as error:
        show_error(error)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # the reader of our output has enough; a second write at exit would complain again
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    sys.exit(0)


def line(text: str = "", style: str = "") -> None:
    """One line on standard output, never broken."""
    out.print(Text(text, style=style), soft_wrap=True)


def show(table: Table) -> None:
    """A table, without the blanks that fill its last column."""
    with out.capture() as captured:
        out.print(table)
    for row in captured.get().splitlines():
        out.file.write(row.rstrip() + "\n")


def new_table(*titles: str) -> Table:
    """An empty table with these columns; long cells are folded."""
    table = Table(box=None, padding=(0, 2, 0, 0))
    for title in titles:
        table.add_column(title, overflow="fold")
    return table


def say(speaker: str, text: str, style: str = "bold cyan") -> None:
    """What somebody says; on a terminal wrapped under the speaker's name, in a pipe as it is."""
    head = f"{speaker}: "
    if not out.is_terminal:
        return line(head + text)
    first, *rest = Text(text).wrap(out, max(20, out.width - len(head)))
    out.print(Text.assemble((head, style), first))
    for more in rest:
        out.print(Padding(more, (0, 0, 0, len(head))))
    return None


def note(text: str) -> None:
    """A remark on standard error, so that it is in no pipe."""
    err.print(Text(text, style="dim"), soft_wrap=True)


def show_error(error: ConstrainedError) -> None:
    """Message, hint, and every problem it lists, on standard error."""
    err.print(Text.assemble(("error: ", "bold red"), error.message), soft_wrap=True)
    if error.hint:
        err.print(Text.assemble(("  hint: ", "bold"), error.hint), soft_wrap=True)
    for problem in getattr(error, "problems", ()):
        err.print(Text(str(problem)), soft_wrap=True)


def write(file: Path, content: bytes | str, hint: str = "choose another file", *, done: str = "") -> None:
    """Writes a file, text as UTF-8, and notes ``done`` with its name. Raises PackError, with the hint, when it cannot be written."""
    try:
        file.write_bytes(content.encode() if isinstance(content, str) else content)
    except OSError as error:
        raise PackError(f"{file} cannot be written: {error.strerror}", name=str(file), hint=hint) from error
    if done:
        note(f"{done} {file}")


def new_progress(*columns: ProgressColumn) -> Progress:
    """Bars on standard error that go when they are done; nothing where there is no terminal."""
    return Progress(TextColumn("{task.description}"), *columns, console=err, transient=True, disable=not err.is_terminal)


class StageBars:
    """One bar for each stage of a long run, a line for each tenth of it where there is no terminal. ``titles``: names of the stages."""

    def __init__(self, progress: Progress, titles: Mapping[str, str]) -> None:
        self._progress, self._titles = progress, titles
        self._tasks: dict[str, TaskID] = {}
        self._tenths: dict[str, int] = {}

    def __call__(self, stage: str, done: int, total: int, loss: float = math.nan) -> None:
        shown = "" if math.isnan(loss) else f"loss {loss:.2f}"
        if stage not in self._tasks:
            self._tasks[stage] = self._progress.add_task(self._titles[stage], total=total, loss="")
        tenth = 10 * done // max(1, total)
        if not err.is_terminal and tenth != self._tenths.get(stage):
            self._tenths[stage] = tenth
            note(f"{self._titles[stage]}: {done} of {total}")
        self._progress.update(self._tasks[stage], completed=done, loss=shown)


def bar(share: float, width: int = 10) -> str:
    """A horizontal bar for a share of 1, to an eighth of a cell; ``#`` where the encoding has no blocks."""
    share = min(max(share, 0.0), 1.0)
    if not has_blocks():
        return ("#" * round(share * width)).ljust(width)
    whole, eighths = divmod(round(share * width * 8), 8)
    return ("█" * whole + (_EIGHTHS[eighths] if eighths else "")).ljust(width)


def has_blocks() -> bool:
    """Whether standard output can show block characters."""
    return out.encoding.lower().startswith("utf")


def percent(share: float) -> str:
    """A probability for people: ``0 %`` and ``100 %`` only when that is exact to a tenth."""
    if 0.0005 <= share < 0.0095:
        return f"{share:.1%}".replace("%", " %")
    if 0.9905 < share < 0.9995:
        return f"{share:.1%}".replace("%", " %")
    return f"{share:.0%}".replace("%", " %")


# -- arguments: a log, a pack or catalog, a day -----------------------------------------------------------------

LOG = Annotated[str, typer.Argument(help="A file of JSON lines, an SQLite file (.db), or postgresql://USER@HOST/NAME.")]
SUBJECT_KEYS = Annotated[Path | None, typer.Option("--keys", help="The folder of the keys that content is sealed under.")]
PACK = Annotated[str, typer.Option("--pack", help="The pack; the one that the log names when left out.")]
CATALOG = Annotated[str, typer.Argument(help="A pack or a catalog file (.yaml).")]


def find_catalog(target: str) -> Path:
    """The file of a catalog that is named by a pack or by itself. Raises PackError."""
    path = Path(target)
    if path.suffix in (".yaml", ".yml"):
        if not path.is_file():
            raise PackError(f"there is no catalog {target}", name=target, hint="give a pack's name or the path of its .yaml file")
        return path
    return catalog_path(target)


def catalog_of(record: Record) -> str:
    """The name of the catalog that a record was made with."""
    return record.versions.get("catalog", "").split(" ")[0]


def first_catalog(log: str) -> str:
    """The catalog that a log names first."""
    first = next(iter(read_log(log)), None)
    if first is None:
        raise AuditError(f"{log} holds no turn", file=log, hint="nothing was said yet")
    return catalog_of(first)


def today() -> date:
    """The day in UTC: approvals are dated in it."""
    return datetime.now(UTC).date()


def parse_day(text: str | None, option: str) -> date | None:
    """A day given on the command line."""
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a day; write it as 2026-12-31", param_hint=option) from None
