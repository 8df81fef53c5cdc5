"""Allowing: never empty, every offer accounted for, nothing said that may not be said, and the saliency of the rules."""

from __future__ import annotations

import datetime as dt
import gc
import weakref
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from constrained import Policy
from constrained.catalog.render import render
from constrained.catalog.response import Response, Source
from constrained.errors import ApprovalError, PolicyError, SlotError
from constrained.logic.allow import allow, likeliest, most_salient, pooled
from constrained.logic.option_builder import _BUILDERS, LAST
from constrained.logic.options import Allowed, Option
from constrained.logic.state import Memory
from tests.logic.packs import make, marked_lines, module_of

TODAY = dt.date(2026, 3, 2)
DAYS = (TODAY, dt.date(2000, 1, 1), dt.date(3000, 1, 1))  # an approval that is over is refused when the catalog is loaded


def option(name: str, when: str) -> Option:
    return Option(Response(name, {}, {}, when, name), {}, "Hello.", "en", Source())


# A policy that plays a program: so hypothesis can write policies, and each is still checked against its catalog.
RESPONSES: dict[str, Any] = {
    "a": "Alpha.",
    "b": {"text": {"en": "Beta.", "es": "Beta, sí."}},
    "c": "Gamma.",
    "twin": {"text": "{n} gold pieces", "slots": {"n": "integer"}},
    "expiring": {"text": "Now only.", "approval": {"by": "Legal", "on": "2001-01-01", "until": "2999-12-31"}},
    "english": {"text": "English only.", "exact_locale": True},
    "gold": {"text": "{n} gold", "slots": {"n": "integer"}},
    "count": {"text": "{n} {what}", "slots": {"n": "integer", "what": "text"}},
}


def program_policy(folder: Path) -> Policy:
    lines = []
    for kind in ("say", "only", "must"):
        for name in ("a", "b", "c", "expiring", "english", "pardon"):
            if (kind, name) != ("must", "pardon"):
                lines += [f"if step.kind == '{kind}' and step.name == '{name}':", f"    offer = {kind}('{name}')"]
        lines += [f"if step.kind == '{kind}' and step.name == 'gold':", f"    offer = {kind}('gold', n=step.n)"]
        lines += [f"if step.kind == '{kind}' and step.name == 'twin':", f"    offer = {kind}('twin', n=step.n)"]
        for what in ("gold", "gold pieces"):
            lines += [
                f"if step.kind == '{kind}' and step.name == 'count' and step.what == '{what}':",
                f"    offer = {kind}('count', n=step.n, what='{what}')",
            ]
    lines += ["if step.once:", "    offer = offer.once()"]
    lines += ["if step.pays and step.kind != 'must':", "    offer = offer.then(pay, step.pays)"]
    lines += ["if step.late and step.kind == 'must':", "    offer = offer.after()", "yield offer"]
    body = "".join(f"        {line}\n" for line in lines)
    steps = (
        "\nclass Step(State):\n    kind: Literal['say', 'only', 'must']\n    name: str\n    n: int = 0\n    what: str = 'gold'\n"
        "    once: bool = False\n    pays: int = 0\n    late: bool = False\n\n\n"
        "class Program(Shop):\n    steps: tuple[Step, ...] = ()\n\n\n"
        "@policy('shop')\ndef desk(state: Program):\n    for step in state.steps:\n        offer = say('a')\n"
    )
    body = body.replace("offer = offer.after()", "offer = offer.after() if offer.kind == 'must' else offer")
    return make(folder, steps + body, **RESPONSES)


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Policy:
    return program_policy(tmp_path_factory.mktemp("programs"))


names = st.sampled_from(["a", "b", "c", "gold", "twin", "count", "expiring", "english", "pardon"])
says = st.fixed_dictionaries(
    {
        "kind": st.sampled_from(["say", "say", "say", "only"]),
        "name": names,
        "n": st.integers(1, 3),
        "what": st.sampled_from(["gold", "gold pieces"]),
        "once": st.booleans(),
        "pays": st.sampled_from([0, 0, 5, 500]),
    }
)
musts = st.fixed_dictionaries(
    {
        "kind": st.just("must"),
        "name": st.sampled_from(["a", "b", "gold"]),
        "n": st.integers(1, 2),
        "once": st.booleans(),
        "late": st.booleans(),
    }
)
steps = st.lists(says | says | says | musts, max_size=8)
saids = st.dictionaries(names, st.integers(1, 20), max_size=5)
settings = {"locale": st.sampled_from(["en", "es", "es-MX", "de"]), "today": st.sampled_from(DAYS)}


