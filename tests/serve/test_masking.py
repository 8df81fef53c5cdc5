"""A server that masks: no number of a message lies in its folder, its logs or the body of an error; its turns still see it whole."""

from __future__ import annotations

import io
import json
import random
import sqlite3

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from benchmarks.sets.private_numbers import APART, WAYS, grouped, make_number
from constrained.errors import AuditError, ConstrainedError
from constrained.records.log import existing, read_log
from constrained.records.log_verification import verify_log
from constrained.serve.app import create_app
from constrained.serve.packs import Packs
from constrained.serve.storage.at_rest import RowCipher, make_cipher, read_or_make_key
from constrained.serve.storage.sessions import Sessions
from constrained.serve.wire import TurnRequest
from constrained.testing import SabotagedEngine
from tests.records.test_masking import CARD, IBAN, desk_of, engine
from tests.serve.conftest import TOKEN
from tests.serve.conftest import settings as server_settings
from tests.serve.test_telemetry import logged_to

KINDS = ("card", "iban", "es.dni", "fr.nir", "it.codicefiscale")
FOUND = sorted(set(WAYS) - {*APART, "an expiry date behind, in brackets"})


def serving(folder, engines=None, packs=None, **changes):
    places = {"database": f"sqlite:///{folder / 'c.db'}", "log": str(folder / "turns.jsonl"), "mask": True}
    app = create_app(server_settings(**{**places, **changes}), Packs(packs or {"desk": desk_of()}), engines or {"scripted": engine()})
    return TestClient(app, headers={"Authorization": f"Bearer {TOKEN}"}, raise_server_exceptions=False)


def ask(client, message, **values):
    return client.post("/v1/turns", json={"pack": "desk", "message": message, **values})


def forms_of(number):
    """What a search for a number looks for: as it is, and grouped, also as JSON writes it."""
    plain = {number, number.lower(), number.replace(" ", ""), grouped(number.replace(" ", ""), " "), grouped(number.replace(" ", ""), "-")}
    return {form.encode() for one in plain for form in (one, json.dumps(one)[1:-1])}


def places_of(folder, number):
    """The files that hold a number in one of its forms."""
    return [path.name for path in folder.rglob("*") if path.is_file() and any(form in path.read_bytes() for form in forms_of(number))]


@settings(max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 10**6), st.lists(st.sampled_from([(kind, way) for kind in KINDS for way in FOUND]), min_size=3, max_size=5))
def test_no_planted_number_is_in_any_byte_of_the_folder_or_the_logs(tmp_path_factory, seed, planted):
    folder, logs, rng = tmp_path_factory.mktemp("data"), io.StringIO(), random.Random(seed)
    numbers = [(make_number(kind, rng), way) for kind, way in planted]
    with logged_to(logs), serving(folder, {"scripted": engine(), "broken": SabotagedEngine("raises")}) as client:
        for place, (number, way) in enumerate(numbers):
            message = f"please send it, my number is {WAYS[way](number, 'en')} thanks"
            for values in ({"engine": "rules"}, {"engine": "broken"}, {"engine": "rules", "idempotency_key": f"k{place}"}):
                assert ask(client, message, conversation="c", **values).status_code == 200
        for path in folder.rglob("*"):  # while it runs, too: what is not yet moved out of SQLite's write-ahead log
            assert not path.is_file() or not any(form in path.read_bytes() for number, _ in numbers for form in forms_of(number))
    for number, way in numbers:
        assert not places_of(folder, number)
        assert not places_of(folder, WAYS[way](number, "en"))
        assert not [form for form in forms_of(number) if form.decode() in logs.getvalue()]
    assert verify_log(existing(folder / "turns.jsonl")).summary.startswith(f"{3 * len(numbers)} records")


def test_a_search_of_this_kind_finds_a_number_where_nothing_is_masked(tmp_path):
    with serving(tmp_path, mask=False) as client:
        ask(client, f"my card is {CARD}")
    assert {"turns.jsonl"} < set(places_of(tmp_path, CARD))


def test_an_act_is_done_with_the_whole_number_and_kept_without_it(tmp_path):
    with serving(tmp_path) as client:
        found = ask(client, f"send 5 to {IBAN}", idempotency_key="k", effects="run", conversation="c").json()
        assert (found["text"], found["effects"][0]["args"]) == (f"Sent to {IBAN}.", [IBAN])
        assert ask(client, f"send 5 to {IBAN}", idempotency_key="k", effects="run", conversation="c").json()["is_repeat"]
        assert "••3000" in found["record"]["message"]
    assert not places_of(tmp_path, IBAN)
    with serving(tmp_path) as client:  # another process, with the key of the first
        told = client.get("/v1/conversations/c").json()
        assert told["turns"][0]["text"] == f"Sent to {IBAN}."


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/turns", {"pack": CARD, "message": "hello"}),
        ("/v1/turns", {"pack": "desk", "message": "hello", "engine": CARD}),
        ("/v1/turns", {"pack": "desk", "message": "hello", "state": {"is_open": CARD}}),
        ("/v1/turns", {"pack": "desk", "message": {"no": CARD}}),
        ("/v1/turns", {"pack": "desk", "message": "hello", "locale": CARD}),
        ("/v1/turns", {"pack": "desk", "message": "hello", CARD: 1}),
        (f"/v1/conversations/{CARD}/fork", {}),
        ("/v1/chat/completions", {"model": CARD, "messages": [{"role": "user", "content": "hello"}]}),
    ],
)
def test_no_body_of_an_error_and_no_log_holds_a_number(tmp_path, path, body):
    logs = io.StringIO()
    with logged_to(logs), serving(tmp_path) as client:
        found = client.post(path, json=body)
        assert found.status_code >= 400, found.text
    assert not [form for form in forms_of(CARD) if form in found.content or form.decode() in logs.getvalue()]


