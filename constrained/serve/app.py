"""The routes of a server, over one Service; bodies are JSON proper: no NaN, no endless nesting, half characters made whole."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, NoReturn

from fastapi import APIRouter, FastAPI, Header, Query, Request, WebSocket
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, Response, StreamingResponse
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from constrained.dialogue.dialogue import Dialogue
from constrained.engines.protocol import Engine
from constrained.errors import ApprovalError, AuditError, ConstrainedError, ReplayError
from constrained.serve import openai_api, systemone
from constrained.serve.access import PROTOCOL, Guard
from constrained.serve.at_rest import make_cipher
from constrained.serve.engines import SharedEngine
from constrained.serve.errors import RefusedError, body_of, error_reply, status_of
from constrained.serve.journal import Journal
from constrained.serve.packs import Packs, catalog_reply, catalogs_reply
from constrained.serve.retention import DailyRetention
from constrained.serve.service import Service, serve_listener
from constrained.serve.sessions import Sessions, sqlite_file
from constrained.serve.settings import ServerSettings
from constrained.serve.signing import LogSigner
from constrained.serve.telemetry import Telemetry
from constrained.serve.turns import Turns
from constrained.serve.wire import (
    CatalogReply,
    CatalogsReply,
    ConversationReply,
    ErrorReply,
    ForkRequest,
    HealthReply,
    Id,
    PackName,
    ReadyReply,
    TurnReply,
    TurnRequest,
    UsageEntry,
    UsageReply,
)

_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


def parse_json(body: bytes) -> Any:
    """The value of a JSON text in UTF-8. Half of a surrogate pair, which no text can hold, becomes a question mark.

    Raises ValueError, also where a name stands twice in an object, or RecursionError.
    """
    value = json.loads(body.decode(), parse_constant=_refuse_constant, object_pairs_hook=_object_of)
    return _replace_surrogates(value) if _SURROGATE.search(body) else value


def _object_of(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name stands twice in an object: one reader would take the first value, another the last")
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _replace_surrogates(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, list):
        return [_replace_surrogates(one) for one in value]
    if isinstance(value, dict):
        return {_replace_surrogates(name): _replace_surrogates(one) for name, one in value.items()}
    return value


PAGE = Path(__file__).parent / "page"
REFUSALS: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorReply, "description": what}
    for status, what in {
        400: "The body is not JSON.",
        401: "No token, or a wrong one.",
        403: "Called by a name that is not the server's, or not the operator.",
        404: "There is no such pack, conversation or turn.",
        408: "The body came too slowly, or a typed question allows less time than its answer needs.",
        409: "The key or the conversation belongs to another request or pack.",
        413: "The body is too large.",
        422: "A value is not what it must be.",
        429: "Too many turns of this conversation or tenant; Retry-After tells when to come again.",
        500: "A fault that only the operator can mend. Nothing was said.",
        503: "The server is full, stopping, or cannot keep a record. Nothing was said.",
    }.items()
}
log = logging.getLogger("constrained.serve")


class _StrictRequest(Request):
    """Reads bodies as JSON proper: no NaN, no nesting without end."""

    async def json(self) -> Any:
        if not hasattr(self, "_json"):
            try:
                self._json = parse_json(await self.body())
            except (ValueError, RecursionError) as error:
                raise HTTPException(400, "the body is not JSON: send an object as application/json") from error
        return self._json


class _StrictRoute(APIRoute):
    def get_route_handler(self) -> Callable[[Request], Awaitable[Response]]:  # type: ignore[override]  # a coroutine is one
        handler = super().get_route_handler()

        async def handle(request: Request) -> Response:
            try:
                return await handler(_StrictRequest(request.scope, request.receive))
            except (ConstrainedError, HTTPException, RequestValidationError):
                raise
            except Exception as error:  # beyond here the text of an error, which may quote a message, would stand in a span
                return await _answer_broken(request, error)

        return handle


router = APIRouter(route_class=_StrictRoute, responses=REFUSALS)


def create_app(
    settings: ServerSettings,
    packs: Packs,
    engines: Mapping[str, Engine] | None = None,
    telemetry: Telemetry | None = None,
    own: Mapping[str, Engine] | None = None,
) -> FastAPI:
    """A server's app. ``app.state.service`` holds what it runs on.

    Args:
        engines: name -> engine, the first one asked unless a request names another. Each is shared by all conversations.
        own: pack -> engine that stands in for the first one there, such as ``engine.with_fitted(folder)``.

    Raises CalibrationError when an engine of a pack's own was fitted to another catalog.
    Raises ConstrainedError when the conversations or the records cannot be kept, or the log cannot be signed with the key.
    """
    service = Service(_make_turns(settings, packs, engines or {}, own or {}), telemetry or Telemetry())
    signer = LogSigner.of(settings.signing, service.turns.journal, settings.log)

    service.telemetry.watch_unsigned(lambda: service.turns.journal.last - (signer.signed if signer is not None else 0))
    retention = DailyRetention(service.turns) if settings.retain else None

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        if signer is not None:
            signer.start()
        if retention is not None:
            retention.start()
        yield
        if retention is not None:
            await asyncio.to_thread(retention.close)
        await service.close()
        if signer is not None:
            await asyncio.to_thread(signer.close)

    app = FastAPI(title="Constrained", version=version("constrained"), docs_url=None, redoc_url=None, lifespan=lifespan)
    app.state.service = service
    app.include_router(router)
    files = _add_page(app) if settings.has_page else []
    app.add_exception_handler(ConstrainedError, _answer_error)
    app.add_exception_handler(RequestValidationError, _answer_invalid)
    app.add_exception_handler(HTTPException, _answer_http)
    app.add_exception_handler(Exception, _answer_broken)
    app.add_middleware(Guard, settings=settings, free=files, refused=service.telemetry.count_refusal)
    service.telemetry.instrument(app)
    return app


def _make_turns(settings: ServerSettings, packs: Packs, engines: Mapping[str, Engine], own: Mapping[str, Engine]) -> Turns:
    limits = settings.limits
    places: dict[str, Any] = {"channel": settings.channel, "jurisdiction": settings.jurisdiction, "drafts": settings.drafts}
    made = [Dialogue(packs.get(name), mask=settings.mask, **places) for name in packs.names]
    journal = Journal.at(settings.log, settings.seal)  # approvals that cannot be trusted were told by now, before the first turn
    cipher = make_cipher(settings, sqlite_file(settings.database), is_masking=any(one.is_masking for one in made))
    sessions = Sessions(settings.database, pool_size=limits.n_running + 4, cipher=cipher)
    shared = {name: SharedEngine(engine) for name, engine in engines.items()}
    turns = Turns(settings, packs, shared, sessions, journal, {pack: SharedEngine(engine) for pack, engine in own.items()})
    for name in packs.names:
        turns.check_own(name, packs.get(name))
    n_completed = turns.recovery.complete_all()
    if n_completed:
        log.warning("a crash interrupted %d turns; they are completed", n_completed)
    return turns


def _add_page(app: FastAPI) -> list[str]:
    """Serves the files of the page; returns their paths."""
    names = sorted(path.name for path in PAGE.iterdir() if path.suffix in (".html", ".js", ".css", ".svg"))

    def route(path: str, name: str) -> None:
        app.add_api_route(path, lambda: FileResponse(PAGE / name), methods=["GET"], include_in_schema=False)

    for name in names:
        route("/" if name == "index.html" else f"/{name}", name)
    return [f"/{name}" for name in names]


# -- turns ---------------------------------------------------------------------------------------------------


def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


def _tenant(request: Request) -> str:
    return str(request.state.tenant)


def _json(reply: Any, status: int = 200) -> Response:
    return Response(reply.model_dump_json(), status, media_type="application/json")


@router.post("/v1/turns", response_model=TurnReply, summary="Take a turn")
async def take_turn(
    body: TurnRequest, request: Request, idempotency_key: Annotated[Id | None, Header(description="As in the body.")] = None
) -> Response:
    service = _service(request)
    if idempotency_key is not None and body.idempotency_key is None:
        body = body.model_copy(update={"idempotency_key": idempotency_key})
    return _json(await service.take(service.turns.make_job(_tenant(request), body)))


@router.post("/v1/conversations/{conversation}/fork", response_model=TurnReply, summary="Take a turn again, otherwise")
async def fork(conversation: Id, body: ForkRequest, request: Request) -> Response:
    service = _service(request)
    job = await service.in_background(service.turns.make_fork, _tenant(request), conversation, body)
    return _json(await service.take(job))


@router.get("/v1/conversations/{conversation}", response_model=ConversationReply, summary="A conversation and its turns")
async def conversation(conversation: Id, request: Request, turns: Annotated[int, Query(ge=1, le=1_000)] = 100) -> Response:
    service = _service(request)
    stored, replies = await service.in_background(service.turns.conversation, _tenant(request), conversation, turns)
    state = json.loads(stored.state)
    return _json(ConversationReply(conversation=stored.id, pack=stored.pack, number=stored.number, state=state, turns=tuple(replies)))


@router.delete("/v1/conversations/{conversation}", status_code=204, summary="Forget a conversation; its records stay in the log")
async def forget(conversation: Id, request: Request) -> None:
    service = _service(request)
    await service.in_background(service.turns.forget, _tenant(request), conversation)


@router.websocket("/v1/events")
async def listen(socket: WebSocket, conversation: str = "") -> None:
    service: Service = socket.app.state.service
    protocol = PROTOCOL if PROTOCOL in socket.scope.get("subprotocols", ()) else None
    await serve_listener(service.events, socket, str(socket.state.tenant), conversation, protocol)


# -- what is served ------------------------------------------------------------------------------------------


@router.get("/v1/catalogs", response_model=CatalogsReply, summary="Packs and engines")
async def list_catalogs(request: Request) -> Response:
    turns = _service(request).turns
    return _json(catalogs_reply(turns.packs, turns.engines))


@router.get("/v1/catalogs/{pack}", response_model=CatalogReply, summary="A pack: responses, state, rules")
async def one_catalog(pack: PackName, request: Request) -> Response:
    return _json(catalog_reply(_service(request).turns.packs, pack))


@router.get("/healthz", summary="The process is alive")
async def health() -> HealthReply:
    return HealthReply(version=version("constrained"))


@router.get("/readyz", response_model=ReadyReply, summary="Whether turns are taken now")
async def ready(request: Request) -> Response:
    service = _service(request)
    reply = await service.in_background(service.ready)
    return _json(reply, 200 if reply.is_ready else 503)


@router.get("/v1/usage", summary="What the tenant that asks has used")
async def usage(request: Request) -> UsageReply:
    tenant = _tenant(request)
    mine = [one for one in _service(request).telemetry.usage() if one.tenant == tenant]
    names = tuple(UsageEntry.model_fields)
    return UsageReply(tenant=tenant, usage=tuple(UsageEntry(**{name: getattr(one, name) for name in names}) for one in mine))


@router.get("/metrics", summary="For Prometheus: the operator's", response_class=Response)
async def metrics(request: Request) -> Response:
    if not _service(request).turns.settings.is_operator(_tenant(request)):
        raise RefusedError(403, "the metrics of all tenants are the operator's", hint="GET /v1/usage tells your own")
    content, kind = _service(request).telemetry.exposition()
    return Response(content, headers={"content-type": kind})


# -- what other clients speak --------------------------------------------------------------------------------


@router.get("/v1/models", summary="Packs, as OpenAI lists models")
async def list_models(request: Request) -> dict[str, Any]:
    return openai_api.models(_service(request).turns)


@router.post(
    "/v1/chat/completions",
    summary="A turn, as OpenAI's chat completion",
    responses={200: {"description": "The completion; with ``stream`` as events.", "content": {"text/event-stream": {}}}},
)
async def chat(body: openai_api.ChatRequest, request: Request, idempotency_key: Annotated[Id | None, Header()] = None) -> Response:
    service = _service(request)
    if openai_api.is_after_tools(body) and not await _goes_on(body, request, idempotency_key):
        service.turns.packs.get(body.model.partition("@")[0])
        silent = openai_api.silent_chunks(body.model) if body.stream else None
        return _stream(silent) if silent else JSONResponse(openai_api.silence(body.model))
    reply = await service.take(openai_api.make_job(service.turns, _tenant(request), body, idempotency_key))
    if body.stream:
        has_usage = bool(body.stream_options and body.stream_options.include_usage)
        return _stream(openai_api.chunks(reply, body.model, has_usage=has_usage))
    return JSONResponse(openai_api.completion(reply, body.model))


async def _goes_on(body: openai_api.ChatRequest, request: Request, key: str | None) -> bool:
    """Whether there is something to say to what the caller's tools did."""
    service, named = _service(request), openai_api.conversation_of(body)
    return named is not None and await service.in_background(service.turns.goes_on, _tenant(request), named, key)


