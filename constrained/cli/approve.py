"""``constrained approve`` and ``recall``: what waits for a signature, signing it, and stopping a response or the logic."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated

import typer

from constrained.approval.ledger import DraftEntry
from constrained.approval.worklist import SigningTerms, VersionStatus, open_versions, to_approve, to_recall
from constrained.cli.approval_files import (
    ApprovalFiles,
    check_people,
    describe_signed,
    read_approvals,
    recall_logic,
    show_logic,
    show_people,
    show_rule,
    show_waiting_files,
    sign,
    sign_logic,
    sign_people,
)
from constrained.cli.screen import CATALOG, catalog_of, line, parse_day, today
from constrained.errors import ApprovalError
from constrained.records.log import read_log
from constrained.records.record import Record

Channels = Annotated[list[str] | None, typer.Option("--channel", help="Only for this channel (sms, voice); may be repeated.")]
Jurisdictions = Annotated[list[str] | None, typer.Option("--jurisdiction", help="Only for this jurisdiction; may be repeated.")]
Locale = Annotated[str | None, typer.Option(help="Only the texts in this locale.")]
KeyFile = Annotated[Path | None, typer.Option("--key", help="The private key; else it is looked for among the keys of this user.")]
LogicFile = Annotated[Path | None, typer.Option("--logic-file", help="Likewise, where it is not the logic/NAME.py of the catalog.")]


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
    logic: Annotated[bool, typer.Option("--logic", help="The files that decide, in place of the responses.")] = False,
    logic_file: LogicFile = None,
    people: Annotated[bool, typer.Option("--people", help="people.toml, in place of the responses.")] = False,
) -> None:
    """Show what waits for an approval, or sign it.

    An approval is of one wording: whoever edits a text reopens it. Nobody approves what they wrote. Where approvals are
    required, the logic, its properties and people.toml are signed, too: --logic and --people.
    """
    terms = SigningTerms(tuple(channel or ()), tuple(jurisdiction or ()), parse_day(begins, "--from"), parse_day(until, "--until"), reason)
    files = read_approvals(name, logic_file)
    if people or logic or logic_file is not None:
        _approve_files(files, terms, person, key, ids, people=people, logic=logic or logic_file is not None, restore=restore)
        return
    waiting = open_versions(files.catalog, files.ledger, files.people, terms, today(), ids or (), locale)
    if person is None:
        _show_waiting(files, waiting)
        show_waiting_files(files, terms)
        return
    check_people(files)
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


def _approve_files(
    files: ApprovalFiles,
    terms: SigningTerms,
    person: str | None,
    key: Path | None,
    ids: list[str] | None,
    *,
    people: bool,
    logic: bool,
    restore: bool,
) -> None:
    """The files that are approved as a whole: the people first, who then sign the logic."""
    if ids:
        raise ApprovalError("--logic and --people are of no response", hint="leave the ids out")
    if people:
        if person is None:
            show_people(files)
        else:
            sign_people(files, terms, person, key)
            files = read_approvals(files.catalog.path, files.logic_file)
    if logic:
        if person is None:
            show_logic(files, terms)
        else:
            check_people(files)
            sign_logic(files, terms, person, key, is_restoring=restore)


def recall(
    name: CATALOG,
    response: Annotated[str, typer.Argument(help="The response to recall, in every wording approved so far; left out with --logic.")] = "",
    *,
    person: Annotated[str, typer.Option("--as", help="Who signs; everybody in people.toml may recall.")],
    key: KeyFile = None,
    locale: Locale = None,
    channel: Channels = None,
    jurisdiction: Jurisdictions = None,
    reason: Annotated[str, typer.Option(help="Why; it is shown wherever the response is blocked.")] = "",
    log: Annotated[str | None, typer.Option(help="A log: the conversations that received the response are listed.")] = None,
    logic: Annotated[bool, typer.Option("--logic", help="The logic, in every version approved so far, in place of a response.")] = False,
    logic_file: LogicFile = None,
) -> None:
    """Stop a response, or the logic: from the next turn on, in servers that are running too."""
    files = read_approvals(name, logic_file, is_to_stop=True)
    terms = SigningTerms(tuple(channel or ()), tuple(jurisdiction or ()), reason=reason)
    if logic or logic_file is not None or not response:
        if response or not (logic or logic_file is not None):
            raise ApprovalError("a recall is of one response, or of the logic", hint="name a response, or give --logic")
        recall_logic(files, terms, person, key)
        return
    drafts = to_recall(files.catalog, response, terms, locale, files.ledger.by_response.get(response, ()))
    if response not in files.catalog and response not in files.ledger.by_response:
        raise ApprovalError(
            f"the catalog {files.catalog.name!r} has no response {response!r}", file=files.catalog.path, hint="check the id"
        )
    for entry in sign(files, drafts, person, key):
        line(
            f"recalled {entry.response} ({entry.locale}): in force at the next turn; entry {entry.sequence} of {files.ledger_path}",
            "bold red",
        )
    if response == files.catalog.fallback:
        line("it is the fallback: turns in which nothing else fits will raise ApprovalError and say nothing", "bold red")
    if log is not None:
        _show_received(log, files.catalog.name, response)


def _sign(files: ApprovalFiles, drafts: list[DraftEntry], person: str, key: Path | None) -> None:
    entries = sign(files, drafts, person, key, has_looked=True)
    for entry in entries:
        line(describe_signed(entry, f"{entry.response} ({entry.locale})"))
        line(f"  {entry.text}")
    line(f"{len(entries)} {'entry' if len(entries) == 1 else 'entries'} signed by {person} in {files.ledger_path}")


def _show_left(name: str, terms: SigningTerms, ids: list[str], locale: str | None) -> None:
    """What still waits after signing: a second approver, or a role."""
    files = read_approvals(name)
    left = open_versions(files.catalog, files.ledger, files.people, terms, today(), ids, locale)
    for one in left:
        line(f"still waits: {one.name} {one.reason}", "yellow")


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
        show_rule(files.people.rule_for(one.response.tags))
    n_versions = sum(len(response.texts) for response in files.catalog.responses.values())
    line(f"{files.catalog.name}: {len(waiting)} of {n_versions} versions wait for an approval", "bold yellow" if waiting else "bold green")


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
