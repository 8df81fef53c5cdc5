"""The main path: one message in, one approved reply out, in six stages.

    take -> hear -> allow -> decide -> verify -> commit

A Dialogue is one conversation. Many conversations may share an engine and a log.
"""

from __future__ import annotations

import asyncio
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from constrained.approval.in_force import Approvals
from constrained.catalog.response import Catalog
from constrained.dialogue.context import TurnContext, check_locale, clean_message, make_candidate, make_prompt_context
from constrained.dialogue.recording import make_record
from constrained.dialogue.turn import Decision, Trace, Turn
from constrained.engines.protocol import CatalogBound, Choice, Deadline, Distribution, Engine, Extractor, Told, checked
from constrained.errors import AuditError, ConstrainedError, DeadlineError, EngineError, StateError
from constrained.logic.acts import ACT_THRESHOLD, Evidence, choose_late, choose_option, open_question
from constrained.logic.allow import TurnOptions, likeliest, most_salient, rest_of, run, with_events, with_outcomes
from constrained.logic.obligations import Audience
from constrained.logic.options import Allowed, Option, compose
from constrained.logic.policy import Policy
from constrained.logic.state import HISTORY_TURNS, Memory, State
from constrained.records.log import Log, MemoryLog, open_log
from constrained.records.record import Outcome, OutcomeEntry, Record
from constrained.understanding.hearing import (
    AskedQuestion,
    Hearing,
    Understanding,
    ask,
    checked_readings,
    entity_fields,
    extraction_fields,
    understand,
)
from constrained.verify import verify

