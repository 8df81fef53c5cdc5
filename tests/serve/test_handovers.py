"""Conversations that wait for a person: each once, claimed by one, answered from the catalog only, in the log before it is said."""

from __future__ import annotations

import contextlib
import os
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from constrained.errors import AuditError
from constrained.records.log import existing, read_entries, read_log
from constrained.records.record import PersonReply, Record
from constrained.records.replay import replay
from constrained.records.verifier import check_log, fact
from constrained.serve.app import create_app
from constrained.serve.handover.person_replies import PersonReplies
from constrained.serve.handover.store import HandoverStore
from constrained.serve.handover.wire import AnswerRequest, TakeoverRequest
from constrained.serve.journal import Journal
from constrained.serve.packs import Packs
from constrained.serve.settings import ServerSettings
from constrained.serve.storage.sessions import Sessions, TenantStore
from constrained.testing import ScriptedEngine
from tests.logic.packs import make
from tests.serve.handover_desk import (
    ADA,
    BOB,
    CHANNEL,
    ELSEWHERE,
    EVE,
    HEADER,
    NAMELESS,
    RESPONSES,
    SAYABLE,
    TOKENS,
    as_,
    engine,
    post,
    queue,
    say,
    shop,
)


@pytest.fixture(scope="module")
def policy(tmp_path_factory):
    return shop(tmp_path_factory.mktemp("shop"))


@contextlib.contextmanager
def served(policy, **changes):
    app = create_app(ServerSettings(tokens=TOKENS, **changes), Packs({"desk": policy}), {"scripted": engine()})
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def client(policy):
    with served(policy) as one:
        yield one


@pytest.fixture
def claimed(client):
    """The id of an entry that Ada has claimed."""
    say(client, "human")
    [entry] = queue(client)
    assert post(client, "claim", entry["id"]).status_code == 200
    return entry["id"]


# -- into the queue ------------------------------------------------------------------------------------------


def test_a_turn_that_hands_over_makes_one_entry_however_often_it_is_sent(client):
    replies = [say(client, "human", idempotency_key="k") for _ in range(3)]
    assert [one["handover"] for one in replies] == [True, True, True]
    [entry] = queue(client)
    assert (entry["id"], entry["reason"], entry["state"], entry["number"]) == (replies[0]["turn_id"], "human", "waiting", 1)
    say(client, "human")  # it waits already
    assert len(queue(client)) == 1
    say(client, "hours", conversation="other")
    assert len(queue(client)) == 1


def test_it_waits_whoever_runs_the_effects_and_not_for_a_turn_that_is_taken_again(client):
    say(client, "human", effects="hand_over")
    assert len(queue(client)) == 1
    fork = client.post("/v1/conversations/c/fork", json={}, headers=as_(CHANNEL)).json()
    assert (fork["response_id"], fork["handover"]) == ("human", False)
    assert len(queue(client)) == 1


def test_after_it_was_closed_it_waits_anew(client, claimed):
    assert post(client, "close", claimed).json()["state"] == "closed"
    say(client, "human")
    assert [one["state"] for one in queue(client)] == ["closed", "waiting"]
    assert client.delete("/v1/conversations/c", headers=as_(CHANNEL)).status_code == 204
    assert queue(client) == []


def test_the_queue_is_read_in_pages_and_by_state(client):
    for number in range(7):
        say(client, "human", conversation=f"c{number}")
    post(client, "claim", queue(client)[3]["id"])
    seen, after = [], None
    while after != "":
        asked = {"most": 3} | ({"after": after} if after else {})
        page = client.get("/v1/handovers", headers=as_(ADA), params=asked).json()
        seen += [one["conversation"] for one in page["handovers"]]
        after = page["next"]
    assert seen == [f"c{number}" for number in range(7)]
    assert [one["conversation"] for one in queue(client, state="claimed")] == ["c3"]
    assert len(queue(client, state="waiting")) == 6
    assert post(client, "close", queue(client, state="claimed")[0]["id"]).status_code == 200
    assert [len(queue(client, state=state)) for state in ("open", "waiting", "claimed", "closed")] == [6, 6, 0, 1]
    assert queue(client, pack="another") == []
    assert queue(client, ELSEWHERE) == []  # another tenant's


