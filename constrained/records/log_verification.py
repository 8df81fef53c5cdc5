"""Verifies a whole log: its chain, its rows, its checkpoints, and what lies outside it; and says what could not be established.

A large log is read by several processes.
"""

from __future__ import annotations

import itertools
import json
import multiprocessing
import os
import threading
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from constrained.errors import AuditError
from constrained.records import verifier
from constrained.records.chain import LogPosition
from constrained.records.log import Readable, Tabular

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

BLOCK = 1_000  # lines that are handed to a process at once
WORTH = 20 * BLOCK  # a shorter log is read before other processes have started
_HINT = "keep the log as it is, and compare it with a copy and with the sink"
_UNSIGNED = f"if it is new: a server signs within --sign-seconds, constrained audit checkpoint at once; if it was signed before: {_HINT}"


@dataclass(frozen=True, slots=True)
class LogVerification:
    """What was found of a log that is whole.

    Attributes:
        summary: how many records there are, and how far they are signed.
        not_established: what nothing here can show, each with what would; empty when all is established.
    """

    summary: str
    not_established: tuple[str, ...]


def verify_log(
    store: Readable, public: Ed25519PublicKey | None = None, outside: Sequence[bytes] | None = None, *, processes: int | None = None
) -> LogVerification:
    """Checks every column of every row, the chain, and with a key the checkpoints of the log and those kept outside it.

    Args:
        public: a key that has signed the log. outside: checkpoints from a sink, oldest first; None where there is no sink.
        processes: how many read a large log; when None, one for each processor, where a process can be forked safely.

    Raises AuditError that names the first bad record; with a key also when nothing was signed with it.
    """
    own = store.checkpoints()
    signed = own
    try:
        if public is not None and outside is not None:
            signed = _agreed(own, outside)
        checkpoints = verifier.read_checkpoints(signed, public) if public is not None else []
        count = _Count()
        with closing(_facts(store, processes)) as facts:
            summary = verifier.check_log(count.of(facts), checkpoints)
        if len(own) < len(signed):
            missing = checkpoints[len(own)][0]
            raise verifier.Bad(f"checkpoint {missing['number']} is missing from the log, and the sink holds it", missing["first"])
    except verifier.Bad as error:
        hint = _UNSIGNED if outside is not None and not signed else _HINT
        raise AuditError(f"{store.name}: {error}", file=store.name, line=error.record, hint=hint) from error
    n_signed = checkpoints[-1][0]["last"] if checkpoints else 0
    return LogVerification(summary, tuple(_open_points(count.n, n_signed, public is not None, outside, len(signed))))


def _open_points(n_records: int, n_signed: int, has_key: bool, outside: Sequence[bytes] | None, n_checkpoints: int) -> Iterator[str]:
    if not has_key:
        yield "who wrote it and whether it was written anew or cut (give --key)"
        return
    if outside is None:
        yield "whether the log and its checkpoints were both put back to an older copy (give --sink)"
    elif len(outside) < n_checkpoints:
        yield f"whether checkpoints {len(outside) + 1} to {n_checkpoints} are the only ones: the sink lacks them"
    if n_signed < n_records:
        yield f"whether records {n_signed + 1} to {n_records}, which no checkpoint covers yet, are as they were written"


def _agreed(own: Sequence[bytes], outside: Sequence[bytes]) -> list[bytes]:
    """The longer one of two rows of checkpoints that begin alike. Raises Bad where they do not."""
    if not outside:
        raise verifier.Bad("the sink holds no checkpoint: there is nothing to hold the log against")
    for number, (mine, other) in enumerate(zip(own, outside, strict=False), 1):
        if mine != other:
            raise verifier.Bad(f"checkpoint {number} of the log is not the one that the sink holds", _first_record(other))
    return list(own if len(own) >= len(outside) else outside)


def _first_record(checkpoint: bytes) -> int:
    """The first record that a checkpoint covers; 1 where it does not say."""
    try:
        return max(1, int(json.loads(checkpoint)["body"]["first"]))
    except (ValueError, KeyError, TypeError, RecursionError):
        return 1


class _Count:
    """Counts facts on their way."""

    def __init__(self) -> None:
        self.n = 0

    def of(self, facts: Iterable[Any]) -> Iterator[Any]:
        for fact in facts:
            self.n += 1
            yield fact


def _facts(store: Readable, processes: int | None) -> Generator[Any, None, None]:
    """``verifier.fact`` of each line; where a log has columns, held against them."""
    facts = parallel_verify(store.lines(), processes)
    if not isinstance(store, Tabular):
        yield from facts
        return
    with closing(store.places()) as places:
        yield from _in_their_rows(facts, places)


def _in_their_rows(facts: Iterator[Any], places: Iterator[LogPosition]) -> Iterator[Any]:
    """The facts of the lines, each held against the columns of its row. Rows that were added meanwhile have no place yet.

    Raises Bad where a column is not what the line says, or a row holds no line of the chain.
    """
    first = next(places, None)  # asked before the first line is read: every one of these rows is among the lines
    rows = itertools.chain([] if first is None else [first], places)
    number = 0
    for number, fact in enumerate(facts, 1):
        place = next(rows, None)
        if place is not None and (place.sequence, place.hash) != (fact[0], fact[2]):
            raise verifier.Bad("the columns of a row are not those of its record: the row was changed, or put in", number)
        yield fact
    if next(rows, None) is not None:
        raise verifier.Bad("a row stands here that no record of the chain belongs to", number + 1)


# -- large logs ---------------------------------------------------------------------------------------------


def parallel_verify(lines: Iterable[bytes], processes: int | None = None) -> Iterator[Any]:
    """``verifier.fact`` of each line, in order. Raises ``verifier.Bad`` at the first line that is not sound in itself."""
    rest, processes = iter(lines), processes or _n_processes()
    first = list(itertools.islice(rest, WORTH)) if processes > 1 else []
    if len(first) < WORTH:
        yield from map(verifier.fact, itertools.chain(first, rest))
    else:
        yield from _by_many(itertools.chain(first, rest), processes)


def _n_processes() -> int:
    """One for each processor; one alone where a fork could copy a lock that another thread holds, or the main module would run anew."""
    is_safe = multiprocessing.get_all_start_methods()[0] == "fork" and threading.active_count() == 1
    return (os.cpu_count() or 1) if is_safe else 1


def _by_many(lines: Iterator[bytes], processes: int) -> Iterator[Any]:
    """Few blocks are on their way at a time, so that memory does not grow with the log."""
    waiting: deque[Future[list[Any]]] = deque()
    with ProcessPoolExecutor(processes) as pool:
        while block := list(itertools.islice(lines, BLOCK)):
            waiting.append(pool.submit(_block, block))
            if len(waiting) > 3 * processes:
                yield from _sound(waiting.popleft().result())
        for future in waiting:
            yield from _sound(future.result())


def _block(lines: list[bytes]) -> list[Any]:
    """The facts of some lines; the last is the Bad where one is not sound."""
    found: list[Any] = []
    try:
        found.extend(map(verifier.fact, lines))
    except verifier.Bad as bad:
        found.append(bad)
    return found


def _sound(found: list[Any]) -> Iterator[Any]:
    for one in found:
        if isinstance(one, verifier.Bad):
            raise one
        yield one
