"""A Python client: turns over HTTP, sent again with their key until one reply comes.

with Client("http://127.0.0.1:8420", token) as client:
    reply = client.turn("tavern", "Sixty gold for the cellar key?", conversation="table-4", state={"gold": 80})
    reply.text
"""

from __future__ import annotations

import itertools
import json
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import httpx

from constrained.errors import ConstrainedError
from constrained.serve.customers.wire import TokenReply, TokenRequest
from constrained.serve.errors import RefusedError
from constrained.serve.play import LoadReply, PreviewReply, PreviewRequest
from constrained.serve.wire import CatalogReply, CatalogsReply, ConversationReply, ErrorReply, Event, ForkRequest, TurnReply, TurnRequest

RETRIED = frozenset({408, 429, 502, 503, 504})
MOST_WAIT_S = 10.0


class Client:
    """Talks to one server. Thread-safe.

    Args:
        url, token: as the server told them. timeout_s: for one attempt. attempts: how often a request is sent at most.
        http: an httpx client to use, for tests. wait: called with seconds between attempts.
    """

    def __init__(
        self,
        url: str,
        token: str,
        *,
        timeout_s: float = 30.0,
        attempts: int = 4,
        http: httpx.Client | None = None,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        self._url, self._token, self._attempts, self._wait = url.rstrip("/"), token, attempts, wait
        self._http = http or httpx.Client(timeout=timeout_s)

    @classmethod
    def of(cls, port_file: str | Path, **options: Any) -> Self:
        """The client of a server that wrote a port file."""
        content = json.loads(Path(port_file).read_text(encoding="utf-8"))
        return cls(content["url"], content["token"], **options)

    def turn(self, pack: str, message: str, **values: Any) -> TurnReply:
        """One turn; ``values`` are those of TurnRequest. It has a key unless one is given: however often it is sent, it runs once.

        Raises RefusedError, with the server's status, or ConstrainedError when no reply came.
        """
        request = TurnRequest(**{"idempotency_key": uuid.uuid4().hex, **values, "pack": pack, "message": message})
        return TurnReply.model_validate_json(self._request("POST", "/v1/turns", request.model_dump(mode="json", exclude_unset=True)))

    def turns(self, pack: str, message: str, **values: Any) -> Iterator[TurnReply]:
        """The turn, and what a procedure has to say once the server ran its effects, each reply as it comes.

        Effects that are handed over are the caller's: it tells what became of them with ``done`` and ``failed``.
        """
        key = values.pop("idempotency_key", None) or uuid.uuid4().hex
        reply = self.turn(pack, message, **values, idempotency_key=key)
        yield reply
        kept = {name: value for name, value in values.items() if name not in ("state", "done", "failed")}
        kept["conversation"] = reply.conversation
        for number in itertools.count(1):
            if not reply.goes_on or reply.effects_outcome == "handed_over":
                return
            reply = self.turn(pack, "", **kept, idempotency_key=f"{key}.{number}")
            yield reply

    def fork(self, conversation: str, **values: Any) -> TurnReply:
        """A turn taken again in a new conversation; ``values`` are those of ForkRequest. Sent once: each is a new conversation."""
        content = ForkRequest(**values).model_dump(mode="json", exclude_unset=True)
        return TurnReply.model_validate_json(self._request("POST", f"/v1/conversations/{conversation}/fork", content, attempts=1))

    def conversation(self, conversation: str) -> ConversationReply:
        return ConversationReply.model_validate_json(self._request("GET", f"/v1/conversations/{conversation}"))

    def preview(self, conversation: str, pack: str, message: str = "", **values: Any) -> PreviewReply:
        """What would be said, options with their chances, buttons; ``values`` are those of PreviewRequest."""
        content = PreviewRequest(pack=pack, message=message, **values).model_dump(mode="json", exclude_unset=True)
        return PreviewReply.model_validate_json(self._request("POST", f"/v1/conversations/{conversation}/preview", content))

    def cancel(self, conversation: str, key: str) -> None:
        """Calls off the turn with that idempotency key. Raises RefusedError: 404 where none runs, 409 where it is kept already."""
        self._request("DELETE", f"/v1/conversations/{conversation}/turns/{key}")

    def save(self, conversation: str) -> dict[str, Any]:
        """The conversation as one JSON value; ``constrained.games.load`` reads it, too."""
        found: dict[str, Any] = json.loads(self._request("GET", f"/v1/conversations/{conversation}/save"))
        return found

    def load(self, conversation: str, saved: Mapping[str, Any]) -> LoadReply:
        """Begins a conversation of a new name where the saved one stood."""
        return LoadReply.model_validate_json(self._request("PUT", f"/v1/conversations/{conversation}/save", saved))

    def customer_token(self, conversation: str, pack: str, **values: Any) -> TokenReply:
        """A token for the customer of a conversation; ``values`` are those of TokenRequest."""
        content = TokenRequest(pack=pack, **values).model_dump(mode="json", exclude_unset=True)
        return TokenReply.model_validate_json(self._request("POST", f"/v1/conversations/{conversation}/token", content))

    def set_state(self, conversation: str, pack: str, state: Mapping[str, Any]) -> None:
        """The state of the conversation's next turn."""
        self._request("PUT", f"/v1/conversations/{conversation}/state", {"pack": pack, "state": dict(state)})

    def catalogs(self) -> CatalogsReply:
        return CatalogsReply.model_validate_json(self._request("GET", "/v1/catalogs"))

    def catalog(self, pack: str) -> CatalogReply:
        return CatalogReply.model_validate_json(self._request("GET", f"/v1/catalogs/{pack}"))

    @contextmanager
    def events(self, conversation: str = "") -> Iterator[Iterator[Event]]:
        """What happens from now on: ``with client.events() as events: for event in events: ...``"""
        from websockets.sync.client import connect

        url = f"{self._url.replace('http', 'ws', 1)}/v1/events" + (f"?conversation={conversation}" if conversation else "")
        with connect(url, additional_headers={"Authorization": f"Bearer {self._token}"}, proxy=None) as socket:
            yield (Event.model_validate_json(text) for text in socket)

    def close(self) -> None:
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _request(self, method: str, path: str, content: Mapping[str, Any] | None = None, *, attempts: int | None = None) -> bytes:
        left = attempts or self._attempts
        while True:
            left -= 1
            answer = self._send(method, path, content)
            if isinstance(answer, httpx.Response) and answer.is_success:
                return answer.content
            if not left or (isinstance(answer, httpx.Response) and answer.status_code not in RETRIED):
                raise _error(answer)
            self._wait(_pause_s(answer, self._attempts - left))

    def _send(self, method: str, path: str, content: Mapping[str, Any] | None) -> httpx.Response | httpx.TransportError:
        try:
            return self._http.request(method, self._url + path, json=content, headers={"Authorization": f"Bearer {self._token}"})
        except httpx.TransportError as error:  # the reply may have been lost: the key finds it
            return error


def _pause_s(answer: httpx.Response | httpx.TransportError, n_sent: int) -> float:
    retry_s = answer.headers.get("retry-after", "") if isinstance(answer, httpx.Response) else ""
    return min(MOST_WAIT_S, float(retry_s) if retry_s.isdigit() else 0.1 * 2.0**n_sent)


def _error(answer: httpx.Response | httpx.TransportError) -> ConstrainedError:
    if isinstance(answer, httpx.TransportError):
        hint = "see that it runs; a turn may be sent again with its key"
        return ConstrainedError(f"the server did not answer: {type(answer).__name__}: {answer}", hint=hint)
    try:
        detail = ErrorReply.model_validate_json(answer.content).error
    except ValueError:
        return RefusedError(answer.status_code, f"answered {answer.status_code}, not by this server", hint="check the address")
    return RefusedError(answer.status_code, detail.message, hint=detail.hint, param=detail.param)
