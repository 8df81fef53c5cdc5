"""The code of docs/evaluating.md runs and gives what it says; the smallest samples in its table are those of the code."""

from __future__ import annotations

import re

from constrained.cli import evaluate
from constrained.quality import calibration, risk_control
from constrained.quality.labelled_data import NEEDED, OPTIONAL
from constrained.quality.risk_control import n_needed_for_sets
from tests.strategies import ROOT

PAGE = (ROOT / "docs" / "evaluating.md").read_text(encoding="utf-8")


def test_the_code_of_the_page_gives_what_it_says() -> None:
    (block,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    told, namespace, done = 0, {}, ""
    for line in block.splitlines(keepends=True):
        found = re.match(r"(\S.*?)\s+# -> (.+)$", line)
        if found is None:
            done += line
            continue
        exec(done, namespace)
        told, done = told + 1, ""
        assert repr(eval(found[1], namespace)) == found[2], found[1]
    assert told == 4


def test_the_smallest_samples_are_those_of_the_code() -> None:
    assert f"{n_needed_for_sets(0.05)} for alpha 0.05, {n_needed_for_sets(0.1)} for 0.1" in PAGE
    assert f"{risk_control.n_needed_for_threshold(0.05, 0.1)} for alpha 0.05, delta 0.1" in PAGE
    assert f"{calibration.fewest(0.05, 0.05)} messages that mean it" in PAGE


def test_columns_and_options_are_explained() -> None:
    assert all(f"`{name}`" in PAGE for name in (*NEEDED, *OPTIONAL))
    assert all(f"--{name}" in PAGE for name in ("data", "html", "json", "threshold", "against", "rules", "heard-given", "limit", "batch"))
    assert evaluate.evaluate.__doc__
