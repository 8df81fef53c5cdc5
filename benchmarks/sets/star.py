"""STAR: dialogues in which a person picks each reply from a task's catalog (Mosig et al., STAR: A Schema-Guided Dialog Dataset, 2020).

Dialogues of one task alone; a row is one picked reply, with the user's last message, all that was said before it, and the
position in the task's flow. Replies that were written freely, or are in no catalog, are left out: nothing could be right.
A quarter of each task's dialogues is dev.

The flow: people give several facts at once and in any order, so a question that was not asked yet is in place before a lookup; what
tells a result is in place after one, and where the graph names branches, in that branch alone. What the graph does not
place (small talk, goodbyes) is always in place.
"""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from benchmarks.sets.lines import data_folder
from benchmarks.sets.rows import DEV_SEED, Row, Set, bare, named, read_json, read_lines

# -- a task's flow graph as a rule: which replies are in place -------------------------------------------------


NODES = frozenset(  # of a graph, that are no responses
    {"yes", "no", "query", "query_check", "query_book", "query_success", "query_failure", "available", "unavailable"}
    | {"correct", "incorrect", "noanswer", "done"}
)
LOOKUPS = ("query", "query_check", "query_book", "query_success", "query_failure", "available", "unavailable")
BRANCHES = {"available": "available", "unavailable": "unavailable", "success": "query_success", "failure": "query_failure"}
RESULTS = ("", "item", "none", *BRANCHES)  # what a lookup can give; the first: there was none since the last reply


@dataclass(frozen=True, slots=True)
class Flow:
    """The parts of a catalog as its graph places them.

    Attributes:
        questions: reached from the start before any lookup, in order. results: told after a lookup.
        branch: result of a lookup -> what alone tells it, where the graph says so. follows: response -> the next one.
        anywhere: responses that the graph does not place.
    """

    questions: tuple[str, ...]
    results: tuple[str, ...]
    branch: Mapping[str, str]
    follows: Mapping[str, str]
    anywhere: tuple[str, ...]

    def allowed(self, said: Iterable[str], result: str) -> frozenset[str]:
        """What is in place, given the responses that were said so far and what a lookup gave since the last one."""
        order = tuple(said)
        if result:
            others = {told for given, told in self.branch.items() if given != result} - {self.branch.get(result)}
            return frozenset(self.anywhere) | (frozenset(self.results) - others if result in self.branch else frozenset(self.results))
        found = {*self.anywhere, *(one for one in self.questions if one not in order), *(one for one in self.results if one in order)}
        if order and order[-1] in {*self.questions, *self.results, *self.follows}:
            found |= {order[-1], *([self.follows[order[-1]]] if order[-1] in self.follows else [])}
        return frozenset(found)


def flow(graph: Mapping[str, str], responses: Iterable[str]) -> Flow:
    """The flow of a graph (node -> next node) over a catalog's response ids."""
    known = tuple(responses)
    told = {node: _told(graph, node, known) for node in (*LOOKUPS, *known)}
    general = {one for one in known if one in ("out_of_scope", "anything_else") or "goodbye" in one or one.endswith("_bye")}
    results = {told[node] for node in LOOKUPS} | {one for one in known if one.endswith("nothing_found")}
    in_results = tuple(one for one in known if one in results - general)
    questions = tuple(one for one in _path(graph, known) if one not in general | results)
    branch = {given: told[node] for given, node in BRANCHES.items() if told[node]}
    follows = {one: told[one] for one in known if told[one]}
    return Flow(questions, in_results, branch, follows, tuple(one for one in known if one not in {*questions, *in_results}))


def result(message: str | None, has_item: bool) -> str:
    """What a lookup gave, by the text with which it came back: one of RESULTS."""
    if not message:
        return "item" if has_item else "none"
    told = message.lower()
    if "unavailable" in told or "another" in told:
        return "unavailable"
    if "available" in told:
        return "available"
    return "failure" if "fail" in told else "success"


def _told(graph: Mapping[str, str], node: str, known: tuple[str, ...]) -> str:
    """The first response after a node; empty when none is reached."""
    seen = {node}
    while (node := graph.get(node, "")) not in seen:
        if node in known:
            return node
        seen.add(node)
    return ""


def _path(graph: Mapping[str, str], known: tuple[str, ...]) -> list[str]:
    """The responses from the start up to the first lookup."""
    found, node = [], "hello"
    while node in known and node not in found:
        found.append(node)
        node = graph.get(node, "")
    return found


# -- the dialogues ---------------------------------------------------------------------------------------------


TASKS = (
    *("apartment_schedule", "apartment_search", "hotel_book", "hotel_search", "hotel_service_request", "meeting_schedule"),
    *("party_plan", "party_rsvp", "plane_book", "plane_search", "restaurant_book", "restaurant_search"),
    *("ride_book", "ride_change", "ride_status", "trip_directions", "trivia", "weather"),
)
ALIASES = {"ask_departure_location": "trip_ask_departure_location"}  # one action, logged under two names
GOODBYE = {"goodbye_1": "Thank you and goodbye."}  # picked in every task, listed in some; goodbye_2 says the same
DEV_SHARE = 0.25
FALLBACK = "out_of_scope"  # of every task's catalog


