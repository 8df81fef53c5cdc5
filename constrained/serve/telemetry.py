"""What an operator sees of a server: traces, metrics, logs and usage meters.

    telemetry = Telemetry()
    with telemetry.turn(pack="tavern", conversation=name, tenant="shop-7") as watch:
        turn = dialogue.reply(message, state)
        watch.finish(turn, source="model")

Requests are traced and measured by OpenTelemetry's FastAPI instrumentation; the span of a turn, with a child for each stage,
lies within the span of its request. Traces and OpenTelemetry metrics go to whatever SDK the process has (none: they cost
little); counters and histograms of turns are also held here, for a Prometheus scrape. Names follow OpenTelemetry's GenAI
conventions where these have one.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any, Literal, TextIO

from fastapi import FastAPI
from opentelemetry import metrics, trace
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.metrics import MeterProvider
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, TracerProvider
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from constrained.dialogue.turn import Turn
from constrained.records.masking import mask

Source = Literal["model", "rules", "fallback"]
Outcome = Literal["resolved", "handed_over", "abstained"]

LOGGER = "constrained.serve"
MOST_TENANTS = 1_000  # a time series each; later ones are counted together
OTHER_TENANTS = "(other)"
SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
SHARES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)


@dataclass(frozen=True, slots=True)
class Usage:
    """What one tenant used of one pack since the process started, by outcome.

    Attributes:
        n_tokens: read by the model for decisions. seconds: from taking a message to its reply, waiting included.
    """

    tenant: str
    pack: str
    outcome: Outcome
    n_turns: int
    n_tokens: int
    seconds: float


class Telemetry:
    """One server's instruments. Thread-safe; ``finish`` takes well under a millisecond.

    Args:
        content: also log messages, replies and what was heard. Off: neither logs nor traces hold them.
        tracer_provider, meter_provider: the process's own when None.
    """

    def __init__(
        self,
        *,
        content: bool = False,
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
    ) -> None:
        self.content = content
        self.tracer = trace.get_tracer("constrained", tracer_provider=tracer_provider)
        self._tracers, self._meters = tracer_provider, meter_provider
        self.prometheus = _Prometheus()
        self._otel = _OpenTelemetry(meter_provider)
        self._tenants: set[str] = set()
        self._lock = threading.Lock()
        self.log = logging.getLogger(LOGGER)

    def instrument(self, app: FastAPI) -> None:
        """A span and a duration for each request of the app. Where ``opentelemetry-instrument`` did so already, nothing more."""
        if not getattr(app, "_is_instrumented_by_opentelemetry", False):
            FastAPIInstrumentor.instrument_app(
                app,
                tracer_provider=self._tracers,
                meter_provider=self._meters,
                exclude_spans=["receive", "send"],  # one for each part of a body
            )

    @contextmanager
    def turn(self, *, pack: str, conversation: str, tenant: str = "default", waited_s: float = 0.0) -> Iterator[TurnWatch]:
        """Watches one turn. What it raises is counted, logged by its type, and raised on.

        Args:
            waited_s: seconds that the turn was in the queue before.
        """
        start_ns = time.time_ns() - int(waited_s * 1e9)
        names = {"gen_ai.operation.name": "invoke_agent", "gen_ai.provider.name": "constrained", "gen_ai.agent.name": pack}
        with self.tracer.start_as_current_span(
            f"invoke_agent {pack}",
            kind=SpanKind.INTERNAL,
            attributes={**names, "gen_ai.conversation.id": conversation},
            start_time=start_ns,
            record_exception=False,  # an exception's text may quote the message
            set_status_on_exception=False,
        ) as span:
            watch = TurnWatch(self, span, pack, conversation, self._tenant_label(tenant), start_ns, waited_s)
            self.prometheus.in_flight.inc()
            try:
                yield watch
            except BaseException as error:
                watch.fail(error)
                raise
            finally:
                self.prometheus.in_flight.dec()

    def count_refusal(self, reason: str) -> None:
        """Counts a request that never became a turn: ``busy``, ``rate``, ``token``, ``too_large``, ``draining``, ..."""
        self.prometheus.refused.labels(reason).inc()

    def watch_queue(self, n: Callable[[], float]) -> None:
        """Shows the length of the queue; ``n`` is called at each scrape."""
        self.prometheus.waiting.set_function(n)

    def watch_unsigned(self, n: Callable[[], float]) -> None:
        """Shows how many records of the log are not signed; ``n`` is called at each scrape."""
        self.prometheus.unsigned.set_function(n)

    def count_reload(self, pack: str, is_accepted: bool) -> None:
        """A catalog or its logic was read anew, and taken over or refused."""
        self.prometheus.reloads.labels(pack, "accepted" if is_accepted else "refused").inc()
        self.log.info("reload", extra={"facts": {"pack": pack, "accepted": is_accepted}})

    def count_webhook(self, result: str) -> None:
        """An attempt to send an event: ``sent``, ``failed`` (it is tried again) or ``given_up``."""
        self.prometheus.webhooks.labels(result).inc()

    def count_handover(self, pack: str, change: str) -> None:
        """A conversation came into the queue, was claimed, answered or closed."""
        self.prometheus.handovers.labels(pack, change).inc()

    def exposition(self) -> tuple[bytes, str]:
        """The metrics as a Prometheus scrape reads them, and their content type."""
        return generate_latest(self.prometheus.registry), CONTENT_TYPE_LATEST

    def usage(self) -> tuple[Usage, ...]:
        """What each tenant used, by pack and outcome, sorted. Counted from the start of this process."""
        return self.prometheus.usage()

    def _tenant_label(self, tenant: str) -> str:
        with self._lock:
            if tenant in self._tenants or len(self._tenants) < MOST_TENANTS:
                self._tenants.add(tenant)
                return tenant
        return OTHER_TENANTS

    def count(self, facts: _TurnFacts, stages_ms: Mapping[str, float]) -> None:
        self.prometheus.count(facts, stages_ms)
        self._otel.count(facts)


class TurnWatch:
    """One turn under way."""

    def __init__(self, telemetry: Telemetry, span: Span, pack: str, conversation: str, tenant: str, start_ns: int, waited_s: float) -> None:
        self.pack, self.conversation, self.tenant = pack, conversation, tenant
        self._telemetry, self._span = telemetry, span
        self._start_ns, self._waited_s = start_ns, waited_s
        self._begin_s = time.perf_counter()

    def finish(self, turn: Turn, source: Source, *, degraded: bool = False) -> None:
        """The reply is about to be released. ``degraded``: a model was asked and did not answer, the rules chose."""
        facts = _facts(turn, self, source, degraded, self._waited_s + time.perf_counter() - self._begin_s)
        stages_ms = self._stages(turn.trace.timings_ms, facts.seconds)
        if self._span.is_recording():
            self._span.set_attributes(facts.attributes())
        telemetry = self._telemetry
        telemetry.count(facts, stages_ms)
        if telemetry.log.isEnabledFor(logging.INFO):
            content = _content(turn) if telemetry.content else {}
            telemetry.log.info("turn", extra={"facts": facts.log_fields(stages_ms) | self._trace_ids() | content})

    def fail(self, error: BaseException) -> None:
        """No reply was released. The text of the error is kept out of metrics and traces: it may quote the message."""
        kind, telemetry = type(error).__name__, self._telemetry
        self._span.set_status(Status(StatusCode.ERROR, kind))
        self._span.set_attribute("error.type", kind)
        telemetry.prometheus.errors.labels(self.pack, kind).inc()
        facts = {"pack": self.pack, "conversation": self.conversation, "tenant": self.tenant, "error": kind} | self._trace_ids()
        said = {"told": mask(str(error))} if telemetry.content else {}
        telemetry.log.error("turn_failed", extra={"facts": facts | {"where": _line_of(error)} | said})

    def _stages(self, timings_ms: Mapping[str, float], seconds: float) -> dict[str, float]:
        """Milliseconds of each stage, each with a span of its own, back to back. What is left over is the commit."""
        stages = {"wait": self._waited_s * 1e3, **timings_ms}
        stages["commit"] = max(0.0, seconds * 1e3 - sum(stages.values()))
        if self._span.is_recording():
            at_ns = self._start_ns
            for stage, took_ms in stages.items():
                span = self._telemetry.tracer.start_span(f"constrained.{stage}", start_time=at_ns)
                at_ns += int(took_ms * 1e6)
                span.end(at_ns)
        return stages

    def _trace_ids(self) -> dict[str, str]:
        context = self._span.get_span_context()
        return {"trace_id": f"{context.trace_id:032x}", "span_id": f"{context.span_id:016x}"} if context.is_valid else {}


# -- what may be told of a turn ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _TurnFacts:
    """Ids, names, counts and probabilities of one turn: nothing that a user wrote and nothing that was heard."""

    turn_id: str
    conversation: str
    pack: str
    tenant: str
    source: Source
    outcome: Outcome
    mode: str
    model: str
    catalog: str
    response_id: str
    probability: float | None
    margin: float
    n_options: int
    n_blocked: int
    n_tokens: int
    effects: tuple[str, ...]
    degraded: bool
    seconds: float

    def attributes(self) -> dict[str, Any]:
        """For the span of the turn. No token is ever generated, and it says so."""
        values = {
            "gen_ai.response.id": self.turn_id,
            "gen_ai.request.model": self.model,
            "gen_ai.agent.version": self.catalog,
            "gen_ai.output.type": "text",
            "gen_ai.usage.input_tokens": self.n_tokens,
            "gen_ai.usage.output_tokens": 0,
            "constrained.tenant": self.tenant,
            "constrained.decision.probability": self.probability,
            "constrained.decision.margin": self.margin,
            "constrained.effects": self.effects,
        }
        names = ("source", "outcome", "mode", "response_id", "n_options", "n_blocked", "degraded")
        values |= {f"constrained.{name}": getattr(self, name) for name in names}
        return {name: value for name, value in values.items() if value is not None}

    def log_fields(self, stages_ms: Mapping[str, float]) -> dict[str, Any]:
        fields = {name: getattr(self, name) for name in self.__slots__ if name != "seconds"}
        return fields | {"total_ms": round(self.seconds * 1000, 3), "stages_ms": {name: round(ms, 3) for name, ms in stages_ms.items()}}


def _facts(turn: Turn, watch: TurnWatch, source: Source, degraded: bool, seconds: float) -> _TurnFacts:
    decision, names = turn.decision, turn.record.versions
    return _TurnFacts(
        turn_id=turn.id,
        conversation=watch.conversation,
        pack=watch.pack,
        tenant=watch.tenant,
        source=source,
        outcome=_outcome(turn, source),
        mode=decision.mode,
        model=names.get("model", "none"),
        catalog=names.get("catalog", ""),
        response_id=turn.response_id,
        probability=max(decision.probabilities, default=None),
        margin=decision.margin,
        n_options=len(decision.options),
        n_blocked=len(turn.trace.allowed.blocked),
        n_tokens=decision.decoding.n_tokens if decision.decoding else 0,
        effects=tuple(effect.name for effect in turn.effects),
        degraded=degraded,
        seconds=seconds,
    )


def _outcome(turn: Turn, source: Source) -> Outcome:
    """Handed over: to a person. Abstained: the fallback was said. Resolved: any other approved reply."""
    if any(effect.kind.handover for effect in turn.effects):
        return "handed_over"
    return "abstained" if turn.decision.abstained or source == "fallback" else "resolved"


def _content(turn: Turn) -> dict[str, Any]:
    record = turn.record
    return {"message": record.message, "text": record.text, "heard": {one.name: one.value for one in record.heard}}


def _line_of(error: BaseException) -> str:
    """The innermost line that raised, as file:line."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{frames[-1].filename}:{frames[-1].lineno}" if frames else ""


