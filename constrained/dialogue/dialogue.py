"""The main path: one message in, one approved reply out, in six stages.

    take -> hear -> allow -> decide -> verify -> commit

A Dialogue is one conversation. Many conversations may share an engine and a log.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from constrained.approval.in_force import Approvals, ApprovalSnapshot
from constrained.approval.logic_signatures import check_signed
from constrained.catalog.response import Catalog
from constrained.dialogue.context import TurnContext, check_locale, cut_message, make_prompt_context, timed
from constrained.dialogue.deciding import Decider, DecisionTerms, PreparedTurn, decide_bark, is_judged
from constrained.dialogue.listening import HeardNow, engine_failing, heard_before
from constrained.dialogue.pending import Claim, PendingReply, TurnQueue
from constrained.dialogue.recording import make_record
from constrained.dialogue.turn import Decision, Trace, Turn
from constrained.engines import loading
from constrained.engines.protocol import CatalogBound, Choice, Deadline, Distribution, Engine, Extractor, checked
from constrained.errors import AuditError, ConstrainedError, DeadlineError, StateError
from constrained.logic.allow import TurnOptions, run, with_events, with_outcomes
from constrained.logic.clarifying import OfferReading, opened, read_open_offers, resolve
from constrained.logic.evidence import ACT_THRESHOLD
from constrained.logic.obligations import Audience
from constrained.logic.options import Allowed, compose
from constrained.logic.policy import Policy
from constrained.logic.state import HISTORY_TURNS, Memory, State
from constrained.logic.variants import fitting
from constrained.packs import files_of, load_policy
from constrained.procedures.run import heard_text
from constrained.records.log import Log, MemoryLog, open_log
from constrained.records.masking import mask, masked_entry
from constrained.records.record import Outcome, OutcomeEntry, Record
from constrained.understanding.answers import AnswerJudge
from constrained.understanding.hearing import (
    AskedQuestion,
    Understanding,
    ask,
    checked_readings,
    entity_fields,
    extraction_fields,
    protected_fields,
    understand,
)
from constrained.verify import verify

T = TypeVar("T", Record, Outcome)
THRESHOLD = 0.3  # chosen on the packs' dev messages; see docs/decisions.md


class Dialogue:
    """One conversation between a user and a policy's catalog.

        npc = Dialogue(innkeeper, model="HuggingFaceTB/SmolLM2-135M-Instruct")
        turn = npc.reply("Sixty gold for the cellar key?", state=Tavern(gold=80))

    Args:
        policy: a function decorated with ``@policy`` or ``@procedure``, or the name of a pack.
        model: path, hub id or GGUF file for a TransformersEngine; or give ``engine``. With neither, replies
            follow the rules alone (mode ``rules``), nothing is heard.
        log: a path (JSON lines; SQLite where it ends in ``.db``), ``postgresql://USER@HOST/NAME``, or a Log. Records are
            durable before the reply is released. Without one, they live in memory only.
        locale: BCP 47; the catalog's default when None.
        threshold: the fallback is said when the best option's probability is lower; 0 never abstains.
        act_threshold: an option with an effect of high risk needs at least this probability, whatever ``threshold`` is.
        conversation: names this conversation in the log. memory: where it goes on from, see ``Dialogue.memory``.
        channel, jurisdiction: where the conversation takes place (``sms``, ``EU``). A response that was approved for
            one place is said there only; without a name, only what was approved for every place is said.
        mask: whether what may not be logged (cards, IBANs, national numbers: ``records.masking``) is taken out of records, and out of
            what later turns read of this one; by default where the catalog requires approvals. The decision sees the whole message.
        drafts: the development switch: responses without an approval in force may be said, and every record shows it.
        now: the clock, for tests and replay. Its date decides which approvals are in force; it is also the day from
            which "tomorrow" is counted, unless the State has a field ``today``.
    """

    def __init__(
        self,
        policy: Policy | str,
        model: str | Path | None = None,
        *,
        engine: Engine | None = None,
        log: Log | str | Path | None = None,
        locale: str | None = None,
        threshold: float = THRESHOLD,
        act_threshold: float = ACT_THRESHOLD,
        conversation: str | None = None,
        channel: str | None = None,
        jurisdiction: str | None = None,
        drafts: bool = False,
        mask: bool | None = None,
        memory: Memory | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.policy = policy if isinstance(policy, Policy) else load_policy(policy, signed=not drafts)
        self.channel, self.jurisdiction, self.drafts = channel, jurisdiction, drafts
        self._approvals = Approvals(
            self.catalog, channel=channel, jurisdiction=jurisdiction, drafts=drafts, logic=lambda: files_of(self.policy)
        )
        self._standing(now)  # a ledger that is missing or cannot be trusted, or logic that is not signed, is told before the first message
        self.engine = engine if engine is not None else None if model is None else loading.load_engine(model)
        if self.engine is not None and isinstance(self.engine, CatalogBound):
            self.engine.check_catalog(self.catalog.name, self.catalog.hash)
        self.log: Log = open_log(log) if isinstance(log, str | Path) else MemoryLog() if log is None else log
        self.locale = check_locale(self.catalog, locale or self.catalog.locale)
        self.threshold, self.act_threshold = threshold, act_threshold
        self.conversation = conversation or uuid.uuid4().hex
        self.is_masking = self.catalog.is_approval_required if mask is None else mask
        self._now = now
        self._memory = fitting(memory or Memory(), self.catalog, self.conversation)
        self._story = object()  # another one after a load
        self._lock = threading.Lock()  # one turn at a time
        self._turns = TurnQueue()  # those that are taken beside the caller, in order

    @property
    def catalog(self) -> Catalog:
        return self.policy.catalog

    def reply(self, message: str, state: State | None = None, *, within: float | None = None, locale: str | None = None) -> Turn:
        """One turn.

        Args:
            message: what the user wrote; any text.
            state: the host's facts; the policy's State with its defaults when None.
            within: seconds from this call; when they are over, the fallback is said (mode ``rules``), or what the policy offers
                with the tag ``moment``.

        Raises:
            MessageError, StateError: what was given is of the wrong type.
            EngineError: the model could not answer. AuditError: the record could not be made durable.
            ApprovalError: nothing that is approved is left to say, or the approvals cannot be trusted.
            VerificationError: the text was not an approved rendering. In each case nothing was said.
        """
        return self._reply(message, state, _deadline(within), locale, Claim())

    def start_reply(
        self, message: str, state: State | None = None, *, within: float | None = None, locale: str | None = None
    ) -> PendingReply[Turn]:
        """``reply`` beside the caller, who never waits: a handle to poll, to cancel or to await.

        The turns that are started in one conversation are taken in that order. ``within`` counts from this call. When the program
        ends, a turn that is not committed is given up.
        """
        deadline = _deadline(within)
        return self._turns.start(lambda claim: self._reply(message, state, deadline, locale, claim), self.engine)

    async def areply(self, message: str, state: State | None = None, *, within: float | None = None, locale: str | None = None) -> Turn:
        """``start_reply``, awaited.

        Cancelled before the commit, the turn leaves no trace: no record, and the memory as it was. Once the commit has begun it is
        carried through: CancelledError is raised all the same, with a note that says so, and ``memory()`` and the log tell whether
        the turn counts. The engine is not interrupted: the next turn waits until it has answered.
        """
        return await self.start_reply(message, state, within=within, locale=locale)

    def bark(self, state: State | None = None, *, locale: str | None = None) -> Turn | None:
        """What the speaker says unasked: a response tagged ``bark`` that the policy offers in this state; no engine is asked.

        None where none is allowed, where the only one allowed is the bark that was said last, and while a reply is under way. A bark
        has no effects; open offers, questions and procedures stay as they are. Raises as ``reply``.
        """
        if self._turns.is_busy or not self._lock.acquire(blocking=False):
            return None
        try:
            context, heard_type = self._take("", state, None, locale), self.policy.heard_type
            heard = HeardNow(heard_type() if heard_type is not None else None)
            with timed(context, "allow"):
                options = self._allow(context, heard.value)
            decision = decide_bark(options.allowed, self.catalog, self._memory, self.threshold)
            if decision is None:
                return None
            text = self._verify(context, options.allowed, decision)
            return self._commit(PreparedTurn(context, heard, options, decision, text, self._memory))
        finally:
            self._lock.release()

    def _reply(self, message: str, state: State | None, deadline: Deadline | None, locale: str | None, claim: Claim) -> Turn:
        """``reply``. It commits only what nobody has given up."""
        with self._lock:
            claim.check()
            prepared = self._prepare(message, state, deadline, locale)
            claim.commit()
            return self._commit(prepared)

    def _prepare(self, message: str, state: State | None, deadline: Deadline | None, locale: str | None) -> PreparedTurn:
        """Stages 1 to 5, which leave no trace."""
        context = self._take(message, state, deadline, locale)
        heard, options = self._heard_and_allowed(context)
        with timed(context, "decide"):
            decision = self._decide(context, heard, options.allowed)
        with timed(context, "verify"):
            text = self._verify(context, options.allowed, decision)
        return PreparedTurn(context, heard, options, decision, text, self._memory)

    def memory(self) -> Memory:
        """What the conversation carries to its next turn; ``Dialogue(..., memory=...)`` goes on from it in any process."""
        with self._lock:
            return self._memory.model_copy(update={"said": dict(self._memory.said)})

    def fork(self, engine: Engine | None) -> Dialogue:
        """A second conversation that goes on from here with another engine and a log of its own in memory: to compare."""
        return Dialogue(
            self.policy,
            engine=engine,
            locale=self.locale,
            threshold=self.threshold,
            act_threshold=self.act_threshold,
            channel=self.channel,
            jurisdiction=self.jurisdiction,
            drafts=self.drafts,
            mask=self.is_masking,
            memory=self.memory(),
            now=self._now,
        )

    def resume(self, memory: Memory, conversation: str | None = None) -> None:
        """Goes on from there: what was said and heard before, here or in another process. ``conversation``: under another name."""
        with self._lock:  # a turn that runs ends under its own name
            if conversation is not None:
                self.conversation, self._story = conversation, object()
            kept = memory.model_copy(update={"history": memory.history[-2 * HISTORY_TURNS :]})
            self._memory = fitting(kept, self.catalog, self.conversation)

    def with_events(self, *events: str) -> None:
        """The host tells of events that were committed, besides the effects of turns: what claims rest on."""
        with self._lock:
            self._memory = with_events(self._memory, events)

    # -- 1 take ----------------------------------------------------------------------------------------------

    def _take(self, message: str, state: State | None, deadline: Deadline | None, locale: str | None) -> TurnContext:
        """What the turn is about: the message cleaned, the state checked, the approvals of this moment."""
        state_type = self.policy.state_type
        if state is None:
            state = state_type.default()
        if not isinstance(state, state_type):
            raise StateError(
                f"the state is a {type(state).__name__}, the policy {self.policy.name!r} reads a {state_type.__name__}",
                hint=f"pass state={state_type.__name__}(...)",
            )
        spoken = check_locale(self.catalog, locale) if locale else self.locale
        cleaned, is_too_long = cut_message(message)
        now = self._now()
        standing = self._standing(lambda: now)
        return TurnContext(uuid.uuid4().hex, cleaned, state, spoken, now, deadline, standing, is_too_long=is_too_long)

    def _standing(self, now: Callable[[], datetime]) -> ApprovalSnapshot:
        """The approvals of this moment. Raises ApprovalError where they cannot be trusted, or the logic is not in force."""
        standing = self._approvals.now()
        if standing.logic is not None:  # else there is no need to look at the clock
            check_signed(self.catalog, lambda: files_of(self.policy), standing, now().date())
        return standing

    def _heard_and_allowed(self, context: TurnContext) -> tuple[HeardNow, TurnOptions]:
        """Stages 2 and 3: once more, where a yes to an offer comes when the policy does not allow any more what was offered."""
        reading = self._read_offers(context, loading.load_answer_judge) if is_judged(self.engine) else None
        heard_type = self.policy.heard_type
        if reading is not None and reading.meaning == "yes":
            heard = HeardNow(reading=reading) if heard_type is None else heard_before(heard_type, reading, self._memory)
            with timed(context, "allow"):
                options = self._allow(context, heard.value)
            if resolve(options.allowed, self.catalog, reading, self._memory.open_offers) is not None:
                return heard, options
            reading = self._read_offers(context)  # what it is taken for from here on must not rest on a judge: a replay has none
        with timed(context, "hear"):
            heard = self._hear(context, reading)
        with timed(context, "allow"):
            return heard, self._allow(context, heard.value)

    def _read_offers(self, context: TurnContext, judge: Callable[[], AnswerJudge | None] = lambda: None) -> OfferReading | None:
        """The message as the answer to what the last turn offered; None where it offered nothing."""
        if not self._memory.open_offers:
            return None
        return read_open_offers(self._memory, context.message, context.locale, judge())

    # -- 2 hear ----------------------------------------------------------------------------------------------

    def _hear(self, context: TurnContext, reading: OfferReading | None) -> HeardNow:
        """What was understood, how each field was heard, and whether the deadline was over before an answer."""
        heard_type = self.policy.heard_type
        if heard_type is None:
            return HeardNow(reading=reading)
        procedures, protected = self.policy.procedures, protected_fields(heard_type)
        fields = procedures.listened_fields(self._memory) | protected if procedures.definitions else None
        if self.engine is None:
            fields = entity_fields(heard_type, fields) | protected  # what is heard without a model
        asked = self._ask(heard_type, context, protected) if protected else ()  # before the engine has a say: also in a late turn
        try:
            asked = self._ask(heard_type, context, fields, self._read(heard_type, context))
            if self.engine is None:
                return HeardNow(*understand(heard_type, [one for one in asked if one.answer], []))
            choices = [one.choice for one in asked if one.answer is None]
            answers = self._choose(choices, context) if choices else []
        except DeadlineError:
            return HeardNow(*understand(heard_type, [one for one in asked if one.answer], []), is_late=True, reading=reading)
        return HeardNow(*understand(heard_type, asked, answers), reading=reading)

    def _ask(
        self,
        heard_type: type[Understanding],
        context: TurnContext,
        fields: Collection[str] | None,
        readings: Mapping[str, str] | None = None,
    ) -> tuple[AskedQuestion, ...]:
        """The questions to this message about these fields, or about all of them."""
        return ask(
            heard_type,
            context.state,
            context.plain,
            today=context.host_today,
            locale=context.locale,
            readings=readings,
            fields=fields,
            is_scripted=getattr(self.engine, "is_scripted", False),
            has_vectors=self.engine is not None,
        )

    def _read(self, heard_type: type[Understanding], context: TurnContext) -> dict[str, str]:
        """What the engine reads out of the message, as far as it is believed. Nothing by an engine that only chooses."""
        wanted = extraction_fields(heard_type, context.plain)
        if not wanted or not isinstance(self.engine, Extractor):
            return {}
        if context.deadline:
            context.deadline.check()
        with engine_failing():
            read = self.engine.read(
                [replace(blank) for blank in wanted], make_prompt_context(self.policy, context, self._memory), context.deadline
            )
            return checked_readings(heard_type, wanted, read, context.plain)

    def _choose(self, choices: list[Choice], context: TurnContext) -> list[Distribution]:
        """The engine's answers, one a choice, checked. Raises DeadlineError when the time is over, EngineError for anything else."""
        if self.engine is None:
            raise DeadlineError("there is no engine", within_s=0)
        if context.deadline:
            context.deadline.check()
        sizes = [len(choice.candidates) for choice in choices]
        copies = [replace(choice) for choice in choices]  # an engine cannot change what its answers are compared with
        with engine_failing():
            return checked(self.engine.choose(copies, make_prompt_context(self.policy, context, self._memory), context.deadline), sizes)

    # -- 3 allow ---------------------------------------------------------------------------------------------

    def _allow(self, context: TurnContext, heard: Understanding | None) -> TurnOptions:
        """What the logic allows to be said now."""
        return run(
            self.policy,
            context.state,
            heard,
            self._memory,
            now=context.now.timestamp(),
            place=Audience(self.channel, self.jurisdiction),
            locale=context.locale,
            today=context.today,
            approvals=context.approvals,
        )

    # -- 4 decide --------------------------------------------------------------------------------------------

    def _decide(self, context: TurnContext, heard: HeardNow, allowed: Allowed) -> Decision:
        """One of the options, or what is said in place of one."""
        terms = DecisionTerms(self.policy, self.threshold, self.act_threshold, self._as_kept)
        return Decider(terms, self.engine, self._memory, context, allowed, self._choose).decide(heard.reading, is_late=heard.is_late)

    # -- 5 verify --------------------------------------------------------------------------------------------

    def _verify(self, context: TurnContext, allowed: Allowed, decision: Decision) -> str:
        """The text to be released. Raises VerificationError unless it is the approved rendering of what was decided."""
        chosen, spoken = decision.chosen, decision.spoken
        text = compose(chosen, allowed.obligations, spoken)
        verify(text, chosen, allowed, self.catalog, context.today, context.approvals, self._memory.done, spoken)
        return text

    # -- 6 commit --------------------------------------------------------------------------------------------

    def _commit(self, prepared: PreparedTurn) -> Turn:
        """The turn, once its record is durable; the conversation remembers it from here on."""
        context, heard, options = prepared.context, prepared.heard, prepared.options
        decision, text = prepared.decision, prepared.text
        chosen, allowed = decision.chosen, options.allowed
        open_offers = opened(allowed, chosen, decision.asks, heard_text(heard.value)) if decision.asks else ()
        said = options.said(chosen, decision.spoken)
        after = options.after(chosen, decision.spoken, open_offers, is_tried=decision.how == "tried")
        lines = () if decision.how == "bark" else (("user", self._as_kept(context.message)), ("reply", self._as_kept(text)))
        history = (*after.history, *lines)
        made = make_record(
            self.policy, context, heard.hearings, allowed, decision, text,
            conversation=self.conversation, memory=prepared.memory, engine=self.engine,
        )  # fmt: skip
        record, story = self._append_record(made), self._story
        self._memory = after.model_copy(update={"history": history[-2 * HISTORY_TURNS :]})
        return Turn(
            id=context.id,
            text=text,
            response_id=chosen.id,
            said=tuple(one.id for one in said),
            approved=tuple(one.id for one in said if context.approvals.is_approved(one.response, one.locale, context.today)),
            voices=tuple(voice for one in said if (voice := one.response.voice_of(one.variant))),
            effects=chosen.effects,
            decision=decision,
            heard=heard.value,
            trace=Trace(heard.hearings, allowed, dict(context.timings_ms)),
            record=record,
            goes_on=options.is_performing(chosen),
            _tell=lambda outcomes: self._append_outcome(record, outcomes, story),
        )

    def _as_kept(self, line: str) -> str:
        """What later turns read of a line."""
        return mask(line) if self.is_masking else line

    def _append_record(self, record: T) -> T:
        """The entry, durable and in its place. Raises AuditError."""
        try:
            return self.log.append(masked_entry(record) if self.is_masking else record)
        except ConstrainedError:
            raise
        except Exception as error:  # a host's own Log
            raise AuditError(f"the log failed: {type(error).__name__}: {error}", hint="nothing was released; see to the log") from error

    def _append_outcome(self, record: Record, outcomes: tuple[OutcomeEntry, ...], story: object) -> Outcome:
        """What became of a turn's effects: an entry of its own, since the turn's was there before they ran.

        What is committed counts even where the log cannot tell: it has happened; but not in a game that was loaded since.
        """
        done = [one.effect.partition("(")[0] for one in outcomes if one.status == "done"]
        failed = [one.effect.partition("(")[0] for one in outcomes if one.status != "done"]
        with self._lock:
            if story is self._story:
                self._memory = with_outcomes(self._memory, done, failed, number=record.number)
        at = self._now().isoformat()
        return self._append_record(Outcome(turn_id=record.turn_id, conversation=record.conversation, at=at, outcomes=outcomes))


def _deadline(within: float | None) -> Deadline | None:
    return Deadline.after(within) if within is not None else None
