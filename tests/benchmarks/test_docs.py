"""The adapter that docs/benchmarks.md shows runs; every metric and peer that it names is there."""

from __future__ import annotations

import re

import pytest

from benchmarks.measure import ROOT
from benchmarks.options import KINDS
from benchmarks.peers import SPECS, Entry

PAGE = (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8")


def test_the_adapter_that_is_shown_decides() -> None:
    pytest.importorskip("torch", reason="torch is not installed: pip install 'constrained[transformers]'")
    from benchmarks.peers.bed import TOY, Bed, networks
    from benchmarks.peers.scene import rendered

    network, tokenizer = networks(TOY, "float32", "cpu", 0)
    bed = Bed.around(TOY, network, tokenizer, rendered(tokenizer, ["Who?"]), {"seed": 0, "is_smoke": True})
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    names: dict[str, type] = {}
    exec(compile(code, "docs/benchmarks.md", "exec"), names)
    peer = names["Peer"](bed)
    peer.compile([Entry(text, text, text) for text in ("Alas.", "Bah!", "Come in.")])
    answer = peer.decide(bed.prompts[0], 8)
    assert answer.scores[answer.row] == max(answer.scores)
    peer.narrow([1, 2])
    assert len(peer.decide(bed.prompts[0], 8).scores) == 2


def test_every_peer_and_kind_is_explained() -> None:
    told = re.findall(r"`([\w-]+)`", PAGE)
    for name, spec in SPECS.items():
        parts = {name, f"ours-{spec.options.get('mode')}", f"-{name.rpartition('-')[2]}"}
        assert parts & set(told), f"docs/benchmarks.md does not name {name}"
    assert set(KINDS) <= set(told)
