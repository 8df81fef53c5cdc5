"""Where approvals are required, only files that decide run as they were signed: logic, its modules, its properties."""

from __future__ import annotations

import datetime as dt
import importlib.util
import os
import py_compile
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from constrained import Dialogue, Policy
from constrained.approval import in_force, logic_signatures
from constrained.approval.in_force import why_logic_unapproved
from constrained.approval.logic_files import read_logic_files
from constrained.errors import ApprovalError, PolicyError
from constrained.packs import files_of, load_policy_file
from constrained.records.log import MemoryLog
from constrained.records.replay import replay
from tests.approval.office import TODAY, Office
from tests.approval.test_release import at

LOGIC = '''"""Says whatever it may, for a price that stands here and a word that stands elsewhere."""

import fees_of_the_desk
from constrained import State, must, policy, say

PRICE = 3


class Desk(State):
    warn: bool = False


@policy("desk")
def desk(state: Desk):
    """Offers all."""
    if state.warn:
        yield must("warning")
    yield say("hello")
    yield say("price", price=PRICE + fees_of_the_desk.FEE)
'''
REQUIRED = {"author": "Ada", "approvals": "required"}


def strict_desk(root: Path, **office: Any) -> Office:
    """A desk that requires approvals, with a module and properties, all signed by Dana."""
    made = Office(root, head=dict(REQUIRED), **office)
    made.logic_path.write_text(LOGIC)
    (root / "logic" / "fees_of_the_desk.py").write_text("FEE = 1\n")
    (root / "properties").mkdir()
    (root / "properties" / "desk.py").write_text('"""Nothing is claimed."""\n\nproperties = []\n')
    made.sign_people()
    made.approve()
    made.approve_logic()
    return made


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Office:
    monkeypatch.syspath_prepend(str(tmp_path / "logic"))
    return strict_desk(tmp_path)


def load(office: Office) -> Policy:
    return load_policy_file(office.logic_path, signed=True)


def new_process() -> None:
    """What a process has seen is forgotten, as in one that starts."""
    for kept in (in_force._known, in_force._ledgers, in_force._signed_people):
        kept.clear()  # type: ignore[attr-defined]  # three kinds of values


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def price(policy: Policy, **options: Any) -> str:
    turn = Dialogue(policy, **options).reply("what does it cost")
    return next(one.text for one in turn.decision.options if one.id == "price")


def test_what_is_signed_speaks(desk: Office) -> None:
    assert price(load(desk)) == "4 coins."
    assert list(desk.files.files) == ["logic/desk.py", "logic/fees_of_the_desk.py", "properties/desk.py"]


EDITS = {
    "a constant": ("logic/desk.py", "PRICE = 3", "PRICE = 500"),
    "a comment": ("logic/desk.py", "PRICE = 3", "PRICE = 3  # of the year"),
    "a condition": ("logic/desk.py", "if state.warn", "if not state.warn"),
    "another catalog": ("logic/desk.py", '@policy("desk")', '@policy("other")'),
    "a module": ("logic/fees_of_the_desk.py", "FEE = 1", "FEE = 9"),
    "a property": ("properties/desk.py", "properties = []", "properties = ()"),
}


@pytest.mark.parametrize("what", EDITS)
def test_an_edit_is_refused_and_named_until_it_is_signed(desk: Office, what: str) -> None:
    name, old, new = EDITS[what]
    edit(desk.root / name, old, new)
    with pytest.raises(ApprovalError, match="is not approved as it is now: it was edited after Dana") as caught:
        load(desk)
    assert Path(caught.value.file) == desk.root / name
    assert "constrained approve desk --logic" in caught.value.hint
    if what != "another catalog":
        with pytest.raises(ApprovalError, match="it was edited after Dana"):
            Dialogue(load_policy_file(desk.logic_path))  # also where the host did not ask
        Dialogue(load_policy_file(desk.logic_path), drafts=True)
        desk.approve_logic()
        assert price(load(desk)) == {"a constant": "501 coins.", "a module": "12 coins."}.get(what, "4 coins.")


