"""Fits the heads of the protected triggers to the train parts of ``constrained/understanding/protected/data``, and keeps their weights.

    python tools/fit_protected.py            # writes heads.en.json and heads.other.json
    python tools/fit_protected.py --ordinary FILE   # thresholds are held against these messages, too, one a line

Thresholds are chosen on the dev parts: ``yes`` and ``likely`` are the highest logits that miss no more than their share of the messages
that are meant, but no lower than what keeps false alarms on near misses and ordinary messages within theirs. Needs scikit-learn.
"""

from __future__ import annotations

import argparse
import base64
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from constrained.engines.small.encoder import shared_encoder
from constrained.understanding.protected import heads, phrases
from constrained.understanding.protected.values import TRIGGERS

Floats = NDArray[np.float64]
STRENGTH = 20.0  # C of the logistic regression, chosen on dev among 1, 5, 20, 100
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
MISSES = {"yes": 0.1, "likely": 0.0}  # share of the meant messages of dev that may lie under the threshold
ALARMS = {"yes": 0.002, "likely": 0.008}  # share of the ordinary messages that may lie over it


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ordinary", type=Path, help="a file of ordinary messages, one a line")
    asked = parser.parse_args()
    given = asked.ordinary.read_text(encoding="utf-8").splitlines() if asked.ordinary else []
    for kind in ("en", "other"):
        write(kind, given)


def write(kind: str, given: Sequence[str]) -> None:
    """Fits, chooses thresholds and keeps the result."""
    weights, bias = fit(kind)
    thresholds = choose(kind, weights, bias, given if kind == "en" else [])
    kept = {
        "made_of": heads.material_hash(kind),
        "thresholds": thresholds,
        "bias": [round(float(one), 5) for one in bias],
        "weights": base64.b64encode(weights.astype("<f4").tobytes()).decode(),
    }
    path = heads.FOLDER / f"heads.{kind}.json"
    path.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    print(path, json.dumps(thresholds))


def fit(kind: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """[feature, trigger] and [trigger]"""
    languages = heads.languages_of(kind)
    meant = [(trigger, text) for trigger, _, text in phrases.every_phrase("train", is_meant=True, languages=languages)]
    missed = [(trigger, text) for trigger, _, text in phrases.every_phrase("train", is_meant=False, languages=languages)]
    free = [("", text) for language in languages for text in heads.ordinary(language)]
    features = features_of(kind, [text for _, text in (*meant, *missed, *free)])
    columns = []
    for trigger in TRIGGERS:
        labels = np.array([one == trigger for one, _ in meant] + [False] * (len(missed) + len(free)))
        counts = np.array(
            [0.0 if one in RELATED[trigger] else 1.0 for one, _ in meant]
            + [NEAR_MISS if one == trigger else 1.0 for one, _ in missed]
            + [1.0] * len(free)
        )
        used = counts > 0
        counts[labels] *= counts[used & ~labels].sum() / max(counts[labels].sum(), 1) / 3  # a third of the balance: alarms cost, too
        model = LogisticRegression(C=STRENGTH, max_iter=2000)
        model.fit(features[used], labels[used], sample_weight=counts[used] / counts[used].mean())
        columns.append((model.coef_[0], model.intercept_[0]))
    return np.stack([one for one, _ in columns], axis=1).astype(np.float32), np.array([one for _, one in columns], dtype=np.float32)


def features_of(kind: str, texts: Sequence[str]) -> NDArray[np.float32]:
    return heads.features_of(texts, shared_encoder("en" if kind == "en" else "es").vectors(texts))


def choose(kind: str, weights: NDArray[np.float32], bias: NDArray[np.float32], given: Sequence[str]) -> dict[str, dict[str, float]]:
    """Trigger -> the thresholds ``likely`` and ``yes``."""
    own = ("en",) if kind == "en" else tuple(one for one in phrases.LANGUAGES if one != "en")
    found = {}
    ordinary = logits(kind, weights, bias, [("en", text) for text in given]) if given else np.zeros((0, len(TRIGGERS)))
    for at, trigger in enumerate(TRIGGERS):
        known = {is_meant: [(one, text) for one in own for text in phrases.load_phrases(trigger, one).messages("dev", is_meant=is_meant)]
                 for is_meant in (True, False)}  # fmt: skip
        meant = np.sort([value for (_, text), value in zip(known[True], logits(kind, weights, bias, known[True])[:, at], strict=True)
                         if not phrases.says(trigger, text)])  # fmt: skip
        near = np.sort(logits(kind, weights, bias, known[False])[:, at])
        free = np.sort(ordinary[:, at])
        values = {name: threshold(meant, near, free, name) for name in ("likely", "yes")}
        found[trigger] = {"likely": round(min(values["likely"], values["yes"] - 0.5), 3), "yes": round(values["yes"], 3)}
        print(
            kind,
            trigger,
            "meant",
            np.round(meant, 1),
            "near",
            np.round(near[-6:], 1),
            "ordinary",
            np.round(free[-40::5], 1),
            found[trigger],
        )
    return found


def threshold(meant: Floats, near: Floats, free: Floats, name: str) -> float:
    """The logit from which a trigger is heard so."""
    wanted = float(meant[int(MISSES[name] * len(meant))]) - 0.1 if len(meant) else 0.0
    n_alarms = int(ALARMS[name] * len(free))
    least = float(free[len(free) - 1 - n_alarms]) if len(free) else -9.0
    if name == "yes":
        least = max(least, float(near[-1 - len(near) // 20]), 0.0)
    return max(wanted, least)


def logits(kind: str, weights: NDArray[np.float32], bias: NDArray[np.float32], texts: Sequence[tuple[str, str]]) -> Floats:
    """[text, trigger] of the piece that speaks most for each."""
    found = np.zeros((len(texts), len(TRIGGERS)))
    for row, (language, text) in enumerate(texts):
        pieces = heads.pieces_of(heads.mended(text, language))
        found[row] = (features_of(kind, pieces) @ weights + bias).max(0)
    return found


if __name__ == "__main__":
    main()
