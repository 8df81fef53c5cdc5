"""Who calls and what they may: roles, the principal that the guard finds, and the declaration of a route's roles.

Every route says which roles may call it; the server's description (``/openapi.json``) carries the same names:

    @router.get("/v1/handovers")
    async def list_handovers(principal: Annotated[Principal, allow(Role.AGENT, Role.SUPERVISOR, Role.AUDITOR)]) -> ...

or, where the route does not use the principal, ``dependencies=[allow(Role.AGENT)]``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from fastapi import Security
from fastapi.openapi.models import HTTPBearer as BearerModel
from fastapi.security import SecurityScopes
from fastapi.security.base import SecurityBase
from starlette.exceptions import WebSocketException
from starlette.requests import HTTPConnection

from constrained.serve.errors import RefusedError

FORBIDDEN_CODE = 4403  # a WebSocket's close code


class Role(StrEnum):
    """What somebody is to the server. One principal may have several."""

    CUSTOMER = "customer"  # a person in one conversation
    CHANNEL = "channel"  # the host's back-channel: turns of any conversation of its tenant, states, customers' tokens
    AGENT = "agent"  # answers conversations that were handed over
    SUPERVISOR = "supervisor"  # an agent who also sees to the others
    APPROVER = "approver"  # reads what is to be approved
    AUDITOR = "auditor"  # reads conversations with their evidence
    OPERATOR = "operator"  # runs the server: metrics, engines


GRANTED = tuple(role for role in Role if role is not Role.CUSTOMER)  # by files and issuers; a customer's token is for one conversation


@dataclass(frozen=True, slots=True)
class Principal:
    """Who a request comes from; the guard puts it into ``scope["state"]["principal"]``.

    Attributes:
        name: a stable id within the tenant: the issuer's ``sub``, or the name in the file of tokens; may be empty.
        conversation, pack: of a customer, whose token is for these alone; pack is None where the token names none.
        state: the host's facts in a customer's token. signed_at, expires_at: of a signed token, in seconds since 1970.
    """

    tenant: str
    name: str = ""
    roles: frozenset[Role] = frozenset()
    conversation: str | None = None
    state: Mapping[str, Any] | None = None
    pack: str | None = None
    signed_at: float = 0.0
    expires_at: float = math.inf

    @property
    def is_customer(self) -> bool:
        """Whether it may do what a customer may and no more."""
        return self.roles == {Role.CUSTOMER}


class _Bearer(SecurityBase):
    """The one security scheme of the server. The guard has checked the token; here its roles are compared with the route's."""

    def __init__(self) -> None:
        self.model = BearerModel(description="A token of --tokens, of the issuer of --oidc, or one of a customer.")
        self.scheme_name = "token"

    async def __call__(self, connection: HTTPConnection, wanted: SecurityScopes) -> Principal:
        principal: Principal = connection.state.principal
        if principal.roles.isdisjoint(wanted.scopes):
            raise _refusal(connection, wanted.scopes)
        return principal


_BEARER = _Bearer()


def allow(*roles: Role) -> Any:
    """A dependency of a route that gives the Principal, who has one of these roles. Else it raises RefusedError: 403.

    A WebSocket is closed with FORBIDDEN_CODE.
    """
    if not roles:
        raise ValueError("a route is for one role at least")
    return Security(_BEARER, scopes=[role.value for role in roles])


def _refusal(connection: HTTPConnection, roles: list[str]) -> Exception:
    hint = f"it is for: {', '.join(roles)}"
    if connection.scope["type"] == "websocket":
        return WebSocketException(FORBIDDEN_CODE, hint)
    given = [role for role in roles if role != Role.CUSTOMER]
    how = f"; a line TENANT TOKEN {given[-1]} NAME in --tokens FILE gives one" if given else ""
    return RefusedError(403, "the token's roles do not allow this", hint=hint + how)
