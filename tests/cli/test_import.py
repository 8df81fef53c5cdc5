"""constrained import: every item is carried or told, the pack that is written passes its check, hostile sources do nothing."""

from __future__ import annotations

import ast
import csv
import io
import re
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import openpyxl
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from constrained.catalog.load import load_catalog
from constrained.cli.importing import sources
from constrained.cli.importing.agent_builder import import_agent_builder
from constrained.cli.importing.draft import Draft, Names
from constrained.cli.importing.faq import import_faq
from constrained.cli.importing.rasa import import_rasa
from constrained.cli.importing.write import counts, report_text, write_pack
from constrained.errors import DataError
from constrained.packs import load_policy_file
from constrained.quality.golden import load_golden, run_golden
from tests.cli.conftest import Run

HOSTILE = [
    '"""\nimport os',
    "'); raise SystemExit(",
    "\\",
    "\r\nraise SystemExit",
    "{state.__class__}",
    "\u2028x",
    "#\n1/0",
    "class",
    "__import__",
]
words = st.text(st.characters(categories=["L", "N", "P", "Zs"]), min_size=1, max_size=20).filter(str.strip)
names = st.from_regex(r"[a-z][a-z_]{0,8}", fullmatch=True) | st.sampled_from(["class", "say", "state", "état", "a-b", "model_x", "9"])


def check_draft(draft: Draft, folder: Path) -> None:
    """The pack is written, loads, and its golden dialogues pass; every item is carried or told by file and line."""
    if not draft.offers and not draft.main:  # every text of it was refused
        with pytest.raises(DataError):
            write_pack(draft, folder)
        return
    write_pack(draft, folder)
    policy = load_policy_file(folder / "logic" / f"{draft.name}.py")
    dialogues = folder / "dialogues" / f"{draft.name}.yaml"
    for dialogue in load_golden(dialogues).dialogues if dialogues.exists() else ():
        assert [problem for result in run_golden(policy, dialogue) for problem in result.problems] == []
    told = (folder / f"{draft.name}.import.md").read_text(encoding="utf-8")
    for item in draft.items:
        assert item.became or item.reasons, item
        assert item.became or f"- {item.file}:{item.line}: {item.kind} " in told
    assert all(found == carried + reported for found, carried, reported in counts(draft.items).values())
    assert report_text(draft) == told


# -- Rasa ------------------------------------------------------------------------------------------------

SLOTS = {
    "text": {"type": "text"},
    "float": {"type": "float"},
    "bool": {"type": "bool"},
    "categorical": {"type": "categorical", "values": ["a", "it's"]},
}


@st.composite
def steps(draw: st.DrawFn, slots: list[str], depth: int = 0) -> list[dict[str, Any]]:
    found = []
    for _ in range(draw(st.integers(1, 3))):
        kind = draw(st.sampled_from(["collect", "action", "custom", "set_slots", "link"]))
        value: Any = {
            "collect": draw(st.sampled_from(slots)),
            "action": draw(st.sampled_from(["utter_a", "utter_missing"])),
            "custom": draw(st.sampled_from(["action_x", "action_listen"])),
            "set_slots": [{slots[0]: None}],
            "link": draw(st.sampled_from(["flow_0", "flow_1", "gone"])),
        }[kind]
        found.append({"action" if kind == "custom" else kind: value})
    if depth < 2 and draw(st.booleans()):
        test = draw(st.sampled_from(["slots.{}", "not slots.{}", 'slots.{} = "a"', "slots.{} > 5", "slots.{} is null", "lower(slots.{})"]))
        condition = " and ".join(test.format(draw(st.sampled_from(slots))) for _ in range(draw(st.integers(1, 2))))
        found[-1]["next"] = [{"if": condition, "then": draw(steps(slots, depth + 1))}, {"else": draw(st.sampled_from(["END", "gone"]))}]
        found[-1]["next"][0]["then"][-1].setdefault("next", "END")
    return found


