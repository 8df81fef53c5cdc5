"""Telemetry: what is counted, traced and logged of a turn, and that nothing a user wrote is among it."""

from __future__ import annotations

import io
import itertools
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("opentelemetry.sdk", reason="the extra `serve` is not installed")
pytest.importorskip("prometheus_client", reason="the extra `serve` is not installed")

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient

from constrained import Dialogue, Turn, load_policy
from constrained.errors import EngineError
from constrained.serve import telemetry as module
from constrained.serve.app import create_app
from constrained.serve.packs import Packs
from constrained.serve.telemetry import LOGGER, OTHER_TENANTS, Telemetry, log_as_json
from constrained.serve.turns import Turns
from constrained.testing import RandomEngine, SabotagedEngine, ScriptedEngine
from tests.serve.conftest import TOKEN
from tests.serve.conftest import settings as server_settings

SECRET = "XQZ-4711-plover"  # stands for whatever a user may write


@contextmanager
def logged_to(stream: io.StringIO) -> Iterator[None]:
    loggers = [logging.getLogger(name) for name in ("constrained", "uvicorn")]
    kept = [(logger, logger.handlers, logger.propagate, logger.level) for logger in loggers]
    log_as_json(stream)
    try:
        yield
    finally:
        for logger, handlers, propagate, level in kept:
            logger.handlers, logger.propagate = handlers, propagate
            logger.setLevel(level)


@pytest.fixture
def logs() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    with logged_to(stream):
        yield stream


class Bench:
    """A telemetry whose spans and OpenTelemetry metrics stay in memory."""

    def __init__(self, *, content: bool = False) -> None:
        self.exporter, self.reader = InMemorySpanExporter(), InMemoryMetricReader()
        tracers = TracerProvider()
        tracers.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.telemetry = Telemetry(content=content, tracer_provider=tracers, meter_provider=MeterProvider([self.reader]))

    def take(self, dialogue: Dialogue, message: str, source: Any = "model", **named: Any) -> Turn:
        with self.telemetry.turn(pack=dialogue.policy.name, conversation=dialogue.conversation, **named) as watch:
            turn = dialogue.reply(message)
            watch.finish(turn, source)
        return turn

    def samples(self) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
        families = text_string_to_metric_families(self.telemetry.exposition()[0].decode())
        return {(one.name, frozenset(one.labels.items())): one.value for family in families for one in family.samples}

    def sample(self, name: str, **labels: str) -> float:
        return self.samples().get((name, frozenset(labels.items())), 0.0)

    def everything(self) -> str:
        """All that leaves the process by way of traces and metrics."""
        metrics = self.reader.get_metrics_data()
        spans = [span.to_json() for span in self.exporter.get_finished_spans()]
        return "\n".join([*spans, metrics.to_json() if metrics else "", self.telemetry.exposition()[0].decode()])


def dialogue(engine: Any = None, pack: str = "tavern") -> Dialogue:
    return Dialogue(load_policy(pack), engine=engine)


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


@settings(max_examples=25, deadline=None)
@given(message=st.text(max_size=80), seed=st.integers(0, 50))
def test_nothing_that_a_user_wrote_leaves_by_default(message: str, seed: int) -> None:
    bench, stream = Bench(), io.StringIO()
    with logged_to(stream):
        turn = bench.take(dialogue(RandomEngine(seed)), f"{message} {SECRET}")
    assert SECRET in turn.record.message
    assert SECRET not in bench.everything() + stream.getvalue()
    assert turn.text not in bench.everything() + stream.getvalue()
    assert lines(stream)[0]["turn_id"] == turn.id


def test_an_error_is_told_by_its_type_since_its_text_may_quote_the_message(logs: io.StringIO) -> None:
    bench = Bench()
    with pytest.raises(EngineError, match=SECRET):
        bench.take(dialogue(ScriptedEngine({"another message": "greet"})), SECRET)
    [line] = lines(logs)
    assert (line["event"], line["error"], line["level"]) == ("turn_failed", "EngineError", "error")
    assert line["where"].rpartition(":")[0].endswith(".py")
    assert SECRET not in bench.everything() + logs.getvalue()
    [span] = [one for one in bench.exporter.get_finished_spans() if one.name == "invoke_agent tavern"]
    assert span.status.status_code is StatusCode.ERROR
    assert span.attributes is not None
    assert span.attributes["error.type"] == "EngineError"
    assert bench.sample("constrained_turn_errors_total", pack="tavern", error="EngineError") == 1
    assert bench.sample("constrained_turns_in_flight") == 0


def test_content_is_logged_where_it_is_asked_for(logs: io.StringIO) -> None:
    bench = Bench(content=True)
    turn = bench.take(dialogue(RandomEngine(1)), SECRET)
    [line] = lines(logs)
    assert (line["message"], line["text"]) == (SECRET, turn.text)
    assert SECRET not in bench.everything()  # never in traces and metrics


