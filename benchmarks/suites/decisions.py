"""Suite decisions: decisions a second of ``/v1/decisions`` beside a plain encoder server, at 1, 8 and 32 clients.

Both are processes as users start them, each asked by turns with texts that it has not seen. Same encoder, same labels.
"""

from __future__ import annotations

import http.client
import json
import statistics
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count
from typing import Any

from benchmarks.harness import Bench
from benchmarks.measure import BenchmarkError, Spread
from benchmarks.suites.serve_process import MESSAGES, PACK, peer_serving, serving

LABELS = {
    "food": "something to eat", "drink": "an ale or a wine", "room": "a bed for the night", "key": "buying the key to the cellar",
    "news": "rumours of the town", "price": "what something costs", "greeting": "a greeting", "farewell": "a farewell",
    "threat": "a threat", "thanks": "thanks", "complaint": "a complaint", "other": "something else",
}  # fmt: skip
CLIENTS, N_ROUNDS, SECONDS = (1, 8, 32), 5, 4.0
PLAIN = "a plain encoder server"


@dataclass(frozen=True, slots=True)
class Asked:
    """Who is asked what. ``is_sound``: whether an answer is one."""

    name: str
    port: int
    path: str
    token: str
    body: Callable[[str], dict[str, Any]]
    is_sound: Callable[[dict[str, Any]], bool]


def run(bench: Bench) -> None:
    clients, n_rounds, seconds = ((1, 2), 1, 0.2) if bench.is_smoke else (CLIENTS, N_ROUNDS, SECONDS)
    texts = (f"{MESSAGES[number % len(MESSAGES)]} ({number} of us)" for number in count())
    with serving(["--model", "small", "--no-watch"]) as own, peer_serving("-m", "benchmarks.peers.encoder_server", *LABELS) as port:
        cases = [
            Asked(PLAIN, port, "/classify", "", lambda text: {"input": text}, lambda found: found["label"] in LABELS),
            Asked("ad-hoc options", own.port, "/v1/decisions", own.token, _ad_hoc, lambda found: _is_sound(found, len(LABELS))),
            Asked("a pack's own choice", own.port, "/v1/decisions", own.token, _of_pack, lambda found: _is_sound(found, 0)),
        ]
        for n_clients in clients:
            for case in cases:
                _rate(case, n_clients, seconds / 4, texts)
            rates = [{case.name: _rate(case, n_clients, seconds, texts) for case in _turned(cases, at)} for at in range(n_rounds)]
            for case in cases:
                told = f"{case.name}, {n_clients} clients"
                bench.add(told, "decisions a second", Spread.of([one[case.name][0] for one in rates]), "1/s")
                bench.add(told, "a decision, median", Spread.of([one[case.name][1] * 1e3 for one in rates]), "ms")
                if case.name != PLAIN:
                    ratios = [one[case.name][0] / one[PLAIN][0] for one in rates]
                    bench.add(told, "decisions a second, share of", Spread.of(ratios), "ratio", reference=PLAIN)


def _ad_hoc(text: str) -> dict[str, Any]:
    choices = [{"value": value, "description": description} for value, description in LABELS.items()]
    question = {"type": "choice", "name": "topic", "instructions": "What is it about?", "choices": choices}
    return {"model": "small", "input": text, "questions": [question]}


def _of_pack(text: str) -> dict[str, Any]:
    question = {"type": "choice", "name": "reply", "instructions": "What is said?"}
    return {"model": PACK, "input": text, "state": {"gold": 80}, "questions": [question]}


def _is_sound(found: dict[str, Any], n_options: int) -> bool:
    told = [one["probability"] for one in found["answers"][0]["probabilities"]]
    return abs(sum(told) - 1) < 1e-3 and (not n_options or len(told) == n_options)


def _turned(cases: list[Asked], at: int) -> list[Asked]:
    return [*cases[at % len(cases) :], *cases[: at % len(cases)]]


def _rate(asked: Asked, n_clients: int, seconds: float, texts: Iterator[str]) -> tuple[float, float]:
    """Decisions a second of so many clients at once, and the median time of one."""
    end = time.perf_counter() + seconds

    def ask(_: int) -> list[float]:
        connection, times = http.client.HTTPConnection("127.0.0.1", asked.port, timeout=60), []
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {asked.token}"}
        while not times or time.perf_counter() < end:
            start_s = time.perf_counter()
            connection.request("POST", asked.path, json.dumps(asked.body(next(texts))), headers)
            answer = connection.getresponse()
            content = answer.read()
            times.append(time.perf_counter() - start_s)
            if answer.status != 200 or not asked.is_sound(json.loads(content)):
                raise BenchmarkError(f"{asked.name}: {answer.status} {content[:200]!r}")
        connection.close()
        return times

    start_s = time.perf_counter()
    with ThreadPoolExecutor(n_clients) as threads:
        times = [one for own in threads.map(ask, range(n_clients)) for one in own]
    return len(times) / (time.perf_counter() - start_s), statistics.median(times)
