"""Procedures: their steps in order, whatever the model picks; where they stand survives processes; what changes is noticed."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

import constrained
from constrained import Dialogue, Memory, steps
from constrained.analysis.prover.memories import Situations
from constrained.errors import PolicyError, ProcedureError, VerificationError
from constrained.logic.allow import most_salient, run, with_events, with_outcomes
from constrained.logic.options import compose
from constrained.logic.script import Script
from constrained.procedures.policy_procedures import code_hash
from constrained.records.log import MemoryLog
from constrained.records.record import Record
from constrained.records.replay import replay
from constrained.testing import RandomEngine, ScriptedEngine
from constrained.verify import verify
from tests.logic.claims_desk import CLAIM, HEADER, INTERRUPTIONS, OBLIGATIONS, RESPONSES, claims_desk
from tests.logic.packs import HEADER as SHOP_HEADER
from tests.logic.packs import problems_of

DAY = dt.date(2026, 3, 2)
ALL_THE_WAY = ("which", {"number": 7, "reply": "why"}, "is_lost", "filing", "filed")


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    return claims_desk(tmp_path_factory.mktemp("desk"))


def play(desk, *answers, state=None, memory=None, log=None):
    """Turns with these answers, effects applied; returns the dialogue, its turns and the state."""
    dialogue = Dialogue(desk, engine=ScriptedEngine(list(answers), is_told=True), memory=memory, log=log)
    state, turns = state or desk.state_type(), []
    for answer in answers:
        number = answer.get("number") if isinstance(answer, dict) else None
        turns.append(dialogue.reply("" if answer == "filed" else f"it is {number}" if number else "well", state))
        state = turns[-1].apply(state)
    return dialogue, turns, state


def step(desk, memory, reply, state=None, **heard):
    """One turn as a pure function; the memory after it."""
    ran = run(desk, state or desk.state_type(), desk.heard_type(**heard), memory)
    return ran.after(next(option for option in ran.allowed.options if option.id == reply))


def options(desk, memory, state=None, **heard):
    return [one.id for one in run(desk, state or desk.state_type(), desk.heard_type(**heard), memory).allowed.options]


def at_step(desk, *replies):
    memory = Memory()
    for reply in replies:
        memory = step(desk, memory, reply, number=7 if reply == "why" else None)
    return memory


def test_a_procedure_goes_through_its_steps(desk):
    _, turns, state = play(desk, *ALL_THE_WAY)
    assert [turn.text for turn in turns] == [
        "You are talking to an automated assistant.\nWhich parcel is it?",
        "What is wrong with it?",
        "I am sorry that it is lost.\nA claim may take ten days.\nShall I file a claim of 100?",
        "I am filing it now.",
        "Your claim is filed.",
    ]
    assert state.claims == (7,)
    assert [turn.goes_on for turn in turns] == [False, False, False, True, False]


def test_an_interruption_is_answered_and_the_step_stays(desk):
    dialogue, turns, _ = play(desk, "which", "hours", "rate", {"number": 7, "reply": "why"})
    assert turns[1].text == "We are open from nine to five."
    assert turns[2].text == "That is 3 euros.\nRates may change."
    assert desk.procedures.position(dialogue.memory()).response_id == "why"


def test_a_question_is_put_again_in_its_words_and_then_given_up(desk):
    dialogue, turns, _ = play(desk, "which", "which_again", "which_again", "no_number")
    assert turns[-1].decision.chosen.is_no_match
    assert dialogue.memory().running == ()
    assert options(desk, dialogue.memory())[0] == "which"  # the next message begins anew


def test_without_words_of_its_own_the_fallback_asks_again(desk):
    _, turns, _ = play(desk, "which", {"number": 7, "reply": "why"}, "pardon")
    assert turns[-1].text == "Pardon?\nWhat is wrong with it?"


def test_an_interruption_ends_and_the_open_question_is_put_again(desk):
    _, turns, state = play(desk, "which", "block_it", "stopped")
    assert turns[-1].text == "It is stopped.\nPlease give me the number of the parcel."
    assert state.stopped


def test_an_interruption_that_is_not_come_back_from(desk):
    memory = step(desk, at_step(desk, "which", "why"), "human", human=True)
    assert memory.running == ()
    assert options(desk, at_step(desk, "which", "why"), human=True) == ["human"]


def test_a_loop_comes_back_to_its_question(desk):
    memory = at_step(desk, "which", "why", "is_broken")
    assert desk.procedures.position(memory).response_id == "why"
    memory = step(desk, memory, "is_broken")
    assert desk.procedures.position(memory).response_id == "shall_i"  # the loop has a bound


def test_what_the_host_could_not_do_is_not_claimed(desk):
    memory = at_step(desk, "which", "why", "is_lost", "filing")
    assert options(desk, memory) == ["hours", "rate", "block_it", "pardon"]  # nobody has told yet
    failed = with_outcomes(memory, failed=("file_claim",))
    assert options(desk, failed) == ["not_filed"]
    assert options(desk, with_outcomes(memory, done=("file_claim",))) == ["filed"]


def test_a_claim_without_its_event_is_blocked_and_not_verified(tmp_path):
    desk = claims_desk(tmp_path, interruptions=INTERRUPTIONS.replace('yield say("rate")', 'yield say("rate")\n    yield say("filed")'))
    ran = run(desk, desk.state_type(), desk.heard_type(), Memory())
    reasons = [one.reason for one in ran.allowed.blocked if one.response_id == "filed"]
    assert reasons == ["claims 'file_claim', which was not committed in this conversation"]
    after = with_events(Memory(), ["file_claim"])
    ran = run(desk, desk.state_type(), desk.heard_type(), after)
    chosen = next(one for one in ran.allowed.options if one.id == "filed")
    text = compose(chosen, ran.allowed.obligations)
    verify(text, chosen, ran.allowed, desk.catalog, DAY, done=after.done)
    with pytest.raises(VerificationError, match="claims 'file_claim'"):
        verify(text, chosen, ran.allowed, desk.catalog, DAY)


def test_a_claim_of_what_nothing_commits_is_refused(tmp_path):
    responses = RESPONSES | {"filed": {"text": "Done.", "claims": "file_everything"}}
    with pytest.raises(PolicyError, match="claims 'file_everything', which nothing commits"):
        claims_desk(tmp_path, responses=responses)


def test_the_rules_alone_believe_no_answer(desk):
    memory = at_step(desk, "which", "why", "is_lost")
    ran = run(desk, desk.state_type(), None, memory)
    assert {one.id for one in ran.allowed.options if one.is_assumed} == {"filing", "dropped"}
    for _ in range(5):
        chosen = most_salient(ran.allowed.options, memory.said)
        assert not chosen.is_assumed
        memory = ran.after(chosen)
        ran = run(desk, desk.state_type(), None, memory)
    assert "file_claim" not in memory.done


def test_only_what_a_step_needs_is_listened_for(desk):
    assert desk.procedures.listened_fields(Memory()) == {"human"}
    assert desk.procedures.listened_fields(at_step(desk, "which")) == {"human", "number"}


def test_answers_to_several_fields_add_up(tmp_path):
    body = """
    async def claim(state: Desk, heard: Heard):
        number, worth = await ask("which", "number", "worth", tries=3)
        await tell("shall_i", sum=worth)
        await tell("dropped")
    """
    keep = {name: RESPONSES[name] for name in ("automated", "which", "shall_i", "dropped")}
    desk = claims_desk(
        tmp_path, body, decorator='@procedure("shop", obligations=(at_start("automated"),))', responses=keep, interruptions=""
    )
    memory = step(desk, step(desk, Memory(), "which"), "pardon", number=7)
    assert options(desk, memory) == ["pardon"]  # asked in vain: the fallback, and the question again
    ran = run(desk, desk.state_type(), desk.heard_type(worth=30), memory)
    assert [one.text for one in ran.said(ran.allowed.options[0])] == ["Shall I file a claim of 30?", "Then I leave it at that."]


def test_state_and_heard_are_those_of_the_turn(tmp_path):
    body = """
    async def claim(state: Desk, heard: Heard):
        await ask("which", "number")
        first = state.limit
        await confirm("why")
        await tell("shall_i", sum=first if state.limit < 0 else state.limit * 1000 + first)
    """
    keep = {name: RESPONSES[name] for name in ("which", "why", "shall_i")}
    desk = claims_desk(tmp_path, body, decorator='@procedure("shop")', responses=keep, interruptions="")
    limit = iter((1, 2, 3))
    memory = step(desk, Memory(), "which", state=desk.state_type(limit=next(limit)))
    memory = step(desk, memory, "why", state=desk.state_type(limit=next(limit)), number=7)
    memory = Memory.model_validate_json(memory.model_dump_json())
    ran = run(desk, desk.state_type(limit=next(limit)), None, memory)
    assert ran.allowed.options[0].text == "Shall I file a claim of 3,002?"


def test_giving_up_can_be_caught(tmp_path):
    body = """
    async def claim(state: Desk, heard: Heard):
        try:
            await ask("which", "number", tries=1)
        except GaveUp:
            await tell("no_number")
    """
    keep = {name: RESPONSES[name] for name in ("which", "no_number")}
    desk = claims_desk(tmp_path, body, decorator='@procedure("shop")', responses=keep, interruptions="")
    assert options(desk, step(desk, Memory(), "which")) == ["no_number"]


def test_a_policy_may_start_procedures(tmp_path):
    body = """
    def claim(state: Desk, heard: Heard):
        yield say("hours")
        yield start(stopping)
    """
    started = INTERRUPTIONS[INTERRUPTIONS.index("async def stopping") :]
    keep = {name: RESPONSES[name] for name in ("hours", "block_it", "stopped", "not_stopped")}
    desk = claims_desk(tmp_path, body, decorator='@policy("shop")', responses=keep, interruptions=started)
    assert not desk.procedures.main
    memory = step(desk, Memory(), "block_it")
    assert options(desk, memory) == ["stopped", "not_stopped", "hours", "pardon"]


# -- other processes, other code ---------------------------------------------------------------------------


@given(seed=st.integers(0, 10_000))
def test_whatever_is_picked_a_conversation_goes_on_from_json_and_replays(desk, seed):
    engine, log, state = RandomEngine(seed), MemoryLog(), desk.state_type()
    memory = Memory()
    for number in range(12):
        dialogue = Dialogue(desk, engine=engine, log=log, memory=Memory.model_validate_json(memory.model_dump_json()), threshold=0)
        turn = dialogue.reply(f"number {number}, or 12", state)
        assert turn.text == compose(turn.decision.chosen, turn.trace.allowed.obligations)
        assert set(turn.text.splitlines()) <= known_texts(desk)
        state = turn.apply(state)
        memory = dialogue.memory()
        assert hash(memory) == hash(Memory.model_validate_json(memory.model_dump_json()))
        assert Situations(desk).of(memory) == Situations(desk).of(Memory.model_validate_json(memory.model_dump_json()))
    records = [one for one in log.records if isinstance(one, Record)]
    assert [str(one.error) for one in replay(desk, records) if one.error] == []


def known_texts(desk):
    return {response.texts["en"].source.replace("{sum}", "100") for response in desk.catalog.responses.values()}


def test_the_record_names_the_procedure_and_its_step(desk):
    _, turns, _ = play(desk, *ALL_THE_WAY)
    entry = turns[2].record.procedure
    assert (entry.name, entry.version, entry.step, entry.answer, entry.next_step) == ("claim", 1, "why", "picked lost", "shall_i")
    assert entry.line.endswith(str(desk.source.splitlines().index('        reason = await ask("why", REASONS)') + 1))
    assert [one.rule for one in turns[0].record.obligations] == ["at_start('automated')"]


def test_comments_do_not_change_a_procedure_and_code_does(desk, tmp_path):
    memory = at_step(desk, "which", "why")
    same = claims_desk(tmp_path, CLAIM.replace("        reason =", "        # what happened?\n        reason ="))
    assert options(same, memory) == options(desk, memory)
    other = claims_desk(tmp_path, CLAIM.replace("range(2)", "range(3)"))
    with pytest.raises(ProcedureError, match="its code is another now under the same version") as caught:
        options(other, memory)
    assert (caught.value.procedure, caught.value.version) == ("claim", 1)
    assert caught.value.problems[0].line > 0


def test_a_changed_constant_changes_the_code(desk, tmp_path):
    header = HEADER.replace('("lost", "broken")', '("lost", "broken", "late")')
    memory = at_step(desk, "which", "why")
    with pytest.raises(ProcedureError):
        options(claims_desk(tmp_path, interruptions=INTERRUPTIONS + header[header.index("REASONS") :]), memory)


def test_a_changed_procedure_may_begin_anew(desk, tmp_path):
    again = '@procedure("shop", changed="restart", interruptions=interruptions, ' + OBLIGATIONS + ")"
    other = claims_desk(tmp_path, CLAIM.replace("range(2)", "range(3)"), decorator=again)
    assert options(other, at_step(desk, "which", "why"))[0] == "which"


RENAMED = """
@procedure("shop", interruptions=others)
async def claim(state, heard):
    if await confirm("shall_i", sum=state.limit, asides=(say("hours"),), alone=True):
        await tell("dropped")
