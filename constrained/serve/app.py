"""The routes of a server, over one Service."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

from fastapi import FastAPI, Header, Query, Request, WebSocket
from fastapi.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.exceptions import WebSocketException
from starlette.middleware.cors import CORSMiddleware

from constrained.dialogue.dialogue import Dialogue
from constrained.engines.protocol import Engine
from constrained.serve import decisions, openai_api, systemone
from constrained.serve.access.authentication import Authenticator
from constrained.serve.access.customer_tokens import CustomerTokens
from constrained.serve.access.guard import PROTOCOL, Guard
from constrained.serve.access.roles import FORBIDDEN_CODE, Principal, Role, allow
from constrained.serve.customers.routes import router as customer_router
from constrained.serve.customers.view import (
    check_conversation,
    customer_completion,
    customer_conversation,
    customer_event,
    customer_reply,
    narrow_chat,
    narrow_turn,
    with_principal,
)
from constrained.serve.customers.wire import CustomerConversation, CustomerReply
from constrained.serve.engines import SharedEngine
from constrained.serve.handover.queue import HandoverQueue
from constrained.serve.handover.routes import router as handover_router
from constrained.serve.journal import Journal
from constrained.serve.packs import Packs, catalog_reply, catalogs_reply
from constrained.serve.play import router as play_router
from constrained.serve.retention import DailyRetention
from constrained.serve.routing import DECISIONS_PATH, add_error_handlers, json_reply, new_router, service_of
from constrained.serve.service import Service, serve_listener
from constrained.serve.settings import ServerSettings
from constrained.serve.signing import LogSigner
from constrained.serve.storage.at_rest import make_cipher
from constrained.serve.storage.database import sqlite_file
from constrained.serve.storage.sessions import Sessions
from constrained.serve.telemetry import Telemetry
from constrained.serve.turns import Turns
from constrained.serve.wire import (
    CatalogReply,
    CatalogsReply,
    ConversationReply,
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

PAGE = Path(__file__).parent / "page"
log = logging.getLogger("constrained.serve")

router = new_router()


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
    Raises ConstrainedError when the conversations or the records cannot be kept, or a key cannot be used.
    """
    service = Service(_make_turns(settings, packs, engines or {}, own or {}), telemetry or Telemetry())
    customers = CustomerTokens.of(settings, service.turns.access.is_forgotten)
    authenticator = Authenticator(settings, customers)
    signer = LogSigner.of(settings.signing, service.turns.journal, settings.log)
    queue = HandoverQueue(service)

    service.telemetry.watch_unsigned(lambda: service.turns.journal.last - (signer.signed if signer is not None else 0))
    retention = DailyRetention(service.turns) if settings.retain else None

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        if signer is not None:
            signer.start()
        await authenticator.start()
        queue.start()
        if retention is not None:
            retention.start()
        yield
        if retention is not None:
            await asyncio.to_thread(retention.close)
        await queue.close()
        await service.close()
        if signer is not None:
            await asyncio.to_thread(signer.close)

    app = FastAPI(title="Constrained", version=version("constrained"), docs_url=None, redoc_url=None, lifespan=lifespan)
    app.state.service, app.state.customers, app.state.handovers = service, customers, queue
    app.include_router(router)
    app.include_router(customer_router)
    app.include_router(handover_router)
    app.include_router(play_router)
    if settings.is_editing:
        from constrained.serve.writing import router as writing_router  # brings numpy, which no other route needs

        app.include_router(writing_router)
    files = _add_page(app, is_editing=settings.is_editing) if settings.has_page else []
    add_error_handlers(app)
    app.add_middleware(Guard, settings=settings, authenticator=authenticator, free=files, refused=service.telemetry.count_refusal)
    if settings.origins:  # outside of the guard: a preflight has no token, and a page reads refusals too
        methods, headers = ["GET", "POST", "PUT", "DELETE"], ["Authorization", "Content-Type", "Idempotency-Key", "Last-Event-ID"]
        app.add_middleware(
            CORSMiddleware, allow_origins=settings.origins, allow_methods=methods, allow_headers=headers, expose_headers=["Retry-After"]
        )
    service.telemetry.instrument(app)
    return app


def _make_turns(settings: ServerSettings, packs: Packs, engines: Mapping[str, Engine], own: Mapping[str, Engine]) -> Turns:
    limits = settings.limits
    places: dict[str, Any] = {"channel": settings.channel, "jurisdiction": settings.jurisdiction, "drafts": settings.drafts}
    made = [Dialogue(packs.get(name), mask=settings.mask, **places) for name in packs.names]
    journal = Journal.at(settings.log, settings.seal)  # approvals that cannot be trusted were told by now, before the first turn
    cipher = make_cipher(settings, sqlite_file(settings.database), is_masking=any(one.is_masking for one in made))
    is_announcing = bool(settings.handovers.webhook)
    sessions = Sessions(settings.database, pool_size=limits.n_running + 4, is_announcing=is_announcing, cipher=cipher)
    shared = {name: SharedEngine(engine) for name, engine in engines.items()}
    turns = Turns(settings, packs, shared, sessions, journal, {pack: SharedEngine(engine) for pack, engine in own.items()})
    for name in packs.names:
        turns.check_own(name, packs.get(name))
    n_completed = turns.recovery.complete_all()
    if n_completed:
        log.warning("a crash interrupted %d turns; they are completed", n_completed)
    return turns