# -- who has it ----------------------------------------------------------------------------------------------


class Clock:
    """Seconds that a test sets."""

    def __init__(self):
        self.now = 1_000.0

    def __call__(self):
        return self.now


OPERATIONS = st.lists(
    st.tuples(st.sampled_from(["claim", "release", "close", "force"]), st.sampled_from(["Ada", "Bob"]), st.sampled_from([0, 5, 11])),
    max_size=12,
)


@given(OPERATIONS)
@settings(max_examples=30)
def test_one_person_at_a_time_has_it_until_the_claim_is_over(operations):
    """Against a model in four lines: who holds it, until when, and whether it is closed."""
    from constrained.serve.handover.store import NewHandover, open_handover

    sessions, clock = Sessions(), Clock()
    store = HandoverStore(sessions.transaction, clock=clock, lease_s=10)
    with sessions.transaction() as connection:
        assert open_handover(connection, NewHandover("h", "t", "c", "desk", 1, "human", "en"), False, clock())
    holder, until, is_closed = "", 0.0, False
    for what, person, passed in operations:
        clock.now += passed
        holder = holder if until > clock.now else ""
        allowed = not is_closed and (holder in ("", person) if what == "claim" else bool(holder) if what == "force" else holder == person)
        ask = {
            "claim": lambda person: store.claim("t", "h", person),
            "release": lambda person: store.release("t", "h", person),
            "force": lambda person: store.release("t", "h", None),
            "close": lambda person: store.close("t", "h", person, "closed"),
        }[what]
        if not allowed:
            with pytest.raises(Exception, match=r"claimed|closed"):
                ask(person)
            continue
        found = ask(person)
        holder, until, is_closed = (person, clock.now + 10, False) if what == "claim" else ("", 0.0, what == "close")
        assert found.state == ("claimed" if holder else "closed" if is_closed else "waiting")
    found = store.find("t", "h")
    is_held = bool(holder) and until > clock.now
    assert (found.state, found.claimed_by if is_held else "") == (
        "closed" if is_closed else "claimed" if is_held else "waiting",
        holder if is_held else "",
    )
    sessions.close()


@pytest.fixture
def empty(postgres):
    """An empty database of a real PostgreSQL."""
    import psycopg

    name = f"queue_{uuid.uuid4().hex}"
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return postgres.replace("/postgres?", f"/{name}?")


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request):
    if request.param == "sqlite":
        return ""
    return request.getfixturevalue("empty").replace("postgresql://", "postgresql+psycopg://")


def test_of_many_who_claim_at_once_one_gets_it(policy, database):
    with served(policy, database=database) as client:
        say(client, "human")
        [entry] = queue(client)
        store: HandoverStore = client.app.state.handovers.store

        def claim(person):
            with contextlib.suppress(Exception):
                return store.claim("shop", entry["id"], person).claimed_by

        with ThreadPoolExecutor(8) as threads:
            got = list(threads.map(claim, [f"person {number}" for number in range(8)]))
        winners = [one for one in got if one]
        assert len(winners) == 1
        assert store.find("shop", entry["id"]).claimed_by == winners[0]
        reply = client.app.state.handovers.replies
        said, _ = reply.answer("shop", entry["id"], winners[0], "hours")
        assert [one.text for one in reply.said_after("shop", "c", (1, 0))] == [said.text]


