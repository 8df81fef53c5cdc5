"""A catalog with all that approvals of it need, and what is approved as whole files: the logic with its properties, and the people."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from constrained.approval.in_force import is_signing_required
from constrained.approval.keys import to_text
from constrained.approval.ledger import ANY, DraftEntry, Entry, Ledger, append, ledger_path, read_ledger
from constrained.approval.logic_files import LogicFiles, read_logic_files
from constrained.approval.logic_signatures import (
    changed_files,
    difference,
    is_signed_once,
    logic_path_of,
    logic_status,
    to_approve_logic,
    to_recall_logic,
)
from constrained.approval.people import People, Rule, load_people, people_path
from constrained.approval.people_changes import accepted_people, people_difference, to_approve_people, why_people_unsigned
from constrained.approval.worklist import SigningTerms
from constrained.catalog.load import load_catalog
from constrained.catalog.response import Catalog, FrozenDict
from constrained.cli.keys import read_key_of
from constrained.cli.screen import find_catalog, line, note, today
from constrained.errors import ApprovalError, CatalogError


@dataclass(frozen=True, slots=True)
class ApprovalFiles:
    """A catalog with all that approvals of it need; ``logic_file`` is the one that was named, where one was."""

    catalog: Catalog
    ledger_path: Path
    people: People
    ledger: Ledger
    logic_file: Path | None = None

    @property
    def logic_path(self) -> Path:
        return self.logic_file or logic_path_of(Path(self.catalog.path))

    @property
    def is_signing_required(self) -> bool:
        return is_signing_required(self.catalog, self.ledger)

    def read_logic(self) -> LogicFiles:
        """Raises ApprovalError where the catalog has no logic file."""
        if not self.logic_path.is_file():
            raise ApprovalError(f"there is no {self.logic_path}", file=str(self.logic_path), hint="name the logic file: --logic-file PATH")
        return read_logic_files(self.logic_path)


def read_approvals(target: str, logic_file: Path | None = None, *, is_to_stop: bool = False) -> ApprovalFiles:
    """A catalog with its people and its ledger.

    Args:
        is_to_stop: a file that is no catalog at the moment gives one without responses: a process that runs has the sound one
            still, and what the ledger holds of it can be recalled.

    Raises CatalogError, PackError or ApprovalError.
    """
    path = find_catalog(target)
    try:
        catalog = load_catalog(path)
    except CatalogError as error:
        if not is_to_stop:
            raise
        note(f"{error.message}; what its ledger holds can be recalled")
        catalog = Catalog(path.stem, 0, "", "", "", "", FrozenDict(), "", str(path))
    people = load_people(people_path(path), catalog.name)
    return ApprovalFiles(catalog, ledger_path(path), people, read_ledger(ledger_path(path), people, catalog.name), logic_file)


def sign(files: ApprovalFiles, drafts: list[DraftEntry], person: str, key: Path | None, *, has_looked: bool = False) -> tuple[Entry, ...]:
    """Signs and appends. ``has_looked``: what came into the ledger since is not lifted unseen."""
    known = len(files.ledger.entries) if has_looked else None
    secret, name = read_key_of(person, key), files.catalog.name
    return append(files.ledger_path, drafts, by=person, key=secret, people=files.people, catalog=name, known=known)


def describe_signed(entry: Entry, what: str) -> str:
    """What was signed, with the days and places that it counts for."""
    days = f"from {entry.first_day}" + (f" until {entry.until}" if entry.until else "")
    places = ", ".join(one for one in (*entry.channels, *entry.jurisdictions) if one != ANY)
    return f"{'restored' if entry.kind == 'restore' else 'approved'} {what} {days}" + (f" for {places}" if places else "")


def show_rule(rule: Rule) -> None:
    roles = f", for {' and '.join(sorted(rule.roles))}" if rule.roles else ""
    line(f"  needs {rule.approvers} {'approver' if rule.approvers == 1 else 'approvers'}{roles}", "dim")


def show_waiting_files(files: ApprovalFiles, terms: SigningTerms) -> None:
    """Whether people and logic wait, and the commands for it; nothing where they need no signature."""
    why = _why_people(files)
    if why:
        line(f"{files.people.path} {why}: constrained approve {files.catalog.name} --people", "bold yellow")
    if files.is_signing_required and files.logic_path.is_file():
        reason = _why_logic(files, terms)
        if reason:
            line(f"the logic {reason}: constrained approve {files.catalog.name} --logic", "bold yellow")


def check_people(files: ApprovalFiles) -> None:
    """Raises ApprovalError while the file of people waits: what is signed by somebody new would count for nothing."""
    why = _why_people(files)
    if why:
        hint = f"sign it first: constrained approve {files.catalog.name} --people --as PERSON"
        raise ApprovalError(f"{files.people.path} {why}", file=files.people.path, hint=hint)


# -- people.toml ------------------------------------------------------------------------------------------


def show_people(files: ApprovalFiles) -> None:
    """What changed since the last version that was signed."""
    why = why_people_unsigned(files.ledger, files.people, files.catalog.name)
    if not why:
        line(f"{files.people.path}: signed as it is", "bold green")
        return
    line(f"{files.people.path} {why}", "bold yellow")
    accepted = accepted_people(files.ledger, files.catalog.name, files.people.path)
    _show_difference(people_difference(accepted, files.people))
    show_rule((accepted or files.people).people_rule)


def sign_people(files: ApprovalFiles, terms: SigningTerms, person: str, key: Path | None) -> None:
    if terms.channels or terms.jurisdictions or terms.begins or terms.until:
        raise ApprovalError(
            "people.toml counts everywhere, until it is changed", hint="leave out --channel, --jurisdiction, --from, --until"
        )
    public = to_text(read_key_of(person, key).public_key())
    draft = to_approve_people(files.ledger, files.people, files.catalog.name, person, public, terms.reason)
    if draft is None:
        line(f"{files.people.path}: nothing that waits for {person}", "bold green")
    else:
        (entry,) = sign(files, [draft], person, key)
        line(f"signed {files.people.path} by {person}; entry {entry.sequence} of {files.ledger_path}")
    left = _why_people(read_approvals(files.catalog.path, files.logic_file))
    if left:
        line(f"still waits: {files.people.path} {left}", "yellow")


def _why_people(files: ApprovalFiles) -> str:
    return why_people_unsigned(files.ledger, files.people, files.catalog.name) if files.is_signing_required else ""


# -- the logic --------------------------------------------------------------------------------------------


def show_logic(files: ApprovalFiles, terms: SigningTerms) -> None:
    """Which files decide, and what changed in them since they were signed last."""
    logic = files.read_logic()
    reason = _why_logic(files, terms)
    line(f"the logic of {files.catalog.name}" + (f" by {logic.author}" if logic.author else "") + f": {reason or 'in force'}", "bold")
    changed = changed_files(logic, files.ledger)
    was_signed = is_signed_once(files.ledger)
    for name in dict.fromkeys((*logic.files, *changed)):
        state = "is gone" if name not in logic.files else "as it was signed" if name not in changed else "changed" if was_signed else "new"
        line(f"  {name}: {state}", "" if name in changed else "dim")
    _show_difference(difference(logic, files.ledger))
    if reason:
        show_rule(files.people.logic_rule)


def sign_logic(files: ApprovalFiles, terms: SigningTerms, person: str, key: Path | None, *, is_restoring: bool) -> None:
    logic = files.read_logic()
    draft = to_approve_logic(logic, files.ledger, files.people, terms, today(), by=person, is_restoring=is_restoring)
    if draft is None:
        line(f"the logic of {files.catalog.name}: nothing that waits for {person}", "bold green")
    else:
        (entry,) = sign(files, [draft], person, key, has_looked=True)
        line(f"{describe_signed(entry, 'the logic')}: {', '.join(logic.files)}")
        line(f"  {logic.version}; entry {entry.sequence} by {person} of {files.ledger_path}")
    left = _why_logic(read_approvals(files.catalog.path, files.logic_file), terms)
    if left:
        line(f"still waits: the logic {left}", "yellow")


def recall_logic(files: ApprovalFiles, terms: SigningTerms, person: str, key: Path | None) -> None:
    """Stops the logic: nothing is said by it from the next turn on."""
    (entry,) = sign(files, [to_recall_logic(terms)], person, key)
    line(f"recalled the logic: in force at the next turn; entry {entry.sequence} of {files.ledger_path}", "bold red")
    line("turns will raise ApprovalError and say nothing until other files, or these again, are approved", "bold red")


def _why_logic(files: ApprovalFiles, terms: SigningTerms) -> str:
    return logic_status(files.catalog, files.read_logic(), files.ledger, files.people, terms, today())


def _show_difference(lines: Iterable[str]) -> None:
    for one in lines:
        line(one, "green" if one.startswith("+") else "red" if one.startswith("-") else "dim")
