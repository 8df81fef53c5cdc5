"""``constrained approve`` and ``constrained keys``: what waits for a signature, and signing it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from constrained.approval.keys import new_pair, to_text
from constrained.approval.ledger import ANY, DraftEntry, append
from constrained.approval.worklist import SigningTerms, VersionStatus, open_versions, to_approve, to_recall
from constrained.cli.desks import Desk, day, key_folder, key_path, open_desk, password, private_key, today
from constrained.cli.screen import line
from constrained.errors import ApprovalError, KeyFileError

keys_app = typer.Typer(help="Keys of the people who approve.", no_args_is_help=True)

Channels = Annotated[list[str] | None, typer.Option("--channel", help="Only for this channel (sms, voice); may be repeated.")]
Jurisdictions = Annotated[list[str] | None, typer.Option("--jurisdiction", help="Only for this jurisdiction; may be repeated.")]
Locale = Annotated[str | None, typer.Option(help="Only the texts in this locale.")]
KeyFile = Annotated[Path | None, typer.Option("--key", help="The private key; else it is looked for among the keys of this user.")]


def approve(
    name: Annotated[str, typer.Argument(help="A pack or a catalog file (.yaml).")],
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
    terms = SigningTerms(tuple(channel or ()), tuple(jurisdiction or ()), day(begins, "--from"), day(until, "--until"), reason)
    desk = open_desk(name)
    waiting = open_versions(desk.catalog, desk.ledger, desk.people, terms, today(), ids or (), locale)
    if person is None:
        _show_waiting(desk, waiting)
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
        line(f"{desk.catalog.name}: nothing that waits for {person}", "bold green")
    else:
        _sign(desk, drafts, person, key)
    _show_left(name, terms, ids or [], locale)


def recall(
    name: Annotated[str, typer.Argument(help="A pack or a catalog file (.yaml).")],
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
    from constrained.cli.desks import show_received

    desk = open_desk(name, is_to_stop=True)
    terms = SigningTerms(tuple(channel or ()), tuple(jurisdiction or ()), reason=reason)
    drafts = to_recall(desk.catalog, response, terms, locale, desk.ledger.by_response.get(response, ()))
    if response not in desk.catalog and response not in desk.ledger.by_response:
        raise ApprovalError(f"the catalog {desk.catalog.name!r} has no response {response!r}", file=desk.catalog.path, hint="check the id")
    entries = append(desk.path, drafts, by=person, key=private_key(person, key), people=desk.people, catalog=desk.catalog.name)
    for entry in entries:
        line(f"recalled {entry.response} ({entry.locale}): in force at the next turn; entry {entry.sequence} of {desk.path}", "bold red")
    if response == desk.catalog.fallback:
        line("it is the fallback: turns in which nothing else fits will raise ApprovalError and say nothing", "bold red")
    if log is not None:
        show_received(log, desk.catalog.name, response)


@keys_app.command("new")
def new_key(
    person: Annotated[str, typer.Argument(help="Whose key: the name that stands in people.toml.")],
    file: Annotated[Path | None, typer.Option("--file", help="Where the private key goes; else among the keys of this user.")] = None,
) -> None:
    """Make a key pair, and print what goes into people.toml.

    The private key is encrypted when CONSTRAINED_KEY_PASSWORD is set.
    """
    path = file or key_path(person)
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise KeyFileError(f"{path.parent} cannot be made: {error.strerror}", file=str(path), hint="name a file with --file") from error
    public = new_pair(path, password=password())
    line(f"the private key of {person}: {path} (keep it; it is in no repository)")
    line("put this into people.toml beside the catalogs:")
    line()
    line(f'[people."{person}"]')
    line('roles = ["compliance"]')
    line(f'keys = ["{to_text(public)}"]')


@keys_app.command("list")
def list_keys() -> None:
    """The private keys of this user."""
    for path in sorted(key_folder().glob("*.pem")):
        if not path.name.endswith(".pub.pem"):
            line(str(path))


def _sign(desk: Desk, drafts: list[DraftEntry], person: str, key: Path | None) -> None:
    known, secret = len(desk.ledger.entries), private_key(person, key)
    entries = append(desk.path, drafts, by=person, key=secret, people=desk.people, catalog=desk.catalog.name, known=known)
    for entry in entries:
        what = "restored" if entry.kind == "restore" else "approved"
        where = [one for one in (*entry.channels, *entry.jurisdictions) if one != ANY]
        line(
            f"{what} {entry.response} ({entry.locale}) from {entry.first_day}"
            + (f" until {entry.until}" if entry.until else "")
            + _for(where)
        )
        line(f"  {entry.text}")
    line(f"{len(entries)} {'entry' if len(entries) == 1 else 'entries'} signed by {person} in {desk.path}")


def _show_left(name: str, terms: SigningTerms, ids: list[str], locale: str | None) -> None:
    """What still waits after signing: a second approver, or a role."""
    desk = open_desk(name)
    left = open_versions(desk.catalog, desk.ledger, desk.people, terms, today(), ids, locale)
    for one in left:
        line(f"still waits: {one.name} {one.reason}", "yellow")


def _for(places: list[str]) -> str:
    return f" for {', '.join(places)}" if places else ""


def _show_waiting(desk: Desk, waiting: list[VersionStatus]) -> None:
    for one in waiting:
        line(f"{one.name} by {one.response.author or 'nobody'}: {one.reason}", "bold")
        earlier = one.signatures.earlier
        if earlier is not None and earlier.text != one.text:
            line(f"  - {earlier.text}", "red")
            line(f"  + {one.text}", "green")
        else:
            line(f"  {one.text}")
        rule = desk.people.rule_for(one.response.tags)
        line(f"  needs {rule.approvers} {'approver' if rule.approvers == 1 else 'approvers'}" + _roles(rule.roles), "dim")
    n_versions = sum(len(response.texts) for response in desk.catalog.responses.values())
    line(f"{desk.catalog.name}: {len(waiting)} of {n_versions} versions wait for an approval", "bold yellow" if waiting else "bold green")


def _roles(roles: frozenset[str]) -> str:
    return f", for {' and '.join(sorted(roles))}" if roles else ""
