"""Suite gpu: each mode on large shapes against what the device could do at best, batches, a graph, the trie mask. Needs CUDA.

Without a CUDA device it says so and ends; ``--smoke`` runs it tiny on the CPU. Parts: ``models`` (1B and 8B; ``--model`` for another
shape), ``mask``, which runs on any device. ``benchmarks/gpu.sh`` runs all within ten minutes.
"""

from __future__ import annotations

import gc
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch

from benchmarks import measure
from benchmarks.harness import Bench
from benchmarks.measure import BenchmarkError, NoDeviceError, Series, Spread, interleaved, timed
from benchmarks.options import PARTS
from benchmarks.peers import Answer, Entry, PeerUnsupportedError, shapes
from benchmarks.peers.bed import Bed, Prompt
from benchmarks.peers.ours import Peer, choice_of
from benchmarks.peers.scene import QUESTIONS, rendered, scene_of
from benchmarks.peers.shapes import SHAPES, TINY, Shape
from benchmarks.peers.verdicts import conditional
from benchmarks.sets import lines
from constrained.engines.decoding.tokens import Tokens
from constrained.engines.decoding.trie import TokenIndex
from constrained.engines.protocol import ChoiceRequest

SUFFIX, BOUND, PLAIN = "a pass of the suffix", "max(F, new tokens x FLOP / peak)", "one plain pass over as many tokens"
MOST_NATS_A_TOKEN = 0.5  # in bfloat16, between the tree and plain passes: more would be no rounding
BATCHES = (1, 4, 16, 64, 256)  # conversations that are decided at once
HELD_BATCH, STEP_BATCH = 64, 64  # of which something is asked
N_STEPS = 50
STEP_US = 50.0


@dataclass(frozen=True, slots=True)
class Case:
    """A mode over a list; ``at_most`` times F is asked of it at the largest shape."""

    mode: str
    surface: str
    n_lines: int
    at_most: float | None = None

    @property
    def name(self) -> str:
        return f"{self.mode} on {self.surface}s"


CASES = (
    Case("exact", "key", 100, 2.0),
    Case("exact", "text", 100),
    Case("prefix", "key", 100),
    Case("prefix", "text", 100, 2.0),
    Case("bounded", "key", 100),
    Case("refine", "text", 1_000, 6.0),
    Case("auto", "text", 1_000),
    Case("code", "text", 20),
    Case("walk", "text", 1_000),
    Case("channel", "when", 20),
)
DEFAULT_SHAPES, LARGEST = ("1B", "8B"), "8B"


def run(bench: Bench) -> None:
    """Raises NoDeviceError where there is no CUDA device for the models."""
    parts = bench.options.parts or PARTS["gpu"]
    if "models" in parts and not bench.is_smoke and not measure.has_cuda():
        raise NoDeviceError("gpu: there is no CUDA device here, nothing was measured; --smoke runs the suite tiny on the CPU")
    if measure.has_cuda():
        bench.use_device("cuda")
    wanted = {"tiny": TINY} if bench.is_smoke else {name: SHAPES[name] for name in _named(bench)}
    for name, shape in wanted.items() if "models" in parts else ():
        with _freed():
            _shape(bench, name, shape)
    if "mask" in parts:
        _mask(bench)


def _named(bench: Bench) -> Sequence[str]:
    asked = bench.options.model
    if asked is not None and asked not in SHAPES:
        raise BenchmarkError(f"gpu: there is no shape {asked!r}; there are {', '.join(SHAPES)}")
    return (asked,) if asked else DEFAULT_SHAPES


@contextmanager
def _freed() -> Iterator[None]:
    """The next model finds the memory empty."""
    yield
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


# -- one model -------------------------------------------------------------------------------------------


def _shape(bench: Bench, name: str, shape: Shape) -> None:
    dtype = bench.options.dtype or ("float32" if bench.is_smoke else "bfloat16")
    network, tokenizer = (
        shapes.network(shape, dtype, bench.device_kind, bench.seed),
        shapes.tokenizer(bench.seed, 200 if bench.is_smoke else 4_000),
    )
    prompts = rendered(tokenizer, QUESTIONS)
    bed = Bed.around(name, network, tokenizer, prompts, {"seed": bench.seed, "is_smoke": bench.is_smoke})
    about = f"{name}, {dtype}"
    bench.add(about, "weights", sum(one.numel() for one in network.parameters()) / 1e9, "billions")
    bench.add(about, "tokens of the suffix", len(prompts[0].suffix), "tokens")
    peak = _peak(bench, about, network.dtype)
    for case in CASES:
        n_lines = min(case.n_lines, 6) if bench.is_smoke else case.n_lines
        with _skipping(bench, about, case.name):
            _case(bench, bed, shape, peak, case, lines.entries("natural", n_lines, bench.seed, is_smoke=True), f"{about}, {n_lines} lines")
    for n_asks in BATCHES[1:2] if bench.is_smoke else BATCHES:
        with _skipping(bench, about, f"{n_asks} decisions in one batch"):
            _concurrent(bench, bed, about, n_asks)
    with _skipping(bench, about, "a pass in a CUDA graph"):
        _graphed(bench, bed, about)


