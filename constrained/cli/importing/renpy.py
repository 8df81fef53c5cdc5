"""Reads a Ren'Py project: labels become steps of one procedure, says and choices responses, translations further languages."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from constrained.catalog.locales import canonical_tag
from constrained.cli.importing.draft import Draft, Place, Reply, escape_braces
from constrained.cli.importing.renpy_source import Script, find_speakers, read_script
from constrained.cli.importing.script_project import Project
from constrained.cli.importing.script_texts import Texts
from constrained.cli.importing.sources import read_text, source_files
from constrained.cli.importing.yarn_source import Line
from constrained.cli.importing.yarn_texts import VALUE_LENGTH, Wording, renamed, slot_name
from constrained.cli.importing.yarn_values import Scope, value_of, yarn_of
from constrained.errors import DataError

OWN = {"schinese": "zh-Hans", "tchinese": "zh-Hant", "piglatin": ""}  # names that Ren'Py's own games use for languages
_PIECE = re.compile(r"\{\{|\[\[|%%|\{(?P<tag>[^{}]*)\}|\[(?P<value>[^\[\]!:]+)(?P<how>(?:![a-z]+)?(?::[^\]]*)?)\]|(?P<odd>\[|%\(\w+\)\w)")
_PAUSES = re.compile(r"/?(w|p|nw|fast|done)(=.*)?$")


def import_renpy(source: Path, draft: Draft) -> None:
    """Fills the draft with the scripts of a project. Raises DataError where no label is found."""
    files: list[tuple[str, str]] = []
    for path in source_files(source, (".rpy",), draft):
        text = read_text(path, draft)
        if text is not None:
            files.append((str(path), text))
    speakers: dict[str, str] = {}
    for _, text in files:
        speakers |= find_speakers(text)
    scripts = [(file, read_script(text, file, draft, speakers)) for file, text in files]
    nodes = [node for _, script in scripts for node in script.nodes]
    if not nodes:
        raise DataError(f"no label was found in {source}", hint="name a .rpy file, or the folder game/ of the project")
    texts = Texts(draft, Scope(), "renpy", read=wording)
    declared = [one for _, script in scripts for one in script.declared]
    Project(draft, nodes, texts, declared, start="start").write()
    for file, script in scripts:
        _add_translations(script, file, draft, texts)


def wording(line: Line, scope: Scope) -> Wording:
    """The text of a say or a choice as the catalog has it. Raises ValueError with a reason where it cannot be carried."""
    found, place, written = Wording(""), 0, ""
    raw = "".join(part for part in line.parts if isinstance(part, str))
    for match in _PIECE.finditer(raw):
        written += escape_braces(raw[place : match.start()])
        place = match.end()
        if match[0] in ("{{", "[[", "%%"):
            written += escape_braces(match[0][0])
        elif match["tag"] is not None:
            if _PAUSES.match(match["tag"]) is None or match["tag"][0] == "p":
                written += " " if match["tag"].startswith("p") else ""
            found.notes.append(f"the text tag {match[0]!r} is not carried: approved text is plain")
            found.stuck = "its text tags would be lost; edit the line in the script"
        elif match["value"]:
            if match["how"] not in ("", "!t"):
                raise ValueError(f"{match[0]}: a format of its own")
            name = slot_name(match["value"], found.slots)
            found.slots[name] = {"type": "text", "max_length": VALUE_LENGTH}
            found.codes[name] = f"text({value_of(yarn_of(match['value']), scope).code})"
            found.holes[name] = match[0]
            written += f"{{{name}}}"
        else:
            raise ValueError(f"{match[0]!r} is no value that can be carried")
    found.text = written + escape_braces(raw[place:])
    return found


@cache
def _languages() -> dict[str, str]:
    from babel import Locale
    from babel.localedata import locale_identifiers

    english = Locale("en").languages
    return {name.lower(): tag for tag, name in english.items() if tag in locale_identifiers()} | OWN


def _add_translations(script: Script, file: str, draft: Draft, texts: Texts) -> None:
    by_text = _replies_by_text(draft, texts)
    originals = {
        place.response_id: {hole: name for name, hole in place.holes.items()} for place in draft.places if place.locale == draft.locale
    }
    unknown: dict[str, int] = {}
    for number, (language, original, line) in enumerate(script.translations):
        tag = canonical_tag(_languages().get(language, ""))
        if not tag:
            unknown.setdefault(language, line.at)
            continue
        reply = by_text.get(original)
        is_interface = reply is None and number in script.strings
        item = draft.item("interface text" if is_interface else "translation", f"{original[:40]} {tag}", file, line.at)
        if reply is None:
            item.note("no line or choice has the text that it translates")
            continue
        try:
            words = wording(line, Scope())
            names = {name: originals[reply.id].get(hole, "") for name, hole in words.holes.items()}
            words.text = renamed(words.text, {name: slot for name, slot in names.items() if slot})
        except (ValueError, DataError) as error:
            item.note(str(getattr(error, "message", error)))
            continue
        if not words.text.strip():
            item.note("it is not translated yet")
        elif reply.texts.get(tag) == words.text or draft.translate(reply, tag, words.text, item):
            item.carry(f"the response {reply.id}, in {tag}")
            holes = {names[name]: hole for name, hole in words.holes.items()}
            draft.places.append(Place(reply.id, tag, reply.texts[tag], file, line.at, line.start, line.end, "renpy", holes, words.stuck))
    for language, at in unknown.items():
        draft.item("language", language, file, at, "no language tag is known for this name")


def _replies_by_text(draft: Draft, texts: Texts) -> dict[str, Reply]:
    """The text of each line as the script has it -> its response."""
    return {raw: draft.replies[response_id] for raw, response_id in texts.raw.items() if not draft.replies[response_id].is_stub}
