"""Runs an app under uvicorn: a port file, a drain before the end, connections that must speak. Knows no route."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import uvicorn
from fastapi import FastAPI

from constrained.errors import ConstrainedError
from constrained.serve.reload import Reloader
from constrained.serve.service import Service
from constrained.serve.settings import ServerSettings
from constrained.serve.sidecar import Watch, parent_watch, remove_port_file, write_port_file
from constrained.serve.warming import steady, warm

HEAD_S = 10.0  # in which a connection must have sent the head of its first request


try:
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol as HttpProtocol
except ModuleNotFoundError:  # the parser in Python is slower, and does as well
    from uvicorn.protocols.http.h11_impl import H11Protocol as HttpProtocol  # type: ignore[assignment]  # of the same shape


class _Impatient(HttpProtocol):
    """Closes connections that open and then say nothing, or dribble. Sends at once: a reply does not wait for its head's receipt."""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # asyncio skips sockets made elsewhere
        self.loop.call_later(HEAD_S, self._close_if_silent)

    def _close_if_silent(self) -> None:
        if self.cycle is None and not self.transport.is_closing():
            self.transport.close()


class Server(uvicorn.Server):
    """A server that is told to stop takes no new turn, finishes those it has, then ends."""

    def __init__(self, config: uvicorn.Config, service: Service, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._service, self._ready = service, ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.loop = asyncio.get_running_loop()
        if self.started:
            self._ready()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._service.drain()
        self.force_exit = self.should_exit and sig == signal.SIGINT  # a second Ctrl-C does not wait
        self.should_exit = True

    def stop(self) -> None:
        """As on a signal; from any thread."""
        self.loop.call_soon_threadsafe(self.handle_exit, signal.SIGTERM, None)


def listen(settings: ServerSettings) -> socket.socket:
    """The socket of a server; raises ConstrainedError when the port is taken."""
    try:
        return socket.create_server((settings.host, settings.port), family=_family(settings.host), backlog=512)
    except OSError as error:
        hint = "choose another --port; 0 takes a free one"
        raise ConstrainedError(f"{settings.host}:{settings.port} cannot be listened on: {error.strerror}", hint=hint) from error


def run(
    app: FastAPI,
    settings: ServerSettings,
    bound: socket.socket,
    *,
    token: str = "",
    port_file: Path | None = None,
    parent: int | None = None,
    is_watching: bool = True,
    is_warm: bool = False,
    ready: Callable[[str], None] = lambda url: None,
) -> None:
    """Serves until a signal, or the end of ``parent``. ``ready`` is called with the address once it is reached there.

    Args:
        is_warm: take a turn of each pack with each engine before the first request.
    """
    service: Service = app.state.service
    url = address(bound)

    def started() -> None:
        if port_file is not None:
            write_port_file(port_file, url=url, token=token)
        watches.extend(_watches(server, service, parent, is_watching))
        ready(url)

    watches: list[Watch] = []
    if is_warm:
        warm(service.turns)
    steady()
    server = Server(configured(app, settings), service, started)
    try:
        server.run(sockets=[bound])
    finally:
        for watch in watches:
            watch.stop()
        if port_file is not None:
            remove_port_file(port_file)


def configured(app: FastAPI, settings: ServerSettings) -> uvicorn.Config:
    """How uvicorn runs an app: it logs nothing of its own, and bounds connections."""
    limits = settings.limits
    return uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        http=_Impatient,
        ws="websockets-sansio",
        ws_max_size=65_536,
        server_header=False,
        timeout_graceful_shutdown=int(settings.drain_s) or 1,
        limit_concurrency=limits.n_running + limits.n_waiting + limits.n_listeners + 512,
    )


def address(bound: socket.socket) -> str:
    host, port = bound.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _watches(server: Server, service: Service, parent: int | None, is_watching: bool) -> list[Watch]:
    watches = []
    if is_watching:
        reloader = Reloader(service, lambda call: server.loop.call_soon_threadsafe(call))
        watches.append(Watch(reloader.look, "constrained-reload", 1.0).start())
    if parent is not None:
        watches.append(Watch(parent_watch(parent, server.stop), "constrained-parent").start())
    return watches


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
