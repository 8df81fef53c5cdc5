"""``constrained approve``, ``recall`` and ``keys``: what waits for a signature, signing it, stopping a response, and the keys for it."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from constrained.approval.keys import load_private, load_public, new_pair, password_of_environment, public_path, to_text
from constrained.approval.ledger import ANY, DraftEntry, Ledger, append, ledger_path, read_ledger
from constrained.approval.people import People, load_people, people_path
from constrained.approval.worklist import SigningTerms, VersionStatus, open_versions, to_approve, to_recall
from constrained.catalog.load import load_catalog
from constrained.catalog.response import Catalog, FrozenDict
from constrained.cli.screen import CATALOG, catalog_of, find_catalog, line, note, parse_day, today
from constrained.errors import ApprovalError, CatalogError, KeyFileError
from constrained.records.log import read_log
from constrained.records.record import Record

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


keys_app = typer.Typer(help="Keys of the people who approve.", no_args_is_help=True)


@keys_app.command("new")
def new_key(
    person: Annotated[str, typer.Argument(help="Whose key: the name that stands in people.toml.")],
    file: Annotated[Path | None, typer.Option("--file", help="Where the private key goes; else among the keys of this user.")] = None,
) -> None:
    """Make a key pair, and print what goes into people.toml.

    The private key is encrypted when CONSTRAINED_KEY_PASSWORD is set.
    """
    path = file or _key_path(person)
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise KeyFileError(f"{path.parent} cannot be made: {error.strerror}", file=str(path), hint="name a file with --file") from error
    public = new_pair(path, password=password_of_environment())
    line(f"the private key of {person}: {path} (keep it; it is in no repository)")
    line(f"the public key, to give away: {public_path(path)}")
    line("put this into people.toml beside the catalogs, with the roles of this person:")
    line()
    line(f'[people."{person}"]')
    line('roles = ["compliance"]')
    line(f'keys = ["{to_text(public)}"]')


@keys_app.command("list")
def list_keys(
    people: Annotated[Path, typer.Option(help="The people.toml that says whose a key is.")] = Path("catalogs/people.toml"),
) -> None:
    """The private keys of this user, and whose each is."""
    known = _names_by_key(people)
    for path in sorted(_key_folder().glob("*.pem")):
        if not path.name.endswith(".pub.pem"):
            public = public_path(path)
            text = to_text(load_public(public)) if public.is_file() else ""
            line(f"{known.get(text, '(nobody in people.toml)')}: {path}")


def _names_by_key(people: Path) -> dict[str, str]:
    """Public key, as a line of text -> person. Empty where there is no such file."""
    if not people.is_file():
        return {}
    return {key.text: name for name, person in load_people(people, "").people.items() for key in person.keys}


def read_private_key(path: Path) -> Ed25519PrivateKey:
    """The private key in a file, with the password of the environment. Raises KeyFileError."""
    return load_private(path, password=password_of_environment())


def read_key_of(person: str, file: Path | None) -> Ed25519PrivateKey:
    """A person's private key: of ``file``, else of the key folder. Raises KeyFileError."""
    path = file or _key_path(person)
    if not path.is_file():
        hint = f"name it with --key, or make one: constrained keys new {person!r}"
        raise KeyFileError(f"there is no private key of {person} at {path}", file=str(path), hint=hint)
    return read_private_key(path)


def _key_folder() -> Path:
    """Where private keys lie unless a file is named: the folder in CONSTRAINED_KEYS, else one in the user's configuration."""
    return Path(os.environ.get("CONSTRAINED_KEYS") or Path.home() / ".config" / "constrained" / "keys")


def _key_path(person: str) -> Path:
    """The file of a person's private key: a name in plain letters."""
    plain = unicodedata.normalize("NFKD", person).encode("ascii", "ignore").decode().lower()
    return _key_folder() / (re.sub(r"[^a-z0-9]+", "_", plain).strip("_") + ".pem")