def _add_page(app: FastAPI, *, is_editing: bool) -> list[str]:
    """Serves the files of the page, the writer's only where packs are edited; returns their paths."""
    names = sorted(path.name for path in PAGE.iterdir() if path.suffix in (".html", ".js", ".css", ".svg"))
    names = [name for name in names if is_editing or not name.startswith("write.")]
    short = {"/desk": "desk.html", **({"/write": "write.html"} if is_editing else {})}

    def route(path: str, name: str) -> None:
        app.add_api_route(path, lambda: FileResponse(PAGE / name), methods=["GET"], include_in_schema=False)

    for name in names:
        route("/" if name == "index.html" else f"/{name}", name)
    for path, name in short.items():
        route(path, name)
    return [*(f"/{name}" for name in names), *short]


# -- turns ---------------------------------------------------------------------------------------------------

STAFF = [allow(Role.CHANNEL, Role.AGENT, Role.SUPERVISOR, Role.APPROVER, Role.AUDITOR, Role.OPERATOR)]
Host = Annotated[Principal, allow(Role.CHANNEL)]
Talking = Annotated[Principal, allow(Role.CUSTOMER, Role.CHANNEL)]
Reading = Annotated[Principal, allow(Role.CUSTOMER, Role.CHANNEL, Role.AGENT, Role.SUPERVISOR, Role.AUDITOR)]
Listening = Annotated[Principal, allow(Role.CUSTOMER, Role.CHANNEL, Role.AGENT, Role.SUPERVISOR, Role.OPERATOR)]
Accounting = Annotated[Principal, allow(Role.CHANNEL, Role.SUPERVISOR, Role.AUDITOR, Role.OPERATOR)]
Asking = Annotated[Principal, allow(Role.CHANNEL, Role.OPERATOR)]
NTurns = Annotated[int, Query(ge=1, le=1_000)]
Key = Annotated[Id | None, Header(description="As in the body.")]


@router.post("/v1/turns", response_model=TurnReply | CustomerReply, summary="Take a turn")
async def take_turn(body: TurnRequest, request: Request, principal: Talking, idempotency_key: Key = None) -> Response:
    service = service_of(request)
    if idempotency_key is not None and body.idempotency_key is None:
        body = body.model_copy(update={"idempotency_key": idempotency_key})
    job = service.turns.make_job(principal.tenant, narrow_turn(principal, body))
    reply = await service.take(with_principal(principal, job))
    return json_reply(customer_reply(reply) if principal.is_customer else reply)


@router.post("/v1/conversations/{conversation}/fork", response_model=TurnReply, summary="Take a turn again, otherwise")
async def fork(conversation: Id, body: ForkRequest, request: Request, principal: Host) -> Response:
    service = service_of(request)
    job = await service.in_background(service.turns.make_fork, principal.tenant, conversation, body)
    return json_reply(await service.take(job))


@router.get(
    "/v1/conversations/{conversation}", response_model=ConversationReply | CustomerConversation, summary="A conversation and its turns"
)
async def conversation(conversation: Id, request: Request, principal: Reading, turns: NTurns = 100) -> Response:
    service = service_of(request)
    check_conversation(principal, conversation)
    stored, replies = await service.in_background(service.turns.conversation, principal.tenant, conversation, turns)
    if principal.is_customer:
        return json_reply(customer_conversation(stored, replies))
    state = json.loads(stored.state)
    return json_reply(ConversationReply(conversation=stored.id, pack=stored.pack, number=stored.number, state=state, turns=tuple(replies)))


@router.delete("/v1/conversations/{conversation}", status_code=204, summary="Forget a conversation; its records stay in the log")
async def forget(conversation: Id, request: Request, principal: Host) -> None:
    service = service_of(request)
    await service.in_background(service.turns.forget, principal.tenant, conversation)


@router.websocket("/v1/events")
async def listen(socket: WebSocket, principal: Listening, conversation: str = "") -> None:
    service: Service = socket.app.state.service
    protocol = PROTOCOL if PROTOCOL in socket.scope.get("subprotocols", ()) else None
    if not principal.is_customer:
        return await serve_listener(service.events, socket, principal, conversation, protocol)
    if conversation not in ("", principal.conversation):
        raise WebSocketException(FORBIDDEN_CODE, "the token is for another conversation")
    return await serve_listener(service.events, socket, principal, str(principal.conversation), protocol, customer_event)


