"""Servers of vLLM that are not trusted, asked for one-token distributions."""

from __future__ import annotations

import json
import logging
import math
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Any

from pydantic_core import from_json

from constrained.engines.http import Http, HttpFailure
from constrained.engines.protocol import TOLERANCE, Deadline
from constrained.errors import EngineError

log = logging.getLogger(__name__)
MOST_IDS = 128  # that vLLM tells of in one request (``logprob_token_ids``)
MOST_PROMPTS = 64  # in one request
N_FAILURES = 3  # in a row, until a server is passed over
REST_S, MOST_REST_S = 1.0, 60.0  # for how long; doubled with each failure that follows
LEAST_NATS = -1e6  # no model tells less of a token; sums of such numbers stay finite
SAME_NATS = 0.25  # within which one distribution asked twice must agree: rounding differs with what else is in a batch
Ids = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class NextTokenQuery:
    """Asks for log P(token | prompt) of each of some distinct tokens, over the whole vocabulary."""

    prompt: Ids
    tokens: Ids


@dataclass(slots=True)
class _Server:
    """One server, as far as it is known. ``until_s``: before then it is not asked."""

    url: str
    place: int
    n_failures: int = 0
    until_s: float = 0.0
    is_known: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)


class VllmServers:
    """Asks servers that hold the same model. Thread-safe.

    Args:
        urls: ``http://127.0.0.1:8000``, each without ``/v1``. model: under which name they serve it.
        probe: token ids of a few words, by which a server is tried out before it is believed: does it tell raw
            log-probabilities? tokenizer: a text and its ids, by which its tokenizer is compared; None: not at all.
        timeout_s: for one request. n_connections: requests at once.
        clock: monotonic seconds, for tests.
    """

    def __init__(
        self,
        urls: Sequence[str],
        model: str,
        *,
        probe: Ids,
        tokenizer: tuple[str, Ids] | None = None,
        api_key: str | None = None,
        timeout_s: float = 5.0,
        n_connections: int = 16,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._servers = [_Server(url.rstrip("/"), place) for place, url in enumerate(urls, 1)]
        self._model, self._probe, self._tokenizer = model, probe, tokenizer
        self._headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._timeout_s, self._clock = timeout_s, clock
        self._http = Http(n_connections)
        self._threads = ThreadPoolExecutor(n_connections, thread_name_prefix="constrained-vllm")
        self._lock, self._n_asked = threading.Lock(), 0

    def ask(self, questions: Sequence[NextTokenQuery], deadline: Deadline | None = None) -> list[tuple[float, ...]]:
        """[question] the log-probability of each of its tokens. Raises EngineError or DeadlineError."""
        parts = [
            NextTokenQuery(one.prompt, one.tokens[at : at + MOST_IDS]) for one in questions for at in range(0, len(one.tokens), MOST_IDS)
        ]
        batches = list(_batches(parts))
        asked = [self._threads.submit(self._answer_batch, batch, deadline) for batch in batches]
        wait(asked, None if deadline is None else max(deadline.left_s, 0.0))
        if deadline is not None and not all(one.done() for one in asked):
            for one in asked:
                one.cancel()
            deadline.check()
        found = iter([row for one in asked for row in one.result()])
        return [tuple(value for _ in range(0, len(one.tokens), MOST_IDS) for value in next(found)) for one in questions]

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._http.close()

    # -- which server ----------------------------------------------------------------------------------------

    def _answer_batch(self, batch: Sequence[NextTokenQuery], deadline: Deadline | None) -> list[list[float]]:
        """The batch's answers by the first server that gives sound ones; one that stands alone is asked twice."""
        for _ in range(max(2, len(self._servers))):
            server = self._next_server(deadline)
            if server is None:
                break
            try:
                found = self._complete(server, batch, self._within_s(deadline))
            except HttpFailure as failure:
                self._note_failure(server, failure, deadline)
            else:
                server.n_failures = 0
                return found
        raise EngineError("no vLLM server gives a sound answer", hint="the log tells what each of them did; see that one is up")

    def _next_server(self, deadline: Deadline | None) -> _Server | None:
        """The next server that is believed; where none is, one that passes its trial now. None when all fail, or rest."""
        with self._lock:
            self._n_asked += 1
            start = self._n_asked % len(self._servers)
        turned = [*self._servers[start:], *self._servers[:start]]
        known = next((server for server in turned if server.is_known), None)
        if known is not None and not any(self._is_due(server) for server in turned):
            return known
        for server in turned:
            if server.is_known or (self._is_due(server) and self._passes_trial(server, deadline)):
                return server
        return known

    def _is_due(self, server: _Server) -> bool:
        """Whether it is to be tried: it is not believed, has rested, and nobody tries it already."""
        return not server.is_known and self._clock() >= server.until_s

    def _passes_trial(self, server: _Server, deadline: Deadline | None) -> bool:
        """Whether a server passes its trial: one that was not asked before, or failed since, could be another one now."""
        if not server.lock.acquire(timeout=self._within_s(deadline)):
            return False
        try:
            if not self._is_due(server):
                return server.is_known  # somebody tried it meanwhile
            self._run_trial(server, self._within_s(deadline))
            server.is_known = True
        except HttpFailure as failure:
            self._note_failure(server, failure, deadline, is_trial=True)
        finally:
            server.lock.release()
        return server.is_known

    def _note_failure(self, server: _Server, failure: HttpFailure, deadline: Deadline | None, *, is_trial: bool = False) -> None:
        """From here on it is not believed until it passes another trial; after some failures in a row it rests before that."""
        if deadline is not None:
            deadline.check()  # a hurried caller proves nothing against a server
        if not server.is_known and not is_trial:
            return  # another request of the same moment told it
        server.is_known, server.n_failures = False, server.n_failures + 1
        n_over = server.n_failures - N_FAILURES
        if n_over >= 0:
            server.until_s = self._clock() + min(MOST_REST_S, REST_S * 2.0 ** min(n_over, 10))
        log.warning("vLLM server %d: %s%s", server.place, failure.reason, "; it is passed over for a while" if n_over >= 0 else "")

    def _within_s(self, deadline: Deadline | None) -> float:
        if deadline is None:
            return self._timeout_s
        deadline.check()
        return min(self._timeout_s, deadline.left_s)

    # -- what it says ----------------------------------------------------------------------------------------

    def _run_trial(self, server: _Server, within_s: float) -> None:
        one, other = (self._complete(server, [NextTokenQuery(self._probe, ids)], within_s)[0][0] for ids in (self._probe[:1], self._probe))
        if abs(one - other) > SAME_NATS:
            raise HttpFailure("it tells log-probabilities after the mask; start it with --logprobs-mode raw_logprobs")
        if self._tokenizer is not None:
            self._compare_tokenizer(server, *self._tokenizer, within_s)

    def _compare_tokenizer(self, server: _Server, text: str, ids: Ids, within_s: float) -> None:
        body = {"model": self._model, "prompt": text, "add_special_tokens": False}
        try:
            found = self._post(server, "/tokenize", body, within_s, 65_536 + 64 * len(text))
        except HttpFailure as failure:
            if failure.reason == "HTTP 404":  # a router before the servers may not pass it on
                return
            raise
        if not isinstance(found, dict) or found.get("tokens") != list(ids):
            raise HttpFailure("its tokenizer is not the local one")

    def _complete(self, server: _Server, batch: Sequence[NextTokenQuery], within_s: float) -> list[list[float]]:
        ids = list(dict.fromkeys(token for one in batch for token in one.tokens))
        body = {
            "model": self._model,
            "prompt": [list(one.prompt) for one in batch],
            "max_tokens": 1,
            "temperature": 0.0,
            "allowed_token_ids": ids,
            "logprobs": 1,
            "logprob_token_ids": ids,
            "return_tokens_as_token_ids": True,
        }
        found = self._post(server, "/v1/completions", body, within_s, 65_536 + len(batch) * (4_096 + 128 * len(ids)))
        return read_answer(found, batch, frozenset(ids))

    def _post(self, server: _Server, path: str, body: Any, within_s: float, most_bytes: int) -> Any:
        content = json.dumps(body, separators=(",", ":")).encode()
        found = self._http.send("POST", server.url + path, content, self._headers, within_s=within_s, most_bytes=most_bytes)
        try:
            return from_json(found, allow_inf_nan=False)
        except ValueError:
            raise HttpFailure("a body that is no JSON") from None


def read_answer(found: Any, batch: Sequence[NextTokenQuery], ids: frozenset[int]) -> list[list[float]]:
    """[prompt] the log-probability of each token that was asked for. Nothing else of an answer is looked at.

    Raises HttpFailure unless there is one answer for each prompt, with a number for each token of the request and
    for no other, none above 0, none that adds up to more than certainty.
    """
    choices = found.get("choices") if isinstance(found, dict) else None
    if not isinstance(choices, list) or len(choices) != len(batch):
        raise HttpFailure("an answer without one choice for each prompt")
    by_index = {one.get("index"): one for one in choices if isinstance(one, dict) and type(one.get("index")) is int}
    if set(by_index) != set(range(len(batch))):
        raise HttpFailure("an answer whose choices are not those of the prompts")
    return [_numbers_of(by_index[index], one, ids) for index, one in enumerate(batch)]


def _numbers_of(choice: dict[str, Any], asked: NextTokenQuery, ids: frozenset[int]) -> list[float]:
    logprobs = choice.get("logprobs")
    steps = logprobs.get("top_logprobs") if isinstance(logprobs, dict) else None
    if not isinstance(steps, list) or len(steps) != 1 or not isinstance(steps[0], dict):
        raise HttpFailure("an answer without the log-probabilities of one token")
    values = {_id(name): value for name, value in steps[0].items()}
    if values.keys() != ids:
        raise HttpFailure("log-probabilities of other tokens than were asked for")
    if not all(type(value) in (float, int) and LEAST_NATS <= value <= TOLERANCE for value in values.values()):  # false for NaN
        raise HttpFailure("log-probabilities that are none")
    if math.fsum(math.exp(value) for value in values.values()) > 1 + 0.05:
        raise HttpFailure("probabilities that add up to more than 1")
    return [float(values[token]) for token in asked.tokens]


def _id(name: str) -> int:
    kind, _, number = name.partition(":")
    return int(number) if kind == "token_id" and number.isascii() and number.isdigit() and len(number) < 10 else -1


def _batches(parts: Sequence[NextTokenQuery]) -> Iterator[list[NextTokenQuery]]:
    """Prompts that go in one request: MOST_PROMPTS of them, and no more than MOST_IDS tokens among them all."""
    batch: list[NextTokenQuery] = []
    ids: set[int] = set()
    for one in parts:
        if batch and (len(batch) >= MOST_PROMPTS or len(ids.union(one.tokens)) > MOST_IDS):
            yield batch
            batch, ids = [], set()
        batch.append(one)
        ids.update(one.tokens)
    if batch:
        yield batch
