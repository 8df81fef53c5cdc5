"""Test plans of Yarn Spinner: what a script says when these options are picked. They become golden dialogues."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from constrained.cli.importing.draft import Candidate, Draft

_STEP = re.compile(r"(?P<kind>line|option|command|select|set|saliency|node)\s*:\s*(?P<rest>.*)$")
_SET = re.compile(r"(\$\w+)\s*=\s*(true|false|\d+)\s*$")


@dataclass(slots=True)
class Step:
    """One step: its kind, and its text, number or name. ``is_open``: an option that can be picked."""

    kind: str
    text: str
    at: int
    is_open: bool = True


@dataclass(slots=True)
class Run:
    """Steps from one start of a conversation on."""

    steps: list[Step] = field(default_factory=list)


def read_plan(text: str) -> list[Run]:
    """The runs of a plan. Raises ValueError with a line that is no step."""
    runs = [Run()]
    for at, raw in enumerate(text.splitlines(), start=1):
        line = raw.strip()
        if line == "---":
            runs.append(Run())
        elif line == "stop":
            runs[-1].steps.append(Step("stop", "", at))
        elif line and not line.startswith("#"):
            found = _STEP.match(line)
            if found is None:
                raise ValueError(f"line {at}: {line[:60]!r} is no step of a test plan")
            quoted = re.match(r"`(.*?)`(.*)$", found["rest"])
            if found["kind"] in ("line", "option", "command") and quoted:
                runs[-1].steps.append(Step(found["kind"], quoted[1], at, "[disabled]" not in quoted[2]))
            else:
                runs[-1].steps.append(Step(found["kind"], found["rest"].strip(), at))
    return runs


def add_plan(text: str, file: str, draft: Draft) -> None:
    """One candidate for each run of a plan that begins as the story does; the others are told."""
    try:
        runs = read_plan(text)
    except ValueError as error:
        draft.item("test plan", Path(file).stem, file, 0, str(error))
        return
    ids = {reply.texts[draft.locale].replace("{{", "{").replace("}}", "}"): reply.id for reply in draft.replies.values()}
    for number, run in enumerate(runs, start=1):
        item = draft.item("test plan", f"{Path(file).stem} {number}", file, run.steps[0].at if run.steps else 0)
        turns: list[dict[str, object]] = []
        says, options = "", list[str]()
        reason = "it goes on from what the run before it left" if number > 1 else ""
        for step in run.steps:
            if step.kind == "option" and step.is_open:
                options.append(step.text)
            elif step.kind == "option":
                options.append("")
            elif step.kind == "select":
                says, options = (options[int(step.text) - 1] if 0 < int(step.text) <= len(options) else ""), []
                expected = ids.get(says)
                if expected is None:
                    reason = reason or f"line {step.at}: no response has the text of that option"
                    break
                turns.append({"says": says, "expects": expected})
            elif step.kind == "line" and not turns:
                expected = ids.get(step.text)
                if expected is None:
                    reason = reason or f"line {step.at}: its text has values, or is another one here"
                    break
                turns.append({"says": "", "expects": expected})
            elif step.kind in ("set", "saliency", "node"):
                reason = reason or f"line {step.at}: it sets {step.text}"
        if reason or not turns:
            item.note(reason or "it says nothing")
            continue
        draft.candidates.append(Candidate(item, turns))
