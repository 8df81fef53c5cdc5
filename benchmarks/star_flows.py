"""STAR's tasks as procedures: flow graphs become logic files, recorded happy dialogues are replayed. Measures nothing.

A node of a graph becomes a step that any message answers; a query becomes a branch on what the host's answer was; ``yes``
and ``no`` become a confirmation. The goodbye, "anything else?", the apology and "nothing found" stand beside, as digressions.
Where a graph stops at a reply that asks for the next question, it goes back to its query.
"""

from __future__ import annotations

import gzip
import json
import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from constrained.analysis.prover.recall import Situations
from constrained.errors import ConstrainedError
from constrained.logic.memory import Memory
from constrained.logic.policy import Policy
from constrained.logic.run import run
from constrained.packs import load_policy_file

DATA = "CONSTRAINED_DATA"  # the folder of the data sets; by default beside the repository
BRANCHES = ("available", "unavailable", "query_success", "query_failure", "correct", "incorrect", "noanswer", "done")
ANSWERS = ("yes", "no")
PASSES = 200  # nodes that one conversation may pass
POLITE = {"goodbye_1": "Thank you and goodbye.", "goodbye_2": "Goodbye.", "anything_else": "Is there anything else that I can do for you?"}
BESIDE = re.compile(r"out_of_scope|goodbye_\d|.*_bye|.*_inform_nothing_found|anything_else")
RENAMED = {"trip_inform_last_step_and_done": "trip_instructions_done"}  # in the recordings: in the graph
WRITTEN = "custom"  # the label of what a wizard wrote instead of picking


def star_folder() -> Path:
    """Where the data lie; there may be nothing."""
    default = Path(__file__).resolve().parents[1] / "../shared/data"
    return Path(os.environ.get(DATA, default)) / "star"


@dataclass(frozen=True, slots=True)
class Task:
    """One task: its replies by id, and which node follows which."""

    name: str
    replies: dict[str, str]
    graph: dict[str, str]

    @property
    def steps(self) -> tuple[str, ...]:
        """Nodes that say something, in the order of the graph."""
        every = [*self.graph, *self.graph.values()]
        return tuple(dict.fromkeys(one for one in every if one not in BRANCHES and one not in ANSWERS and not one.startswith("query")))

    @property
    def confirmed(self) -> frozenset[str]:
        """Nodes after which the user says yes or no: those at which the graph stops though it knows both answers."""
        stops = [one for one in self.steps if one not in self.graph and one != "anything_else" and not one.startswith("goodbye")]
        wanted = [one for one in stops if re.search("confirm_booking|_ask_|_available|_detailed_", one)]
        return frozenset(wanted if set(ANSWERS) <= set(self.graph) else ())

    def results(self, query: str) -> tuple[str, ...]:
        """What a query may come back with: the pair that the graph knows and that no other query uses."""
        if query in self.graph:
            return ()
        first = [one for one in ("available", "unavailable") if one in self.graph]
        second = [one for one in ("query_success", "query_failure") if one in self.graph]
        return tuple(first if query == "query_check" and first else second)


def read_tasks(folder: Path) -> list[Task]:
    """Every task of the data set."""
    tasks = []
    for path in sorted((folder / "tasks").iterdir()):
        flow = json.loads((path / f"{path.name}.json").read_text(encoding="utf-8"))
        responses = json.loads((path / "responses.json").read_text(encoding="utf-8"))
        tasks.append(Task(path.name, {**POLITE, **flow["replies"], **responses}, _completed(flow["graph"])))
    return tasks


def _completed(graph: dict[str, str]) -> dict[str, str]:
    """With the way back from a reply that asks for the next question."""
    last = [one for one in graph.values() if one.endswith("_ask_next") and one not in graph]
    return {**graph, **dict.fromkeys(last, "query")}


# -- from a graph to a procedure -----------------------------------------------------------------------


def imported(task: Task, folder: Path) -> Policy:
    """The task as a pack in a folder: a catalog and a procedure, written and loaded."""
    for name, suffix, text in (("catalogs", "yaml", catalog_text(task)), ("logic", "py", logic_text(task))):
        (folder / name).mkdir(exist_ok=True)
        (folder / name / f"{task.name}.{suffix}").write_text(text, encoding="utf-8")
    return load_policy_file(folder / "logic" / f"{task.name}.py")


def catalog_text(task: Task) -> str:
    lines = [f"catalog: {task.name}", "version: 1", "locale: en", "speaker: Assistant", "persona: A helper.", "fallback: out_of_scope"]
    seen: Counter[str] = Counter()
    lines.append("responses:")
    for name in dict.fromkeys((*task.steps, *(one for one in task.replies if BESIDE.fullmatch(one)), "out_of_scope")):
        text = re.sub(r"\{([^}:]*)[^}]*\}", lambda found: found[1].replace("_", " "), task.replies.get(name, name.replace("_", " ")))
        seen[text] += 1
        text += " ." * (seen[text] - 1)  # texts of a catalog differ
        lines += [f"  {name}:", f"    text: {json.dumps(text)}", "    tags: [reserve]", f"    when: {json.dumps(name.replace('_', ' '))}"]
    return "\n".join(lines) + "\n"