def test_who_may_what(client):
    say(client, "human")
    [entry] = queue(client, EVE)  # an auditor reads
    name = entry["id"]
    assert client.get(f"/v1/handovers/{name}", headers=as_(EVE)).status_code == 200
    refused = {"claim": {}, "release": {}, "answer": {"response_id": "hours"}, "takeover": {"channel": "phone"}, "close": {}}
    for what, body in refused.items():
        assert post(client, what, name, EVE, **body).status_code == 403
        assert post(client, what, name, CHANNEL, **body).status_code == 403
        assert post(client, what, name, ELSEWHERE, **body).status_code == 404
    assert post(client, "claim", name, NAMELESS).status_code == 403  # nobody could be named in the record
    assert client.get("/v1/handovers", headers=as_(CHANNEL)).status_code == 403
    assert post(client, "claim", name, ADA).status_code == 200
    assert post(client, "claim", name, BOB).status_code == 409
    assert post(client, "answer", name, BOB, response_id="hours").status_code == 409
    assert post(client, "release", name, BOB).json()["state"] == "waiting"  # a supervisor gives back what another has
    assert post(client, "release", name, ADA).status_code == 409
    assert post(client, "claim", name, BOB).status_code == 200
    assert post(client, "release", name, ADA).status_code == 409  # an agent does not


# -- what is answered ----------------------------------------------------------------------------------------


def test_only_what_is_approved_and_true_there_may_be_said(client, claimed):
    found = client.get(f"/v1/handovers/{claimed}/replies", headers=as_(ADA)).json()["replies"]
    assert {one["id"] for one in found} == SAYABLE
    texts = {one["id"]: one["text"] for one in found}
    assert texts["balance"] == "You have 80 gold."
    for response_id in ["pardon", *RESPONSES, "pay_now.offer", "nothing"]:
        answer = post(client, "answer", claimed, response_id=response_id)
        if response_id in SAYABLE:
            assert answer.json()["text"] == texts[response_id]
        else:
            assert answer.status_code == 422, response_id
    assert "text" not in post(client, "answer", claimed, response_id="hours", text="mine").json()


def test_a_person_does_not_say_that_an_act_is_done(tmp_path):
    """What the logic says with an act only: nothing would be done."""
    body = """
        @policy("shop")
        def desk(state: Shop, heard: Heard):
            yield say("hours").then(pay, 1)
            yield say("human").then(pass_on)
            yield say("pay_now").then(pay, 5)
            if heard.angry:
                yield say("hours")
    """
    kept = {name: RESPONSES[name] for name in ("human", "hours", "pay_now")}
    with served(make(tmp_path, body, header=HEADER.replace('@effect(risk="low")\ndef pay', "@effect\ndef pay"), **kept)) as client:
        say(client, "human")
        [entry] = queue(client)
        post(client, "claim", entry["id"])
        found = client.get(f"/v1/handovers/{entry['id']}/replies", headers=as_(ADA)).json()["replies"]
        assert {one["id"] for one in found} == {"pardon", "human", "hours"}
        assert post(client, "answer", entry["id"], response_id="pay_now").status_code == 422


def test_what_is_sensitive_is_never_said_by_a_person(tmp_path):
    with served(shop(tmp_path, is_secret=True)) as client:
        say(client, "human")
        name = queue(client)[0]["id"]
        post(client, "claim", name)
        assert post(client, "answer", name, response_id="hidden").status_code == 422
        assert post(client, "answer", name, response_id="balance").status_code == 200


def test_a_sealed_log_takes_no_values_from_people(policy, tmp_path):
    with served(policy, log=str(tmp_path / "log"), seal=str(tmp_path / "keys")) as client:
        say(client, "human")
        name = queue(client)[0]["id"]
        post(client, "claim", name)
        assert post(client, "answer", name, response_id="balance").status_code == 422
        assert post(client, "answer", name, response_id="hours").status_code == 200