FILES = ("logic/desk.py", "logic/fees_of_the_desk.py", "properties/desk.py")


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(FILES), st.integers(0, 10_000), st.integers(1, 255), st.sampled_from(["change", "insert", "delete"]))
def test_not_one_byte_is_other_than_signed(name: str, place: int, by: int, how: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        sys.path.insert(0, str(Path(folder, "logic")))
        try:
            desk = strict_desk(Path(folder).resolve())
            path = desk.root / name
            content = bytearray(path.read_bytes())
            place %= len(content)
            if how == "change":
                content[place] ^= by
            elif how == "insert":
                content.insert(place, by)
            else:
                del content[place]
            path.write_bytes(content)
            with pytest.raises(ApprovalError):
                load(desk)
        finally:
            sys.path.remove(str(Path(folder, "logic")))


def test_what_is_not_signed_is_not_even_run(desk: Office, tmp_path: Path) -> None:
    edit(desk.logic_path, "PRICE = 3", f"PRICE = 3\nopen({str(tmp_path / 'ran')!r}, 'w').close()")
    with pytest.raises(ApprovalError):
        load(desk)
    with pytest.raises(ApprovalError):
        Dialogue(load_policy_file(desk.logic_path))
    (tmp_path / "ran").unlink()  # by the second: a host that loads without asking runs what it loads
    desk.approve_logic()
    load(desk)


def test_a_file_that_changes_between_check_and_load_is_not_run(desk: Office, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check = logic_signatures.require_signed

    def changed_after(files: Any) -> None:
        check(files)
        for path in (desk.logic_path, desk.root / "logic" / "fees_of_the_desk.py"):
            path.write_text(f"open({str(tmp_path / 'ran')!r}, 'w').close()\n" + path.read_text())

    monkeypatch.setattr("constrained.packs.require_signed", changed_after)
    with pytest.raises(PolicyError, match="changed while it was loaded"):
        load(desk)
    assert not (tmp_path / "ran").exists()


def test_no_compiled_copy_is_taken(desk: Office) -> None:
    times = desk.logic_path.stat()
    signed = desk.logic_path.read_text()
    desk.logic_path.write_text(signed.replace("PRICE = 3", "PRICE = 9"))
    os.utime(desk.logic_path, ns=(times.st_atime_ns, times.st_mtime_ns))
    py_compile.compile(str(desk.logic_path), importlib.util.cache_from_source(str(desk.logic_path)), doraise=True)
    desk.logic_path.write_text(signed)
    os.utime(desk.logic_path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert price(load(desk)) == "4 coins."


def test_a_renamed_file_is_another_one(desk: Office) -> None:
    (desk.root / "logic" / "fees_of_the_desk.py").rename(desk.root / "logic" / "other_fees.py")
    edit(desk.logic_path, "import fees_of_the_desk", "import other_fees as fees_of_the_desk")
    with pytest.raises(ApprovalError, match=r"desk\.py \(and 2 more\): the logic of 'desk' is not approved as it is now"):
        load(desk)


def test_modules_of_modules_are_signed(desk: Office) -> None:
    package = desk.root / "logic" / "rates_of_the_desk"
    package.mkdir()
    (package / "__init__.py").write_text("from .table import RATE as RATE\n")
    (package / "table.py").write_text("RATE = 2\n")
    (desk.root / "logic" / "fees_of_the_desk.py").write_text("import rates_of_the_desk\n\nFEE = rates_of_the_desk.RATE\n")
    assert "logic/rates_of_the_desk/table.py" in desk.files.files
    with pytest.raises(ApprovalError):
        load(desk)
    desk.approve_logic()
    assert price(load(desk)) == "5 coins."
    edit(package / "table.py", "RATE = 2", "RATE = 3")
    with pytest.raises(ApprovalError, match=r"rates_of_the_desk.table\.py"):
        load(desk)


def test_a_module_that_no_import_statement_names_is_not_run(desk: Office) -> None:
    (desk.root / "logic" / "secret_fees.py").write_text("FEE = 7\n")
    edit(desk.logic_path, "import fees_of_the_desk", "import importlib\n\nfees_of_the_desk = importlib.import_module('secret_fees')")
    desk.approve_logic()
    with pytest.raises(PolicyError, match="no import statement says so"):
        load(desk)
    assert "secret_fees" not in sys.modules


def test_a_module_that_is_imported_late_is_the_signed_one(desk: Office) -> None:
    late = desk.root / "logic" / "late_fees_of_the_desk.py"
    late.write_text("FEE = 2\n")
    text = "def fee():\n    import late_fees_of_the_desk\n\n    return late_fees_of_the_desk.FEE\n"
    (desk.root / "logic" / "fees_of_the_desk.py").write_text(text)
    edit(desk.logic_path, "fees_of_the_desk.FEE", "fees_of_the_desk.fee()")
    desk.approve_logic()
    policy = load(desk)
    late.write_text("FEE = 500\n")
    assert price(policy) == "5 coins."


@pytest.mark.skipif(sys.platform == "win32", reason="links need a right there")
def test_a_link_is_what_it_leads_to(desk: Office, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "fees.py"
    shutil.copy(desk.root / "logic" / "fees_of_the_desk.py", elsewhere)
    (desk.root / "logic" / "fees_of_the_desk.py").unlink()
    (desk.root / "logic" / "fees_of_the_desk.py").symlink_to(elsewhere)
    assert price(load(desk)) == "4 coins.", "the same words under the same name"
    elsewhere.write_text("FEE = 2\n")
    with pytest.raises(ApprovalError, match=r"fees_of_the_desk\.py"):
        load(desk)


def test_a_missing_file_is_a_change(desk: Office) -> None:
    (desk.root / "properties" / "desk.py").unlink()
    with pytest.raises(ApprovalError, match=r"properties.desk\.py: the logic"):
        load(desk)


def test_going_back_to_what_was_signed_needs_no_signature(desk: Office) -> None:
    edit(desk.logic_path, "PRICE = 3", "PRICE = 4")
    desk.approve_logic()
    edit(desk.logic_path, "PRICE = 4", "PRICE = 3")
    assert price(load(desk)) == "4 coins."


def test_a_recall_ends_every_version_before_it(desk: Office) -> None:
    edit(desk.logic_path, "PRICE = 3", "PRICE = 4")
    desk.approve_logic()
    dialogue = Dialogue(load(desk))
    dialogue.reply("hello")
    desk.recall_logic()
    with pytest.raises(ApprovalError, match=r"the logic of 'desk' was recalled by Tom on .*: wrong"):
        dialogue.reply("hello")
    edit(desk.logic_path, "PRICE = 4", "PRICE = 3")
    with pytest.raises(ApprovalError, match="was recalled by Tom"):
        load(desk)
    with pytest.raises(ApprovalError, match="was recalled by Tom"):
        desk.approve_logic()
    desk.approve_logic(kind="restore")
    assert price(load(desk)) == "4 coins."


def test_what_mends_a_recalled_logic_needs_a_plain_approval(desk: Office) -> None:
    """It stood on the disk already when the recall was signed."""
    edit(desk.logic_path, "PRICE = 3", "PRICE = 4")
    desk.recall_logic()
    with pytest.raises(ApprovalError, match="is not approved as it is now"):
        load(desk)
    desk.approve_logic()
    assert price(load(desk)) == "5 coins."


def test_an_approval_ends_in_a_running_conversation(desk: Office) -> None:
    edit(desk.logic_path, "PRICE = 3", "PRICE = 4")
    desk.approve_logic(until=TODAY + dt.timedelta(days=7))
    policy = load(desk)
    assert price(policy, now=at(TODAY + dt.timedelta(days=7))) == "5 coins."
    with pytest.raises(ApprovalError, match="was approved until"):
        price(policy, now=at(TODAY + dt.timedelta(days=8)))
    days = iter([TODAY, TODAY, TODAY + dt.timedelta(days=8)])
    dialogue = Dialogue(policy, now=lambda: dt.datetime.combine(next(days), dt.time(12, tzinfo=dt.UTC)))
    dialogue.reply("hello")
    with pytest.raises(ApprovalError, match="was approved until"):
        dialogue.reply("hello")


def test_an_edit_leaves_a_running_conversation_with_what_was_signed(desk: Office) -> None:
    dialogue = Dialogue(load(desk))
    edit(desk.logic_path, "PRICE = 3", "PRICE = 500")
    turn = dialogue.reply("hello")
    assert [one.text for one in turn.decision.options if one.id == "price"] == ["4 coins."]


def test_a_logic_for_one_channel_speaks_there_only(desk: Office) -> None:
    edit(desk.logic_path, "PRICE = 3", "PRICE = 4")
    desk.approve_logic(channels=("sms",))
    policy = load(desk)
    assert price(policy, channel="SMS") == "5 coins."
    with pytest.raises(ApprovalError, match="is not approved"):
        Dialogue(policy)


@pytest.mark.parametrize(("rules", "signers", "is_enough"), [
    ('[rules.logic]\nroles = ["legal"]\n', ["Dana"], False),
    ('[rules.logic]\nroles = ["legal"]\n', ["Tom"], True),
    ('[rules.logic]\napprovers = 2\n', ["Dana"], False),
    ('[rules.logic]\napprovers = 2\n', ["Dana", "Tom"], True),
    ('[rules]\nroles = ["compliance"]\n[rules.logic]\nroles = ["legal"]\n', ["Tom"], False),
    ('[rules]\nroles = ["compliance"]\n[rules.logic]\nroles = ["legal"]\n', ["Lena"], True),
])  # fmt: skip
def test_who_signs_is_a_rule(tmp_path: Path, rules: str, signers: list[str], is_enough: bool) -> None:
    office = Office(tmp_path, head=dict(REQUIRED), rules=rules)
    office.sign_people("Lena")
    office.approve("Lena")
    for person in signers:
        office.approve_logic(person)
    if is_enough:
        load(office)
    else:
        with pytest.raises(ApprovalError, match="is not approved: it needs 1 more approver"):
            load(office)


def test_nobody_approves_the_logic_that_they_wrote(desk: Office) -> None:
    edit(desk.logic_path, "PRICE = 3", '__author__ = "Dana"\nPRICE = 3')
    with pytest.raises(ApprovalError, match="Dana wrote the logic and cannot approve it"):
        desk.approve_logic("Dana")
    desk.approve_logic("Tom")
    load(desk)
    draft = desk.ledger.by_response["@logic"][-1]
    forged = draft.model_copy(update={"by": "Dana", "author": ""})
    found = in_force.Signatures((forged,))
    assert why_logic_unapproved(found, "Dana", desk.people, TODAY), "whatever the entry says of the author"


def test_once_signed_logic_must_be_signed_whatever_the_catalog_says(desk: Office) -> None:
    del desk.head["approvals"]
    desk.write()
    edit(desk.logic_path, "PRICE = 3", "PRICE = 500")
    with pytest.raises(ApprovalError, match="it was edited after Dana"):
        load(desk)


def test_a_game_needs_none_of_it(tmp_path: Path) -> None:
    office = Office(tmp_path)
    price(load(office))
    office.approve()
    turn = Dialogue(load(office)).reply("hello")
    assert "logic" not in turn.record.versions


def test_a_record_tells_which_logic_decided_and_its_replay_whether_it_was_signed(desk: Office) -> None:
    log = MemoryLog()
    policy = load(desk)
    Dialogue(policy, log=log).reply("hello")
    (record,) = log.records
    assert record.versions["logic"] == files_of(policy).version == desk.files.version
    assert [one.is_same for one in replay(policy, [record])] == [True]
    other = record.model_copy(update={"versions": {**record.versions, "logic": "sha256:" + "0" * 64}})
    (replayed,) = replay(policy, [other], strict=False)
    assert [one.what for one in replayed.differences] == ["logic", "turn"], "the check before a release refuses it, too"
    desk.recall_logic()
    assert [one.is_same for one in replay(policy, [record])] == [True], "what is recalled later was signed then"


@pytest.fixture
def host(desk: Office) -> Iterator[Any]:
    """The logic, imported by the host itself."""
    spec = importlib.util.spec_from_file_location("desk_of_the_host", desk.logic_path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["desk_of_the_host"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["desk_of_the_host"]
    sys.modules.pop("fees_of_the_desk", None)


def test_logic_that_the_host_imported_itself_is_held_against_its_signature(host: Any, desk: Office) -> None:
    assert price(host.desk) == "4 coins."


def test_logic_that_changed_since_the_host_imported_it_is_refused(host: Any, desk: Office) -> None:
    edit(desk.logic_path, "PRICE = 3", "PRICE = 500")
    desk.approve_logic()
    with pytest.raises(ApprovalError, match="has changed since it was imported"):
        Dialogue(host.desk)


def test_two_packs_with_modules_of_one_name_get_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prices = []
    for number in (1, 2):
        (tmp_path / str(number)).mkdir()
        office = Office(tmp_path / str(number))
        office.logic_path.write_text(LOGIC)
        (office.root / "logic" / "fees_of_the_desk.py").write_text(f"FEE = {number}\n")
        monkeypatch.syspath_prepend(str(office.root / "logic"))
        office.approve()
        prices.append(price(load(office)))
    assert prices == ["4 coins.", "5 coins."]


def test_reading_imports_runs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "logic").mkdir()
    (tmp_path / "logic" / "one.py").write_text(
        "def f():\n    from pkg_of_one import a, b\n    import xml.dom.minidom\n    import folder_of_one.inner.c\n"
    )
    (tmp_path / "pkg_of_one").mkdir()
    for name, text in {"__init__": "1 / 0", "a": "from . import b\nfrom .. import nothing", "b": "'not \\x00 python"}.items():
        (tmp_path / "pkg_of_one" / f"{name}.py").write_text(text)
    (tmp_path / "folder_of_one" / "inner").mkdir(parents=True)
    (tmp_path / "folder_of_one" / "inner" / "c.py").write_text("1 / 0")
    monkeypatch.syspath_prepend(str(tmp_path))
    found = read_logic_files(tmp_path / "logic" / "one.py")
    assert list(found.files) == [
        "logic/one.py",
        "folder_of_one/inner/c.py",
        "pkg_of_one/__init__.py",
        "pkg_of_one/a.py",
        "pkg_of_one/b.py",
    ]
    assert found.text == read_logic_files(tmp_path / "logic" / "one.py").text
