"""The file of people: everything that is wrong with it is told, and rules only ever add up."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from constrained.approval.keys import to_text
from constrained.approval.people import People, Person, Rule, load_people
from constrained.errors import ApprovalError
from tests.approval.office import KEYS

KEY = to_text(KEYS["Dana"].public_key())
TOML = f"""
[rules]
roles = ["compliance"]
[rules.tags.money]
approvers = 2
roles = ["legal"]
[rules.catalogs.bank]
approvers = 3
[people.Dana]
roles = ["compliance"]
keys = [{{ key = "{KEY}", until = 2030-01-01 }}]
[people.Tom]
roles = ["legal"]
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "people.toml"
    path.write_text(text)
    return path


def test_rules_of_file_catalog_and_tags_add_up(tmp_path: Path) -> None:
    path = written(tmp_path, TOML)
    desk, bank = load_people(path, "desk"), load_people(path, "bank")
    assert desk.rule_for(["other"]) == Rule(1, frozenset({"compliance"}))
    assert desk.rule_for(["money"]) == Rule(2, frozenset({"compliance", "legal"}))
    assert bank.rule_for(["money"]) == Rule(3, frozenset({"compliance", "legal"}))
    assert desk.lacks(desk.rule_for(["money"]), ["Dana"]) == "1 more approver, for legal"
    assert desk.lacks(desk.rule_for(["money"]), ["Dana", "Tom"]) == ""
    assert bank.lacks(bank.rule_for(["money"]), ["Dana", "Tom"]) == "1 more approver"
    assert desk.lacks(desk.rule_for([]), ["Tom", "Nobody"]) == "1 more approver, for compliance"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (TOML.replace("[rules]", "[rules"), "not TOML"),
        (TOML.replace("approvers = 2", "approvers = 0"), r"rules.tags.money.approvers: .*greater than or equal to 1"),
        (TOML.replace("approvers = 2", "aprovers = 2"), r"rules.tags.money.aprovers: Extra inputs"),
        (TOML.replace(KEY, KEY[:-4]), "people.Dana.keys: .* is not a public key"),
        (TOML + f'keys = ["{KEY}"]', "Dana and Tom have the same key"),
        (TOML.replace('roles = ["legal"]\n[rules.cat', 'roles = ["lgal"]\n[rules.cat'), "rules.tags.money: nobody has the role 'lgal'"),
        ("", "people: Field required"),
    ],
)
def test_what_is_wrong_is_named(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ApprovalError, match=message) as caught:
        load_people(written(tmp_path, text), "desk")
    assert caught.value.file.endswith("people.toml")
    assert caught.value.hint


def test_a_file_that_is_not_there_tells_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ApprovalError, match="cannot be read") as caught:
        load_people(tmp_path / "people.toml", "desk")
    assert "constrained keys new" in caught.value.hint


rules = st.builds(Rule, st.integers(1, 4), st.frozensets(st.sampled_from("abc")))
crowds = st.dictionaries(st.sampled_from("stuvw"), st.frozensets(st.sampled_from("abc")))


@given(rules, rules, crowds, st.data())
def test_a_rule_that_adds_never_lets_more_through(one: Rule, other: Rule, crowd: dict[str, frozenset[str]], data: st.DataObject) -> None:
    people = People("", "", {name: Person(name, roles, ()) for name, roles in crowd.items()}, Rule(), {})
    names = data.draw(st.sets(st.sampled_from("stuvwx")))
    both = one.also(other)
    assert both == other.also(one)
    assert bool(people.lacks(both, names)) == bool(people.lacks(one, names) or people.lacks(other, names))
    assert not (people.lacks(one, names | {"s"}) and not people.lacks(one, names))
