"""Peer: a sentence encoder (all-MiniLM-L6-v2) and logistic regression over the candidates' examples: the honest floor of a choice.

Twenty lines that anybody writes: no state, no sentences, no spelling. Source: Reimers and Gurevych, Sentence-BERT, EMNLP 2019.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from constrained.engines.protocol import Choice, Deadline, Distribution, PromptContext
from constrained.engines.small.encoder import MINILM_SIZE, MiniLM

REST = 0.3  # cosine to the nearest example under which nothing fits; written down before any figure was seen
STRENGTHS = (1.0, 10.0, 100.0)  # inverse ones of the regularisation; chosen on the examples alone, by their likelihood while left out
N_FOLDS = 3  # where every candidate has as many examples; else the middle one is used
MOST_STEPS = 1_000


class MiniLMRegression:
    """An engine: scikit-learn's LogisticRegressionCV, a class each candidate; "none of these" where no example is near.

    Fitted once for each set of candidates, at the first choice of it.
    """

    identity: Mapping[str, str] = {"model": "all-MiniLM-L6-v2", "rule": "logistic regression"}

    def __init__(self) -> None:
        self._encoder = MiniLM()
        self._fitted: dict[Choice, tuple[Any, NDArray[np.float32]]] = {}

    def choose(self, choices: Sequence[Choice], scene: PromptContext, deadline: Deadline | None = None) -> list[Distribution]:
        message = self.embed([scene.message])
        return [self._distribution(choice, message) for choice in choices]

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """[text, 384] of length 1: the mean of the last hidden states."""
        return self._encoder.vectors(texts)[:, :MINILM_SIZE]

    def _distribution(self, choice: Choice, message: NDArray[np.float32]) -> Distribution:
        if choice not in self._fitted:
            self._fitted[choice] = self._fit(choice)
        regression, examples = self._fitted[choice]
        found = np.zeros(len(choice.candidates))
        rest = [place for place, one in enumerate(choice.candidates) if one.no_match]
        if rest and float((examples @ message[0]).max(initial=-1.0)) < REST:
            found[rest[0]] = 1.0
        elif isinstance(regression, int):
            found[regression] = 1.0
        else:
            found[regression.classes_] = regression.predict_proba(message)[0]
        return Distribution(tuple(found.tolist()), "exact")

    def _fit(self, choice: Choice) -> tuple[Any, NDArray[np.float32]]:
        """The regression, or the only class; and the vectors of all examples."""
        from sklearn.linear_model import LogisticRegression, LogisticRegressionCV

        named = [(place, one) for place, one in enumerate(choice.candidates) if not one.no_match or len(choice.candidates) == 1]
        texts = [(place, text) for place, one in named for text in one.examples or (one.when or one.name or one.text,)]
        examples, places = self.embed([text for _, text in texts]), [place for place, _ in texts]
        if len(set(places)) == 1:
            return places[0], examples
        if min(Counter(places).values()) < N_FOLDS:
            return LogisticRegression(C=STRENGTHS[1], max_iter=MOST_STEPS).fit(examples, places), examples
        chosen = LogisticRegressionCV(Cs=STRENGTHS, cv=N_FOLDS, scoring="neg_log_loss", max_iter=MOST_STEPS, use_legacy_attributes=False)
        return chosen.fit(examples, places), examples
