"""python -m benchmarks.sets NAME --out DIR: writes a public set as a pack, with messages to fit on and to measure on."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.measure import BenchmarkError
from benchmarks.sets import NAMES, load
from benchmarks.sets.pack import write


def main(arguments: Sequence[str] | None = None) -> int:
    """Writes the pack; exit status 1 when the data is not there."""
    asked = _parser().parse_args(arguments)
    shots = None if asked.shots == "all" else int(asked.shots)
    wanted = [name for name in NAMES if name == asked.name or (asked.name == "star" and name.startswith("star_"))]
    try:
        for name in wanted:
            found = load(name, shots, asked.seed, asked.data)
            for path in write(found, asked.out, shots, asked.seed, asked.data):
                print(path)
    except BenchmarkError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sets", description=__doc__)
    parser.add_argument("name", choices=("star", *NAMES), metavar="NAME", help=f"star (all of its tasks), {', '.join(NAMES)}")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where catalogs, logic and data are written")
    parser.add_argument("--shots", default="10", type=_shots, metavar="N", help="examples a response, or all (default %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the draw of examples (default 0)")
    parser.add_argument("--data", type=Path, metavar="FOLDER", help="where the sets lie, in place of CONSTRAINED_DATA")
    return parser


def _shots(text: str) -> str:
    if text != "all" and not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is neither a number nor all")
    return text


if __name__ == "__main__":
    sys.exit(main())
