"""Files of the sets, read in place. Knows where they lie, not what they mean."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.measure import BenchmarkError
from benchmarks.sets.lines import DATA_VARIABLE, data_folder


def located(relative: str, folder: Path | None) -> Path:
    """The file in ``folder``, else where the environment says. Raises BenchmarkError when it is not there."""
    path = (folder or data_folder()) / relative
    if not path.exists():
        raise BenchmarkError(f"{path} is not there: set {DATA_VARIABLE}, or give --data, the folder that holds {relative}")
    return path


def read_csv(relative: str, folder: Path | None) -> list[dict[str, str]]:
    with located(relative, folder).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def read_json(relative: str, folder: Path | None) -> Any:
    return json.loads(located(relative, folder).read_text(encoding="utf-8"))


def read_lines(relative: str, folder: Path | None) -> Iterator[Any]:
    """The values of a gzipped file of JSON lines."""
    with gzip.open(located(relative, folder), "rt", encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)