# -- what is served ------------------------------------------------------------------------------------------


@router.get("/v1/catalogs", dependencies=STAFF, response_model=CatalogsReply, summary="Packs and engines")
async def list_catalogs(request: Request) -> Response:
    turns = service_of(request).turns
    return json_reply(catalogs_reply(turns.packs, turns.engines))


@router.get("/v1/catalogs/{pack}", dependencies=STAFF, response_model=CatalogReply, summary="A pack: responses, state, rules")
async def one_catalog(pack: PackName, request: Request) -> Response:
    turns = service_of(request).turns
    return json_reply(catalog_reply(turns.packs, pack, turns.settings.channel, turns.settings.jurisdiction))


@router.get("/healthz", summary="The process is alive")
async def health() -> HealthReply:
    return HealthReply(version=version("constrained"))


@router.get("/readyz", response_model=ReadyReply, summary="Whether turns are taken now")
async def ready(request: Request) -> Response:
    service = service_of(request)
    reply = await service.in_background(service.ready)
    return json_reply(reply, 200 if reply.is_ready else 503)


@router.get("/v1/usage", summary="What the tenant that asks has used")
async def usage(request: Request, principal: Accounting) -> UsageReply:
    mine = [one for one in service_of(request).telemetry.usage() if one.tenant == principal.tenant]
    names = tuple(UsageEntry.model_fields)
    return UsageReply(tenant=principal.tenant, usage=tuple(UsageEntry(**{name: getattr(one, name) for name in names}) for one in mine))


@router.get("/metrics", dependencies=[allow(Role.OPERATOR)], summary="For Prometheus: the operator's", response_class=Response)
async def metrics(request: Request) -> Response:
    content, kind = service_of(request).telemetry.exposition()
    return Response(content, headers={"content-type": kind})


# -- what other clients speak --------------------------------------------------------------------------------


@router.get("/v1/models", dependencies=STAFF, summary="Packs, as OpenAI lists models")
async def list_models(request: Request) -> dict[str, Any]:
    return openai_api.models(service_of(request).turns)


@router.post(
    "/v1/chat/completions",
    summary="A turn, as OpenAI's chat completion",
    responses={200: {"description": "The completion; with ``stream`` as events.", "content": {"text/event-stream": {}}}},
)
async def chat(
    body: openai_api.ChatRequest, request: Request, principal: Talking, idempotency_key: Annotated[Id | None, Header()] = None
) -> Response:
    service, body = service_of(request), narrow_chat(principal, body)
    if openai_api.is_after_tools(body) and not await _goes_on(body, request, principal.tenant, idempotency_key):
        service.turns.packs.get(body.model.partition("@")[0])
        silent = openai_api.silent_chunks(body.model) if body.stream else None
        return _stream(silent) if silent else JSONResponse(openai_api.silence(body.model))
    job = openai_api.make_job(service.turns, principal.tenant, body, idempotency_key)
    reply = await service.take(with_principal(principal, job))
    view: openai_api.View = customer_completion if principal.is_customer else dict
    if body.stream:
        has_usage = bool(body.stream_options and body.stream_options.include_usage)
        return _stream(openai_api.chunks(reply, body.model, has_usage=has_usage, view=view))
    return JSONResponse(view(openai_api.completion(reply, body.model)))


async def _goes_on(body: openai_api.ChatRequest, request: Request, tenant: str, key: str | None) -> bool:
    """Whether there is something to say to what the caller's tools did."""
    service, named = service_of(request), openai_api.conversation_of(body)
    return named is not None and await service.in_background(service.turns.goes_on, tenant, named, key)


def _stream(chunks: Any) -> Response:
    return StreamingResponse(chunks, media_type="text/event-stream", headers={"cache-control": "no-store"})


@router.post("/v1/systemone", summary="Typed questions about a state, with probabilities")
async def system_one(body: systemone.SystemOneRequest, request: Request, principal: Asking) -> systemone.SystemOneReply:
    service = service_of(request)
    name, engine = systemone.engine_of(service.turns.engines, body.model)
    async with service.gate.turn(principal.tenant, f"systemone {time.monotonic_ns()}"):
        return await service.in_turn_thread(systemone.answer, name, engine, body, service.turns.settings.within)


@router.post(DECISIONS_PATH, summary="Typed questions about an input, as OpenAI's decisions; a pack's own choice")
async def decide(body: decisions.DecisionRequest, request: Request, principal: Asking) -> decisions.DecisionsReply:
    service = service_of(request)
    async with service.gate.turn(principal.tenant, f"decisions {time.monotonic_ns()}"):
        return await service.in_turn_thread(decisions.decide, service.turns, principal.tenant, body)
