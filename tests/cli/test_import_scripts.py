"""Scripts of writers: what an imported script says is what the script says, and edited texts go back and forth alone."""

from __future__ import annotations

import csv
import io
import re
import tempfile
from collections import Counter
from collections.abc import Generator
from pathlib import Path

import openpyxl
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from constrained.approval.rewrite import rewrite
from constrained.catalog.load import load_catalog
from constrained.cli.importing.draft import Draft
from constrained.cli.importing.lines import import_lines
from constrained.cli.importing.renpy import import_renpy
from constrained.cli.importing.texts import aligned, changes, csv_cells, kept_of, patched
from constrained.cli.importing.write import counts, write_pack
from constrained.cli.importing.yarn import import_yarn
from constrained.cli.importing.yarn_plans import read_plan
from constrained.cli.importing.yarn_source import Command, If, Jump, Line, Node, Once, Options, Statement, read_file
from constrained.cli.importing.yarn_values import yarn_of
from constrained.errors import DataError
from constrained.quality.golden import load_golden
from tests.cli.conftest import Run
from tests.cli.test_import import HOSTILE, check_draft
from tests.cli.yarn_runner import import_script, run_plan, talk

PLANS = Path(__file__).parents[3] / "shared/data/yarnspinner/Tests"

FAST = (Phase.explicit, Phase.generate)  # to shrink a script takes minutes

# Why a plan is not among those that pass. docs/importing.md has the numbers.
SAYS_NOTHING = {
    "Commands": "commands without a line: a reply says something",
    "Enums-FunctionsAcceptingStringMayAcceptAnyStringEnum": "it is to be compiled only",
    "Expressions": "it is to be compiled, and calls functions of the game",
    "Inference-FunctionsCalledWithConvertibleParameters": "it is to be compiled only",
}
FAILS = {"FormatFunctions": "three options of one menu may read the same, which a catalog refuses"}


@pytest.mark.skipif(not PLANS.is_dir(), reason="the test plans of Yarn Spinner are not there")
def test_the_test_plans_of_yarn_spinner_pass_where_they_apply(tmp_path: Path) -> None:
    found = sorted(PLANS.rglob("*.testplan"))
    outcomes: dict[str, list[str]] = {}
    for plan in found:
        policy, draft = import_script(plan.with_suffix(".yarn"), tmp_path / plan.stem)
        assert all(item.became or item.reasons for item in draft.items)
        if plan.stem not in SAYS_NOTHING:
            outcomes[plan.stem] = run_plan(policy, draft, plan.read_text(encoding="utf-8"))
    assert {name for name, problems in outcomes.items() if problems} == FAILS.keys()
    told = (Path(__file__).parents[2] / "docs" / "importing.md").read_text(encoding="utf-8")
    assert f"{len(outcomes) - len(FAILS)} of {len(found)} plans pass" in told


# -- any script says what it says --------------------------------------------------------------------------

CONDITIONS = ("$x > 1", "$x == 2 or $y", "not $y", "$x >= 1 and $y", 'visited_count("B") > 0')