# -- approvals and recalls --------------------------------------------------------------------------------

Channels = Annotated[list[str] | None, typer.Option("--channel", help="Only for this channel (sms, voice); may be repeated.")]
Jurisdictions = Annotated[list[str] | None, typer.Option("--jurisdiction", help="Only for this jurisdiction; may be repeated.")]
Locale = Annotated[str | None, typer.Option(help="Only the texts in this locale.")]
KeyFile = Annotated[Path | None, typer.Option("--key", help="The private key; else it is looked for among the keys of this user.")]


def approve(
    name: CATALOG,
    ids: Annotated[list[str] | None, typer.Argument(help="Responses; all that wait for an approval when left out.")] = None,
    person: Annotated[str | None, typer.Option("--as", help="Who signs. Without it, what waits is shown and nothing is signed.")] = None,
    key: KeyFile = None,
    locale: Locale = None,
    channel: Channels = None,
    jurisdiction: Jurisdictions = None,
    begins: Annotated[str | None, typer.Option("--from", help="First day, such as 2026-12-01; today when left out.")] = None,
    until: Annotated[str | None, typer.Option(help="Last day; no end when left out.")] = None,
    reason: Annotated[str, typer.Option(help="A remark that is signed with it.")] = "",
    restore: Annotated[bool, typer.Option("--restore", help="Lift a recall: the same text may be said again.")] = False,
) -> None:
    """Show what waits for an approval, or sign it.

    An approval is of one wording: whoever edits a text reopens it. Nobody approves what they wrote.
    """
    terms = SigningTerms(tuple(channel or ()), tuple(jurisdiction or ()), parse_day(begins, "--from"), parse_day(until, "--until"), reason)
    files = _read_approvals(name)
    waiting = open_versions(files.catalog, files.ledger, files.people, terms, today(), ids or (), locale)
    if person is None:
        _show_waiting(files, waiting)
        return
    recalled = [one for one in waiting if one.is_recalled]
    if recalled and ids and not restore:
        raise ApprovalError(
            f"{recalled[0].name} {recalled[0].reason}", hint="to say the same text again: constrained approve ... --restore"
        )
    if restore and not ids:
        raise ApprovalError("--restore needs the ids of the responses", hint="a recall is lifted on purpose, one by one")
    drafts = to_approve(waiting, terms, today(), by=person, is_restoring=restore)
    if not drafts:
        line(f"{files.catalog.name}: nothing that waits for {person}", "bold green")
    else:
        _sign(files, drafts, person, key)
    _show_left(name, terms, ids or [], locale)


def recall(
    name: CATALOG,
    response: Annotated[str, typer.Argument(help="The response to recall, in every wording approved so far.")],
    person: Annotated[str, typer.Option("--as", help="Who signs; everybody in people.toml may recall.")],
    key: KeyFile = None,
    locale: Locale = None,
    channel: Channels = None,
    jurisdiction: Jurisdictions = None,
    reason: Annotated[str, typer.Option(help="Why; it is shown wherever the response is blocked.")] = "",
    log: Annotated[str | None, typer.Option(help="A log: the conversations that received the response are listed.")] = None,
) -> None:
    """Stop a response: from the next turn on, in servers that are running too."""
    files = _read_approvals(name, is_to_stop=True)
    terms = SigningTerms(tuple(channel or ()), tuple(jurisdiction or ()), reason=reason)
    drafts = to_recall(files.catalog, response, terms, locale, files.ledger.by_response.get(response, ()))
    if response not in files.catalog and response not in files.ledger.by_response:
        raise ApprovalError(
            f"the catalog {files.catalog.name!r} has no response {response!r}", file=files.catalog.path, hint="check the id"
        )
    entries = append(files.ledger_path, drafts, by=person, key=read_key_of(person, key), people=files.people, catalog=files.catalog.name)
    for entry in entries:
        line(
            f"recalled {entry.response} ({entry.locale}): in force at the next turn; entry {entry.sequence} of {files.ledger_path}",
            "bold red",
        )
    if response == files.catalog.fallback:
        line("it is the fallback: turns in which nothing else fits will raise ApprovalError and say nothing", "bold red")
    if log is not None:
        _show_received(log, files.catalog.name, response)