# -- where it is counted -----------------------------------------------------------------------------------


class _Prometheus:
    """The meters of one server, in a registry of its own: several servers may share a process."""

    def __init__(self) -> None:
        one = self.registry = CollectorRegistry()
        Info("constrained_build", "The version that runs.", registry=one).info({"version": version("constrained")})
        used = ["tenant", "pack", "outcome"]
        self.turns = Counter("constrained_turns", "Turns that were replied to.", ["pack", "source", "mode", "outcome"], registry=one)
        self.said = Counter("constrained_responses", "How often each response was chosen.", ["pack", "response"], registry=one)
        self.effects = Counter("constrained_effects", "Effects handed to the host.", ["pack", "effect"], registry=one)
        self.degraded = Counter("constrained_degraded_turns", "Turns in which a model failed and the rules chose.", ["pack"], registry=one)
        self.errors = Counter("constrained_turn_errors", "Turns in which nothing was released.", ["pack", "error"], registry=one)
        self.refused = Counter("constrained_refused", "Requests that never became a turn.", ["reason"], registry=one)
        self.reloads = Counter("constrained_reloads", "Packs that were read anew.", ["pack", "result"], registry=one)
        self.handovers = Counter("constrained_handovers", "Changes in the queue of hand-overs.", ["pack", "change"], registry=one)
        self.webhooks = Counter("constrained_webhook_attempts", "Events sent to the webhook, by result.", ["result"], registry=one)
        self.seconds = Histogram("constrained_turn_seconds", "Whole turns.", ["pack", "source"], buckets=SECONDS, registry=one)
        self.stages = Histogram("constrained_stage_seconds", "Stages of turns.", ["stage"], buckets=SECONDS, registry=one)
        self.shares = Histogram("constrained_best_probability", "Of the best option.", ["pack"], buckets=SHARES, registry=one)
        self.unsigned = Gauge("constrained_unsigned_records", "Records of the log that no checkpoint covers yet.", registry=one)
        self.in_flight = Gauge("constrained_turns_in_flight", "Turns under way.", registry=one)
        self.waiting = Gauge("constrained_turns_waiting", "Turns in the queue.", registry=one)
        self.used_turns = Counter("constrained_usage_turns", "Turns, by who pays.", used, registry=one)
        self.used_tokens = Counter("constrained_usage_tokens", "Tokens that the model read for decisions.", used, registry=one)
        self.used_seconds = Counter("constrained_usage_seconds", "Seconds from message to reply.", used, registry=one)

    def count(self, facts: _TurnFacts, stages_ms: Mapping[str, float]) -> None:
        self.turns.labels(facts.pack, facts.source, facts.mode, facts.outcome).inc()
        self.said.labels(facts.pack, facts.response_id).inc()
        self.seconds.labels(facts.pack, facts.source).observe(facts.seconds)
        for stage, took_ms in stages_ms.items():
            self.stages.labels(stage).observe(took_ms / 1000)
        if facts.probability is not None:
            self.shares.labels(facts.pack).observe(facts.probability)
        self.degraded.labels(facts.pack).inc(int(facts.degraded))
        for effect in facts.effects:
            self.effects.labels(facts.pack, effect).inc()
        used = facts.tenant, facts.pack, facts.outcome
        self.used_turns.labels(*used).inc()
        self.used_tokens.labels(*used).inc(facts.n_tokens)
        self.used_seconds.labels(*used).inc(facts.seconds)

    def usage(self) -> tuple[Usage, ...]:
        tokens, seconds = _values(self.used_tokens), _values(self.used_seconds)
        found = _values(self.used_turns).items()
        return tuple(Usage(*key, int(n), int(tokens.get(key, 0)), seconds.get(key, 0.0)) for key, n in sorted(found))


