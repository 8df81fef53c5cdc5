"""The lines of a script as responses, each made once."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal

from constrained.catalog.load import catalog_from
from constrained.cli.importing.draft import Draft, Place, Reply, sayable
from constrained.cli.importing.write import catalog_data
from constrained.cli.importing.yarn_source import Line
from constrained.cli.importing.yarn_texts import Wording, wording
from constrained.cli.importing.yarn_values import Scope, value_of
from constrained.errors import CatalogError, DataError


@dataclass(slots=True)
class Texts:
    """Lines as responses, each made once. ``read``: the text of a line as the catalog has it."""

    draft: Draft
    scope: Scope
    form: Literal["yarn", "renpy"] = "yarn"
    read: Callable[[Line, Scope], Wording] | None = None
    found: dict[tuple[str, int], tuple[Reply, Wording] | None] = field(default_factory=dict)
    ids: dict[str, Reply] = field(default_factory=dict)
    files: dict[int, str] = field(default_factory=dict)
    options: set[int] = field(default_factory=set)
    raw: dict[str, str] = field(default_factory=dict)

    def of(self, line: Line, title: str) -> tuple[Reply, Wording] | None:
        """The response of a line; a stub where its text cannot be said; None where it has no text."""
        key = (self.files[id(line)], line.start)
        if key not in self.found:
            self.found[key] = self._made(line, title) if line.parts else None
        return self.found[key]

    def _made(self, line: Line, title: str) -> tuple[Reply, Wording]:
        draft, is_option = self.draft, id(line) in self.options
        raw = "".join(part if isinstance(part, str) else "" for part in line.parts)
        name = f"line_{line.id}" if line.id else f"{title} {raw[:40]}"
        when = f"the player chooses: {sayable(raw)}" if is_option else f"the story says: {sayable(raw)}"
        try:
            words = self.read(line, self.scope) if self.read else wording(line.parts, self._python, draft.locale)
            reply = draft.reply(name, {draft.locale: words.text}, when, words.slots, by_order=True)
            if isinstance(reply, Reply):
                words.codes = dict(zip(reply.slots, words.codes.values(), strict=True))
                words.holes = dict(zip(reply.slots, words.holes.values(), strict=False))
        except (ValueError, DataError) as error:
            reply, words = str(getattr(error, "message", error)), Wording("")
        if isinstance(reply, str):
            stub = draft.stub(name, raw or title, when)
            words = Wording(stub.texts[draft.locale], notes=[f"{reply}: its text is to be written"], stuck=reply)
            reply = stub
        elif line.id and not reply.tags and not reply.voice:
            reply.voice = line.id
        elif line.id and reply.voice != line.id:
            words.notes.append(f"it has the same text as {reply.id}, so the id {line.id} and a voice of its own are not carried")
        self._mark(reply, line, words, is_option)
        self.raw.setdefault(raw, reply.id)
        file, text = self.files[id(line)], reply.texts[draft.locale]
        place = Place(reply.id, draft.locale, text, file, line.at, line.start, line.end, self.form, words.holes, words.stuck or line.stuck)
        place = replace(place, is_named=bool(line.id) and reply.voice == line.id)
        draft.places.append(place)
        return reply, words

    def _python(self, expression: str) -> str:
        return value_of(expression, self.scope).code

    def settle(self) -> None:
        """Makes stubs of responses that could be said in the same words as another one: a catalog refuses those."""
        for _ in range(len(self.draft.replies)):
            try:
                catalog_from(catalog_data(self.draft))
                return
            except CatalogError as error:
                clashes = [
                    found for one in error.problems if (found := re.match(r"'(\w+)' says in '[\w-]+' the same as (.*)", one.message))
                ]
            if not clashes:
                return  # what else is wrong is told when the pack is written
            for clash in clashes:
                self._stub(clash[1], f"it may be said in the same words as {clash[2]}")

    def _stub(self, response_id: str, reason: str) -> None:
        reply = self.draft.replies[response_id]
        reply.texts, reply.slots, reply.is_stub = {self.draft.locale: f"(To be written [{response_id}].)"}, {}, True
        for key, one in self.found.items():
            if one is not None and one[0] is reply:
                self.found[key] = (reply, Wording("", notes=[f"{reason}: its text is to be written"], stuck=reason))
        self.draft.places = [
            replace(one, text=reply.texts[one.locale], stuck=reason) if one.response_id == response_id else one for one in self.draft.places
        ]

    def _mark(self, reply: Reply, line: Line, words: Wording, is_option: bool) -> None:
        speaker = line.speaker or words.speaker
        tags = [f"speaker:{speaker}"] if speaker else []
        tags += ["option" if is_option else "line"]
        tags += [tag for tag in line.tags if not tag.startswith(("line:", "shadow:"))]
        reply.tags += [tag for tag in tags if tag not in reply.tags and tag not in ("stub", "reserve", "moment", "returned", "too_long")]
        reply.voice = reply.voice or line.voice
        if line.id and line.id not in self.ids:
            self.ids[line.id] = reply
        if is_option and not words.codes:
            reply.add_examples(self.draft.locale, [sayable("".join(one for one in line.parts if isinstance(one, str))) or reply.id])
