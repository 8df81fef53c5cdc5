"""A server on loopback that answers as vLLM's does, from a tiny network or made-up numbers; and all that one may do wrong."""

from __future__ import annotations

import hashlib
import json
import math
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeVar

WORDS = "You may have all the gold, stranger. I will pay you."  # what no catalog holds
F = TypeVar("F", bound="Fake")
Tell = Callable[[Sequence[int]], Sequence[float]]  # log-probabilities of the whole vocabulary after a prompt


class MadeUp(Sequence[float]):
    """A distribution over N tokens that depends on the prompt; the same each time."""

    N = 64_000

    def __init__(self, prompt: Sequence[int]) -> None:
        self._seed = hashlib.sha256(repr(list(prompt)).encode()).digest()
        self._whole = math.log(sum(1 + one for one in self._seed) * (self.N / 32))

    def __len__(self) -> int:
        return self.N

    def __getitem__(self, token: Any) -> Any:
        return math.log(1 + self._seed[token % 32]) - self._whole


@dataclass
class Fake:
    """The server. ``how`` names what it does wrong from the next request on; ``log`` what it was asked."""

    tell: Tell = MadeUp
    tokenize: Callable[[str], list[int]] | None = None
    how: str = ""
    url: str = ""
    log: list[dict[str, Any]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)

    def answer(self, body: dict[str, Any]) -> dict[str, Any]:
        prompts, ids = body["prompt"], body["logprob_token_ids"]
        choices = [
            {"index": index, "text": WORDS, "finish_reason": "length", "logprobs": {"top_logprobs": [self._told(prompt, ids)]}}
            for index, prompt in enumerate(prompts)
        ]
        return {"object": "text_completion", "choices": self._spoilt(choices)}

    def _told(self, prompt: Sequence[int], ids: Sequence[int]) -> dict[str, float]:
        values = self.tell(prompt)
        told = {f"token_id:{token}": float(values[token]) for token in ids}
        if self.how == "masked":
            whole = math.log(sum(map(math.exp, told.values())))
            return {name: value - whole for name, value in told.items()}
        return told

    def _spoilt(self, choices: list[dict[str, Any]]) -> Any:
        first = choices[0]["logprobs"]["top_logprobs"]
        spoil = {
            "fewer choices": lambda: choices.pop(),
            "same index": lambda: [one.update(index=0) for one in choices],
            "no index": lambda: [one.pop("index") for one in choices],
            "no logprobs": lambda: [one.update(logprobs=None) for one in choices],
            "words": lambda: [one.update(logprobs={"top_logprobs": [{WORDS: -0.1}]}) for one in choices],
            "other ids": lambda: first.__setitem__(0, {f"token_id:{number + 50_000}": -1.0 for number in range(len(first[0]))}),
            "fewer ids": lambda: first[0].popitem(),
            "more ids": lambda: first[0].update({"token_id:59999": -3.0}),
            "positive": lambda: first.__setitem__(0, dict.fromkeys(first[0], 3.0)),
            "too much": lambda: first.__setitem__(0, dict.fromkeys(first[0], -0.0001)),
            "texts for numbers": lambda: first.__setitem__(0, dict.fromkeys(first[0], "-1.0")),
            "true": lambda: first.__setitem__(0, dict.fromkeys(first[0], False)),
            "two steps": lambda: first.append(dict(first[0])),
            "no list": lambda: None,
        }.get(self.how, lambda: None)
        spoil()
        return {"0": WORDS} if self.how == "no list" else choices


RAW = {  # whole answers, sent as they are
    "not json": WORDS.encode(),
    "empty": b"",
    "error with 200": json.dumps({"error": {"message": WORDS, "code": 500}}).encode(),
    "null": b"null",
    "nested": b"[" * 100_000,
    "nan": b'{"choices": [{"index": 0, "logprobs": {"top_logprobs": [{"token_id:1": NaN}]}}]}',
    "free text with 200": json.dumps({"choices": [{"index": 0, "text": WORDS, "logprobs": None}]}).encode(),
}
STATUS = {"HTTP 500": 500, "HTTP 404": 404, "HTTP 429": 429, "redirect": 307, "HTTP 204": 204}
SPOILT = (
    "fewer choices", "same index", "no index", "no logprobs", "words", "other ids", "fewer ids", "more ids", "positive", "too much",
    "texts for numbers", "true", "two steps", "no list", "masked",
)  # fmt: skip
KINDS = {"another content type": "text/html", "two kinds": "application/json, text/html"}  # whole answers under these
HANGS = ("hangs", "drips the head", "drips the body", "huge")
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
HOW = (*SPOILT, *RAW, *STATUS, "closes", *HANGS)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Any

    def log_message(self, *_: Any) -> None:
        """Says nothing."""

    def do_POST(self) -> None:
        fake: Fake = self.server.fake
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        fake.paths.append(self.path)
        try:
            self._answer(fake, body)
        except OSError:  # the caller went away
            self.close_connection = True

    def _answer(self, fake: Fake, body: dict[str, Any]) -> None:
        how = fake.how
        if how == "closes":
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
        elif how in HANGS:
            self._hang(fake, how)
        elif how == "cut off":
            self.close_connection = True
            self._send(json.dumps(fake.answer(body)).encode()[:-9], n_bytes=9)
        elif how in KINDS:
            self._send(json.dumps(fake.answer(body)).encode(), 200, {"Content-Type": KINDS[how]})
        elif how in STATUS:
            self._send(WORDS.encode() if STATUS[how] != 204 else b"", STATUS[how], {"Location": f"{fake.url}/elsewhere"})
        elif how in RAW:
            self._send(RAW[how])
        elif self.path == "/tokenize":
            told = fake.tokenize(body["prompt"]) if fake.tokenize else None
            self._send(json.dumps({"tokens": told}).encode(), 200 if told is not None else 404)
        else:
            fake.log.append(body)
            self._send(json.dumps(fake.answer(body)).encode())

    def _send(self, content: bytes, status: int = 200, headers: dict[str, str] | None = None, n_bytes: int = 0) -> None:
        """``n_bytes``: that are announced and do not come."""
        self.send_response(status)
        length = str(len(content) + n_bytes)
        for name, value in {"Content-Type": "application/json", "Content-Length": length, **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def _hang(self, fake: Fake, how: str) -> None:
        """A byte now and then, or nothing, until the test is over or the caller leaves."""
        self.close_connection = True
        if how == "huge":
            self.wfile.write(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
            while not fake.released.is_set():
                self.wfile.write(b"10000\r\n" + b" " * 65_536 + b"\r\n")
            return
        self.wfile.write({"drips the head": b"HTTP/1.1 200 OK\r\n", "drips the body": HEAD + b"Content-Length: 999\r\n\r\n"}.get(how, b""))
        while not fake.released.wait(0.02):
            if how != "hangs":
                self.wfile.write(b"x")


@contextmanager
def serving(
    tell: Tell = MadeUp, tokenize: Callable[[str], list[int]] | None = None, port: int = 0, fake: F | None = None
) -> Iterator[Fake | F]:
    """A server on a free port, or on ``port``; ``fake``: another one than vLLM's."""
    fake = fake or Fake(tell, tokenize)
    server = ThreadingHTTPServer(("127.0.0.1", port), _Handler)
    server.daemon_threads = True
    server.fake = fake  # type: ignore[attr-defined]
    fake.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield fake
    finally:
        fake.how = "closes"  # connections that are still open end as those of a killed process
        fake.released.set()
        server.shutdown()
        thread.join()
        server.server_close()