@st.composite
def bodies(draw: st.DrawFn, numbers: list[int], later: tuple[str, ...], depth: int, indent: str) -> list[str]:
    """Lines of a script; every text in it is its own."""
    lines: list[str] = []
    for _ in range(draw(st.integers(1, 4))):
        kind = draw(st.sampled_from(("line", "line", "line", "set", "command", "if", "once", "options", "options", "group", "way")))
        numbers[0] += 1
        condition = draw(st.sampled_from(CONDITIONS))
        if kind == "line":
            behind = draw(st.sampled_from(("", "", " {$x}", f" <<if {condition}>>", " <<once>>", f" #line:id{numbers[0]}")))
            lines.append(f"{indent}Line {numbers[0]}{behind}")
        elif kind == "set":
            lines.append(indent + draw(st.sampled_from(("<<set $x += 1>>", "<<set $x = 2>>", "<<set $y to not $y>>"))))
        elif kind == "command":
            lines.append(f"{indent}<<do {numbers[0]} {{$x}}>>")
        elif kind == "way" and later:
            word = draw(st.sampled_from(("detour", "detour", "jump")))
            lines.append(f"{indent}<<{word} {draw(st.sampled_from(later))}>>")
        elif kind in ("if", "once") and depth:
            lines.append(f"{indent}<<if {condition}>>" if kind == "if" else f"{indent}<<once>>")
            lines += draw(bodies(numbers, later, depth - 1, indent))
            if draw(st.booleans()):
                lines += [f"{indent}<<else>>", *draw(bodies(numbers, later, depth - 1, indent))]
            lines.append(f"{indent}<<end{kind}>>")
        elif kind in ("options", "group") and depth:
            arrow = "->" if kind == "options" else "=>"
            for n in range(draw(st.integers(1, 3))):
                behind = draw(st.sampled_from(("", f" <<if {condition}>>", " <<once>>")))
                lines.append(f"{indent}{arrow} Pick {numbers[0]} {n}{behind}")
                if draw(st.booleans()):
                    lines += draw(bodies(numbers, later, depth - 1, indent + "    "))
            lines.append("")
    return lines


@st.composite
def scripts(draw: st.DrawFn) -> str:
    numbers = [0]
    names = ("Start", "B", "C")
    parts = [
        f"title: {name}\n---\n" + "\n".join(draw(bodies(numbers, names[place + 1 :], 2, ""))) + f"\nEnd of {name}\n===\n"
        for place, name in enumerate(names)
    ]
    return "".join(parts).replace("---\n", "---\n<<declare $x = 0>>\n<<declare $y = false>>\n", 1)


def score_of(line: Line) -> int:
    return line.once + (1 + len(re.findall(r"\band\b|\bor\b", line.condition)) if line.condition else 0)


class Teller:
    """A script told straight from what was read of it: lines, commands and open options, in order."""

    def __init__(self, nodes: list[Node]) -> None:
        self.nodes = {node.title: node for node in nodes}
        self.values: dict[str, object] = {"$x": 0, "$y": False}
        self.counted: Counter[str] = Counter()

    def holds(self, text: str) -> bool:
        code = re.sub(r'visited_count\("(\w+)"\)', r'c["\1"]', text)
        return bool(eval(re.sub(r"\$\w+", lambda found: f'v["{found[0]}"]', code), {"v": self.values, "c": self.counted}))

    def text(self, line: Line) -> str:
        return "".join(part if isinstance(part, str) else str(self.values[part[0]]) for part in line.parts)

    def open(self, line: Line) -> bool:
        return not (line.once and self.counted[f"once {line.start}"]) and (not line.condition or self.holds(line.condition))

    def taken(self, line: Line) -> None:
        self.counted[f"once {line.start}"] += line.once

    def told(self) -> Generator[tuple[str, list[str]], str, None]:
        title = "Start"
        while title:
            title = yield from self.node(title)

    def node(self, title: str) -> Generator[tuple[str, list[str]], str, str]:
        to = yield from self.block(self.nodes[title].body)
        self.counted[title] += 1
        return to or ""

    def block(self, body: list[Statement]) -> Generator[tuple[str, list[str]], str, str | None]:
        for one in body:
            to = yield from self.statement(one)
            if to is not None:
                return to
        return None

    def statement(self, one: Statement) -> Generator[tuple[str, list[str]], str, str | None]:
        if isinstance(one, Line):
            if self.open(one):
                self.taken(one)
                yield "line", [self.text(one)]
        elif isinstance(one, If):
            for text, body in one.cases:
                if not text or self.holds(text):
                    return (yield from self.block(body))
        elif isinstance(one, Once):
            key, self.counted[f"once {one.at}"] = self.counted[f"once {one.at}"], 1
            return (yield from self.block(one.otherwise if key else one.body))
        elif isinstance(one, Options):
            may = [item for item in one.items if self.open(item.line)]
            if may:
                picked = yield "options", [self.text(item.line) for item in may]
                item = next(item for item in may if self.text(item.line) == picked)
                self.taken(item.line)
                return (yield from self.block(item.body))
        elif isinstance(one, Jump):
            if not one.is_detour:
                return one.target
            to = yield from self.node(one.target)
            return to or None
        elif isinstance(one, Command):
            if one.word == "set":
                name, _, value = one.text.partition(" ")
                code = {"+= 1": f"{name} + 1", "= 2": "2", "to not $y": "not $y"}[value]
                self.values[name] = eval(re.sub(r"\$\w+", lambda found: f'v["{found[0]}"]', code), {"v": self.values})
            elif not one.word:
                yield "command", ["".join(part if isinstance(part, str) else str(self.values[part[0]]) for part in one.parts)]
        else:  # a group: the least recently seen of the most specific
            may = [item for item in one.items if self.open(item.line)]
            score = {id(item): score_of(item.line) for item in may}
            if may:
                item = min(may, key=lambda item: (self.counted[f"seen {item.line.start}"], -score[id(item)]))
                self.counted[f"seen {item.line.start}"] += 1
                self.taken(item.line)
                yield "line", [self.text(item.line)]
                return (yield from self.block(item.body))
        return None