def test_a_conversation_of_another_key_is_not_read(tmp_path):
    with serving(tmp_path) as client:
        ask(client, "hello", conversation="c")
    (tmp_path / "c.db.key").write_bytes(bytes(range(32)))
    with serving(tmp_path) as client:
        found = ask(client, "hello", conversation="c")
        assert (found.status_code, found.json()["error"]["type"]) == (503, "AuditError")


def test_what_was_kept_in_plain_text_goes_on_encrypted(tmp_path):
    with serving(tmp_path, mask=False) as client:
        ask(client, "hello", conversation="c")
    with serving(tmp_path) as client:
        assert ask(client, f"my card is {CARD}", conversation="c").json()["number"] == 2
    assert not places_of(tmp_path, CARD)
    assert [one.number for one in read_log(tmp_path / "turns.jsonl")] == [1, 2]


def test_a_state_that_the_host_puts_is_kept_encrypted(tmp_path):
    with serving(tmp_path) as client:
        ask(client, "hello", conversation="old")
        for name in ("old", "new"):
            assert client.put(f"/v1/conversations/{name}/state", json={"pack": "desk", "state": {"is_open": False}}).status_code == 204
            assert client.get(f"/v1/conversations/{name}").json()["state"]["is_open"] is False
    kept = sqlite3.connect(tmp_path / "c.db").execute("SELECT memory, state FROM constrained_conversations").fetchall()
    assert len(kept) == 2
    assert all(column.startswith("sealed1:") for row in kept for column in row)


def test_a_pack_that_comes_to_mask_is_not_taken_over_by_a_server_that_keeps_plain_text(tmp_path):
    with serving(tmp_path, mask=None) as client:
        turns = client.app.state.service.turns
        turns.check_own("desk", desk_of())
        with pytest.raises(ConstrainedError, match="plain text"):
            turns.check_own("desk", desk_of(approvals="required"))


def test_where_the_key_lies(tmp_path):
    chosen = server_settings(seal=str(tmp_path / "keys"))
    assert not make_cipher(chosen, tmp_path / "c.db", is_masking=False).is_encrypting
    make_cipher(chosen, tmp_path / "c.db", is_masking=True)
    make_cipher(server_settings(), tmp_path / "c.db", is_masking=True)
    make_cipher(server_settings(conversation_key=str(tmp_path / "own")), None, is_masking=False)
    assert all((tmp_path / name).stat().st_size == 32 for name in ("keys/conversations.key", "c.db.key", "own"))
    assert read_or_make_key(tmp_path / "own") == (tmp_path / "own").read_bytes()
    with pytest.raises(ConstrainedError, match="encrypted"):
        make_cipher(server_settings(database="postgresql://a@b/c"), None, is_masking=True)
    (tmp_path / "own").write_text("0F" * 32 + "\n", encoding="utf-8")
    assert read_or_make_key(tmp_path / "own") == bytes([15]) * 32
    (tmp_path / "own").write_bytes(b"short")
    with pytest.raises(ConstrainedError, match="no key"):
        read_or_make_key(tmp_path / "own")


@given(st.text(max_size=30), st.text(max_size=8), st.text(max_size=8))
@settings(max_examples=30)
def test_a_column_is_read_in_its_own_conversation_only(text, bound, other):
    cipher = RowCipher(bytes(32))
    kept = cipher.write(text, bound)
    assert cipher.read(kept, bound) == text
    assert RowCipher().read(text or "{}", bound) == (text or "{}")
    with pytest.raises(AuditError):
        RowCipher().read(kept, bound)
    if other != bound:
        with pytest.raises(AuditError):
            cipher.read(kept, other)


def test_a_short_request_cannot_be_guessed_from_its_fingerprint():
    assert RowCipher(bytes(32)).digest("a") != RowCipher(bytes(range(32))).digest("a") != RowCipher().digest("a")
    assert Sessions().cipher.digest("a") == RowCipher().digest("a")


def test_the_kept_fingerprint_is_made_with_the_key(tmp_path):
    request = TurnRequest(pack="desk", message=f"my card is {CARD}", conversation="c", idempotency_key="k")
    prints = set()
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        with serving(tmp_path / name) as client:
            prints.add(client.app.state.service.turns.make_job("local", request).fingerprint)
    assert len(prints) == 2, "two servers with keys of their own name the same request alike"
