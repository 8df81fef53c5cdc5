"""What is said in one conversation, as server events: replies of the engine and of people, from wherever a client stopped reading."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import asdict

from constrained.serve.access.roles import Principal
from constrained.serve.errors import RefusedError
from constrained.serve.handover.person_replies import Said
from constrained.serve.service import Service

HEARTBEAT_S = 15.0
LOOK_S = 2.0  # where several servers share a database: another one's replies are not told here
EVENT_ID = re.compile(r"(\d{1,9})\.(\d{1,9})")
HEARTBEAT = ": still here\n\n"

ReadSaid = Callable[[tuple[int, int]], list[Said]]


def parse_event_id(text: str) -> tuple[int, int]:
    """(number, place) of an id such as ``5.0``. Raises RefusedError: 422."""
    found = EVENT_ID.fullmatch(text)
    if found is None:
        raise RefusedError(
            422, "not an id of an event of this stream", hint="send the last id that came, or 0.0 for all", param="Last-Event-ID"
        )
    return int(found[1]), int(found[2])


async def stream_replies(
    service: Service, principal: Principal, conversation: str, read: ReadSaid, after: tuple[int, int]
) -> AsyncIterator[str]:
    """One event for each reply behind ``after``; it ends with the token, with the server, or where the client is too slow."""
    look_s = LOOK_S if service.turns.sessions.is_shared else HEARTBEAT_S
    silent_s = 0.0
    with suppress(RefusedError), service.events.subscribe(principal.tenant, conversation) as queue:
        yield "retry: 2000\n\n"
        while (left_s := principal.expires_at - time.time()) > 0:
            found = await service.in_background(read, after)
            for said in found:
                after, silent_s = (said.number, said.place), 0.0
                yield event_of(said)
            if found:
                continue
            wait_s = min(look_s, left_s)
            try:
                what = await asyncio.wait_for(queue.get(), wait_s)
            except TimeoutError:
                silent_s += wait_s
                if silent_s >= HEARTBEAT_S:
                    silent_s = 0.0
                    yield HEARTBEAT
                continue
            if isinstance(what, int):  # the code to close with
                return


def event_of(said: Said) -> str:
    """The event of a reply; JSON has no line break, so it is one line."""
    content = {"by": "person" if said.by else "engine"} | {name: value for name, value in asdict(said).items() if name != "by"}
    return f"id: {said.number}.{said.place}\nevent: reply\ndata: {json.dumps(content, ensure_ascii=False)}\n\n"
