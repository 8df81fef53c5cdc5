"""python -m benchmarks SUITE: runs a suite of measurements, and keeps its rows as JSON and as a Markdown table."""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks import measure, report
from benchmarks.harness import Bench, Row
from benchmarks.measure import BenchmarkError, NoDeviceError
from benchmarks.options import Options, add_options, options_of

SUITES = (
    *(
        "core",
        "decoding",
        "agreement",
        "choice",
        "desks",
        "ablation",
        "calibration",
        "rules",
        "fit",
        "tune",
        "procedures",
        "prove",
        "protected",
        "masking",
    ),
    *("audit", "serve", "decisions", "games", "soak", "gpu"),
)
BUSY = 0.5  # load average, as a share of the cores, above which absolute times are not to be trusted
ENVIRONMENT = {
    "OMP_WAIT_POLICY": "passive",  # idle threads sleep: on a shared machine a spinning one costs the others' time
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_VERBOSITY": "error",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs what is asked for; exit status 1 when a suite could not measure, or was ended: it then keeps what it has."""
    asked = _parser().parse_args(arguments)
    os.environ.update({name: os.environ.get(name, value) for name, value in ENVIRONMENT.items()})
    rows: list[Row] = []
    is_whole = True
    for suite in present() if asked.suite == "all" else (asked.suite,):
        try:
            bench = run_suite(suite, is_smoke=asked.smoke, seed=asked.seed, is_quiet=asked.quiet, options=options_of(asked))
        except BenchmarkError as error:
            print(error, file=sys.stderr)
            if asked.suite == "all" and isinstance(error, NoDeviceError):
                continue
            return 1
        rows += bench.rows
        is_whole = bench.is_whole
        if asked.smoke:
            print(report.markdown(bench, f"{suite}: a smoke run, its figures mean nothing"))
        else:
            table = report.write_results(bench)
            print(table.read_text(encoding="utf-8"))
        if not is_whole:
            break
    if asked.json:
        report.write_json(rows, asked.json)
    return 0 if is_whole else 1


def run_suite(name: str, *, is_smoke: bool, seed: int, is_quiet: bool = False, options: Options | None = None) -> Bench:
    """The suite's rows, with the machine's load before and after among them. Raises BenchmarkError."""
    if name not in present():
        raise BenchmarkError(f"there is no suite {name!r} here; there are {', '.join(present())}")
    bench = Bench(name, is_smoke=is_smoke, seed=seed, is_quiet=is_quiet, options=options or Options())
    before = measure.load_average()
    try:
        importlib.import_module(f"benchmarks.suites.{name}").run(bench)
    except KeyboardInterrupt:
        bench.is_whole = False
        bench.add("machine", "ended early", 1, "0 or 1")
    bench.add("machine", "load average before", before, "processes")
    bench.add("machine", "load average after", measure.load_average(), "processes")
    if before > BUSY * (os.cpu_count() or 1):
        bench.tell(f"the machine was busy (load average {before:.1f}): ratios hold, absolute times may not")
    return bench


def present() -> tuple[str, ...]:
    """The suites that are there, in order."""
    return tuple(name for name in SUITES if importlib.util.find_spec(f"benchmarks.suites.{name}"))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("suite", choices=(*present(), "all"), metavar="SUITE", help=f"{', '.join(present())}, or all of them")
    parser.add_argument("--smoke", action="store_true", help="seconds, without a model; only to see that it runs")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all rows there too")
    parser.add_argument("--seed", type=int, default=0, help="of everything that is generated (default 0)")
    parser.add_argument("--quiet", action="store_true", help="no progress on standard error")
    add_options(parser)
    return parser


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: what was measured is written
    sys.exit(main())
