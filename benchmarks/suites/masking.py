"""Suite ``masking``: how many numbers that may not be logged are masked, and what else is.

Found is a number of which nothing stays but what its mark shows. Intervals are exact (Clopper and Pearson, 1934), 95 %.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator, Sequence

from benchmarks.harness import Bench
from benchmarks.measure import Spread
from benchmarks.sets.private_numbers import APART, LANGUAGES, PrivateText, harmless_texts, private_texts
from benchmarks.sets.rows import read_csv, read_json
from constrained.records.masking import find_numbers, mask

N_EXPIRY = 4  # digits of a date that is written with a number


def run(bench: Bench) -> None:
    found = [(one, _is_masked(one)) for one in private_texts(bench.seed, 1 if bench.is_smoke else 10)]
    written = [(one, is_found) for one, is_found in found if one.way not in APART]
    for kind in dict.fromkeys(one.kind for one, _ in found):
        for is_named in (True, False):
            hits = [hit for one, hit in written if (one.kind, one.is_named) == (kind, is_named)]
            _rate(bench, f"{kind}, {'named' if is_named else 'not named'}", "masked", hits)
    for way in dict.fromkeys(one.way for one, _ in found):
        _rate(bench, f"way: {way}, named", "masked", [hit for one, hit in found if one.way == way and one.is_named])
    for language in LANGUAGES:
        _rate(bench, f"language: {language}, named", "masked", [hit for one, hit in written if one.language == language and one.is_named])
    _false_alarms(bench)
    _times(bench)


def _is_masked(one: PrivateText) -> bool:
    """Whether no character of the number is left, but for the mark and a date that is written with it."""
    text = one.messages[0]
    if len(one.messages) > 1:
        return all(find_numbers(part) for part in one.messages)
    start = text.index(one.number)
    spans = find_numbers(text)
    number = [place for place, char in enumerate(one.number, start) if char.isalnum()]
    n_left = sum(not any(span.start <= place < span.end for span in spans) for place in number)
    return n_left <= (N_EXPIRY if one.way.startswith("an expiry") else 0)


def _false_alarms(bench: Bench) -> None:
    groups = defaultdict[str, list[bool]](list)
    for group, text in harmless_texts(bench.seed, 20 if bench.is_smoke else 2_000):
        groups[group].append(bool(find_numbers(text)))
    for name, messages in _public():
        groups[name] = [bool(find_numbers(message)) for message in messages]
    for group, taken in groups.items():
        _rate(bench, f"nothing is meant: {group}", "masked", taken)


def _public() -> Iterator[tuple[str, list[str]]]:
    yield "BANKING77", [row["text"] for row in read_csv("banking77/train.csv", None)]
    yield "CLINC150", [text for part in read_json("clinc150/train_val.json", None).values() for text, _ in part]


def _times(bench: Bench) -> None:
    texts = {"a message without digits": "Good evening, could you please tell me when the branch opens?" * 2,
             "a message with a card": "my card 4111 1111 1111 1111 was stolen", "2,000 digits apart": "1 " * 1_000}  # fmt: skip
    for name, text in texts.items():
        samples = []
        for _ in range(3 if bench.is_smoke else 50):
            start = time.perf_counter()
            mask(text)
            samples.append((time.perf_counter() - start) * 1e3)
        bench.add(name, "time of masking", Spread.of(samples), "ms")


def _rate(bench: Bench, case: str, metric: str, flags: Sequence[bool]) -> None:
    bench.add(case, f"{metric} (of {len(flags)})", Spread.share(flags), "share")
