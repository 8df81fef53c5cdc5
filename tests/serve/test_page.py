"""The page's files: nothing from outside, nothing inline, no markup out of text, and names that the server's answers have."""

from __future__ import annotations

import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="the extra `serve` is not installed")

from constrained.serve import wire
from constrained.serve.handover import wire as handover_wire

PAGE = Path(wire.__file__).parent / "page"
SCRIPTS = sorted(PAGE.glob("*.js"))
FRAMES = sorted(PAGE.glob("*.html"))
FILES = sorted(path for path in PAGE.iterdir() if path.is_file())
SVG_NAMESPACE = "http://www.w3.org/2000/svg"  # a name, which is never fetched


class Elements(HTMLParser):
    """All elements of the frame, as (name, attributes)."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def frame(*paths: Path) -> list[tuple[str, dict[str, str | None]]]:
    """The elements of these frames; of all where none is named."""
    return [one for path in paths or FRAMES for one in Elements(path.read_text(encoding="utf-8")).found]


def scripts() -> str:
    return "\n".join(path.read_text(encoding="utf-8") for path in SCRIPTS)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_no_file_asks_for_anything_elsewhere(path: Path) -> None:
    text = path.read_text(encoding="utf-8").replace(SVG_NAMESPACE, "")
    assert not re.findall(r"https?:|//[a-z0-9-]+\.[a-z]|@import|url\(|\bwss?://", text)


def test_nothing_is_inline_that_a_strict_policy_would_stop() -> None:
    for name, attributes in frame():
        assert name != "style"
        assert name != "script" or attributes.get("src"), "an inline script"
        assert not [one for one in attributes if one == "style" or one.startswith("on")], (name, attributes)


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_no_script_makes_markup_or_code_out_of_text(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert not re.findall(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|srcdoc|DOMParser", text)
    assert not re.findall(r"setAttribute\(\s*[\"'](?:style|on)", text)


def test_every_file_that_is_named_is_there() -> None:
    named = [attributes.get("src") or attributes.get("href") or "" for name, attributes in frame() if name in ("script", "link")]
    named += re.findall(r'from "\./([^"]+)"', scripts())
    assert {name for name in named if not name.startswith("data:")} <= {path.name for path in FILES}
    assert {path.name for path in SCRIPTS} <= set(named), "a script that nothing uses"


def test_every_element_that_the_scripts_look_for_is_there() -> None:
    made = set(re.findall(r'\bid: "([a-z-]+)"', scripts()))
    there = {attributes["id"] for _, attributes in frame() if attributes.get("id")}
    assert set(re.findall(r'\$\("([a-z-]+)"\)', scripts())) <= there | made


@pytest.mark.parametrize("path", FRAMES, ids=lambda path: path.name)
def test_every_id_stands_once_and_every_control_has_a_name(path: Path) -> None:
    ids = [attributes["id"] for _, attributes in frame(path) if "id" in attributes]
    assert len(ids) == len(set(ids))
    html = path.read_text(encoding="utf-8")
    for name, attributes in frame(path):
        if name in ("input", "select", "textarea"):
            assert re.search(rf'<label[^>]*>(?:(?!</label>).)*id="{attributes["id"]}"|for="{attributes["id"]}"', html, re.DOTALL), (
                attributes
            )


def fields(*kinds: Any) -> set[str]:
    return {name for kind in kinds for name in kind.model_fields}


def test_the_page_reads_only_what_the_server_tells() -> None:
    """A renamed field of an answer would be shown as nothing at all: no browser complains of it."""
    read = {
        "decision": (wire.DecisionReply,),
        "reply": (wire.TurnReply,),
        "catalog": (wire.CatalogReply,),
        "entry": (handover_wire.TranscriptEntry,),
        "handover": (handover_wire.HandoverReply,),
        "possible": (handover_wire.PossibleReply,),
    }
    optional = {"source", "examples"}  # shown where a server tells them
    for value, kinds in read.items():
        names = set(re.findall(rf"\b{value}\??\.([a-z_]+)\b(?!\()", scripts()))
        assert names <= fields(*kinds) | optional, value
        assert len(names) >= 3, value


def test_what_the_page_sends_is_what_the_server_takes() -> None:
    text = scripts()
    for name in ("pack", "message", "idempotency_key", "effects", "conversation", "state", "engine", "threshold", "within"):
        assert re.search(rf"\b{name}\b", text), name
        assert name in wire.TurnRequest.model_fields, name
    assert {"turn", "state", "effects", "engine"} <= fields(wire.ForkRequest)


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_every_script_parses_and_opens_with_its_role(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert re.match(r"// \S.{10,}\.", text), "the first line says what it is for"
    assert len(text.splitlines()) < 400
    node = shutil.which("node")
    if node is None:
        pytest.skip("no node here to parse it; the browser test runs it")
    done = subprocess.run([node, "--input-type=module", "--check"], input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def colours(block: str) -> dict[str, tuple[float, float, float]]:
    found = re.findall(r"--([a-z-]+): #([0-9a-f]{6})", block)
    return {name: (int(value[:2], 16), int(value[2:4], 16), int(value[4:], 16)) for name, value in found}


def luminance(colour: tuple[float, float, float]) -> float:
    parts = [one / 255 for one in colour]
    red, green, blue = [one / 12.92 if one <= 0.03928 else ((one + 0.055) / 1.055) ** 2.4 for one in parts]
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def schemes() -> list[dict[str, tuple[float, float, float]]]:
    style = (PAGE / "style.css").read_text(encoding="utf-8")
    return [found for block in re.findall(r"\{([^{}]*)\}", style) if (found := colours(block))]


def test_text_can_be_read_in_both_schemes() -> None:
    """At least 4.5 to 1, what WCAG 2 asks of text, for every pair that the page uses."""
    pairs = [("ink", one) for one in ("ground", "card", "sunk", "words-tint", "rules-tint", "pick-tint", "bad-tint")]
    pairs += [("soft", one) for one in ("ground", "card", "sunk")]
    pairs += [(one, "card") for one in ("words", "rules", "pick", "b", "bad")]
    pairs += [(one, f"{one}-tint") for one in ("words", "rules", "pick")] + [("rules", "pick-tint")]
    found = schemes()
    assert len(found) == 3
    for scheme in found:
        for one, other in pairs:
            bright, dim = sorted((luminance(scheme[one]), luminance(scheme[other])), reverse=True)
            assert (bright + 0.05) / (dim + 0.05) >= 4.5, (one, other)


def test_dark_by_system_and_dark_by_choice_are_the_same_colours() -> None:
    _, by_system, by_choice = schemes()
    assert by_system == by_choice