@contextmanager
def _skipping(bench: Bench, about: str, what: str) -> Iterator[None]:
    """A mode that this version of the library does not have, or that does not fit on the device, ends nothing else."""
    try:
        yield
    except PeerUnsupportedError as error:
        bench.tell(f"{about}: {what} is left out: {error}")
    except torch.cuda.OutOfMemoryError:
        bench.add(about, f"{what}: failed, out of memory", 1, "")
        torch.cuda.empty_cache()


def _peak(bench: Bench, about: str, dtype: torch.dtype) -> float:
    """FLOP per second of the fastest of some square matrix products, in this run."""
    best = 0.0
    for n in (64,) if bench.is_smoke else (4_096, 8_192, 16_384):
        square = torch.randn(n, n, device=bench.device_kind).to(dtype)
        measure = timed(partial(_product, square), repeat=5)
        for _ in range(4):
            best = max(best, 2 * n**3 / measure().wall_s)
    bench.add(about, "peak of matrix products", best / 1e12, "TFLOP/s")
    return best


def _product(square: torch.Tensor) -> torch.Tensor:
    return _waited(square @ square)


def _waited(result: torch.Tensor) -> torch.Tensor:
    if result.device.type == "cuda":
        torch.cuda.synchronize()
    return result


def _case(bench: Bench, bed: Bed, shape: Shape, peak: float, case: Case, entries: Sequence[Entry], about: str) -> None:
    """A mode beside F and beside a plain pass over as many tokens; checked first where its scores are exact."""
    peer = Peer(bed, case.mode, "key" if case.surface == "key" else "text")
    peer.compile(entries)
    answers = [peer.decide(prompt, 0) for prompt in bed.prompts]  # warms up, and computes priors once
    if case.mode == "exact":
        _check(bench, bed, entries, case, answers[0], about)
    n_new = int(np.median([answer.n_tokens or 0 for answer in answers]))
    found = interleaved([_measures(bed, peer, prompt, n_new) for prompt in _rounds(bench, bed)], seed=bench.seed)
    at_most = case.at_most if about.startswith(LARGEST) else None
    bench.add(about, f"{case.name}: {SUFFIX}", found[SUFFIX].wall_s * 1e3, "ms")
    bench.add(about, f"{case.name}: decision", found["mode"].wall_s * 1e3, "ms")
    bench.add(about, f"{case.name}: time", found["mode"].over(found[SUFFIX]), "times", reference=SUFFIX, at_most=at_most)
    bench.add(about, f"{case.name}: time", found["mode"].over(found[PLAIN]), "times", reference=PLAIN)
    bench.add(about, f"{case.name}: tokens", n_new, "tokens")
    _tell_bound(bench, bed, shape, peak, case, answers, found, about)


def _tell_bound(
    bench: Bench, bed: Bed, shape: Shape, peak: float, case: Case, answers: Sequence[Answer], found: dict[str, Series], about: str
) -> None:
    """The least that the device needs: a pass of the suffix, or its arithmetic at the measured peak. What is larger bounds."""
    n_new = float(np.median([answer.n_tokens or 0 for answer in answers]))
    least_s = shape.flop(n_new, n_new - len(bed.prompts[0].suffix) + 1, len(bed.prompts[0].prefix_ids)) / peak
    f_s = found[SUFFIX].wall_s.median
    bound = "arithmetic" if least_s > f_s else "a pass"
    bench.add(about, f"{case.name}: arithmetic at peak", least_s * 1e3, "ms")
    ratio = found["mode"].wall_s * (1 / max(f_s, least_s))
    at_most = 1.3 if about.startswith(LARGEST) else None
    bench.add(about, f"{case.name}: time, bound by {bound}", ratio, "times", reference=BOUND, at_most=at_most)


