"""vLLM: its OpenAI-compatible server on the CPU, ``structured_outputs.choice`` or one token; asked over HTTP.

The adapter runs in vLLM's own virtual environment, and starts the server there.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from typing import Any

from benchmarks.peers import Answer, Entry, PeerAbsentError, PeerUnsupportedError, Recompiling
from benchmarks.peers.bed import TOY, Bed, Prompt

IS_REMOTE = True  # the worker need not load the model itself
UP_S = 240.0
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_SETTINGS = {
    "VLLM_CPU_KVCACHE_SPACE": "2",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "VLLM_SERVER_DEV_MODE": "1",  # /reset_prefix_cache
    "HF_HUB_OFFLINE": "1",
    "VLLM_LOGGING_LEVEL": "ERROR",
}


class Peer(Recompiling):
    """Before every measurement the server's prefix cache is emptied and the static part read again, as all peers have it.

    Args:
        way: ``choice`` lets it generate a line under its mask; ``token`` lists the lines under letters and reads one.
    """

    def __init__(self, bed: Bed, way: str) -> None:
        if bed.model == TOY:
            raise PeerUnsupportedError("a server needs a model in a folder; the toy is made in memory")
        self._bed, self._way = bed, way
        self._server = _Server(bed.model, str(bed.settings["dtype"]))

    def compile(self, entries: Sequence[Entry]) -> None:
        """The server compiles when it is first asked, so this is the time of a request for one token under the list."""
        self.entries = entries
        if self._way == "choice":
            self._complete(list(self._bed.prompts[0].prefix_ids), self._constraint() | {"max_tokens": 1})
        elif len(entries) > len(LETTERS):
            raise PeerUnsupportedError(f"at most {len(LETTERS)} options, a letter each")

    def prepare(self, prompt: Prompt) -> None:
        """Only the static part is in the cache; not timed."""
        self._server.post("/reset_prefix_cache", None)
        self._complete(list(prompt.prefix_ids), {"max_tokens": 1})

    def suffix_pass(self, prompt: Prompt) -> None:
        """F: one token after the same prompt, over the same HTTP."""
        self._complete(prompt.ids, {"max_tokens": 1})

    def decide(self, prompt: Prompt, max_tokens: int) -> Answer:
        return self._token(prompt) if self._way == "token" else self._generated(prompt, max_tokens)

    def stop(self) -> None:
        self._server.stop()

    def _generated(self, prompt: Prompt, max_tokens: int) -> Answer:
        found = self._complete(prompt.ids, self._constraint() | {"max_tokens": max_tokens, "return_token_ids": True})
        ids = tuple(found["token_ids"]) if found.get("token_ids") else None
        return Answer(
            text=found["text"],
            ids=ids,
            has_ended=found["finish_reason"] == "stop",
            n_tokens=None if ids is None else len(prompt.suffix) + len(ids) - 1,
            n_passes=None if ids is None else len(ids),
        )

    def _token(self, prompt: Prompt) -> Answer:
        """One distribution over the letters: raw log-probabilities of the whole vocabulary, before any mask."""
        letters = LETTERS[: len(self.entries)]
        labels = [self._bed.tokenizer.encode(letter, add_special_tokens=False)[-1] for letter in letters]
        wanted = {"logprobs": 1, "logprob_token_ids": labels, "return_tokens_as_token_ids": True}
        asked = {"max_tokens": 1, "allowed_token_ids": labels, **wanted}
        found = self._complete(self._listed(prompt), asked)["logprobs"]["top_logprobs"][0]
        scores = tuple(float(found[f"token_id:{label}"]) for label in labels)
        return Answer(row=max(range(len(scores)), key=scores.__getitem__), scores=scores, n_passes=1)

    def _listed(self, prompt: Prompt) -> list[int]:
        lines = [f"{letter}. {entry.text}" for letter, entry in zip(LETTERS, self.entries, strict=False)]
        asked = "\n".join([prompt.dynamic, "", "Which reply fits?", *lines, "Answer with its letter only."])
        chat = [{"role": "system", "content": prompt.static}, {"role": "user", "content": asked}]
        text = self._bed.tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
        ids: list[int] = self._bed.tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids

    def _constraint(self) -> dict[str, Any]:
        return {"structured_outputs": {"choice": [entry.text for entry in self.entries]}}

    def _complete(self, prompt: list[int], asked: dict[str, Any]) -> dict[str, Any]:
        body = {"model": self._bed.model, "prompt": prompt, "temperature": 0.0, **asked}
        found: dict[str, Any] = json.loads(self._server.post("/v1/completions", body))["choices"][0]
        return found


class _Server:
    """The server's process, on a free port."""

    def __init__(self, model: str, dtype: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self._url = f"http://127.0.0.1:{port}"
        self._log = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115  # lives as long as the server
        command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", model, "--dtype", dtype, "--port", str(port)]
        command += ["--host", "127.0.0.1", "--max-model-len", "4096", "--enforce-eager", "--max-num-seqs", "16", "--enable-prefix-caching"]
        self._process = subprocess.Popen(command, env=os.environ | _SETTINGS, stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log)
        self._wait()

    def post(self, path: str, body: Any) -> str:
        """Raises ValueError with what the server says when it refuses."""
        request = urllib.request.Request(
            self._url + path, data=json.dumps(body).encode() if body is not None else b"", headers={"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request) as response:
                return str(response.read().decode())
        except urllib.error.HTTPError as error:
            raise ValueError(f"HTTP {error.code}: {error.read().decode(errors='replace')[:300]}") from error

    def stop(self) -> None:
        self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=10)

    def _wait(self) -> None:
        until = time.monotonic() + UP_S
        while time.monotonic() < until:
            if self._process.poll() is not None:
                raise PeerAbsentError(f"the server did not start: {self._last_words()}")
            with contextlib.suppress(OSError), urllib.request.urlopen(self._url + "/health"):
                return
            time.sleep(0.5)
        self.stop()
        raise PeerAbsentError(f"the server was not up within {UP_S:g} s: {self._last_words()}")

    def _last_words(self) -> str:
        self._log.seek(0)
        return " ".join(line.strip() for line in self._log.read().splitlines()[-4:] if line.strip())[-300:]
