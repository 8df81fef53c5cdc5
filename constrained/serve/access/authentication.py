"""Whose token a request carries: a static one, one of the issuer, or a customer's."""

from __future__ import annotations

from constrained.serve.access.customer_tokens import CUSTOMER_TYPE, CustomerTokens
from constrained.serve.access.oidc import IssuerKeys, IssuerTokens, fetch_keys
from constrained.serve.access.roles import Principal
from constrained.serve.access.signed_tokens import header_of, is_signed
from constrained.serve.access.tokens import StaticTokens
from constrained.serve.errors import RefusedError
from constrained.serve.settings import ServerSettings

TOKEN_HINT = "send the header Authorization: Bearer TOKEN; tokens lie in --tokens FILE, else in the file token of --data"


class Authenticator:
    """Finds the principal of a token. Used from one event loop.

    Args:
        customers: reads customers' tokens. issuer: reads those of the issuer of the settings; for tests.
    """

    def __init__(self, settings: ServerSettings, customers: CustomerTokens, issuer: IssuerTokens | None = None) -> None:
        self._static = StaticTokens(settings.tokens, settings.is_operator)
        self._customers, self.issuer = customers, issuer or _issuer(settings)

    async def start(self) -> None:
        """Fetches the keys of the issuer, so that the first request does not wait; a failure is logged."""
        if self.issuer is not None:
            await self.issuer.keys.refresh()

    async def principal(self, token: str) -> Principal:
        """Raises RefusedError: 401, or 503 while the keys of the issuer cannot be had."""
        found = self._static.find(token)
        if found is not None:
            return found
        if not is_signed(token):
            raise RefusedError(401, "not a token of this server", hint=TOKEN_HINT)
        header = header_of(token)
        if header.get("typ") == CUSTOMER_TYPE:
            return await self._customers.principal(token, header)
        if self.issuer is None:
            raise RefusedError(401, "not a token of this server", hint="tokens of an issuer are accepted with --oidc")
        return await self.issuer.principal(token, header)


def _issuer(settings: ServerSettings) -> IssuerTokens | None:
    oidc = settings.oidc
    if oidc is None:
        return None
    return IssuerTokens(oidc, settings.operator_tenant, IssuerKeys(lambda: fetch_keys(oidc.issuer)))
