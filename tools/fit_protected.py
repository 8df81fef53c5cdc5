"""Fits the heads of the protected triggers to the train parts of ``constrained/understanding/protected/data``, and keeps their weights.

    python tools/fit_protected.py            # writes heads.en.json and heads.other.json
    python tools/fit_protected.py --ordinary FILE   # thresholds are held against these messages, too, one a line

Thresholds are the lowest that keep false alarms within their shares on the ordinary messages given, on chatter and on the near misses of
dev; what they miss of dev is printed. Needs scikit-learn.
"""

from __future__ import annotations

import argparse
import hashlib
import json
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
ABOUT = {  # responses of the packs that answer a trigger: their examples are no everyday messages
    *("hand_over", "hardship_support", "hardship_notice", "abuse", "complaint", "wait_for_colleague", "emergency_call", "emergency_stay"),
    *("emergency_over", "crisis_line", "crisis_stay", "human", "interpreter", "accessibility", "waiting_list", "no_credit", "insult_back"),
}
ALARMS = {"yes": 0.002, "likely": 0.01}  # share of the ordinary messages that may lie over a threshold; some of them are right
NEAR_ALARMS = 0.13  # share of the near misses of dev that may be heard as yes
LOWEST = {"yes": -0.15, "likely": -0.6}  # thresholds are no lower than this
GAP = 0.15  # between the two


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
    free = [("", text) for language in languages for text in (*heads.ordinary(language), *of_packs(language, is_dev=False))]
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
    free = [("en", text) for text in given] + [(one, text) for one in own for text in (*chatter(one), *of_packs(one, is_dev=True))]
    ordinary = scores(kind, fitted, free)
    found = {}
    for at, trigger in enumerate(TRIGGERS):
        meant, near = (
            [(one, text) for one in own for text in phrases.load_phrases(trigger, one).messages("dev", is_meant=is_meant)]
            for is_meant in (True, False)
        )
        of_near = scores(kind, fitted, near)[:, at]
        likely = max(cut(ordinary[:, at], ALARMS["likely"]), LOWEST["likely"])
        yes = max(cut(ordinary[:, at], ALARMS["yes"]), cut(of_near, NEAR_ALARMS), likely + GAP, LOWEST["yes"])
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


def scores(kind: str, fitted: heads.Heads, texts: Sequence[tuple[str, str]]) -> Floats:
    """[text, trigger] of the piece that speaks most for each."""
    found = np.zeros((len(texts), len(TRIGGERS)))
    for row, (language, text) in enumerate(texts):
        pieces = heads.pieces_of(heads.mended(text, language))
        found[row] = fitted.scores(features_of(kind, pieces)).max(0)
    return found


if __name__ == "__main__":
    main()
