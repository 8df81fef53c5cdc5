"""``constrained list``: the packs that can be played from here."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from constrained.catalog.load import load_catalog
from constrained.cli.screen import note, show
from constrained.errors import ConstrainedError
from constrained.pack_folders import find_pack, list_packs, shipped_folder


def list_all() -> None:
    """List the packs that can be played from here."""
    names = list_packs()
    if not names:
        return note("no pack here; make one with: constrained new NAME")
    table = Table(box=None, padding=(0, 2, 0, 0))
    for title in ("pack", "speaker", "responses", "from"):
        table.add_column(title, overflow="fold")
    for name in names:
        table.add_row(*(Text(cell) for cell in _row(name)))
    show(table)
    return None


def _row(name: str) -> tuple[str, str, str, str]:
    try:
        path = find_pack(name).catalog_path
        catalog = load_catalog(path)
    except ConstrainedError:  # a list goes on; the check tells what is wrong
        return name, f"broken; see: constrained check {name}", "", ""
    return name, catalog.speaker, str(len(catalog.responses)), "shipped" if path.parents[1] == shipped_folder() else "here"
