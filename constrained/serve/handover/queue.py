"""The queue of hand-overs as a server uses it: each change is told to those who listen, counted, and handed to the webhook."""

from __future__ import annotations

import asyncio
import json
import logging
from pathlib import Path
from typing import Any

from constrained.records.record import PersonReply
from constrained.serve.handover.cloud_events import EventType, read_secret
from constrained.serve.handover.outbox import WebhookSender, make_post
from constrained.serve.handover.person_replies import PersonReplies
from constrained.serve.handover.store import Handover, HandoverStore, QueueFilter
from constrained.serve.handover.wire import TranscriptEntry
from constrained.serve.service import Service, now_iso
from constrained.serve.turns import CLAIMED_BY_PERSON
from constrained.serve.wire import Event, TurnReply

MOST_TURNS = 200  # of a transcript
log = logging.getLogger("constrained.serve")


class HandoverQueue:
    """The queue over one Service. Used from its event loop.

    Raises ConstrainedError when the secret of the webhook cannot be read, or what a crash interrupted cannot be completed.
    """

    def __init__(self, service: Service) -> None:
        self._service, turns = service, service.turns
        settings, sessions = turns.settings, turns.sessions
        self.store = HandoverStore(sessions.transaction, is_announcing=sessions.is_announcing, lease_s=settings.handovers.lease_s)
        self.replies = PersonReplies(turns, self.store)
        self.sender: WebhookSender | None = None
        self._client: Any = None
        if settings.handovers.webhook:
            post, self._client = make_post(settings.handovers.webhook)
            secret = read_secret(Path(settings.handovers.secret))
            self.sender = WebhookSender(sessions, post, secret, service.telemetry.count_webhook)
        n_completed = self.replies.complete_all()
        if n_completed:
            log.warning("a crash interrupted %d replies by people; they are completed", n_completed)
        service.on_handover = self._opened

    def start(self) -> None:
        if self.sender is not None:
            self.sender.start()

    async def close(self) -> None:
        """Ends the sending; called before the database is let go."""
        if self.sender is not None:
            await asyncio.to_thread(self.sender.close)
            self._client.close()

    # -- reading -----------------------------------------------------------------------------------------------

    async def page(self, tenant: str, state: QueueFilter | None, pack: str | None, after: str, most: int) -> list[Handover]:
        return await self._service.in_background(lambda: self.store.page(tenant, state=state, pack=pack, after=after, most=most))

    async def transcript(self, tenant: str, name: str) -> tuple[Handover, dict[str, Any], tuple[TranscriptEntry, ...]]:
        """The entry, the conversation's state and what was said. Raises RefusedError: 404."""

        def read() -> tuple[Handover, dict[str, Any], tuple[TranscriptEntry, ...]]:
            entry = self.store.find(tenant, name)
            stored, turns = self._service.turns.conversation(tenant, entry.conversation, MOST_TURNS)
            said = self.replies.entries(tenant, entry.conversation)
            entries = [_of_turn(one) for one in turns] + [_of_person(place, one) for place, one in said]
            return entry, json.loads(stored.state), tuple(sorted(entries, key=lambda one: (one.number, one.place)))

        return await self._service.in_background(read)

    # -- changing ----------------------------------------------------------------------------------------------

    async def claim(self, tenant: str, name: str, by: str) -> Handover:
        return self._told(tenant, await self._service.in_background(self.store.claim, tenant, name, by), "claimed")

    async def release(self, tenant: str, name: str, by: str | None) -> Handover:
        return self._told(tenant, await self._service.in_background(self.store.release, tenant, name, by), "waiting")

    async def close_entry(self, tenant: str, name: str, by: str, outcome: str) -> Handover:
        return self._told(tenant, await self._service.in_background(self.store.close, tenant, name, by, outcome), "closed")

    async def answer(self, tenant: str, name: str, by: str, response_id: str, key: str | None) -> tuple[PersonReply, Handover]:
        """In the order of the conversation's turns: neither a turn nor another answer runs meanwhile."""
        entry = await self._service.in_background(self.store.find, tenant, name)
        async with self._service.gate.turn(tenant, entry.conversation):
            answer = self.replies.answer
            said, entry = await self._service.in_turn_thread(lambda: answer(tenant, name, by, response_id, key))
        facts = {"pack": entry.pack, "conversation": entry.conversation, "number": said.number, "response_id": said.response_id}
        self._service.events.send(tenant, Event(kind="person", at=said.at, **facts))
        return said, self._told(tenant, entry, "answered")

    def _opened(self, tenant: str, reply: TurnReply) -> None:
        self._notify(tenant, reply.pack, reply.conversation, reply.number, "waiting")

    def _told(self, tenant: str, entry: Handover, change: EventType) -> Handover:
        self._notify(tenant, entry.pack, entry.conversation, entry.number, change)
        return entry

    def _notify(self, tenant: str, pack: str, conversation: str, number: int, change: EventType) -> None:
        self._service.telemetry.count_handover(pack, change)
        self._service.events.send(
            tenant, Event(kind="handover", at=now_iso(), pack=pack, conversation=conversation, number=number, detail=change)
        )
        if self.sender is not None:
            self.sender.wake()


def _of_turn(reply: TurnReply) -> TranscriptEntry:
    decision, record = reply.decision, reply.record
    chosen = next((one for one in decision.options if one.id == decision.chosen), None)
    return TranscriptEntry(
        number=reply.number,
        place=0,
        by="",
        at=record["at"],
        message=record["message"],
        text=reply.text,
        response_id=reply.response_id,
        mode=decision.mode,
        probability=chosen.probability if chosen is not None else None,
        threshold=decision.threshold,
        why=f"{CLAIMED_BY_PERSON}: the engine does not act" if record["versions"].get("degraded") == CLAIMED_BY_PERSON else decision.why,
        line=chosen.line if chosen is not None else "",
        heard=reply.heard,
        blocked=reply.blocked,
        obligations=reply.obligations,
        effects=tuple(one.call for one in reply.effects),
        effects_outcome=reply.effects_outcome,
        approval=record.get("approvals", {}).get(reply.response_id, ""),
        sequence=record["sequence"],
        record_hash=record["hash"],
    )


def _of_person(place: int, said: PersonReply) -> TranscriptEntry:
    return TranscriptEntry(
        number=said.number,
        place=place,
        by=said.by,
        at=said.at,
        message="",
        text=said.text,
        response_id=said.response_id,
        mode="person",
        probability=None,
        threshold=0.0,
        why=f"{said.by} chose it",
        line="",
        heard=(),
        blocked=(),
        obligations=(),
        effects=(),
        effects_outcome="none",
        approval=said.approval,
        sequence=said.sequence,
        record_hash=said.hash,
    )
