"""Who may ask, for what, and how much at once: a layer before all routes. Knows no turn.

Host names other than its own are refused (a page elsewhere cannot reach a server on loopback by a name of its own),
bodies are bounded in size and time, and every path but the few free ones needs a token.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from constrained.serve.errors import RefusedError, body_of
from constrained.serve.settings import ServerSettings, is_loopback, tenant_of

FREE = frozenset({"/", "/healthz", "/readyz", "/openapi.json"})
PROTOCOL, TOKEN_PROTOCOL = "constrained", "token."
REFUSED = 4401  # a WebSocket's close code
HEADERS = {
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
    b"cross-origin-resource-policy": b"same-origin",
    b"content-security-policy": b"default-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
}


class Guard:
    """ASGI middleware; puts the tenant into ``scope["state"]["tenant"]``.

    Args:
        free: further paths that need no token: the files of the page.
        refused: told why a request was refused.
    """

    def __init__(self, app: ASGIApp, settings: ServerSettings, free: Iterable[str], refused: Callable[[str], None]) -> None:
        self._app, self._settings = app, settings
        self._free, self._refused = FREE | set(free), refused

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            return await self._app(scope, receive, send)
        try:
            self._admit(scope)
            if scope["type"] == "http":
                receive = _replayed(await self._body(Headers(scope=scope), receive), receive)
        except RefusedError as error:
            self._refused({401: "token", 403: "host", 413: "too_large", 408: "too_slow"}[error.status])
            return await _refuse(error, scope, receive, send)
        return await self._app(scope, receive, _with_headers(send))

    def _admit(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        host = _host(headers.get("host", ""))
        if not (is_loopback(host) or host == self._settings.host or host in self._settings.hosts):
            raise RefusedError(403, "this server is not called by that name", hint="name it with --host-name")
        tenant = tenant_of(_token(headers), self._settings.tokens)
        if tenant is None and (scope["type"] == "websocket" or scope["path"] not in self._free):
            hint = "send the header Authorization: Bearer TOKEN; the server wrote its token where it was started"
            raise RefusedError(401, "no token, or not one of this server", hint=hint)
        scope.setdefault("state", {})["tenant"] = tenant

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


def _replayed(body: bytes, receive: Receive) -> Receive:
    """A channel that gives the body that was read, then whatever follows it."""
    left = [body]

    async def again() -> Message:
        if left:
            return {"type": "http.request", "body": left.pop(), "more_body": False}
        return await receive()

    return again


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            present = {name for name, _ in message["headers"]}
            message["headers"] = [*message["headers"], *(pair for pair in HEADERS.items() if pair[0] not in present)]
        await send(message)

    return sending


async def _refuse(error: RefusedError, scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": REFUSED, "reason": error.message})
        return
    headers: dict[str, Any] = {"connection": "close"}  # what is left of a body is not read
    if error.status == 401:
        headers["www-authenticate"] = "Bearer"
    response = Response(body_of(error).model_dump_json(), error.status, headers, "application/json")
    await response(scope, receive, _with_headers(send))
