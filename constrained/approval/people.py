"""Who may approve, with which keys, and how many must: the file ``people.toml`` beside the catalogs.

[rules]                         # what every approval needs
approvers = 1
roles = ["compliance"]

[rules.tags.fraud]              # what responses with this tag need as well
approvers = 2
roles = ["fraud"]

[rules.catalogs.bank_disputes]  # and what all responses of one catalog need as well
roles = ["compliance"]

[rules.logic]                   # what the files that decide need as well
roles = ["model_risk"]

[rules.people]                  # and a change of this file, by those who could sign before it
approvers = 2

[people."Demo Compliance"]
roles = ["compliance"]
keys = ["ed25519:...", {key = "ed25519:...", until = 2026-06-30}]
"""

from __future__ import annotations

import tomllib
import unicodedata
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, StrictInt, StrictStr, ValidationError

from constrained._canonical_json import sha256
from constrained.approval.keys import from_text
from constrained.errors import ApprovalError, KeyFileError

FILE_NAME = "people.toml"


@dataclass(frozen=True, slots=True)
class Key:
    """A public key as text, and the last day on which signatures with it count (None: no end)."""

    text: str
    until: date | None = None


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who may sign: approvals for their roles, a recall in any role."""

    name: str
    roles: frozenset[str]
    keys: tuple[Key, ...]


@dataclass(frozen=True, slots=True)
class Rule:
    """How many different people must approve, and the roles of which each must be among them."""

    approvers: int = 1
    roles: frozenset[str] = frozenset()

    def also(self, other: Rule) -> Rule:
        """Both rules at once."""
        return Rule(max(self.approvers, other.approvers), self.roles | other.roles)


@dataclass(frozen=True, slots=True)
class People:
    """Everybody who may sign, and what an approval needs.

    Attributes:
        hash: ``sha256:`` over the file, for records.
        rule: what every approval of the catalog needs; ``tags``: what responses with a tag need as well, however it is
            capitalised. logic_rule: what the files that decide need; people_rule: what a change of this file needs.
        content: the bytes that were read.
    """

    path: str
    hash: str
    people: Mapping[str, Person]
    rule: Rule
    tags: Mapping[str, Rule]
    logic_rule: Rule = Rule()
    people_rule: Rule = Rule()
    content: bytes = b""

    def rule_for(self, tags: Iterable[str]) -> Rule:
        """What an approval of a response with these tags needs: tags add to the common rule, they never take away."""
        rule = self.rule
        for tag in map(_folded, tags):
            rule = rule.also(self.tags.get(tag, Rule()))
        return rule

    def lacks(self, rule: Rule, names: Collection[str]) -> str:
        """What is missing when these people have approved; empty when nothing is."""
        known = [self.people[name] for name in names if name in self.people]
        roles = sorted(role for role in rule.roles if not any(role in person.roles for person in known))
        n_missing = max(0, rule.approvers - len(known), len(roles) and 1)
        if not n_missing:
            return ""
        return f"{n_missing} more {'approver' if n_missing == 1 else 'approvers'}" + (f", for {', '.join(roles)}" if roles else "")


class _Shape(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _KeyFile(_Shape):
    key: StrictStr
    until: date | None = None


class _PersonFile(_Shape):
    roles: frozenset[StrictStr] = frozenset()
    keys: list[StrictStr | _KeyFile] = []


class _RuleFile(_Shape):
    approvers: StrictInt = Field(1, ge=1)
    roles: frozenset[StrictStr] = frozenset()


class _RulesFile(_RuleFile):
    tags: dict[str, _RuleFile] = {}
    catalogs: dict[str, _RuleFile] = {}
    logic: _RuleFile = _RuleFile()
    people: _RuleFile = _RuleFile()


class _File(_Shape):
    rules: _RulesFile = _RulesFile()
    people: dict[str, _PersonFile]


def people_path(catalog_path: str | Path) -> Path:
    """The file of people that a catalog is approved by: in its own folder."""
    return Path(catalog_path).parent / FILE_NAME


def load_people(path: str | Path, catalog: str) -> People:
    """Reads the file, with the rules for one catalog. Raises ApprovalError naming the file and what is wrong."""
    return parse_people(_content(Path(path)), path, catalog)


def parse_people(content: bytes, path: str | Path, catalog: str) -> People:
    """What ``load_people`` makes of a file that holds this, wherever it was kept. Raises ApprovalError."""
    try:
        shape = _File.model_validate(tomllib.loads(content.decode()))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise _refused(path, f"not TOML: {error}", "see docs/approval.md for an example") from error
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(step) for step in first["loc"] if step not in ("str", "_KeyFile"))
        raise _refused(path, f"{where}: {first['msg']}", "see docs/approval.md for an example") from error
    people = {name: Person(name, one.roles, tuple(map(_key, one.keys))) for name, one in shape.people.items()}
    _check_names(people, path)
    _check_keys(people.values(), path)
    _check_roles(shape, path)
    common, own = _rule(shape.rules), shape.rules.catalogs.get(catalog)
    tags: dict[str, Rule] = {}
    for tag, given in shape.rules.tags.items():
        tags[_folded(tag)] = tags.get(_folded(tag), Rule()).also(_rule(given))
    rule = common.also(_rule(own)) if own else common
    logic, staff = (rule.also(_rule(one)) for one in (shape.rules.logic, shape.rules.people))
    return People(str(path), sha256(content), people, rule, tags, logic, staff, content)


def _rule(shape: _RuleFile) -> Rule:
    return Rule(shape.approvers, shape.roles)


def _content(path: Path) -> bytes:
    try:
        if path.exists() and not path.is_file():  # a pipe in its place must not be waited for
            raise _refused(path, "is not a file", "put it back from its history")
        return path.read_bytes()
    except OSError as error:
        hint = "name who may approve: constrained keys new PERSON, then write the lines that it prints into this file"
        raise _refused(path, f"cannot be read: {error.strerror or error}", hint) from error


def _key(given: str | _KeyFile) -> Key:
    return Key(given) if isinstance(given, str) else Key(given.key, given.until)


def is_same_name(name: str, other: str) -> bool:
    """Whether two names read the same: capitals, spaces, signs that do not show and letters of other scripts that look alike."""
    return name == other or _folded(name) == _folded(other)


# Cyrillic and Greek letters that are drawn, as a capital or a small one, like a Latin letter; and that letter.
_LOOKALIKES = str.maketrans("авекмнорстухіјѕԁһӏԛԝαβεζηικμνορτυχ", "abekmhopctyxijsdhlqwabezhikmnoptyx")


@lru_cache(maxsize=4096)
def _folded(name: str) -> str:
    plain = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    shown = "".join(char for char in plain if unicodedata.category(char) != "Cf")
    return " ".join(shown.translate(_LOOKALIKES).split())


def _check_names(names: Iterable[str], path: str | Path) -> None:
    """Nobody stands there twice, to sign as two people."""
    known: dict[str, str] = {}
    for name in names:
        other = known.setdefault(_folded(name), name)
        if other != name:
            raise _refused(path, f"{other!r} and {name!r} read like one person", "everybody stands there once")


def _check_keys(people: Iterable[Person], path: str | Path) -> None:
    """Every key is one, and nobody signs under two names."""
    owners: dict[str, str] = {}
    for person in people:
        for key in person.keys:
            try:
                from_text(key.text)
            except KeyFileError as error:
                raise _refused(path, f"people.{person.name}.keys: {error.message}", error.hint) from error
            other = owners.setdefault(key.text, person.name)
            if other != person.name:
                raise _refused(path, f"{other} and {person.name} have the same key", "everybody has a key of their own")


def _check_roles(shape: _File, path: str | Path) -> None:
    """A role that a rule asks for is somebody's: else nothing with that tag could ever be approved."""
    held = {role for person in shape.people.values() for role in person.roles}
    rules: dict[str, _RuleFile] = {"rules": shape.rules}
    rules |= {f"rules.tags.{tag}": rule for tag, rule in shape.rules.tags.items()}
    rules |= {"rules.logic": shape.rules.logic, "rules.people": shape.rules.people}
    rules |= {f"rules.catalogs.{name}": rule for name, rule in shape.rules.catalogs.items()}
    for where, rule in rules.items():
        missing = sorted(rule.roles - held)
        if missing:
            raise _refused(path, f"{where}: nobody has the role {missing[0]!r}", "give it to somebody under people, or take it out")


def _refused(path: str | Path, message: str, hint: str) -> ApprovalError:
    return ApprovalError(f"{path}: {message}", file=str(path), hint=hint)