@dataclass(frozen=True, slots=True)
class ApprovalFiles:
    """A catalog with all that approvals of it need."""

    catalog: Catalog
    ledger_path: Path
    people: People
    ledger: Ledger


def _read_approvals(target: str, *, is_to_stop: bool = False) -> ApprovalFiles:
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
    return ApprovalFiles(catalog, ledger_path(path), people, read_ledger(ledger_path(path), people, catalog.name))


def _sign(files: ApprovalFiles, drafts: list[DraftEntry], person: str, key: Path | None) -> None:
    known, secret = len(files.ledger.entries), read_key_of(person, key)
    entries = append(files.ledger_path, drafts, by=person, key=secret, people=files.people, catalog=files.catalog.name, known=known)
    for entry in entries:
        what = "restored" if entry.kind == "restore" else "approved"
        where = [one for one in (*entry.channels, *entry.jurisdictions) if one != ANY]
        line(
            f"{what} {entry.response} ({entry.locale}) from {entry.first_day}"
            + (f" until {entry.until}" if entry.until else "")
            + _for(where)
        )
        line(f"  {entry.text}")
    line(f"{len(entries)} {'entry' if len(entries) == 1 else 'entries'} signed by {person} in {files.ledger_path}")


def _show_left(name: str, terms: SigningTerms, ids: list[str], locale: str | None) -> None:
    """What still waits after signing: a second approver, or a role."""
    files = _read_approvals(name)
    left = open_versions(files.catalog, files.ledger, files.people, terms, today(), ids, locale)
    for one in left:
        line(f"still waits: {one.name} {one.reason}", "yellow")


def _for(places: list[str]) -> str:
    return f" for {', '.join(places)}" if places else ""


def _show_waiting(files: ApprovalFiles, waiting: list[VersionStatus]) -> None:
    for one in waiting:
        line(f"{one.name} by {one.response.author or 'nobody'}: {one.reason}", "bold")
        earlier = one.signatures.earlier
        if earlier is not None and earlier.text != one.text:
            line(f"  - {earlier.text}", "red")
            line(f"  + {one.text}", "green")
        else:
            line(f"  {one.text}")
        if one.response.free_text:
            line(f"  a user's own words may stand here: {one.response.free_text}", "yellow")
        rule = files.people.rule_for(one.response.tags)
        line(f"  needs {rule.approvers} {'approver' if rule.approvers == 1 else 'approvers'}" + _roles(rule.roles), "dim")
    n_versions = sum(len(response.texts) for response in files.catalog.responses.values())
    line(f"{files.catalog.name}: {len(waiting)} of {n_versions} versions wait for an approval", "bold yellow" if waiting else "bold green")


def _roles(roles: frozenset[str]) -> str:
    return f", for {' and '.join(sorted(roles))}" if roles else ""


def _show_received(log: str, catalog: str, response: str) -> None:
    """Lists who received a response: conversation, turn, day."""
    found = list(turns_that_said(read_log(log), catalog, response))
    for record in found:
        line(f"  {record.conversation}  turn {record.number}  {record.at[:19]}")
    n_conversations = len({record.conversation for record in found})
    line(f"{response} was said {_counted(len(found), 'time')} in {_counted(n_conversations, 'conversation')} of {log}")


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")


def turns_that_said(records: Iterable[Record], catalog: str, response: str) -> Iterator[Record]:
    """The records of turns that said a response of a catalog, chosen or obliged."""
    for record in records:
        if catalog_of(record) == catalog and response in (record.decision.chosen, *(one.id for one in record.obligations)):
            yield record
