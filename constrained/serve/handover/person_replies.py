"""What people say in conversations that were handed over: each reply once, in the log before it is released, told in order.

    claimed -> kept as prepared -> entry durable in the log -> done -> released

A reply that a crash interrupts is done when its entry is in the log, and else taken back: nobody has seen it.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection, delete, func, insert, select, tuple_, update

from constrained.approval.in_force import Approvals
from constrained.dialogue.recording import approval_of
from constrained.errors import ConstrainedError
from constrained.logic.options import Option
from constrained.logic.policy import Policy
from constrained.logic.state import Memory
from constrained.records.record import PersonReply, library, to_json, versions
from constrained.serve.errors import RefusedError
from constrained.serve.handover.possible_replies import RankedReply, ReplyPlace, find_sayable, rank, sayable
from constrained.serve.handover.store import Handover, HandoverStore
from constrained.serve.settings import log_name
from constrained.serve.storage.sessions import StoredConversation, StoredTurn, missing
from constrained.serve.storage.statements import DONE, PREPARED
from constrained.serve.storage.tables import person_replies
from constrained.serve.turns import Turns

MOST_SAID = 100  # replies that are read at once


@dataclass(frozen=True, slots=True)
class Said:
    """One reply of a conversation, in the order of (number, place): a turn is at place 0, people who answer after it behind.

    Attributes:
        by: empty for the engine, else the person's name. at: ISO 8601.
    """

    number: int
    place: int
    by: str
    response_id: str
    text: str
    at: str


class PersonReplies:
    """What people say, over the turns of one server. Who calls sees to it that nothing else runs in the conversation.

    Args:
        now: the clock, for tests. Its date decides which approvals are in force.
    """

    def __init__(self, turns: Turns, store: HandoverStore, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._turns, self._store, self._now = turns, store, now
        self._sessions, self._journal = turns.sessions, turns.journal

    # -- what may be said --------------------------------------------------------------------------------------

    def search(self, tenant: str, handover: str, words: str) -> list[RankedReply]:
        """What a person may answer there, best first. Raises RefusedError: 404."""
        entry = self._store.find(tenant, handover)
        policy = self._turns.packs.get(entry.pack)
        with self._sessions.look(tenant) as store:
            stored = store.existing(entry.conversation)
        place = self._place(entry, stored, policy)
        _, engine = self._turns.engine(None, entry.pack)
        return rank(policy, sayable(policy, place), words, entry.locale, engine)

    def _place(self, entry: Handover, stored: StoredConversation, policy: Policy) -> ReplyPlace:
        settings, memory = self._turns.settings, Memory.model_validate_json(stored.memory)
        approvals = Approvals(policy.catalog, channel=entry.channel, jurisdiction=entry.jurisdiction, drafts=settings.drafts).now()
        state = policy.state_type.from_json(stored.state)
        return ReplyPlace(
            entry.locale,
            state,
            approvals,
            self._now().date(),
            memory.done,
            has_slots=not settings.seal,
            is_masking=self._turns.is_masking(policy),
        )

    # -- a reply -----------------------------------------------------------------------------------------------

    def answer(self, tenant: str, handover: str, by: str, response_id: str, key: str | None = None) -> tuple[PersonReply, Handover]:
        """Says a response of the catalog, as it is rendered there; with the same key it is said once.

        Raises RefusedError: 404, 409 where this person has not claimed it, 422 for what may not be said there.
        """
        entry = self._store.find(tenant, handover)
        reply_id = hashlib.sha256(f"{tenant}/{handover}/{key}".encode()).hexdigest()[:32] if key else uuid.uuid4().hex
        with self._sessions.hold(tenant, entry.conversation) as held:
            self._complete(tenant, entry.conversation)
            kept = self._find(reply_id)
            if kept is not None:
                return _same(kept, by, response_id), self._store.find(tenant, handover)
            self._store.check_held(tenant, handover, by)
            stored = self._turns.recovery.conversation(held, entry.conversation)
            if stored is None:
                raise missing(entry.conversation)
            policy = self._turns.packs.get(entry.pack)
            place = self._place(entry, stored, policy)
            option = find_sayable(policy, place, response_id)
            if option is None:
                hint = f"GET /v1/handovers/{handover}/replies tells what may be said"
                raise RefusedError(422, f"{response_id!r} may not be said in this conversation", hint=hint, param="response_id")
            said = self._entry(entry, stored, policy, place, option, reply_id, by)
            self._prepare(entry, said)
            try:
                said = self._journal.write(said)
            except ConstrainedError:
                self._withdraw(reply_id)
                raise
            return said, self._finish(tenant, said)

    def _entry(
        self, entry: Handover, stored: StoredConversation, policy: Policy, place: ReplyPlace, option: Option, reply_id: str, by: str
    ) -> PersonReply:
        return PersonReply(
            reply_id=reply_id,
            handover=entry.id,
            conversation=log_name(entry.tenant, entry.conversation),
            number=stored.number,
            at=self._now().isoformat(),
            today=place.today.isoformat(),
            locale=place.locale,
            versions=versions(policy) | {"library": library()} | place.approvals.versions(),
            approval=approval_of(option.response, option.locale, place.approvals),
            by=by,
            response_id=option.id,
            slots=to_json(option.slots),
            text=option.text,
        )

    # -- its row -----------------------------------------------------------------------------------------------

    def _prepare(self, entry: Handover, said: PersonReply) -> None:
        own = person_replies.c.tenant == entry.tenant, person_replies.c.conversation == entry.conversation
        with self._sessions.transaction() as connection:
            of_turn = select(func.coalesce(func.max(person_replies.c.place), 0)).where(*own, person_replies.c.number == said.number)
            values = {
                "id": said.reply_id,
                "tenant": entry.tenant,
                "conversation": entry.conversation,
                "handover": said.handover,
                "number": said.number,
                "place": int(connection.execute(of_turn).scalar_one()) + 1,
                "stage": PREPARED,
                "after": self._journal.last,
                "entry": said.model_dump_json(),
            }
            connection.execute(insert(person_replies), values)
        self._sessions.flush()

    def _withdraw(self, reply_id: str) -> None:
        with self._sessions.transaction() as connection:
            connection.execute(delete(person_replies).where(person_replies.c.id == reply_id))

    def _finish(self, tenant: str, said: PersonReply) -> Handover:
        the_row = person_replies.c.id == said.reply_id
        with self._sessions.transaction() as connection:
            connection.execute(update(person_replies).where(the_row).values(stage=DONE, entry=said.model_dump_json()))
            entry = self._store.answered(connection, tenant, said.handover, said.by)
        self._sessions.flush()
        return entry

    def _find(self, reply_id: str) -> PersonReply | None:
        with self._sessions.transaction() as connection:
            row = connection.execute(select(person_replies.c.entry).where(person_replies.c.id == reply_id)).first()
        return None if row is None else PersonReply.model_validate_json(row.entry)

    # -- after a crash -----------------------------------------------------------------------------------------

    def complete_all(self) -> int:
        """Completes what a crash interrupted; how many replies. Called before the first request."""
        with self._sessions.transaction() as connection:
            columns = person_replies.c.tenant, person_replies.c.conversation
            rows = connection.execute(select(*columns).where(person_replies.c.stage == PREPARED).distinct()).all()
        n_completed = 0
        for tenant, conversation in rows:
            with self._sessions.hold(tenant, conversation):
                n_completed += self._complete(tenant, conversation)
        return n_completed

    def _complete(self, tenant: str, conversation: str) -> int:
        own = person_replies.c.tenant == tenant, person_replies.c.conversation == conversation, person_replies.c.stage == PREPARED
        with self._sessions.transaction() as connection:
            rows = connection.execute(select(person_replies.c.id, person_replies.c.after).where(*own)).all()
        for reply_id, after in rows:
            said = self._journal.find_person_reply(reply_id, after)
            if said is None:
                self._withdraw(reply_id)
            else:
                self._finish(tenant, said)
        return len(rows)

    # -- what was said -----------------------------------------------------------------------------------------

    def last_place(self, tenant: str, conversation: str) -> tuple[int, int]:
        """(number, place) of what was released last in a conversation. Raises RefusedError: 404."""
        with self._sessions.look(tenant) as store:
            before = max(0, store.existing(conversation).number - 1), 0  # the last turn may not be released yet
        last = self.said_after(tenant, conversation, before)
        return (last[-1].number, last[-1].place) if last else before

    def said_after(self, tenant: str, conversation: str, after: tuple[int, int], most: int = MOST_SAID) -> list[Said]:
        """What was released in a conversation behind (number, place), in order."""
        with self._sessions.look(tenant) as store:
            rows = store.turns_after(conversation, after[0], most)
        with self._sessions.transaction() as connection:
            answers = self._answers_after(connection, tenant, conversation, after, most)
        known = rows[-1].number if rows else after[0]  # an answer to a turn that came since the turns were read waits for it
        until = min((one.number for one in rows if one.stage != DONE), default=None)  # it stops what stands behind it
        found = [_turn_said(one) for one in rows] + [one for one in answers if one.number <= known]
        found = [one for one in found if until is None or one.number < until]
        return sorted(found, key=lambda one: (one.number, one.place))[:most]

    def _answers_after(self, connection: Connection, tenant: str, conversation: str, after: tuple[int, int], most: int) -> list[Said]:
        one = person_replies.c
        own = one.tenant == tenant, one.conversation == conversation, one.stage == DONE
        query = select(one.place, one.entry).where(*own, tuple_(one.number, one.place) > tuple_(*after)).order_by(one.number, one.place)
        found = [(int(place), PersonReply.model_validate_json(entry)) for place, entry in connection.execute(query.limit(most))]
        return [Said(entry.number, place, entry.by, entry.response_id, entry.text, entry.at) for place, entry in found]

    def entries(self, tenant: str, conversation: str) -> list[tuple[int, PersonReply]]:
        """(place, what was said) by people in a conversation, in order."""
        one = person_replies.c
        query = select(one.place, one.entry).where(one.tenant == tenant, one.conversation == conversation, one.stage == DONE)
        with self._sessions.transaction() as connection:
            rows = connection.execute(query.order_by(one.number, one.place)).all()
        return [(int(place), PersonReply.model_validate_json(entry)) for place, entry in rows]


def _same(kept: PersonReply, by: str, response_id: str) -> PersonReply:
    if (kept.by, kept.response_id) != (by, response_id):
        hint = "a key belongs to one request; give the next one a key of its own"
        raise RefusedError(409, "another reply came with this idempotency key", hint=hint, param="idempotency_key")
    return kept


def _turn_said(row: StoredTurn) -> Said:
    reply = json.loads(row.reply)
    return Said(row.number, 0, "", reply["response_id"], reply["text"], reply["record"]["at"])
