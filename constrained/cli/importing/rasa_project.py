"""A Rasa project as its files hold it: responses, slots, intents with examples, flows, rules, stories and tests, each with its place."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from constrained.cli.importing.draft import Draft, Item
from constrained.cli.importing.sources import Document, read_text, read_yaml, source_files

ANNOTATION = re.compile(r"\[([^\]\n]*)\](?:\([^)\n]*\)|\{[^}\n]*\})")  # [Berlin](city), [Berlin]{"entity": "city"}
OWN_SECTIONS = ("version", "session_config", "config", "metadata", "fixtures")
ITEM_REASONS = {
    "synonym": "a value is heard as it is recognised: map synonyms in a choice of Heard",
    "regex": "write it as a pattern of Heard",
    "lookup": "write its words as a choice of Heard, or as names in State",
}


@dataclass(slots=True)
class Slot:
    """A slot. ``kind``: text, decimal, bool or choice (``values``)."""

    name: str
    kind: str
    values: tuple[str, ...]
    item: Item


@dataclass(slots=True)
class Entry:
    """Something with a name in a file. ``path`` leads to it there."""

    name: str
    data: Any
    document: Document
    path: tuple[str | int, ...]
    item: Item

    def line(self, *path: str | int) -> int:
        return self.document.line(*self.path, *path)


@dataclass(slots=True)
class Project:
    """All files together; a later entry of the same name is not taken, and told."""

    draft: Draft
    responses: dict[str, Entry] = field(default_factory=dict)
    slots: dict[str, Slot] = field(default_factory=dict)
    intents: dict[str, Item] = field(default_factory=dict)
    actions: dict[str, Item] = field(default_factory=dict)
    forms: dict[str, Entry] = field(default_factory=dict)
    flows: dict[str, Entry] = field(default_factory=dict)
    examples: dict[str, list[tuple[str, Item]]] = field(default_factory=dict)
    rules: list[Entry] = field(default_factory=list)
    stories: list[Entry] = field(default_factory=list)
    tests: list[Entry] = field(default_factory=list)

    def entry(self, kind: str, document: Document, path: tuple[str | int, ...], name: object, data: Any) -> Entry:
        return Entry(str(name), data, document, path, self.draft.item(kind, name, document.file, document.line(*path)))

    def keep(self, known: dict[str, Entry], one: Entry) -> None:
        first = known.setdefault(one.name, one)
        if first is not one:
            one.item.note(f"the same name stands in {first.item.file}:{first.item.line}")

    def examples_of(self, intent: str) -> list[tuple[str, Item]]:
        return self.examples.get(intent, [])


def read_project(source: Path, draft: Draft) -> Project:
    """Every YAML file of Rasa below ``source``."""
    project = Project(draft)
    for path in source_files(source, (".yml", ".yaml", ".md"), draft):
        if path.suffix == ".md":
            text = read_text(path, draft) if path.stat().st_size < 1_000_000 else None
            if text and re.search(r"^## (intent:|story)", text, re.MULTILINE):
                draft.item("file", path.name, str(path), 1, "the format of Rasa 1; rasa data convert writes it anew")
            continue
        document = read_yaml(path, draft)
        if document is None:
            continue
        if not any(key in READERS for key in document.data):
            draft.item("file", path.name, str(path), 1, "it holds no domain, flows, examples, stories or tests")
            continue
        for key, value in document.data.items():
            reader = READERS.get(key)
            if reader is not None:
                reader(project, document, key, value)
            elif key not in OWN_SECTIONS:
                draft.item("section", key, document.file, document.line(key), "this importer does not read it")
    return project


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _named(value: Any) -> Iterator[tuple[int | str, str, Any]]:
    """(step of the path, name, data) of a list of names, of a list of mappings of one key, or of a mapping."""
    if isinstance(value, dict):
        yield from ((key, key, data) for key, data in value.items())
    for index, one in enumerate(_list(value)):
        if isinstance(one, dict):
            yield from ((index, key, data) for key, data in one.items())
        elif one is not None:
            yield index, str(one), None


def _read_responses(project: Project, document: Document, key: str, value: Any) -> None:
    for name, variations in _mapping(value).items():
        project.keep(project.responses, project.entry("response", document, (key, name), name, _list(variations)))


def _read_slots(project: Project, document: Document, key: str, value: Any) -> None:
    for name, data in _mapping(value).items():
        entry = project.entry("slot", document, (key, name), name, data)
        kind = str(_mapping(data).get("type", "text"))
        values = tuple(dict.fromkeys(str(one) for one in _list(_mapping(data).get("values"))))
        plain = {"float": "decimal", "bool": "bool", "categorical": "choice"}.get(kind, "text")
        plain = "text" if plain == "choice" and not values else plain
        if name in project.slots:
            entry.item.note(f"the same name stands in {project.slots[name].item.file}:{project.slots[name].item.line}")
            continue
        if kind not in ("float", "bool", "categorical", "text"):
            entry.item.note(f"its type {kind[:40]!r} is read as text")
        project.slots[name] = Slot(name, plain, values, entry.item)


def _read_intents(project: Project, document: Document, key: str, value: Any) -> None:
    for step, name, _ in _named(value):
        if name not in project.intents:
            project.intents[name] = project.draft.item("intent", name, document.file, document.line(key, step))


def _read_actions(project: Project, document: Document, key: str, value: Any) -> None:
    for step, name, _ in _named(value):
        if name not in project.actions and name not in project.responses and not name.startswith("utter_"):
            project.actions[name] = project.draft.item("action", name, document.file, document.line(key, step))


def _read_entities(project: Project, document: Document, key: str, value: Any) -> None:
    for step, name, _ in _named(value):
        reason = "what is named in a message is heard by fields of Heard: amount, date, choice, entity or pattern"
        project.draft.item("entity", name, document.file, document.line(key, step), reason)


def _read_forms(project: Project, document: Document, key: str, value: Any) -> None:
    for step, name, data in _named(value):
        project.keep(project.forms, project.entry("form", document, (key, step), name, data))


def _read_flows(project: Project, document: Document, key: str, value: Any) -> None:
    for name, data in _mapping(value).items():
        project.keep(project.flows, project.entry("flow", document, (key, name), name, _mapping(data)))


def _read_nlu(project: Project, document: Document, key: str, value: Any) -> None:
    draft = project.draft
    for index, one in enumerate(_list(value)):
        data = _mapping(one)
        kind = next((word for word in ("intent", *ITEM_REASONS) if word in data), "")
        line = document.line(key, index)
        if kind != "intent":
            draft.item(
                kind or "nlu", data.get(kind, "entry"), document.file, line, ITEM_REASONS.get(kind, "this importer does not read it")
            )
            continue
        intent = str(data["intent"])
        if intent not in project.intents:
            project.intents[intent] = draft.item("intent", intent, document.file, line)
        begin = document.report.place((key, index, "examples")).line or line
        for message, offset in _messages(data.get("examples")):
            item = draft.item("example", message, document.file, begin + offset)
            project.examples.setdefault(intent, []).append((message, item))


def _messages(given: Any) -> Iterator[tuple[str, int]]:
    """(message, lines below the key) of a block of lines ``- message``, or of a list."""
    if isinstance(given, str):
        for offset, line in enumerate(given.split("\n"), start=1):
            text = ANNOTATION.sub(r"\1", re.sub(r"^\s*-\s*", "", line)).strip()
            if text:
                yield text, offset
    for one in _list(given):
        text = one.get("text", "") if isinstance(one, dict) else one
        if isinstance(text, str) and text.strip():
            yield ANNOTATION.sub(r"\1", re.sub(r"^\s*-\s*", "", text)).strip(), 0


def _read_cases(project: Project, document: Document, key: str, value: Any) -> None:
    kind, target = {
        "rules": ("rule", project.rules),
        "stories": ("story", project.stories),
        "test_cases": ("test_case", project.tests),
    }[key]
    for index, one in enumerate(_list(value)):
        data = _mapping(one)
        target.append(project.entry(kind.replace("_", " "), document, (key, index), data.get(kind, f"{kind} {index + 1}"), data))


READERS = {
    "responses": _read_responses,
    "slots": _read_slots,
    "intents": _read_intents,
    "entities": _read_entities,
    "actions": _read_actions,
    "forms": _read_forms,
    "flows": _read_flows,
    "nlu": _read_nlu,
    "rules": _read_cases,
    "stories": _read_cases,
    "test_cases": _read_cases,
}
