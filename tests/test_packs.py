"""Packs by name: where they are looked for, and what is told when one is missing or broken."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from constrained.errors import CatalogError, PackError, PolicyError
from constrained.logic.state import Memory
from constrained.pack_folders import catalog_path, find_pack, list_packs
from constrained.packs import load_policy, load_policy_file

SHIPPED = ["bank_disputes", "caravan", "clinic_booking", "tavern"]
CATALOG = """
catalog: {name}
version: 1
locale: en
fallback: pardon
responses:
  pardon: {{text: Pardon?, when: nothing else fits}}
  greet: {{text: "Hello from {where}.", when: the user says hello}}
"""
LOGIC = '''
"""What a small desk may say."""
from constrained import State, policy, say


class Desk(State):
    """Nothing to know."""


@policy("{name}")
def desk(state: Desk):
    """Greets."""
    yield say("greet")
'''


def write_pack(folder: Path, name: str, where: str = "here", logic: str = LOGIC) -> None:
    texts = {f"catalogs/{name}.yaml": CATALOG.format(name=name, where=where), f"logic/{name}.py": logic.format(name=name)}
    for path, text in texts.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_shipped_packs_are_found_from_anywhere(here: Path) -> None:
    assert list_packs() == SHIPPED
    for name in SHIPPED:
        pack = find_pack(name)
        assert pack.catalog_path.is_file()
        assert pack.logic_path.is_file()
        assert pack.dialogues_path is not None
        assert load_policy(name).catalog.name == name


def test_the_working_directory_comes_first(here: Path) -> None:
    write_pack(here, "tavern", where="my own tavern")
    assert find_pack("tavern").catalog_path == here / "catalogs" / "tavern.yaml"
    assert find_pack("tavern").dialogues_path is None
    policy = load_policy("tavern")
    assert policy.catalog["greet"].texts["en"].source == "Hello from my own tavern."
    assert Path(policy.file) == here / "logic" / "tavern.py"


def test_a_logic_file_finds_the_catalog_beside_it_from_anywhere(tmp_path: Path, here: Path) -> None:
    write_pack(here / "elsewhere", "harbour", where="elsewhere")
    policy = load_policy_file(here / "elsewhere" / "logic" / "harbour.py")
    assert policy.catalog["greet"].texts["en"].source == "Hello from elsewhere."


def test_a_pack_is_loaded_once_and_anew_when_a_file_changes(here: Path) -> None:
    write_pack(here, "harbour", where="the old quay")
    first = load_policy("harbour")
    assert load_policy("harbour") is first
    write_pack(here, "harbour", where="the new quay")
    second = load_policy("harbour")
    assert second.catalog["greet"].texts["en"].source == "Hello from the new quay."
    assert first.catalog["greet"].texts["en"].source == "Hello from the old quay."


def test_a_logic_file_is_executed_anew_when_the_catalog_that_it_names_changes(here: Path) -> None:
    write_pack(here, "harbour", logic=LOGIC.replace('"{name}"', '"../words/other.yaml"'))
    (here / "words").mkdir()
    other = here / "words" / "other.yaml"
    other.write_text(CATALOG.format(name="other", where="here"), encoding="utf-8")
    first = load_policy("harbour")
    assert load_policy("harbour") is first
    other.write_text(CATALOG.format(name="other", where="there"), encoding="utf-8")
    second = load_policy("harbour")
    assert second.catalog["greet"].texts["en"].literal == "Hello from there."
    other.write_text(CATALOG.format(name="other", where="here"), encoding="utf-8")
    assert load_policy("harbour") is first


def test_a_catalog_that_is_put_beside_a_logic_file_is_taken_from_then_on(here: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    write_pack(here, "harbour", "working directory")
    alone = tmp_path_factory.mktemp("elsewhere")
    write_pack(alone, "harbour", "beside")
    beside = (alone / "catalogs" / "harbour.yaml").rename(alone / "later.yaml")
    logic = alone / "logic" / "harbour.py"
    assert load_policy_file(logic).catalog["greet"].texts["en"].literal == "Hello from working directory."
    beside.rename(alone / "catalogs" / "harbour.yaml")
    assert load_policy_file(logic).catalog["greet"].texts["en"].literal == "Hello from beside."


def test_two_packs_of_one_name_do_not_collide(here: Path) -> None:
    write_pack(here / "a", "harbour", where="a")
    write_pack(here / "b", "harbour", where="b")
    a, b = (load_policy_file(here / folder / "logic" / "harbour.py") for folder in "ab")
    assert (a.catalog["greet"].texts["en"].source, b.catalog["greet"].texts["en"].source) == ("Hello from a.", "Hello from b.")
    assert a.state_type is not b.state_type


def test_a_host_that_imported_the_logic_gets_its_own_classes(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_pack(here, "harbour")
    monkeypatch.syspath_prepend(here / "logic")
    import harbour  # type: ignore[import-not-found]  # written by this test

    try:
        assert load_policy("harbour") is harbour.desk
        assert load_policy("harbour").state_type is harbour.Desk
    finally:
        del sys.modules["harbour"]


def test_loading_adds_nothing_to_the_path(here: Path) -> None:
    before = list(sys.path)
    write_pack(here, "harbour")
    load_policy("harbour")
    assert sys.path == before


def test_an_unknown_pack_names_near_ones_and_where_it_was_sought(here: Path) -> None:
    with pytest.raises(PackError) as caught:
        find_pack("tavren")
    assert caught.value.hint == "did you mean tavern?"
    assert caught.value.name == "tavren"
    assert here in caught.value.searched
    assert str(here) in caught.value.message


def test_an_unlike_name_lists_all_packs(here: Path) -> None:
    with pytest.raises(PackError) as caught:
        find_pack("zzz")
    assert all(name in caught.value.hint for name in SHIPPED)
    assert "constrained new zzz" in caught.value.hint


HALVES = ("catalogs/harbour.yaml", "logic/harbour.py")


@pytest.mark.parametrize(("present", "missing"), [HALVES, HALVES[::-1]])
def test_half_a_pack_says_which_half_is_missing(present: str, missing: str, here: Path) -> None:
    write_pack(here, "harbour")
    (here / missing).unlink()
    with pytest.raises(PackError, match="half of the pack 'harbour' is missing") as caught:
        find_pack("harbour")
    assert str(here / missing) in caught.value.message
    assert str(here / present) in caught.value.message


def test_a_catalog_without_logic_is_still_found_as_a_catalog(here: Path) -> None:
    write_pack(here, "harbour")
    (here / "logic" / "harbour.py").unlink()
    assert catalog_path("harbour") == here / "catalogs" / "harbour.yaml"
    with pytest.raises(PackError, match="there is no catalog 'harbor'") as caught:
        catalog_path("harbor")
    assert caught.value.hint == "did you mean harbour?"


@given(st.text() | st.sampled_from(["../tavern", "a/b", "Tavern", "1st", "", "tavern\n", "tavern.yaml", "..", "a\0b"]))
def test_no_name_leaves_the_folders(name: str) -> None:
    if name in SHIPPED:
        return
    with pytest.raises(PackError, match="there is no pack" if re.fullmatch(r"[a-z][a-z0-9_]*", name, re.ASCII) else "is not a pack name"):
        find_pack(name)


BROKEN = {
    "syntax": ("def desk(:\n", 1, "invalid syntax"),
    "name": ("import constrained\n\nundefined_name\n", 3, "NameError: name 'undefined_name' is not defined"),
    "import": ("import no_such_module_anywhere\n", 1, "ModuleNotFoundError: No module named 'no_such_module_anywhere'"),
    "exit": ("x = 1\nraise SystemExit(3)\n", 2, "SystemExit: 3"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_logic_file_that_cannot_be_imported_names_its_line(kind: str, here: Path) -> None:
    code, line, text = BROKEN[kind]
    before = set(sys.modules)
    write_pack(here, "harbour", logic=code)
    with pytest.raises(PolicyError) as caught:
        load_policy("harbour")
    assert [(problem.file, problem.line) for problem in caught.value.problems] == [(str(here / "logic" / "harbour.py"), line)]
    assert text in caught.value.problems[0].message
    assert not [name for name in set(sys.modules) - before if name.startswith("constrained_pack_harbour")]


def test_a_logic_file_defines_one_policy(here: Path) -> None:
    write_pack(here, "harbour", logic='"""No policy here."""\n')
    with pytest.raises(PolicyError, match=r"defines one policy, .* defines none"):
        load_policy("harbour")
    second = LOGIC + '\n\n@policy("{name}")\ndef other(state: Desk):\n    """Too."""\n    yield say("greet")\n'
    write_pack(here, "harbour", logic=second)
    with pytest.raises(PolicyError, match=r"defines one policy, .* defines 2"):
        load_policy("harbour")


def test_a_broken_catalog_is_told_as_such(here: Path) -> None:
    write_pack(here, "harbour")
    path = here / "catalogs" / "harbour.yaml"
    path.write_text(path.read_text().replace("fallback: pardon", "fallback: nobody"), encoding="utf-8")
    with pytest.raises(CatalogError) as caught:
        load_policy("harbour")
    assert caught.value.problems[0].file == str(path)


def test_a_file_that_is_not_there(here: Path) -> None:
    with pytest.raises(PolicyError, match="cannot be read"):
        load_policy_file(here / "logic" / "nobody.py")


@pytest.mark.parametrize(
    ("heard", "replies", "failed", "said"),
    [
        ({"transaction": "Kestrel Shoes"}, ("not_received", "filing_now"), "file_dispute", "filing_failed"),
        ({"transaction": "Kestrel Shoes"}, ("block_first", "blocking_now"), "block_card", "block_failed"),
    ],
)
def test_what_the_bank_could_not_do_is_told_as_such(heard: dict[str, str], replies: tuple[str, ...], failed: str, said: str) -> None:
    from constrained.logic.allow import run, with_outcomes

    policy = load_policy("bank_disputes")
    state, memory = policy.state_type.default().replace(identified=True), Memory()
    for reply in replies:
        ran = run(policy, state, policy.heard_type(**heard), memory)
        memory = ran.after(next(option for option in ran.allowed.options if option.id == reply))
    ran = run(policy, state, None, with_outcomes(memory, failed=[failed]))
    assert [option.id for option in ran.allowed.options] == [said]
