"""The conversations of a log that received a response. Knows no ledger."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from constrained.audit.record import Record
from constrained.cli.screen import line


def show_received(log: str, catalog: str, response: str) -> None:
    """Lists who received a response: conversation, turn, day, and whether it was said as an obligation."""
    from constrained.audit.log import read_log

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
