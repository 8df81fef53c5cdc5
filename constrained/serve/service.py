"""What all routes share: turns go through the gate into threads, are watched, and told to those who listen on WebSockets."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, TypeVar

from starlette.websockets import WebSocket, WebSocketDisconnect

from constrained.serve.access.guard import REFUSED_CODE, AdmissionGate
from constrained.serve.access.roles import Principal
from constrained.serve.cancelling import TurnFates
from constrained.serve.errors import RefusedError
from constrained.serve.settings import Limits
from constrained.serve.telemetry import Telemetry
from constrained.serve.turns import TurnJob, TurnResult, Turns
from constrained.serve.wire import Event, EventKind, ReadyReply, TurnReply

T = TypeVar("T")
View = Callable[[Event], Event | None]
GOING_AWAY, TOO_SLOW, NOT_NOW = 1001, 1008, 1013  # a WebSocket's close codes
N_LATE_THREADS = 4


@dataclass(frozen=True, slots=True, eq=False)
class _Listener:
    tenant: str
    conversation: str
    view: View
    queue: asyncio.Queue[Event | int]


class Events:
    """Who listens. Used from one event loop.

    A tenant hears of its own turns only; of reloads and of a drain hears everybody.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._listeners: set[_Listener] = set()

    def send_turn(self, tenant: str, reply: TurnReply) -> None:
        if not self._listeners:
            return
        facts = {name: getattr(reply, name) for name in ("pack", "conversation", "turn_id", "number", "response_id", "source")}
        self.send(tenant, Event(kind="turn", at=now_iso(), **facts))

    def send(self, tenant: str, event: Event) -> None:
        """To those of the tenant who listen to this conversation, or to all of them."""
        for listener in list(self._listeners):
            if listener.tenant == tenant and listener.conversation in ("", event.conversation):
                self._enqueue(listener, event)

    def send_all(self, kind: EventKind, *, pack: str = "", detail: str = "") -> None:
        event = Event(kind=kind, at=now_iso(), pack=pack, detail=detail)
        for listener in list(self._listeners):
            self._enqueue(listener, event)

    def close(self) -> None:
        """Tells every listener that the server goes away."""
        for listener in list(self._listeners):
            self._enqueue(listener, GOING_AWAY)

    @contextmanager
    def subscribe(self, tenant: str, conversation: str, view: View = lambda event: event) -> Iterator[asyncio.Queue[Event | int]]:
        """A listener's queue. An int in it is the code to close with. Raises RefusedError: 503.

        Args:
            view: what the listener hears of an event; None: nothing.
        """
        if len(self._listeners) >= self._limits.n_listeners:
            raise RefusedError(503, f"{len(self._listeners)} listen already", hint="come again later")
        listener = _Listener(tenant, conversation, view, asyncio.Queue(self._limits.n_events + 1))
        self._listeners.add(listener)
        try:
            yield listener.queue
        finally:
            self._listeners.discard(listener)

    def _enqueue(self, listener: _Listener, event: Event | int) -> None:
        what = event if isinstance(event, int) else listener.view(event)
        if what is None:
            return
        if listener.queue.qsize() >= self._limits.n_events:
            self._listeners.discard(listener)
            what = TOO_SLOW
        listener.queue.put_nowait(what)  # one place is kept for the code to close with


async def serve_listener(
    events: Events, socket: WebSocket, principal: Principal, conversation: str, protocol: str | None, view: View = lambda event: event
) -> None:
    """Serves one listener until it leaves, falls behind, its token ends, or the server stops."""
    try:
        with events.subscribe(principal.tenant, conversation, view) as queue:
            await socket.accept(subprotocol=protocol)
            sending = asyncio.create_task(_send(socket, queue))
            receiving = asyncio.create_task(_receive(socket))
            left_s = None if principal.expires_at == math.inf else max(0.0, principal.expires_at - time.time())
            done, left = await asyncio.wait({sending, receiving}, timeout=left_s, return_when=asyncio.FIRST_COMPLETED)
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)
            for task in done:
                task.result()
            if not done:
                await socket.close(REFUSED_CODE, "the token is expired")
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


def now_iso() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


