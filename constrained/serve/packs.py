"""The packs of a server: replaced between turns by a new version that passes its check, and shown to people and programs."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic.errors import PydanticUserError

from constrained.analysis.check import examine
from constrained.catalog.response import Response
from constrained.errors import ConstrainedError, PackError, PolicyError, Problem, StateError
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
    """

    def __init__(self, policies: Mapping[str, Policy]) -> None:
        self._policies = dict(policies)
        self._digests = {name: digest(name, policy) for name, policy in policies.items()}
        self._lock = threading.Lock()

    @classmethod
    def named(cls, names: tuple[str, ...]) -> Packs:
        """The packs of these names. Raises PackError, CatalogError or PolicyError."""
        return cls({name: load_policy(name) for name in names})

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
            policy = load_checked(name)
            check(policy)
            after = digest(name, policy)  # before the last look, so that no change falls between the two
            if digest(name, before) != found or not policy.catalog.is_current():
                raise PackError(f"the files of {name!r} changed while they were checked", name=name, hint="they are looked at again")
            self._policies[name], self._digests[name] = policy, after
            return policy


def load_checked(name: str) -> Policy:
    """The policy of a pack that passes the same check as ``constrained check``: it runs, fits, and its golden dialogues hold."""
    pack = find_pack(name)
    policy = load_policy_file(pack.logic_path)
    problems = list(examine(policy, today=datetime.now(UTC).date()).problems)
    if pack.dialogues_path is not None:
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
    """Of the contents of a pack's files, its policy's catalog among them; empty while they cannot be read, or where there are none."""
    try:
        pack = find_pack(name)
        paths = [Path(policy.catalog.path or pack.catalog_path), pack.logic_path, *([pack.dialogues_path] if pack.dialogues_path else [])]
        return hashlib.sha256(b"\0".join(path.read_bytes() for path in paths)).hexdigest()
    except (OSError, ConstrainedError):
        return ""


# -- what GET /v1/catalogs shows -----------------------------------------------------------------------------------


def catalogs_reply(packs: Packs, engines: Iterable[str]) -> CatalogsReply:
    entries = tuple(CatalogEntry(**_entry(name, packs.get(name))) for name in packs.names)
    return CatalogsReply(packs=entries, engines=tuple(engines))


def catalog_reply(packs: Packs, pack: str) -> CatalogReply:
    """Raises PackError for a pack that is not served."""
    policy = packs.get(pack)
    catalog = policy.catalog
    questions = policy.heard_type.__questions__ if policy.heard_type else {}
    return CatalogReply(
        **_entry(pack, policy),
        persona=catalog.persona,
        fallback=catalog.fallback,
        responses=tuple(_response(one, catalog.fallback) for one in catalog.responses.values()),
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


def _response(response: Response, fallback: str) -> ResponseEntry:
    texts = {locale: text.source for locale, text in response.texts.items()}
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