def count_steps(given: list[dict[str, Any]], found: Counter[str]) -> None:
    for step in given:
        found["step"] += 1
        if isinstance(step.get("next"), list):
            found["branch"] += 1
            count_steps(step["next"][0]["then"], found)


@st.composite
def projects(draw: st.DrawFn) -> tuple[dict[str, Any], Counter[str]]:
    """A project in one file, and how many of each kind it holds."""
    slots = draw(st.dictionaries(names, st.sampled_from(list(SLOTS.values())), min_size=1, max_size=4))
    holes = st.sampled_from([f"{{{name}}}" for name in slots if re.fullmatch(r"[a-z_]+", name)] or ["{x"])
    texts = st.builds(" ".join, st.lists(words | holes | st.sampled_from(HOSTILE), min_size=1, max_size=4))
    responses = {
        f"utter_{name}": [{"text": draw(texts)} for _ in range(draw(st.integers(1, 2)))]
        for name in ["a", "greet", *draw(st.lists(names, max_size=3, unique=True))]
    }
    flows = {f"flow_{number}": {"description": draw(words), "steps": draw(steps(list(slots)))} for number in range(draw(st.integers(0, 2)))}
    examples = draw(st.lists(words, min_size=1, max_size=4))
    found: Counter[str] = Counter(slot=len(slots), response=len(responses), flow=len(flows), intent=2, story=1, rule=1, entity=1)
    found["variation"] = sum(len(one) - 1 for one in responses.values())
    found["example"] = sum(bool(re.sub(r"^\s*-\s*", "", line).strip()) for line in examples)
    for flow in flows.values():
        count_steps(flow["steps"], found)
    project = {
        "version": "3.1", "intents": ["greet", "bye"], "entities": ["city"], "slots": slots, "responses": responses, "flows": flows,
        "nlu": [{"intent": "greet", "examples": "".join(f"- {one}\n" for one in examples)}],
        "rules": [{"rule": "r", "steps": [{"intent": "greet"}, {"action": "utter_greet"}]}],
        "stories": [{"story": draw(words), "steps": [{"intent": "greet"}, {"action": "utter_greet"}, {"intent": "bye"}, {"action": "x"}]}],
    }  # fmt: skip
    return project, found


@settings(max_examples=12, deadline=None)
@given(projects())
def test_of_a_rasa_project_every_item_is_carried_or_told(project: tuple[dict[str, Any], Counter[str]]) -> None:
    data, expected = project
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "domain.yml").write_text(yaml.safe_dump(data, allow_unicode=True), encoding="utf-8")
        draft = Draft("bot", "en", folder)
        import_rasa(Path(folder), draft)
        check_draft(draft, Path(folder) / "out")
        found = {kind: row[0] for kind, row in counts(draft.items).items()}
        for kind, n in expected.items():
            declared = n + sum("no domain declares it" in " ".join(one.reasons) for one in draft.items) * (kind == "slot")
            assert found.get(kind, 0) == declared, kind


FLOW = """
slots:
  who: {type: text}
  much: {type: float}
  sure: {type: bool}
responses:
  utter_ask_who: [{text: To whom?}]
  utter_ask_much: [{text: "How much for {who}?"}]
  utter_ask_sure: [{text: "Pay {much} to {who}?"}]
  utter_paid: [{text: Paid.}]
  utter_not: [{text: Then not., buttons: [{title: Again, payload: /again}]}]
flows:
  pay:
    description: send money
    steps:
      - collect: who
      - id: much
        collect: much
      - action: check_funds
        next:
          - if: slots.much > 500
            then: much
          - else: ask
      - id: ask
        collect: sure
        next:
          - if: slots.sure
            then: [{action: utter_paid, next: END}]
          - else: [{action: utter_not, next: END}]
test_cases:
  - test_case: pays
    steps: [{user: send money}, {utter: utter_ask_who}, {user: Anna}, {slot_was_set: [{who: Anna}]}, {utter: utter_ask_much}]
  - test_case: cannot pass
    steps: [{user: send money}, {utter: utter_paid}]
"""