def state_of(policy: Policy, program: list[dict[str, Any]], gold: int = 50) -> Any:
    return policy.state_type.from_json({"steps": program, "gold": gold})


def turn(policy: Policy, program: list[dict[str, Any]], said: dict[str, int], locale: str, today: dt.date) -> Allowed:
    return allow(policy, state_of(policy, program), None, Memory(said=said), locale=locale, today=today)


@given(program=steps, said=saids, **settings)
def test_some_option_is_always_allowed_and_every_offer_is_accounted_for(
    programs: Policy, program: list[dict[str, Any]], said: dict[str, int], locale: str, today: dt.date
) -> None:
    allowed = turn(programs, program, said, locale, today)
    offers = programs(state_of(programs, program))
    assert allowed.options
    assert all(one.reason for one in allowed.blocked)
    found = Counter((one.id, one.source) for one in (*allowed.options, *allowed.obligations))
    found += Counter((one.response_id, one.source) for one in allowed.blocked)
    expected = Counter((offer.response_id, offer.source) for offer in offers)
    added = [option for option in allowed.options if option.specificity == LAST]
    assert found == expected + Counter((option.id, option.source) for option in added)
    assert [option.id for option in added] in ([], ["pardon"])
    assert added in ([], [allowed.options[-1]])


@dataclass(frozen=True)
class Withheld:
    """An approval check that withholds these responses."""

    ids: frozenset[str]
    channel: str | None = None
    jurisdiction: str | None = None

    def why_not(self, response: Response, locale: str, today: dt.date, /) -> str:
        return "is withheld" if response.id in self.ids else ""


@given(program=steps, withheld=st.frozensets(st.sampled_from(["a", "b", "c", "gold", "count"])))
def test_what_the_approvals_withhold_is_never_said(programs: Policy, program: list[dict[str, Any]], withheld: frozenset[str]) -> None:
    state, options = state_of(programs, program), {"locale": "en", "today": TODAY}
    must_be_said = {offer.response_id for offer in programs(state) if offer.kind == "must"}
    if must_be_said & withheld:
        with pytest.raises(ApprovalError, match="is withheld; nothing is said without it"):
            allow(programs, state, None, Memory(), approvals=Withheld(withheld), **options)
        return
    allowed = allow(programs, state, None, Memory(), approvals=Withheld(withheld), **options)
    assert not withheld & {one.id for one in (*allowed.options, *allowed.obligations)}
    assert withheld & {offer.response_id for offer in programs(state)} <= {one.response_id for one in allowed.blocked}


@given(program=steps, said=saids, **settings)
def test_what_is_allowed_is_an_approved_rendering_that_a_reader_can_tell_apart(
    programs: Policy, program: list[dict[str, Any]], said: dict[str, int], locale: str, today: dt.date
) -> None:
    allowed = turn(programs, program, said, locale, today)
    for one in (*allowed.options, *allowed.obligations):
        assert one.text == render(one.response, one.slots, one.locale)
        assert one.response is programs.catalog[one.id]
        assert one.id != "expiring" or today == TODAY
        assert one.id != "english" or locale == "en"
    for option in allowed.options:
        assert all(effect.holds(state_of(programs, program)) for effect in option.effects)
    texts = [option.text for option in allowed.options]
    assert len(set(texts)) == len(texts)
    assert not {option.id for option in allowed.options} & {obligation.id for obligation in allowed.obligations}


@given(program=steps, said=saids, **settings)
def test_options_keep_the_order_of_yield_and_only_closes_the_set(
    programs: Policy, program: list[dict[str, Any]], said: dict[str, int], locale: str, today: dt.date
) -> None:
    allowed = turn(programs, program, said, locale, today)
    offers = programs(state_of(programs, program))
    is_closed = any(offer.kind == "only" for offer in offers)
    competing = [(offer.source, offer.slots, offer.effects) for offer in offers if offer.kind == ("only" if is_closed else "say")]
    yielded = [option for option in allowed.options if option.specificity != LAST]
    positions = [competing.index((option.source, option.slots, option.effects)) for option in yielded]
    assert positions == sorted(positions)
    if is_closed and yielded:
        assert yielded == list(allowed.options)
    else:
        assert "pardon" in {option.id for option in allowed.options}


@given(program=steps, said=saids, **settings)
def test_what_was_kept_from_earlier_turns_changes_nothing(
    programs: Policy, program: list[dict[str, Any]], said: dict[str, int], locale: str, today: dt.date
) -> None:
    warm = turn(programs, program, said, locale, today)
    _BUILDERS.pop(programs, None)
    assert turn(programs, program, said, locale, today) == warm


