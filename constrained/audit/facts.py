"""The lines of a large log read by several processes: what each line's place is judged by. Knows no store and no key."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
import itertools
from typing import Any

from constrained.audit import verifier

BLOCK = 1_000  # lines that are handed to a process at once
WORTH = 20 * BLOCK  # a shorter log is read before other processes have started


def facts(lines: Iterable[bytes], processes: int | None = None) -> Iterator[Any]:
    """``verifier.fact`` of each line, in order. Raises ``verifier.Bad`` at the first line that is not sound in itself."""
    rest, processes = iter(lines), processes or _processes()
    first = list(itertools.islice(rest, WORTH)) if processes > 1 else []
    if len(first) < WORTH:
        yield from map(verifier.fact, itertools.chain(first, rest))
    else:
        yield from _by_many(itertools.chain(first, rest), processes)


def _processes() -> int:
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
