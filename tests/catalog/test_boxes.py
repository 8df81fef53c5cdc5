"""Boxes and voices: what does not fit is told before, and never said; every voice has a file, and every file a voice."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from constrained.analysis.voice_files import voice_report
from constrained.catalog.box import box_report, misfit
from constrained.catalog.load import catalog_from
from constrained.catalog.render import render_each
from constrained.catalog.response import Box
from constrained.errors import CatalogError, PackError, PolicyError
from constrained.logic.allow import run as run_turn
from tests.catalog.catalogs import small
from tests.cli.conftest import Run, here, run  # noqa: F401  # fixtures
from tests.logic.packs import load_anew, write

plain_words = st.lists(st.text("abcde", min_size=1, max_size=9), min_size=1, max_size=12)


@given(plain_words, st.integers(9, 30), st.integers(1, 6), st.integers(1, 80))
def test_a_text_fits_by_its_characters_and_by_its_lines(words: list[str], columns: int, lines: int, chars: int) -> None:
    """Against a greedy breaking of its own: a word goes on the line as long as there is room."""
    n_lines, used = 1, 0
    for word in words:
        if used and used + 1 + len(word) > columns:
            n_lines, used = n_lines + 1, 0
        used += len(word) + (1 if used else 0)
    text = " ".join(words)
    assert bool(misfit(text, Box(chars=chars))) is (len(text) > chars)
    assert bool(misfit(text, Box(lines=lines, columns=columns))) is (n_lines > lines)
    assert bool(misfit("\n".join(words), Box(lines=lines))) is (len(words) > lines)
    assert misfit(text, Box()) == ""


def boxed(box: dict[str, int], **responses: Any) -> dict[str, Any]:
    return small(**responses) | {"box": box}


SLOTS: dict[str, Any] = {"n": "integer", "day": "date", "ware": {"type": "choice", "of": ["ale", "a long sword"]}}
FORMS = "{n, plural, one {one} other {# of them}}"
pieces = st.lists(st.sampled_from(["{n}", "{day}", "{ware}", "for", "gold", "coins now", FORMS]), max_size=5)


@settings(max_examples=60)
@given(pieces, pieces, st.integers(20, 60), st.data())
def test_where_the_check_tells_nothing_everything_fits(first: list[str], second: list[str], chars: int, drawn: st.DataObject) -> None:
    used = {name: SLOTS[name] for name in SLOTS if any("{" + name in one for one in first)}
    assume(used.keys() == {name for name in SLOTS if any("{" + name in one for one in second)})
    said = {"variants": ["a " + " ".join(first), "b " + " ".join(second)], "slots": used, "when": "x"}
    catalog = catalog_from(boxed({"chars": chars}, said=said))
    problems, remarks = box_report(catalog)
    integers, days = st.integers(1 - 10**15, 10**15 - 1), st.dates(dt.date(1000, 1, 1), dt.date(9999, 12, 31))
    kinds = {"n": integers, "day": days, "ware": st.sampled_from(["ale", "a long sword"])}
    texts = render_each(catalog["said"], {name: drawn.draw(kinds[name]) for name in used}, "en")
    if not problems and not remarks:
        assert all(len(text) <= chars for text in texts)
    short = {"n": 0, "day": dt.date(2026, 9, 28), "ware": "a long sword"}
    least = render_each(catalog["said"], {name: short[name] for name in used}, "en")
    assert bool(problems) is any(len(text) > chars for text in least) or FORMS in first + second  # of forms, the longest one counts


@pytest.mark.parametrize(
    ("box", "response", "n_problems", "n_remarks"),
    [
        ({"chars": 10}, {"text": "Ten chars."}, 0, 0),
        ({"chars": 9}, {"text": "Ten chars."}, 1, 0),
        ({"chars": 9}, {"variants": ["Ten.", "Ten chars."]}, 1, 0),
        ({"chars": 9}, {"text": {"en": "Ten.", "es": "Son las diez."}}, 1, 0),
        ({"chars": 9}, {"text": "{n} gold", "slots": {"n": "integer"}}, 0, 1),
        ({"chars": 30}, {"text": "{n} gold", "slots": {"n": "integer"}}, 0, 0),
        ({"chars": 50}, {"text": "Hi {who}", "slots": {"who": "text"}}, 1, 0),
        ({"chars": 50}, {"text": "Hi {who}", "slots": {"who": {"type": "text", "max_length": 40}}}, 0, 0),
        ({"lines": 2, "columns": 13}, {"text": "one two three four five"}, 0, 0),
        ({"lines": 1, "columns": 12}, {"text": "one two three four five"}, 1, 0),
        ({"lines": 2}, {"text": "one\ntwo\nthree"}, 1, 0),
        ({"chars": 7}, {"text": "Hm.", "offer": "Shall I do it?"}, 1, 0),
    ],
)
def test_the_check_looks_at_every_form_variant_locale_and_offer(
    box: dict[str, int], response: dict[str, Any], n_problems: int, n_remarks: int
) -> None:
    problems, remarks = box_report(catalog_from(boxed(box, said=response | {"when": "x"})))
    assert (len(problems), len(remarks)) == (n_problems, n_remarks)


@pytest.mark.parametrize(
    ("box", "message"),
    [
        ({"chars": 0}, "'box.chars' must be at least 1"),
        ({"chars": "many"}, "must be a whole number"),
        ({"rows": 3}, "unknown key 'box.rows'"),
        ({}, "'box' limits nothing"),
        ({"columns": 40}, "'box.columns' of a box without lines"),
    ],
)
def test_what_a_catalog_refuses_of_a_box(box: Any, message: str) -> None:
    with pytest.raises(CatalogError) as caught:
        catalog_from(boxed(box))
    assert message in caught.value.problems[0].message


def boxed_desk(folder: Path, box: dict[str, int], **responses: Any) -> Any:
    body = '@policy("shop")\ndef desk(state: Shop, heard: Heard):\n    yield say("hello")\n    yield say("price", name=state.name)\n'
    path = write(folder, body, **responses)
    catalog = folder / "catalogs" / "shop.yaml"
    catalog.write_text(json.dumps(json.loads(catalog.read_text()) | {"box": box}))
    return load_anew(str(path), "desk")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(name=st.text("abc", min_size=1, max_size=60))
def test_what_does_not_fit_is_blocked_and_never_cut(name: str, tmp_path: Path) -> None:
    variants = {"variants": ["For {name}.", "That is for {name}."], "slots": {"name": "text"}}
    desk = boxed_desk(tmp_path, {"chars": 30}, hello="This one is longer than thirty characters.", price=variants)
    allowed = run_turn(desk, desk.state_type.default().replace(name=name)).allowed
    blocked = {one.response_id: one.reason for one in allowed.blocked}
    assert "does not fit the box: it has 42 characters, of at most 30" in blocked["hello"]
    assert ("price" in blocked) is (len(f"That is for {name}.") > 30)
    assert all(len(one.text) <= 30 for one in allowed.options)


def test_a_fallback_that_does_not_fit_is_not_said_either(tmp_path: Path) -> None:
    long = "The name is much too long for this."
    desk = boxed_desk(tmp_path, {"chars": 5}, hello="Good day.", price={"text": "{name}", "slots": {"name": "text"}})
    with pytest.raises(PolicyError, match="nothing may be said: the fallback 'pardon' does not fit the box"):
        run_turn(desk, desk.state_type.default().replace(name=long))


# -- voices -------------------------------------------------------------------------------------------------------------


VOICED = small(
    greet={"text": {"en": "Hi.", "es": "Hola."}, "variants": {"en": ["Hey."], "es": ["Buenas.", "Hey!"]}, "when": "x", "voice": "brom/hi"},
    bye={"text": "Bye.", "when": "y", "voice": "bye", "offer": "Bye?"},
    mute={"text": "Hm.", "when": "z"},
)
KEYS = ("brom/hi", "brom/hi_2", "brom/hi_3", "bye", "bye.offer")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(there=st.sets(st.sampled_from([*KEYS, "x", "brom/x", "brom/hi_4"])), ending=st.sampled_from(["ogg", "wav", "OGG", "txt"]))
def test_missing_and_unused_recordings(there: set[str], ending: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("voices")
    for key in there:
        (folder / f"{key}.{ending}").parent.mkdir(exist_ok=True)
        (folder / f"{key}.{ending}").touch()
    missing, unused = voice_report(catalog_from(VOICED), folder, ["ogg", ".wav"])
    heard = there if ending != "txt" else set()
    assert [problem.message.split("'")[1] for problem in missing] == [key for key in KEYS if key not in heard]
    assert [problem.file for problem in unused] == sorted(str(folder / f"{key}.{ending}") for key in heard - set(KEYS))


def test_a_folder_that_is_none_is_told(tmp_path: Path) -> None:
    with pytest.raises(PackError, match="is no folder"):
        voice_report(catalog_from(VOICED), tmp_path / "nowhere")


def test_the_command_tells_line_and_file(here: Path, run: Run) -> None:  # noqa: F811  # the fixtures
    (here / "npc.yaml").write_text(json.dumps(VOICED, indent=1))
    (here / "voices" / "brom").mkdir(parents=True)
    for key in (*KEYS[:-1], "extra"):
        (here / "voices" / f"{key}.mp3").touch()
    told = run("check", "npc.yaml", "--voices", "voices")
    line = next(number for number, text in enumerate((here / "npc.yaml").read_text().splitlines(), 1) if '"offer"' in text)
    assert told.status == 1
    flat = " ".join(told.out.split())
    assert f"npc.yaml:{line}:" in flat
    assert "the voice 'bye.offer' of 'bye.offer' has no file in voices" in flat
    assert "remark: voices/extra.mp3: no response plays this file" in flat
    (here / "voices" / "bye.offer.mp3").touch()
    assert run("check", "npc.yaml", "--voices", "voices").status == 0
    assert run("check", "npc.yaml", "--voices", "voices", "--strict").status == 1
    assert run("check", "npc.yaml", "--voices", "voices", "--ext", "wav").status == 1