def test_a_flow_becomes_a_procedure_with_its_questions_branches_and_effect(run: Run, here: Path) -> None:
    (here / "bot.yml").write_text(FLOW)
    done = run("import", "rasa", "bot.yml", "--out", ".")
    assert done.status == 0, done.err
    logic = Path("logic/bot.py").read_text()
    for line in (
        "ask('utter_ask_who', 'who')",
        "who=who)",
        "if (much is not None and much > Decimal('500')):",
        ".then(action_check_funds)",
        "if sure:",
    ):
        assert line in logic
    report = Path("bot.import.md").read_text()
    assert re.search(r"bot\.yml:11: button 'Again': ", report)
    assert re.search(r"bot\.yml:17: step 'collect much'.*leads back", report)
    assert re.search(r"test case 'cannot pass': it cannot pass yet: turn 1", report)
    assert [one["name"] for one in yaml.safe_load(Path("dialogues/bot.yaml").read_text())["dialogues"]] == ["pays"]
    assert run("test", "bot").status == 0
    assert "no problem" in run("check", "bot").out
    assert "To whom?" in run("play", "bot", stdin="send money\n").out


# -- FAQ -------------------------------------------------------------------------------------------------

cells = st.text(st.characters(exclude_categories=["Cs", "Cc", "Cf", "Co", "Cn", "Zl", "Zp"]), max_size=30) | st.sampled_from(HOSTILE)


