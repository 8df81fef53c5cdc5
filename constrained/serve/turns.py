"""Turns as a server takes them: each once, in order, kept before it is released. Every text comes out of ``Dialogue``.

    kept as prepared -> record durable in the log -> effects started -> done -> released

What a crash interrupts between two of these is completed when the server starts, or when the conversation goes on: see ``TurnRecovery``.
"""

from __future__ import annotations

import hashlib
import json
import time
import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from constrained.dialogue.dialogue import Dialogue
from constrained.dialogue.turn import Turn
from constrained.engines.protocol import CatalogBound, Engine
from constrained.errors import AuditError, ConstrainedError, DeadlineError, EffectError, EngineError, OutcomeError, StateError
from constrained.logic.allow import with_outcomes
from constrained.logic.policy import Policy
from constrained.logic.state import Memory, State
from constrained.serve.access.conversation_access import ConversationAccess
from constrained.serve.cancelling import TurnFate
from constrained.serve.engines import RULES, DeadlineReserve, NoTimeEngine
from constrained.serve.errors import RefusedError
from constrained.serve.journal import Draft, Journal, TurnRecovery, finish_turn
from constrained.serve.packs import Packs
from constrained.serve.replies import make_reply, seal_of, with_effects_outcome, with_seal
from constrained.serve.settings import ServerSettings, log_name
from constrained.serve.storage.sessions import Sessions, StoredConversation, StoredTurn, TenantStore, missing
from constrained.serve.storage.statements import PREPARED
from constrained.serve.wire import (
    EffectsOutcome,
    ForkRequest,
    Settings,
    TurnReply,
    TurnRequest,
)

CLAIMED_BY_PERSON = "a person answers"


@dataclass(frozen=True, slots=True)
class TurnJob:
    """One turn to take.

    Attributes:
        conversation: of a request that names none: one of its key, so that the request finds it when it is sent again.
        is_new: whether nobody can know the conversation yet.
        key: of the request, for repeats; ``fingerprint``: of all else in it.
        memory, state: what to begin with, where that is not the conversation's own.
        claimed_state, claimed_at: the state in a customer's token, and when that was signed; the newest one holds, once.
        fate: whether it is called off meanwhile. at_s: when the request came, on the monotonic clock.
    """

    tenant: str
    conversation: str
    pack: str
    message: str
    settings: Settings
    is_new: bool = False
    key: str | None = None
    fingerprint: str = ""
    state: Mapping[str, Any] | None = None
    memory: Memory | None = None
    done: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    claimed_state: Mapping[str, Any] | None = None
    claimed_at: float = 0.0
    fate: TurnFate = field(default_factory=TurnFate, compare=False)
    at_s: float = field(default_factory=time.monotonic)


@dataclass(frozen=True, slots=True)
class TurnResult:
    """The reply to a job; ``turn`` is None when it had been taken before.

    Attributes:
        decided_s: when the model's time was over, on the monotonic clock.
    """

    reply: TurnReply
    turn: Turn | None = None
    decided_s: float = 0.0


