"""Suite procedures: what a procedure costs a turn, more than a policy of one step with the same options."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.harness import Bench
from benchmarks.measure import BenchmarkError, Measure, Sample, interleaved, timed

N_STEPS = 20
MOST_MS = 0.2
_REST = ("Pardon?", "Which number is it?")
REFERENCE = "a policy of one step with the same options"

_LOGIC = '''"""A procedure of {n} steps, and the last of them as a policy."""
from __future__ import annotations

from typing import NamedTuple

from pydantic import BaseModel, ConfigDict

from constrained import State, Understanding, {decorator}, say
from constrained.hear import amount, question
from constrained.obligations import at_start
from constrained.steps import ask, confirm, tell


class Payment(BaseModel):
    model_config = ConfigDict(frozen=True)

    id: str
    merchant: str
    cents: int


class Desk(State):
    name: str = "Ann"
    step: int = 0
    payments: tuple[Payment, ...] = tuple(Payment(id=f"t{{i}}", merchant=f"Shop {{i}}", cents=i) for i in range(5))


class Heard(Understanding):
    human: bool = question("Does the customer want a human?")
    number: int | None = amount("Which number?")


def interruptions(state: Desk, heard: Heard):
    if heard.human:
        yield say("human")
    yield say("hours")
    yield say("rates")
{rest}
'''
_ASKED = '        number = await ask("step_{i}", "number", again="again")\n'
_PICKED = '        if not await confirm("step_{i}"):\n            await tell("stopped")\n            return\n'


def run(bench: Bench) -> None:
    """At several steps of a long procedure, by what was heard and by what is picked."""
    with tempfile.TemporaryDirectory() as folder:
        for kind in ("heard", "picked"):
            _steps(bench, Path(folder), kind)


def _steps(bench: Bench, folder: Path, kind: str) -> None:
    from constrained.logic.allow import run as run_turn
    from constrained.logic.state import Memory

    policy = _policy(folder / kind, kind)
    memories = _memories(policy, kind)
    for n_passed in (1, 5, 10, N_STEPS - 1):
        memory = memories[n_passed]
        heard = policy.heard_type(number=7) if kind == "heard" else policy.heard_type()
        state = policy.state_type(step=n_passed)
        plain = _plain(folder / f"{kind}_{n_passed}", kind, n_passed)
        plain_state, plain_heard = plain.state_type(step=n_passed), plain.heard_type()
        _same(run_turn(policy, state, heard, memory), run_turn(plain, plain_state, plain_heard))
        text = memory.model_dump_json()
        before = memories[n_passed - 1]
        earlier = policy.heard_type(number=7) if kind == "heard" and n_passed > 1 else policy.heard_type()

        def came(before: Any = before, earlier: Any = earlier, number: int = n_passed - 1) -> Any:
            """The memory as the turn before leaves it in this process."""
            ran = run_turn(policy, policy.state_type(step=number), earlier, before)
            return ran.after(next(option for option in ran.allowed.options if option.id == f"step_{number}"))

        cases = {
            "procedure": _timed(came, lambda memory, state=state, heard=heard: _turn(run_turn(policy, state, heard, memory))),
            "another": _timed(
                lambda text=text: Memory.model_validate_json(text),
                lambda memory, state=state, heard=heard: _turn(run_turn(policy, state, heard, memory)),
            ),
            "policy": _timed(Memory, lambda _, plain=plain, state=plain_state, heard=plain_heard: _turn(run_turn(plain, state, heard))),
        }
        found = interleaved([cases] * (3 if bench.is_smoke else 600), seed=bench.seed)
        case = f"a turn after {n_passed} answers that were {kind}"
        bench.add(case, "policy", found["policy"].wall_s * 1e3, "ms")
        bench.add(case, "procedure, longer", found["procedure"].above(found["policy"]) * 1e3, "ms", reference=REFERENCE, at_most=MOST_MS)
        bench.add(case, "procedure in another process, longer", found["another"].above(found["policy"]) * 1e3, "ms", reference=REFERENCE)
        bench.add(case, "memory of the conversation", len(memory.model_dump_json()), "bytes")


def _timed(prepare: Callable[[], Any], turn: Callable[[Any], object]) -> Measure:
    """Measures a turn on what ``prepare`` gives, which is not measured."""

    def measure() -> Sample:
        memory = prepare()
        return timed(lambda: turn(memory))()

    return measure


def _turn(ran: Any) -> None:
    ran.after(ran.allowed.options[0])


def _same(one: Any, other: Any) -> None:
    """Nothing is timed that is not the same work: the same options, but for what is said when none of them fits."""
    texts = [[option.text for option in ran.allowed.options if option.text not in _REST] for ran in (one, other)]
    if sorted(texts[0]) != sorted(texts[1]) or len(one.allowed.options) != len(other.allowed.options):
        raise BenchmarkError(f"procedures: the options differ: {texts[0]} and {texts[1]}")


def _memories(policy: Any, kind: str) -> list[Any]:
    """The memory after each number of answers."""
    from constrained.logic.allow import run as run_turn
    from constrained.logic.state import Memory

    memories = [Memory()]
    for number in range(N_STEPS):
        heard = policy.heard_type(number=7) if kind == "heard" and number else policy.heard_type()
        ran = run_turn(policy, policy.state_type(step=number), heard, memories[-1])
        chosen = next(option for option in ran.allowed.options if option.id == f"step_{number}")
        memories.append(ran.after(chosen))
    return memories


def _policy(folder: Path, kind: str) -> Any:
    line = _ASKED if kind == "heard" else _PICKED
    body = "".join(line.format(i=number).replace("        ", "    ", 1).replace("\n        ", "\n    ") for number in range(N_STEPS))
    rest = (
        f'\n\n@procedure("desk", interruptions=interruptions)\nasync def desk(state: Desk, heard: Heard):\n{body}    await tell("over")\n'
    )
    return _loaded(folder, _LOGIC.format(n=N_STEPS, decorator="procedure", rest=rest), N_STEPS)


def _plain(folder: Path, kind: str, n_passed: int) -> Any:
    """What the procedure allows after so many answers, as a policy."""
    names = [f"step_{n_passed}", *(["stopped"] if kind == "picked" else [])]
    body = "".join(f'    yield say("{name}")\n' for name in names)
    rest = f'\n\n@policy("desk")\ndef desk(state: Desk, heard: Heard):\n    yield from interruptions(state, heard)\n{body}'
    reserve = {f"step_{number}" for number in range(N_STEPS)} | {"stopped", "again", "over"}
    return _loaded(folder, _LOGIC.format(n=1, decorator="policy", rest=rest), N_STEPS, reserve - set(names))


def _loaded(folder: Path, logic: str, n_steps: int, reserve: set[str] | None = None) -> Any:
    from constrained.packs import load_policy_file

    texts = {f"step_{number}": f"This is question {number}. Do you agree?" for number in range(n_steps)}
    texts |= {"human": "A colleague takes over.", "hours": "We are open from nine to five.", "rates": "It is free."}
    texts |= {"again": "Which number is it?", "stopped": "Then we stop here.", "over": "That was all.", "pardon": "Pardon?"}
    responses = {name: {"text": text, "when": f"the customer wants {name}"} for name, text in texts.items()}
    for name, response in responses.items():
        if name in (reserve or ()) or (reserve is None and name in ("again", "stopped") and f'"{name}"' not in logic):
            response["tags"] = ["reserve"]  # type: ignore[assignment]  # of a response this is a list
    data = {
        "catalog": "desk",
        "version": 1,
        "locale": "en",
        "speaker": "Ann",
        "persona": "Brief.",
        "fallback": "pardon",
        "responses": responses,
    }
    for name, text in (("catalogs/desk.yaml", json.dumps(data)), ("logic/desk.py", logic)):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return load_policy_file(folder / "logic" / "desk.py")