def test_a_turn_is_one_span_with_a_span_for_each_stage() -> None:
    bench = Bench()
    turn = bench.take(dialogue(RandomEngine(3)), "Good evening")
    spans = {span.name: span for span in bench.exporter.get_finished_spans()}
    root = spans.pop("invoke_agent tavern")
    assert set(spans) == {f"constrained.{stage}" for stage in ("wait", "hear", "allow", "decide", "verify", "commit")}
    assert all(span.parent is not None and span.parent.span_id == root.context.span_id for span in spans.values())
    told = dict(root.attributes or {})
    assert told["gen_ai.operation.name"] == "invoke_agent"
    assert told["gen_ai.agent.name"] == "tavern"
    assert told["gen_ai.conversation.id"] == turn.record.conversation
    assert told["gen_ai.response.id"] == turn.id
    assert told["gen_ai.request.model"] == "random"
    assert told["gen_ai.usage.output_tokens"] == 0
    assert told["constrained.response_id"] == turn.response_id
    assert told["constrained.n_options"] == len(turn.decision.options)


def test_stages_lie_back_to_back() -> None:
    bench = Bench()
    bench.take(dialogue(), "Good evening", "rules")
    spans = sorted(
        (one for one in bench.exporter.get_finished_spans() if one.parent), key=lambda one: (one.start_time or 0, one.end_time or 0)
    )
    assert all(one.end_time == other.start_time for one, other in itertools.pairwise(spans))


@contextmanager
def served(bench: Bench, engine: Any = None) -> Iterator[TestClient]:
    """A server that is traced by the bench."""
    engines = {"engine": engine} if engine is not None else {}
    app = create_app(server_settings(), Packs({"tavern": load_policy("tavern")}), engines, bench.telemetry)
    with TestClient(app, headers={"Authorization": f"Bearer {TOKEN}"}, raise_server_exceptions=False) as client:
        yield client


def post(client: TestClient, message: str, headers: dict[str, str] | None = None) -> int:
    content = {"pack": "tavern", "message": message}
    return int(client.post("/v1/turns", json=content, headers=headers).status_code)


def test_the_span_of_a_turn_lies_in_the_span_of_its_request_and_joins_the_trace_of_the_caller() -> None:
    bench, trace_id = Bench(), "4bf92f3577b34da6a3ce929d0e0e4736"
    with served(bench) as client:
        assert post(client, SECRET, {"traceparent": f"00-{trace_id}-00f067aa0ba902b7-01"}) == 200
    spans = {span.name: span for span in bench.exporter.get_finished_spans()}
    request, turn = spans["POST /v1/turns"], spans["invoke_agent tavern"]
    assert turn.parent is not None
    assert turn.parent.span_id == request.context.span_id
    assert {f"{span.context.trace_id:032x}" for span in spans.values()} == {trace_id}
    assert SECRET not in bench.everything()


@pytest.mark.parametrize("header", ["", "nonsense", "00-0-0-0", "u" * 300])
def test_a_header_that_is_no_trace_is_passed_over(header: str) -> None:
    bench = Bench()
    with served(bench) as client:
        assert post(client, "Good evening", {"traceparent": header}) == 200
    assert bench.sample("constrained_stage_seconds_count", stage="allow") == 1


def test_requests_are_measured_by_route_and_status() -> None:
    bench = Bench()
    with served(bench) as client:
        client.get("/v1/catalogs/tavern")
        assert client.get("/v1/conversations/nowhere").status_code == 404
    assert "http.server.duration" in bench.everything()
    names = {span.name for span in bench.exporter.get_finished_spans()}
    assert names == {"GET /v1/catalogs/{pack}", "GET /v1/conversations/{conversation}"}


def test_what_breaks_within_a_request_is_told_without_its_words(monkeypatch: pytest.MonkeyPatch) -> None:
    bench, stream = Bench(), io.StringIO()

    def broken(*_: Any) -> None:
        raise ZeroDivisionError(SECRET)

    monkeypatch.setattr(Turns, "take", broken)
    with logged_to(stream), served(bench) as client:
        assert post(client, "Good evening") == 500
    assert SECRET not in bench.everything() + stream.getvalue()
    assert "ZeroDivisionError" in stream.getvalue()


def test_the_wait_of_a_turn_is_part_of_its_time() -> None:
    bench = Bench()
    bench.take(dialogue(), "Good evening", "rules", waited_s=2.0)
    assert bench.sample("constrained_stage_seconds_sum", stage="wait") == 2.0
    assert bench.telemetry.usage()[0].seconds > 2.0


