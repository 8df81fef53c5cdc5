"""Tells listeners what happens, over WebSockets: each has a bounded queue, and one that falls behind is closed. Knows no message."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from constrained.serve.errors import RefusedError
from constrained.serve.models import Event, EventKind, TurnReply
from constrained.serve.settings import Limits

NORMAL, GOING_AWAY, TOO_SLOW, NOT_NOW = 1000, 1001, 1008, 1013


@dataclass(frozen=True, slots=True, eq=False)
class _Listener:
    tenant: str
    conversation: str
    queue: asyncio.Queue[Event | int]


class Events:
    """Who listens. Used from one event loop.

    A tenant hears of its own turns only; of reloads and of a drain hears everybody.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._listeners: set[_Listener] = set()

    def turn(self, tenant: str, reply: TurnReply) -> None:
        if not self._listeners:
            return
        told = {name: getattr(reply, name) for name in ("pack", "conversation", "turn_id", "number", "response_id", "source")}
        event = Event(kind="turn", at=_now(), **told)
        for listener in list(self._listeners):
            if listener.tenant == tenant and listener.conversation in ("", reply.conversation):
                self._put(listener, event)

    def all(self, kind: EventKind, *, pack: str = "", detail: str = "") -> None:
        event = Event(kind=kind, at=_now(), pack=pack, detail=detail)
        for listener in list(self._listeners):
            self._put(listener, event)

    def close(self) -> None:
        """Tells every listener that the server goes away."""
        for listener in list(self._listeners):
            self._put(listener, GOING_AWAY)

    @contextmanager
    def listening(self, tenant: str, conversation: str) -> Iterator[asyncio.Queue[Event | int]]:
        """A listener's queue. An int in it is the code to close with. Raises RefusedError: 503."""
        if len(self._listeners) >= self._limits.n_listeners:
            raise RefusedError(503, f"{len(self._listeners)} listen already", hint="come again later")
        listener = _Listener(tenant, conversation, asyncio.Queue(self._limits.n_events + 1))
        self._listeners.add(listener)
        try:
            yield listener.queue
        finally:
            self._listeners.discard(listener)

    def _put(self, listener: _Listener, what: Event | int) -> None:
        if listener.queue.qsize() >= self._limits.n_events:
            self._listeners.discard(listener)
            what = TOO_SLOW
        listener.queue.put_nowait(what)  # one place is kept for the code to close with


async def stream(events: Events, socket: WebSocket, tenant: str, conversation: str, protocol: str | None) -> None:
    """Serves one listener until it leaves, falls behind, or the server stops."""
    try:
        with events.listening(tenant, conversation) as queue:
            await socket.accept(subprotocol=protocol)
            sending = asyncio.create_task(_send(socket, queue))
            receiving = asyncio.create_task(_receive(socket))
            done, left = await asyncio.wait({sending, receiving}, return_when=asyncio.FIRST_COMPLETED)
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)
            for task in done:
                task.result()
    except RefusedError as error:
        await socket.close(NOT_NOW, error.message)
    except WebSocketDisconnect:
        return


async def _send(socket: WebSocket, queue: asyncio.Queue[Event | int]) -> None:
    while not isinstance(event := await queue.get(), int):
        await socket.send_text(event.model_dump_json(exclude_defaults=True))
    await socket.close(event)


async def _receive(socket: WebSocket) -> None:
    """What a listener sends is read and dropped; it leaves by closing."""
    while True:
        message: Any = await socket.receive()
        if message["type"] == "websocket.disconnect":
            return


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
