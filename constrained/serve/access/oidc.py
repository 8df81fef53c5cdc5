"""Tokens of an OpenID Connect issuer: its public keys, fetched and kept for a while, and the principal that a token names."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

import httpx
from joserfc.errors import JoseError
from joserfc.jwk import JWKRegistry, Key

from constrained.errors import ConstrainedError
from constrained.serve.access.roles import GRANTED, Principal, Role
from constrained.serve.access.signed_tokens import LEEWAY_S, Clock, VerifiedTokens, fits, refusal, verified_claims
from constrained.serve.errors import RefusedError
from constrained.serve.settings import Oidc, is_loopback

FRESH_S = 600.0  # after which the keys are fetched again
RETRY_S = 60.0  # at least, between two fetches
KEPT_S = 3_600.0  # that the keys are used while the issuer cannot be reached; then no token is accepted
FETCH_S = 5.0
MOST_BYTES = 1_048_576  # of a document of the issuer
DISCOVERY = "/.well-known/openid-configuration"
_TYPES = frozenset({"jwt", "at+jwt", "application/at+jwt"})  # of the header, where it says one
_BEARER = "Bearer"  # of Keycloak's claim ``typ``: its ID and refresh tokens have others
log = logging.getLogger("constrained.serve")


def fetch_keys(issuer: str) -> list[dict[str, Any]]:
    """The keys that an issuer publishes now. Raises ConstrainedError."""
    try:
        with httpx.Client(timeout=FETCH_S, follow_redirects=False) as client:
            found = _get(client, issuer.rstrip("/") + DISCOVERY)
            if found["issuer"] != issuer:
                raise ConstrainedError("it says that it is another one", hint=f"give --oidc its own name: {found['issuer']}")
            keys = _get(client, str(found["jwks_uri"]))["keys"]
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, KeyError, TypeError, RecursionError) as error:
        raise ConstrainedError(
            f"it does not answer as one: {type(error).__name__}", hint="see whether it can be reached from here"
        ) from error
    return [one for one in keys if isinstance(one, dict)]


def _get(client: httpx.Client, url: str) -> Any:
    check_address(url)
    content = bytearray()
    with client.stream("GET", url, headers={"accept": "application/json"}) as answer:
        answer.raise_for_status()
        for part in answer.iter_bytes():
            content += part
            if len(content) > MOST_BYTES:
                raise ValueError("too long")
    return json.loads(content)


def check_address(url: str) -> None:
    """Raises ConstrainedError for an address that somebody on the way could answer for."""
    parts = urlsplit(url)
    if not (parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or ""))):
        raise ConstrainedError(f"{url} is not https", hint="only an issuer on this machine may be without TLS")


class IssuerKeys:
    """The public keys of one issuer. Used from one event loop; fetches run in a thread, one at a time.

    Args:
        fetch: gives the keys, as JWKs; raises ConstrainedError. clock: monotonic seconds, for tests.

    Attributes:
        generation: counts the changes of the keys.
    """

    def __init__(self, fetch: Callable[[], list[dict[str, Any]]], clock: Clock = time.monotonic) -> None:
        self._fetch, self._clock = fetch, clock
        self._published: list[dict[str, Any]] = []
        self._keys: list[Key] = []
        self._fetched_s = self._tried_s = -float("inf")
        self._lock = asyncio.Lock()
        self.generation = 0

    async def look(self) -> None:
        """Fetches the keys when they are not fresh. Raises RefusedError: 503 when there are none that may be used."""
        if self._clock() - self._fetched_s > FRESH_S and not (self._lock.locked() and self._is_usable()):
            await self.refresh()
        if not self._is_usable():
            retry_s = max(1, int(RETRY_S - (self._clock() - self._tried_s)))
            raise RefusedError(503, "the issuer of tokens cannot be reached", hint="send the request again later", retry_s=retry_s)

    async def find(self, kid: str | None, alg: str) -> Key:
        """The key of a token; an unknown one makes the keys be fetched again. Raises RefusedError: 401 or 503."""
        await self.look()
        found = self._pick(kid, alg)
        if found is None:
            await self.refresh()
            found = self._pick(kid, alg)
        if found is None:
            raise refusal("its key is not one of the issuer's")
        return found

    async def refresh(self) -> None:
        """Fetches the keys, if the last attempt is long enough ago. A failure is logged; the keys stay what they were."""
        async with self._lock:
            if self._clock() - self._tried_s < RETRY_S:
                return
            self._tried_s = self._clock()
            try:
                published = await asyncio.to_thread(self._fetch)
            except ConstrainedError as error:
                log.warning("the issuer of tokens gives no keys: %s", error)
                return
            self._fetched_s = self._clock()
            if published != self._published:
                self._published, self._keys = published, _usable(published)
                self.generation += 1

    def _is_usable(self) -> bool:
        return self._clock() - self._fetched_s <= KEPT_S

    def _pick(self, kid: str | None, alg: str) -> Key | None:
        """The key of this id that fits; for a token that names none, the only one that fits."""
        fitting = [key for key in self._keys if fits(key, alg)]
        if kid is None:
            return fitting[0] if len(fitting) == 1 else None
        return next((key for key in fitting if key.kid == kid), None)


def _usable(published: list[dict[str, Any]]) -> list[Key]:
    """Public keys of the kinds that are known; a secret one, which anybody can read there, is none."""
    found: list[Key] = []
    for one in published:
        if one.get("kty") in ("RSA", "EC", "OKP") and "d" not in one:
            try:
                found.append(JWKRegistry.import_key(one))
            except (JoseError, ValueError, TypeError, KeyError):
                log.warning("a key of the issuer cannot be read; tokens that it signed are refused")
    return found


class IssuerTokens:
    """Who an issuer's tokens stand for. Used from one event loop.

    Args:
        tenant: of tokens, where no claim names one; only there an issuer's operator is the operator.
        clock: seconds since 1970, for tests.
    """

    def __init__(self, settings: Oidc, tenant: str, keys: IssuerKeys, clock: Clock = time.time) -> None:
        self._settings, self._tenant, self._clock = settings, tenant, clock
        self.keys = keys
        self._verified, self._generation = VerifiedTokens[Principal](), 0

    async def principal(self, token: str, header: Mapping[str, Any]) -> Principal:
        """Raises RefusedError: 401, or 503 while the issuer's keys cannot be had."""
        await self.keys.look()
        if self._generation != self.keys.generation:
            self._verified.clear()
            self._generation = self.keys.generation
        found = self._verified.find(token, self._clock())
        if found is not None:
            return found
        if str(header.get("typ", "JWT")).lower() not in _TYPES:
            raise refusal("its type is not that of an access token")
        key = await self.keys.find(header.get("kid"), header["alg"])
        claims = verified_claims(token, key, {"iss": self._settings.issuer, "aud": self._settings.audience}, self._clock)
        principal = self._principal(claims)
        if self._generation == self.keys.generation:
            self._verified.keep(token, principal, claims["exp"] + LEEWAY_S)
        return principal

    def _principal(self, claims: Mapping[str, Any]) -> Principal:
        settings = self._settings
        if claims.get("typ", _BEARER) != _BEARER:
            raise refusal("its claim typ is not that of an access token")
        _text(claims, "sub")
        tenant = _text(claims, settings.tenant_claim) if settings.tenant_claim else self._tenant
        roles = roles_at(claims, settings.roles_claim)
        if tenant != self._tenant:
            roles -= {Role.OPERATOR}
        return Principal(tenant, _text(claims, settings.name_claim), roles, signed_at=float(claims["iat"]), expires_at=float(claims["exp"]))


def _text(claims: Mapping[str, Any], name: str) -> str:
    found = claims.get(name)
    if not isinstance(found, str) or not 0 < len(found) <= 128 or not found.isprintable():
        raise refusal(f"its claim {name} is not a text of 1 to 128 characters")
    return found


def roles_at(claims: Mapping[str, Any], path: str) -> frozenset[Role]:
    """The roles at a path such as ``resource_access.my.client.roles``: a list, or words in one text. Others' names are left out."""
    found = _value_at(claims, path.split("."))
    names = found.split() if isinstance(found, str) else found if isinstance(found, list) else []
    return frozenset(role for role in GRANTED if role.value in names)


def _value_at(value: Any, parts: list[str]) -> Any:
    """A name on the path may hold points itself: the longest one that is there is taken."""
    if not parts or not isinstance(value, dict):
        return value if not parts else None
    for length in range(len(parts), 0, -1):
        name = ".".join(parts[:length])
        if name in value:
            return _value_at(value[name], parts[length:])
    return None