def logic_text(task: Task) -> str:
    """The procedure; each step asks whether its answer is known already, so that it may be passed over."""
    results = [*(one for one in BRANCHES if one in task.graph), "nothing"]
    beside = [one for one in task.replies if BESIDE.fullmatch(one)]
    head = [
        f'"""{task.name}."""',
        "from typing import Literal",
        "from constrained import State, Understanding, procedure, say",
        "from constrained.hear import pattern, question",
        "from constrained.steps import ask, confirm, tell",
        "class Api(State):",
        f"    result: Literal[{', '.join(map(repr, results))}] = {results[0]!r}",
        "class Heard(Understanding):",
        '    given: str | None = pattern(".+", "What does the user say?")',
        *(f'    knows_{one}: bool = question("Is the answer to {one} known?")' for one in task.steps),
        "def interruptions(state: Api, heard: Heard):",
        *(f'    yield say("{one}")' + (".ends()" if "bye" in one else "") for one in beside if one != "out_of_scope"),
        '    yield say("out_of_scope")',
        f'@procedure("{task.name}", interruptions=interruptions)',
        "async def flow(state: Api, heard: Heard):",
        f"    at = {next(iter(task.graph))!r}",
        f"    for _ in range({PASSES}):",
    ]
    body: list[str] = []
    for node in dict.fromkeys((*task.graph, *task.graph.values())):
        body += [f"        {'if' if not body else 'elif'} at == {node!r}:", *(f"            {line}" for line in _node(task, node))]
    return "\n".join([*head, *body, "        else:", "            return", ""])


def _node(task: Task, node: str) -> list[str]:
    following = task.graph.get(node)
    if node in BRANCHES or node in ANSWERS:
        return [f"at = {following!r}" if following else "return"]
    if node.startswith("query"):
        results = task.results(node)
        came_back = f"at = state.result if state.result in {results!r} else {results[0]!r}" if results else "return"
        return [f"at = {following!r}" if following else came_back]
    if node == "anything_else" or node.startswith("goodbye"):
        return [f'await tell("{node}")', "return"]
    if node in task.confirmed and "done" in task.graph and node.startswith("trip"):
        return [f'is_agreed = await confirm("{node}")', 'at = "done" if state.result == "done" else "yes" if is_agreed else "no"']
    if node in task.confirmed:
        return [f'at = "yes" if await confirm("{node}") else "no"']
    is_judged = following is None and "correct" in task.graph
    then = f"at = {following!r}" if following else "at = state.result" if is_judged else "return"
    return [f"if not heard.knows_{node}:", f'    await ask("{node}", "given")', then]


# -- replaying -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Recorded:
    """One happy dialogue of one task.

    Attributes:
        picks: ids of what the wizard picked, in order. n_free: how often the wizard wrote instead.
    """

    task: str
    picks: tuple[str, ...]
    n_free: int


def happy_dialogues(folder: Path) -> Iterator[Recorded]:
    """The dialogues of one task in which nothing was made difficult on purpose."""
    with gzip.open(folder / "dialogues.jsonl.gz", "rt", encoding="utf-8") as lines:
        for line in lines:
            told = json.loads(line)
            scenario = told["Scenario"]
            if scenario["Happy"] and not scenario["MultiTask"]:
                wizard = [one for one in told["Events"] if one["Agent"] == "Wizard"]
                labels = [one.get("ActionLabel") or WRITTEN for one in wizard if one["Action"] == "pick_suggestion"]
                free = sum(one["Action"] == "utter" for one in wizard) + labels.count(WRITTEN)
                yield Recorded(scenario["WizardCapabilities"][0]["Task"], tuple(one for one in labels if one != WRITTEN), free)


@dataclass(slots=True)
class Replays:
    """Replays of dialogues on one procedure; what it allows at a point is looked up the second time.

    Args:
        is_lenient: a question may be passed over, as if its answer were known from an earlier message.
    """

    policy: Policy
    task: Task
    is_lenient: bool
    _known: dict[Any, Memory | None] = field(default_factory=dict)
    _situations: Situations = field(init=False)

    def __post_init__(self) -> None:
        self._situations = Situations(self.policy)

    def refused(self, picks: Sequence[str]) -> str:
        """Why the procedure does not admit these picks; empty when it does."""
        memory, before = Memory(), set[str]()
        for number, label in enumerate(picks):
            pick = self._named(label)
            after = self._after(memory, pick)
            if after is None:
                return self._why(pick, before, number)
            memory = after
            before.add(pick)
        return ""

    def _named(self, label: str) -> str:
        """A label as the graph has it: some lack the domain, one was renamed."""
        longer = f"{self.task.name.partition('_')[0]}_{label}"
        return next((one for one in (RENAMED.get(label, label), longer) if one in self.policy.catalog), label)

    def _after(self, memory: Memory, pick: str) -> Memory | None:
        key = (self._situations.of(memory), pick)
        if key not in self._known:
            self._known[key] = next(self._found(memory, pick), None)
        return self._known[key]

    def _found(self, memory: Memory, pick: str) -> Iterator[Memory]:
        """Whatever the host's query came back with."""
        heard_type: Any = self.policy.heard_type
        state_type: Any = self.policy.state_type
        asks = [name for name in heard_type.model_fields if name.startswith("knows_")]
        skips = {name: name != f"knows_{pick}" for name in asks} if self.is_lenient else {}
        for heard in (heard_type(given="x"), heard_type(given="x", **skips)) if skips else (heard_type(given="x"),):
            for result in state_type.model_fields["result"].annotation.__args__:
                try:
                    ran = run(self.policy, state_type(result=result), heard, memory)
                except ConstrainedError:  # a procedure that is over without a word goes nowhere
                    continue
                for option in ran.allowed.options:
                    if option.id == pick and not option.is_no_match:
                        yield ran.after(option).model_copy(update={"history": ()})

    def _why(self, pick: str, before: set[str], number: int) -> str:
        if pick not in self.policy.catalog.responses:
            return "said what the graph does not hold"
        if pick in before:
            return "said again"
        if number and "anything_else" in before:
            return "went on after the end"
        return "said before its turn" if self.task.steps.index(pick) else "came back to the beginning"
