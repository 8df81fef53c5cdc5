"""The code of docs/cascade.md and docs/tuning.md runs and gives what it says; every option that is told is one."""

from __future__ import annotations

import re
import textwrap

import pytest

from constrained.cli import tune
from constrained.quality.tuning import Episode, reinforce
from tests.strategies import ROOT


def blocks(page: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", (ROOT / "docs" / page).read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


def test_the_code_of_the_page_on_cascades_gives_what_it_says() -> None:
    told = 0
    for block in blocks("cascade.md"):
        namespace: dict[str, object] = {}
        exec(block, namespace)
        for expression, expected in re.findall(r"^(\S.*?)  # -> (.+)$", block, re.MULTILINE):
            assert repr(eval(expression, namespace)) == expected, expression
            told += 1
    assert told == 3


def test_the_code_of_the_page_on_tuning_runs() -> None:
    (block,) = blocks("tuning.md")
    namespace: dict[str, object] = {}
    exec(block, namespace)
    assert callable(namespace["reward"])
    assert Episode(("Twenty for the key?",)).state is None
    assert reinforce.__doc__


def test_every_option_of_the_command_is_told() -> None:
    page = (ROOT / "docs" / "tuning.md").read_text(encoding="utf-8")
    names = [name.replace("_", "-") for name in tune.tune.__annotations__ if name not in ("name", "return", "model")]
    missing = [name for name in names if f"--{name}" not in page]
    assert not missing, textwrap.shorten(str(missing), 80)


def test_the_package_is_looked_for_before_anything_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "peft", None)
    with pytest.raises(Exception, match="tuning needs peft"):
        tune.tune("tavern")
