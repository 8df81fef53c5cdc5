"""What a server refuses, as errors with a status, and the status of every error of the library."""

from __future__ import annotations

from constrained.errors import (
    AuditError,
    BusyError,
    ConstrainedError,
    DeadlineError,
    EngineError,
    LocaleError,
    MessageError,
    PackError,
    ReplayError,
    SaveError,
    StateError,
)
from constrained.records.masking import mask
from constrained.serve.wire import ErrorDetail, ErrorReply

_STATUS: tuple[tuple[type[ConstrainedError], int], ...] = (
    (StateError, 422),
    (SaveError, 422),
    (MessageError, 422),
    (LocaleError, 422),
    (PackError, 404),
    (BusyError, 503),
    (EngineError, 503),
    (DeadlineError, 503),
    (AuditError, 503),
    (ReplayError, 503),
)

OPERATOR_ERRORS = (EngineError, AuditError, ReplayError)  # the caller learns their kind only


class RefusedError(ConstrainedError):
    """A request that is not served: ``status`` is HTTP's, ``retry_s`` when to come again (0: never).

    Args:
        code: the error's name where another API has one; HTTP's status otherwise.
    """

    def __init__(
        self, status: int, message: str, *, hint: str = "", retry_s: int = 0, param: str | None = None, code: str | None = None
    ) -> None:
        self.status, self.retry_s, self.param, self.code = status, retry_s, param, code
        super().__init__(message, hint=hint)


def status_of(error: ConstrainedError) -> int:
    """HTTP's status of an error; 500 for what only the operator can mend."""
    if isinstance(error, RefusedError):
        return error.status
    return next((status for kind, status in _STATUS if isinstance(error, kind)), 500)


def body_of(error: ConstrainedError) -> ErrorReply:
    """What the caller is told. Never a path, a traceback or an engine's words: of the operator's errors only the kind."""
    status = status_of(error)
    if status == 500:
        return error_reply("internal", f"{type(error).__name__}: nothing was said", "the server's log tells more")
    if isinstance(error, OPERATOR_ERRORS):
        what = "the engine cannot answer" if isinstance(error, EngineError) else "the record cannot be kept"
        return error_reply(type(error).__name__, f"{what}; nothing was said", "the server's log tells more", status)
    if not isinstance(error, RefusedError):
        return error_reply(type(error).__name__, error.message, error.hint, status, getattr(error, "param", None))
    kind = "invalid_request_error" if error.code else _KINDS.get(status, "refused")
    return error_reply(kind, error.message, error.hint, error.code or status, error.param)


def error_reply(kind: str, message: str, hint: str = "", code: int | str | None = None, param: str | None = None) -> ErrorReply:
    """An error as the caller is told it: what may not be logged is masked, since callers log errors."""
    param = None if param is None else mask(param)
    return ErrorReply(error=ErrorDetail(type=kind, message=mask(message), hint=hint, code=str(code) if code else None, param=param))


_KINDS = {
    400: "bad_request",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    408: "too_slow",
    409: "conflict",
    413: "too_large",
    422: "invalid_request_error",
    429: "too_many",
    503: "overloaded",
}
