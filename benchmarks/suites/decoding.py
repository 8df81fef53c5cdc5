"""Suite decoding: what an exact decision costs, in plain forward passes, and beside it what the peers cost and come to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from benchmarks import measure
from benchmarks.harness import Bench
from benchmarks.measure import Measure, Series, interleaved, timed
from benchmarks.options import PARTS
from benchmarks.peers import contest, scene
from benchmarks.peers.scene import Prompt, Setting
from constrained.engines.decoding import prompts as prompts
from constrained.engines.decoding.channel import Contexts, score_message, score_message_rows
from constrained.engines.decoding.exact import CHUNK_NODES, score_rows, score_tree
from constrained.engines.decoding.trie import TokenIndex
from constrained.engines.protocol import Candidate, Choice, PromptContext

DTYPES = ("bfloat16", "float32")
MOST_NATS = 1e-3  # between two ways to the same sum, in float32
MOST_NATS_A_TOKEN = {"float32": MOST_NATS, "bfloat16": 0.5}  # bf16 logits of some twenty are an eighth apart
SUFFIX, PLAIN, CHUNKS = "a pass of the suffix", "one plain pass over as many tokens", f"plain passes of {CHUNK_NODES} tokens"
N_CONTEXTS = 12
MESSAGE = "Could you sell me the key to your cellar? I can pay for it."


def run(bench: Bench) -> None:
    """The library's own passes in every dtype, on CUDA where there is one, then the peers; a toy in float32 in a smoke run."""
    if not bench.is_smoke and measure.has_cuda():
        bench.use_device("cuda")
    parts = bench.options.parts or PARTS["decoding"]
    for dtype in DTYPES[-1:] if bench.is_smoke else DTYPES:
        if {"passes", "channel"} & set(parts):
            loaded = scene.load(bench, dtype)
        if "passes" in parts:
            for n in (3,) if bench.is_smoke else (24, 100):
                _decide(bench, loaded, dtype, f"{n} natural lines, {dtype}", scene.lines(bench, n))
                _decide(bench, loaded, dtype, f"{n} keys, {dtype}", scene.keys(n))
        if "channel" in parts:
            _channel(bench, loaded, dtype)
    if "peers" in parts:
        contest.run(bench)


# -- exact beside plain passes ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Tree:
    """The rows of one list of texts, and as many plain tokens as scoring them feeds."""

    rows: list[tuple[int, ...]]
    n_nodes: int
    n_inner: int
    plain_ids: list[int]

    @classmethod
    def of(cls, rows: list[tuple[int, ...]]) -> _Tree:
        trie = TokenIndex.build(rows).trie()
        n_inner = int(trie.has_child.sum())
        running = [token for row in rows for token in row[:-1]]
        return cls(rows, len(trie), n_inner, running[:n_inner])


def _decide(bench: Bench, loaded: Setting, dtype: str, case: str, texts: Sequence[str]) -> None:
    tree = _Tree.of(loaded.rows(texts))
    bench.add(case, "nodes of the trie", tree.n_nodes, "nodes")
    bench.add(case, "nodes that are fed", tree.n_inner, "tokens")
    _check_exact(bench, loaded, dtype, case, tree)
    usable = loaded.prompts[: 1 if bench.is_smoke else None]
    found = interleaved([_cases(loaded, tree, prompt) for prompt in usable], seed=bench.seed)
    _tell_exact(bench, case, found)


def _check_exact(bench: Bench, loaded: Setting, dtype: str, case: str, tree: _Tree) -> None:
    """The tree pass against one pass a row; the cached plain pass against one without a cache."""
    prompt = loaded.prompts[0]
    by_tree = score_tree(loaded.model, loaded.prefix, prompt.suffix, tree.rows).log_probs
    by_row = score_rows(loaded.model, loaded.prefix, prompt.suffix, tree.rows).log_probs
    _agree(bench, case, "exact", dtype, by_tree - by_row, np.asarray([len(row) for row in tree.rows]), "one plain pass a row")
    bench.add(case, "exact, same most likely text", float(by_tree.argmax() == by_row.argmax()), "0 or 1", reference="one plain pass a row")
    with torch.inference_mode():
        whole = loaded.network(loaded.model.tensor([*prompt.prefix_ids, *prompt.suffix])[None], logits_to_keep=1).logits
        cached = _logits(loaded, prompt.suffix, loaded.cache(), 1)
    differs = float((whole.float().log_softmax(-1) - cached.float().log_softmax(-1)).abs().max())
    bench.check(f"{case}: a pass over the cached prefix against one over everything", differs, 1e-3 if dtype == "float32" else 1)


def _agree(bench: Bench, case: str, what: str, dtype: str, differences: np.ndarray, n_tokens: np.ndarray, reference: str) -> None:
    """[row] differences in nats, of sums over so many tokens: checked, and told."""
    largest, a_token = float(np.abs(differences).max()), float(np.abs(differences / n_tokens).max())
    if dtype == "float32":
        bench.check(f"{case}: {what} against {reference}", largest, MOST_NATS)
    bench.check(f"{case}: {what} against {reference}, a token", a_token, MOST_NATS_A_TOKEN[dtype])
    asked = MOST_NATS if dtype == "float32" else None
    bench.add(case, f"{what}, largest difference", largest, "nats", reference=reference, at_most=asked)
    bench.add(case, f"{what}, largest difference a token", a_token, "nats", reference=reference)


