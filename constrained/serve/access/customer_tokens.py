"""Customers' tokens: each for one conversation with one pack, signed by this server or by its host, for 24 hours at most.

Header ``{"alg": "EdDSA", "typ": "customer+jwt"}``; claims ``conversation``, ``pack``, ``iat``, ``exp`` and, where the host says more,
``state`` (its facts, which the customer can read) and ``sub`` (who it is). Times with fractions of a second tell tokens of one second
apart.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from joserfc import jwt
from joserfc.jwk import OKPKey
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from constrained.approval.keys import load_private, load_public, new_pair
from constrained.serve.access.conversation_access import MOST_S
from constrained.serve.access.roles import Principal, Role
from constrained.serve.access.signed_tokens import LEEWAY_S, REGISTRY, Clock, VerifiedTokens, refusal, verified_claims
from constrained.serve.settings import ServerSettings
from constrained.serve.wire import Id, PackName

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

CUSTOMER_TYPE = "customer+jwt"
ALGORITHM = "EdDSA"
IsForgotten = Callable[[str, str, float], bool]


class _Claims(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)

    conversation: Id
    pack: PackName
    state: dict[str, Any] | None = None
    sub: str = Field("", max_length=128)
    tenant: str = ""
    iat: float
    exp: float


class _Found(NamedTuple):
    """Attributes: surely_at: the time until which it was signed for sure, by this server's clock."""

    principal: Principal
    surely_at: float


class CustomerTokens:
    """Mints and reads them. Reading is used from one event loop.

    Args:
        own: signs what is minted. hosts: tenants, and the key with which the host of each signs.
        is_forgotten: whether a conversation was forgotten after a time; asked in a thread, at every use of a token.
        clock: seconds since 1970, for tests.
    """

    def __init__(
        self,
        own: Ed25519PrivateKey,
        hosts: Sequence[tuple[str, Ed25519PublicKey]],
        is_forgotten: IsForgotten,
        clock: Clock = time.time,
    ) -> None:
        self._own = OKPKey.import_key(own.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        self._hosts = [
            (tenant, OKPKey.import_key(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))) for tenant, key in hosts
        ]
        self._own_id = self._own.thumbprint()
        self._is_forgotten, self._clock = is_forgotten, clock
        self._verified = VerifiedTokens[_Found]()

    @classmethod
    def of(cls, settings: ServerSettings, is_forgotten: IsForgotten) -> CustomerTokens:
        """As the settings say; a key of this server that is missing is made. Raises KeyFileError."""
        hosts = [(tenant, load_public(file)) for file, tenant in settings.host_keys.items()]
        return cls(_own_key(settings.customer_key), hosts, is_forgotten)

    def mint(self, tenant: str, conversation: str, pack: str, lifetime_s: float, name: str = "") -> tuple[str, float]:
        """A token, and when it ends in seconds since 1970. It holds no state: who has a token can read it."""
        now = self._clock()
        claims = {"tenant": tenant, "conversation": conversation, "pack": pack, "iat": now, "exp": now + lifetime_s}
        claims |= {"sub": name} if name else {}
        token = jwt.encode({"alg": ALGORITHM, "typ": CUSTOMER_TYPE, "kid": self._own_id}, claims, self._own, registry=REGISTRY)
        return token, now + lifetime_s

    async def principal(self, token: str, header: Mapping[str, Any]) -> Principal:
        """Raises RefusedError: 401, also once the conversation was forgotten."""
        found = self._verified.find(token, self._clock())
        if found is None:
            found = self._read(token, header)
            self._verified.keep(token, found, found.principal.expires_at + LEEWAY_S)
        principal = found.principal
        if await asyncio.to_thread(self._is_forgotten, principal.tenant, principal.conversation or "", found.surely_at):
            raise refusal("its conversation was forgotten")
        return principal

    def _read(self, token: str, header: Mapping[str, Any]) -> _Found:
        if header["alg"] != ALGORITHM:
            raise refusal(f"a customer's is signed with {ALGORITHM}")
        if header.get("kid") == self._own_id:
            claims = self._claims(token, self._own)
            return _Found(_principal(claims, claims.tenant), claims.iat)
        for tenant, key in self._hosts:
            if len(self._hosts) == 1 or header.get("kid") == key.thumbprint():
                claims = self._claims(token, key)
                return _Found(_principal(claims, tenant), claims.iat - LEEWAY_S)  # a host's clock may be ahead
        raise refusal("its key is neither this server's nor its host's; with several hosts, kid is the key's thumbprint (RFC 7638)")

    def _claims(self, token: str, key: OKPKey) -> _Claims:
        verified = verified_claims(token, key, {}, self._clock)
        try:
            claims = _Claims.model_validate(verified)
        except ValidationError as error:
            raise refusal(f"its claim {error.errors()[0]['loc'][0]} is not what it must be") from error
        if claims.exp - claims.iat > MOST_S:
            raise refusal(f"it is for longer than {MOST_S / 3600:g} hours")
        return claims


def _principal(claims: _Claims, tenant: str) -> Principal:
    return Principal(
        tenant,
        claims.sub,
        frozenset({Role.CUSTOMER}),
        conversation=claims.conversation,
        state=claims.state,
        pack=claims.pack,
        signed_at=claims.iat,
        expires_at=claims.exp,
    )


def _own_key(file: str) -> Ed25519PrivateKey:
    if not file:
        return Ed25519PrivateKey.generate()
    if not Path(file).exists():
        new_pair(file)
    return load_private(file)
