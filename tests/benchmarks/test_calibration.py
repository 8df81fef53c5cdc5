"""The suite ``calibration`` reads a file of scores, and finds what is wrong with dishonest ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.__main__ import run_suite
from benchmarks.measure import BenchmarkError
from benchmarks.options import Options
from benchmarks.suites.calibration import read_scores
from tests.quality.calibration.synthetic import desk


def measured(path: Path) -> dict[str, float]:
    bench = run_suite("calibration", is_smoke=False, seed=0, is_quiet=True, options=Options(scores=str(path)))
    return {row.metric: row.value for row in bench.rows}


def test_scores_of_a_file_are_measured(tmp_path: Path) -> None:
    scores, labels = desk(1_500, 0)
    np.savez(tmp_path / "honest.npz", logits=scores * 5, labels=labels)
    found = measured(tmp_path / "honest.npz")
    assert found["messages"] == 1_500
    assert found["ECE after temperature, bins of equal mass"] < 0.05
    assert 0.92 < found["conformal sets (lac) at alpha 0.05, covered on average"] < 0.97
    twisted = np.where(scores > 1, scores * 9, scores)  # no single temperature mends that
    np.savez(tmp_path / "twisted.npz", logits=twisted, labels=labels)
    worse = measured(tmp_path / "twisted.npz")
    name = "ECE after temperature, bins of equal mass"
    assert worse[name] > found[name] + 0.01
    assert 0.92 < worse["conformal sets (lac) at alpha 0.05, covered on average"] < 0.97, "coverage needs no honesty"


def test_a_file_without_scores_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match="holds no scores"):
        read_scores(tmp_path / "none.npz")
    np.savez(tmp_path / "bad.npz", logits=np.zeros((3, 2)), labels=np.asarray([0, 1, 2]))
    with pytest.raises(BenchmarkError, match="do not fit"):
        read_scores(tmp_path / "bad.npz")
    np.savez(tmp_path / "other.npz", scores=np.zeros((3, 2)))
    with pytest.raises(BenchmarkError, match="holds no scores"):
        read_scores(tmp_path / "other.npz")