T = TypeVar("T", Record, Outcome)
_GIVEN_UP = "the reply was cancelled before the commit; nothing was recorded"


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
        threshold: float = 0.3,
        act_threshold: float = ACT_THRESHOLD,
        conversation: str | None = None,
        channel: str | None = None,
        jurisdiction: str | None = None,
        drafts: bool = False,
        memory: Memory | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.policy = _policy(policy)
        self.channel, self.jurisdiction, self.drafts = channel, jurisdiction, drafts
        self._approvals = Approvals(self.catalog, channel=channel, jurisdiction=jurisdiction, drafts=drafts)
        self._approvals.now()  # a ledger that is missing or cannot be trusted is told before the first message
        self.engine = engine if engine is not None else _engine(model)
        if self.engine is not None and isinstance(self.engine, CatalogBound):
            self.engine.check_catalog(self.catalog.name, self.catalog.hash)
        self.log: Log = open_log(log) if isinstance(log, str | Path) else MemoryLog() if log is None else log
        self.locale = check_locale(self.catalog, locale or self.catalog.locale)
        self.threshold, self.act_threshold = threshold, act_threshold
        self.conversation = conversation or uuid.uuid4().hex
        self._now = now
        self._memory = memory or Memory()
        self._lock = threading.Lock()  # turns of one conversation keep their order

    @property
    def catalog(self) -> Catalog:
        return self.policy.catalog

    def reply(self, message: str, state: State | None = None, *, within: float | None = None, locale: str | None = None) -> Turn:
        """One turn.

        Args:
            message: what the user wrote; any text.
            state: the host's facts; the policy's State with its defaults when None.
            within: seconds; when they are over, the fallback is said (mode ``rules``), or what the policy offers with the tag
                ``moment``.

        Raises:
            MessageError, StateError: what was given is of the wrong type.
            EngineError: the model could not answer. AuditError: the record could not be made durable.
            ApprovalError: nothing that is approved is left to say, or the approvals cannot be trusted.
            VerificationError: the text was not an approved rendering. In each case nothing was said.
        """
        return self._reply(message, state, within, locale, threading.Lock())

    def _reply(self, message: str, state: State | None, within: float | None, locale: str | None, claim: threading.Lock) -> Turn:
        """``reply``. It commits only if it acquires ``claim``; an ``areply`` that is cancelled before then holds it already."""
        with self._lock:
            if claim.locked():
                raise asyncio.CancelledError(_GIVEN_UP)
            context = self._take(message, state, within, locale)
            with _timed(context, "hear"):
                heard, hearings, is_late = self._hear(context)
            with _timed(context, "allow"):
                options = self._allow(context, heard)
            with _timed(context, "decide"):
                decision = self._decide(context, options.allowed, is_late)
            with _timed(context, "verify"):
                text = self._verify(context, options.allowed, decision)
            if not claim.acquire(blocking=False):
                raise asyncio.CancelledError(_GIVEN_UP)
            return self._commit(context, heard, hearings, options, decision, text)

    async def areply(self, message: str, state: State | None = None, *, within: float | None = None, locale: str | None = None) -> Turn:
        """``reply`` for asynchronous hosts; the model runs in a worker thread.

        Cancelled before the commit, the turn leaves no trace: no record, and the memory as it was. Once the commit has begun it is
        carried through: CancelledError is raised all the same, with a note that says so, and ``memory()`` and the log tell whether
        the turn counts. The engine is not interrupted: the next turn waits until it has answered.
        """
        claim = threading.Lock()
        try:
            return await asyncio.to_thread(self._reply, message, state, within, locale, claim)
        except (asyncio.CancelledError, GeneratorExit) as error:
            if not claim.acquire(blocking=False):
                error.add_note("the commit of this turn had begun: the log and Dialogue.memory() tell whether it counts")
            raise

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
            memory=self.memory(),
            now=self._now,
        )

    def resume(self, memory: Memory) -> None:
        """Goes on from there: what was said and heard before, here or in another process."""
        with self._lock:
            self._memory = memory.model_copy(update={"history": memory.history[-2 * HISTORY_TURNS :]})

    def with_events(self, *events: str) -> None:
        """The host tells of events that were committed, besides the effects of turns: what claims rest on."""
        with self._lock:
            self._memory = with_events(self._memory, events)

    # -- 1 take ----------------------------------------------------------------------------------------------

    def _take(self, message: str, state: State | None, within: float | None, locale: str | None) -> TurnContext:
        """What the turn is about: the message cleaned, the state checked, the approvals of this moment."""
        state_type = self.policy.state_type
        if state is None:
            state = state_type.default()
        if not isinstance(state, state_type):
            raise StateError(
                f"the state is a {type(state).__name__}, the policy {self.policy.name!r} reads a {state_type.__name__}",
                hint=f"pass state={state_type.__name__}(...)",
            )
        deadline = Deadline.after(within) if within is not None else None
        spoken = check_locale(self.catalog, locale) if locale else self.locale
        return TurnContext(uuid.uuid4().hex, clean_message(message), state, spoken, self._now(), deadline, self._approvals.now())

    # -- 2 hear ----------------------------------------------------------------------------------------------

    def _hear(self, context: TurnContext) -> tuple[Understanding | None, tuple[Hearing, ...], bool]:
        """What was understood, how each field was heard, and whether the deadline was over before an answer."""
        heard_type = self.policy.heard_type
        if heard_type is None:
            return None, (), False
        procedures, asked = self.policy.procedures, tuple[AskedQuestion, ...]()
        fields = procedures.listened_fields(self._memory) if procedures.definitions else None
        if self.engine is None:
            fields = entity_fields(heard_type, fields)  # what is heard without a model
        try:
            readings = self._read(heard_type, context)
            asked = ask(
                heard_type,
                context.state,
                context.plain,
                today=context.host_today,
                locale=context.locale,
                readings=readings,
                fields=fields,
                is_scripted=getattr(self.engine, "is_scripted", False),
            )
            if self.engine is None:
                return *understand(heard_type, [one for one in asked if one.answer], []), False
            choices = [one.choice for one in asked if one.answer is None]
            answers = self._choose(choices, context) if choices else []
        except DeadlineError:
            return *understand(heard_type, [one for one in asked if one.answer], []), True
        return *understand(heard_type, asked, answers), False

    def _read(self, heard_type: type[Understanding], context: TurnContext) -> dict[str, str]:
        """What the engine reads out of the message, as far as it is believed. Nothing by an engine that only chooses."""
        wanted = extraction_fields(heard_type, context.plain)
        if not wanted or not isinstance(self.engine, Extractor):
            return {}
        if context.deadline:
            context.deadline.check()
        with _engine_failing():
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
        with _engine_failing():
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

    def _decide(self, context: TurnContext, allowed: Allowed, is_late: bool) -> Decision:
        """One of the options: by the model and what the message is evidence for, or by the rules where there is no choice or no model."""
        options = allowed.options
        if len(options) == 1:
            return self._of_sole(allowed, context)
        if self.engine is None:
            return self._by_rules(options, "no model; the most specific option, then the least recently said")
        if is_late:
            return self._in_time(allowed)
        no_match, catalog, locale = rest_of(options, self.catalog.fallback), self.catalog, context.locale
        candidates = tuple(make_candidate(option, index, catalog, locale, option is no_match) for index, option in enumerate(options))
        try:
            answer = self._choose([Choice("reply", "option", candidates)], context)[0]
        except DeadlineError:
            return self._in_time(allowed)
        return self._by_model(allowed, answer, context)

    def _by_model(self, allowed: Allowed, answer: Distribution, context: TurnContext) -> Decision:
        """The most probable option that the message is evidence enough for; the fallback where that is not probable enough."""
        options, probabilities = allowed.options, answer.probabilities
        if isinstance(self.engine, Told) and self.engine.is_told:
            return self._as_told(options, answer)
        question = open_question(self.policy, self._memory, context.locale) if any(option.answer for option in options) else ""
        evidence = Evidence(context.message, context.locale, question, self.act_threshold)
        resort, fallback = allowed.resort, self.catalog.fallback
        ruling = choose_option(options, probabilities, fallback=fallback, threshold=self.threshold, evidence=evidence, resort=resort)
        if ruling.chosen is resort:
            options, probabilities = allowed.with_resort().options, (*probabilities, 0.0)
        return Decision(
            options,
            probabilities,
            ruling.chosen,
            answer.mode,
            answer.margin,
            ruling.abstained,
            self.threshold,
            ruling.why,
            answer.decoding,
            ruling,
        )

    def _as_told(self, options: tuple[Option, ...], answer: Distribution) -> Decision:
        """The most probable option; the fallback where that is less probable than the threshold."""
        best, probability = likeliest(options, answer.probabilities)
        fallback = rest_of(options, self.catalog.fallback)
        abstained = fallback is not None and best is not fallback and probability < self.threshold
        chosen = fallback if abstained and fallback is not None else best
        why = f"{best.id} has {probability:.0%}" + (f", less than the threshold {self.threshold:.0%}" if abstained else "")
        return Decision(options, answer.probabilities, chosen, answer.mode, answer.margin, abstained, self.threshold, why, answer.decoding)

    def _of_sole(self, allowed: Allowed, context: TurnContext) -> Decision:
        """The only option; where it would take the message for a yes or no that it is not, the last resort, or ApprovalError."""
        if self.engine is not None and allowed.options[0].answer:
            decision = self._by_model(allowed, Distribution((1.0,), "exact"), context)
            if decision.chosen is allowed.resort:
                return decision
        return self._by_rules(allowed.options, "it is the only option")

    def _by_rules(self, options: tuple[Option, ...], why: str) -> Decision:
        return Decision(options, (), most_salient(options, self._memory.said), "rules", 1.0, False, self.threshold, why)

    def _in_time(self, allowed: Allowed) -> Decision:
        """What a late turn says. Nobody chose it: so it is the fallback, or asks for a moment, and never an act."""
        options = allowed.with_resort().options
        chosen, why = choose_late(options, self.catalog.fallback, self._memory.said), "the deadline was over"
        return Decision(options, (), chosen, "rules", 1.0, False, self.threshold, why, is_late=True)

    # -- 5 verify --------------------------------------------------------------------------------------------

    def _verify(self, context: TurnContext, allowed: Allowed, decision: Decision) -> str:
        """The text to be released. Raises VerificationError unless it is the approved rendering of what was decided."""
        text = compose(decision.chosen, allowed.obligations)
        verify(text, decision.chosen, allowed, self.catalog, context.today, context.approvals, self._memory.done)
        return text

    # -- 6 commit --------------------------------------------------------------------------------------------

    def _commit(
        self,
        context: TurnContext,
        heard: Understanding | None,
        hearings: tuple[Hearing, ...],
        options: TurnOptions,
        decision: Decision,
        text: str,
    ) -> Turn:
        """The turn, once its record is durable; the conversation remembers it from here on."""
        said, after = options.said(decision.chosen), options.after(decision.chosen)
        history = (*after.history, ("user", context.message), ("reply", text))
        record = self._append_record(self._record(context, hearings, options.allowed, decision, text))
        self._memory = after.model_copy(update={"history": history[-2 * HISTORY_TURNS :]})
        return Turn(
            id=context.id,
            text=text,
            response_id=decision.chosen.id,
            said=tuple(one.id for one in said),
            voices=tuple(one.response.voice for one in said if one.response.voice),
            effects=decision.chosen.effects,
            decision=decision,
            heard=heard,
            trace=Trace(hearings, options.allowed, dict(context.timings_ms)),
            record=record,
            goes_on=options.is_performing(decision.chosen),
            _tell=lambda outcomes: self._append_outcome(record, outcomes),
        )

    def _record(self, context: TurnContext, hearings: tuple[Hearing, ...], allowed: Allowed, decision: Decision, text: str) -> Record:
        try:
            return make_record(
                self.policy,
                context,
                hearings,
                allowed,
                decision,
                text,
                conversation=self.conversation,
                memory=self._memory,
                engine=self.engine,
            )
        except ConstrainedError:
            raise
        except Exception as error:  # values of a host's State that JSON has no form for
            hint = "state, slots and names must be values that JSON has a form for"
            raise AuditError(f"turn {context.id} cannot be recorded: {error}", hint=hint) from error

    def _append_record(self, record: T) -> T:
        """The entry, durable and in its place. Raises AuditError."""
        try:
            return self.log.append(record)
        except ConstrainedError:
            raise
        except Exception as error:  # a host's own Log
            raise AuditError(f"the log failed: {type(error).__name__}: {error}", hint="nothing was released; see to the log") from error

    def _append_outcome(self, record: Record, outcomes: tuple[OutcomeEntry, ...]) -> Outcome:
        """What became of a turn's effects: an entry of its own, since the turn's was there before they ran.

        What is committed counts even where the log cannot tell: it has happened.
        """
        done = [one.effect.partition("(")[0] for one in outcomes if one.status == "done"]
        failed = [one.effect.partition("(")[0] for one in outcomes if one.status != "done"]
        with self._lock:
            self._memory = with_outcomes(self._memory, done, failed, number=record.number)
        at = self._now().isoformat()
        return self._append_record(Outcome(turn_id=record.turn_id, conversation=record.conversation, at=at, outcomes=outcomes))


def _policy(policy: Policy | str) -> Policy:
    if isinstance(policy, Policy):
        return policy
    from constrained.packs import load_policy

    return load_policy(policy)


def _engine(model: str | Path | None) -> Engine | None:
    if model is None:
        return None
    from constrained.engines.loading import load_engine

    return load_engine(model)


@contextmanager
def _engine_failing() -> Iterator[None]:
    try:
        yield
    except ConstrainedError:
        raise
    except Exception as error:  # whatever torch or a server's client raises
        hint = "nothing was said; without a model the rules alone choose"
        raise EngineError(f"the engine failed: {type(error).__name__}: {error}", hint=hint) from error


@contextmanager
def _timed(context: TurnContext, stage: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    context.timings_ms[stage] = round((time.perf_counter() - start) * 1000, 3)