def test_what_was_kept_goes_with_its_policy(programs: Policy) -> None:
    policy = programs.__replace__()  # nothing else refers to it
    allowed = turn(policy, [], {}, "en", TODAY)
    assert policy in _BUILDERS
    gone = weakref.ref(policy)
    del policy
    gc.collect()
    assert allowed.options
    assert gone() is None  # what is kept for it refers to it weakly; no count: other tests' policies may go meanwhile


@given(program=steps, n_turns=st.integers(1, 12))
def test_what_may_be_said_once_is_never_said_twice(programs: Policy, program: list[dict[str, Any]], n_turns: int) -> None:
    program = [{**step, "once": True} for step in program if step["name"] != "pardon"]
    said: dict[str, int] = {}
    spoken: list[str] = []
    for number in range(1, n_turns + 1):
        allowed = turn(programs, program, said, "en", TODAY)
        chosen = most_salient(allowed.options, said)
        turn_ids = [*(one.id for one in allowed.obligations), chosen.id]
        spoken += dict.fromkeys(turn_ids)
        said |= dict.fromkeys(turn_ids, number)
    assert all(count == 1 for name, count in Counter(spoken).items() if name != "pardon")


@given(program=steps, said=saids, data=st.data())
def test_the_rules_choose_the_most_specific_then_the_least_recent_then_the_first(
    programs: Policy, program: list[dict[str, Any]], said: dict[str, int], data: st.DataObject
) -> None:
    from dataclasses import replace

    options = [replace(one, specificity=data.draw(st.integers(0, 2))) for one in turn(programs, program, said, "en", TODAY).options]
    chosen = most_salient(options, said)
    ranked = sorted(options, key=lambda option: (-option.specificity, said.get(option.id, 0)))
    assert chosen is ranked[0]


@given(data=st.data())
def test_the_likeliest_intent_is_answered_by_its_likeliest_option(data: st.DataObject) -> None:
    """Whatever ways there are to say a thing, together they are as likely as one way would be."""
    whens = data.draw(
        st.lists(st.sampled_from(["the user greets", "The user greets ", "the user leaves", "it rains"]), min_size=1, max_size=6)
    )
    weights = data.draw(st.lists(st.floats(0.01, 1), min_size=len(whens), max_size=len(whens)))
    probabilities = [weight / sum(weights) for weight in weights]
    options = [option(f"one_{at}", when) for at, when in enumerate(whens)]
    best, share = likeliest(options, probabilities)
    totals: dict[str, float] = {}
    for when, probability in zip(whens, probabilities, strict=True):
        totals[when.strip().lower()] = totals.get(when.strip().lower(), 0) + probability
    mine = best.response.when.strip().lower()
    assert share == pytest.approx(max(totals.values()))
    assert totals[mine] == pytest.approx(share)
    assert probabilities[options.index(best)] == max(
        p for p, when in zip(probabilities, whens, strict=True) if when.strip().lower() == mine
    )


def test_two_ways_to_greet_do_not_lose_against_one_way_to_leave() -> None:
    options = [option("hello", "the user greets"), option("good_day", "the user greets"), option("bye", "the user leaves")]
    best, share = likeliest(options, [0.35, 0.25, 0.4])
    assert (best.id, share) == ("hello", pytest.approx(0.6))


def test_two_fillings_of_a_response_do_not_pass_a_threshold_together() -> None:
    """They say different things: which one is meant is what the threshold asks."""
    assert pooled(["pay", "pay", "hi"], ["to pay", "to pay", "to greet"], [0.46, 0.44, 0.1]) == (0, 0.46)
    assert pooled(["pay", "pay", "hi"], ["to pay", "to pay", "to greet"], [0.3, 0.3, 0.4]) == (2, 0.4)


def test_without_options_there_is_nothing_to_choose() -> None:
    with pytest.raises(PolicyError, match="no option to choose from"):
        most_salient((), {})


# -- single cases ------------------------------------------------------------------------------------


def desk(folder: Path, body: str, **responses: Any) -> Policy:
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    given_responses = {name: {"tags": ["reserve"], **({"text": one} if isinstance(one, str) else one)} for name, one in responses.items()}
    return make(folder, f"\n@policy('shop')\ndef desk(state: Shop):\n{lines}", **given_responses)


