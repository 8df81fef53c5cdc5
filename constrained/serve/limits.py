"""Who may take a turn now: a bounded queue, turns of a conversation in order, a rate for each tenant. Knows no turn."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from constrained.serve.errors import RefusedError
from constrained.serve.settings import Limits


@dataclass(slots=True)
class _Line:
    """The turns of one conversation that run or wait, in the order in which they came."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    n: int = 0


@dataclass(slots=True)
class _Bucket:
    """What one tenant may still ask for at once."""

    left: float
    at_s: float


class Gate:
    """Lets turns in. Used from one event loop.

    Args:
        clock: monotonic seconds, for tests.
    """

    def __init__(self, limits: Limits, clock: Callable[[], float] = time.monotonic) -> None:
        self._limits, self._clock = limits, clock
        self._lines: dict[tuple[str, str], _Line] = {}
        self._buckets: dict[str, _Bucket] = {}
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
        line = self._lines.get((tenant, name)) or _Line()
        self._refuse(line)
        self._spend(tenant)
        self._lines[tenant, name] = line
        line.n += 1
        self.n_inside += 1
        try:
            async with line.lock:
                has_place = await self._waited(until_s)
                self.n_running += has_place
                try:
                    yield has_place
                finally:
                    if has_place:
                        self.n_running -= 1
                        self._running.release()
        finally:
            line.n -= 1
            self.n_inside -= 1
            if not line.n:
                del self._lines[tenant, name]

    async def _waited(self, until_s: float | None) -> bool:
        """Whether a place among those that run came before ``until_s``."""
        try:
            async with asyncio.timeout(None if until_s is None else max(0.0, until_s - time.monotonic())):
                return await self._running.acquire()
        except TimeoutError:
            return False

    def _refuse(self, line: _Line) -> None:
        limits = self._limits
        if self.is_draining:
            raise RefusedError(503, "the server is stopping", hint="send the request again, with its key, to the next one", retry_s=1)
        if self.n_inside >= limits.n_running + limits.n_waiting:
            raise RefusedError(503, f"{self.n_inside} turns run or wait already", hint="send the request again later", retry_s=1)
        if line.n >= limits.n_in_conversation:
            hint = "wait for the replies of this conversation, then send the request again"
            raise RefusedError(429, f"{line.n} turns of this conversation run or wait already", hint=hint, retry_s=1)

    def _spend(self, tenant: str) -> None:
        rate, now = self._limits.turns_per_s, self._clock()
        if not rate:
            return
        bucket = self._buckets.setdefault(tenant, _Bucket(float(self._limits.burst), now))
        bucket.left, bucket.at_s = min(self._limits.burst, bucket.left + (now - bucket.at_s) * rate), now
        if bucket.left < 1:
            wait_s = math.ceil((1 - bucket.left) / rate)
            raise RefusedError(429, f"more than {rate:g} turns a second", hint="send the request again later", retry_s=wait_s)
        bucket.left -= 1