@pytest.mark.parametrize(("account", "is_masking"), [("4111 1111 1111 1111", True), ("4111 1111 1111 1111", False), ("12", True)])
def test_a_number_that_may_not_be_logged_is_never_said_by_a_person(policy, tmp_path, account, is_masking):
    log = tmp_path / "turns.jsonl"
    with served(policy, mask=is_masking, log=str(log)) as client:
        say(client, "human", state={"account": account})
        [entry] = queue(client)
        post(client, "claim", entry["id"])
        is_said = post(client, "answer", entry["id"], response_id="account").status_code == 200
        assert is_said is not (is_masking and account != "12")
        assert post(client, "answer", entry["id"], response_id="hours").status_code == 200
    assert ("4111 1111" in log.read_text()) is (account != "12" and not is_masking)


def test_replies_are_ranked_by_the_engine_or_by_their_words(policy, client, claimed):
    by_engine = client.get(f"/v1/handovers/{claimed}/replies", headers=as_(ADA), params={"q": "hours"}).json()["replies"]
    assert (by_engine[0]["id"], by_engine[0]["by"]) == ("hours", "engine")
    app = create_app(ServerSettings(tokens=TOKENS), Packs({"desk": policy}))
    with TestClient(app) as alone:
        say(alone, "xyz", conversation="c")
        store = alone.app.state.handovers.store
        from constrained.serve.handover.store import NewHandover, open_handover

        with alone.app.state.service.turns.sessions.transaction() as connection:
            open_handover(connection, NewHandover("h", "shop", "c", "desk", 1, "human", "en"), False)
        assert store.find("shop", "h").state == "waiting"
        found = alone.get("/v1/handovers/h/replies", headers=as_(ADA), params={"q": "when are you open?"}).json()["replies"]
        assert (found[0]["id"], found[0]["by"]) == ("hours", "words")
        assert alone.get("/v1/handovers/h/replies", headers=as_(ADA), params={"q": "qqqq"}).json()["replies"] == []


@pytest.fixture(params=["lines", "sqlite", "postgresql"])
def log(request, tmp_path):
    if request.param == "postgresql":
        return request.getfixturevalue("empty")
    return str(tmp_path / ("log" if request.param == "lines" else "log.db"))


def test_an_answer_is_in_the_log_with_its_person_and_the_log_verifies(policy, log):
    with served(policy, log=log) as client:
        say(client, "human")
        name = queue(client)[0]["id"]
        post(client, "claim", name)
        asked = {"response_id": "balance", "idempotency_key": "k"}
        first, again = post(client, "answer", name, **asked).json(), post(client, "answer", name, **asked).json()
        assert first == again
        assert post(client, "answer", name, response_id="hours", idempotency_key="k").status_code == 409
        say(client, "hours")
    entries = list(read_entries(log))
    [said] = [one for one in entries if isinstance(one, PersonReply)]
    assert (said.by, said.response_id, said.slots, said.text) == ("Ada", "balance", {"gold": 80}, "You have 80 gold.")
    assert (said.hash, said.sequence, said.handover, said.conversation) == (first["record_hash"], first["sequence"], name, "shop:c")
    assert said.versions["catalog"] == next(one for one in entries if isinstance(one, Record)).versions["catalog"]
    lines = list(existing(log).lines())
    assert "unbroken" in check_log(map(fact, lines), [])  # the verifier knows nothing of the library
    changed = [line.replace(b"80 gold", b"90 gold") for line in lines]
    with pytest.raises(Exception, match="hash does not fit"):
        check_log(map(fact, changed), [])


def test_the_transcript_tells_what_was_said_by_whom_and_why(client, claimed):
    post(client, "answer", claimed, response_id="hours")
    say(client, "hours")
    found = client.get(f"/v1/handovers/{claimed}", headers=as_(EVE)).json()
    entries = found["entries"]
    assert [(one["number"], one["place"], one["by"], one["message"]) for one in entries] == [
        (1, 0, "", "human"),
        (1, 1, "Ada", ""),
        (2, 0, "", "hours"),
    ]
    assert entries[0]["probability"] is not None
    assert entries[0]["line"]
    assert all(one["record_hash"].startswith("sha256:") for one in entries)
    assert [one["sequence"] for one in entries] == sorted({one["sequence"] for one in entries})
    assert "the engine does not act" in entries[2]["why"]


