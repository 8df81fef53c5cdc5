"""Tokens of an issuer that runs here: what is accepted, a table of attacks, and the life of the issuer's keys."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import threading
import time
from contextlib import nullcontext, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from fastapi import FastAPI
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey
from starlette.testclient import TestClient

from constrained.errors import ConstrainedError
from constrained.serve.access.guard import TokenThrottle
from constrained.serve.access.oidc import FRESH_S, KEPT_S, RETRY_S, IssuerKeys, IssuerTokens, fetch_keys, roles_at
from constrained.serve.access.roles import Role
from constrained.serve.access.signed_tokens import LEEWAY_S, MOST_CHARACTERS, REGISTRY, VerifiedTokens, header_of, verified_claims
from constrained.serve.app import create_app
from constrained.serve.errors import RefusedError
from constrained.serve.packs import Packs
from constrained.serve.settings import Oidc, ServerSettings

AUDIENCE = "constrained"
SIGNED = {"registry": REGISTRY}
KEYS = {
    "rsa": RSAKey.generate_key(2048, {"kid": "rsa"}),
    "ec": ECKey.generate_key("P-256", {"kid": "ec"}),
    "okp": OKPKey.generate_key("Ed25519", {"kid": "okp"}),
}
ALGORITHM_OF = {"rsa": "RS256", "ec": "ES256", "okp": "EdDSA"}
STRANGER = ECKey.generate_key("P-256", {"kid": "ec"})  # says that it is the issuer's


def published(*names):
    return [KEYS[name].as_dict(private=False) for name in names or KEYS]


@pytest.fixture(scope="module")
def issuer():
    """An issuer on loopback; ``issuer.says`` is what it answers by path."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            content = json.dumps(self.server.says.get(self.path)).encode()
            self.send_response(200 if self.path in self.server.says else 404)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_):
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.url = f"http://127.0.0.1:{server.server_port}/realms/desk"
    server.says = {
        "/realms/desk/.well-known/openid-configuration": {"issuer": server.url, "jwks_uri": f"{server.url}/certs"},
        "/realms/desk/certs": {"keys": published()},
    }
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def client(issuer, policies):
    oidc = Oidc(issuer=issuer.url, audience=AUDIENCE, tenant_claim="desk")
    app = create_app(ServerSettings(tokens={"token-of-the-tests-0": "local"}, oidc=oidc), Packs(policies))
    with TestClient(app) as found, pytest.MonkeyPatch.context() as patched:
        patched.setattr(TokenThrottle, "BURST", 100_000)
        yield found


def at(seconds):
    """So many seconds from now."""
    return int(time.time()) + seconds


def claims(issuer, **changes):
    said = {"iss": issuer.url, "aud": AUDIENCE, "sub": "f:1", "iat": at(0), "exp": at(3_600), "typ": "Bearer", "desk": "local"}
    said |= {"realm_access": {"roles": ["auditor", "offline_access"]}, **changes}
    return {name: value for name, value in said.items() if value is not None}


def sign(said, key="rsa", **header):
    used = KEYS[key] if isinstance(key, str) else key
    alg = ALGORITHM_OF[key] if isinstance(key, str) else "ES256"
    full = {"alg": alg, "kid": used.kid, "typ": "JWT", **header}
    return jwt.encode({name: value for name, value in full.items() if value is not None}, said, used, default_type=None, **SIGNED)


def status(client, token, path="/v1/usage"):
    return client.get(path, headers={"Authorization": f"Bearer {token}"}).status_code


@pytest.mark.parametrize(("key", "alg"), [("rsa", "RS256"), ("rsa", "PS256"), ("ec", "ES256"), ("okp", "EdDSA")])
def test_a_token_of_the_issuer_is_accepted(client, issuer, key, alg):
    assert status(client, sign(claims(issuer), key, alg=alg)) == 200


@pytest.mark.parametrize(
    ("changes", "header"),
    [
        ({"aud": ["account", AUDIENCE]}, {}),
        ({"typ": None}, {"typ": "at+jwt"}),
        ({"typ": None}, {"typ": None}),
    ],
    ids=["several audiences", "at+jwt", "no type"],
)
def test_what_else_is_accepted(client, issuer, changes, header):
    assert status(client, sign(claims(issuer, **changes), "ec", **header)) == 200


