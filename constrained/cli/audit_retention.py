"""``constrained audit retain``: what has reached its age is erased, by rules in a file, and the log tells it."""

from __future__ import annotations

import getpass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from constrained.cli.screen import LOG, line, note
from constrained.errors import AuditError
from constrained.records.log import existing, open_log
from constrained.records.retention import retain as run_rules
from constrained.records.retention_rules import CONVERSATIONS, load_rules
from constrained.records.sealing import SubjectKeys

RULES = Annotated[Path, typer.Option("--rules", help="A TOML file of rules: what is kept for how many days. See docs/privacy.md.")]
KEYS = Annotated[Path, typer.Option("--keys", help="The folder of the keys that content is sealed under.")]
DATABASE = Annotated[str, typer.Option(help="SQLAlchemy URL of a server's conversations, for the rule of that name.")]


def retain(
    log: LOG,
    rules: RULES,
    keys: KEYS,
    database: DATABASE = "",
    by: Annotated[str, typer.Option(help="Who orders it.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be erased, and change nothing.")] = False,
) -> None:
    """Erase what has reached its age, by the rules in a file.

    Keys are destroyed; chain and checkpoints stay as they are, and the log tells what was erased.
    """
    found, now = load_rules(rules), datetime.now(UTC)
    if not keys.is_dir():
        raise AuditError(f"there are no keys in {keys}", file=str(keys), hint="the folder of --seal, where the log is sealed")
    run = run_rules(open_log(log), existing(log), SubjectKeys(keys), found, now=now, by=by or getpass.getuser(), is_dry=dry_run)
    told = list(run.lines("would be erased" if dry_run else "erased"))
    if database and CONVERSATIONS in found.days:
        told.append(_forget(database, found.days[CONVERSATIONS], found.held, now, is_dry=dry_run))
    elif CONVERSATIONS in found.days:
        note("the rule of conversations needs --database; a server with --retain follows it by itself")
    for one in told or ["nothing has reached its age"]:
        line(one)
    if run.sequence:
        line(f"told in record {run.sequence}")


def _forget(database: str, days: int, held: frozenset[str], now: datetime, *, is_dry: bool) -> str:
    from constrained.serve.retention import forget_old
    from constrained.serve.storage.sessions import Sessions

    sessions = Sessions(database)
    try:
        number = forget_old(sessions, days, held, now=now, is_dry=is_dry)
    finally:
        sessions.close()
    return f"{'would be erased' if is_dry else 'erased'}: {number} conversations of the server, after {days} days"
