"""Suite ``rules``: every score rule on the same messages of BANKING77, none of whose labels was ever learned from.

``none``: topics have a name only. ``few``: ten examples each. ``peers``: what outlines and transformers' decision pipeline
make of the same lists. ``--model`` names the model (the small default one), ``--prompts`` how many messages of the dev part.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness import Bench
from benchmarks.options import PARTS
from benchmarks.sets import Row, Set, load
from constrained.engines.protocol import Candidate, Choice, ChoiceRequest, PromptContext
from constrained.quality.calibration import batch_calibration, contextual_calibration

N_MESSAGES = 154  # two of each topic
N_NEAREST = 10  # examples in the prompt
N_LETTERS = 8  # options that a letter each is given to: the nearest ones
FREE = ("N/A", "", "[MASK]")
PERSONA = "You sort what customers write to a bank by its topic, and answer with the topic alone."

Floats = NDArray[np.float64]
Nearest = Callable[[str], list[tuple[str, str]]]
"""Message -> labelled examples near it, the nearest one last."""


def run(bench: Bench) -> None:
    """Each part by itself; a toy network in a smoke run."""
    engine = _engine(bench)
    for part in ("few",) if bench.is_smoke else bench.options.parts or PARTS["rules"]:
        found = _smoke_set() if bench.is_smoke else load("banking77", 0 if part == "none" else 10, bench.seed)
        if part == "peers":
            _peers(bench, engine, found)
        else:
            _Ablation(bench, engine, found, part).run()


def _engine(bench: Bench) -> Any:
    from constrained.engines.model_files import get_model
    from constrained.engines.transformers import TransformersEngine

    if bench.is_smoke:
        from benchmarks.peers.bed import toy_network, toy_tokenizer

        return TransformersEngine.around(toy_network("float32", bench.seed), toy_tokenizer())
    return TransformersEngine(bench.options.model or get_model(), dtype=bench.options.dtype)


def _smoke_set() -> Set:
    labels = ("one", "two", "three")
    examples = {label: tuple(f"{label} {number}" for number in range(4)) for label in labels}
    return Set(
        "made up", labels, {label: f"about {label}" for label in labels}, {}, examples, (), tuple(Row(f"{one} 9", one) for one in labels)
    )


class _Ablation:
    """Scores of all rules over the same messages: [message, label] nats each."""

    def __init__(self, bench: Bench, engine: Any, found: Set, part: str) -> None:
        self.bench, self.engine, self.found, self.part = bench, engine, found, part
        self.asked = some(found.dev, bench.options.n_prompts or N_MESSAGES, bench.seed)
        name = "banking77" if not bench.is_smoke else "made up"
        self.case = f"{name}, {'no' if part == 'none' else 'ten'} examples"
        self.candidates = [_candidate(found, at) for at in range(len(found.labels))]
        self.scene = PromptContext(
            static_id=part,
            speaker="the assistant",
            persona=PERSONA,
            rules="",
            listing=tuple((one.name, one.when) for one in self.candidates),
            background=tuple(row.message for row in found.shown),
            state="",
            history=(),
            message="",
            locale="en",
        )

    def run(self) -> None:
        from constrained.engines.decoding.prompts import PromptPlan
        from constrained.engines.decoding.rules import Channel

        self.bench.add(self.case, "messages", len(self.asked), "messages")
        bare, listing = PromptPlan(has_rules=False, has_listing=False), PromptPlan(has_rules=False)
        if self.part == "none" or self.bench.is_smoke:  # examples change nothing here
            self._direct("key", bare, "key")
            self._direct("when", bare, "when")
            self._direct("text", bare, "text")
            self._direct("key", listing, "key, all listed in the prompt")
        channel = self._measured("channel", lambda message: self._scored(Channel("exact", words=0.0), replace(self.scene, message=message)))
        self._told("channel, batch calibration", batch_calibration(channel))
        if self.found.shown:
            nearest = self._nearest()
            near = self._direct("key", bare, f"key, {N_NEAREST} nearest examples in the prompt", nearest)
            self._told("channel and that, equal weights", _standard(channel) + _standard(near))
        self._prototypes()

    def _direct(self, surface: Any, plan: Any, name: str, nearest: Nearest | None = None) -> Floats:
        """The plain likelihood once; all that is taken off it follows. The scores with the prior of a neutral prompt off."""
        from constrained.engines.decoding.direct_rule import Direct

        plain = Direct(surface, has_prior=False, plan=plan)
        raw = self._measured(f"{name}, sum", lambda message: self._scored(plain, self._before(message, nearest)))
        surfaces = tuple({"key": one.name, "when": one.when, "text": one.text}[surface] for one in self.candidates)
        lengths = [len(row) for row in self.engine.reader.indexed(surfaces).rows]
        prior = self._scored(plain, replace(self.scene, message="..."))
        free = np.stack([self._scored(plain, replace(self.scene, message=text)) for text in FREE])
        self._told(f"{name}, mean", raw / np.asarray(lengths))
        self._told(f"{name}, PMI", raw - prior)
        self._told(f"{name}, contextual calibration", contextual_calibration(raw, free))
        self._told(f"{name}, batch calibration", batch_calibration(raw))
        return np.asarray(raw - prior)

    def _before(self, message: str, nearest: Nearest | None) -> PromptContext:
        near = nearest(message) if nearest else []
        history = tuple(line for example, label in near for line in (("user", example), ("reply", _name(label))))
        return replace(self.scene, message=message, history=history)

    def _scored(self, rule: Any, scene: PromptContext) -> Floats:
        ask = ChoiceRequest([Choice("topic", "option", tuple(self.candidates))], scene)
        found: Floats = rule.scores(self.engine.reader, [ask], None)[0][0].scores
        return found

    def _measured(self, name: str, score: Callable[[str], Floats]) -> Floats:
        """All messages, and how long one takes."""
        rows, seconds = [], []
        score(self.asked[0].message)  # what is static is computed once
        for row in self.asked:
            start = time.perf_counter()
            rows.append(score(row.message))
            seconds.append(time.perf_counter() - start)
        scores = np.stack(rows)
        self._told(name, scores)
        self.bench.add(self.case, f"time of one decision, {name}", 1000 * float(np.median(seconds)), "ms")
        return scores

    def _told(self, name: str, scores: Floats) -> None:
        right = [self.found.labels[at] in row.rights for at, row in zip(scores.argmax(axis=1), self.asked, strict=True)]
        self.bench.add(self.case, f"picked as expected, {name}", float(np.mean(right)), "share")

    def _nearest(self) -> Nearest:
        """By the letters in common, so that nothing but the model itself is needed."""
        from constrained.engines.decoding.prompts import lettered, overlap

        shown = self.found.shown
        lines = [(lettered(row.message),) for row in shown]

        def nearest(message: str) -> list[tuple[str, str]]:
            order = np.argsort(-np.asarray(overlap(lettered(message), lines)), kind="stable")[:N_NEAREST]
            return [(shown[at].message, shown[at].label) for at in reversed(order.tolist())]

        return nearest

    def _prototypes(self) -> None:
        """The mean vector of what each topic has and is called, by the model's own states and by a sentence encoder."""
        from constrained.engines.decoding.encoder import load_encoder
        from constrained.errors import ModelNotFoundError

        judges = {"the model's own states": self.engine.states}
        try:
            judges |= {} if self.bench.is_smoke else {"the sentence encoder": load_encoder("minilm")}
        except ModelNotFoundError as error:
            self.bench.tell(error.message)
        for name, judge in judges.items():
            self._told(f"prototypes of {name}", self._by_prototype(judge))

    def _by_prototype(self, encoder: Any) -> Floats:
        """[message, label] cosines."""
        from torch.nn.functional import normalize

        from constrained.engines.decoding.encoder import vectors

        means = [vectors(encoder, [one.name, *one.examples]).float().mean(dim=0) for one in self.candidates]
        asked = vectors(encoder, [row.message for row in self.asked]).float()
        return np.stack([(asked @ normalize(mean, dim=-1)).double().numpy() for mean in means], axis=1)


