"""Static tokens: whose each one is and what it is for, from a file of lines ``TENANT TOKEN [ROLE[,ROLE] [NAME]]``."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict

from constrained.errors import ConstrainedError
from constrained.serve.access.roles import GRANTED, Principal, Role

LEAST_CHARACTERS = 16  # of a token
_LINE = "TENANT TOKEN [ROLE[,ROLE] [NAME]], one a line"


class TokenGrant(BaseModel):
    """What a static token stands for.

    Attributes:
        roles: empty where none are named: a channel, and the operator too where the tenant is the operator's.
        name: who holds it, for what is recorded of them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    tenant: str
    roles: frozenset[Role] = frozenset()
    name: str = ""


def _as_grant(value: Any) -> Any:
    return {"tenant": value} if isinstance(value, str) else value


Grant = Annotated[TokenGrant, BeforeValidator(_as_grant)]  # a tenant alone stands for a grant without roles


class StaticTokens:
    """Finds whose token it is.

    Args:
        is_operator: whether tokens of a tenant for which no roles are named are the operator's.
    """

    def __init__(self, tokens: Mapping[str, TokenGrant], is_operator: Callable[[str], bool]) -> None:
        self._known = [(_digest(token), _principal(grant, is_operator(grant.tenant))) for token, grant in tokens.items()]

    def find(self, token: str) -> Principal | None:
        """The principal of a token. Every known one is compared, each in the same time: how long it takes tells nothing."""
        given, found = _digest(token), None
        for known, principal in self._known:
            if hmac.compare_digest(known, given):
                found = principal
        return found


def read_tokens(file: Path) -> dict[str, TokenGrant]:
    """Token -> grant, in the order of the lines; the first is the operator's unless it names roles.

    Raises ConstrainedError for a line that is none of these, with its number. Raises OSError.
    """
    found: dict[str, TokenGrant] = {}
    for number, text in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        words = text.split()
        if not words or words[0].startswith("#"):
            continue
        token, grant = _read_line(words, f"{file}:{number}")
        if token in found:
            raise ConstrainedError(f"{file}:{number}: this token stands in another line too", hint="give each line a token of its own")
        found[token] = grant
    if not found:
        raise ConstrainedError(f"{file} holds no token", hint=_LINE)
    return found


def _read_line(words: list[str], where: str) -> tuple[str, TokenGrant]:
    if not 2 <= len(words) <= 4 or len(words[1]) < LEAST_CHARACTERS:
        raise ConstrainedError(f"{where}: not a tenant and a token of at least {LEAST_CHARACTERS} characters", hint=_LINE)
    named = words[2].split(",") if len(words) > 2 else []
    unknown = [name for name in named if name not in GRANTED]
    if unknown:
        hint = f"there are {', '.join(GRANTED)}; a customer's token is minted: POST /v1/conversations/ID/token"
        raise ConstrainedError(f"{where}: {unknown[0]!r} is no role of a token here", hint=hint)
    return words[1], TokenGrant(tenant=words[0], roles=frozenset(map(Role, named)), name=words[3] if len(words) > 3 else "")


def _principal(grant: TokenGrant, is_operator: bool) -> Principal:
    default = {Role.CHANNEL, Role.OPERATOR} if is_operator else {Role.CHANNEL}
    return Principal(grant.tenant, grant.name, grant.roles or frozenset(default))


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
