"""Obligations of a conversation hold in every conversation, whatever is picked: read off what was said, not off the scheduler."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from constrained import Memory
from constrained.errors import PolicyError
from constrained.logic.allow import run
from constrained.logic.obligations import Audience, Clause
from constrained.obligations import after, at_start, before, before_commitment, every, never_after, once
from tests.logic.packs import make

IDS = ("a", "b", "c", "d", "e")
NOTES = ("n1", "n2", "n3")
TAGS = {"a": ["red"], "b": ["red", "big"], "c": ["big"]}
RESPONSES = {name: {"text": f"Response {name}.", "tags": TAGS.get(name, [])} for name in (*IDS, *NOTES)}
HEADER = '''"""Obligations of the tests."""
from constrained import State, effect, policy, say


class Desk(State):
    n: int = 0


@effect
def act(state: Desk) -> Desk:
    return state


@effect
def sell(state: Desk) -> Desk:
    return state
'''
BODY = """
@policy("shop")
def desk(state: Desk):
    yield say("a")
    yield say("b")
    yield say("c")
    yield say("d").then(act)
    yield say("e").then(sell)
    yield say("n1")
    yield say("n2")
    yield say("n3")
"""


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return make(tmp_path_factory.mktemp("obliged"), BODY, header=HEADER, **RESPONSES)


whats = st.sampled_from([*IDS, "red", "big"])
notes = st.sampled_from(NOTES)


def meant(desk, what):
    return {one.id for one in desk.catalog.responses.values() if what == one.id or what in one.tags}


def with_obligations(desk, found):
    """The same policy with other obligations."""
    from dataclasses import replace

    return desk.__replace__(terms=replace(desk.terms, obligations=tuple(found)))


def kept(clause: Clause, desk, turns: list[tuple[list[str], list[str]]]) -> bool:
    """Whether a conversation keeps an obligation: ``turns`` holds what each said, in order, and its effects."""
    said = [name for spoken, _ in turns for name in spoken]
    what, then = meant(desk, clause.what), clause.response_id
    if clause.kind == "at_start":
        return not said or then in turns[0][0]
    if clause.kind == "before":
        return all(then in said[:place] for place, name in enumerate(said) if name in what)
    if clause.kind == "after":
        return all(then in spoken[place + 1 :] for spoken, _ in turns for place, name in enumerate(spoken) if name in what)
    if clause.kind == "once":
        return said.count(then) <= 1
    if clause.kind == "every":
        spans = [turns[i : i + clause.turns] for i in range(len(turns) - clause.turns + 1)]
        return all(any(then in spoken for spoken, _ in span) for span in spans)
    if clause.kind == "never_after":
        late = meant(desk, then)
        return not any(name in late and set(said[:place]) & what for place, name in enumerate(said))
    return all(keeps_commitment(clause, turns, place) for place, (_, effects) in enumerate(turns) if effects)


def keeps_commitment(clause, turns, place):
    earlier = [name for spoken, _ in turns[:place] for name in spoken]
    return clause.response_id in earlier or (not clause.is_earlier and clause.response_id in turns[place][0])


def taken(desk, memory):
    """The turn; None where the obligations leave nothing to say."""
    try:
        return run(desk, desk.state_type(), None, memory)
    except PolicyError as error:
        return None if "nothing may be said" in error.message else pytest.fail(str(error))


BY_KIND = {
    "at_start": notes.map(at_start),
    "before": st.builds(before, whats, notes),
    "after": st.builds(after, whats, notes),
    "once": st.sampled_from([*IDS, *NOTES]).map(once),
    "every": st.builds(lambda note, turns: every(note, turns=turns), notes, st.integers(1, 4)),
    "before_commitment": st.builds(lambda note, earlier: before_commitment(note, earlier=earlier), notes, st.booleans()),
    "never_after": st.builds(never_after, whats, st.sampled_from([*IDS, *NOTES, "red", "big"])),
}
clauses = st.one_of(*BY_KIND.values())


@pytest.mark.parametrize("kind", BY_KIND)
@settings(max_examples=60)
@given(data=st.data(), more=st.lists(clauses, max_size=3), picks=st.lists(st.integers(0, 8), min_size=4, max_size=12))
def test_every_obligation_holds_in_every_conversation(plain, kind, data, more, picks):
    """``once`` goes before what adds its response: a note that is said once is not added a second time."""
    found = [data.draw(BY_KIND[kind]), *more]
    limited = {one.response_id for one in found if one.kind == "once"}
    desk, memory, turns = with_obligations(plain, found), Memory(), []
    for pick in picks:
        ran = taken(desk, memory)
        if ran is None:
            break
        chosen = ran.allowed.options[pick % len(ran.allowed.options)]
        turns.append(([one.id for one in ran.said(chosen)], [effect.name for effect in chosen.effects]))
        memory = ran.after(chosen)
    for clause in found:
        is_limited = clause.response_id in limited and clause.kind in ("after", "every")
        assert is_limited or kept(clause, plain, turns), (str(clause), turns)


@given(found=st.lists(clauses, max_size=4))
def test_what_is_forbidden_is_told_with_the_obligation_that_forbids_it(plain, found):
    try:
        ran = run(with_obligations(plain, found), plain.state_type(), None, Memory())
    except PolicyError:
        return
    texts = {str(clause) for clause in found}
    for option in ran.allowed.options:
        assert all(one.rule in texts for one in option.obligations)
    assert all(any(text in one.reason for text in texts) for one in ran.allowed.blocked if "forbids it" in one.reason)


def options_of(desk, memory=None, **given):
    return {one.id: one for one in run(desk, desk.state_type(), None, memory or Memory(), **given).allowed.options}


def around(option):
    return [("after" if one.is_after else "before", one.id) for one in option.obligations]


@given(found=st.lists(clauses.filter(lambda one: one.kind in ("after", "once", "never_after")), max_size=4), pick=st.integers(0, 99))
def test_what_is_said_at_the_start_is_said_before_all_else(plain, found, pick):
    desk = with_obligations(plain, [at_start("n1"), *found])
    try:
        ran = run(desk, desk.state_type(), None, Memory())
    except PolicyError:
        return
    chosen = ran.allowed.options[pick % len(ran.allowed.options)]
    assert ran.said(chosen)[0].id == "n1"


def test_what_goes_before_and_after_an_option(plain):
    desk = with_obligations(plain, [before("red", "n1"), after("big", "n2"), at_start("n3")])
    found = options_of(desk)
    assert around(found["b"]) == [("before", "n3"), ("before", "n1"), ("after", "n2")]
    assert around(found["d"]) == [("before", "n3")]
    assert around(options_of(desk, Memory(said={"n1": 1, "n3": 1}, number=1))["b"]) == [("after", "n2")]


def test_a_commitment_waits_for_what_must_have_been_said(plain):
    module = plain.__wrapped__.__globals__
    desk = with_obligations(plain, [before_commitment("n1", module["sell"], earlier=True)])
    ran = run(desk, desk.state_type(), None, Memory())
    assert "e" not in [one.id for one in ran.allowed.options]
    assert "d" in [one.id for one in ran.allowed.options]
    assert any("was not said in an earlier turn" in one.reason for one in ran.allowed.blocked)
    assert "e" in options_of(desk, Memory(said={"n1": 1}, number=1))


def test_obligations_by_place(plain):
    desk = with_obligations(plain, [at_start("n1", channel="sms"), at_start("n2", jurisdiction="EU")])
    assert around(options_of(desk, place=Audience("web", "EU"))["d"]) == [("before", "n2")]
    assert around(options_of(desk, place=Audience("sms", "US"))["d"]) == [("before", "n1")]
    assert len(around(options_of(desk)["d"])) == 2  # a place that is not told is every place


def test_every_so_many_minutes_by_the_turns_own_clock(plain):
    desk = with_obligations(plain, [every("n1", minutes=10)])
    began = dt.datetime(2026, 3, 2, 12, tzinfo=dt.UTC).timestamp()
    ran = run(desk, desk.state_type(), None, Memory(), now=began)
    memory = ran.after(ran.allowed.options[0])
    assert around(options_of(desk, memory, now=began + 599)["d"]) == []
    assert around(options_of(desk, memory, now=began + 600)["d"]) == [("before", "n1")]
    ran = run(desk, desk.state_type(), None, memory, now=began + 700)
    memory = ran.after(ran.allowed.options[0])
    assert around(options_of(desk, memory, now=began + 1200)["d"]) == []
    assert around(options_of(desk, memory)["d"]) == []  # nobody told the time


def test_obligations_that_demand_each_other_end(plain):
    desk = with_obligations(plain, [before("n1", "n2"), before("n2", "n1"), before("a", "n1")])
    assert "a" not in options_of(desk)


def test_obligations_that_leave_nothing_to_say_stop_the_turn(plain):
    desk = with_obligations(plain, [never_after("pardon", "red"), at_start("n1"), never_after("n1", "n1"), once("n1"), after("n1", "n1")])
    with pytest.raises(PolicyError, match="nothing may be said"):
        run(desk, desk.state_type(), None, Memory())


@pytest.mark.parametrize(
    ("clause", "said"),
    [
        ('at_start("nix")', "has no response 'nix'"),
        ('before("nix", "n1")', "'nix' is neither a response nor a tag"),
        ('at_start("pardon")', "the fallback cannot be an obligation"),
        ('never_after("a", "pardon")', "the fallback may always be said"),
        ('at_start("n1", x=1)', "has the slots none"),
    ],
)
def test_obligations_that_do_not_fit_the_catalog_are_refused_with_their_line(tmp_path, clause, said):
    header = HEADER + "from constrained.obligations import at_start, before, never_after\n"
    with pytest.raises(PolicyError) as caught:
        make(tmp_path, BODY.replace('@policy("shop")', f'@policy("shop", obligations=({clause},))'), header=header, **RESPONSES)
    found = [one for one in caught.value.problems if said in one.message]
    assert found
    assert found[0].line > 0


def test_every_takes_turns_or_minutes():
    with pytest.raises(PolicyError, match="takes turns or minutes"):
        every("n1")