def _peers(bench: Bench, engine: Any, found: Set) -> None:
    """The names of all topics as a choice of outlines; of the nearest eight, which it can list, in the decision pipeline."""
    from benchmarks.peers import Entry
    from benchmarks.peers.bed import Bed, Prompt, networks
    from benchmarks.peers.decision_pipeline import Peer as Pipeline
    from benchmarks.peers.outlines_walk import Peer as Outlines
    from constrained.engines.decoding.prompts import lettered, overlap
    from constrained.engines.model_files import get_model

    reader, names = engine.reader, [_name(label) for label in found.labels]
    asked = some(found.dev, bench.options.n_prompts or N_MESSAGES, bench.seed)
    static = f"{PERSONA}\n\nThe topics: {', '.join(names)}."
    prompts = []
    for row in asked:
        prefix, suffix = reader.tokens.chat(static, row.message)
        prompts.append(Prompt(row.message, static, row.message, tuple(prefix), tuple(suffix)))
    model = str(bench.options.model or get_model())
    network, tokenizer = networks(model, bench.options.dtype or "bfloat16", "cpu", bench.seed)
    bed = Bed.around(model, network, tokenizer, prompts, {})
    entries = [Entry(name, name, found.when[label]) for name, label in zip(names, found.labels, strict=True)]
    walk = Outlines(bed, "core")
    walk.compile(entries)
    case = "banking77, ten examples"
    said = [walk.decide(prompt, 30).text for prompt in prompts]
    right = [text in names and found.labels[names.index(text)] in row.rights for text, row in zip(said, asked, strict=True)]
    bench.add(case, "picked as expected, outlines, topics listed in the prompt", float(np.mean(right)), "share")
    lines = [tuple(lettered(one) for one in (name, *found.examples[label])) for name, label in zip(names, found.labels, strict=True)]
    pipeline, picked, inside, turned = Pipeline(bed), [], [], []
    for prompt, row in zip(prompts, asked, strict=True):
        near = np.argsort(-np.asarray(overlap(lettered(row.message), lines)), kind="stable")[:N_LETTERS].tolist()
        inside.append(any(found.labels[at] in row.rights for at in near))
        answers = []
        for order in (near, near[::-1]):
            pipeline.compile([entries[at] for at in order])
            answers.append(found.labels[order[pipeline.decide(prompt, 1).row]])
        picked.append(answers[0] in row.rights)
        turned.append(answers[0] != answers[1])
    bench.add(case, f"right one among the {N_LETTERS} nearest by letters", float(np.mean(inside)), "share")
    bench.add(case, f"picked as expected, decision pipeline among these {N_LETTERS}", float(np.mean(picked)), "share")
    bench.add(case, f"another pick when these {N_LETTERS} are listed backwards, decision pipeline", float(np.mean(turned)), "share")


def _candidate(found: Set, at: int) -> Candidate:
    label = found.labels[at]
    text, examples = found.texts.get(label, label), found.examples.get(label, ())
    return Candidate(f"{at}:{label}", text, name=_name(label), when=found.when[label], examples=examples)


def _name(label: str) -> str:
    return label.replace("_", " ")


def some(rows: Sequence[Row], n: int, seed: int) -> list[Row]:
    """``n`` messages, as equally many of each label as there can be."""
    drawn = [rows[at] for at in np.random.default_rng(seed).permutation(len(rows))]
    count: dict[str, int] = {}
    turn = []
    for row in drawn:
        turn.append(count.get(row.label, 0))
        count[row.label] = turn[-1] + 1
    return [drawn[at] for at in np.argsort(turn, kind="stable")[:n]]


def _standard(scores: Floats) -> Floats:
    """Scores of different rules made alike: each row's spread is 1."""
    return np.asarray((scores - scores.mean(axis=1, keepdims=True)) / scores.std(axis=1, keepdims=True))