def unsigned(issuer):
    head = base64.urlsafe_b64encode(b'{"alg":"none","typ":"JWT"}').rstrip(b"=").decode()
    body = base64.urlsafe_b64encode(json.dumps(claims(issuer)).encode()).rstrip(b"=").decode()
    return f"{head}.{body}."


def mac_with_public_key(issuer):
    """HS256, the secret being the issuer's public key, which everybody has."""
    secret = KEYS["rsa"].as_pem(private=False)
    head = base64.urlsafe_b64encode(b'{"alg":"HS256","typ":"JWT","kid":"rsa"}').rstrip(b"=")
    body = base64.urlsafe_b64encode(json.dumps(claims(issuer)).encode()).rstrip(b"=")
    mac = base64.urlsafe_b64encode(hmac.digest(secret, head + b"." + body, hashlib.sha256)).rstrip(b"=")
    return b".".join((head, body, mac)).decode()


def with_payload(issuer):
    head, _, signature = sign(claims(issuer)).split(".")
    body = base64.urlsafe_b64encode(json.dumps(claims(issuer, realm_access={"roles": ["operator"]})).encode()).rstrip(b"=").decode()
    return f"{head}.{body}.{signature}"


def with_embedded_key(issuer):
    return sign(claims(issuer), STRANGER, kid="stranger", jwk=STRANGER.as_dict(private=False))


ATTACKS = {
    "alg none": unsigned,
    "HS256 with the public key": mac_with_public_key,
    "tampered payload": with_payload,
    "embedded jwk": with_embedded_key,
    "embedded jwk under a known kid": lambda issuer: sign(claims(issuer), STRANGER, jwk=STRANGER.as_dict(private=False)),
    "kid of another": lambda issuer: sign(claims(issuer), "ec", kid="okp"),
    "a stranger's key under a known kid": lambda issuer: sign(claims(issuer), STRANGER),
    "unknown kid": lambda issuer: sign(claims(issuer), "ec", kid="none"),
    "kid is a path": lambda issuer: sign(claims(issuer), "ec", kid="../../dev/null"),
    "other issuer": lambda issuer: sign(claims(issuer, iss="https://login.example")),
    "issuer with a slash": lambda issuer: sign(claims(issuer, iss=issuer.url + "/")),
    "no issuer": lambda issuer: sign(claims(issuer, iss=None)),
    "other audience": lambda issuer: sign(claims(issuer, aud="account")),
    "other audiences": lambda issuer: sign(claims(issuer, aud=["account", "constrained-2"])),
    "audience in an object": lambda issuer: sign(claims(issuer, aud={AUDIENCE: 1})),
    "no audience": lambda issuer: sign(claims(issuer, aud=None)),
    "expired": lambda issuer: sign(claims(issuer, exp=at(-LEEWAY_S - 30))),
    "no end": lambda issuer: sign(claims(issuer, exp=None)),
    "an endless end": lambda issuer: sign(claims(issuer, exp=10**400)),
    "end in words": lambda issuer: sign(claims(issuer, exp="tomorrow")),
    "not yet": lambda issuer: sign(claims(issuer, nbf=at(900))),
    "issued in the future": lambda issuer: sign(claims(issuer, iat=at(900))),
    "issued before time": lambda issuer: sign(claims(issuer, iat=-(10**400))),
    "no time of issue": lambda issuer: sign(claims(issuer, iat=None)),
    "missing sub": lambda issuer: sign(claims(issuer, sub=None)),
    "sub is no text": lambda issuer: sign(claims(issuer, sub=["f:1"])),
    "sub with a line break": lambda issuer: sign(claims(issuer, sub="f:1\nadmin")),
    "missing tenant": lambda issuer: sign(claims(issuer, desk=None)),
    "an ID token": lambda issuer: sign(claims(issuer, typ="ID")),
    "a refresh token": lambda issuer: sign(claims(issuer, typ="Refresh")),
    "another type": lambda issuer: sign(claims(issuer), typ="logout+jwt"),
    "a customer's by its type": lambda issuer: sign(claims(issuer, conversation="c", pack="library"), "okp", typ="customer+jwt"),
    "an unknown critical header": lambda issuer: craft({"alg": "ES256", "kid": "ec", "crit": ["exp2"], "exp2": 1}, claims(issuer)),
    "huge token": lambda issuer: sign(claims(issuer, more="x" * MOST_CHARACTERS)),
    "deep header": lambda issuer: base64.urlsafe_b64encode(b"[" * 9_000).decode() + ".e30.x",
    "header is a list": lambda issuer: base64.urlsafe_b64encode(b'["alg"]').rstrip(b"=").decode() + ".e30.x",
    "algorithm is a list": lambda issuer: base64.urlsafe_b64encode(b'{"alg":["ES256"]}').rstrip(b"=").decode() + ".e30.x",
    "payload is a list": lambda issuer: craft({"alg": "ES256", "kid": "ec"}, [1]),
    "empty parts": lambda issuer: "..",
}