def test_while_a_person_has_it_the_engine_does_not_act(client, claimed):
    reply = say(client, "pay_now")
    assert reply["effects"] == []
    assert reply["response_id"] == "pardon"
    post(client, "close", claimed)
    assert [one["call"] for one in say(client, "pay_now")["effects"]] == ["pay(5)"]


ASKING = (
    HEADER.replace('@effect(risk="low")\ndef pay', "@effect\ndef pay")
    + """
from constrained.steps import confirm, perform, start, tell


async def paying(state: Shop, heard: Heard):
    if await confirm("shall_i"):
        await perform("pay_now").then(pay, 5)
    await tell("hours")


@policy("shop")
def desk(state: Shop, heard: Heard):
    yield say("human").then(pass_on)
    yield start(paying)
"""
)


@pytest.mark.parametrize("is_written_meanwhile", [False, True])
def test_a_yes_after_a_person_spoke_does_nothing_that_was_asked_before(tmp_path, is_written_meanwhile):
    """The customer agrees to the person: only what is asked again, or named, is done."""
    kept = {name: RESPONSES[name] for name in ("human", "hours")}
    asking = make(tmp_path, "", header=ASKING, shall_i="Shall I take five gold?", pay_now="I take five gold.", **kept)
    log = str(tmp_path / "turns.jsonl")
    chosen = ScriptedEngine(lambda message: {"angry": False, "reply": {"yes": "pay_now"}.get(message, message)})
    app = create_app(ServerSettings(tokens=TOKENS, log=log), Packs({"desk": asking}), {"scripted": chosen})
    with TestClient(app) as client:
        assert say(client, "shall_i")["response_id"] == "shall_i"
        assert say(client, "human")["handover"]
        [entry] = queue(client)
        post(client, "claim", entry["id"])
        if is_written_meanwhile:
            assert say(client, "yes")["effects"] == []
        assert post(client, "answer", entry["id"], response_id="hours").status_code == 200
        post(client, "close", entry["id"])
        saved = client.get("/v1/conversations/c/save", headers=as_(CHANNEL)).json()
        assert client.put("/v1/conversations/d/save", headers=as_(CHANNEL), json=saved).status_code == 200
        asked = {"pack": "desk", "message": "yes"}
        assert client.post("/v1/conversations/c/preview", headers=as_(CHANNEL), json=asked).json()["effects"] == []
        assert say(client, "yes", "d")["effects"] == []
        again = say(client, "yes")
        assert again["effects"] == []
        if not is_written_meanwhile:  # else its tries are over
            assert "Shall I take" in again["text"]
            assert [one["name"] for one in say(client, "yes")["effects"]] == ["pay"]
    assert [one.differences for one in replay(asking, read_log(log))] == [()] * 5


def test_turns_that_were_taken_meanwhile_replay(policy, tmp_path):
    with served(policy, log=str(tmp_path / "log")) as client:
        say(client, "human")
        name = queue(client)[0]["id"]
        post(client, "claim", name)
        for message in ("pay_now", "hours", "yes"):
            say(client, message)
        post(client, "answer", name, response_id="hours")
    assert [one.is_same for one in replay(policy, read_log(tmp_path / "log"))] == [True] * 4


def test_the_examples_of_the_description_run(client, claimed):
    for what, request in (("answer", AnswerRequest), ("takeover", TakeoverRequest)):
        for example in request.model_config["json_schema_extra"]["examples"]:
            assert post(client, what, claimed, **example).status_code == 200


def test_a_takeover_tells_the_customer_and_closes(client, claimed):
    found = post(client, "takeover", claimed, channel="phone", response_id="hours")
    assert (found.json()["state"], found.json()["outcome"]) == ("closed", "taken over by phone")
    replies = client.app.state.handovers.replies
    assert [one.by for one in replies.said_after("shop", "c", (0, 0))] == ["", "Ada"]
    assert post(client, "takeover", claimed, channel="phone").status_code == 409


