"""A server keeps to its rules of retention: at its start, once a day, in its log and in what it keeps of conversations."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from starlette.testclient import TestClient

from constrained.errors import ConstrainedError
from constrained.records.log import existing, read_entries, read_log
from constrained.records.record import Retention
from constrained.records.retention_verification import verify_retention
from constrained.records.sealing import SubjectKeys, unsealed_parts
from constrained.serve.app import create_app
from constrained.serve.packs import Packs
from constrained.serve.retention import DailyRetention, forget_old
from constrained.serve.storage.sessions import Sessions
from tests.serve.conftest import OTHER_TOKEN, TOKEN, settings

WORDS = "Xylophone and zither"


@pytest.fixture
def serving(tmp_path, policies):
    """``serving(rules)``: a client of a server with these rules, on the same files each time."""

    def start(rules: str = "[days]\nmessage = 30\nconversations = 30\n", **changes) -> TestClient:
        (tmp_path / "rules.toml").write_text(rules, encoding="utf-8")
        places = {"database": f"sqlite:///{tmp_path / 'c.db'}", "log": str(tmp_path / "log.jsonl"), "seal": str(tmp_path / "keys")}
        chosen = settings(**{**places, "retain": str(tmp_path / "rules.toml"), **changes})
        return TestClient(create_app(chosen, Packs(policies)), headers={"Authorization": f"Bearer {TOKEN}"})

    return start


def ask(client, conversation, token=TOKEN):
    body = {"pack": "library", "message": WORDS, "conversation": conversation}
    assert client.post("/v1/turns", json=body, headers={"Authorization": f"Bearer {token}"}).status_code == 200


def later(days):
    return datetime.now(UTC) + timedelta(days=days)


def conversations(client):
    return [name for _, name in client.app.state.service.turns.sessions.idle_since("9999")]


def messages(tmp_path):
    keys = SubjectKeys(tmp_path / "keys")
    return [unsealed_parts(one, keys)[0].message for one in read_log(tmp_path / "log.jsonl")]


def test_a_day_later_than_the_rules_say_nothing_of_it_is_left(serving, tmp_path):
    with serving() as client:
        ask(client, "a")
        daily = DailyRetention(client.app.state.service.turns)
        daily.look(later(0))
        assert (messages(tmp_path), conversations(client)) == ([WORDS], ["a"])
        daily.look(later(32))
        assert (messages(tmp_path), conversations(client)) == ([""], [])
        assert verify_retention(existing(tmp_path / "log.jsonl"), SubjectKeys(tmp_path / "keys"), now=later(32)).erased
        ask(client, "b")  # it goes on
    with serving() as client:
        client.delete("/v1/conversations/b")
        client.app.state.service.turns.sessions.clean()
    assert not any(WORDS.encode() in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())


def test_it_runs_at_the_start(serving, tmp_path):
    with serving("[days]\nmessage = 30\n") as client:
        ask(client, "a")
        n_first = len(list(read_entries(tmp_path / "log.jsonl")))
    for path in (tmp_path / "keys" / "days").iterdir():
        path.rename(path.with_name("2020-01-01"))  # as if it were from then: a key whose day is past its age
    with serving("[days]\nmessage = 30\n"):
        entries = list(read_entries(tmp_path / "log.jsonl"))
    assert [type(one) for one in entries[n_first:]] == [Retention]
    assert [(one.field, one.days) for one in entries[-1].erased] == [("message", ("2020-01-01",))]


def test_what_is_held_stays_by_the_name_that_the_log_has_for_it(serving, tmp_path):
    rules = 'hold = ["other:a"]\n[days]\nmessage = 30\nconversations = 30\n'
    with serving(rules) as client:
        ask(client, "a")
        ask(client, "a", OTHER_TOKEN)
        daily = DailyRetention(client.app.state.service.turns)
        daily.look(later(32))
        assert messages(tmp_path) == ["", WORDS]
        assert client.app.state.service.turns.sessions.idle_since("9999") == [("other", "a")]


def test_a_run_that_fails_is_tried_again(serving, tmp_path):
    with serving() as client:
        daily = DailyRetention(client.app.state.service.turns)
        (tmp_path / "rules.toml").write_text("[days]\nnothing = 1\n", encoding="utf-8")
        daily.look(later(1))
        daily.look(later(1))
        assert daily.n_failures == 2
        (tmp_path / "rules.toml").write_text("[days]\nmessage = 1\n", encoding="utf-8")
        daily.look(later(1))
        daily.look(later(1))
        assert daily.n_failures == 2


@pytest.mark.parametrize(
    ("rules", "changes", "why"), [("[days]\nmessage = 1\n", {"seal": ""}, "seal"), ("[days]\nnothing = 1\n", {}, "is no field")]
)
def test_a_server_that_cannot_keep_to_its_rules_does_not_start(serving, rules, changes, why):
    with pytest.raises(ConstrainedError, match=why):
        serving(rules, **changes)


def test_a_conversation_that_goes_on_is_not_forgotten():
    sessions = Sessions()
    assert forget_old(sessions, 30, frozenset(), now=later(32)) == 0
    with sessions.hold("local", "a") as store:
        assert not store.forget_idle("a", "9999")
