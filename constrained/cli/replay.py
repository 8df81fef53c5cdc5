"""``constrained replay``: takes every turn of a log again, without a model, and tells the first that differs."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from constrained.cli.arguments import catalog_of
from constrained.cli.screen import line
from constrained.logic.policy import Policy
from constrained.packs import load_policy, load_policy_file
from constrained.records.log import read_log
from constrained.records.record import Record
from constrained.records.replay import replay
from constrained.records.sealing import SubjectKeys, unsealed


def replay_log(
    log: Annotated[str, typer.Argument(help="A log: a file of JSON lines, an SQLite file (.db), or postgresql://USER@HOST/NAME")],
    logic: Annotated[Path | None, typer.Option(help="The logic file, when it is not the one of the pack that the log names.")] = None,
) -> None:
    """Reproduce every reply of a log, without a model.

    The first one that differs is named, and the exit status is then 1.
    """
    replay_records(read_log(log), logic, None)


def replay_records(records: Iterable[Record], logic: Path | None, keys: SubjectKeys | None) -> None:
    """Takes records again; what is sealed is read with ``keys``, and counted where it cannot be."""
    policies: dict[str, Policy] = {}
    n_same = n_unreadable = 0
    for record in records:
        readable = unsealed(record, keys) if keys else None if record.sealed else record
        if readable is None:
            n_unreadable += 1
            continue
        for replayed in replay(_policy(record, logic, policies), [readable]):
            if replayed.error is not None:
                raise replayed.error
            n_same += 1
    sealed = f"; {n_unreadable} cannot be read: their content is sealed, or was erased" if n_unreadable else ""
    line(f"{n_same} {'reply' if n_same == 1 else 'replies'} reproduced, byte for byte, and the chain of records is whole{sealed}")


def _policy(record: Record, logic: Path | None, policies: dict[str, Policy]) -> Policy:
    """The policy of a record: of the pack with the name of its catalog, unless ``logic`` is given."""
    pack = catalog_of(record)
    if pack not in policies:
        policies[pack] = load_policy_file(logic) if logic else load_policy(pack)
    return policies[pack]
