"""What State, Understanding and the policy share: reading Python text while other threads do."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from constrained import _values
from constrained._values import parse_source


class GivesWay:
    """In a circle with itself, so that the collector ends it; then another thread gets its turn, wherever it is."""

    def __init__(self) -> None:
        self.itself = self

    def __del__(self) -> None:
        time.sleep(0)


@pytest.fixture
def frequent_collection() -> Iterator[None]:
    before = gc.get_threshold()
    gc.set_threshold(50)
    yield
    gc.set_threshold(*before)


def test_threads_read_source_at_once(frequent_collection: None) -> None:
    text = Path(_values.__file__).read_text(encoding="utf-8")

    def read(_: int) -> int:
        GivesWay(), GivesWay(), GivesWay()
        return len(parse_source(text).body)

    with ThreadPoolExecutor(8) as threads:
        assert len(set(threads.map(read, range(60)))) == 1  # CPython 3.11 raises SystemError without the lock
