"""A task's flow graph (STAR) as a rule: which responses are in place, by what was said and what a lookup gave. Knows no message.

People give several facts at once and in any order, so a question that was not asked yet is in place before a lookup; what
tells a result is in place after one, and where the graph names branches, in that branch alone. What the graph does not
place (small talk, goodbyes) is always in place.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

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
