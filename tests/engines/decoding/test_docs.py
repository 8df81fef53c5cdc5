"""The code of docs/decoding.md runs and gives what it says."""

from __future__ import annotations

import re

import pytest

from tests.strategies import ROOT

PAGE = ROOT / "docs" / "decoding.md"


@pytest.mark.model
@pytest.mark.usefixtures("real_engine")  # which fetches the model when it is missing
def test_the_code_of_the_page_gives_what_it_says():
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    assert blocks
    for block in blocks:
        namespace: dict[str, object] = {}
        exec(block, namespace)
        told = re.findall(r"^(\S.*?)\s+# -> (.+)$", block, re.MULTILINE)
        assert told
        for expression, expected in told:
            assert repr(eval(expression, namespace)) == expected, expression


def test_the_page_names_files_that_are_there():
    for name in re.findall(r"`((?:tests|benchmarks|decoding)/[\w/]+\.\w+)`", PAGE.read_text(encoding="utf-8")):
        assert (ROOT / name).is_file() or (ROOT / "constrained" / "engines" / name).is_file(), name