def run(policy: Policy, *, said: dict[str, int] | None = None, locale: str = "en", today: dt.date = TODAY, **state: Any) -> Allowed:
    return allow(policy, policy.state_type(**state), None, Memory(said=said or {}), locale=locale, today=today)


def ids(allowed: Allowed) -> list[str]:
    return [option.id for option in allowed.options]


APPROVED = {"text": "Approved.", "approval": {"by": "Legal", "on": "2001-01-01", "until": "2999-06-30"}}


@pytest.mark.parametrize(
    ("body", "state", "reason"),
    [
        ("yield say('hello').once()", {"said": {"hello": 4}}, "said once already, in turn 4"),
        ("yield say('approved')", {"today": dt.date(2999, 7, 1)}, "was approved until 2999-06-30, and today is 2999-07-01"),
        ("yield say('approved')", {"today": dt.date(2000, 12, 31)}, "is approved from 2001-01-01 only, and today is 2000-12-31"),
        ("yield say('exact')", {"locale": "es"}, "has no text in 'es'"),
        ("yield say('hello').then(pay, 50)", {"gold": 49}, "could not be carried out: the precondition of pay(50) does not hold"),
        ("yield say('hello').then(pay, 5).then(pay, 50)", {"gold": 49}, "the precondition of pay(50) does not hold"),
    ],
)
def test_what_may_not_be_said_is_blocked_with_its_reason(tmp_path: Path, body: str, state: dict[str, Any], reason: str) -> None:
    policy = desk(tmp_path, body, hello="Hello.", approved=APPROVED, exact={"text": "Exactly.", "exact_locale": True})
    allowed = run(policy, **state)
    (blocked,) = allowed.blocked
    assert reason in blocked.reason
    assert blocked.source.line == policy.line + 2
    assert ids(allowed) == ["pardon"]
    assert ids(run(policy, gold=50)) == [blocked.response_id, "pardon"]


def test_when_every_only_is_blocked_just_the_fallback_is_left(tmp_path: Path) -> None:
    policy = desk(tmp_path, "yield say('bye')\nyield only('hello').then(pay, 5)", hello="Hello.", bye="Bye.")
    assert ids(run(policy, gold=5)) == ["hello"]
    allowed = run(policy)
    assert ids(allowed) == ["pardon"]
    assert [one.response_id for one in allowed.blocked] == ["hello", "bye"]
    assert f"{policy.file}:{policy.line + 3} allows only what it names" in allowed.blocked[1].reason


def test_an_obligation_that_may_not_be_said_stops_the_turn(tmp_path: Path) -> None:
    policy = desk(tmp_path, "yield must('approved')  # <-\nyield say('hello')", hello="Hello.", approved=APPROVED)
    assert [one.id for one in run(policy).obligations] == ["approved"]
    with pytest.raises(PolicyError, match="the obligation 'approved' was approved until 2999-06-30") as caught:
        run(policy, today=dt.date(3000, 1, 1))
    assert [problem.line for problem in caught.value.problems] == marked_lines(Path(policy.file))


def test_obligations_keep_their_order_and_place_and_are_not_options(tmp_path: Path) -> None:
    body = "yield must('bye').after()\nyield say('hello')\nyield must('hello')\nyield must('bye')\nyield say('price', price=3)"
    policy = desk(tmp_path, body, hello="Hello.", bye="Bye.", price={"text": "{price}!", "slots": {"price": "integer"}})
    allowed = run(policy)
    assert [(one.id, one.is_after) for one in allowed.obligations] == [("bye", True), ("hello", False)]
    assert ids(allowed) == ["price", "pardon"]
    assert [one.reason.partition(":")[0] for one in allowed.blocked] == ["offered already by " + policy.file, "said anyway"]


def test_the_first_of_two_equal_offers_counts(tmp_path: Path) -> None:
    body = "yield say('hello').then(pay, 1)\nyield say('hello')\nyield say('price', price=3)\nyield say('price', price=4)"
    policy = desk(tmp_path, body, hello="Hello.", price={"text": "{price}!", "slots": {"price": "integer"}})
    allowed = run(policy, gold=3)
    assert [(option.id, option.text, len(option.effects)) for option in allowed.options] == [
        ("hello", "Hello.", 1), ("price", "3!", 0), ("price", "4!", 0), ("pardon", "Pardon?", 0),
    ]  # fmt: skip
    assert [one.response_id for one in allowed.blocked] == ["hello"]
    assert ids(run(policy)) == ["hello", "price", "price", "pardon"]