@settings(max_examples=15, deadline=None, phases=FAST)
@given(scripts(), st.lists(st.integers(0, 5), min_size=4, max_size=4))
def test_an_imported_script_says_what_the_script_says(script: str, picks: list[int]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "story.yarn"
        path.write_text(script, encoding="utf-8")
        nodes, errors = read_file(path, script)
        assert not errors
        policy, draft = import_script(path, Path(folder) / "pack")
    teller = Teller(nodes)
    is_lossy = any(item.kind == "story" for item in draft.items)  # told in the report: changes that no line carries
    messages, expected = conversation(teller, picks)
    if not is_lossy and not expected[-1][2] and expected[-1][0]:
        again, more = conversation(teller, picks)  # what was set and counted is remembered
        messages, expected = [*messages, *again], [*expected, *more]
    for (said, done, offered), (wanted, ordered, options) in zip(talk(policy, messages), expected, strict=True):
        assert (said, offered) == (wanted, options)
        assert done == ordered or is_lossy


def conversation(teller: Teller, picks: list[int]) -> tuple[list[str], list[tuple[list[str], list[str], list[str]]]]:
    """The messages of a conversation that picks these options, and for each the lines, the commands, and what is open then."""
    told, messages = teller.told(), [""]
    found: list[tuple[list[str], list[str], list[str]]] = [([], [], [])]
    try:
        kind, texts = next(told)
        while True:
            if kind != "options":
                found[-1][kind == "command"].extend(texts)
                kind, texts = next(told)
                continue
            found[-1][2].extend(texts)
            if len(messages) > len(picks):
                return messages, found
            messages.append(texts[picks[len(messages) - 1] % len(texts)])
            found.append(([], [], []))
            kind, texts = told.send(messages[-1])
    except StopIteration:
        return messages, found


# -- what is not carried is told ---------------------------------------------------------------------------


def test_what_yarn_has_and_a_pack_has_not_is_told_by_file_and_line(tmp_path: Path) -> None:
    script = tmp_path / "a.yarn"
    script.write_text(
        "title: Start\nmood: dark\n---\nHi [b]there[/b]. #line:a\n<<call shake()>>\n<<if odd_thing(1) => 2>>\n"
        "Yes.\n<<endif>>\n<<detour Start>>\n"
        "<<jump Nowhere>>\nNever.\n===\ntitle: Start\n---\nAgain.\n===\ntitle: Bad\n---\n<<if>>\nx\n<<endif>>\n===\n",
        encoding="utf-8",
    )
    draft = Draft("story", "en", "a")
    import_yarn(tmp_path, draft)
    check_draft(draft, tmp_path / "pack")
    told = {(item.kind, item.line): " ".join(item.reasons) for item in draft.items if item.reasons}
    assert "headers mood" in told["node", 1]
    assert "markup '[b]'" in told["line", 4]
    assert "an effect" in told["call", 5]
    assert "the host sets it" in told["condition", 6]
    assert "comes back to itself" in told["detour", 9]
    assert "no node has the title" in told["jump", 10]
    assert told["line", 11] == "no way leads there"
    assert "another node has its title" in told["node", 13]
    assert "without a condition" in told["node", 19]


@pytest.mark.parametrize("name", ["class", "response_id", "tries", "state", "x", "A1", "self"])
def test_any_variable_can_be_said(name: str, tmp_path: Path) -> None:
    (tmp_path / "a.yarn").write_text(f"title: Start\n---\n<<declare ${name} = 2>>\nIt is {{${name}}}.\n===\n", encoding="utf-8")
    policy, _ = import_script(tmp_path / "a.yarn", tmp_path / "pack")
    assert talk(policy, [""])[0][0] == ["It is 2."]


@settings(max_examples=15, deadline=None, phases=FAST)
@given(
    st.lists(
        st.tuples(st.sampled_from(("line", "option", "set", "title", "command", "declare")), st.sampled_from(HOSTILE)),
        min_size=1,
        max_size=6,
    )
)
def test_hostile_scripts_do_nothing(pieces: list[tuple[str, str]]) -> None:
    forms = {
        "line": "{0} #line:{0}",
        "option": "-> {0}",
        "set": "<<set ${0} = {0}>>",
        "command": "<<{0}>>",
        "declare": "<<declare $a = {0}>>",
    }
    script = "title: Start\n---\nHello.\n"
    for kind, text in pieces:
        piece = text.replace("{", "\\{").replace("}", "\\}")
        script += f"===\ntitle: {piece}\n---\nHello.\n" if kind == "title" else forms[kind].format(piece) + "\n"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.yarn"
        path.write_text(script + "===\n", encoding="utf-8")
        draft = Draft("story", "en", "a")
        try:
            import_yarn(path, draft)
        except DataError:
            return
        check_draft(draft, Path(folder) / "pack")


def test_a_test_plan_becomes_golden_dialogues(tmp_path: Path) -> None:
    (tmp_path / "a.yarn").write_text(
        "title: Start\n---\nSmith: Well?\n-> Buy\n    Smith: Here.\n-> Go\n    Smith: Bye.\n===\n", encoding="utf-8"
    )
    plan = (
        "line: `Smith: Well?`\noption: `Buy`\noption: `Go`\nselect: 2\nline: `Smith: Bye.`\nstop\n---\nset: $x = 1\nline: `Smith: Well?`\n"
    )
    (tmp_path / "a.testplan").write_text(plan, encoding="utf-8")
    draft = Draft("story", "en", "a")
    import_yarn(tmp_path, draft)
    write_pack(draft, tmp_path / "pack")
    (dialogue,) = load_golden(tmp_path / "pack/dialogues/story.yaml").dialogues
    assert [(turn.says, turn.expects) for turn in dialogue.turns] == [("", "start_smith_well"), ("Go", "start_go")]
    assert counts(draft.items)["test plan"] == (2, 1, 1)
    with pytest.raises(ValueError, match="line 1"):
        read_plan("say: hello")


# -- the way back ------------------------------------------------------------------------------------------

YARN = """// a comment
title: Start
---
<<declare $gold = 10>>
<<declare $name = "Ann">>
Smith: You have {$gold} gold, {$name}.   #line:s1 // why
-> Buy <<if $gold > 5>> #line:s2
    Smith: C:\\\\ \\#1 \\{x\\} here. #line:s3
-> Leave
    Smith: Bye.
Smith: [wave]Well[/wave] then. #line:s4
===
"""
TABLE = 'language,id,text,file\r\nde,line:s1,"{1}: {0} Gold, Schmied.",a\r\nde,line:s2,Kaufen,a\r\nde,line:zz,Nichts,a\r\n'
RENPY = """define e = Character(_("Eileen"))
default gold = 3
default who = "Ann"
label start:
    show eileen happy
    "It is \\"quiet\\" here." # a comment
    e happy "You have [gold] gold, [who]." with dissolve
    voice "audio/e_02.ogg"
    e 'It\\'s {b}me{/b}.'
    menu:
        e "What now?"
        "Buy" if gold >= 2 and not False:
            $ gold -= 2
            call shop from _call_1
            e "Back again."
        "Leave":
            jump bye
    "Falls through."
label bye:
    "Bye."
    return
label shop:
    "Shop."
    jump back_room
label back_room:
    "In the back."
    $ renpy.pause(1)
    return
"""
GERMAN = """translate german start_0d9f3d2d:

    # e happy "You have [gold] gold, [who]." with dissolve
    e happy "[who] hat [gold] Gold." with dissolve

translate german strings:
    old "Buy"
    new "Kaufen"
"""
SHEET = '''ID,Who,Dialogue,if,vo,note,de,fr_CA
1,Brom,"Hello, {you}",,b1.ogg,gruff,Hallo,
2,Anna,"Say ""x""",has_key,,,,Dis
3,Brom,Hi,,,,,
4,Anna,Hi,,,,,
'''
COLUMNS = {"text": "Dialogue", "speaker": "Who", "condition": "if"}


def read(kind: str, folder: Path) -> Draft:
    draft = Draft("story", "en", "source")
    if kind == "yarn":
        import_yarn(folder, draft)
    elif kind == "renpy":
        import_renpy(folder, draft)
    else:
        import_lines(next(folder.iterdir()), draft, COLUMNS)
    return draft


def write_source(kind: str, folder: Path) -> None:
    folder.mkdir()
    if kind == "yarn":
        (folder / "a.yarn").write_bytes(b"\xef\xbb\xbf" + YARN.encode())
        (folder / "a.csv").write_bytes(TABLE.encode())
    elif kind == "renpy":
        (folder / "script.rpy").write_text(RENPY, encoding="utf-8")
        (folder / "de.rpy").write_text(GERMAN, encoding="utf-8")
    elif kind == "csv":
        (folder / "lines.csv").write_text(SHEET, encoding="utf-8")
    else:
        book = openpyxl.Workbook()
        for row in csv.reader(io.StringIO(SHEET)):
            book.active.append(row)
        book.save(folder / "lines.xlsx")


@pytest.mark.parametrize("kind", ["yarn", "renpy", "csv", "xlsx"])
@settings(max_examples=10, deadline=None, phases=FAST)
@given(st.dictionaries(st.integers(0, 11), st.text(st.sampled_from("ab #\"'[]%/<>\\é,;="), min_size=1, max_size=9), min_size=1, max_size=4))
def test_edited_texts_go_back_and_nothing_else_changes(kind: str, edits: dict[int, str]) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_source(kind, folder / "source")
        draft = read(kind, folder / "source")
        write_pack(draft, folder / "pack")
        path = folder / "pack/catalogs/story.yaml"
        kept = kept_of(draft.places)
        free = [place for place in draft.places if not place.stuck]
        catalog = load_catalog(path)
        assert changes(draft.places, catalog, kept).out == []
        texts = {
            (free[n % len(free)].response_id, free[n % len(free)].locale): f"{free[n % len(free)].text} {n}{text.strip()}"
            for n, text in edits.items()
        }
        catalog = rewrite(path, texts)
        before = {file: file.read_bytes() for file in sorted((folder / "source").iterdir())}
        files, problems = patched(changes(draft.places, catalog, kept).out)
        assert problems == []
        for file, content in files.items():
            Path(file).write_bytes(content)
        again = read(kind, folder / "source")
        there = {(place.response_id, place.locale): place.text for place in aligned(again.places, kept)}
        for key, template in texts.items():
            # a translation of Ren'Py hangs on the text of its original, in Ren'Py as well
            assert there.get(key) == template or (kind == "renpy" and key[1] == "de")
        if kind != "xlsx":
            for file, old in before.items():
                pairs = list(zip(old.splitlines(), file.read_bytes().splitlines(), strict=True))
                spans = [place for place in draft.places if place.file == str(file) and (place.response_id, place.locale) in texts]
                assert sum(a != b for a, b in pairs) == len({place.line for place in spans})


def test_what_both_sides_edited_is_left_alone(here: Path, run: Run) -> None:
    write_source("yarn", here / "source")
    assert run("import", "yarn", "source", "--out", ".", "--name", "story").status == 0
    catalog, script = here / "catalogs/story.yaml", here / "source/a.yarn"
    catalog.write_text(
        catalog.read_text().replace("Smith: Bye.", "Smith: Farewell.").replace("Leave", "Go away").replace("Well then", "So")
    )
    script.write_text(script.read_text(encoding="utf-8-sig").replace("Smith: Bye.", "Smith: Later.").replace("-> Buy", "-> Purchase"))
    ran = run("export", "story", "source", "--out", "out", "--take")
    assert ran.status == 1
    assert "was changed in the catalog and in the source" in ran.err
    assert "a.yarn:11: line_s4 was changed in the catalog, and its markup would be lost" in ran.err
    written = (here / "out/a.yarn").read_text()
    assert "-> Go away\n" in written
    assert "Smith: Later." in written
    assert load_catalog(catalog)["line_s2"].texts["en"].source == "Purchase"
    script.write_text(written)
    (here / "out/a.yarn").unlink()
    ran = run("export", "story", "source", "--out", "out")
    assert "Go away" not in ran.out  # both sides have it, and are compared with it from now on
    assert '["start_leave", "en", "Go away", false]' in (here / "story.import.json").read_text()
    assert run("export", "story", "source", "--out", "source").status == 1


def test_values_keep_their_places_in_a_string_table(tmp_path: Path) -> None:
    write_source("yarn", tmp_path / "source")
    draft = read("yarn", tmp_path / "source")
    check_draft(draft, tmp_path / "pack")
    catalog = load_catalog(tmp_path / "pack/catalogs/story.yaml")
    assert {tag: text.source for tag, text in catalog["line_s1"].texts.items()} == {
        "en": "Smith: You have {gold} gold, {name}.",
        "de": "{name}: {gold} Gold, Schmied.",
    }
    assert catalog["line_s1"].voice == "s1"
    assert [item.line for item in draft.items if item.kind == "translation" and not item.became] == [4]


# -- Ren'Py and sheets -------------------------------------------------------------------------------------


def test_a_ren_py_story_is_told_by_its_labels(tmp_path: Path) -> None:
    write_source("renpy", tmp_path / "source")
    draft = read("renpy", tmp_path / "source")
    check_draft(draft, tmp_path / "pack")
    from constrained.packs import load_policy_file

    policy = load_policy_file(tmp_path / "pack/logic/story.py")
    (first, done, offered), (second, _, _) = talk(policy, ["", "Buy"])
    assert "Hi there!" in load_catalog(tmp_path / "pack/catalogs/story.yaml")["start_it_is_quiet_here"].examples["en"]
    assert first == ['It is "quiet" here.', "You have 3 gold, Ann.", "It's me.", "What now?"]
    assert done == ["show eileen happy"]
    assert offered == ["Buy", "Leave"]
    assert second == ["Shop.", "In the back.", "Back again.", "Falls through.", "Bye."]  # a call comes back through a jump
    catalog = load_catalog(tmp_path / "pack/catalogs/story.yaml")
    assert catalog["start_buy"].texts["de"].source == "Kaufen"
    assert catalog["start_you_have_gold_gold_who"].texts["de"].source == "{who} hat {gold} Gold."
    assert catalog["start_it_s_b_me_b"].voice == "e_02"
    assert "speaker:Eileen" in catalog["start_it_s_b_me_b"].tags
    lost = [item for item in draft.items if not item.became]
    assert [(item.kind, item.line, item.name) for item in lost] == [("python", 27, "renpy.pause(1)")]


@pytest.mark.parametrize("text", ["f(x)", "x in y", "[1]", "x if y else z", "lambda: 1", "x.y()", "1 <", "'a\\nb'", "a < b < c"])
def test_python_that_is_no_comparison_stays_code(text: str) -> None:
    with pytest.raises(DataError):
        yarn_of(text)


@pytest.mark.parametrize("kind", ["csv", "xlsx"])
def test_a_sheet_of_lines_keeps_speakers_conditions_and_languages(kind: str, tmp_path: Path) -> None:
    write_source(kind, tmp_path / "source")
    draft = read(kind, tmp_path / "source")
    check_draft(draft, tmp_path / "pack")
    catalog = load_catalog(tmp_path / "pack/catalogs/story.yaml")
    hello, say, hi = (catalog[f"n_{number}"] for number in (1, 2, 3))
    assert (hello.texts["en"].literal, hello.texts["de"].literal, hello.voice) == ("Hello, {you}", "Hallo", "b1.ogg")
    assert (say.texts["en"].literal, say.texts["fr-CA"].literal) == ('Say "x"', "Dis")
    assert hi.tags == {"speaker:Brom", "speaker:Anna"}
    told = {item.line: item.reasons for item in draft.items if item.kind == "row"}
    assert "the same text as n_3" in told[5][0]
    assert "condition_has_key of State" in told[3][0]


def test_each_speaker_gets_a_pack(here: Path, run: Run) -> None:
    write_source("csv", here / "source")
    options = [one for key, title in COLUMNS.items() for one in ("--column", f"{key}={title}")]
    ran = run("import", "lines", "source/lines.csv", "--out", ".", "--each-speaker", *options)
    assert ran.status == 0
    brom, anna = load_catalog(here / "catalogs/brom.yaml"), load_catalog(here / "catalogs/anna.yaml")
    assert (brom.speaker, anna.speaker) == ("Brom", "Anna")
    assert brom.responses.keys() == {"n_1", "n_3", "pardon"}
    assert "no text differs" in run("export", "anna", "source/lines.csv").out
    assert run("import", "lines", "source/lines.csv", "--out", "o", "--column", "text").status == 1
    assert run("import", "lines", "source/lines.csv", "--out", "o", "--column", "nothing=Who").status == 1
    assert run("import", "yarn", "source", "--out", "o", "--speaker", "x").status == 1


@given(
    st.lists(
        st.lists(st.text(st.characters(exclude_characters="\0\r", exclude_categories=["Cs"]), max_size=6), min_size=2, max_size=3),
        min_size=1,
        max_size=4,
    )
)
def test_the_cells_of_a_csv_are_where_they_are_said_to_be(rows: list[list[str]]) -> None:
    stream = io.StringIO(newline="")
    writer = csv.writer(stream)
    writer.writerow(["a", "b", "c"])
    writer.writerows(rows)
    text = stream.getvalue()
    found = csv_cells(text)
    assert [[cell.value for cell in row] for row in found] == [row for row in csv.reader(io.StringIO(text, newline="")) if any(row)]
    for cell in (cell for row in found for cell in row):
        assert text[cell.start : cell.end] in (cell.value, '"' + cell.value.replace('"', '""') + '"')
