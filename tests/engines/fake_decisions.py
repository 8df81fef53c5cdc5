"""A server on loopback that answers ``/v1/decisions`` and ``/v1/systemone``, each option by itself; and all that one may do wrong."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from zlib import crc32

from tests.engines.fake_vllm import WORDS, Fake


def weight(value: str) -> float:
    return 1.0 + crc32(value.encode()) % 997


def own_shares(values: list[str]) -> dict[str, float]:
    """Probabilities that are in proportion, whatever else is asked for."""
    whole = math.fsum(map(weight, values))
    return {value: weight(value) / whole for value in values}


@dataclass
class FakeDecisions(Fake):
    """``tell_shares``: the probabilities of the options of a question."""

    tell_shares: Callable[[list[str]], dict[str, float]] = own_shares

    def answer(self, body: dict[str, Any]) -> dict[str, Any]:
        is_systemone = "state" in body
        asked = body["questions"].items() if is_systemone else [(one["name"], one) for one in body["questions"]]
        answers = {}
        for name, question in asked:
            values = list(question["criteria"]) if is_systemone else [one["value"] for one in question["choices"]]
            shares = self.tell_shares(values)
            answers[name] = {"type": "choice", "choice": max(shares, key=shares.__getitem__), "probabilities": shares, "confidence": 0.5}
        self._spoil(answers)
        told: Any = answers
        if not is_systemone:
            told = [{"name": name, **one, "probabilities": _pairs(one["probabilities"])} for name, one in answers.items()]
        if self.how == "no answers":
            return {"model": WORDS, "usage": {"input_tokens": 7}}
        return {"model": WORDS, "answers": told, "usage": {"input_tokens": 7, "output_tokens": 0}}

    def _spoil(self, answers: dict[str, Any]) -> None:
        first = next(iter(answers.values()))
        shares = first["probabilities"]
        one, *_, last = shares
        spoil: dict[str, Callable[[], Any]] = {
            "unknown option": lambda: shares.update({WORDS: shares.pop(one)}),
            "missing option": lambda: shares.update({last: shares[last] + shares.pop(one)}),
            "one option more": lambda: shares.update({WORDS: 0.0}),
            "sum above 1": lambda: shares.update({one: shares[one] + 0.002}),
            "sum below 1": lambda: shares.update({one: shares[one] * 0.5}),
            "NaN": lambda: shares.update({one: math.nan}),
            "infinite": lambda: shares.update({one: math.inf}),
            "negative": lambda: shares.update({one: -0.1, last: shares[last] + shares[one] + 0.1}),
            "text for a number": lambda: shares.update({one: str(shares[one])}),
            "true for a number": lambda: first.update(probabilities={name: name == one for name in shares}, choice=one),
            "null for a number": lambda: shares.update({one: None}),
            "another choice": lambda: first.update(choice=min(shares, key=shares.__getitem__)),
            "unknown choice": lambda: first.update(choice=WORDS),
            "no choice": lambda: first.pop("choice"),
            "no probabilities": lambda: first.update(probabilities={}),
            "another type": lambda: first.update(type="score"),
            "missing answer": lambda: answers.pop(next(iter(answers))),
            "one answer more": lambda: answers.update({WORDS: first}),
            "another question": lambda: answers.update({WORDS: answers.pop(next(iter(answers)))}),
            "refusal": lambda: first.update(type="refusal"),
        }
        spoil.get(self.how, lambda: None)()


def _pairs(shares: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"value": value, "probability": share} for value, share in shares.items()]


OPTIONS, NUMBERS, SUM = "probabilities of other options than were asked for", "probabilities that are none", "do not add up to 1"
CHOICE, QUESTION, FORM = "a choice that is not its most probable option", "answer", "an answer"
MATRIX = {  # fault -> what the engine says of it
    "unknown option": OPTIONS, "missing option": OPTIONS, "one option more": OPTIONS, "no probabilities": "probabilities",
    "sum above 1": SUM, "sum below 1": SUM,
    "NaN": "no JSON", "infinite": "no JSON", "negative": NUMBERS, "text for a number": NUMBERS, "true for a number": NUMBERS,
    "null for a number": NUMBERS, "another choice": CHOICE, "unknown choice": CHOICE, "no choice": CHOICE,
    "another type": FORM, "refusal": "", "missing answer": QUESTION, "one answer more": QUESTION, "another question": QUESTION,
    "no answers": QUESTION, "not json": "no JSON", "empty": "no JSON", "null": "no object", "nested": "a body of more than",
    "error with 200": QUESTION, "another content type": "content type", "two kinds": "content type", "cut off": "the connection failed",
    "closes": "the connection failed", "HTTP 500": "HTTP 500", "HTTP 404": "HTTP 404", "HTTP 429": "HTTP 429", "redirect": "HTTP 307",
    "HTTP 204": "HTTP 204", "huge": "a body of more than", "hangs": "did not answer in time",
    "drips the head": "did not answer in time", "drips the body": "did not answer in time",
}  # fmt: skip