class Turns:
    """Takes turns, in any thread; who calls sees to it that no two of one name run at once in this process.

    Args:
        engines: name -> engine; the first is used where a request names none. ``rules`` is always there.
        own: pack -> engine that stands in for the first one there: what was fitted to this pack.
    """

    def __init__(
        self,
        settings: ServerSettings,
        packs: Packs,
        engines: Mapping[str, Engine],
        sessions: Sessions,
        journal: Journal,
        own: Mapping[str, Engine] | None = None,
    ) -> None:
        self.settings, self.packs, self.sessions, self.journal = settings, packs, sessions, journal
        self.engines: dict[str, Engine | None] = {**engines, RULES: None}
        self.own = dict(own or {})
        self.reserve = DeadlineReserve()
        self.recovery = TurnRecovery(packs, sessions, journal)
        self.access = ConversationAccess(sessions)
        self._counts: dict[str, int] = {}  # conversations of a tenant, as far as this process knows

    # -- jobs ------------------------------------------------------------------------------------------------

    def make_job(self, tenant: str, request: TurnRequest) -> TurnJob:
        named, given = request.conversation or "", request.idempotency_key
        key = f"{named}/{given}" if given else None
        return TurnJob(
            tenant,
            named or (_digest(key) if key else uuid.uuid4().hex),
            request.pack,
            request.message,
            request,
            is_new=not named and not given,
            key=key,
            fingerprint=self._fingerprint(request) if key else "",
            state=request.state,
            done=tuple(request.done),
            failed=tuple(request.failed),
        )

    def _fingerprint(self, request: TurnRequest) -> str:
        content = request.model_dump(mode="json", exclude={"idempotency_key"})
        return self.sessions.cipher.digest(json.dumps(content, sort_keys=True))

    def make_fork(self, tenant: str, conversation: str, request: ForkRequest) -> TurnJob:
        """A turn taken again in a conversation of its own, that begins where the turn began."""
        with self.sessions.hold(tenant, conversation) as store:
            stored = store.existing(conversation)
            row = store.find_turn(conversation, request.turn or stored.number)
        if row is None:
            raise RefusedError(404, f"{conversation} has no turn {request.turn} here", hint=f"it is at turn {stored.number}")
        reply, before = TurnReply.model_validate_json(row.reply), json.loads(row.before)
        message = reply.record["message"] if request.message is None else request.message
        state = reply.state_before if request.state is None else request.state
        memory = Memory.model_validate(before["memory"])
        return TurnJob(tenant, uuid.uuid4().hex, reply.pack, message, request, is_new=True, state=state, memory=memory)

    def until_s(self, job: TurnJob) -> float:
        """When the rules choose, on the monotonic clock: so long before the deadline that the reply keeps it."""
        within = self.settings.within if job.settings.within is None else job.settings.within
        return job.at_s + within - self.reserve.seconds(within)

    # -- a turn ----------------------------------------------------------------------------------------------

    def take(self, job: TurnJob) -> TurnResult:
        """The turn, or the reply that the same request was given before.

        Raises RefusedError and what ``Dialogue.reply`` raises; nothing was released then.
        """
        policy = self.packs.get(job.pack)
        engine_name, engine = self.engine(job.settings.engine, job.pack)
        with self.sessions.hold(job.tenant, job.conversation) as store:
            repeated = self._find_repeat(store, job)
            if repeated is not None:
                return TurnResult(repeated)
            stored = self._current_conversation(store, job)
            memory = job.memory or (Memory.model_validate_json(stored.memory) if stored else Memory())
            is_claimed = stored is not None and stored.claimed_until > time.time()
            if is_claimed:
                engine = NoTimeEngine(CLAIMED_BY_PERSON)
            if is_claimed or (stored is not None and stored.is_overtaken):
                memory = memory.overtaken()  # a bare yes answers the person
            if job.done or job.failed:
                memory = with_outcomes(memory, job.done, job.failed)
            state, until_s = _state(policy, job, stored), self.until_s(job)
            turn, after, degraded = self._decide(policy, job, memory, state, engine, until_s)
            decided_s = min(until_s, time.monotonic())
            outcome: EffectsOutcome = "none" if not turn.effects else "handed_over"
            reply = make_reply(
                turn,
                policy,
                conversation=job.conversation,
                pack=job.pack,
                engine=engine_name,
                outcome=outcome,
                degraded=degraded,
                context=job.settings.context,
                is_real=job.memory is None or job.settings.effects == "run",
            )
            job.fate.keep()
            row = self._prepare(store, job, reply, memory, after, stored)
            seal = self._write_record(store, row, stored, turn)
            self._counts[job.tenant] = self._counts.get(job.tenant, 0) + (stored is None)
            if turn.effects and job.settings.effects == "run":
                reply = self._run_effects(store, row, reply, seal, turn, state)
            elif reply.handover:
                finish_turn(store, row, reply, seal)
            else:
                self.sessions.finish_later(row.turn_id, json.dumps(seal))
            return TurnResult(with_seal(reply, seal), turn, decided_s)

    def preview(self, job: TurnJob) -> Turn:
        """The turn that the job would be, decided and verified. Nothing is recorded or kept, no effect runs, and no rules stand in.

        Raises what ``Dialogue.reply`` raises, and DeadlineError where no time was left for a model.
        """
        policy = self.packs.get(job.pack)
        _, engine = self.engine(job.settings.engine, job.pack)
        state, until_s = _state(policy, job, None), self.until_s(job)
        turn, _ = self._ask_dialogue(policy, job, job.memory or Memory(), state, engine, until_s)
        if turn.decision.is_late or time.monotonic() >= until_s:  # it may have heard too little
            raise DeadlineError("no answer in time", within_s=self.settings.within, hint="give more time, or use a smaller model")
        return turn

    def _decide(
        self, policy: Policy, job: TurnJob, memory: Memory, state: State, engine: Engine | None, until_s: float
    ) -> tuple[Turn, Memory, str]:
        """The turn, not yet released; by the rules when the engine fails, and then why."""
        try:
            return *self._ask_dialogue(policy, job, memory, state, engine, until_s), ""
        except EngineError as error:
            if engine is None:
                raise
            reason = _kind(error)
            return *self._ask_dialogue(policy, job, memory, state, NoTimeEngine(reason), until_s), reason

    def _ask_dialogue(
        self, policy: Policy, job: TurnJob, memory: Memory, state: State, engine: Engine | None, until_s: float
    ) -> tuple[Turn, Memory]:
        wanted, served = job.settings, self.settings
        dialogue = Dialogue(
            policy,
            engine=engine,
            log=Draft(self.journal),
            locale=wanted.locale,
            threshold=served.threshold if wanted.threshold is None else wanted.threshold,
            conversation=log_name(job.tenant, job.conversation),
            channel=wanted.channel or served.channel,
            jurisdiction=wanted.jurisdiction or served.jurisdiction,
            drafts=served.drafts,
            mask=served.mask,
            memory=memory,
        )
        turn = dialogue.reply(job.message, state, within=max(0.0, until_s - time.monotonic()))
        return turn, dialogue.memory()

    def _prepare(
        self, store: TenantStore, job: TurnJob, reply: TurnReply, memory: Memory, after: Memory, stored: StoredConversation | None
    ) -> StoredTurn:
        """Keeps the turn with what it began with, before its record is written."""
        before = json.dumps({"memory": memory.model_dump(mode="json"), "effects": job.settings.effects, "after": self.journal.last})
        text = reply.model_dump_json()
        row = StoredTurn(reply.turn_id, job.tenant, job.conversation, after.number, job.key, job.fingerprint, PREPARED, before, text)
        try:
            store.prepare(row, job.pack, after, json.dumps(reply.state_before))
        except AuditError:
            with suppress(ConstrainedError):  # it may be there, and only not flushed: then the next turn would complete it
                store.withdraw(row, stored)
            raise
        return row

    def _write_record(self, store: TenantStore, row: StoredTurn, before: StoredConversation | None, turn: Turn) -> dict[str, Any]:
        try:
            return seal_of(self.journal.write(turn.record))
        except ConstrainedError:
            store.withdraw(row, before)
            raise

    def _apply(self, turn: Turn, state: State) -> State:
        return turn.apply(state)  # type: ignore[no-any-return]  # the state that it was given, changed

    def _run_effects(
        self, store: TenantStore, row: StoredTurn, reply: TurnReply, seal: Mapping[str, Any], turn: Turn, state: State
    ) -> TurnReply:
        """Runs the effects, once: before them the row says that they may have run."""
        store.start(row.turn_id)
        try:
            after = self._apply(turn, state).model_dump(mode="json")
            reply = with_effects_outcome(reply, outcome="ran", error="", state_after=after)
        except OutcomeError as error:  # they ran; only the log could not tell
            kept = error.state.model_dump(mode="json") if isinstance(error.state, State) else None
            reply = with_effects_outcome(reply, outcome="ran", error="the log could not tell that they ran", state_after=kept)
        except Exception as error:  # whatever a host's effect raises: the reply is recorded, and says that they failed
            why = str(error) if isinstance(error, EffectError) else type(error).__name__  # others may quote a path, or a message
            reply = with_effects_outcome(reply, outcome="failed", error=why, state_after=None)
        finish_turn(store, row, reply, seal)
        return reply

    # -- what was taken before -------------------------------------------------------------------------------

    def _find_repeat(self, store: TenantStore, job: TurnJob) -> TurnReply | None:
        row = store.find_repeat(job.key) if job.key else None
        if row is None:
            return None
        if row.fingerprint != job.fingerprint:
            hint = "a key belongs to one request; give the next one a key of its own"
            raise RefusedError(409, "another request came with this idempotency key", hint=hint, param="idempotency_key")
        return _stored_reply(self.recovery.complete(store, row)).model_copy(update={"is_repeat": True})

    def _current_conversation(self, store: TenantStore, job: TurnJob) -> StoredConversation | None:
        """The conversation as it is now, its last turn completed, with a newer state of the host; None for a new one."""
        stored = None if job.is_new else self._completed(store, job.conversation, job.pack)
        if job.claimed_state is not None and self.access.is_newer(store, job.tenant, job.conversation, job.claimed_at):
            return self._keep_state(store, stored, job.tenant, job.conversation, job.pack, job.claimed_state, job.claimed_at)
        if stored is None:
            self._check_number(store, job.tenant)
        return stored

    def _completed(self, store: TenantStore, conversation: str, pack: str) -> StoredConversation | None:
        """A conversation that is there, its last turn completed. Raises RefusedError where it is with another pack."""
        stored = self.recovery.conversation(store, conversation)
        if stored is not None and stored.pack != pack:
            raise RefusedError(409, f"this conversation is with {stored.pack!r}", hint="name another conversation", param="pack")
        return stored

    def _check_number(self, store: TenantStore, tenant: str) -> None:
        """Raises RefusedError when the tenant may have no further conversation."""
        if tenant not in self._counts:
            self._counts[tenant] = store.count()
        if self._counts[tenant] >= self.settings.limits.n_conversations:
            hint = "delete conversations that are over, or ask the operator for more"
            raise RefusedError(429, f"there are {self._counts[tenant]} conversations already", hint=hint)

    # -- states of the host ------------------------------------------------------------------------------------

    def set_state(self, tenant: str, conversation: str, pack: str, state: Mapping[str, Any]) -> None:
        """The state of a conversation's next turn; it begins with it where it is not there yet.

        Raises RefusedError, PackError, or StateError where it is no state of the pack.
        """
        self.packs.get(pack)
        with self.sessions.hold(tenant, conversation) as store:
            self._keep_state(store, self._completed(store, conversation, pack), tenant, conversation, pack, state, time.time())

    def _keep_state(
        self,
        store: TenantStore,
        stored: StoredConversation | None,
        tenant: str,
        conversation: str,
        pack: str,
        given: Mapping[str, Any],
        signed_at: float,
    ) -> StoredConversation:
        state = self.packs.get(pack).state_type.from_json(given)
        if stored is None:
            self._check_number(store, tenant)
        text = json.dumps(state.model_dump(mode="json"))
        kept = stored or StoredConversation(tenant, conversation, pack, 0, Memory().model_dump_json(), text, True)
        self.access.set_state(store, kept, text, signed_at)
        self._counts[tenant] = self._counts.get(tenant, 0) + (stored is None)
        return replace(kept, state=text)

    def begin(self, store: TenantStore, fresh: StoredConversation) -> None:
        """A conversation that stands where the value says. Raises RefusedError: 429."""
        self._check_number(store, fresh.tenant)
        self.access.set_state(store, fresh, fresh.state, time.time())
        self._counts[fresh.tenant] += 1

    # -- conversations ---------------------------------------------------------------------------------------

    def conversation(self, tenant: str, conversation: str, most: int) -> tuple[StoredConversation, list[TurnReply]]:
        """As it stands, whatever runs in it meanwhile: a turn is told once its record is in the log. Raises RefusedError: 404."""
        with self.sessions.look(tenant) as store:
            stored = store.existing(conversation)
            return stored, [_stored_reply(row) for row in store.last_turns(conversation, most) if row.stage != PREPARED]

    def goes_on(self, tenant: str, conversation: str, key: str | None) -> bool:
        """Whether the conversation waits for what became of effects, or went on with this key before."""
        with self.sessions.hold(tenant, conversation) as store:
            if key and store.find_repeat(f"{conversation}/{key}") is not None:
                return True
            stored = store.find(conversation)
            row = store.find_turn(conversation, stored.number) if stored else None
            return row is not None and TurnReply.model_validate_json(row.reply).goes_on

    def forget(self, tenant: str, conversation: str) -> None:
        with self.sessions.hold(tenant, conversation) as store:
            self.access.forget(store, tenant, conversation, time.time())
            if not store.forget(conversation):
                raise missing(conversation)
        if tenant in self._counts:
            self._counts[tenant] -= 1

    def recount(self) -> None:
        """Conversations were forgotten without ``forget``: they are counted anew."""
        self._counts.clear()

    # -- engines ---------------------------------------------------------------------------------------------

    def engine(self, wanted: str | None, pack: str) -> tuple[str, Engine | None]:
        """The engine of this name, or the first; and the name. Raises RefusedError where there is none."""
        first = next(iter(self.engines))
        name = wanted or first
        if name not in self.engines:
            hint = f"there are {', '.join(self.engines)}"
            raise RefusedError(422, f"there is no engine {name!r}", hint=hint, param="engine")
        return name, self.own.get(pack, self.engines[name]) if name == first else self.engines[name]

    def is_masking(self, policy: Policy) -> bool:
        """Whether what may not be logged is masked in the pack's turns; see ``Dialogue``."""
        return policy.catalog.is_approval_required if self.settings.mask is None else self.settings.mask

    def check_own(self, pack: str, policy: Policy) -> None:
        """Raises AdapterError or CalibrationError where the pack's own engine was fitted to another catalog than this policy's.

        Raises ConstrainedError where the pack requires approvals now, so it masks, and what is kept is not encrypted.
        """
        if self.is_masking(policy) and not self.sessions.cipher.is_encrypting:
            raise ConstrainedError(
                "its catalog requires approvals now, and conversations are kept in plain text", hint="restart the server"
            )
        own = self.own.get(pack)
        if isinstance(own, CatalogBound):
            own.check_catalog(policy.catalog.name, policy.catalog.hash)


def _stored_reply(row: StoredTurn) -> TurnReply:
    return with_seal(TurnReply.model_validate_json(row.reply), json.loads(row.seal))


def _state(policy: Policy, job: TurnJob, stored: StoredConversation | None) -> State:
    """The state that the request gives, else the one after the last turn, else the pack's default."""
    if job.state is not None:
        return policy.state_type.from_json(job.state)
    if stored is None:
        return policy.state_type.default()
    try:
        return policy.state_type.from_json(stored.state)
    except StateError as error:
        hint = "the logic reads another State than when this one was kept; send the state with the message"
        raise StateError(f"the kept state does not fit any more: {error.message}", hint=hint) from error


def _kind(error: EngineError) -> str:
    """What failed, by its type: an engine's own words may quote a message, or what a model wrote."""
    return ": ".join(type(one).__name__ for one in (error, error.__cause__) if one is not None)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
