"""A flow as Mermaid text, which many editors and web pages draw. Reads no logic."""

from __future__ import annotations

from constrained.pictures.counts import Counts
from constrained.pictures.flow import Box, Flow

_SHAPES = {"function": ("([", "])"), "condition": ("{", "}"), "response": ("[", "]"), "step": ("[[", "]]"), "end": ("((", "))")}


def mermaid(flow: Flow, counts: Counts | None = None) -> str:
    """The whole picture; with counts, what nothing came to is marked."""
    lines = ["flowchart LR"]
    lines += [f"  n{box.number}{_box(box, counts)}" for box in flow.boxes]
    lines += [f"  n{one.source} -->{f'|{_quoted(one.text)}|' if one.text else ''} n{one.target}" for one in flow.arrows]
    if counts is not None:
        lines += ["  classDef come fill:#d9f2d9,stroke:#2e7d32", "  classDef missed fill:#fde0dc,stroke:#b71c1c"]
        for name, wanted in (("come", True), ("missed", False)):
            found = [f"n{box.number}" for box in flow.boxes if (count := counts.of(box)) is not None and (count[0] > 0) is wanted]
            lines += [f"  class {','.join(found)} {name}"] if found else []
    return "\n".join(lines) + "\n"


def told(box: Box, counts: Counts | None) -> list[str]:
    """The lines of text in a box."""
    count = counts.of(box) if counts is not None else None
    return [box.text, *(f"then {effect}" for effect in box.effects), *([f"offered {count[0]}, said {count[1]}"] if count else [])]


def _box(box: Box, counts: Counts | None) -> str:
    left, right = _SHAPES[box.kind]
    return f"{left}{_quoted('<br/>'.join(_plain(line) for line in told(box, counts)))}{right}"


def _quoted(text: str) -> str:
    return '"' + text.replace('"', "#quot;") + '"'


def _plain(text: str) -> str:
    """Without what Mermaid reads as markup."""
    return text.replace("&", "#amp;").replace("<", "#lt;").replace(">", "#gt;")
