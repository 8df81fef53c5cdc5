"""Who may ask, for what, and how much at once: the gate before turns (queue, order, rate) and the guard before all routes."""

from __future__ import annotations

import asyncio
import math
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from constrained.errors import ConstrainedError
from constrained.serve.access.authentication import TOKEN_HINT, Authenticator
from constrained.serve.access.roles import Principal
from constrained.serve.errors import RefusedError, body_of, status_of
from constrained.serve.settings import Limits, ServerSettings, is_loopback


@dataclass(slots=True)
class _ConversationQueue:
    """The turns of one conversation that run or wait, in the order in which they came."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    n: int = 0


@dataclass(slots=True)
class _TokenBucket:
    """What one tenant may still ask for at once."""

    left: float
    at_s: float


class AdmissionGate:
    """Lets turns in: a bounded queue, the turns of a conversation in order, a rate for each tenant. Used from one event loop.

    Args:
        clock: monotonic seconds, for tests.
    """

    def __init__(self, limits: Limits, clock: Callable[[], float] = time.monotonic) -> None:
        self._limits, self._clock = limits, clock
        self._queues: dict[tuple[str, str], _ConversationQueue] = {}
        self._buckets: dict[str, _TokenBucket] = {}
        self._running = asyncio.Semaphore(limits.n_running)
        self.n_running = self.n_inside = 0
        self.is_draining = False

    @property
    def n_waiting(self) -> int:
        return self.n_inside - self.n_running

    @asynccontextmanager
    async def turn(self, tenant: str, name: str, until_s: float | None = None) -> AsyncIterator[bool]:
        """Inside, the turn runs; the next one of the same name waits. Raises RefusedError: 429 or 503.

        Gives whether it has a place among those that run: from ``until_s`` (monotonic) on it waits for none.
        """
        queue = self._queues.get((tenant, name)) or _ConversationQueue()
        self._check_room(queue)
        self._check_rate(tenant)
        self._queues[tenant, name] = queue
        queue.n += 1
        self.n_inside += 1
        try:
            async with queue.lock:
                has_place = await self._wait_for_place(until_s)
                self.n_running += has_place
                try:
                    yield has_place
                finally:
                    if has_place:
                        self.n_running -= 1
                        self._running.release()
        finally:
            queue.n -= 1
            self.n_inside -= 1
            if not queue.n:
                del self._queues[tenant, name]

    async def _wait_for_place(self, until_s: float | None) -> bool:
        """Whether a place among those that run came before ``until_s``."""
        try:
            async with asyncio.timeout(None if until_s is None else max(0.0, until_s - time.monotonic())):
                return await self._running.acquire()
        except TimeoutError:
            return False

    def _check_room(self, queue: _ConversationQueue) -> None:
        limits = self._limits
        if self.is_draining:
            raise RefusedError(503, "the server is stopping", hint="send the request again, with its key, to the next one", retry_s=1)
        if self.n_inside >= limits.n_running + limits.n_waiting:
            raise RefusedError(503, f"{self.n_inside} turns run or wait already", hint="send the request again later", retry_s=1)
        if queue.n >= limits.n_in_conversation:
            hint = "wait for the replies of this conversation, then send the request again"
            raise RefusedError(429, f"{queue.n} turns of this conversation run or wait already", hint=hint, retry_s=1)

    def _check_rate(self, tenant: str) -> None:
        rate, now = self._limits.turns_per_s, self._clock()
        if not rate:
            return
        bucket = self._buckets.setdefault(tenant, _TokenBucket(float(self._limits.burst), now))
        bucket.left, bucket.at_s = min(self._limits.burst, bucket.left + (now - bucket.at_s) * rate), now
        if bucket.left < 1:
            wait_s = math.ceil((1 - bucket.left) / rate)
            raise RefusedError(429, f"more than {rate:g} turns a second", hint="send the request again later", retry_s=wait_s)
        bucket.left -= 1


FREE_PATHS = frozenset({"/", "/healthz", "/readyz", "/openapi.json"})
PROTOCOL, TOKEN_PROTOCOL = "constrained", "token."
REFUSED_CODE = 4401  # a WebSocket's close code
HEADERS = {
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
    b"cross-origin-resource-policy": b"same-origin",
    b"content-security-policy": b"default-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
}


_REASONS = {401: "token", 403: "host", 408: "too_slow", 413: "too_large", 429: "wrong_tokens", 503: "unavailable"}
NO_STORE = b"no-store"  # of replies: no cache on the way keeps what was said


class TokenThrottle:
    """Answers an address that keeps sending wrong tokens with 429. A right token is let in all the same: many may share an address.

    Args:
        clock: monotonic seconds, for tests.
    """

    BURST, PER_S, MOST = 20, 0.5, 10_000  # wrong tokens at once; a second after that; addresses that are remembered

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failed: OrderedDict[str, _TokenBucket] = OrderedDict()  # the one that failed last is last

    def count(self, address: str) -> None:
        """A wrong token came from there. Raises RefusedError: 429."""
        now = self._clock()
        bucket = self._failed.pop(address, None) or _TokenBucket(float(self.BURST), now)
        bucket.left, bucket.at_s = min(self.BURST, bucket.left + (now - bucket.at_s) * self.PER_S), now
        self._failed[address] = bucket
        if len(self._failed) > self.MOST:
            self._failed.popitem(last=False)
        if bucket.left < 1:
            wait_s = math.ceil((1 - bucket.left) / self.PER_S)
            raise RefusedError(429, "too many wrong tokens from this address", hint="send the right one", retry_s=wait_s)
        bucket.left -= 1


class Guard:
    """ASGI middleware; puts the caller into ``scope["state"]``: ``principal`` and its ``tenant``, both None on free paths.

    Args:
        authenticator: finds the principal of a token.
        free: further paths that need no token: the files of the page.
        refused: called with the reason of a refusal.
    """

    def __init__(
        self, app: ASGIApp, settings: ServerSettings, authenticator: Authenticator, free: Iterable[str], refused: Callable[[str], None]
    ) -> None:
        self._app, self._settings, self._authenticator = app, settings, authenticator
        self._free, self._refused = FREE_PATHS | set(free), refused
        self._throttle = TokenThrottle()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            return await self._app(scope, receive, send)
        try:
            await self._admit(scope)
            if scope["type"] == "http":
                receive = _replay(await self._body(Headers(scope=scope), receive), receive)
        except ConstrainedError as error:
            self._refused(_REASONS.get(status_of(error), "request"))
            return await _refuse(error, scope, receive, send)
        keeps = scope["path"] in self._free and scope["path"] not in FREE_PATHS - {"/"}
        return await self._app(scope, receive, _with_headers(send, b"no-cache" if keeps else NO_STORE))

    async def _admit(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        host = _host(headers.get("host", ""))
        if not (is_loopback(host) or host == self._settings.host or host in self._settings.hosts):
            raise RefusedError(403, "this server is not called by that name", hint="name it with --host-name")
        if scope["type"] == "websocket" and not self._may_listen(headers):
            raise RefusedError(403, "pages of that origin may not listen", hint="name it with --origin")
        is_free = scope["type"] == "http" and scope["path"] in self._free
        token = _token(headers)
        principal = await self._principal(token, (scope.get("client") or ("", 0))[0]) if token and not is_free else None
        if principal is None and not is_free:
            raise RefusedError(401, "no token", hint=TOKEN_HINT)
        state = scope.setdefault("state", {})
        state["principal"], state["tenant"] = principal, principal and principal.tenant

    def _may_listen(self, headers: Mapping[str, str]) -> bool:
        """Whether a WebSocket is no page's, this server's own page's, or one of ``origins``: a browser asks no leave for it beforehand."""
        origin = headers.get("origin", "")
        return not origin or origin in self._settings.origins or origin.partition("://")[2] == headers.get("host", "")

    async def _principal(self, token: str, address: str) -> Principal:
        try:
            return await self._authenticator.principal(token)
        except RefusedError as error:
            if error.status == 401:
                self._throttle.count(address)
            raise

    async def _body(self, headers: Mapping[str, str], receive: Receive) -> bytes:
        limits, given = self._settings.limits, headers.get("content-length", "0")
        too_large = RefusedError(413, f"a body holds at most {limits.body_bytes} bytes", hint="send less at once")
        if given.isdigit() and int(given) > limits.body_bytes:
            raise too_large
        body, more = bytearray(), True
        try:
            async with asyncio.timeout(limits.body_s):
                while more:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise RefusedError(408, "the body ended early")
                    body += message.get("body", b"")
                    more = message.get("more_body", False)
                    if len(body) > limits.body_bytes:
                        raise too_large
        except TimeoutError:
            raise RefusedError(408, f"the body did not arrive within {limits.body_s:g} s", hint="send it faster") from None
        return bytes(body)


