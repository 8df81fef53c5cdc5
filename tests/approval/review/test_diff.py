"""Differences of two versions of a pack: by meaning, complete, and none for what only looks different."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from constrained.analysis.diff import Change, PackVersion, differences, markdown, offers_with_conditions
from constrained.packs import load_policy, load_policy_file
from tests.approval.office import LOGIC, Office
from tests.cli.conftest import Run


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Office, Office]:
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
    return Office(tmp_path / "old"), Office(tmp_path / "new")


def side(office: Office) -> PackVersion:
    policy = load_policy_file(office.root / "logic" / "desk.py")
    return PackVersion(policy.catalog, policy)


def changes(pair: tuple[Office, Office]) -> list[Change]:
    return differences(side(pair[0]), side(pair[1]))


def told(found: list[Change], section: str) -> dict[str, str]:
    return {change.about: change.what for change in found if change.section == section}


def test_the_same_words_in_another_file_are_no_difference(pair: tuple[Office, Office]) -> None:
    old, new = pair
    new.path.write_text("# a remark\n" + old.path.read_text())
    (new.root / "logic" / "desk.py").write_text(LOGIC.replace('"""Offers all."""', '"""Offers all."""  # a remark'))
    assert changes(pair) == []
    assert "No difference" in markdown("desk", [])


def test_a_renamed_response_is_told_as_such_and_as_nothing_else(pair: tuple[Office, Office]) -> None:
    _, new = pair
    new.responses["greeting"] = new.responses.pop("hello") | {"aliases": ["hello"]}
    new.write()
    (new.root / "logic" / "desk.py").write_text(LOGIC.replace('"hello"', '"greeting"'))
    found = [(change.section, change.about, change.what) for change in changes(pair) if change.section not in ("Approvals", "Code")]
    assert found == [
        ("Texts", "greeting", "renamed, was hello"),
        ("What it answers, slots, tags", "greeting", "key changed"),
        ("What it answers, slots, tags", "greeting", "aliases changed"),
    ]


def test_texts_slots_tags_and_examples(pair: tuple[Office, Office]) -> None:
    _, new = pair
    new.responses["hello"] |= {"text": {"en": "Hi.", "fr": "Salut."}, "when": "somebody greets", "examples": ["hey"]}
    new.responses["price"] |= {"slots": {"price": "decimal"}, "tags": []}
    new.responses["bye"] = {"text": "Bye.", "when": "the end", "tags": ["reserve"]}
    new.head["author"] = "Bo"
    new.write()
    found = changes(pair)
    hello = [(change.what, change.details) for change in found if change.about == "hello" and change.section == "Texts"]
    assert hello == [
        ("text in en changed", ("- Hello.", "+ Hi.")),
        ("text in es taken out", ("- Hola.",)),
        ("text in fr added", ("+ Salut.",)),
    ]
    assert told(found, "Texts")["bye"] == "new response"
    fields = {(change.about, change.what) for change in found if change.section.startswith("What it answers")}
    assert {("hello", "when changed"), ("hello", "examples: 1 new, 0 gone"), ("price", "slots changed"), ("price", "tags changed")} < fields
    reopened = [(change.about, change.what) for change in found if change.section == "Approvals"]
    assert reopened == [
        ("hello", "the approval in en is reopened"),
        ("hello", "needs an approval in fr"),
        ("price", "the approval in en is reopened"),
        ("bye", "needs an approval in en"),
    ]


def test_conditions_reach_and_obligations(pair: tuple[Office, Office]) -> None:
    _, new = pair
    logic = LOGIC.replace('    yield say("hello")\n', '    if not state.warn:\n        yield say("hello")\n')
    logic = logic.replace('yield must("warning")', 'yield say("warning")').replace(
        'yield say("price", price=3)', 'yield must("price", price=4)'
    )
    (new.root / "logic" / "desk.py").write_text(logic)
    found = changes(pair)
    logic_changes = {change.about: change.details for change in found if change.section == "Logic"}
    assert logic_changes["hello"] == ("- say() when in desk", "+ say() when in desk and (not state.warn)")
    assert logic_changes["price"] == ("- say(price=3) when in desk", "+ must(price=4) when in desk")
    assert told(found, "Reach").keys() == {"warning", "price"}
    assert told(found, "Obligations") == {
        "price": "must be said now, in some states",
        "warning": "is no longer obliged in any sampled state",
    }


def test_conditions_of_the_packs_are_read_as_a_person_would(pair: tuple[Office, Office]) -> None:
    offers = offers_with_conditions(load_policy("tavern"))
    assert all(one.count("when in ") == 1 for found in offers.values() for one in found)
    otherwise = LOGIC.replace('    yield say("hello")', '    if state.warn:\n        pass\n    else:\n        yield say("hello")')
    (pair[0].root / "logic" / "desk.py").write_text(otherwise)
    assert offers_with_conditions(load_policy_file(pair[0].root / "logic" / "desk.py"))["hello"] == [
        "say() when in desk and not state.warn"
    ]
    early = LOGIC.replace('    yield say("hello")', '    if state.warn:\n        return\n    yield say("hello")')
    (pair[1].root / "logic" / "desk.py").write_text(early)
    found = offers_with_conditions(load_policy_file(pair[1].root / "logic" / "desk.py"))
    assert found["hello"] == ["say() when in desk and not state.warn"]


def test_a_text_is_shown_as_code_whatever_is_in_it() -> None:
    text = markdown("desk", [Change("Texts", "a", "changed", ("- `x` <b>", "+ two\nlines"))])
    assert "  - was `` `x` <b> ``" in text
    assert "  - now `two lines`" in text


def test_the_command_compares_folders_files_and_revisions(
    pair: tuple[Office, Office],
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    old, new = pair
    same = run("diff", str(old.root), str(old.root), "--exit-code")
    assert (same.status, "No difference" in same.out) == (0, True)
    new.responses["hello"]["text"]["en"] = "Hi."
    new.write()
    for one, other in ((old.root, new.root), (old.path, new.path)):
        done = run("diff", str(one), str(other), "--exit-code")
        assert (done.status, "- **hello**: text in en changed" in done.out) == (1, True)
    monkeypatch.chdir(old.root)
    git = ["git", "-c", "user.email=a@b.c", "-c", "user.name=a"]
    for arguments in (["init", "-q"], ["add", "."], ["commit", "-qm", "x"]):
        subprocess.run([*git, *arguments], check=True)
    old.responses["hello"]["text"]["en"] = "Hey."
    old.write()
    assert "now `Hey.`" in run("diff", "HEAD").out
    for wrong in ("nowhere", "--output=x"):
        failed = run("diff", "--", wrong)
        assert (failed.status, "neither a path nor a revision" in failed.err) == (1, True)
    (old.root / "catalogs" / "more.yaml").write_text(old.path.read_text())
    assert "new pack" in run("diff", "HEAD", "--pack", "more").out


@pytest.mark.parametrize(
    ("old", "new", "about", "details"),
    [
        ("PRICE = 3\n", "PRICE = 4\n", "PRICE", ("- PRICE = 3", "+ PRICE = 4")),
        ("return state.warn", "return not state.warn", "is_open", ("-     return state.warn", "+     return not state.warn")),
        ("case True:", "case _:", "desk", ("-         case True:", "+         case _:")),
        ("warn: bool = False", "warn: bool = True", "Desk", ("-     warn: bool = False", "+     warn: bool = True")),
        ("import State,", "import Item, State,", "imports", ()),
    ],
)
def test_what_no_condition_shows_is_told_as_code(pair: tuple[Office, Office], old: str, new: str, about: str, details: tuple[str]) -> None:
    """A constant behind a slot, a helper behind a condition, a way out that is no ``if``: never "no difference"."""
    logic = LOGIC.replace('@policy("desk")', 'PRICE = 3\n\n\ndef is_open(state):\n    return state.warn\n\n\n@policy("desk")')
    logic = logic.replace('yield say("price", price=3)', 'if is_open(state):\n        yield say("price", price=PRICE)')
    logic = logic.replace("    if state.warn:", "    match state.warn:\n        case True:\n            pass\n    if state.warn:")
    assert old in logic
    for office, text in zip(pair, (logic, logic.replace(old, new)), strict=True):
        (office.root / "logic" / "desk.py").write_text(text.replace("Item, ", "must as item, "))
    found = [change for change in changes(pair) if change.section == "Code"]
    assert [change.about for change in found] == [about]
    if details:
        assert found[0].details == details


def test_documents_and_what_texts_are_held_against(pair: tuple[Office, Office]) -> None:
    old, new = pair
    old.head |= {"documents": {"fees": {"file": "fees.md", "on_change": "suspend"}}, "review": {"forbidden": ["we guarantee"]}}
    new.head |= {"documents": {"fees": {"file": "fees.md", "on_change": "flag"}, "law": {"file": "law.md"}}}
    for office in pair:
        office.write()
    found = {change.about: change.details for change in changes(pair) if change.section == "Catalog"}
    assert found == {
        "documents.fees": ("- fees.md, on change: suspend", "+ fees.md, on change: flag"),
        "documents.law": ("- none", "+ law.md, on change: flag"),
        "review.forbidden": ("- ('we guarantee',)", "+ ()"),
    }
