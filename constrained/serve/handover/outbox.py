"""Sends the events of the outbox to a webhook: at least once, those of a conversation in order, beside the turns.

An event is sent until it is answered with 2xx: after 5 s, 10 s, 20 s and so on up to an hour, each time between half and one and a half
times that. After a day it is given up and counted, and the next one of its conversation is sent.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from sqlalchemy import and_, delete, exists, select, update

from constrained.errors import ConstrainedError
from constrained.serve.handover.cloud_events import sign
from constrained.serve.storage.sessions import Sessions
from constrained.serve.storage.tables import outbox

if TYPE_CHECKING:
    import httpx

FIRST_WAIT_S, MOST_WAIT_S, GIVE_UP_S = 5.0, 3_600.0, 86_400.0
ATTEMPT_S = 10.0  # for one attempt
LEASE_S = 30.0  # in which no other process sends an event that this one is sending
LOOK_S = 5.0  # between two looks at what is due again
MOST_AT_ONCE = 50
Result = Literal["sent", "failed", "given_up"]
Post = Callable[[bytes, Mapping[str, str]], int]
log = logging.getLogger("constrained.serve")


def make_post(url: str) -> tuple[Post, httpx.Client]:
    """Puts a body to a URL and gives the status of the answer; raises OSError where there is none. Redirects are not followed."""
    import httpx

    client = httpx.Client(timeout=ATTEMPT_S, follow_redirects=False)

    def post(body: bytes, headers: Mapping[str, str]) -> int:
        try:
            return client.post(url, content=body, headers=dict(headers)).status_code
        except httpx.HTTPError as error:
            raise OSError(type(error).__name__) from error

    return post, client


@dataclass(frozen=True, slots=True)
class _Due:
    sequence: int
    id: str
    body: bytes
    attempts: int
    first_at: float


class WebhookSender:
    """A thread that sends what is due. Several processes may share an outbox.

    Args:
        count: told the result of each attempt. clock: seconds since the epoch, for tests. spread: gives 0 to 1.
    """

    def __init__(
        self,
        sessions: Sessions,
        post: Post,
        secret: bytes,
        count: Callable[[Result], None] = lambda result: None,
        clock: Callable[[], float] = time.time,
        spread: Callable[[], float] = random.random,
    ) -> None:
        self._sessions, self._post, self._secret, self._count, self._clock, self._spread = sessions, post, secret, count, clock, spread
        self._woken, self._is_over = threading.Event(), False
        self._thread = threading.Thread(target=self._run, name="constrained-webhook", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        """There may be something to send; returns at once."""
        self._woken.set()

    def close(self) -> None:
        """Ends after the attempt that runs; what is left is sent by the next process."""
        self._is_over = True
        self._woken.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._is_over:
            try:
                while not self._is_over and self.send_due():
                    pass
            except ConstrainedError as error:  # the database is away: it is looked at again
                log.error("the outbox cannot be read: %s", error)
            self._woken.wait(LOOK_S)
            self._woken.clear()

    def send_due(self) -> int:
        """Sends the first event of each conversation that is due; how many were tried. Raises AuditError where the database fails."""
        n_tried = 0
        for one in self._due():
            if self._is_over:
                break
            if self._lease(one):
                n_tried += 1
                self._send(one)
        return n_tried

    def _due(self) -> list[_Due]:
        earlier = outbox.alias()
        is_first = ~exists().where(
            and_(earlier.c.subject == outbox.c.subject, earlier.c.sequence < outbox.c.sequence, earlier.c.state == "due")
        )
        columns = outbox.c.sequence, outbox.c.id, outbox.c.body, outbox.c.attempts, outbox.c.first_at
        query = select(*columns).where(outbox.c.state == "due", outbox.c.next_at <= self._clock(), is_first).order_by(outbox.c.sequence)
        with self._sessions.transaction() as connection:
            rows = connection.execute(query.limit(MOST_AT_ONCE)).all()
        return [_Due(sequence, name, body.encode(), attempts, first_at) for sequence, name, body, attempts, first_at in rows]

    def _lease(self, one: _Due) -> bool:
        """Whether this process sends it: the attempts are counted before the attempt, and only one process counts this one."""
        the_row = outbox.c.sequence == one.sequence, outbox.c.attempts == one.attempts, outbox.c.state == "due"
        with self._sessions.transaction() as connection:
            values = {"attempts": one.attempts + 1, "next_at": self._clock() + LEASE_S}
            return connection.execute(update(outbox).where(*the_row).values(**values)).rowcount > 0

    def _send(self, one: _Due) -> None:
        reason = ""
        try:
            status = self._post(one.body, sign(self._secret, one.id, int(self._clock()), one.body))
            reason = "" if 200 <= status < 300 else f"it answered {status}"
        except OSError as error:
            reason = f"it cannot be reached: {error}"
        except Exception as error:  # the thread must live, whatever a client raises
            reason = type(error).__name__
        the_row = outbox.c.sequence == one.sequence
        with self._sessions.transaction() as connection:
            if not reason:
                connection.execute(delete(outbox).where(the_row))
            else:
                connection.execute(update(outbox).where(the_row).values(**self._after_failure(one)))
        self._count(self._result(one, reason))
        if reason:
            log.warning("event %s was not taken by the webhook, attempt %d: %s", one.id, one.attempts + 1, reason)

    def _after_failure(self, one: _Due) -> dict[str, float | str]:
        if self._is_given_up(one):
            return {"state": "given_up"}
        wait_s: float = min(MOST_WAIT_S, FIRST_WAIT_S * 2.0 ** min(one.attempts, 30))
        return {"next_at": self._clock() + wait_s * (0.5 + self._spread())}

    def _is_given_up(self, one: _Due) -> bool:
        return self._clock() - one.first_at >= GIVE_UP_S

    def _result(self, one: _Due, reason: str) -> Result:
        return "sent" if not reason else "given_up" if self._is_given_up(one) else "failed"
