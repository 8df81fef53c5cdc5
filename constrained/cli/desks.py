"""A catalog by pack name or file, with its ledger, its people, and a person's key, for the commands that sign."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from constrained.approval.keys import load_private
from constrained.approval.ledger import Ledger, ledger_path, read_ledger
from constrained.approval.people import People, load_people, people_path
from constrained.catalog.load import load_catalog
from constrained.catalog.response import Catalog, FrozenDict
from constrained.cli.screen import line, note
from constrained.errors import CatalogError, KeyFileError, PackError
from constrained.pack_folders import catalog_path
from constrained.records.record import Record

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


@dataclass(frozen=True, slots=True)
class Desk:
    """A catalog with all that approvals of it need."""

    catalog: Catalog
    path: Path
    people: People
    ledger: Ledger


def named_catalog(target: str) -> Path:
    """The file of a catalog that is named by a pack or by itself. Raises PackError."""
    path = Path(target)
    if path.suffix in (".yaml", ".yml"):
        if not path.is_file():
            raise PackError(f"there is no catalog {target}", name=target, hint="give a pack's name or the path of its .yaml file")
        return path
    return catalog_path(target)


def open_desk(target: str, *, is_to_stop: bool = False) -> Desk:
    """A catalog with its people and its ledger.

    Args:
        is_to_stop: a file that is no catalog at the moment gives one without responses: a process that runs has the sound one
            still, and what the ledger holds of it can be recalled.

    Raises CatalogError, PackError or ApprovalError.
    """
    path = named_catalog(target)
    try:
        catalog = load_catalog(path)
    except CatalogError as error:
        if not is_to_stop:
            raise
        note(f"{error.message}; what its ledger holds can be recalled")
        catalog = Catalog(path.stem, 0, "", "", "", "", FrozenDict(), "", str(path))
    people = load_people(people_path(path), catalog.name)
    return Desk(catalog, ledger_path(path), people, read_ledger(ledger_path(path), people, catalog.name))


def key_folder() -> Path:
    """Where private keys lie unless a file is named: the folder in CONSTRAINED_KEYS, else one in the user's configuration."""
    return Path(os.environ.get("CONSTRAINED_KEYS") or Path.home() / ".config" / "constrained" / "keys")


def key_path(person: str) -> Path:
    """The file of a person's private key: a name in plain letters."""
    plain = unicodedata.normalize("NFKD", person).encode("ascii", "ignore").decode().lower()
    return key_folder() / (re.sub(r"[^a-z0-9]+", "_", plain).strip("_") + ".pem")


def private_key(person: str, file: Path | None) -> Ed25519PrivateKey:
    """A person's private key: of ``file``, else of the key folder. Raises KeyFileError."""
    path = file or key_path(person)
    if not path.is_file():
        hint = f"name it with --key, or make one: constrained keys new {person!r}"
        raise KeyFileError(f"there is no private key of {person} at {path}", file=str(path), hint=hint)
    return load_private(path, password=password())


def password() -> bytes | None:
    """The password of private keys, from the environment: never an argument, which other users of the machine could read."""
    given = os.environ.get("CONSTRAINED_KEY_PASSWORD")
    return given.encode() if given else None


def today() -> date:
    """The day in UTC: approvals are dated in it."""
    return datetime.now(UTC).date()


def day(text: str | None, option: str) -> date | None:
    """A day given on the command line."""
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a day; write it as 2026-12-31", param_hint=option) from None


# -- The conversations of a log that received a response. --


def show_received(log: str, catalog: str, response: str) -> None:
    """Lists who received a response: conversation, turn, day, and whether it was said as an obligation."""
    from constrained.records.log import read_log

    found = list(received(read_log(log), catalog, response))
    for record in found:
        line(f"  {record.conversation}  turn {record.number}  {record.at[:19]}")
    n_conversations = len({record.conversation for record in found})
    line(f"{response} was said {_counted(len(found), 'time')} in {_counted(n_conversations, 'conversation')} of {log}")


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")


def received(records: Iterable[Record], catalog: str, response: str) -> Iterator[Record]:
    """The records of turns that said a response of a catalog, chosen or obliged."""
    for record in records:
        is_ours = record.versions.get("catalog", "").split(" ")[0] == catalog
        if is_ours and response in (record.decision.chosen, *(one.id for one in record.obligations)):
            yield record