def _check(bench: Bench, bed: Bed, entries: Sequence[Entry], case: Case, answer: Answer, about: str) -> None:
    """Against plain passes of transformers over a few of the rows."""
    tokens = Tokens(bed.tokenizer)
    end = () if bed.end is None else (bed.end,)
    rows = [(*row, *end) for row in tokens.plain_batch([entry.of("key" if case.surface == "key" else "text") for entry in entries])]
    exact = conditional(bed, bed.prompts[0], rows).exact
    differs = np.abs(np.asarray(answer.scores) - exact) / [len(row) for row in rows]
    at_most = 1e-3 if bed.network.dtype == torch.float32 else MOST_NATS_A_TOKEN
    bench.check(f"{about}: {case.name} against plain passes, nats a token", float(differs.max()), at_most)


def _rounds(bench: Bench, bed: Bed) -> list[Prompt]:
    return list(bed.prompts[:1]) if bench.is_smoke else list(bed.prompts) * 4


def _measures(bed: Bed, peer: Peer, prompt: Prompt, n_new: int) -> dict[str, Callable[[], Any]]:
    plain = [*prompt.suffix, *(bed.prompts[0].prefix_ids * (1 + n_new // len(bed.prompts[0].prefix_ids)))][: max(n_new, 1)]
    return {
        SUFFIX: timed(lambda: bed.suffix_pass(prompt)),
        "mode": timed(lambda: peer.decide(prompt, 0)),
        PLAIN: timed(lambda: float(bed.logits(plain, bed.cache(), 0)[-1, 0])),
    }


# -- many conversations in one batch ---------------------------------------------------------------------


def _concurrent(bench: Bench, bed: Bed, about: str, n_asks: int) -> None:
    """Different messages, each with its own half of the keys, over one shared static part."""
    n_lines = 6 if bench.is_smoke else 100
    peer = Peer(bed, "exact", "key")
    peer.engine.is_shared = True  # as it is on CUDA; a smoke run takes the same way
    decide_many = peer.engine.decide_many
    chance, entries = random.Random(bench.seed), lines.entries("natural", n_lines, bench.seed, is_smoke=True)
    asks = [
        ChoiceRequest(
            [choice_of(chance.sample(entries, n_lines // 2))], scene_of(f"{QUESTIONS[index % len(QUESTIONS)]} I asked {index} times.")
        )
        for index in range(n_asks)
    ]
    many, alone = decide_many(asks), [peer.engine.choose(ask.choices, ask.scene)[0] for ask in asks[:3]]
    differs = max(abs(one - other) for mine, theirs in zip(many, alone, strict=False) for one, other in _pairs(mine[0], theirs))
    bench.check(
        f"{about}: {n_asks} decisions in one batch against the same alone, probability",
        differs,
        0.05 if bed.network.dtype != torch.float32 else 1e-3,
    )
    cases = {SUFFIX: timed(lambda: bed.suffix_pass(bed.prompts[0])), "many": timed(lambda: decide_many(asks))}
    found = interleaved([cases] * (1 if bench.is_smoke else 12), seed=bench.seed)
    is_held = about.startswith(LARGEST) and n_asks == HELD_BATCH
    case, at_most = f"{about}, decisions in one batch: {n_asks}", 4.0 if is_held else None
    bench.add(case, "exact on keys", found["many"].wall_s * 1e3, "ms")
    bench.add(case, "exact on keys: time", found["many"].over(found[SUFFIX]), "times", reference=SUFFIX, at_most=at_most)
    bench.add(case, "exact on keys: a decision", found["many"].wall_s * (1e3 / n_asks), "ms")
    if bench.device_kind == "cuda":
        bench.add(case, "largest memory of the device", torch.cuda.max_memory_allocated() / 1e9, "GB")


def _pairs(one: Any, other: Any) -> Iterator[tuple[float, float]]:
    return zip(one.probabilities, other.probabilities, strict=True)


def _graphed(bench: Bench, bed: Bed, about: str) -> None:
    """What launching kernels one by one costs a pass of the suffix, without its cached part: the most that a graph or compiling can win."""
    ids = bed.tensor(bed.prompts[0].suffix)

    def plain() -> torch.Tensor:
        with torch.inference_mode():
            found: torch.Tensor = bed.network(input_ids=ids, use_cache=False, logits_to_keep=1).logits
        return found

    expected, replay = plain(), plain
    if bench.device_kind == "cuda":
        try:
            replay = _capture(plain)
        except RuntimeError as error:  # an operation that waits for the device: no graph can hold it
            raise PeerUnsupportedError(str(error).splitlines()[0]) from error
    differs = float((replay().float() - expected.float()).abs().max())
    bench.check(f"{about}: a pass in a CUDA graph against the same outside, logits", differs, 0.0 if bench.device_kind == "cpu" else 0.1)
    rounds = [{"eager": timed(lambda: _waited(plain())), "graph": timed(lambda: _waited(replay()))}] * (1 if bench.is_smoke else 12)
    found = interleaved(rounds, seed=bench.seed)
    bench.add(about, "a pass of the suffix alone", found["eager"].wall_s * 1e3, "ms")
    bench.add(about, "a pass in a CUDA graph: time", found["graph"].over(found["eager"]), "times", reference="a pass of the suffix alone")


def _capture(function: Callable[[], torch.Tensor]) -> Callable[[], torch.Tensor]:
    """The same kernels on the same memory, launched as one. Raises RuntimeError for what cannot be captured."""
    side, graph = torch.cuda.Stream(), torch.cuda.CUDAGraph()  # type: ignore[no-untyped-call]  # torch types only a part of it
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):  # what is made on first use may not be made in a capture
            function()
    torch.cuda.current_stream().wait_stream(side)
    torch.cuda.synchronize()
    with torch.cuda.graph(graph):
        found = function()

    def replay() -> torch.Tensor:
        graph.replay()
        return found

    return replay


# -- the mask of the trie --------------------------------------------------------------------------------


def _mask(bench: Bench) -> None:
    """A step: accept a token in each walk, then the mask of the tokens that may follow. Nothing goes through the host."""
    try:
        from constrained.engines.decoding.masks import DeviceTrie, TrieMask
    except ImportError as error:
        bench.tell(f"the mask of the trie is left out: {error}")
        return
    n_lines, batch = (200, 4) if bench.is_smoke else (100_000, STEP_BATCH)
    tokenizer, shape = shapes.tokenizer(bench.seed, 200 if bench.is_smoke else 4_000), TINY if bench.is_smoke else SHAPES[LARGEST]
    end = tokenizer.eos_token_id
    texts = [entry.text for entry in lines.entries("natural", n_lines, bench.seed, is_smoke=True)]
    rows = [[*row, end] for row in tokenizer(texts, add_special_tokens=False)["input_ids"]]
    mask = DeviceTrie(TrieMask.build(rows, shape.n_vocabulary), bench.device_kind)
    case = f"trie mask, {n_lines} lines, batch {batch}"
    bench.add(case, "nodes", TokenIndex.build(rows).n_nodes, "nodes")
    chosen = random.Random(bench.seed).sample(rows, batch)
    longest = max(map(len, chosen))
    steps = torch.tensor([[*row, *[end] * (longest - len(row))] for row in chosen], device=bench.device_kind).T.contiguous()  # [step, walk]
    nodes = _walk(mask, steps, batch, check=True)
    took = [timed(lambda: _waited(_walk(mask, steps, batch)))() for _ in range(1 if bench.is_smoke else N_STEPS)]
    asked = STEP_US if bench.device_kind == "cuda" and not bench.is_smoke else None
    bench.add(case, "a step", Spread.of(one.wall_s / len(steps) * 1e6 for one in took), "us", at_most=asked)
    bench.add(case, "a step, processor time", Spread.of(one.cpu_s / len(steps) * 1e6 for one in took), "us")
    if bench.device_kind == "cuda":
        _captured(bench, case, mask, nodes, steps)


def _walk(mask: Any, steps: torch.Tensor, batch: int, *, check: bool = False) -> torch.Tensor:
    """Walks along rows; returns the states before the last step. ``check``: each token must be in the mask before it."""
    nodes: torch.Tensor = mask.start(batch)
    before = nodes
    for tokens in steps:
        allowed = mask.allowed(nodes)
        if check:
            _check_allowed(allowed, tokens, mask.is_done(nodes) | (nodes == mask.lost))
        before, nodes = nodes, mask.accept(nodes, tokens)
    return before


def _check_allowed(allowed: torch.Tensor, tokens: torch.Tensor, is_over: torch.Tensor) -> None:
    words = allowed.gather(1, (tokens // 32)[:, None])[:, 0]
    is_set = ((words >> (tokens % 32)) & 1).bool()
    if not bool((is_set | is_over).all()):
        raise BenchmarkError("gpu: the mask of the trie forbids a token of one of its rows; not timed")


def _captured(bench: Bench, case: str, mask: Any, nodes: torch.Tensor, steps: torch.Tensor) -> None:
    """The same step in a CUDA graph: without the time of launching each kernel."""
    step = _capture(lambda: mask.allowed(mask.accept(nodes, steps[0])))
    measure = timed(lambda: _replayed(step))
    bench.add(case, "a step, in a CUDA graph", Spread.of(measure().wall_s / N_STEPS * 1e6 for _ in range(N_STEPS)), "us", at_most=STEP_US)


def _replayed(step: Callable[[], torch.Tensor]) -> None:
    for _ in range(N_STEPS):
        step()
    torch.cuda.synchronize()
