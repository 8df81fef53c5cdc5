"""The tiny models of the tests of decoding, for engines."""

from tests.engines.decoding.conftest import _one_thread, any_tokens, collect_ignore_glob, llama, network, tokens

__all__ = ["_one_thread", "any_tokens", "collect_ignore_glob", "llama", "network", "tokens"]