def _stream(chunks: Any) -> Response:
    return StreamingResponse(chunks, media_type="text/event-stream", headers={"cache-control": "no-store"})


@router.post("/v1/systemone", summary="Typed questions about a state, with probabilities")
async def system_one(body: systemone.SystemOneRequest, request: Request) -> systemone.SystemOneReply:
    service = _service(request)
    name, engine = systemone.engine_of(service.turns.engines, body.model)
    async with service.gate.turn(_tenant(request), f"systemone {time.monotonic_ns()}"):
        return await service.in_turn_thread(systemone.answer, name, engine, body, service.turns.settings.within)


# -- what went wrong -----------------------------------------------------------------------------------------


async def _answer_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, ConstrainedError):
        raise error
    status = status_of(error)
    if status >= 500 and not isinstance(error, RefusedError):
        words = (
            str(error) if isinstance(error, AuditError | ReplayError | ApprovalError) else "the operator's to mend"
        )  # others may quote a message
        log.error("%s: %s", type(error).__name__, words, exc_info=error)
    headers = {"retry-after": str(getattr(error, "retry_s", 0) or 1)} if status in (429, 503) else {}
    return Response(body_of(error).model_dump_json(), status, headers, "application/json")


async def _answer_invalid(_: Request, error: Exception) -> Response:
    """The first thing that is wrong with a request. What was sent is not sent back."""
    first = error.errors()[0] if isinstance(error, RequestValidationError) else {"loc": (), "msg": str(error)}
    where = ".".join(str(part) for part in first["loc"][1:])
    reply = error_reply("invalid_request_error", f"{where or 'the body'}: {first['msg']}", "see /openapi.json", 422, where or None)
    return Response(reply.model_dump_json(), 422, media_type="application/json")


async def _answer_http(_: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    detail = str(error.detail) if isinstance(error, HTTPException) else "internal"
    headers = dict(error.headers or {}) if isinstance(error, HTTPException) else {}
    reply = error_reply("not_found" if status == 404 else "bad_request", detail, "see /openapi.json", status)
    return Response(reply.model_dump_json(), status, headers, "application/json")


async def _answer_broken(request: Request, error: Exception) -> Response:
    log.error("%s: %s", request.url.path, type(error).__name__, exc_info=error)
    reply = error_reply("internal", f"{type(error).__name__}: nothing was said", "the server's log tells more", 500)
    return Response(reply.model_dump_json(), 500, media_type="application/json")
