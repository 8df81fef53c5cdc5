"""Writes the draft as a pack: catalog, logic, golden dialogues that pass, properties, and the report of what was not carried."""

from __future__ import annotations

import re
import tempfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from constrained.cli.importing.draft import Draft, Item, Reply, shown
from constrained.cli.new import refuse_to_overwrite, write_new
from constrained.errors import ConstrainedError, DataError
from constrained.packs import load_policy_file
from constrained.quality.golden import load_golden, run_golden

FALLBACK = "pardon"
IMPORTS = {
    "constrained": "State Understanding effect policy procedure say",
    "constrained.hear": "amount choice pattern question",
    "constrained.steps": "ask choose confirm perform start tell",
}


class _Dumper(yaml.SafeDumper):
    """YAML as the library reads it: no alias, and quotes around every text but plain words."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    is_plain = re.fullmatch(r"[A-Za-z_]\w*( \w+)*", text, re.ASCII)
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if is_plain else '"')


_Dumper.add_representer(str, _text)


def write_pack(draft: Draft, directory: Path) -> list[Path]:
    """Writes the pack below ``directory`` and returns the files; nothing is overwritten, and nothing stays of a pack that does not load.

    Raises DataError where there is nothing to say; PackError where a file exists; CatalogError, PolicyError where the draft is not a pack.
    """
    name = draft.name
    if not draft.offers and not draft.main:
        hint = "is it the folder of the project, and the right format?"
        raise DataError(f"nothing in {draft.source} could be carried as something to say", hint=hint)
    _give_fallback(draft)
    texts = {f"catalogs/{name}.yaml": catalog_text(draft), f"logic/{name}.py": logic_text(draft)}
    if draft.paths:
        texts[f"properties/{name}.py"] = _properties_text(draft)
    names = [*texts, f"dialogues/{name}.yaml", f"{name}.import.md"]
    refuse_to_overwrite(name, [directory / one for one in names])
    with tempfile.TemporaryDirectory() as trial:
        for one, text in texts.items():
            write_new(name, Path(trial) / one, text)
        golden = _passing(draft, Path(trial))
    if golden:
        texts[f"dialogues/{name}.yaml"] = _dump({"pack": name, "dialogues": golden})
    texts[f"{name}.import.md"] = report_text(draft)
    for one, text in texts.items():
        write_new(name, directory / one, text)
    return [directory / one for one in texts]


def _give_fallback(draft: Draft) -> None:
    reply = draft.replies.get(draft.fallback)
    if reply is None or reply.slots:
        reply = draft.stub(FALLBACK, "what is said when nothing else fits", "the message is about none of the other things")
    draft.fallback, reply.used = reply.id, True


def _dump(data: object) -> str:
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1_000_000)


def catalog_text(draft: Draft) -> str:
    """The catalog file; responses that no line of logic says have the tag ``reserve``, unwritten ones ``stub``."""
    data = catalog_data(draft)
    head = "# A draft: read every text, write the stubs, then have them approved (approvals: required). Check it with: constrained check "
    return f"{head}{draft.name}\n{_dump(data)}"


def catalog_data(draft: Draft) -> dict[str, object]:
    """What the catalog file holds."""
    return {
        "catalog": draft.name,
        "version": 1,
        "locale": draft.locale,
        **({"speaker": draft.speaker} if draft.speaker else {}),
        "fallback": draft.fallback,
        "responses": {one.id: _response(one, draft.locale) for one in draft.replies.values()},
    }


def _response(one: Reply, locale: str) -> dict[str, object]:
    examples = {tag: list(given) for tag, given in one.examples.items() if given}
    tags = [*one.tags, *(tag for tag, holds in (("stub", one.is_stub), ("reserve", not one.used)) if holds)]
    fields: dict[str, object] = {
        "text": one.texts[locale] if list(one.texts) == [locale] else dict(one.texts),
        "when": one.when,
        "slots": dict(one.slots),
        "examples": examples[locale] if list(examples) == [locale] else examples,
        "tags": tags,
        "voice": one.voice,
    }
    return {key: value for key, value in fields.items() if value}


def logic_text(draft: Draft) -> str:
    """The logic file. Names of the source are identifiers in it, its texts are literals."""
    body = [_class("Slots(State)", draft.state), _class("Heard(Understanding)", draft.heard)]
    body += [
        f"@effect\ndef {name}(state: Slots) -> Slots:\n    # {doc}\n    return state  # what your host does, and what is true then\n"
        for name, doc in draft.effects.items()
    ]
    body += draft.functions
    if draft.offers:
        head = f'@policy("{draft.name}")\ndef desk(state: Slots, heard: Heard):\n    """What may be said to a message."""\n'
        body.append(head + "".join(f"    {line}\n" for line in draft.offers))
    else:
        body.append(f'@procedure("{draft.name}", version=1)\n{draft.main}')
    text = "\n\n".join(body)
    heads = [f"# Imported from {shown(draft.source)}\n"]
    heads += ["from decimal import Decimal\n"] if "Decimal" in text else []
    typing = [name for name, mark in (("Literal", "Literal["), ("NamedTuple", "(NamedTuple)")) if mark in text]
    heads += [f"from typing import {', '.join(typing)}\n"] if typing else []
    for module, names in IMPORTS.items():
        used = [name for name in names.split() if re.search(rf"\b{name}\b[(:)\n]", text)]
        heads += [f"from {module} import {', '.join(used)}\n"] if used else []
    return f'"""What may be said, and when: a draft. Check it with: constrained check {draft.name}."""\n\n' + "".join(heads) + "\n\n" + text


def _class(name: str, fields: dict[str, str]) -> str:
    return f"class {name}:\n" + ("".join(f"    {line}\n" for line in fields.values()) or '    """Nothing yet."""\n')


def _properties_text(draft: Draft) -> str:
    lines = [
        f'"""What no conversation may do: no step of the workflow is skipped. Prove it with: constrained prove {draft.name}."""\n',
        "from constrained.analysis.prover.properties import in_order, scope\n",
        f"EXPLORED = scope(starts={draft.starts or [{}]!r})",
    ]
    lines += [f"way_{number} = in_order({', '.join(map(repr, path))})" for number, path in enumerate(draft.paths, start=1)]
    return "\n".join(lines) + "\n"


def _passing(draft: Draft, folder: Path) -> list[dict[str, object]]:
    """The dialogues that go as they say in the pack below ``folder``; the others tell why not in their items."""
    policy = load_policy_file(folder / "logic" / f"{draft.name}.py")
    passing: list[dict[str, object]] = []
    names: Counter[str] = Counter()
    for number, candidate in enumerate(draft.candidates):
        names[candidate.item.name] += 1
        n_th = names[candidate.item.name]
        dialogue: dict[str, object] = {"name": candidate.item.name + (f" ({n_th})" if n_th > 1 else ""), "turns": candidate.turns}
        path = folder / "dialogues" / f"{number}.yaml"
        try:
            write_new(draft.name, path, _dump({"pack": draft.name, "dialogues": [dialogue]}))
            results = list(run_golden(policy, load_golden(path).dialogues[0]))
            problems = [f"turn {n}: {text}" for n, one in enumerate(results, start=1) for text in one.problems]
        except ConstrainedError as error:
            listed = getattr(error, "problems", ())
            problems = [listed[0].message if listed else error.message]
        if problems:
            candidate.item.note(f"it cannot pass yet: {problems[0]}")
        else:
            candidate.item.carry("a golden dialogue")
            passing.append(dialogue)
    return passing


# -- the report --------------------------------------------------------------------------------------


def counts(items: Iterable[Item]) -> dict[str, tuple[int, int, int]]:
    """Kind -> how many were found, carried, and reported as not carried."""
    found: Counter[str] = Counter()
    carried: Counter[str] = Counter()
    for one in items:
        found[one.kind] += 1
        carried[one.kind] += bool(one.became)
    return {kind: (n, carried[kind], n - carried[kind]) for kind, n in found.items()}


def report_text(draft: Draft) -> str:
    """Markdown: counts by kind, then each item that was not carried or was changed, with file, line and reason."""
    table = counts(draft.items)
    total = tuple(sum(row[column] for row in table.values()) for column in range(3))
    rows = [f"| {kind} | {n} | {carried} | {lost} |" for kind, (n, carried, lost) in table.items()]
    lines = [
        f"# {draft.name}: what was imported, and what was not",
        f"From {shown(draft.source)}.",
        "| item | found | carried | reported |\n|---|---|---|---|\n" + "\n".join([*rows, "| all | {} | {} | {} |".format(*total)]),
        "## To be written",
        "\n".join(f"- `{one.id}`: {one.texts[draft.locale]}" for one in draft.replies.values() if one.is_stub) or "Nothing.",
        "## Not carried",
        "\n".join(_told(one) for one in draft.items if not one.became) or "Nothing.",
        "## Carried, with a change",
        "\n".join(_told(one) for one in draft.items if one.became and one.reasons) or "Nothing.",
    ]
    return "\n\n".join(lines) + "\n"


def _told(one: Item) -> str:
    reasons = "; ".join(one.reasons) or "nothing that was carried uses it"
    became = f" (became {one.became})" if one.became else ""
    return f"- {one.file}:{one.line}: {one.kind} {shown(one.name)}{became}: {reasons}"