def _token(headers: Mapping[str, str]) -> str:
    kind, _, token = headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer":
        return token.strip()
    offered = [one.strip() for one in headers.get("sec-websocket-protocol", "").split(",")]
    return next((one.removeprefix(TOKEN_PROTOCOL) for one in offered if one.startswith(TOKEN_PROTOCOL)), "")


def _host(header: str) -> str:
    """The name of a Host header without its port."""
    if header.startswith("["):
        return header.partition("]")[0].lstrip("[")
    return header.partition(":")[0].lower()


def _replay(body: bytes, receive: Receive) -> Receive:
    """A channel that gives the body that was read, then whatever follows it."""
    left = [body]

    async def again() -> Message:
        if left:
            return {"type": "http.request", "body": left.pop(), "more_body": False}
        return await receive()

    return again


def _with_headers(send: Send, caching: bytes = NO_STORE) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            present = {name for name, _ in message["headers"]}
            message["headers"] = [
                *message["headers"],
                *(pair for pair in [*HEADERS.items(), (b"cache-control", caching)] if pair[0] not in present),
            ]
        await send(message)

    return sending


async def _refuse(error: ConstrainedError, scope: Scope, receive: Receive, send: Send) -> None:
    status, retry_s = status_of(error), getattr(error, "retry_s", 0)
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": REFUSED_CODE, "reason": body_of(error).error.message})
        return
    headers: dict[str, Any] = {"connection": "close"}  # what is left of a body is not read
    if status == 401:
        headers["www-authenticate"] = "Bearer"
    if retry_s or status == 503:
        headers["retry-after"] = str(retry_s or 1)
    response = Response(body_of(error).model_dump_json(), status, headers, "application/json")
    await response(scope, receive, _with_headers(send))