def craft(header, payload):
    """Signed with the issuer's key, whatever header and payload say."""
    head, body = (base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in (header, payload))
    numbers = decode_dss_signature(KEYS["ec"].private_key.sign(head + b"." + body, ECDSA(SHA256())))
    signature = base64.urlsafe_b64encode(b"".join(number.to_bytes(32, "big") for number in numbers)).rstrip(b"=")
    return b".".join((head, body, signature)).decode()


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_attack_is_refused(client, issuer, attack):
    before = sign(claims(issuer), "ec")
    assert status(client, before) == 200
    assert status(client, ATTACKS[attack](issuer)) == 401
    assert status(client, before) == 200


def test_what_is_crafted_here_is_accepted_when_its_header_is(client, issuer):
    assert status(client, craft({"alg": "ES256", "kid": "ec"}, claims(issuer))) == 200


NOW = 1_800_000_000


@settings(max_examples=60)
@given(st.data())
def test_a_token_with_any_character_changed_is_refused(data):
    said = {"iat": NOW, "exp": NOW + 300}
    token = sign(said, "ec")
    place = data.draw(st.integers(0, len(token) - 1))
    changed = token[:place] + data.draw(st.sampled_from("AbZ09-_.é")) + token[place + 1 :]
    with suppress(RefusedError):
        found = verified_claims(changed, KEYS["ec"], {}, lambda: NOW) if header_of(changed) else None
        assert found == said  # the last character of base64 holds bits that mean nothing


@given(issued=st.integers(-200, 200), ends=st.integers(-200, 200), starts=st.none() | st.integers(-200, 200), now=st.floats(0, 0.99))
def test_a_token_is_for_its_time_with_a_minute_for_clocks(issued, ends, starts, now):
    said = {"iat": NOW + issued, "exp": NOW + ends, **({} if starts is None else {"nbf": NOW + starts})}
    token = sign(said, "okp")
    is_now = issued <= LEEWAY_S and ends > -LEEWAY_S and (starts is None or starts <= LEEWAY_S)
    with nullcontext() if is_now else pytest.raises(RefusedError):
        assert verified_claims(token, KEYS["okp"], {}, lambda: NOW + now) == said


# -- roles -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "path", "roles"),
    [
        ({"realm_access": {"roles": ["agent", "boss"]}}, "realm_access.roles", {"agent"}),
        ({"resource_access": {"desk": {"roles": ["auditor", "operator"]}}}, "resource_access.desk.roles", {"auditor", "operator"}),
        ({"resource_access": {"my.desk": {"roles": ["agent"]}}}, "resource_access.my.desk.roles", {"agent"}),
        ({"roles": "agent supervisor x"}, "roles", {"agent", "supervisor"}),
        ({"https://desk.example/roles": ["agent"]}, "https://desk.example/roles", {"agent"}),
        ({"roles": ["customer", "channel"]}, "roles", {"channel"}),
        ({"roles": "agents"}, "roles", set()),
        ({"roles": [["agent"], 7, None, {"agent": 1}]}, "roles", set()),
        ({"roles": {"agent": True}}, "roles", set()),
        ({"roles": None}, "roles.agent", set()),
        ({}, "realm_access.roles", set()),
    ],
)
def test_roles_are_read_at_a_path_and_others_left_out(said, path, roles):
    assert roles_at(said, path) == {Role(name) for name in roles}


def test_without_a_role_nothing_may_be_asked(client, issuer):
    assert status(client, sign(claims(issuer, realm_access={"roles": ["boss"]}))) == 403
    assert status(client, sign(claims(issuer, realm_access={"roles": ["customer"]}))) == 403


