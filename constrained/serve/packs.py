"""The packs of a server: replaced between turns by a new version that passes its check, and shown to people and programs."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic.errors import PydanticUserError

from constrained.analysis.check import examine
from constrained.approval.in_force import Approvals
from constrained.approval.logic_files import LogicFiles, read_logic_files
from constrained.approval.logic_signatures import why_not_anywhere
from constrained.catalog.response import Catalog, Response
from constrained.errors import ApprovalError, ConstrainedError, PackError, PolicyError, Problem, StateError
from constrained.logic.policy import Policy
from constrained.logic.state import State
from constrained.pack_folders import find_pack
from constrained.packs import load_policy, load_policy_file
from constrained.quality.golden import load_golden, run_golden
from constrained.serve.wire import CatalogEntry, CatalogReply, CatalogsReply, ResponseEntry


class Packs:
    """Name -> Policy. Who asked for a pack keeps what it got until its turn is over.

    Args:
        policies: what is served from the start; only packs loaded by name can be reloaded.
        signed: a pack that requires approvals is read anew only as it was signed.
        is_golden: a pack is read anew only while its golden dialogues go as written.

    Attributes:
        refused: pack -> the kind of error for which its edited files were not taken over, while they are as they were then.
    """

    def __init__(self, policies: Mapping[str, Policy], *, signed: bool = True, is_golden: bool = True) -> None:
        self.refused: dict[str, str] = {}
        self._policies, self._is_signed, self._is_golden = dict(policies), signed, is_golden
        self._digests = {name: digest(name, policy) for name, policy in policies.items()}
        self._lock = threading.Lock()

    @classmethod
    def named(cls, names: tuple[str, ...], *, signed: bool = True, is_golden: bool = True) -> Packs:
        """The packs of these names. Raises PackError, CatalogError, PolicyError, or ApprovalError for logic that is not signed."""
        return cls({name: load_policy(name, signed=signed) for name in names}, signed=signed, is_golden=is_golden)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._policies)

    def get(self, name: str) -> Policy:
        try:
            return self._policies[name]
        except KeyError:
            raise PackError(f"no pack {name!r} is served here", name=name, hint=f"there are {', '.join(self._policies)}") from None

    def changed(self) -> list[str]:
        """Packs whose files are not what they were when last looked at, the refused ones included."""
        return [name for name, policy in self._policies.items() if digest(name, policy) != self._digests[name]]

    def reload(self, name: str, check: Callable[[Policy], object] = lambda policy: None) -> Policy:
        """Takes over what the pack's files are now, if its check passes. Raises ConstrainedError; the old version then stays.

        Args:
            check: what else must hold of the new version; raises ConstrainedError.
        """
        with self._lock:
            before = self._policies[name]
            found = digest(name, before)
            self._digests[name] = found
            try:
                policy = load_checked(name, signed=self._is_signed, is_golden=self._is_golden)
                check(policy)
            except ConstrainedError as error:
                self.refused[name] = type(error).__name__
                raise
            after = digest(name, policy)  # before the last look, so that no change falls between the two
            if digest(name, before) != found or not policy.catalog.is_current():
                raise PackError(f"the files of {name!r} changed while they were checked", name=name, hint="they are looked at again")
            self._policies[name], self._digests[name] = policy, after
            self.refused.pop(name, None)
            return policy

    def warnings(self) -> dict[str, str]:
        """Pack -> what its operator should see to though turns are taken: edits that are not in force. No path, no line of logic."""
        found = {name: f"an edit is not taken over ({kind}); the server's log tells more" for name, kind in self.refused.items()}
        for name, policy in self._policies.items():
            with suppress(ConstrainedError):  # approvals that cannot be trusted are told by each turn
                if name not in found and Approvals(policy.catalog).warning():
                    found[name] = "an edit of people.toml is not signed; its last signed version is in force"
        return found


def load_checked(name: str, *, signed: bool = False, is_golden: bool = True) -> Policy:
    """The policy of a pack that passes the same check as ``constrained check``: it runs, fits, and its golden dialogues hold.

    Args:
        signed: nothing is run that is not signed, where the pack requires approvals.
        is_golden: whether the golden dialogues are run.
    """
    pack = find_pack(name)
    policy = load_policy_file(pack.logic_path, signed=signed)
    problems = list(examine(policy, today=datetime.now(UTC).date()).problems)
    if is_golden and pack.dialogues_path is not None:
        problems += _golden_problems(policy, pack.dialogues_path)
    if problems:
        raise PolicyError(f"the check of {name!r} fails", problems, hint=f"constrained check {name}")
    return policy


def _golden_problems(policy: Policy, path: Path) -> list[Problem]:
    return [
        Problem(str(path), 0, 0, f"{dialogue.name!r}, turn {number}: {text}")
        for dialogue in load_golden(path).dialogues
        for number, result in enumerate(run_golden(policy, dialogue), start=1)
        for text in result.problems
    ]


def digest(name: str, policy: Policy) -> str:
    """Of the contents of a pack's files, its policy's catalog among them, and of whether they are signed; empty while they cannot be
    read, or where there are none."""
    try:
        pack = find_pack(name)
        files = read_logic_files(pack.logic_path)
        paths = [Path(policy.catalog.path or pack.catalog_path), *([pack.dialogues_path] if pack.dialogues_path else [])]
        parts = [*(path.read_bytes() for path in paths), files.version.encode(), _why_unsigned(policy, files).encode()]
        return hashlib.sha256(b"\0".join(parts)).hexdigest()
    except (OSError, ConstrainedError):
        return ""


def _why_unsigned(policy: Policy, files: LogicFiles) -> str:
    """A signature that comes after an edit is a change as well: then the edit can be taken over."""
    try:
        return why_not_anywhere(policy.catalog, files)
    except ApprovalError as error:
        return str(error)


# -- what GET /v1/catalogs shows -----------------------------------------------------------------------------------


def catalogs_reply(packs: Packs, engines: Iterable[str]) -> CatalogsReply:
    entries = tuple(CatalogEntry(**_entry(name, packs.get(name))) for name in packs.names)
    return CatalogsReply(packs=entries, engines=tuple(engines))


def catalog_reply(packs: Packs, pack: str, channel: str | None = None, jurisdiction: str | None = None) -> CatalogReply:
    """What is approved is told for one place. Raises PackError for a pack that is not served."""
    policy = packs.get(pack)
    catalog = policy.catalog
    responses = tuple(_response(one, catalog.fallback, approved) for one, approved in _approved(catalog, channel, jurisdiction))
    questions = policy.heard_type.__questions__ if policy.heard_type else {}
    return CatalogReply(
        **_entry(pack, policy),
        persona=catalog.persona,
        fallback=catalog.fallback,
        responses=responses,
        n_approved=sum(one.approved.get(catalog.locale, False) for one in responses),
        warning=packs.warnings().get(pack, ""),
        state_schema=_schema(policy.state_type),
        default_state=_default(policy.state_type),
        questions={name: one.text for name, one in questions.items()},
        rules=policy.rules,
        source=policy.source,
        file=Path(policy.file).name,
        line=policy.line,
    )


def _entry(name: str, policy: Policy) -> dict[str, Any]:
    catalog = policy.catalog
    locales = sorted({locale for response in catalog.responses.values() for locale in response.texts})
    return {
        "pack": name,
        "speaker": catalog.speaker,
        "version": str(catalog.version),
        "locale": catalog.locale,
        "locales": tuple(locales),
        "n_responses": len(catalog.responses),
        "hash": catalog.hash,
    }


def _approved(catalog: Catalog, channel: str | None, jurisdiction: str | None) -> Iterator[tuple[Response, dict[str, bool]]]:
    """Each response, and in which locales an approval of it is in force; in none where the approvals cannot be trusted."""
    today = datetime.now(UTC).date()
    try:
        standing = Approvals(catalog, channel=channel, jurisdiction=jurisdiction).now()
    except ApprovalError:
        standing = None
    for response in catalog.responses.values():
        yield response, {one: standing is not None and standing.is_approved(response, one, today) for one in response.texts}


def _response(response: Response, fallback: str, approved: dict[str, bool]) -> ResponseEntry:
    texts = {locale: text.each[0].source for locale, text in response.texts.items()}
    variants = {locale: tuple(one.source for one in text.variants[1:]) for locale, text in response.texts.items() if text.variants}
    is_fallback = response.id == fallback
    return ResponseEntry(
        id=response.id,
        texts=texts,
        when=response.when,
        examples={locale: tuple(messages) for locale, messages in response.examples.items()},
        tags=tuple(sorted(response.tags)),
        voice=response.voice or None,
        line=f"{Path(response.source.file).name}:{response.source.line}" if response.source.line else "",
        source=": ".join(one for one in (response.cites.document, response.cites.passage) if one) if response.cites else "",
        is_fallback=is_fallback,
        approved=approved,
        variants=variants,
    )


def _default(state_type: type[State]) -> dict[str, Any] | None:
    try:
        return state_type.default().model_dump(mode="json")
    except StateError:
        return None


def _schema(state_type: type[State]) -> dict[str, Any]:
    """JSON schema of a State; only its name, where a field is of a type that JSON schema has no form for."""
    try:
        return state_type.model_json_schema()
    except PydanticUserError:
        return {"title": state_type.__name__, "type": "object"}
