"""A set as a pack on disk: catalog, logic, and the messages to fit on and to measure on.

The texts are drafts: nobody approved them. ``constrained eval`` says drafts; ``play`` needs ``--drafts`` only where a catalog
requires approvals, which these do not.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from pprint import pformat
from typing import Any

import yaml

from benchmarks.sets import star
from benchmarks.sets.rows import Row, Set
from benchmarks.sets.star import RESULTS, Flow

FALLBACK, PARDON = "none_of_these", "I am afraid I cannot help with that. Could you put it in other words?"
OPEN = '''"""Every topic of {name} is allowed at every turn: what is measured is the choice alone. Written by benchmarks.sets."""

from constrained import State, policy, say

TOPICS = {topics}


class Nothing(State):
    """There are no facts to know."""


@policy("{name}")
def every_topic(state: Nothing):
    """All topics, whatever is true."""
    for topic in TOPICS:
        yield say(topic)
'''
FLOW = '''"""The flow of {name}: which replies are in place, by what was said and what a lookup gave. Written by benchmarks.sets."""

from typing import Literal

from constrained import State, policy, say

QUESTIONS = {questions}
RESULTS = {results}
BRANCH = {branch}
FOLLOWS = {follows}
ANYWHERE = {anywhere}


class Position(State):
    """What was said so far, oldest first, and what a lookup gave since the last reply."""

    said: tuple[str, ...] = ()
    result: Literal[{given}] = ""


@policy("{name}")
def in_place(state: Position):
    """Questions before a lookup, results after one and in their branch; what the graph does not place, at any time."""
    for reply in ANYWHERE:
        yield say(reply)
    if state.result:
        told = dict(BRANCH).get(state.result)
        others = {{reply for given, reply in BRANCH if given != state.result}} if told else set()
        for reply in RESULTS:
            if reply == told or reply not in others:
                yield say(reply)
        return
    last = state.said[-1] if state.said else ""
    following = dict(FOLLOWS).get(last, "")
    for reply in QUESTIONS:
        if reply not in state.said or reply in (last, following):
            yield say(reply)
    for reply in RESULTS:
        if reply in state.said or reply == following:
            yield say(reply)
'''
UNBOUND = '''"""Every reply of the task {name} is allowed at every turn, for comparison with its flow. Written by benchmarks.sets."""

from typing import Literal

from constrained import State, policy, say

REPLIES = {topics}


class Position(State):
    """What was said so far, oldest first, and what a lookup gave since the last reply. Not read."""

    said: tuple[str, ...] = ()
    result: Literal[{given}] = ""


@policy("{name}")
def every_reply(state: Position):
    """All replies, whatever was said."""
    for reply in REPLIES:
        yield say(reply)
'''
COLUMNS = """# {name}

Written by `python -m benchmarks.sets {name}` from data that is read in place; its licence and source are with the data.
`catalogs/`, `logic/`: the pack. Its texts are drafts, made up where the set has none, and nobody approved them.
`data/fit.jsonl` ({n_fit} messages) is to fit and tune on, `data/dev.jsonl` ({n_dev}) to measure on; neither holds a message of the
catalog's examples{split}. {shots} drawn with seed {seed}.

| column | what it is |
|---|---|
| message | what the user wrote |
| expects | id of the response that should be said; a list where several are right; the fallback, `{fallback}`, where nothing answers |
| state | facts of the host at this turn, as JSON; only where the policy reads some |
| history | what was said before, oldest first: ["user" or "reply", text] |

Measure with `constrained eval {name} --data data/dev.jsonl`, from this folder.
"""


def write(found: Set, folder: Path, shots: int | None, seed: int, data: Path | None = None) -> list[Path]:
    """The files of the pack, in ``folder``; of a task of STAR also ``NAME_open``, the same catalog without the flow."""
    is_flow = found.name.startswith("star_")
    fallback = star.FALLBACK if is_flow else FALLBACK
    names = [found.name, f"{found.name}_open"] if is_flow else [found.name]
    written = [_write(folder / "catalogs" / f"{name}.yaml", _catalog(found, name, fallback)) for name in names]
    if is_flow:
        _, _, in_place = star.catalog(found.name.removeprefix("star_"), data)
        logic = [_flow_logic(found.name, in_place), _filled(UNBOUND, names[1], found.labels)]
    else:
        logic = [_filled(OPEN, found.name, found.labels)]
    written += [_write(folder / "logic" / f"{name}.py", text) for name, text in zip(names, logic, strict=True)]
    parts = {"fit": (*found.train, *found.oos_train), "dev": (*found.dev, *found.oos)}
    prefix = f"{found.name}." if is_flow else ""  # eighteen tasks share a folder
    written += [_write(folder / "data" / f"{prefix}{part}.jsonl", _lines(rows, fallback)) for part, rows in parts.items()]
    return [*written, _write(folder / "data" / f"{found.name}.md", _columns(found, fallback, shots, seed, is_flow))]


def _catalog(found: Set, name: str, fallback: str) -> str:
    responses: dict[str, Any] = {} if fallback in found.texts else {fallback: {"text": PARDON, "when": "nothing else fits"}}
    for label in found.labels:
        examples = found.examples.get(label, ())
        told = {"text": _escaped(found.texts[label]), "when": found.when[label]}
        responses[label] = told | ({"examples": list(examples)} if examples else {})
    head = {"catalog": name, "version": 1, "locale": "en", "speaker": "The desk", "fallback": fallback, "responses": responses}
    drafts = f"# Written by benchmarks.sets from {found.name}: drafts, which nobody approved.\n"
    return drafts + yaml.safe_dump(head, sort_keys=False, allow_unicode=True, width=10_000)


def _flow_logic(name: str, in_place: Flow) -> str:
    return FLOW.format(
        name=name,
        questions=_python(in_place.questions),
        results=_python(in_place.results),
        branch=_python(tuple(in_place.branch.items())),
        follows=_python(tuple(in_place.follows.items())),
        anywhere=_python(in_place.anywhere),
        given=", ".join(repr(one) for one in RESULTS),
    )


def _filled(template: str, name: str, labels: Sequence[str]) -> str:
    return template.format(name=name, topics=_python(tuple(labels)), given=", ".join(repr(one) for one in RESULTS))


def _python(value: object) -> str:
    return pformat(value, width=120, compact=True).replace("'", '"')


def _lines(rows: Iterable[Row], fallback: str) -> str:
    return "".join(json.dumps(_line(row, fallback), ensure_ascii=False) + "\n" for row in rows)


def _line(row: Row, fallback: str) -> dict[str, Any]:
    expects: Any = list(row.rights) if row.also else row.label or fallback
    told = {"message": row.message, "expects": expects, "state": dict(row.state), "history": [list(one) for one in row.history]}
    return {name: value for name, value in told.items() if value or name in ("message", "expects")}


def _columns(found: Set, fallback: str, shots: int | None, seed: int, is_flow: bool) -> str:
    given = "All messages that are not dev are examples," if shots is None else f"Up to {shots} examples a response were"
    split = "; STAR is split by dialogue, so that short messages stand in both" if is_flow else ""
    sizes = {"n_fit": len(found.train) + len(found.oos_train), "n_dev": len(found.dev) + len(found.oos)}
    return COLUMNS.format(name=found.name, fallback=fallback, shots=given, seed=seed, split=split, **sizes)


def _escaped(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")


def _write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path