def test_the_operator_of_another_tenant_is_not_this_servers(client, issuer):
    roles = {"roles": ["operator", "auditor"]}
    assert status(client, sign(claims(issuer, realm_access=roles)), "/metrics") == 200
    assert status(client, sign(claims(issuer, realm_access=roles, desk="bank")), "/metrics") == 403
    assert status(client, sign(claims(issuer, realm_access=roles, desk="bank"))) == 200


# -- the issuer's keys -------------------------------------------------------------------------------------------------


class Source:
    """Keys that can change, or not be had; ``n`` counts the fetches."""

    def __init__(self, *names):
        self.keys, self.n, self.is_down = published(*names), 0, False

    def __call__(self):
        self.n += 1
        if self.is_down:
            raise ConstrainedError("down")
        return self.keys


class Clock:
    now = 10_000.0

    def __call__(self):
        return self.now


def keys(*names):
    source, clock = Source(*names), Clock()
    return IssuerKeys(source, clock), source, clock


def find(store, kid, alg="ES256"):
    return asyncio.run(store.find(kid, alg))


def refused(store, kid, status=401, alg="ES256"):
    with pytest.raises(RefusedError) as found:
        find(store, kid, alg)
    assert found.value.status == status
    return found.value


def test_a_rotated_key_is_fetched_once_it_is_used():
    store, source, clock = keys("rsa")
    find(store, "rsa", "RS256")
    source.keys = published("ec")
    clock.now += RETRY_S
    assert find(store, "ec").kid == "ec"
    refused(store, "rsa", alg="RS256")
    assert store.generation == 2


def test_unknown_keys_make_one_fetch_a_minute():
    store, source, clock = keys("ec")
    for number in range(50):
        refused(store, f"unknown-{number}")
    assert source.n == 1
    clock.now += RETRY_S
    for number in range(50):
        refused(store, f"unknown-{number}")
    assert source.n == 2


def test_two_keys_are_told_apart_and_one_needs_no_name():
    both, *_ = keys("ec", "rsa")
    assert [find(both, "ec").kid, find(both, "rsa", "RS256").kid, find(both, None).kid] == ["ec", "rsa", "ec"]
    refused(both, "ec", alg="RS256")
    twice, source, _ = keys("ec")
    source.keys = [*published("ec"), ECKey.generate_key("P-256", {"kid": "ec-2"}).as_dict(private=False)]
    refused(twice, None)


def test_keys_that_must_not_verify_are_left_out():
    store, source, _ = keys()
    source.keys = [
        OctKey.generate_key(256, {"kid": "secret"}).as_dict(private=True),
        KEYS["ec"].as_dict(private=True, kid="private"),
        {**published("ec")[0], "kid": "encrypts", "use": "enc"},
        {**published("ec")[0], "kid": "other", "alg": "ES384"},
        ECKey.generate_key("P-384", {"kid": "curve"}).as_dict(private=False),
        {"kty": "RSA", "kid": "broken", "n": "!", "e": "AQAB"},
        {"kty": "LMS", "kid": "new"},
        {"kid": "empty"},
    ]
    for one in source.keys:
        for alg in ("ES256", "RS256", "EdDSA"):
            refused(store, one["kid"], alg=alg)


def test_a_short_rsa_key_is_left_out():
    store, source, _ = keys()
    with pytest.warns(UserWarning, match="2048"):
        source.keys = [RSAKey.generate_key(1024, {"kid": "short"}).as_dict(private=False)]
    with pytest.warns(UserWarning, match="2048"):
        refused(store, "short", alg="RS256")


def test_an_issuer_that_is_away_is_done_without_for_an_hour_and_no_longer():
    store, source, clock = keys("ec")
    find(store, "ec")
    source.is_down = True
    clock.now += KEPT_S
    assert find(store, "ec").kid == "ec"
    assert source.n == 2
    clock.now += 1
    assert refused(store, "ec", 503).retry_s >= 1
    source.is_down = False
    clock.now += RETRY_S
    assert find(store, "ec").kid == "ec"


def test_fresh_keys_are_not_fetched_and_old_ones_are():
    store, source, clock = keys("ec")
    for _ in range(3):
        find(store, "ec")
    clock.now += FRESH_S
    find(store, "ec")
    assert source.n == 1
    clock.now += 1
    find(store, "ec")
    assert source.n == 2


def test_an_issuer_that_was_never_reached_lets_nobody_in():
    store, source, _ = keys("ec")
    source.is_down = True
    refused(store, "ec", 503)
    refused(store, "ec", 503)
    assert source.n == 1


