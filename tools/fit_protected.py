"""Fits the heads of the protected triggers to the train parts of ``constrained/understanding/protected/data``, and keeps their weights.

    python tools/fit_protected.py            # writes heads.en.json and heads.other.json
    python tools/fit_protected.py --ordinary FILE   # thresholds are held against these messages, too, one a line

Thresholds are the lowest that keep false alarms within their shares on the ordinary messages given, on chatter and on the near misses of
dev, and on long messages made of them; what they miss of dev is printed. Needs scikit-learn.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.svm import SVC

from constrained.engines.small.background import chatter
from constrained.engines.small.encoder import shared_encoder
from constrained.packs import load_policy
from constrained.understanding.protected import heads, phrases
from constrained.understanding.protected.values import TRIGGERS

Floats = NDArray[np.float64]
STRENGTH = 20.0  # C of the support vector machines, chosen on dev among 1, 5, 20, 100
NEAR_MISS = 2.0  # what a near miss counts, against 1 for an ordinary message
RELATED = {  # what else a message that means a trigger may well mean: it is no example against that
    "self_harm": ("vulnerability", "emergency"),
    "emergency": ("vulnerability", "self_harm"),
    "human": ("complaint",),
    "hardship": ("vulnerability",),
    "bereavement": ("vulnerability", "self_harm"),
    "vulnerability": ("hardship", "bereavement", "self_harm", "emergency", "complaint"),
    "legal_threat": ("complaint",),
    "complaint": ("legal_threat", "human", "vulnerability"),
}
PACKS = ("bank_disputes", "clinic_booking", "tavern")
ABOUT = frozenset(  # responses of the packs that answer a trigger, or something near one: their examples are no everyday messages
    [
        "hand_over",
        "hardship_support",
        "hardship_notice",
        "abuse",
        "complaint",
        "wait_for_colleague",
        "emergency_call",
        "emergency_stay",
        "emergency_over",
        "crisis_line",
        "human",
        "interpreter",
        "accessibility",
        "waiting_list",
        "no_credit",
        "insult_back",
        "bereavement",
        "crisis_support",
        "emergency_number",
        "condolence",
        "extra_help",
        "cost_help",
        "real_distress",
        "way_out",
        "tricked",
        "robot",
        "bot",
    ]
)
FIRST = ("self_harm", "emergency")  # to miss one of these costs more than to hear it falsely
ALARMS = {"likely": {True: 0.003, False: 0.001}, "yes": {True: 0.001, False: 0.0005}}  # [whether first] share of ordinary messages over it
LONG_ALARMS = {True: 0.01, False: 0.005}  # [whether first] share of the long ones that may be likely at least
NEAR_ALARMS = 0.13  # share of the near misses of dev that may be heard as yes
LOWEST = {"yes": -0.15, "likely": -0.5}  # thresholds are no lower than this
HIGHEST = -0.15  # of "likely": one loud sentence of a small sample must not make a trigger deaf
GAP = 0.2  # between the two
N_LONG = 400  # long messages; their parts are 5 to 15 ordinary ones


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ordinary", type=Path, help="a file of ordinary messages, one a line")
    asked = parser.parse_args()
    given = asked.ordinary.read_text(encoding="utf-8").splitlines() if asked.ordinary else []
    for kind in ("en", "other"):
        write(kind, given)


def write(kind: str, given: Sequence[str]) -> None:
    """Fits, chooses thresholds and keeps the result."""
    found = fit(kind)
    thresholds = choose(kind, found, given)
    kept = {"made_of": heads.material_hash(kind), "thresholds": thresholds}
    path = heads.FOLDER / f"heads.{kind}.json"
    path.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    np.savez_compressed(path.with_suffix(".npz"), texts=heads.packed(found.texts), weights=found.weights, bias=found.bias)
    print(path, json.dumps(thresholds))


def fit(kind: str) -> heads.Heads:
    """The heads without their thresholds."""
    languages = heads.languages_of(kind)
    meant = [(trigger, text) for trigger, _, text in phrases.every_phrase("train", is_meant=True, languages=languages)]
    missed = [(trigger, text) for trigger, _, text in phrases.every_phrase("train", is_meant=False, languages=languages)]
    everyday = [text for language in languages for text in (*phrases.ordinary(language, "train"), *of_packs(language, is_dev=False))]
    free = [("", piece) for piece in dict.fromkeys(piece for text in everyday for piece in heads.pieces_of(text))]  # as they are read
    features = heads.unpacked(heads.packed(features_of(kind, [text for _, text in (*meant, *missed, *free)])))
    near = heads.kernel(features, features)
    weights, bias = np.zeros((len(features), len(TRIGGERS)), dtype=np.float32), np.zeros(len(TRIGGERS), dtype=np.float32)
    for at, trigger in enumerate(TRIGGERS):
        labels = np.array([one == trigger for one, _ in meant] + [False] * (len(missed) + len(free)))
        counts = np.array(
            [0.0 if one in RELATED[trigger] else 1.0 for one, _ in meant]
            + [NEAR_MISS if one == trigger else 1.0 for one, _ in missed]
            + [1.0] * len(free)
        )
        used = np.flatnonzero(counts > 0)
        counts[labels] *= counts[~labels].sum() / counts[labels].sum() / 3  # a third of the balance: alarms cost, too
        model = SVC(C=STRENGTH, kernel="precomputed")
        model.fit(near[np.ix_(used, used)], labels[used], sample_weight=counts[used] / counts[used].mean())
        weights[used[model.support_], at], bias[at] = model.dual_coef_[0], model.intercept_[0]
    is_used = np.abs(weights).sum(1) > 0
    nothing = np.zeros(len(TRIGGERS), dtype=np.float32)
    return heads.Heads(features[is_used], weights[is_used], bias, nothing, nothing, "")


@lru_cache(maxsize=16)
def of_packs(language: str, *, is_dev: bool) -> tuple[str, ...]:
    """Examples of the packs that no trigger is meant by: one half by their hash is fitted to, thresholds are chosen on the other."""
    found = [
        text
        for pack in PACKS
        for response in load_policy(pack).catalog.responses.values()
        for locale, texts in response.examples.items()
        for text in texts
        if response.id not in ABOUT and locale.split("-")[0] == language and not any(phrases.says(one, text) for one in TRIGGERS)
    ]
    return tuple(text for text in sorted(set(found)) if hashlib.sha256(text.encode()).digest()[0] % 2 == is_dev)


def features_of(kind: str, texts: Sequence[str]) -> NDArray[np.float32]:
    return heads.features_of(texts, shared_encoder("en" if kind == "en" else "es").vectors(texts))


def choose(kind: str, fitted: heads.Heads, given: Sequence[str]) -> dict[str, dict[str, float]]:
    """Trigger -> the thresholds ``likely`` and ``yes``."""
    own = ("en",) if kind == "en" else tuple(one for one in phrases.LANGUAGES if one != "en")
    free = [("en", text) for text in given] + [
        (one, text)
        for one in own
        for text in (
            *chatter(one),
            *of_packs(one, is_dev=True),
            *phrases.ordinary(one, "dev", "desks"),
            *phrases.ordinary(one, "dev", "answers"),
        )
    ]
    letters = [(one, text) for one in own for text in phrases.ordinary(one, "dev", "letters")]
    long = letters + long_messages(
        [*(pair for pair in free if pair[0] in own), *((one, part) for one, text in letters for part in phrases.split_sentences(text))]
    )
    ordinary, of_long = scores(kind, fitted, free), scores(kind, fitted, long)
    found = {}
    for at, trigger in enumerate(TRIGGERS):
        meant, near = (
            [(one, text) for one in own for text in phrases.load_phrases(trigger, one).messages("dev", is_meant=is_meant)]
            for is_meant in (True, False)
        )
        of_near = scores(kind, fitted, near)[:, at]
        unsaid = [not phrases.says(trigger, text) for _, text in free]  # what a phrase says no threshold changes
        is_first, short = trigger in FIRST, ordinary[unsaid, at]
        loud = max(cut(short, ALARMS["likely"][is_first]), cut(of_long[:, at], LONG_ALARMS[is_first]))
        likely = min(max(loud, LOWEST["likely"]), HIGHEST)
        yes = max(cut(short, ALARMS["yes"][is_first]), cut(of_near, NEAR_ALARMS), likely + GAP, LOWEST["yes"])
        found[trigger] = {"likely": round(likely, 3), "yes": round(yes, 3)}
        heard = [
            max(value, 9.0 if phrases.says(trigger, text) else -9.0)
            for (_, text), value in zip(meant, scores(kind, fitted, meant)[:, at], strict=True)
        ]
        counts = {name: int(sum(one >= level for one in heard)) for name, level in found[trigger].items()}
        print(f"{kind} {trigger}: {found[trigger]}, of {len(meant)} meant in dev {counts}, near misses {sum(of_near >= likely)} likely")
    return found


def cut(values: Floats, share: float) -> float:
    """The least score above which lies no more than this share."""
    ranked = np.sort(values)
    return float(ranked[len(ranked) - 1 - int(share * len(ranked))]) + 0.001


def long_messages(parts: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Messages of 5 to 15 parts in one language each, drawn with a fixed seed."""
    draw, found = random.Random(1), []
    for language in sorted({one for one, _ in parts}):
        texts = [text for one, text in parts if one == language]
        found += [(language, ". ".join(draw.sample(texts, draw.randint(5, 15)))) for _ in range(N_LONG)]
    return found


def scores(kind: str, fitted: heads.Heads, texts: Sequence[tuple[str, str]]) -> Floats:
    """[text, trigger] of the piece that speaks most for each, less what is taken off for their number."""
    pieces = [heads.pieces_of(heads.mended(text, language)) for language, text in texts]
    every = list(dict.fromkeys(piece for some in pieces for piece in some))
    of_piece: dict[str, Floats] = {}
    for at in range(0, len(every), 1024):
        part = every[at : at + 1024]
        of_piece |= dict(zip(part, fitted.scores(features_of(kind, part)).astype(np.float64), strict=True))
    return np.array([np.max([of_piece[piece] for piece in some], axis=0) - heads.allowance(len(some)) for some in pieces], dtype=np.float64)


if __name__ == "__main__":
    main()