def _values(counter: Counter) -> dict[tuple[str, str, Any], float]:
    samples = [sample for family in counter.collect() for sample in family.samples if sample.name.endswith("_total")]
    return {(one.labels["tenant"], one.labels["pack"], one.labels["outcome"]): one.value for one in samples}


class _OpenTelemetry:
    """The metrics for which the GenAI conventions have a name."""

    def __init__(self, provider: MeterProvider | None) -> None:
        meter = metrics.get_meter("constrained", meter_provider=provider)
        self._seconds = meter.create_histogram("gen_ai.invoke_agent.duration", unit="s", description="Whole turns.")
        self._tokens = meter.create_histogram("gen_ai.client.token.usage", unit="{token}", description="Tokens the model read.")
        self._turns = meter.create_counter("constrained.turns", unit="{turn}", description="Turns that were replied to.")

    def count(self, facts: _TurnFacts) -> None:
        names = {"gen_ai.operation.name": "invoke_agent", "gen_ai.provider.name": "constrained", "gen_ai.agent.name": facts.pack}
        names["gen_ai.request.model"] = facts.model
        self._seconds.record(facts.seconds, names)
        if facts.n_tokens:
            self._tokens.record(facts.n_tokens, names | {"gen_ai.token.type": "input"})
        ours = {"constrained.source": facts.source, "constrained.outcome": facts.outcome, "constrained.tenant": facts.tenant}
        self._turns.add(1, names | ours)


# -- logs --------------------------------------------------------------------------------------------------


class JsonFormatter(logging.Formatter):
    """One JSON object a line: when, level, logger, event, facts. An exception is its type and place, without its text."""

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        fields = {"at": at, "level": record.levelname.lower(), "logger": record.name, "event": mask(record.getMessage())}
        fields |= getattr(record, "facts", {})
        if record.exc_info and record.exc_info[1] is not None:
            fields |= {"error": type(record.exc_info[1]).__name__, "where": _line_of(record.exc_info[1])}
        return json.dumps(fields, default=str)


def log_as_json(stream: TextIO | None = None, level: int = logging.INFO) -> logging.Handler:
    """Sends the logs of the library and of uvicorn to ``stream`` (standard error) as JSON lines. Returns the one handler."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter())
    for name in ("constrained", "uvicorn"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(level)
    return handler
