"""Signed tokens (JWT, RFC 7519 and RFC 8725): a few algorithms with public keys, times with a leeway, a bounded size."""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

from joserfc import jws, jwt
from joserfc.errors import BadSignatureError, ExpiredTokenError, InvalidClaimError, JoseError, MissingClaimError, UnsupportedAlgorithmError
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from constrained.serve.errors import RefusedError

ALGORITHMS = ("RS256", "PS256", "ES256", "EdDSA")
LEEWAY_S = 60
MOST_CHARACTERS = 16_384  # of a token
LATEST_S = 253_402_300_799  # the end of the year 9999, in seconds since 1970
LEAST_RSA_BITS = 2_048
MOST_VERIFIED = 10_000  # tokens that are remembered
Clock = Callable[[], float]
T = TypeVar("T")


class _Registry(JWSRegistry):
    """The algorithms by name. joserfc warns of EdDSA, whose name is out of date; issuers sign under it, and its curve is checked here."""

    def __init__(self) -> None:
        super().__init__(algorithms=ALGORITHMS)

    def get_alg(self, name: str) -> Any:
        if name not in ALGORITHMS:
            raise UnsupportedAlgorithmError(name)
        return self.algorithms[name]


REGISTRY = _Registry()


def is_signed(token: str) -> bool:
    """Whether a token has the form of a signed one: three parts with points between them."""
    return token.count(".") == 2


def header_of(token: str) -> dict[str, Any]:
    """What a token says of itself, not yet verified. Raises RefusedError: 401."""
    if len(token) > MOST_CHARACTERS:
        raise refusal(f"it is longer than {MOST_CHARACTERS} characters")
    try:
        header = jws.extract_compact(token.encode(), registry=REGISTRY).headers()
        REGISTRY.check_header(header)
    except (JoseError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise refusal("it cannot be read") from error
    if header["alg"] not in ALGORITHMS:
        raise refusal(f"its algorithm is not one of {', '.join(ALGORITHMS)}")
    return header


def fits(key: Key, alg: str) -> bool:
    """Whether a public key may verify signatures of this algorithm."""
    if key.get("use") not in (None, "sig") or key.alg not in (None, alg):
        return False
    if isinstance(key, RSAKey):
        return alg in ("RS256", "PS256") and key.public_key.key_size >= LEAST_RSA_BITS
    if isinstance(key, ECKey):
        return alg == "ES256" and key.get("crv") == "P-256"
    return isinstance(key, OKPKey) and alg == "EdDSA" and key.get("crv") == "Ed25519"


def verified_claims(token: str, key: Key, wanted: Mapping[str, str], clock: Clock = time.time) -> dict[str, Any]:
    """The claims of a token that this key signed, valid now.

    Args:
        wanted: claim -> its value, or one of its values. ``exp`` and ``iat`` must be there in any case.

    Raises RefusedError: 401.
    """
    rules: Any = {name: {"essential": True, "value": value} for name, value in wanted.items()}
    times: Any = {"exp": {"essential": True}, "iat": {"essential": True}}
    try:
        claims = jwt.decode(token, key, registry=REGISTRY).claims
        jwt.JWTClaimsRegistry(now=lambda: int(clock()), leeway=LEEWAY_S, **rules, **times).validate(claims)
    except BadSignatureError as error:
        raise refusal("its signature is not of this key") from error
    except ExpiredTokenError as error:
        raise refusal("it is expired") from error
    except MissingClaimError as error:
        raise refusal(f"it lacks the claim {error.claim}") from error
    except InvalidClaimError as error:
        raise refusal(f"its claim {error.claim} is not what it must be now and here") from error
    except (JoseError, ValueError, TypeError, RecursionError) as error:
        raise refusal("it cannot be read") from error
    if not all(0 <= claims[name] <= LATEST_S for name in ("exp", "iat")):
        raise refusal("its times are no times")
    return claims


def refusal(reason: str) -> RefusedError:
    return RefusedError(401, f"the token is not accepted: {reason}", hint="get a new one where this one came from")


class VerifiedTokens(Generic[T]):
    """Remembers what tokens that were verified stand for, until they expire; of the tokens themselves only a hash."""

    def __init__(self, most: int = MOST_VERIFIED) -> None:
        self._most = most
        self._kept: OrderedDict[bytes, tuple[T, float]] = OrderedDict()

    def find(self, token: str, now_s: float) -> T | None:
        key = _digest(token)
        found = self._kept.get(key)
        if found is None:
            return None
        if found[1] <= now_s:
            del self._kept[key]
            return None
        return found[0]

    def keep(self, token: str, found: T, until_s: float) -> None:
        self._kept[_digest(token)] = found, until_s
        if len(self._kept) > self._most:
            self._kept.popitem(last=False)

    def clear(self) -> None:
        self._kept.clear()

    def __len__(self) -> int:
        return len(self._kept)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
