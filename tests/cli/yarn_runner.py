"""Runs a test plan of Yarn Spinner against the pack that is imported of its script, by the library's own Dialogue."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from constrained import Dialogue
from constrained.cli.importing.draft import Draft
from constrained.cli.importing.script_project import PROMPT
from constrained.cli.importing.write import write_pack
from constrained.cli.importing.yarn import import_yarn
from constrained.cli.importing.yarn_plans import Run, Step, read_plan
from constrained.engines.protocol import Choice, Deadline, Distribution, PromptContext
from constrained.logic.policy import Policy
from constrained.packs import load_policy_file
from constrained.testing import ScriptedEngine

# What Yarn Spinner's own tests give as functions of the game (YarnSpinner.Tests/TestBase.cs).
GAME = {
    "add_three_operands": "value_1 + value_2 + value_3",
    "dummy_number": "1",
    "dummy_bool": "True",
    "dummy_string": "'string'",
    "get_quest_status": "'InProgress'",
}


class ByText:
    """Picks the option whose text is the message; the first one where the message is empty."""

    identity: Mapping[str, str] = MappingProxyType({"model": "by text"})
    is_scripted = True
    is_told = True

    def __init__(self) -> None:
        self.offered: list[str] = []

    def choose(self, choices: Sequence[Choice], scene: PromptContext, deadline: Deadline | None = None) -> list[Distribution]:
        found: list[Distribution] = []
        for choice in choices:
            self.offered = [candidate.text for candidate in choice.candidates]
            keys = [candidate.key for candidate in choice.candidates]
            key = next((key for key, text in zip(keys, self.offered, strict=True) if text == scene.message), keys[0])
            found += ScriptedEngine({scene.message: {"reply": key}}, is_told=True).choose([choice], scene, deadline)
        return found


def import_script(script: Path, folder: Path) -> tuple[Policy, Draft]:
    """The pack of one script, with the game's functions written in as a developer would."""
    draft = Draft("story", "en", str(script))
    import_yarn(script, draft)
    write_pack(draft, folder)
    logic = folder / "logic" / "story.py"
    text = logic.read_text(encoding="utf-8")
    for name, code in GAME.items():
        text = re.sub(rf"(def function_{name}\(.*\) -> object:\n    return ).*", rf"\g<1>{code}", text)
    logic.write_text(text, encoding="utf-8")
    return load_policy_file(logic), draft


def run_plan(policy: Policy, draft: Draft, plan: str) -> list[str]:
    """Where the pack says or offers something else than the plan; empty where it passes."""
    state: Any = policy.state_type()
    for number, run in enumerate(read_plan(plan), start=1):
        state = state.replace(node="Start")
        problems, state = _run(policy, draft, run, state)
        if problems:
            return [f"run {number}: {one}" for one in problems]
    return []


def _run(policy: Policy, draft: Draft, run: Run, state: Any) -> tuple[list[str], Any]:
    engine = ByText()
    dialogue = Dialogue(policy, engine=engine, drafts=True)
    steps, place, message, is_over = run.steps, 0, "", False
    while place < len(steps):
        lines, commands, options = list[str](), list[str](), list[Step]()
        picked: str | None = None
        while place < len(steps) and picked is None:
            step = steps[place]
            place += 1
            if step.kind == "set":
                name, _, value = step.text.partition("=")
                target = next(key for key, text in draft.state.items() if text.endswith(f"# {name.strip()}"))
                state = state.replace(**{target: {"true": True, "false": False}.get(value.strip(), value.strip())})
            elif step.kind in ("node", "saliency"):
                state = state.replace(**{step.kind: step.text})
            elif step.kind == "stop":
                is_over = True
            elif step.kind == "select" and step.text == "0":
                options = []
            elif step.kind == "select":
                picked = options[int(step.text) - 1].text
            else:
                {"line": lines, "command": commands}.get(step.kind, options).append(step if step.kind == "option" else step.text)  # type: ignore[arg-type]
        turn = dialogue.reply(message, state)
        state = turn.apply(state)
        said = turn.text.split("\n")
        if message and said[:1] == [message]:
            said = said[1:]
        said = [one for one in said if one != PROMPT and turn.response_id != "pardon"]
        done = [text for effect in turn.effects if effect.name == "command" for text in effect.args]
        if said != lines or done != commands:
            return [f"to {message!r} it says {said} with {done}, not {lines} with {commands}"], state
        if picked is None:
            if not is_over and place < len(steps):
                return ["it goes on"], state
            return [], state
        dialogue.fork(engine).reply(picked, state)
        offered = [one for one in engine.offered if one != policy.catalog[policy.catalog.fallback].texts["en"].source]
        wanted = [one.text for one in options if one.is_open]
        if offered != wanted:
            return [f"after {said} it offers {offered}, not {wanted}"], state
        message = picked
    return [], state


def talk(policy: Policy, messages: Sequence[str]) -> list[tuple[list[str], list[str], list[str]]]:
    """For each message what is said, which commands are done, and which options are open then; each option's text is a message."""
    engine = ByText()
    dialogue = Dialogue(policy, engine=engine, drafts=True)
    state: Any = policy.state_type()
    fallback = policy.catalog[policy.catalog.fallback].texts["en"].source
    found: list[tuple[list[str], list[str], list[str]]] = []
    for message in messages:
        turn = dialogue.reply(message, state)
        state = turn.apply(state)
        said = turn.text.split("\n")[bool(message) :]
        done = [text for effect in turn.effects if effect.name == "command" for text in effect.args]
        offered = list[str]()
        if dialogue.memory().running:
            dialogue.fork(engine).reply("(which?)", state)
            offered = [one for one in engine.offered if one != fallback]
        found.append(([one for one in said if one not in (PROMPT, fallback)], done, offered))
    return found
