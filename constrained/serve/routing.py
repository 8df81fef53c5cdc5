"""What routers share: bodies as JSON proper (no NaN, no endless nesting), refusals, the Service of a request."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Awaitable, Callable
from typing import Any, NoReturn

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from constrained.errors import ApprovalError, AuditError, ConstrainedError, ReplayError
from constrained.serve.errors import RefusedError, body_of, error_reply, status_of
from constrained.serve.service import Service
from constrained.serve.wire import ErrorReply

DECISIONS_PATH = "/v1/decisions"  # whose original refuses a wrong value with 400
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


REFUSALS: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorReply, "description": what}
    for status, what in {
        400: "The body is not JSON.",
        401: "No token, or a wrong one.",
        403: "Called by a name that is not the server's, or the token's roles or conversation do not allow it.",
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


class StrictRoute(APIRoute):
    """A route that reads its body so, and tells of a fault no more than its type."""

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


def new_router() -> APIRouter:
    """A router whose routes read and refuse as all of this server do; each declares its roles with ``allow``."""
    return APIRouter(route_class=StrictRoute, responses=REFUSALS)


def service_of(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


def json_reply(reply: Any, status: int = 200) -> Response:
    return Response(reply.model_dump_json(), status, media_type="application/json")


# -- what went wrong -----------------------------------------------------------------------------------------


def add_error_handlers(app: FastAPI) -> None:
    """Every error is answered as an ErrorReply."""
    app.add_exception_handler(ConstrainedError, _answer_error)
    app.add_exception_handler(RequestValidationError, _answer_invalid)
    app.add_exception_handler(HTTPException, _answer_http)
    app.add_exception_handler(Exception, _answer_broken)


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


async def _answer_invalid(request: Request, error: Exception) -> Response:
    """The first thing that is wrong with a request. What was sent is not sent back."""
    status = 400 if request.url.path == DECISIONS_PATH else 422
    first = error.errors()[0] if isinstance(error, RequestValidationError) else {"loc": (), "msg": str(error)}
    where = ".".join(str(part) for part in first["loc"][1:])
    reply = error_reply("invalid_request_error", f"{where or 'the body'}: {first['msg']}", "see /openapi.json", status, where or None)
    return Response(reply.model_dump_json(), status, media_type="application/json")


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