def test_a_text_equal_to_the_fallbacks_gives_way_to_it(tmp_path: Path) -> None:
    responses = {"echo": {"text": "{word}?", "slots": {"word": "text"}}}
    policy = desk(tmp_path, "yield say('echo', word=state.name)", **responses)
    assert ids(run(policy)) == ["echo", "pardon"]
    allowed = run(policy, name="Pardon")
    assert ids(allowed) == ["pardon"]
    assert "reads the same as 'pardon'" in allowed.blocked[0].reason


def test_a_yielded_fallback_keeps_its_place(tmp_path: Path) -> None:
    policy = desk(tmp_path, "if state.opened:\n    yield say('pardon')\nyield say('hello')", hello="Hello.")
    allowed = run(policy)
    assert ids(allowed) == ["pardon", "hello"]
    assert [option.specificity for option in allowed.options] == [1, 0]
    assert ids(run(policy, opened=False)) == ["hello", "pardon"]


def test_a_fallback_that_may_not_be_said_is_no_option_and_alone_it_stops_the_turn(tmp_path: Path) -> None:
    import json

    policy = desk(tmp_path, "if state.opened:\n    yield say('hello')", hello="Hello.")
    path = Path(policy.catalog.path)
    data = json.loads(path.read_text())
    data["responses"]["pardon"]["approval"] = {"by": "Legal", "on": "2001-01-01", "until": "2999-06-30"}
    path.write_text(json.dumps(data))
    from constrained.analysis.check import load_anew

    late = load_anew(policy.file, "desk")
    assert ids(run(late)) == ["hello", "pardon"]
    assert ids(run(late, today=dt.date(3000, 1, 1))) == ["hello"]
    with pytest.raises(PolicyError, match="nothing may be said: the fallback 'pardon' was approved until 2999-06-30"):
        run(late, today=dt.date(3000, 1, 1), opened=False)


def test_slots_that_only_the_run_shows_to_be_wrong_name_the_yield(tmp_path: Path) -> None:
    body = "\nNAMES = {'a': 'echo'}\n\n\n@policy('shop')\ndef desk(state: Shop):\n    yield say(NAMES[state.name], word='hi')  # <-\n"
    policy = make(tmp_path, body, echo={"text": "{word}?", "slots": {"word": "text"}}, hello={"text": "Hello.", "tags": ["reserve"]})
    module_of(policy)["NAMES"]["b"] = "hello"
    with pytest.raises(SlotError, match="'hello' has no slot 'word'") as caught:
        run(policy, name="b")
    (line,) = marked_lines(Path(policy.file))
    assert str(caught.value).startswith(f"{policy.file}:{line}: ")


def test_an_id_that_only_the_run_shows_to_be_unknown_names_the_yield(tmp_path: Path) -> None:
    body = "\nNAMES = {'a': 'hello'}\n\n\n@policy('shop')\ndef desk(state: Shop):\n    yield say(NAMES[state.name])  # <-\n"
    policy = make(tmp_path, body, hello="Hello.")
    module_of(policy)["NAMES"]["b"] = "helo"
    with pytest.raises(PolicyError, match="the catalog 'shop' has no response 'helo'") as caught:
        run(policy, name="b")
    assert "did you mean 'hello'?" in str(caught.value)
    assert [problem.line for problem in caught.value.problems] == marked_lines(Path(policy.file))


def test_a_precondition_that_fails_names_the_yield(tmp_path: Path) -> None:
    policy = desk(tmp_path, "yield say('hello').then(pay, state.name)  # <-", hello="Hello.")
    with pytest.raises(PolicyError, match=r"the precondition of pay\('Ann'\) failed: TypeError") as caught:
        run(policy)
    assert [problem.line for problem in caught.value.problems] == marked_lines(Path(policy.file))


def test_options_name_the_line_that_allowed_them_also_over_several_lines(tmp_path: Path) -> None:
    policy = desk(tmp_path, "yield (\n    say(  # <-\n        'hello'\n    )\n    .then(pay, 0)\n)", hello="Hello.")
    assert [option.source.line for option in run(policy).options][:1] == marked_lines(Path(policy.file))


def test_the_locale_of_each_option_is_that_of_its_text(tmp_path: Path) -> None:
    policy = desk(tmp_path, "yield say('hello')", hello={"text": {"en": "Hello.", "es": "Hola."}})
    assert [(option.text, option.locale) for option in run(policy, locale="es-MX").options] == [("Hola.", "es"), ("Pardon?", "en")]


def test_an_option_is_a_value() -> None:
    assert Option.__dataclass_params__.frozen  # type: ignore[attr-defined]  # not in the stubs
