"""Responses of a Rasa domain as those of a catalog, its slots as fields of State and Heard, its actions as effects."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from constrained.cli.importing.draft import Item, Reply, escape_braces, sayable, shown
from constrained.cli.importing.rasa_project import Entry, Project, Slot

SLOT = re.compile(r"\{([A-Za-z_][\w.-]*)\}", re.ASCII)
DECIMALS = "amount"
WORD = r"[^\W\d_]{2,40}"
DROPPED = {
    "buttons": "buttons are the host's to show: keep them beside the voice or key of the response",
    "quick_replies": "quick replies are the host's to show",
    "image": "an image is the host's to show",
    "attachment": "an attachment is the host's to show",
    "elements": "elements are the host's to show",
    "custom": "a payload of a channel",
    "channel": "a text for one channel: approvals and obligations know channels, texts do not",
    "condition": "a text under a condition: make it a response of its own, and yield it under an if",
    "metadata": "a setting of Rasa, such as rephrasing: what is said here is the text itself",
}


class Responses:
    """The responses that the draft takes over, by their names in the domain."""

    def __init__(self, project: Project) -> None:
        self._project, self._draft = project, project.draft
        self._replies: dict[str, Reply] = {}
        self._slots_of: dict[str, dict[str, str]] = {}  # response id -> slot name in the catalog -> slot of the project
        self._by_text: dict[str, Reply] = {}
        self._effects: dict[str, tuple[str, Reply]] = {}
        self._collected = _collected(project)
        for name, entry in project.responses.items():
            self._take(name, entry)

    def get(self, name: str, what: str) -> Reply:
        """The response of that name, or a stub for it."""
        if name not in self._replies:
            self._replies[name] = self.stub(name, what)
        return self._replies[name]

    def of_action(self, name: str) -> list[Reply]:
        """What an action says: one response, or all of ``utter_faq/...`` for ``utter_faq``; nothing for other actions."""
        if name in self._replies:
            return [self._replies[name]]
        return [reply for own, reply in self._replies.items() if own.startswith(f"{name}/")]

    def of_text(self, text: str) -> Reply | None:
        """The response that is written with exactly this text in the domain, its slots as they stand there."""
        return self._by_text.get(" ".join(text.split()))

    def names(self) -> Mapping[str, Reply]:
        return self._replies

    def stub(self, name: str, what: str) -> Reply:
        return self._draft.stub(name, what)

    # -- reading the domain ------------------------------------------------------------------------

    def _take(self, name: str, entry: Entry) -> None:
        draft, item = self._draft, entry.item
        variations = [(index, one if isinstance(one, dict) else {}) for index, one in enumerate(entry.data)]
        texts = [(index, one) for index, one in variations if isinstance(one.get("text"), str)]
        plain = [index for index, one in texts if "condition" not in one and "channel" not in one]
        kept = (plain or [index for index, _ in texts] or [-1])[0]
        for index, one in variations:
            self._parts(entry, index, one, is_kept=index == kept)
        if kept < 0:
            item.note("it has no text")
            return
        text, slots, names = self._text(str(entry.data[kept]["text"]), f"{item.file}:{entry.line(kept)}")
        reply = draft.reply(name, {draft.locale: text}, f"the conversation comes to {name.removeprefix('utter_').replace('_', ' ')}", slots)
        if isinstance(reply, str):
            item.note(reply)
            return
        item.carry(f"the response {reply.id}")
        self._replies[name] = reply
        self._by_text.setdefault(" ".join(str(entry.data[kept]["text"]).split()), reply)
        self._slots_of.setdefault(reply.id, names)

    def _parts(self, entry: Entry, index: int, one: dict[str, Any], *, is_kept: bool) -> None:
        """Counts what a variation holds besides its text; a variation that is not kept counts itself."""
        file, line = entry.document.file, entry.line(index)
        if not is_kept:
            reason = "a response has one text: give it an id of its own where it should be said, too"
            self._draft.item("variation", one.get("text", entry.name), file, line, reason)
        for key, reason in DROPPED.items():
            given = one.get(key)
            for number, part in enumerate(given if isinstance(given, list) else [given] if given is not None else []):
                title = part.get("title", part) if isinstance(part, dict) else part
                at = entry.line(index, key, number) if isinstance(given, list) else entry.line(index, key)
                self._draft.item(key.rstrip("s") if key != "metadata" else key, title, file, at, reason)

    def _text(self, text: str, place: str) -> tuple[str, dict[str, object], dict[str, str]]:
        """The text with its slots as the catalog writes them, their types, and which slot of the project each is."""
        names: dict[str, str] = {}
        types: dict[str, object] = {}
        parts, begin = [], 0
        for match in SLOT.finditer(text):
            slot = self._slot(match[1], place)
            name = self._draft.fields.of(slot.name)
            parts += [escape_braces(text[begin : match.start()]), f"{{{name}}}"]
            begin, names[name], types[name] = match.end(), slot.name, self._type(slot)
        return "".join([*parts, escape_braces(text[begin:])]), types, names

    def _slot(self, name: str, place: str) -> Slot:
        if name not in self._project.slots:
            file, _, line = place.rpartition(":")
            item = self._draft.item("slot", name, file, int(line))
            item.note("no domain declares it: taken as a text that the host gives")
            self._project.slots[name] = Slot(name, "text", (), item)
        return self._project.slots[name]

    def _type(self, slot: Slot) -> object:
        if slot.kind == "decimal":
            return "decimal"
        if slot.kind == "text" and slot.name in self._collected:
            return {"type": "user_text", "form": "name"}
        return "text"

    # -- what logic writes -------------------------------------------------------------------------

    def value(self, slot: Slot, answers: Mapping[str, str]) -> str:
        """Python for the value of a slot: the answer to a question before, or a field of State."""
        if slot.name in answers:
            return answers[slot.name]
        name = self._draft.fields.of(slot.name)
        kind = {"decimal": "Decimal", "bool": "bool"}.get(slot.kind, "str")
        default = "bool = False" if slot.kind == "bool" else f"{kind} | None = None"
        self._draft.state.setdefault(name, f"{name}: {default}")
        slot.item.carry(f"the field {name} of State")
        return f"state.{name}"

    def arguments(self, reply: Reply, answers: Mapping[str, str]) -> str:
        """``, name=value`` for each slot of a response."""
        parts = []
        for name, own in self._slots_of.get(reply.id, {}).items():
            slot = self._project.slots[own]
            value = self.value(slot, answers)
            if own not in answers:
                unknown = {"decimal": "0", "bool": "'...'"}.get(slot.kind, "'unknown'")
                value = f"str({value})" if slot.kind == "bool" else f"{value} or {unknown}"
            elif slot.kind == "bool":
                value = f"str({value})"
            parts.append(f", {name}={value}")
            slot.item.carry(f"the slot {name}")
        return "".join(parts)

    def heard(self, slot: Slot, asked: str) -> str:
        """The field of Heard that answers a question for ``slot``."""
        name = self._draft.fields.of(slot.name)
        question = (sayable(asked) or name).rstrip(".?") + "?"
        if slot.kind == "decimal":
            line = f"{name}: Decimal | None = amount({question!r})"
        elif slot.kind == "choice":
            values = {value: [value] for value in slot.values}
            line = f"{name}: Literal[{', '.join(map(repr, slot.values))}] | None = choice({question!r}, **{values!r})"
        else:
            line = f"{name}: str | None = pattern({WORD!r}, {question!r})"
            slot.item.note("heard as one word of letters: write the form that it has")
        self._draft.heard.setdefault(name, line)
        return name

    def effect(self, action: str, item: Item) -> tuple[str, Reply]:
        """The effect stub of a custom action, and the stub that is said while it runs."""
        if action not in self._effects:
            name = self._draft.fields.of(f"action {action}".replace("action action_", "action_"))
            self._draft.effects[name] = f"{shown(action)}, first used in {shown(item.file)} line {item.line}"
            reply = self.stub(f"{action} runs", f"what is said while {name} runs")
            self._effects[action] = name, reply
            if action in self._project.actions:
                self._project.actions[action].carry(f"the effect {name}")
        return self._effects[action]


def _collected(project: Project) -> frozenset[str]:
    """Names of slots that a flow or a form asks for."""
    found: set[str] = set()
    walk: list[Any] = [entry.data for entry in (*project.flows.values(), *project.forms.values())]
    while walk:
        one = walk.pop()
        if isinstance(one, dict):
            found |= {str(one["collect"])} if "collect" in one else set()
            required = one.get("required_slots")
            found |= {str(name) for name in required} if isinstance(required, list | dict) else set()
            walk += one.values()
        elif isinstance(one, list):
            walk += one
    return frozenset(found)
