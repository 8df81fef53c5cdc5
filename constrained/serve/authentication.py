"""Whose token a request carries."""

from __future__ import annotations

from constrained.serve.errors import RefusedError
from constrained.serve.roles import Principal
from constrained.serve.settings import ServerSettings
from constrained.serve.tokens import StaticTokens

TOKEN_HINT = "send the header Authorization: Bearer TOKEN; tokens lie in --tokens FILE, else in the file token of --data"


class Authenticator:
    """Finds the principal of a token. Used from one event loop."""

    def __init__(self, settings: ServerSettings) -> None:
        self._static = StaticTokens(settings.tokens, settings.is_operator)

    async def principal(self, token: str) -> Principal:
        """Raises RefusedError: 401."""
        found = self._static.find(token)
        if found is None:
            raise RefusedError(401, "not a token of this server", hint=TOKEN_HINT)
        return found