def tokens_of(store, clock=time.time):
    return IssuerTokens(Oidc(issuer="https://login.example", audience=AUDIENCE), "local", store, clock)


def mine(**changes):
    return claims(type("Issuer", (), {"url": "https://login.example"}), **changes)


def principal(reader, token):
    return asyncio.run(reader.principal(token, header_of(token)))


def test_a_token_that_was_verified_is_refused_when_its_key_is_gone_or_its_time_over():
    store, source, clock = keys("ec")
    now = Clock()
    now.now = time.time()
    reader, token = tokens_of(store, now), sign(mine(exp=int(now.now) + 10_000), "ec")
    assert principal(reader, token).name == "f:1"
    assert principal(reader, token) is principal(reader, token)
    source.keys = published("okp")
    clock.now += FRESH_S + 1
    with pytest.raises(RefusedError, match="key"):
        principal(reader, token)
    source.keys = published("ec")
    clock.now += FRESH_S + 1
    assert principal(reader, token).roles == {Role.AUDITOR}
    now.now += 10_000 + LEEWAY_S
    with pytest.raises(RefusedError, match="expired"):
        principal(reader, token)


def test_a_token_that_was_verified_is_refused_while_the_issuer_is_away_too_long():
    store, source, clock = keys("ec")
    reader, token = tokens_of(store), sign(mine(), "ec")
    principal(reader, token)
    source.is_down = True
    clock.now += KEPT_S + 1
    with pytest.raises(RefusedError, match="reached"):
        principal(reader, token)


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 40)), max_size=40))
def test_what_is_remembered_is_bounded_and_never_out_of_date(steps):
    kept, ends = VerifiedTokens(4), {}
    for now, (name, end) in enumerate(steps):
        found = kept.find(str(name), now)
        assert found is None or (found == ends[name] and ends[name] > now)
        kept.keep(str(name), end, end)
        ends[name] = end
        assert len(kept) <= 4


# -- what an issuer answers ---------------------------------------------------------------------------------------------


def test_the_issuers_keys_are_fetched(issuer):
    assert fetch_keys(issuer.url) == published()


@pytest.mark.parametrize(
    ("document", "told"),
    [
        ({"issuer": "https://login.example", "jwks_uri": "https://login.example/certs"}, "another one"),
        ({"issuer": "ITSELF", "jwks_uri": "http://login.example/certs"}, "not https"),
        ({"issuer": "ITSELF", "jwks_uri": "file:///etc/passwd"}, "not https"),
        ({"issuer": "ITSELF"}, "KeyError"),
        (["issuer"], "TypeError"),
        ({"issuer": "ITSELF", "jwks_uri": "ITSELF/none"}, "HTTPStatusError"),
        ({"issuer": "ITSELF", "jwks_uri": "ITSELF/certs", "more": "x" * 1_100_000}, "ValueError"),
    ],
    ids=["another issuer", "keys without TLS", "keys in a file", "no keys", "a list", "keys not there", "too long"],
)
def test_an_issuer_that_answers_otherwise_gives_no_keys(issuer, document, told, monkeypatch):
    text = json.dumps(document).replace("ITSELF", issuer.url)
    monkeypatch.setitem(issuer.says, "/realms/desk/.well-known/openid-configuration", json.loads(text))
    with pytest.raises(ConstrainedError, match=told):
        fetch_keys(issuer.url)


def test_an_issuer_that_cannot_be_reached_gives_no_keys():
    with pytest.raises(ConstrainedError, match="ConnectError"):
        fetch_keys("http://127.0.0.1:1/realms/desk")
    with pytest.raises(ConstrainedError, match="not https"):
        fetch_keys("http://login.example/realms/desk")


def test_a_server_starts_without_its_issuer_and_lets_its_own_tokens_in(policies):
    oidc = Oidc(issuer="http://127.0.0.1:1/realms/desk", audience=AUDIENCE)
    app: FastAPI = create_app(ServerSettings(tokens={"token-of-the-tests-0": "local"}, oidc=oidc), Packs(policies))
    with TestClient(app) as client:
        assert status(client, "token-of-the-tests-0") == 200
        found = client.get("/v1/usage", headers={"Authorization": f"Bearer {sign(mine())}"})
    assert found.status_code == 503
    assert int(found.headers["retry-after"]) > 0