class Service:
    """One server's turns. Used from one event loop; the turns run in threads."""

    def __init__(self, turns: Turns, telemetry: Telemetry) -> None:
        self.turns, self.telemetry = turns, telemetry
        self.on_handover: Callable[[str, TurnReply], None] = lambda tenant, reply: None  # a turn handed its conversation over
        limits = turns.settings.limits
        self.gate, self.events = AdmissionGate(limits), Events(limits)
        telemetry.watch_queue(lambda: self.gate.n_waiting)
        self._threads = ThreadPoolExecutor(limits.n_running, thread_name_prefix="constrained-turn")
        self._late = ThreadPoolExecutor(N_LATE_THREADS, thread_name_prefix="constrained-late")  # whose time ended before they had a place
        self._background = ThreadPoolExecutor(2, thread_name_prefix="constrained-background")  # what is no turn does not wait for turns
        self._tasks: set[asyncio.Task[TurnReply]] = set()
        self.fates = TurnFates()

    async def take(self, job: TurnJob) -> TurnReply:
        """The turn's reply. A caller that goes away does not stop it: it is taken, kept, and found by its key."""
        task = asyncio.create_task(self._take(job))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return await asyncio.shield(task)

    async def _take(self, job: TurnJob) -> TurnReply:
        try:
            with self.fates.open(job.tenant, job.key) as fate:
                job = replace(job, fate=fate)
                async with self.gate.turn(job.tenant, job.conversation, self.turns.until_s(job)) as has_place:
                    result = await self._watch(job, self._threads if has_place else self._late)
        except RefusedError as error:
            self.telemetry.count_refusal({429: "rate", 503: "busy"}.get(error.status, "request"))
            raise
        if result.turn is not None:
            self.events.send_turn(job.tenant, result.reply)
            if result.reply.handover:
                self.on_handover(job.tenant, result.reply)
        return result.reply

    async def _watch(self, job: TurnJob, threads: ThreadPoolExecutor) -> TurnResult:
        named = {"pack": job.pack if job.pack in self.turns.packs.names else "(unknown)", "conversation": job.conversation}
        with self.telemetry.turn(**named, tenant=job.tenant, waited_s=time.monotonic() - job.at_s) as watch:
            result = await asyncio.get_running_loop().run_in_executor(threads, self.turns.take, job)
            if result.turn is not None:
                watch.finish(result.turn, result.reply.source, degraded=bool(result.reply.degraded))
                if not result.turn.effects:  # the rules of a late turn choose none
                    self.turns.reserve.add(time.monotonic() - result.decided_s)
            return result

    async def in_background(self, work: Callable[..., T], *arguments: Any) -> T:
        """Runs what reads the database and is no turn, in a thread."""
        return await asyncio.get_running_loop().run_in_executor(self._background, work, *arguments)

    async def in_turn_thread(self, work: Callable[..., T], *arguments: Any) -> T:
        """Runs what is as much work as a turn, in a thread of the turns."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, work, *arguments)

    def ready(self) -> ReadyReply:
        turns = self.turns
        is_kept = turns.sessions.is_reachable()
        reason = "the server is stopping" if self.gate.is_draining else "" if is_kept else "the conversations cannot be kept"
        hashes = {name: turns.packs.get(name).catalog.hash for name in turns.packs.names}
        running, waiting = self.gate.n_running, self.gate.n_waiting
        return ReadyReply(
            is_ready=not reason,
            reason=reason,
            packs=hashes,
            engines=tuple(turns.engines),
            n_running=running,
            n_waiting=waiting,
            warnings=turns.packs.warnings(),
        )

    def drain(self) -> None:
        """No new turn from now on; those that were let in are finished."""
        if not self.gate.is_draining:
            self.gate.is_draining = True
            self.events.send_all("draining")
            self.events.close()

    async def close(self) -> None:
        """Waits for the turns that run, then lets go of threads, engines and database."""
        self.drain()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=self.turns.settings.drain_s)
        for threads in (self._threads, self._late):
            threads.shutdown(wait=not self._tasks, cancel_futures=True)
        self._background.shutdown()
        for engine in (*self.turns.engines.values(), *self.turns.own.values()):
            close = getattr(engine, "close", None)
            if close is not None:
                await asyncio.to_thread(close)
        self.turns.sessions.close()