"""


def test_arguments_that_were_renamed_are_hashed_by_their_first_names():
    """The hash is the one that conversations of release 0.1 hold: then both arguments were named ``beside``."""
    then = "sha256:c744c305c745f264e2ad8265f8d0b89d35f44556665ee85751827341c024ef79"
    for text, is_same in ((RENAMED, True), (RENAMED.replace("asides", "others"), False)):
        assert (hash_of_claim(text) == then) is is_same


def hash_of_claim(text: str) -> str:
    script = Script("shop.py", text, vars(constrained) | vars(steps) | {"constrained": constrained})
    return code_hash(script, script.functions["claim"])


@pytest.mark.parametrize(
    "line",
    [
        'await tell("sums", asides=state.limit, interruptions=state.owed)',  # slots of a response
        'await ask("sums", interruptions=state.limit, asides=(say("hours"),))',
        "chosen(asides=state.limit, interruptions=state.owed)",  # a function of the host's
        "dict(beside=state.limit, asides=state.owed)",
    ],
)
def test_other_arguments_of_these_names_are_hashed_as_they_are(line):
    text = f"async def claim(state, heard):\n    {line}\n"
    names = ("beside", "asides", "interruptions")
    swapped = text.replace("asides=", "?=").replace("interruptions=", "asides=").replace("?=", "interruptions=")
    variants = {swapped, text, *(text.replace(f"{name}=", f"{name}_=") for name in names)}
    assert len(set(map(hash_of_claim, variants))) == len(variants)


def test_a_renamed_argument_is_known_by_what_is_called_and_not_by_its_name():
    by_module = RENAMED.replace("@procedure", "@constrained.procedure")
    first_names = by_module.replace("interruptions=", "beside=").replace("asides=", "beside=")
    assert hash_of_claim(by_module) == hash_of_claim(first_names)


def test_an_older_version_goes_on_where_it_is_kept(desk, tmp_path):
    old = '@procedure("shop", version=1, interruptions=interruptions)' + CLAIM.replace("async def claim", "async def old_claim")
    new = '@procedure("shop", version=2, interruptions=interruptions, keeps=(old_claim,), ' + OBLIGATIONS + ")"
    both = claims_desk(
        tmp_path,
        CLAIM.replace('    await tell("terms")\n', "").replace(
            '        await tell("dropped")', '        await tell("dropped")\n        await tell("terms")'
        ),
        decorator=old_reaches_all(old) + "\n\n" + new,
    )
    kept = both.terms.keeps[0]
    memory = at_step(kept, "which", "why")
    ran = run(both, both.state_type(), both.heard_type(), memory)
    assert ran.policy is kept
    lost = next(one for one in ran.allowed.options if one.id == "is_lost")
    assert [one.id for one in lost.obligations] == ["terms", "shall_i"]
    assert at_step(both, "which").running[0].version == 2
    gone = Memory(running=(memory.running[0].model_copy(update={"version": 9}),))
    with pytest.raises(ProcedureError, match="began in version 9; there is 2, 1"):
        options(both, gone)


def old_reaches_all(text):
    """The older version says what obligations of the newer one say: a policy reaches every response."""
    return text.replace(
        "interruptions=interruptions)", 'interruptions=interruptions, obligations=(at_start("automated"), after("rate", "rate_note")))'
    )


# -- what a procedure may not do ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("await asyncio.sleep(1)", "await asyncio.sleep(1): a procedure awaits its own steps only"),
        ("time.time()", "the module time reads the clock"),
        ("random.random()", "the module random draws lots"),
        ('open("x")', "open() reads or writes files"),
        ("while True:\n        pass", "while: nothing bounds"),
        ('tell("hello")', "tell() is made but never awaited"),
        ('await say("hello")', "a procedure awaits its own steps only"),
        ('await tell("helo")', "the catalog 'shop' has no response 'helo'"),
        ('await ask("hello", "angri")', "answered by 'angri', which is not heard"),
        ('await perform("hello")', "perform() hands nothing to the host"),
        ('await confirm("price")', "'price' needs the slot 'price'"),
        ('await ask("hello", "angry", again="helo")', "no response 'helo'"),
        ("await desk(state, heard)", "a procedure awaits its own steps only"),
        ('try:\n        await tell("hello")\n    finally:\n        await tell("bye")', "await in finally"),
        ("dt.date.today()", "reads the clock"),
    ],
)
def test_what_a_procedure_may_not_do_is_refused_with_its_line(tmp_path, line, said):
    header = HEADER_WITH_STEPS
    body = f"""
