"""State: frozen, validated, immutable all the way down, and its errors are ours."""

from __future__ import annotations

import datetime as dt
import json
import subprocess
import sys
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, NewType, Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt

from constrained import State
from constrained.errors import PolicyError, StateError


class Item(Enum):
    KEY = "key"
    LAMP = "lamp"


class Order(BaseModel):
    model_config = ConfigDict(frozen=True)
    id: str
    price: Decimal = Decimal(1)


@dataclass(frozen=True)
class Seat:
    row: int


@dataclass
class Loose:
    row: int


class Melting(BaseModel):
    id: str


class Deep(BaseModel):
    model_config = ConfigDict(frozen=True)
    inner: tuple[Melting, ...] = ()


class Spot(NamedTuple):
    x: int
    y: list[int]


Gold = NewType("Gold", int)


class Tavern(State):
    gold: NonNegativeInt = 0
    belt: frozenset[Item] = frozenset()
    day: dt.date | None = None
    orders: tuple[Order, ...] = ()
    mood: Literal["calm", "cross"] = "calm"


class Strict(State):
    gold: int
    name: str = ""


values = st.fixed_dictionaries(
    {},
    optional={
        "gold": st.integers(0, 10**9),
        "belt": st.frozensets(st.sampled_from(Item)),
        "day": st.none() | st.dates(),
        "orders": st.lists(st.builds(Order, id=st.text(max_size=5)), max_size=3).map(tuple),
        "mood": st.sampled_from(["calm", "cross"]),
    },
)


@given(values, values)
def test_but_is_a_validated_copy_and_leaves_the_original_alone(first: dict[str, Any], changes: dict[str, Any]) -> None:
    state = Tavern(**first)
    before = state.model_dump_json()
    assert state.replace(**changes) == Tavern(**{**first, **changes})
    assert state.model_dump_json() == before


@given(values)
def test_json_goes_there_and_back(fields: dict[str, Any]) -> None:
    state = Tavern(**fields)
    assert Tavern.from_json(state.model_dump_json()) == state == Tavern.from_json(state.model_dump(mode="json"))


@given(st.one_of(st.text(), st.binary(), st.none(), st.integers(), st.lists(st.integers()), st.dictionaries(st.text(), st.integers())))
def test_from_json_raises_nothing_but_state_errors(data: Any) -> None:
    try:
        Tavern.from_json(data)
    except StateError:
        return
    assert isinstance(data, str | bytes | Mapping)


@pytest.mark.parametrize(
    ("build", "expected"),
    [
        (lambda: Tavern(gold=-1), "gold: Input should be greater than or equal to 0"),
        (lambda: Tavern(glod=1), "glod: no such field\n    hint: did you mean 'gold'?"),
        (lambda: Tavern(belt={"sword"}), "belt.0: Input should be 'key' or 'lamp'"),
        (lambda: Tavern().replace(gold="much"), "gold: Input should be a valid integer"),
        (lambda: Tavern().replace(golds=1), "golds: no such field"),
        (lambda: Tavern.model_validate({"gold": -1}), "gold: Input should be greater"),
        (lambda: Tavern.from_json("[1]"), "is read from an object, not from list"),
        (lambda: Tavern.from_json("{"), "not JSON"),
        (lambda: Tavern.from_json("[" * 100_000), "not JSON"),
        (lambda: Tavern.from_json(b'{"gold": null}'), "gold: Input should be a valid integer"),
        (Strict.default, "Strict has no default for gold\n    hint: pass Strict(gold=...)"),
        (lambda: Strict(), "gold: Field required"),
    ],
)
def test_what_a_state_refuses_is_a_state_error(build: Any, expected: str) -> None:
    with pytest.raises(StateError) as caught:
        build()
    assert expected in str(caught.value)