# -- crashes -------------------------------------------------------------------------------------------------


class Killed(BaseException):
    """Stands for a kill: nothing catches it."""


def dying(monkeypatch, owner, name, *, after):
    original = getattr(owner, name)

    def call(*arguments, **options):
        if after:
            original(*arguments, **options)
        raise Killed

    monkeypatch.setattr(owner, name, call)


def started(policy, folder):
    """The app of a server on files that outlive it, without a client: what runs is called in this thread."""
    chosen = ServerSettings(tokens=TOKENS, database=f"sqlite:///{folder / 'c.db'}", log=str(folder / "log"))
    return create_app(chosen, Packs({"desk": policy}), {"scripted": engine()})


def kill(app):
    sessions = app.state.service.turns.sessions
    os.close(sessions._claim)
    sessions._sqlite.close()


def take(app, message):
    from constrained.serve.wire import TurnRequest

    turns = app.state.service.turns
    request = TurnRequest(pack="desk", message=message, conversation="c", idempotency_key="k")
    return turns.take(turns.make_job("shop", request)).reply


TURN_MOMENTS = [(TenantStore, "prepare"), (Journal, "write"), (TenantStore, "start"), (TenantStore, "finish")]
REPLY_MOMENTS = [(PersonReplies, "_prepare"), (Journal, "write"), (PersonReplies, "_finish")]


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize(("owner", "name"), TURN_MOMENTS, ids=[name for _, name in TURN_MOMENTS])
def test_a_killed_server_loses_no_hand_over_and_doubles_none(policy, tmp_path, monkeypatch, owner, name, after):
    with monkeypatch.context() as dead:
        app = started(policy, tmp_path)
        dying(dead, owner, name, after=after)
        with pytest.raises(Killed):
            take(app, "human")
        kill(app)
    app = started(policy, tmp_path)
    is_recorded = len([one for one in read_entries(tmp_path / "log") if isinstance(one, Record)]) == 1
    assert [one.number for one in app.state.handovers.store.page("shop")] == [1] * is_recorded
    assert take(app, "human").handover
    assert len(app.state.handovers.store.page("shop")) == 1
    app.state.service.turns.sessions.close()


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize(("owner", "name"), REPLY_MOMENTS, ids=[name for _, name in REPLY_MOMENTS])
def test_what_a_person_said_is_in_the_log_and_told_or_neither(policy, tmp_path, monkeypatch, owner, name, after):
    app = started(policy, tmp_path)
    entry = take(app, "human").turn_id
    app.state.handovers.store.claim("shop", entry, "Ada")
    with monkeypatch.context() as dead:
        dying(dead, owner, name, after=after)
        with pytest.raises(Killed):
            app.state.handovers.replies.answer("shop", entry, "Ada", "hours", "k")
        kill(app)
    app = started(policy, tmp_path)
    replies = app.state.handovers.replies
    recorded = [one.text for one in read_entries(tmp_path / "log") if isinstance(one, PersonReply)]
    assert [one.text for one in replies.said_after("shop", "c", (1, 0))] == recorded
    said, _ = replies.answer("shop", entry, "Ada", "hours", "k")
    assert [one.reply_id for one in read_entries(tmp_path / "log") if isinstance(one, PersonReply)] == [said.reply_id]
    app.state.service.turns.sessions.close()


def test_an_answer_that_cannot_be_recorded_is_not_said(client, claimed, monkeypatch):
    def full(self, entry):
        raise AuditError("the disk is full")

    with monkeypatch.context() as broken:
        broken.setattr(Journal, "write", full)
        assert post(client, "answer", claimed, response_id="hours").status_code == 503
    replies = client.app.state.handovers.replies
    assert replies.said_after("shop", "c", (1, 0)) == []
    assert post(client, "answer", claimed, response_id="hours").status_code == 200
    assert [one.place for one in replies.said_after("shop", "c", (1, 0))] == [1]
