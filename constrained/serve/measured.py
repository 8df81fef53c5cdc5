"""Counts requests by route, status and time: ASGI middleware behind the guard. Knows no turn."""

from __future__ import annotations

import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from constrained.serve.telemetry import Telemetry


class Measured:
    """Tells telemetry of every request once it is answered. A path is told as its route: paths are without end."""

    def __init__(self, app: ASGIApp, telemetry: Telemetry) -> None:
        self._app, self._telemetry = app, telemetry

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        start_s, status = time.perf_counter(), 500

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, sending)
        finally:
            route = getattr(scope.get("route"), "path", "(none)")
            self._telemetry.request(route, scope["method"], status, time.perf_counter() - start_s)
