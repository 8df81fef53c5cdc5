"""Runs an app under uvicorn: warming, a port file, reloads of edited packs, the end with the parent process, a drain before the end."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import json
import logging
import os
import signal
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import uvicorn
from fastapi import FastAPI

from constrained._durable_files import IS_WINDOWS, replace_file
from constrained.dialogue.dialogue import Dialogue
from constrained.engines.model_files import give_back_memory
from constrained.errors import ConstrainedError
from constrained.serve.service import Service
from constrained.serve.settings import ServerSettings
from constrained.serve.turns import Turns
from constrained.serve.wire import EventKind

INTERVAL_S = 0.5
_SYNCHRONIZE, _ENDED, _ACCESS_DENIED = 0x0010_0000, 0, 5  # the right to wait for a process; the answer for an ended one; an error


def write_port_file(path: Path, *, url: str, token: str) -> None:
    """Writes ``{"url", "port", "token", "pid"}``, readable by the owner only, in one step: a reader sees all of it or nothing."""
    content = {"url": url, "port": int(url.rpartition(":")[2]), "token": token, "pid": os.getpid()}
    replace_file(path, f"{json.dumps(content)}\n".encode())


def remove_port_file(path: Path) -> None:
    """Removes the file if it is still this process's."""
    try:
        if json.loads(path.read_text(encoding="utf-8"))["pid"] == os.getpid():
            path.unlink()
    except (OSError, ValueError, KeyError):  # gone or another server's: then there is nothing of ours to remove
        return


class PollingThread:
    """Calls ``look`` every half second in a thread of its own, until it is stopped."""

    def __init__(self, look: Callable[[], None], name: str, interval_s: float = INTERVAL_S) -> None:
        self._look, self._interval_s, self._stop = look, interval_s, threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> PollingThread:
        self._thread.start()
        return self

    def stop(self) -> None:
        self._stop.set()

    def _run(self) -> None:
        while not self._stop.wait(self._interval_s):
            self._look()


def parent_watch(parent: int, stop: Callable[[], None]) -> Callable[[], None]:
    """A look that calls ``stop`` once the process ``parent`` is not our parent, or not there, any more."""
    if IS_WINDOWS:
        return _windows_watch(parent, stop)
    is_child = os.getppid() == parent

    def look() -> None:
        if (os.getppid() != parent) if is_child else not _is_alive(parent):
            stop()

    return look


def _windows_watch(parent: int, stop: Callable[[], None]) -> Callable[[], None]:
    """By a handle on the process: Windows never gives a child another parent, and ``os.kill(pid, 0)`` would send it Ctrl-C."""
    windows: Any = ctypes  # what only Windows has is unknown to type checkers elsewhere
    kernel = windows.WinDLL("kernel32", use_last_error=True)
    kernel.OpenProcess.restype, kernel.WaitForSingleObject.restype = ctypes.c_void_p, ctypes.c_uint32
    kernel.WaitForSingleObject.argtypes = [ctypes.c_void_p, ctypes.c_uint32]
    handle = kernel.OpenProcess(_SYNCHRONIZE, False, parent)  # kept open: the number is given to no other process meanwhile

    is_hidden = not handle and windows.get_last_error() == _ACCESS_DENIED

    def look() -> None:
        if not is_hidden and (not handle or kernel.WaitForSingleObject(handle, 0) == _ENDED):
            stop()

    return look


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's, and alive
        return True
    return True


# -- Takes a turn of every pack with every engine before the first request, so that no request pays for what is done once. --

WARMING_S = 60.0  # for one pack with one engine
MESSAGE = "Good day. Could you tell me more about that, please?"
log = logging.getLogger("constrained.serve")


def warm(turns: Turns) -> None:
    """What fails here is logged and left: the turns say what to do about it."""
    for engine_name in turns.engines:
        for pack in turns.packs.names:
            try:
                dialogue = Dialogue(turns.packs.get(pack), engine=turns.engine(engine_name, pack)[1], drafts=True)
                dialogue.reply(MESSAGE, within=WARMING_S)
            except ConstrainedError as error:
                log.warning("%s is not warm with %s: %s", pack, engine_name, type(error).__name__)


def freeze_heap() -> None:
    """For a process that only serves: what is there now stays, and is not looked through whenever garbage is collected."""
    gc.collect()
    gc.freeze()
    give_back_memory()


# -- Takes over edited packs between turns, or says why not. --


class Reloader:
    """Looks at the files of the packs; a changed pack whose check passes is served from the next turn on.

    Args:
        post: runs a call on the server's event loop.
    """

    def __init__(self, service: Service, post: Callable[[Callable[[], None]], object]) -> None:
        self._service, self._post = service, post

    def look(self) -> None:
        for name in self._service.turns.packs.changed():
            self.reload(name)

    def reload(self, name: str) -> bool:
        """Whether the pack was taken over."""
        try:
            turns = self._service.turns
            policy = turns.packs.reload(name, lambda found: turns.check_own(name, found))
        except ConstrainedError as error:
            log.warning("%s is not reloaded: %s", name, error)
            detail = f"{type(error).__name__}; the server's log tells more"  # every tenant hears it: no path and no line of logic
            self._report("reload_refused", name, detail, is_accepted=False)
            return False
        log.info("%s is reloaded: %s", name, policy.catalog.hash[:23])
        self._report("reload", name, policy.catalog.hash, is_accepted=True)
        return True

    def _report(self, kind: EventKind, name: str, detail: str, *, is_accepted: bool) -> None:
        self._service.telemetry.count_reload(name, is_accepted)
        self._post(lambda: self._service.events.send_all(kind, pack=name, detail=detail))


# -- Runs an app under uvicorn: a port file, a drain before the end, connections that must speak. --

HEAD_S = 10.0  # in which a connection must have sent the head of its first request


try:
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol as HttpProtocol
except ModuleNotFoundError:  # the parser in Python is slower, and does as well
    from uvicorn.protocols.http.h11_impl import H11Protocol as HttpProtocol  # type: ignore[assignment]  # of the same shape


class _TimedHttpProtocol(HttpProtocol):
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

    def on_start() -> None:
        if port_file is not None:
            write_port_file(port_file, url=url, token=token)
        watches.extend(_watches(server, service, parent, is_watching))
        ready(url)

    watches: list[PollingThread] = []
    if is_warm:
        warm(service.turns)
    freeze_heap()
    server = Server(uvicorn_config(app, settings), service, on_start)
    try:
        server.run(sockets=[bound])
    finally:
        for watch in watches:
            watch.stop()
        if port_file is not None:
            remove_port_file(port_file)


def uvicorn_config(app: FastAPI, settings: ServerSettings) -> uvicorn.Config:
    """How uvicorn runs an app: it logs nothing of its own, and bounds connections."""
    limits = settings.limits
    return uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        http=_TimedHttpProtocol,
        ws="websockets-sansio",
        ws_max_size=65_536,
        server_header=False,
        timeout_graceful_shutdown=int(settings.drain_s) or 1,
        limit_concurrency=limits.n_running + limits.n_waiting + limits.n_listeners + 512,
    )


def address(bound: socket.socket) -> str:
    host, port = bound.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _watches(server: Server, service: Service, parent: int | None, is_watching: bool) -> list[PollingThread]:
    watches = []
    if is_watching:
        reloader = Reloader(service, lambda call: server.loop.call_soon_threadsafe(call))
        watches.append(PollingThread(reloader.look, "constrained-reload", 1.0).start())
    if parent is not None:
        watches.append(PollingThread(parent_watch(parent, server.stop), "constrained-parent").start())
    return watches


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
