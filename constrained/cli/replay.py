"""``constrained replay``: takes every turn of a log again, without a model, and tells the first that differs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from constrained.audit.log import read_log
from constrained.audit.record import Record
from constrained.audit.replay import replay
from constrained.cli.screen import line
from constrained.logic.policy import Policy
from constrained.packs import load_policy, load_policy_file


def replay_log(
    file: Annotated[Path, typer.Argument(help="A log: one record a line, as --log of: constrained play")],
    logic: Annotated[Path | None, typer.Option(help="The logic file, when it is not the one of the pack that the log names.")] = None,
) -> None:
    """Reproduce every reply of a log, without a model.

    The first one that differs is named, and the exit status is then 1.
    """
    policies: dict[str, Policy] = {}
    n_same = 0
    for record in read_log(file):
        policy = _policy(record, logic, policies)
        for replayed in replay(policy, [record]):
            if replayed.error is not None:
                raise replayed.error
            n_same += 1
    line(f"{n_same} {'reply' if n_same == 1 else 'replies'} reproduced, byte for byte, and the chain of records is whole")


def _policy(record: Record, logic: Path | None, policies: dict[str, Policy]) -> Policy:
    """The policy of a record: of the pack with the name of its catalog, unless ``logic`` is given."""
    pack = record.versions.get("catalog", "").split(" ")[0]
    if pack not in policies:
        policies[pack] = load_policy_file(logic) if logic else load_policy(pack)
    return policies[pack]
