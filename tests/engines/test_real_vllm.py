"""A real vLLM server that holds the default model, named by CONSTRAINED_VLLM_URL: it decides as the engine in this process does."""

from __future__ import annotations

import os

import pytest

from constrained.engines.model_files import DEFAULT_MODEL
from constrained.pack_folders import find_pack
from constrained.packs import load_policy
from constrained.quality.golden import load_golden, run_golden

URL = os.environ.get("CONSTRAINED_VLLM_URL", "")
pytestmark = [
    pytest.mark.model,
    pytest.mark.slow,
    pytest.mark.skipif(not URL, reason="no vLLM server is named: CONSTRAINED_VLLM_URL=http://127.0.0.1:8000, serving the default model"),
]


class Both:
    """Asks two engines the same; the first one's answers count."""

    identity = {"engine": "both"}  # noqa: RUF012  # as an engine's may be

    def __init__(self, first, second):
        self.first, self.second, self.pairs = first, second, []

    def choose(self, choices, scene, deadline=None):
        found = self.first.choose(choices, scene, deadline)
        self.pairs += zip(found, self.second.choose(choices, scene, deadline), strict=True)
        return found


@pytest.mark.parametrize("pack", ["tavern", "bank_disputes", "clinic_booking"])
def test_golden_dialogues_go_through_it_and_it_decides_as_here(real_engine, pack):
    from constrained.engines.vllm import VllmEngine

    there = VllmEngine(DEFAULT_MODEL, [URL], timeout_s=120)
    both = Both(there, real_engine)
    dialogue = load_golden(find_pack(pack).dialogues_path).dialogues[0]
    results = list(run_golden(load_policy(pack), dialogue, both))
    there.close()
    assert not [problem for one in results for problem in one.problems]
    assert sum(mine.best == other.best for mine, other in both.pairs) >= 0.9 * len(both.pairs)
    assert max(abs(mine.margin - other.margin) for mine, other in both.pairs) < 0.5