def test_fields_cannot_be_set() -> None:
    with pytest.raises(StateError, match=r"Tavern\.gold cannot be set\n    hint: .*\.replace\(gold=\.\.\.\)"):
        Tavern().gold = 3  # type: ignore[misc]
    assert Tavern.default() == Tavern()
    assert hash(Tavern()) == hash(Tavern())


@pytest.mark.parametrize(
    ("annotation", "what", "hint"),
    [
        (list[int], "list[int]", "use tuple[..., ...]"),
        (dict[str, int], "dict[str, int]", "tuple of frozen models"),
        (set[int], "set[int]", "use frozenset[...]"),
        (bytearray, "bytearray", "use bytes"),
        (Sequence[int], "Sequence[int]", "use tuple"),
        (Mapping[str, int], "Mapping[str, int]", "tuple of frozen models"),
        (deque[int], "deque[int]", "use tuple"),
        (list, "list", "use tuple"),
        (Optional[list[int]], "list[int]", "use tuple"),  # noqa: UP045
        (list[int] | None, "list[int]", "use tuple"),
        (tuple[list[int], ...], "list[int]", "use tuple"),
        (tuple[int, set[int]], "set[int]", "use frozenset"),
        (Annotated[list[int], Field(max_length=3)], "list[int]", "use tuple"),
        (NewType("Bag", list[int]), "list[int]", "use tuple"),
        (Any, "object", "immutable type"),
        (Melting, "Melting", "make Melting frozen: model_config"),
        (Deep, "Melting", "make Melting frozen"),
        (Loose, "Loose", "make Loose frozen: @dataclass(frozen=True)"),
        (tuple[Spot, ...], "list[int]", "use tuple"),
    ],
)
def test_a_mutable_field_is_refused_when_the_class_is_defined(annotation: Any, what: str, hint: str) -> None:
    with pytest.raises(PolicyError) as caught:

        class Bad(State):
            good: int = 0
            bag: annotation = None  # the line

    (problem,) = caught.value.problems
    assert problem.message == f"Bad.bag: {what} can be changed in place"
    assert hint in problem.hint
    assert problem.file == __file__
    lines = Path(__file__).read_text(encoding="utf-8").splitlines()
    assert lines[problem.line - 1].endswith("# the line")


def test_immutable_fields_of_all_kinds_are_taken() -> None:
    class Good(State):
        a: Gold = Gold(0)
        b: tuple[Order, ...] = ()
        c: Seat | None = None
        d: frozenset[tuple[int, str]] = frozenset()
        e: Literal["x", 1] = "x"
        f: Annotated[int, Field(ge=0)] = 0
        g: dt.datetime | dt.time | dt.timedelta | None = None
        h: tuple[int, ...] | frozenset[Item] = ()
        i: float = 0.0
        j: bytes = b""
        k: Good | None = None

    assert Good().replace(c=Seat(3), d={(1, "a")}).c == Seat(3)


def test_sets_leave_in_one_order_in_every_process() -> None:
    code = (
        "from constrained import State\n"
        "from pydantic import BaseModel, ConfigDict\n"
        "class Bag(BaseModel):\n    model_config = ConfigDict(frozen=True)\n    names: frozenset[str]\n"
        "class S(State):\n    names: frozenset[str] = frozenset()\n    bags: tuple[Bag, ...] = ()\n"
        "names = frozenset(map(str, range(50)))\n"
        "print(S(names=names, bags=(Bag(names=names), Bag(names=names))).model_dump_json())"
    )
    seen = {
        subprocess.run([sys.executable, "-c", code], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True).stdout
        for seed in ("1", "2")
    }
    assert len(seen) == 1
    written, names = json.loads(seen.pop()), sorted(map(str, range(50)))
    assert written == {"names": names, "bags": [{"names": names}] * 2}


def test_an_annotation_that_names_nothing_is_told() -> None:
    with pytest.raises(PolicyError, match="the annotations of Lost name 'Nowhere', which is not defined"):

        class Lost(State):
            place: Nowhere | None = None  # type: ignore[name-defined]  # noqa: F821