@settings(max_examples=12, deadline=None)
@given(st.lists(st.tuples(cells, cells, cells), min_size=1, max_size=6), st.sampled_from(",;\t"))
def test_of_an_faq_every_answer_is_carried_word_for_word_or_told(rows: list[tuple[str, str, str]], separator: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "faq.csv"
        text = io.StringIO()
        csv.writer(text, delimiter=separator).writerows([("Question", "Answer", "Alternatives"), *rows, ("Sure?", "Yes.", "")])
        path.write_text(text.getvalue(), encoding="utf-8", newline="")
        draft = Draft("faq", "en", str(path))
        import_faq(path, draft)
        check_draft(draft, Path(folder) / "out")
        kept = [row for row in rows if any(cell.strip() for cell in row)]
        blank = sum(not (row[0].strip() or row[1].strip()) for row in kept)
        assert counts(draft.items)["row"][0] == len(kept) - blank + 1
        catalog = load_catalog(Path(folder) / "out" / "catalogs" / "faq.yaml")
        carried = [one for one in draft.items if one.kind == "row" and one.became]
        said = {"".join(map(str, response.texts["en"].parts)) for response in catalog.responses.values()}
        answers = {re.sub(r"\r\n?", "\n", row[1].strip()) for row in (*kept, ("", "Yes.", ""))}
        assert len(carried) <= len(said) + len(kept)
        assert {text for text in said if not text.startswith("(To be written")} <= {_nfc(text) for text in answers}


def _nfc(text: str) -> str:
    import unicodedata

    return unicodedata.normalize("NFC", text)


def test_a_row_cut_at_a_bare_comma_is_told_and_not_said(run: Run, here: Path) -> None:
    (here / "faq.csv").write_text("id,question,answer\n1,Can I pay?,Yes, if you are an adult.\n2,When?,Now.\n")
    assert run("import", "faq", "faq.csv", "--out", ".").status == 0
    assert "Yes" not in Path("catalogs/faq.yaml").read_text()
    assert "faq.csv:2: row '1': it has 4 cells under 3 titles" in Path("faq.import.md").read_text()


def test_languages_by_row_by_column_and_in_a_sheet(run: Run, here: Path) -> None:
    (here / "rows.csv").write_text("id;Frage;Antwort;lang\na;Wann?;Jetzt.;de\na;When?;Now.;en\nb;Who?;Me.;en\nc;Qui?;Moi.;fr\n")
    assert run("import", "faq", "rows.csv", "--out", ".", "--locale", "de").status == 0
    responses = yaml.safe_load(Path("catalogs/rows.yaml").read_text())["responses"]
    assert responses["wann"]["text"] == {"de": "Jetzt.", "en": "Now."}
    assert "row 'Who?': it is in en: no row of the catalog's language has its id" in Path("rows.import.md").read_text()
    book = openpyxl.Workbook()
    for row in (("question_en", "answer_en", "question_fr", "answer_fr"), ("When?", "Now.", "Quand ?", "Maintenant.")):
        book.active.append(row)
    book.save(here / "sheet.xlsx")
    assert run("import", "faq", "sheet.xlsx", "--out", ".").status == 0
    assert yaml.safe_load(Path("catalogs/sheet.yaml").read_text())["responses"]["when"]["text"] == {"en": "Now.", "fr": "Maintenant."}


# -- Agent Builder ---------------------------------------------------------------------------------------


def chain(n: int, language: str) -> str:
    """A workflow of ``n`` agents, one after the other, as the export writes it."""
    if language == "py":
        agents = "".join(f'agent_{i} = Agent(name="Step {i}", instructions="do {i}")\n' for i in range(n))
        runs = "".join(f"    agent_{i}_result_temp = await Runner.run(agent_{i}, input=[*history])\n" for i in range(n))
        return f"from agents import Agent, Runner\n{agents}async def run_workflow(workflow_input):\n  with trace('x'):\n{runs}"
    agents = "".join(f'const agent{i} = new Agent({{ name: "Step {i}", instructions: `do {i}` }});\n' for i in range(n))
    runs = "".join(f"    const agent{i}ResultTemp = await runner.run(agent{i}, [...history]);\n" for i in range(n))
    return f"{agents}export const runWorkflow = async (workflow) => {{\n  return await withTrace('x', async () => {{\n{runs}  }});\n}}\n"


@pytest.mark.parametrize("language", ["py", "ts"])
def test_the_proof_shows_that_four_steps_are_four_steps(language: str, run: Run, here: Path) -> None:
    (here / f"flow.{language}").write_text(chain(4, language))
    assert run("import", "agent-builder", f"flow.{language}", "--out", ".").status == 0
    assert re.findall(r"await tell\('(\w+)'\)", Path("logic/flow.py").read_text()) == ["step_0", "step_1", "step_2", "step_3"]
    proof = run("prove", "flow")
    assert proof.status == 0
    assert len(re.findall(r"^proved\s+way_1_\d", proof.out, re.MULTILINE)) == 3
    assert "no problem" in run("check", "flow").out
    logic = Path("logic/flow.py")
    logic.write_text(logic.read_text().replace("    await tell('step_2')  ", "    if state.model_dump():\n        await tell('step_2')  "))
    assert run("prove", "flow").status == 1, "a step that can be skipped is found"


WORKFLOW = """
const router = new Agent({ name: "Router", instructions: "x", outputType: Kind, tools: [lookUp] });
const refund = new Agent({ name: "Refund", instructions: `x` });
export const runWorkflow = async (workflow) => {
  return await withTrace("Shop", async () => {
    const state = { open: true };
    const found = await runAndApplyGuardrails(workflow.input, config);
    if (found.hasTripwire) {
      return { message: "No." };
    }
    const routerResultTemp = await runner.run(router, []);
    const routerResult = { output_parsed: routerResultTemp.finalOutput };
    if (routerResult.output_parsed.kind == "refund") {
      const approvalMessage = "Shall I refund it?";
      if (approvalRequest(approvalMessage)) {
        await runner.run(refund, []);
        return { message: "It is refunded." };
      } else {
        return { message: "Then not." };
      }
    } else {
    }
    while (state.open) {
      state.open = false;
      await runner.run(refund, []);
    }
  });
}
"""


def test_choices_approvals_loops_and_ends_of_a_workflow_are_carried(run: Run, here: Path) -> None:
    (here / "shop.ts").write_text(WORKFLOW)
    assert run("import", "agent-builder", "shop.ts", "--out", ".").status == 0
    logic = Path("logic/shop.py").read_text()
    for line in ("kind = await choose('refund', 'other')", "if await confirm('approval'):", "for _ in range(2):", "if state.condition:"):
        assert line in logic
    texts = [one["text"] for one in yaml.safe_load(Path("catalogs/shop.yaml").read_text())["responses"].values()]
    assert {"No.", "Shall I refund it?", "It is refunded.", "Then not."} <= set(texts)
    report = Path("shop.import.md").read_text()
    for line in ("shop.ts:7: guardrail", "shop.ts:2: agent's tool 'lookUp'", "shop.ts:24: state 'state.open'", "shop.ts:2: instructions"):
        assert line in report
    assert "no problem" in run("check", "shop").out
    assert "violated" not in run("prove", "shop").out


@settings(max_examples=12, deadline=None)
@given(st.lists(st.sampled_from(["run", "if", "guard", "state", "ask", "else", "while"]), max_size=7))
def test_of_a_workflow_every_node_is_carried_or_told(nodes: list[str]) -> None:
    """Nodes one in the other; the first runs, so that something is said."""
    lines, depth, expected = ["  await Runner.run(agent, [])"], 1, Counter(run=1)
    for node in nodes:
        pad = "  " * depth
        if node in ("if", "while", "ask", "else"):
            opened = {
                "if": "if state['x']:",
                "while": "while state['y']:",
                "ask": "if approval_request('Sure?'):",
                "else": "if r['c'] == 'a':",
            }
            lines.append(pad + opened[node])
            expected["while" if node == "while" else "branch"] += 1
            depth += 1
            pad = "  " * depth
        lines.append(pad + {"guard": "g = await run_guardrails(1)", "state": "state['z'] = 1"}.get(node, "await Runner.run(agent, [])"))
        expected[{"guard": "guardrail", "state": "state"}.get(node, "run")] += 1
    source = "agent = Agent(name='A', instructions='x')\nasync def run_workflow(i):\n" + "\n".join(lines) + "\n"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "flow.py"
        path.write_text(source)
        draft = Draft("flow", "en", str(path))
        import_agent_builder(path, draft)
        check_draft(draft, Path(folder) / "out")
        found = {kind: row[0] for kind, row in counts(draft.items).items()}
        assert {kind: found.get(kind, 0) for kind in expected} == dict(expected)


def test_what_no_way_leads_to_keeps_its_kind_and_a_choice_needs_no_variable(tmp_path: Path) -> None:
    path = tmp_path / "flow.py"
    body = '    if "" == "x":\n        return {"a": "b"}\n    else:\n        return {}\n    while state.z:\n        state["z"] = 1\n'
    path.write_text("async def run_workflow(i):\n" + body, encoding="utf-8")
    draft = Draft("flow", "en", str(path))
    import_agent_builder(path, draft)
    assert Counter(one.kind for one in draft.items if not one.became) == Counter({"while": 1, "state": 1})
    assert "chosen = await choose('x', 'other')" in draft.main


# -- hostile sources ---------------------------------------------------------------------------------------


@given(st.lists(st.text(max_size=30) | st.sampled_from(HOSTILE), max_size=8, unique=True))
def test_names_become_identifiers_and_never_one_for_two(given_names: list[str]) -> None:
    registry = Names()
    found = [registry.of(name) for name in given_names]
    assert found == [registry.of(name) for name in given_names]
    assert len(set(found)) == len(found)
    for name in found:
        assert re.fullmatch(r"[a-z][a-z0-9_]*", name)
        ast.parse(f"def {name}({name}): return {name}")


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_of_a_source_becomes_code(text: str, tmp_path: Path) -> None:
    data = {
        "slots": {text: {"type": "categorical", "values": [text, "b"]}},
        "responses": {f"utter_{text}": [{"text": f"said {text}"}], f"utter_ask_{text}": [{"text": text}]},
        "actions": [text],
        "flows": {text: {"description": text, "steps": [
            {"collect": text, "description": text}, {"action": text, "next": [{"if": text, "then": "END"}]},
        ]}},
    }  # fmt: skip
    (tmp_path / "domain.yml").write_text(yaml.safe_dump(data))
    draft = Draft("bot", "en", str(tmp_path))
    import_rasa(tmp_path, draft)
    check_draft(draft, tmp_path / "out")
    tree = ast.parse((tmp_path / "out" / "logic" / "bot.py").read_text(encoding="utf-8"))
    assert {one.module for one in ast.walk(tree) if isinstance(one, ast.ImportFrom)} <= {
        "constrained",
        "constrained.hear",
        "constrained.steps",
        "typing",
    }
    assert not any(isinstance(one, ast.Import | ast.Raise | ast.Global) for one in ast.walk(tree))


def test_bombs_tags_and_links_out_of_the_source_are_told_and_not_followed(tmp_path: Path) -> None:
    source = tmp_path / "bot"
    source.mkdir()
    (tmp_path / "secret.yml").write_text("responses: {utter_secret: [{text: secret}]}")
    (source / "link.yml").symlink_to(tmp_path / "secret.yml")
    bomb = "a: &a [x, x]\n" + "".join(f"{new}: &{new} [*{old}, *{old}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True))
    (source / "bomb.yml").write_text(
        bomb + "responses: {utter_a: [{text: *a}], utter_b: [{text: Hi.}]}\nintents: !!python/object/apply:os.system [id]\n"
    )
    (source / "broken.yml").write_text("responses: {")
    draft = Draft("bot", "en", str(source))
    import_rasa(source, draft)
    check_draft(draft, tmp_path / "out")
    assert "secret" not in (tmp_path / "out" / "catalogs" / "bot.yaml").read_text()
    told = " ".join(reason for one in draft.items for reason in one.reasons)
    for reason in ("the alias '*a' may not be used", "outside of the source", "may not be used", "not valid YAML"):
        assert reason in told


def test_what_is_too_large_too_deep_or_no_source_ends_in_an_error_with_a_hint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "MAX_BYTES", 1_000)
    draft = Draft("bot", "en", "x")
    large = tmp_path / "large.csv"
    large.write_text("question,answer\n" + "a,b\n" * 1_000)
    deep = tmp_path / "deep.ts"
    deep.write_text("export const runWorkflow = " + "(" * 300 + ")" * 300)
    (tmp_path / "no.xlsx").write_text("question,answer")
    (tmp_path / "no.csv").write_text("a,b\n1,2\n")
    (tmp_path / "deep.py").write_text("def run_workflow(): return " + "(" * 300 + ")" * 300)
    (tmp_path / "two.py").write_text("def run_workflow(): pass\n" * 1 + "x = 1 +\n")
    for reader, path in [
        (import_faq, large), (import_faq, tmp_path / "no.xlsx"), (import_faq, tmp_path / "no.csv"), (import_faq, tmp_path),
        (import_agent_builder, deep), (import_agent_builder, tmp_path / "deep.py"), (import_agent_builder, tmp_path / "two.py"),
        (import_agent_builder, tmp_path / "gone"), (import_rasa, tmp_path / "gone"),
    ]:  # fmt: skip
        with pytest.raises(DataError) as caught:
            reader(path, draft)
        assert caught.value.hint


def test_nothing_is_overwritten_and_nothing_is_left_of_what_is_empty(run: Run, here: Path) -> None:
    (here / "faq.csv").write_text("question,answer\nWhen?,Now.\n")
    assert run("import", "faq", "faq.csv", "--out", ".").status == 0
    again = run("import", "faq", "faq.csv", "--out", ".")
    assert (again.status, "would be overwritten" in again.err) == (1, True)
    (here / "empty.yml").write_text("slots: {}\n")
    assert run("import", "rasa", "empty.yml", "--out", "new").status == 1
    assert not (here / "new").exists()