def read(task: str, shots: int | None, seed: int, folder: Path | None = None) -> Set:
    texts, names, in_place = catalog(task, folder)
    dialogues = list(_dialogues(folder or data_folder()).get(task, ()))
    random.Random(DEV_SEED).shuffle(dialogues)
    n_dev = round(len(dialogues) * DEV_SHARE)
    rows = [[row for dialogue in part for row in _rows(dialogue, names, in_place)] for part in (dialogues[:n_dev], dialogues[n_dev:])]
    examples, train = _draw(rows[1], tuple(texts), shots, seed)
    whens = {label: f"the next step is to {named(label)}: {text}" for label, text in texts.items()}
    return Set(f"star_{task}", tuple(sorted(texts)), whens, texts, examples, train, tuple(rows[0]))


def catalog(task: str, folder: Path | None = None) -> tuple[dict[str, str], dict[str, str], Flow]:
    """(label -> text, name in the log -> label, the flow over the labels).

    Responses in the same words are one label: nobody could tell them apart. Slots are said as words in brackets: no value of
    theirs is known here.
    """
    responses = read_json(f"star/tasks/{task}/responses.json", folder)
    found = read_json(f"star/tasks/{task}/{task}.json", folder)
    listed = {label: text for label, text in found["replies"].items() if label not in NODES}
    every = {label: _said(text) for label, text in (GOODBYE | listed | responses).items()}
    first: dict[str, str] = {}
    names = {label: first.setdefault(bare(text), label) for label, text in every.items()} | {"goodbye_2": "goodbye_1"}
    texts = {label: text for label, text in every.items() if names[label] == label}
    names |= {logged: label for logged, label in ALIASES.items() if label in texts}
    return texts, names, flow(found["graph"], texts)


def _said(template: str) -> str:
    return " ".join(re.sub(r"\{(\w+)(:\w+)?\}", lambda slot: f"[{named(slot[1])}]", template).split())


@cache
def _dialogues(folder: Path) -> Mapping[str, tuple[Sequence[Mapping[str, Any]], ...]]:
    """Task -> the events of each dialogue that is of this task alone, in the order of the file."""
    found: dict[str, list[Sequence[Mapping[str, Any]]]] = defaultdict(list)
    for dialogue in read_lines("star/dialogues.jsonl.gz", folder):
        tasks = [one["Task"] for one in dialogue["Scenario"]["WizardCapabilities"]]
        if len(tasks) == 1:
            found[tasks[0]].append(dialogue["Events"])
    return {task: tuple(dialogues) for task, dialogues in found.items()}


def _rows(events: Sequence[Mapping[str, Any]], names: Mapping[str, str], in_place: Flow) -> Iterator[Row]:
    """One row for each reply that was picked from the catalog."""
    history: list[tuple[str, str]] = []
    said: list[str] = []
    message, given = "", ""
    for event in events:
        action, agent = event["Action"], event["Agent"]
        if action == "return_item":
            item = event.get("Item") or {}
            given = result(item.get("Message") or item.get("Status"), bool(item))
        elif agent == "User" and action == "utter":
            message = " ".join(event["Text"].split())
            history.append(("user", message))
        elif agent == "Wizard" and action in ("pick_suggestion", "utter"):
            label = names.get(event.get("ActionLabel", ""), "")
            if action == "pick_suggestion" and label and message:
                yield _row(message, label, said, given, history, in_place)
            said += [label] if label else []
            history.append(("reply", " ".join(event["Text"].split())))
            given = ""


def _row(message: str, label: str, said: list[str], given: str, history: list[tuple[str, str]], in_place: Flow) -> Row:
    last = max(index for index, (who, _) in enumerate(history) if who == "user")
    before = (*history[:last], *history[last + 1 :])  # a reply that went before, after the same message, is known too
    allowed = tuple(sorted(in_place.allowed(said, given)))
    return Row(message, label, state={"said": list(said), "result": given}, allowed=allowed, history=before)


def _draw(rows: Sequence[Row], labels: Sequence[str], shots: int | None, seed: int) -> tuple[dict[str, tuple[str, ...]], tuple[Row, ...]]:
    """Examples drawn among the distinct messages before each reply; every row with one of these messages and labels is no train row."""
    groups: dict[str, dict[str, str]] = defaultdict(dict)
    for row in rows:
        groups[row.label].setdefault(bare(row.message), row.message)
    chance = random.Random(seed)
    keys = {label: list(groups[label]) for label in labels}
    picked = {label: found if shots is None else chance.sample(found, min(shots, len(found))) for label, found in keys.items()}
    examples = {label: tuple(groups[label][key] for key in found) for label, found in picked.items()}
    taken = {(label, key) for label, found in picked.items() for key in found}
    return examples, tuple(row for row in rows if (row.label, bare(row.message)) not in taken)
