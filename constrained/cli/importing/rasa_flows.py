"""Flows of Rasa as procedures: collect becomes a question, branches become if, an action becomes an effect stub."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from constrained.cli.importing.draft import Item, Names, Reply, shown
from constrained.cli.importing.rasa_conditions import translate
from constrained.cli.importing.rasa_project import Entry, Project, Slot
from constrained.cli.importing.rasa_responses import Responses

MAX_STEPS, MAX_DEPTH = 300, 30  # lines written for one flow: a step that two ways lead to is written twice
OWN_ACTIONS = frozenset({
    "action_listen", "action_restart", "action_session_start", "action_default_fallback", "action_deactivate_loop", "action_back",
    "action_unlikely_intent", "action_revert_fallback_events", "action_two_stage_fallback", "action_default_ask_affirmation",
    "action_default_ask_rephrase", "action_hangup", "action_trigger_search", "action_trigger_flow", "action_run_slot_rejections",
    "action_clean_stack", "action_correct_flow_slot", "action_cancel_flow", "action_repeat_bot_messages", "action_reset_routing",
})  # fmt: skip
STEP_KINDS = ("collect", "action", "set_slots", "link", "call", "noop", "generation_prompt", "entry_prompt")


@dataclass(frozen=True, slots=True)
class _Way:
    """Where the writing of a flow stands: the answers so far, the steps on the way, the depth, whether something was said
    last, and whether anything was said at all."""

    answers: dict[str, str] = field(default_factory=dict)
    steps: frozenset[int] = frozenset()
    depth: int = 1
    spoke: bool = False
    begun: bool = False


class Flows:
    """Writes the flows that a project has, each once."""

    def __init__(self, project: Project, responses: Responses) -> None:
        self._project, self._draft, self._responses = project, project.draft, responses
        self.functions = Names()
        self.names = {name: self.functions.of(name) for name in project.flows if not name.startswith("pattern_")}
        self.first: dict[str, set[str]] = {}  # flow -> responses that may be its first
        self._said: dict[str, list[Reply]] = {}
        self._calls: dict[str, set[str]] = {name: set() for name in self.names}

    def write(self) -> None:
        for name, entry in self._project.flows.items():
            if entry.item.reasons:
                continue
            if name in self.names:
                self.write_flow(name, entry, entry.data.get("steps"), ("steps",))
            else:
                entry.item.note("a pattern of Rasa's own conversation: what interrupts a procedure stands in its interruptions")
                _Flow(self, entry, name).lose(entry.data.get("steps"), ("steps",), "a step of a pattern of Rasa")

    def write_flow(self, name: str, entry: Entry, steps: Any, path: tuple[str | int, ...]) -> None:
        flow = _Flow(self, entry, name)
        flow.write(steps, path)
        entry.item.carry(f"the procedure {self.names[name]}")
        self._draft.functions.append(flow.text(self.names[name]))
        self.first[name], self._said[name] = flow.first, flow.said

    def begin(self, names: Iterable[str]) -> None:
        """Marks what can be said once these flows may begin; the others say so in their items."""
        open_, reached = list(names), set(names)
        while open_:
            new = self._calls.get(open_.pop(), set()) - reached
            reached |= new
            open_ += new
        for name, said in self._said.items():
            if name in reached:
                for reply in said:
                    reply.used = True
            else:
                entry = self._project.flows.get(name) or self._project.forms[name]
                entry.item.note(f"nothing begins it yet: yield start({self.names[name]})")

    def may_call(self, caller: str, called: str) -> bool:
        """Notes the call, unless it would lead back to the caller."""
        if called not in self.names:
            return False
        open_, seen = [called], {called}
        while open_:
            for one in self._calls.get(open_.pop(), ()):
                if one not in seen:
                    seen.add(one)
                    open_.append(one)
        if caller in seen:
            return False
        self._calls[caller].add(called)
        return True


class _Flow:
    """One flow: its steps by their place, and the lines written so far."""

    def __init__(self, flows: Flows, entry: Entry, name: str) -> None:
        self._flows, self._entry, self._name = flows, entry, name
        self._draft, self._project, self._responses = flows._draft, flows._project, flows._responses
        self._lines: list[str] = []
        self._items: dict[int, Item] = {}
        self._named: dict[str, tuple[list[Any], int, tuple[str | int, ...]]] = {}
        self._locals = Names()
        self._branches: dict[int, Item] = {}
        self.first: set[str] = set()
        self.said: list[Reply] = []

    def text(self, function: str) -> str:
        title = f"    # {shown(self._entry.item.file)} line {self._entry.item.line}\n"
        return f"async def {function}(state: Slots, heard: Heard):\n{title}" + "".join(f"{line}\n" for line in self._lines)

    def write(self, steps: Any, path: tuple[str | int, ...]) -> None:
        self._find(steps, path)
        self._steps(steps if isinstance(steps, list) else [], 0, path, _Way())
        for item in self._items.values():
            if not item.became and not item.reasons:
                item.note("no way leads to this step")

    def lose(self, steps: Any, path: tuple[str | int, ...], reason: str) -> None:
        self._find(steps, path)
        for item in (*self._items.values(), *self._branches.values()):
            item.note(reason)

    def _find(self, steps: Any, path: tuple[str | int, ...]) -> None:
        """Counts the steps and branches, and notes the ids that steps have."""
        for index, step in enumerate(steps if isinstance(steps, list) else []):
            at = (*path, index)
            kind = next((one for one in STEP_KINDS if isinstance(step, dict) and one in step), "step")
            name = step.get(kind, "") if isinstance(step, dict) else step
            item = self._draft.item(
                "step", f"{kind} {name if isinstance(name, str) else ''}".strip(), self._entry.document.file, self._entry.line(*at)
            )
            if not isinstance(step, dict):
                item.note("it is not a step")
                continue
            self._items[id(step)] = item
            if isinstance(step.get("id"), str):
                self._named.setdefault(step["id"], (steps, index, path))
            following = step.get("next")
            for number, branch in enumerate(following if isinstance(following, list) else []):
                if isinstance(branch, dict) and "if" in branch:
                    self._branches[id(branch)] = self._draft.item(
                        "branch", branch["if"], self._entry.document.file, self._entry.line(*at, "next", number)
                    )
                for word in ("then", "else"):
                    if isinstance(branch, dict) and isinstance(branch.get(word), list):
                        self._find(branch[word], (*at, "next", number, word))

    def _add(self, way: _Way, line: str) -> None:
        self._lines.append("    " * way.depth + line)

    # -- the way through the steps -----------------------------------------------------------------

    def _steps(self, steps: list[Any], index: int, path: tuple[str | int, ...], way: _Way) -> None:
        while True:
            step = steps[index] if index < len(steps) else None
            if not isinstance(step, dict):
                return self._end(way)
            item = self._items[id(step)]
            if id(step) in way.steps:
                item.note("a way leads back to it: the procedure ends there; write for _ in range(n)")
                return self._end(way)
            if len(self._lines) > MAX_STEPS or way.depth > MAX_DEPTH:
                item.note(f"more than {MAX_STEPS} lines, or branches nested more than {MAX_DEPTH} deep")
                return self._end(way)
            way = self._step(step, item, replace(way, steps=way.steps | {id(step)}))
            following = step.get("next")
            if isinstance(following, list):
                return self._branch(following, item, (*path, index, "next"), way)
            if isinstance(following, str):
                target = self._named.get(following)
                if target is None:
                    if following != "END":
                        item.note(f"its next step {shown(following)} is not there")
                    return self._end(way)
                steps, index, path = target
            else:
                index += 1

    def _end(self, way: _Way) -> None:
        if not way.spoke:
            reply = self._responses.stub(f"{self._name}_end", f"what is said at the end of {self._flows.names[self._name]}")
            self._said(reply, way)
            self._add(way, f"await tell({reply.id!r})")
        else:
            self._add(way, "return")

    def _branch(self, branches: list[Any], item: Item, path: tuple[str | int, ...], way: _Way) -> None:
        word, has_else, inner = "if", False, replace(way, depth=way.depth + 1)
        for number, branch in enumerate(branches):
            if not isinstance(branch, dict):
                continue
            if "if" in branch and not has_else:
                self._add(way, f"{word} {self._condition(str(branch['if']), self._branches.get(id(branch)), way)}:")
                word, target, key = "elif", branch.get("then"), "then"
            elif "else" in branch and not has_else:
                has_else, target, key = True, branch["else"], "else"
                if word == "elif":
                    self._add(way, "else:")
                else:
                    inner = way
            else:
                continue
            if isinstance(target, list):
                self._steps(target, 0, (*path, number, key), inner)
            elif isinstance(target, str) and target in self._named:
                self._steps(*self._named[target], inner)
            else:
                if target != "END":
                    item.note(f"its next step {shown(target)} is not there")
                self._end(inner)
        if not has_else:
            self._end(way)

    def _condition(self, text: str, item: Item | None, way: _Way) -> str:
        code = translate(text, self._project.slots, lambda slot: self._responses.value(slot, way.answers))
        if code is not None:
            if item is not None:
                item.carry("an if")
            return code
        name = self._draft.fields.of(f"{self._name} if {text}")
        self._draft.state[name] = f"{name}: bool = False  # {shown(text)}"
        if item is not None:
            item.carry(f"the field {name} of State")
            item.note(f"what {shown(text)} tests is for the host to say: set {name}")
        return f"state.{name}"

    # -- one step each -----------------------------------------------------------------------------

    def _step(self, step: dict[str, Any], item: Item, way: _Way) -> _Way:
        if "collect" in step:
            return self._collect(step, item, way)
        if "action" in step:
            return self._action(str(step["action"]), item, way)
        if "set_slots" in step:
            item.note("State is changed by effects alone: let one set the slots")
            given = step["set_slots"]
            names = [key for one in (given if isinstance(given, list) else [given]) if isinstance(one, dict) for key in one]
            return replace(way, answers={name: value for name, value in way.answers.items() if name not in names})
        if "link" in step or "call" in step:
            called = str(step.get("link", step.get("call")))
            if self._flows.may_call(self._name, called):
                item.carry(f"a call of {self._flows.names[called]}")
                self._add(way, f"await {self._flows.names[called]}(state, heard)")
                return replace(way, spoke=True, begun=True)
            item.note(f"{shown(called)} is no flow of the project, or leads back to this one")
            return way
        if "noop" in step:
            item.carry("its branches")
        else:
            item.note("this importer does not read such a step")
        return way

    def _said(self, reply: Reply, way: _Way) -> None:
        if not way.begun:
            self.first.add(reply.id)
        self.said.append(reply)

    def _collect(self, step: dict[str, Any], item: Item, way: _Way) -> _Way:
        name = str(step["collect"])
        slot = self._project.slots.get(name) or Slot(name, "text", (), item)
        self._project.slots.setdefault(name, slot)
        asked = [step.get("utter"), f"utter_ask_{self._name}_{name}", f"utter_ask_{name}"]
        known = next((one for one in asked if isinstance(one, str) and one in self._project.responses), f"utter_ask_{name}")
        reply = self._responses.get(known, f"the question for {name}")
        self._said(reply, way)
        if reply.is_stub:
            item.note("nothing in the domain asks for it: the question is to be written")
        for part in ("rejections", "force_slot_filling", "reset_after_flow_ends", "silence_timeout"):
            if part in step:
                item.note(f"{part}: not carried; write it as a branch after the question")
        arguments = self._responses.arguments(reply, way.answers)
        variable = self._locals.of(name)
        if slot.kind == "bool":
            self._add(way, f"{variable} = await confirm({reply.id!r}{arguments})")
        else:
            heard = self._responses.heard(slot, str(step.get("description") or name))
            self._add(way, f"{variable} = await ask({reply.id!r}, {heard!r}{arguments})")
        item.carry("a question")
        slot.item.carry("what a question asks for")
        return replace(way, answers=way.answers | {name: variable}, spoke=False, begun=True)

    def _action(self, name: str, item: Item, way: _Way) -> _Way:
        replies = self._responses.of_action(name)
        if replies:
            for reply in replies:
                self._said(reply, way)
                self._add(way, f"await tell({reply.id!r}{self._responses.arguments(reply, way.answers)})")
            item.carry("a step that says " + ", ".join(reply.id for reply in replies))
            return replace(way, spoke=True, begun=True)
        if name in OWN_ACTIONS:
            item.note("an action of Rasa itself")
            return way
        if name.startswith("utter_"):
            reply = self._responses.get(name, f"what {name} says")
            item.note("the domain has no such response: it is to be written")
            self._said(reply, way)
            self._add(way, f"await tell({reply.id!r})")
            item.carry(f"the response {reply.id}")
            return replace(way, spoke=True, begun=True)
        effect, reply = self._responses.effect(name, item)
        self._said(reply, way)
        self._add(way, f"await perform({reply.id!r}).then({effect})")
        item.carry(f"the effect {effect}")
        item.note("what it does is the host's, and what is said while it runs is to be written")
        return replace(way, spoke=False, begun=True)
