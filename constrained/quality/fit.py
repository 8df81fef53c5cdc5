"""``constrained fit`` without its command line: a mixture fitted to a catalog's examples, its figures, what can be promised."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from constrained.catalog.response import Catalog
from constrained.dialogue.context import examples as examples_of
from constrained.dialogue.dialogue import Dialogue
from constrained.engines.decoding import mixture
from constrained.engines.decoding.encoder import Encoder, encoder_hash, load_encoder
from constrained.engines.protocol import Candidate, Choice, ChoiceRequest, PromptContext
from constrained.engines.transformers import TransformersEngine, fitted_rule
from constrained.errors import ConstrainedError, SampleError
from constrained.logic.policy import Policy
from constrained.quality.calibration import Floats
from constrained.quality.evaluation import MessageOutcome, run_examples
from constrained.quality.labelled_data import Example
from constrained.quality.metrics import ece, summarise, to_arrays
from constrained.quality.mixing import FitSettings, FittedMixture, Progress, fit_mixture
from constrained.quality.risk_control import conformal, threshold
from constrained.quality.training import Row, check_apart, rows_of

ALPHAS = (0.05, 0.1)
DELTA = 0.1
ASSUMES = "messages to come are like these: the same people, desk, catalog, policy and model; fit again when one of them changes"


@dataclass(frozen=True, slots=True)
class FitReport:
    """Sizes, weights, figures and promises of a fit.

    Attributes:
        figures: of messages while they were left out: accuracy of each judge and of all, the expected calibration error.
        weights: how much each judge counts. held: figures on the messages held back. promises: see ``FitManifest``.
        refused: why something is not promised.
    """

    catalog: str
    folder: str
    n_rows: int
    n_unlabelled: int
    n_held: int
    seconds: float
    figures: Mapping[str, float]
    weights: Mapping[str, float]
    held: Mapping[str, float]
    promises: Mapping[str, Any]
    refused: tuple[str, ...]


def fit(
    policy: Policy,
    engine: TransformersEngine,
    folder: Path,
    settings: FitSettings,
    *,
    encoder: str = "",
    more: Sequence[Example] = (),
    unlabelled: Sequence[str] = (),
    hold: Sequence[Example] = (),
    is_mixed: bool = True,
    renew: str = "",
    report_progress: Progress = lambda stage, done, total: None,
) -> FitReport:
    """Fits a mixture and writes it into ``folder``; the engine chooses by it afterwards.

    Args:
        encoder: name or folder of a sentence encoder; the engine's own model makes the vectors when empty.
        more: labelled messages beside the catalog's examples; those that expect the fallback show what nothing answers.
        unlabelled: messages of which nobody knows what answers them.
        hold: labelled messages that nothing is fitted on: what is promised rests on them.
        is_mixed: whether the engine's own rule gets a weight; it then reads some messages, a second each on a CPU.

    Raises TuningError: ``hold`` holds a message to learn from. SampleError: too few responses.
    """
    catalog, start = policy.catalog, time.monotonic()
    rows, described = plain_rows(catalog, [Row(one.message, one.expects[0]) for one in more])
    check_apart(rows, hold)
    shown = {row.id for row in rows}
    candidates = [one for one in _candidates(catalog) if _id(one) in shown]
    judge = load_encoder(encoder, engine.reader.model.device) if encoder else engine.states
    base, read = engine.rule, _reader(policy, engine) if is_mixed else None
    ids = [_id(one) for one in candidates]
    options: dict[str, Any] = {"described": described, "unlabelled": unlabelled, "read": read, "report_progress": report_progress}
    options |= {"rest": next((one for one in _candidates(catalog) if one.no_match), None), "n_allowed": _n_allowed(policy)}
    mixed = fit_mixture(judge, rows, candidates, ids, settings, **options)
    fields = _manifest_fields(policy, engine, judge, encoder, mixed)
    fields |= {"settings": settings.to_json(), "renew": renew or f"constrained fit {policy.name}"}
    engine.use(fitted_rule(judge, mixed.mixture, base), mixture.write(folder, mixed.mixture, promises={}, **fields))
    outcomes = run_examples(policy, engine, hold, report_progress=lambda done: report_progress("hold", done, len(hold))) if hold else []
    promises, refused = find_promises(outcomes, catalog.fallback)
    if outcomes:
        engine.use(fitted_rule(judge, mixed.mixture, base), mixture.write(folder, mixed.mixture, promises=promises, **fields))
    return FitReport(
        catalog=catalog.name,
        folder=str(folder),
        n_rows=len(rows),
        n_unlabelled=len(unlabelled),
        n_held=len(hold),
        seconds=time.monotonic() - start,
        figures=fields["figures"],
        weights={name: getattr(mixed.mixture, name) for name in ("vector", "letters", "base")},
        held=dict(summarise(outcomes, catalog.fallback, []).figures) if outcomes else {},
        promises=promises,
        refused=refused,
    )


def _manifest_fields(policy: Policy, engine: TransformersEngine, judge: Encoder, encoder: str, mixed: FittedMixture) -> dict[str, Any]:
    """What a manifest says that the mixture belongs to, and its figures: of the engine only where its own rule has a weight."""
    has_base = bool(mixed.mixture.base)
    return {
        "catalog": policy.catalog.name,
        "catalog_hash": policy.catalog.hash,
        "encoder": os.path.abspath(encoder) if os.path.isdir(encoder) else encoder,
        "encoder_weights": encoder_hash(judge),
        "encoder_tokenizer": judge.tokenizer_hash,
        "model_weights": engine.identity["weights"] if has_base else "",
        "model_tokenizer": engine.reader.tokens.hash if has_base else "",
        "rule": engine.rule.name if has_base else "",
        "figures": _figures(mixed),
    }


def find_promises(outcomes: Sequence[MessageOutcome], fallback: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    """What can be promised on messages that nothing was fitted on, and why the rest cannot."""
    if not outcomes:
        return {}, ("nothing is promised without messages that are held back",)
    asked = [one for one in outcomes if one.is_asked]
    labels = [next((index for index, name in enumerate(one.options) if name in one.example.expects), -1) for one in asked]
    kept: dict[str, Any] = {"assumes": ASSUMES, "n": len(asked)}
    refused = []
    for alpha in ALPHAS:
        try:
            sets = conformal([one.probabilities for one in asked], labels, alpha=alpha)
            kept[f"set, alpha {alpha:g}"] = {"quantile": sets.quantile if np.isfinite(sets.quantile) else "every option"}
            arrays = to_arrays(asked, fallback)
            found = threshold(arrays.answerable, arrays.is_answer_right, alpha=alpha, delta=DELTA)
            kept[f"threshold, alpha {alpha:g}, delta {DELTA:g}"] = {
                "threshold": found.threshold if found.is_met else "answer nothing",
                "answered": found.coverage,
                "wrong among answered": found.risk,
                "bound": found.bound,
            }
        except SampleError as error:
            refused.append(error.message)
    return kept, tuple(refused)


def plain_rows(catalog: Catalog, more: Sequence[Row] = ()) -> tuple[tuple[Row, ...], frozenset[str]]:
    """``rows_of``, and which messages among them only describe a response.

    What all descriptions begin with ("the user asks about ...") is left out of them: it tells nothing apart.
    """
    rows = rows_of(catalog, more)
    texts = {
        response.when or response.key
        for response in catalog.responses.values()
        if response.id != catalog.fallback and not response.offer_of
    }
    shared = shared_words(sorted(texts))
    plain = {text: " ".join(text.split()[shared:]) for text in texts}
    return tuple(replace(row, message=plain.get(row.message, row.message)) for row in rows), frozenset(plain.values())


def shared_words(texts: Sequence[str]) -> int:
    """How many words all of them begin with; never all the words of one."""
    split = [text.split() for text in texts]
    most = min((len(words) - 1 for words in split), default=0) if len(split) > 1 else 0
    return next((at for at in range(most) if len({words[at] for words in split}) > 1), max(most, 0))


def _candidates(catalog: Catalog) -> list[Candidate]:
    return [
        Candidate(
            key=f"{index}:{response.id}",
            text=response.id,
            name=response.key,
            when=response.when,
            examples=examples_of(response, catalog.locale, catalog),
            no_match=response.id == catalog.fallback,
        )
        for index, response in enumerate(one for one in catalog.responses.values() if not one.offer_of)
    ]


def _n_allowed(policy: Policy) -> int | None:
    """How many responses a turn leaves besides the fallback: as many as at its beginning, if it can begin without facts."""
    try:
        begun = Dialogue(policy, drafts=True).reply("")
    except ConstrainedError:  # it needs facts that only its host knows
        return None
    return max(2, sum(option.id != policy.catalog.fallback for option in begun.record.options))


def _id(candidate: Candidate) -> str:
    return candidate.key.split(":", 1)[1]


def _reader(policy: Policy, engine: TransformersEngine) -> Callable[[str, Sequence[Candidate]], Floats]:
    """The engine's rule on one message, as in a turn at the beginning of a conversation."""
    catalog, rule = policy.catalog, engine.rule
    scene = PromptContext(
        static_id=f"{catalog.hash} {policy.hash} {catalog.locale}",
        speaker=catalog.speaker,
        persona=catalog.persona,
        rules=policy.rules,
        listing=tuple((response.id, response.when) for response in catalog.responses.values() if not response.offer_of),
        background=tuple(one for response in catalog.responses.values() for one in examples_of(response, catalog.locale, catalog)),
        state="",
        history=(),
        message="",
        locale=catalog.locale,
    )

    def read(message: str, candidates: Sequence[Candidate]) -> Floats:
        asked = ChoiceRequest([Choice("reply", "option", tuple(candidates))], replace(scene, message=message))
        with engine.reader.model.lock:
            found = rule.scores(engine.reader, [asked], None)[0][0]
        return found.scores if found.scores is not None else np.asarray([float(index == found.picked) for index in range(len(candidates))])

    return read


def _figures(mixed: FittedMixture) -> dict[str, float]:
    figures = dict(mixed.judges)
    if mixed.right:
        confidence = np.asarray([row.max() for row in mixed.held_out])
        right = np.asarray([int(row.argmax()) == label for row, label in zip(mixed.held_out, mixed.right, strict=True)])
        figures |= {"expected calibration error": ece(confidence, right)}
    return figures
