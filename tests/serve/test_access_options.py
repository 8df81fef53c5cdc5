"""What the command line says of tokens, issuers and hosts' keys, as settings; nothing is served."""

from __future__ import annotations

import pytest

from constrained.cli import serve as command
from constrained.cli.main import main
from constrained.serve.access.roles import Role
from constrained.serve.access.tokens import TokenGrant
from constrained.serve.settings import Oidc, ServerSettings

ISSUER = "https://login.example/realms/desk"
A, B = "a" * 16, "b" * 16


@pytest.fixture
def serve(monkeypatch, tmp_path, capsys):
    """``serve("--oidc", URL)``: the settings, or what is told in place of them."""
    kept = []
    monkeypatch.setattr(command, "_run", lambda settings, *_, **__: kept.append(settings))

    def run(*arguments):
        with pytest.raises(SystemExit) as ended:
            main(["serve", "tavern", "--rules", "--data", str(tmp_path / "data"), *arguments])
        return kept.pop() if ended.value.code == 0 else capsys.readouterr().err

    return run


@pytest.fixture
def tokens(tmp_path):
    (tmp_path / "tokens").write_text(f"bank {A}\nbank {B} agent,supervisor anna\n")
    return "--tokens", str(tmp_path / "tokens")


def test_a_file_of_tokens(serve, tokens, tmp_path):
    found = serve(*tokens)
    assert found.tokens == {A: TokenGrant(tenant="bank"), B: TokenGrant(tenant="bank", roles={Role.AGENT, Role.SUPERVISOR}, name="anna")}
    assert (found.oidc, found.host_keys) == (None, {})
    assert found.customer_key == str(tmp_path / "data" / "customers.pem")


def test_a_token_of_a_file_is_not_printed(serve, tokens, monkeypatch, capsys):
    """Standard output of a service is a log: only a token that the server made itself is told."""
    made = []
    monkeypatch.setattr(command, "_run", lambda *_, is_made, **__: made.append(is_made))
    for given in (tokens, ()):
        with pytest.raises((SystemExit, IndexError)):
            serve(*given)
    assert made == [False, True]
    for token in ("", A):
        command._print_address("http://127.0.0.1:1", token, ServerSettings(tokens={A: TokenGrant(tenant="bank")}))
        assert (A in (found := capsys.readouterr()).out, A in found.err) == (bool(token), bool(token))


def test_an_issuer(serve):
    names = ("--roles-claim", "roles", "--tenant-claim", "desk", "--name-claim", "preferred_username")
    found = serve("--oidc", ISSUER, "--audience", "constrained", *names)
    claims = {"roles_claim": "roles", "tenant_claim": "desk", "name_claim": "preferred_username"}
    assert found.oidc == Oidc(issuer=ISSUER, audience="constrained", **claims)
    assert serve("--oidc", ISSUER, "--audience", "constrained").oidc.roles_claim == "realm_access.roles"


def test_an_issuer_is_enough_where_others_reach_the_server(serve):
    assert serve("--host", "0.0.0.0", "--oidc", ISSUER, "--audience", "constrained").tokens == {}
    assert "no tokens are given" in serve("--host", "0.0.0.0")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--oidc", ISSUER), "go together"),
        (("--audience", "constrained"), "go together"),
        (("--oidc", "http://login.example", "--audience", "constrained"), "not https"),
        (("--oidc", "login.example", "--audience", "constrained"), "not https"),
    ],
)
def test_an_issuer_that_is_none(serve, arguments, told):
    assert told in serve(*arguments)


def test_keys_of_hosts(serve, tokens):
    found = serve(*tokens, "--customer-key", "one.pub.pem", "--customer-key", "shop=keys/two.pub.pem")
    assert found.host_keys == {"one.pub.pem": "bank", "keys/two.pub.pem": "shop"}
    assert serve("--customer-key", "one.pub.pem").host_keys == {"one.pub.pem": "local"}


def test_origins_of_pages_reach_the_server(serve):
    assert serve().origins == ()
    assert serve("--origin", "https://game.example", "--origin", "http://localhost:8060").origins == (
        "https://game.example",
        "http://localhost:8060",
    )
    assert "is not the origin of a page" in serve("--origin", "*")