@procedure("shop")
async def desk(state: Shop, heard: Heard):
    await tell("hello")
    await tell("bye")
    await tell("price", price=PRICE)
    {line}
"""
    problems, _ = problems_of(tmp_path, body, header=header)
    found = [one for one in problems if said in one.message]
    assert found, [one.message for one in problems]
    assert found[0].line > 0
    assert found[0].hint


HEADER_WITH_STEPS = (
    SHOP_HEADER + "import asyncio\nfrom constrained import procedure\nfrom constrained.steps import ask, confirm, perform, tell\n"
)


def test_a_step_in_a_policy_is_refused(tmp_path):
    body = """
@policy("shop")
def desk(state: Shop, heard: Heard):
    yield say("hello")
    yield say("bye")
    yield say("price", price=PRICE)
    yield tell("hello")
"""
    problems, _ = problems_of(tmp_path, body, header=HEADER_WITH_STEPS)
    assert any("is a step of a procedure, and this is none" in one.message for one in problems)


def test_what_a_procedure_raises_is_told_with_its_line(tmp_path):
    body = """
    async def claim(state: Desk, heard: Heard):
        await ask("which", "number")
        await tell("shall_i", sum=state.claims[3])
    """
    keep = {name: RESPONSES[name] for name in ("which", "shall_i")}
    desk = claims_desk(tmp_path, body, decorator='@procedure("shop")', responses=keep, interruptions="")
    with pytest.raises(ProcedureError, match="IndexError") as caught:
        options(desk, step(desk, Memory(), "which"), number=7)
    assert "state.claims[3]" in desk.source.splitlines()[caught.value.problems[0].line - 1]


def test_a_procedure_that_ends_without_a_word_is_told(tmp_path):
    body = """
    async def claim(state: Desk, heard: Heard):
        await ask("which", "number")
    """
    desk = claims_desk(tmp_path, body, decorator='@procedure("shop")', responses={"which": RESPONSES["which"]}, interruptions="")
    ran = run(desk, desk.state_type(), desk.heard_type(number=7), step(desk, Memory(), "which"))
    assert [one.reason for one in ran.allowed.blocked] == ["the procedure 'claim' is over without a word"]


def test_a_choice_of_the_message_that_is_there_is_picked_by_what_is_said_next(tmp_path):
    body = """
    async def claim(state: Desk, heard: Heard):
        reason = await choose("lost", "broken")
        await tell("is_lost" if reason == "lost" else "is_broken")
        size = await choose("big", "small") if reason == "lost" else "big"
        if await confirm("terms" if size == "big" else "rate"):
            await tell("filing" if reason == "lost" else "dropped")
        else:
            await tell("human" if size == "big" else "hours")
    """
    names = ("is_lost", "is_broken", "terms", "rate", "filing", "dropped", "human", "hours")
    keep = {name: RESPONSES[name] for name in names}
    desk = claims_desk(tmp_path, body, decorator='@procedure("shop")', responses=keep, interruptions="")
    ran = run(desk, desk.state_type(), None, Memory())
    assert [[one.id for one in ran.said(option)] for option in ran.allowed.options] == [
        ["is_lost", "terms"],
        ["is_broken", "terms"],
        ["pardon"],
    ]  # two ways that begin with the same words are one for who chooses: the second is blocked
    assert [one.is_assumed for one in ran.allowed.options] == [True, True, False]
    assert most_salient(ran.allowed.options, {}).id == "pardon"
    memory = Memory.model_validate_json(step(desk, Memory(), "is_broken").model_dump_json())
    assert memory.running[0].events[0].picks == ("broken",)
    assert options(desk, memory) == ["dropped", "human", "pardon"]


def test_an_interruption_goes_before_what_the_host_has_told(desk):
    memory = with_outcomes(at_step(desk, "which", "why", "is_lost", "filing"), done=("file_claim",))
    assert options(desk, memory) == ["filed"]
    assert options(desk, memory, human=True) == ["human"]
