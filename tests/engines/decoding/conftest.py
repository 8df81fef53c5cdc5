"""Tiny models and tokenizers for the tests of decoding; one thread, since their passes are too short to share."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

import pytest

HAS_TORCH = find_spec("torch") is not None and find_spec("transformers") is not None
collect_ignore_glob = [] if HAS_TORCH else ["test_*.py"]
if HAS_TORCH:
    import torch

    from constrained.engines.decoding.language_model import LanguageModel
    from constrained.engines.decoding.tokens import Tokens
    from tests.engines.decoding import tiny


@pytest.fixture(scope="session")
def network() -> Any:
    """A tiny Llama: two layers, grouped queries, float32."""
    return tiny.network("llama")


@pytest.fixture(scope="session")
def llama(network: Any) -> LanguageModel:
    return LanguageModel(network)


@pytest.fixture(scope="session", params=["bpe", "unigram", "wordpiece"])
def any_tokens(request: pytest.FixtureRequest) -> Tokens:
    """Each of the three kinds of tokenizers."""
    return Tokens(tiny.TOKENIZERS[request.param]())


@pytest.fixture(scope="session")
def tokens() -> Tokens:
    return Tokens(tiny.bpe())


@pytest.fixture(autouse=True)
def _one_thread(request: pytest.FixtureRequest) -> Iterator[None]:
    if not HAS_TORCH:  # the small engine's tests run without it
        yield
        return
    before = torch.get_num_threads()
    if request.node.get_closest_marker("model") is None:
        torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
