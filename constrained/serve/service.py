"""What all routes share: turns go through the gate into threads, are watched, and told to listeners. Knows no route."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from constrained.serve.errors import RefusedError
from constrained.serve.events import Events
from constrained.serve.limits import Gate
from constrained.serve.models import ReadyReply, TurnReply
from constrained.serve.telemetry import Telemetry
from constrained.serve.turns import Job, Taken, Turns

T = TypeVar("T")
N_LATE = 4


class Service:
    """One server's turns. Used from one event loop; the turns run in threads."""

    def __init__(self, turns: Turns, telemetry: Telemetry) -> None:
        self.turns, self.telemetry = turns, telemetry
        limits = turns.settings.limits
        self.gate, self.events = Gate(limits), Events(limits)
        telemetry.waiting(lambda: self.gate.n_waiting)
        self._threads = ThreadPoolExecutor(limits.n_running, thread_name_prefix="constrained-turn")
        self._late = ThreadPoolExecutor(N_LATE, thread_name_prefix="constrained-late")  # whose time ended before they had a place
        self._desk = ThreadPoolExecutor(2, thread_name_prefix="constrained-desk")  # what is no turn does not wait for turns
        self._taking: set[asyncio.Task[TurnReply]] = set()

    async def take(self, job: Job, headers: Mapping[str, str] | None = None) -> TurnReply:
        """The turn's reply. A caller that goes away does not stop it: it is taken, kept, and found by its key."""
        taking = asyncio.create_task(self._take(job, headers))
        self._taking.add(taking)
        taking.add_done_callback(self._taking.discard)
        return await asyncio.shield(taking)

    async def _take(self, job: Job, headers: Mapping[str, str] | None) -> TurnReply:
        try:
            async with self.gate.turn(job.tenant, job.conversation, self.turns.until_s(job)) as has_place:
                taken = await self._watched(job, headers, self._threads if has_place else self._late)
        except RefusedError as error:
            self.telemetry.refused({429: "rate", 503: "busy"}.get(error.status, "request"))
            raise
        if taken.turn is not None:
            self.events.turn(job.tenant, taken.reply)
        return taken.reply

    async def _watched(self, job: Job, headers: Mapping[str, str] | None, threads: ThreadPoolExecutor) -> Taken:
        named = {"pack": job.pack if job.pack in self.turns.packs.names else "(unknown)", "conversation": job.conversation}
        with self.telemetry.turn(**named, tenant=job.tenant, headers=headers) as watch:
            watch.begin()
            taken = await asyncio.get_running_loop().run_in_executor(threads, self.turns.take, job)
            if taken.turn is not None:
                watch.done(taken.turn, taken.reply.source, degraded=bool(taken.reply.degraded))
                if not taken.turn.effects:  # the rules of a late turn choose none
                    self.turns.margin.took(time.monotonic() - taken.decided_s)
            return taken

    async def at_desk(self, work: Callable[..., T], *arguments: Any) -> T:
        """Runs what reads the database and is no turn, in a thread."""
        return await asyncio.get_running_loop().run_in_executor(self._desk, work, *arguments)

    async def in_turn(self, work: Callable[..., T], *arguments: Any) -> T:
        """Runs what is as much work as a turn, in a thread of the turns."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, work, *arguments)

    def ready(self) -> ReadyReply:
        turns = self.turns
        is_kept = turns.sessions.is_reachable()
        reason = "the server is stopping" if self.gate.is_draining else "" if is_kept else "the conversations cannot be kept"
        hashes = {name: turns.packs.get(name).catalog.hash for name in turns.packs.names}
        running, waiting = self.gate.n_running, self.gate.n_waiting
        return ReadyReply(
            is_ready=not reason, reason=reason, packs=hashes, engines=tuple(turns.engines), n_running=running, n_waiting=waiting
        )

    def drain(self) -> None:
        """No new turn from now on; those that were let in are finished."""
        if not self.gate.is_draining:
            self.gate.is_draining = True
            self.events.all("draining")
            self.events.close()

    async def close(self) -> None:
        """Waits for the turns that run, then lets go of threads, engines and database."""
        self.drain()
        if self._taking:
            await asyncio.wait(self._taking, timeout=self.turns.settings.drain_s)
        for threads in (self._threads, self._late):
            threads.shutdown(wait=not self._taking, cancel_futures=True)
        self._desk.shutdown()
        for engine in (*self.turns.engines.values(), *self.turns.own.values()):
            close = getattr(engine, "close", None)
            if close is not None:
                await asyncio.to_thread(close)
        self.turns.sessions.close()