def test_outcomes_are_counted_for_each_tenant() -> None:
    bench = Bench()
    sure = ScriptedEngine(lambda _: {"threat": False, "reply": "greet"})
    bench.take(dialogue(sure), "Good evening", tenant="inn")
    bench.take(dialogue(sure), "Good evening", tenant="inn")
    assert bench.take(Dialogue("tavern", engine=sure, threshold=0.95), "Good evening", "fallback", tenant="inn").decision.abstained
    passed_on = bench.take(dialogue(ScriptedEngine(lambda _: {"reply": "hand_over"}), "bank_disputes"), "A person, please", tenant="bank")
    assert "hand_over" in [effect.name for effect in passed_on.effects]
    found = {(one.tenant, one.pack, one.outcome): one.n_turns for one in bench.telemetry.usage()}
    expected = {("inn", "tavern", "resolved"): 2, ("inn", "tavern", "abstained"): 1, ("bank", "bank_disputes", "handed_over"): 1}
    assert found == expected
    assert bench.sample("constrained_usage_turns_total", tenant="inn", pack="tavern", outcome="resolved") == 2
    assert all(one.seconds > 0 for one in bench.telemetry.usage())


@given(sources=st.lists(st.sampled_from(["model", "rules", "fallback"]), max_size=12))
@settings(max_examples=20, deadline=None)
def test_every_turn_is_counted_once_everywhere(sources: list[str]) -> None:
    bench, talk = Bench(), dialogue()
    for source in sources:
        bench.take(talk, "Good evening", source)
    found = bench.samples()
    for name in (
        "constrained_turns_total",
        "constrained_usage_turns_total",
        "constrained_responses_total",
        "constrained_turn_seconds_count",
    ):
        assert sum(value for (one, _), value in found.items() if one == name) == len(sources)
    assert sum(one.n_turns for one in bench.telemetry.usage()) == len(sources)


def test_tenants_without_end_share_one_series(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_TENANTS", 2)
    bench, talk = Bench(), dialogue()
    for tenant in ("a", "b", "c", "d", "a"):
        bench.take(talk, "Good evening", "rules", tenant=tenant)
    counted: dict[str, int] = {}
    for one in bench.telemetry.usage():
        counted[one.tenant] = counted.get(one.tenant, 0) + one.n_turns
    assert counted == {"a": 2, "b": 1, OTHER_TENANTS: 2}


def test_metrics_with_a_name_in_the_conventions_carry_it() -> None:
    bench = Bench()
    bench.take(dialogue(RandomEngine(2)), "Good evening")
    data = bench.reader.get_metrics_data()
    assert data is not None
    found = {one.name: one for resource in data.resource_metrics for scope in resource.scope_metrics for one in scope.metrics}
    assert {"gen_ai.invoke_agent.duration", "constrained.turns"} <= set(found)
    assert found["gen_ai.invoke_agent.duration"].unit == "s"


def test_a_model_that_fails_is_seen_though_the_turn_was_answered() -> None:
    bench = Bench()
    talk = dialogue()
    with bench.telemetry.turn(pack="tavern", conversation="c") as watch:
        watch.finish(talk.reply("Good evening"), "rules", degraded=True)
    assert bench.sample("constrained_degraded_turns_total", pack="tavern") == 1


def test_what_never_became_a_turn_is_counted_too(logs: io.StringIO) -> None:
    bench = Bench()
    bench.telemetry.count_refusal("busy")
    bench.telemetry.watch_queue(lambda: 7)
    bench.telemetry.count_reload("tavern", False)
    assert bench.sample("constrained_refused_total", reason="busy") == 1
    assert bench.sample("constrained_turns_waiting") == 7
    assert bench.sample("constrained_reloads_total", pack="tavern", result="refused") == 1
    assert lines(logs)[0] | {"at": ""} == {
        "at": "", "level": "info", "logger": LOGGER, "event": "reload", "pack": "tavern", "accepted": False,
    }  # fmt: skip


def test_two_servers_in_one_process_count_apart() -> None:
    one, other = Bench(), Bench()
    one.take(dialogue(), "Good evening", "rules")
    assert one.telemetry.usage()
    assert not other.telemetry.usage()


def test_without_a_tracer_of_the_process_everything_else_still_works() -> None:
    telemetry, talk = Telemetry(), dialogue()
    with telemetry.turn(pack="tavern", conversation="c") as watch:
        watch.finish(talk.reply("Good evening"), "rules")
    assert telemetry.usage()[0].n_turns == 1


def test_each_log_line_is_one_json_object_whatever_is_in_it(logs: io.StringIO) -> None:
    logging.getLogger("uvicorn.error").info("two\nlines \u2028 and \x1b[31mcolours")
    try:
        raise ValueError(SECRET)
    except ValueError:
        logging.getLogger("uvicorn.error").exception("it broke")
    first, second = lines(logs)
    assert first["event"] == "two\nlines \u2028 and \x1b[31mcolours"
    assert second["error"] == "ValueError"
    assert SECRET not in logs.getvalue()
    assert "\x1b" not in logs.getvalue()


def test_a_broken_engine_is_counted_and_its_error_goes_on() -> None:
    bench = Bench()
    with pytest.raises(EngineError):
        bench.take(dialogue(SabotagedEngine("raises")), "Good evening")
    assert bench.sample("constrained_turn_errors_total", pack="tavern", error="EngineError") == 1
    assert not bench.telemetry.usage()
