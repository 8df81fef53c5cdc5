"""``constrained tune`` without its command line: rows, a run, an adapter in its folder, figures before and after."""

from __future__ import annotations

import importlib.metadata
import json
import math
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch

from constrained.engines.decoding import adapter
from constrained.engines.decoding.adapter import Head
from constrained.engines.decoding.encoder import Encoder, LanguageStates, encoder_hash, load_encoder
from constrained.engines.decoding.fitted_rule import VectorRule
from constrained.engines.transformers import TransformersEngine
from constrained.errors import TuningError
from constrained.logic.policy import Policy
from constrained.quality.evaluation import Outcome, take
from constrained.quality.labelled_data import Example
from constrained.quality.metrics import Difference, paired_bootstrap
from constrained.quality.summary import judged, summarise
from constrained.quality.training import Learner, Row, Run, Settings, rows_of

REPORT = "report.json"
Stage = Literal["before", "tune", "after"]
Progress = Callable[[Stage, int, int, float], object]
"""Called with the stage, what is done of it, of how much, and the loss (NaN where there is none)."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a run came to.

    Attributes:
        n_rows, n_responses: that were learned from. seconds: of tuning alone. memory_mb: the process's largest.
        before, after: figure -> value on the messages to check; empty without any. accuracy: what is right after less what was
            right before, with a 95 % interval over the messages; None likewise.
        adapter: its hash; folder: where it lies.
    """

    catalog: str
    base: str
    n_rows: int
    n_responses: int
    n_steps: int
    seconds: float
    memory_mb: float
    folder: str
    adapter: str
    settings: dict[str, Any]
    n_checked: int = 0
    before: dict[str, float] = field(default_factory=dict)
    after: dict[str, float] = field(default_factory=dict)
    accuracy: Difference | None = None

    def to_json(self) -> str:
        return json.dumps(_without_nan(asdict(self)), ensure_ascii=False, indent=1) + "\n"


def tune(
    policy: Policy,
    engine: TransformersEngine,
    folder: Path,
    settings: Settings,
    *,
    encoder: str | None = None,
    more: Sequence[Example] = (),
    check: Sequence[Example] = (),
    is_before_checked: bool = True,
    renew: str = "",
    told: Progress = lambda stage, done, total, loss: None,
) -> Report:
    """Tunes the engine's model, or a sentence encoder beside it, and writes the adapter into ``folder``.

    Args:
        engine: it chooses by the adapter afterwards. encoder: name or folder of what is tuned in place of the model.
        more: labelled messages beside the catalog's examples, the fallback's among them: these answer nothing else.
        check: other labelled messages, to measure on before and after; nothing is learned from them.
        is_before_checked: measure before tuning too: the engine's own rule may take seconds a message.

    Raises TuningError: ``check`` holds a message to learn from, or the run could not be ended. SampleError: too few responses.
    """
    rows = rows_of(policy.catalog, [Row(one.message, one.expects[0]) for one in more])
    check_apart(rows, check)
    before = _taken(policy, engine, check, "before", told) if is_before_checked else []
    tuned: Encoder = load_encoder(encoder) if encoder else LanguageStates(engine.reader.model, engine.reader.tokens)
    base = encoder or engine.identity["model"]
    weights = encoder_hash(tuned) if encoder else engine.identity["weights"]  # asked before there is an adapter
    start = time.monotonic()
    with torch.random.fork_rng():
        torch.manual_seed(settings.seed)
        learner = Learner(tuned, rows, settings)
        run = Run(learner, rows, folder, weights)
        run.train(lambda step: told("tune", step.number, step.n_steps, step.loss))
    seconds = time.monotonic() - start
    head = learner.head(policy.catalog.fallback)
    kind: adapter.Kind = "encoder" if encoder else "model"
    manifest = _written(folder, policy, learner, head, kind=kind, base=base, weights=weights, renew=renew)
    engine.use(VectorRule(tuned, head, engine.rule), manifest)
    after = _taken(policy, engine, check, "after", told)
    report = Report(
        catalog=policy.catalog.name,
        base=base,
        n_rows=len(rows),
        n_responses=len(learner.ids),
        n_steps=run.n_steps,
        seconds=seconds,
        memory_mb=_memory_mb(),
        folder=str(folder),
        adapter=manifest.hash,
        settings=settings.to_json(),
        n_checked=len(check),
        before=_figures(before, policy),
        after=_figures(after, policy),
        accuracy=_difference(before, after, policy),
    )
    (folder / REPORT).write_text(report.to_json(), encoding="utf-8")
    run.finish()
    return report


def _written(
    folder: Path, policy: Policy, learner: Learner, head: Head, *, kind: adapter.Kind, base: str, weights: str, renew: str
) -> adapter.Manifest:
    settings, catalog = learner.settings, policy.catalog
    return adapter.write(
        folder,
        learner.encoder,
        head,
        kind=kind,
        base=base,
        catalog=catalog.name,
        catalog_hash=catalog.hash,
        tokenizer=learner.encoder.tokenizer_hash,
        weights=weights,
        rank=settings.rank,
        alpha=settings.alpha,
        renew=renew or f"constrained tune {policy.name}",
        settings=settings.to_json(),
        versions={name: importlib.metadata.version(name) for name in ("torch", "transformers", "peft")},
    )


def check_apart(rows: Sequence[Row], check: Sequence[Example]) -> None:
    """Nothing is measured on what was learned."""
    known = {" ".join(row.message.casefold().split()) for row in rows}
    shared = next((one for one in check if " ".join(one.message.casefold().split()) in known), None)
    if shared is not None:
        hint = "take it out of the messages to check, or of the examples"
        raise TuningError(f"{shared.message!r} (line {shared.line}) is a message to check and one to learn from", hint=hint)


def _taken(policy: Policy, engine: TransformersEngine, check: Sequence[Example], stage: Stage, told: Progress) -> list[Outcome]:
    if not check:
        return []
    return take(policy, engine, check, told=lambda done: told(stage, done, len(check), float("nan")))


def _figures(outcomes: Sequence[Outcome], policy: Policy) -> dict[str, float]:
    return dict(summarise(outcomes, policy.catalog.fallback, []).figures) if outcomes else {}


def _difference(before: Sequence[Outcome], after: Sequence[Outcome], policy: Policy) -> Difference | None:
    if not before or not after:
        return None
    ours, theirs = (judged(one, policy.catalog.fallback).is_right.astype(float) for one in (after, before))
    return paired_bootstrap(ours, theirs)


def _memory_mb() -> float:
    """The largest that this process has been; NaN on Windows."""
    if sys.platform == "win32":  # it has no such module
        return math.nan
    import resource

    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used / (1 << 20 if sys.platform == "darwin" else 1 << 10)


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nan(one) for name, one in value.items()}
    return None if value != value else value