def _cases(loaded: Setting, tree: _Tree, prompt: Prompt) -> dict[str, Measure]:
    ids = [*prompt.suffix, *tree.plain_ids]
    return {
        SUFFIX: timed(lambda: _plain(loaded, prompt.suffix, len(prompt.suffix), n_logits=1)),
        "exact": timed(lambda: score_tree(loaded.model, loaded.prefix, prompt.suffix, tree.rows)),
        PLAIN: timed(lambda: _plain(loaded, ids, len(ids))),
        CHUNKS: timed(lambda: _plain(loaded, ids, CHUNK_NODES)),
    }


def _plain(loaded: Setting, ids: Sequence[int], n_at_once: int, n_logits: int = 0) -> float:
    """A causal pass over new tokens with their logits (0: of all), ``n_at_once`` at a time, after the cached prefix."""
    cache, last = loaded.cache(), 0.0
    with torch.inference_mode():
        for start in range(0, len(ids), n_at_once):
            last = float(_logits(loaded, ids[start : start + n_at_once], cache, n_logits)[0, -1, 0])  # waits for the device
    return last


def _logits(loaded: Setting, ids: Sequence[int], cache: object, n_logits: int) -> torch.Tensor:
    logits: torch.Tensor = loaded.network(loaded.model.tensor(ids)[None], past_key_values=cache, logits_to_keep=n_logits).logits
    return logits


def _tell_exact(bench: Bench, case: str, found: dict[str, Series]) -> None:
    bench.add(case, SUFFIX, found[SUFFIX].wall_s * 1e3, "ms")
    bench.add(case, "exact", found["exact"].wall_s * 1e3, "ms")
    asked = 1.3 if "lines" in case else None
    bench.add(case, "exact, time", found["exact"].over(found[PLAIN]), "times", reference=PLAIN, at_most=asked)
    bench.add(case, "exact, processor time", found["exact"].cpu_over(found[PLAIN]), "times", reference=PLAIN)
    bench.add(case, "exact, time", found["exact"].over(found[CHUNKS]), "times", reference=CHUNKS)
    bench.add(case, "exact, processor time", found["exact"].cpu_over(found[CHUNKS]), "times", reference=CHUNKS)
    bench.add(case, "exact, time", found["exact"].over(found[SUFFIX]), "times", reference=SUFFIX)
    bench.add(case, "one plain pass, time", found[PLAIN].over(found[SUFFIX]), "times", reference=SUFFIX)


# -- the channel -----------------------------------------------------------------------------------------


def _channel(bench: Bench, loaded: Setting, dtype: str) -> None:
    case = f"channel, {N_CONTEXTS} contexts, {dtype}"
    contexts = [tuple(loaded.tokens.plain(text)) for text in _contexts()]
    message = loaded.tokens.plain(prompts.heard_as(MESSAGE))
    bank = Contexts(loaded.model)
    found, _ = score_message(loaded.model, bank, contexts, message)
    differences = found - score_message_rows(loaded.model, [(context, tuple(message)) for context in contexts])[0]
    _agree(bench, case, "cached contexts", dtype, differences, np.full(len(contexts), len(message)), "one plain pass a context")
    suffix = loaded.prompts[0].suffix
    cases = {
        SUFFIX: timed(lambda: _plain(loaded, suffix, len(suffix), n_logits=1)),
        "warm": timed(lambda: score_message(loaded.model, bank, contexts, message)),
        "cold": timed(lambda: score_message(loaded.model, Contexts(loaded.model), contexts, message)),
    }
    series = interleaved([cases] * (1 if bench.is_smoke else 7), seed=bench.seed)
    bench.add(case, "tokens of a message", len(message), "tokens")
    bench.add(case, "tokens of the contexts", sum(map(len, contexts)), "tokens")
    bench.add(case, "contexts cached", series["warm"].wall_s * 1e3, "ms")
    bench.add(case, "contexts cached, time", series["warm"].over(series[SUFFIX]), "times", reference=SUFFIX)
    bench.add(case, "contexts not cached, time", series["cold"].over(series[SUFFIX]), "times", reference=SUFFIX)


def _contexts() -> list[str]:
    """The contexts of the innkeeper's first responses, as a turn would make them."""
    from constrained.catalog.load import load_catalog

    catalog = load_catalog(measure.ROOT / "catalogs" / "tavern.yaml")
    responses = [response for response in catalog.responses.values() if response.id != catalog.fallback][:N_CONTEXTS]
    candidates = tuple(Candidate(one.id, one.id, one.when, one.examples.get(catalog.locale, ())) for one in responses)
    scene = PromptContext("", catalog.speaker, catalog.persona, "", (), (), "", (), MESSAGE, catalog.locale)
    return prompts.contexts(Choice("reply", "option", candidates), scene)
