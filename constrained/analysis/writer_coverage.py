"""What a writer should look at in a catalog: lines never reachable, never said or always said, and examples that clash."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cache, partial
from itertools import combinations
from pathlib import Path
from typing import Any, Literal

from constrained.analysis.check import Examination, examine
from constrained.analysis.prover.proofs import explored
from constrained.analysis.prover.properties import Scope
from constrained.analysis.samples import try_build
from constrained.catalog.document import Report, read_document
from constrained.catalog.locales import canonical_tag
from constrained.errors import ConstrainedError
from constrained.logic.matching import BARK, is_yielded
from constrained.logic.policy import Policy
from constrained.quality.coverage import Coverage
from constrained.quality.golden import load_golden, run_golden
from constrained.records.record import Record

Kind = Literal["unreachable", "clash", "unsaid", "always"]
KINDS: tuple[Kind, ...] = ("unreachable", "clash", "unsaid", "always")  # in the order in which they are worth a writer's time
MOST_SECONDS, MOST_POINTS = 10.0, 20_000  # of a look at all conversations
ALIKE = 0.85  # cosine; of the 2,500 examples of tavern and caravan 7 pairs reach it, and below it most are a yes and its no
FEW = 5  # turns, below which "always" says nothing
Vectors = Callable[[str, Sequence[str]], Any]
"""(language, messages) -> [message, hidden] unit vectors."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line to look at.

    Attributes:
        place: file and line of the response, or of its example. other_id, other: of the response that it clashes with.
        likeness: of two examples, 1 where they are the same but for case and punctuation.
    """

    kind: Kind
    response_id: str
    place: str
    detail: str
    other_id: str = ""
    other: str = ""
    likeness: float = 0.0


@dataclass(frozen=True, slots=True)
class WriterCoverage:
    """What was found, the first of it most worth a look; ``rests_on``: what was looked at, for people."""

    pack: str
    findings: tuple[Finding, ...]
    rests_on: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        return {"pack": self.pack, "rests_on": list(self.rests_on), "findings": [asdict(one) for one in self.findings]}


def cover(policy: Policy, golden: Path | None, records: Iterable[Record] = (), vectors: Vectors | None = None) -> WriterCoverage:
    """Looks at a pack.

    Args:
        golden: its golden dialogues. records: turns of a log; those of other packs are left out.
        vectors: without them, only examples that are the same are found to clash.

    Raises GoldenError, PolicyError.
    """
    found = examine(policy, today=datetime.now(UTC).date())
    said = Coverage.of(policy)
    states: list[Any] = []
    for dialogue in load_golden(golden).dialogues if golden is not None else ():
        states += [dialogue.state] if dialogue.state else []
        for result in run_golden(policy, dialogue):
            said.add(result.reply)
    n_golden = said.n_turns
    for record in records:
        if record.versions.get("catalog", "").split(" ")[0] in ("", policy.catalog.name):
            _count(said, record)
    dead, how = _unreachable(policy, found, states, set(said.offered))
    findings = [*dead, *_clashes(policy, found, vectors), *_said(policy, said, {one.response_id for one in dead})]
    findings.sort(key=lambda one: (KINDS.index(one.kind), -one.likeness))  # else in the order of the file
    turns = f"{n_golden} turns of golden dialogues" + (f", {said.n_turns - n_golden} of a log" if said.n_turns > n_golden else "")
    return WriterCoverage(policy.name, tuple(findings), (how, turns))


def _count(said: Coverage, record: Record) -> None:
    said.n_turns += 1
    spoken = {record.decision.chosen, *(one.id for one in record.obligations)}
    said.said.update((one, record.locale) for one in spoken)
    said.offered.update({one.id for one in record.options} | spoken)


def _unreachable(policy: Policy, found: Examination, states: Sequence[Any], known: set[str]) -> tuple[list[Finding], str]:
    """Responses that neither the runs of the check nor the conversations that can be explored in the time come to.

    The runs try states that only the host could set as well. ``known``: what was allowed in a dialogue or a log.
    """
    reached, how = found.offered | known, f"{found.n_runs:,} tried states and messages"
    detail = f"allowed in none of {how}"
    default = try_build(policy.state_type.default)
    try:
        scope = Scope(starts=(*([default] if default is not None else []), *map(policy.state_type.from_json, states)))
        graph = explored(policy, scope, most_points=MOST_POINTS, most_seconds=MOST_SECONDS) if scope.starts else None
    except ConstrainedError:  # told by the check
        graph = None
    if graph is not None:
        moves = graph.machine.moves
        reached |= {one for turns in set(graph.turns) for move in turns.moves for one in moves[move].said}
        if graph.is_closed:
            how += f" and every conversation ({len(graph.points):,} points from {graph.starts} starts)"
            detail += ", and no conversation comes to it"
    obliged = {clause.response_id for clause in policy.terms.obligations}
    catalog = policy.catalog
    dead = [one for one in catalog.responses.values() if is_yielded(catalog, one) and one.id not in reached | obliged]
    return [Finding("unreachable", one.id, _place(one.source.file, one.source.line), detail) for one in dead], how


def _said(policy: Policy, said: Coverage, dead: set[str]) -> Iterator[Finding]:
    counts: Counter[str] = Counter()
    for (response_id, _), n in said.said.items():
        counts[response_id] += n
    for response_id in said.responses:
        source = policy.catalog[response_id].source
        if BARK in policy.catalog[response_id].tags:  # said unasked: no turn of a dialogue is one
            continue
        place, offered = _place(source.file, source.line), said.offered[response_id]
        if not counts[response_id] and response_id not in dead:
            detail = f"allowed in {offered} turns, said in none" if offered else f"not even allowed in {said.n_turns} turns"
            yield Finding("unsaid", response_id, place, detail)
        elif counts[response_id] == offered >= FEW:
            yield Finding("always", response_id, place, f"said in each of the {offered} turns that allowed it")


# -- examples that clash -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Example:
    response_id: str
    locale: str
    message: str
    place: str


def _clashes(policy: Policy, found: Examination, vectors: Vectors | None) -> Iterator[Finding]:
    """Examples of responses that are offered together, where each is the other's nearest; the same ones in any case."""
    examples = _examples(policy)
    for locale in sorted({one.locale for one in examples}):
        own = [one for one in examples if one.locale == locale]
        likeness = _likeness(own, vectors(locale.split("-")[0], [one.message for one in own]) if vectors else None)
        nearest = cache(partial(_nearest, n=len(own), likeness=likeness))
        for one, other in combinations(range(len(own)), 2):
            like = likeness(one, other)
            is_near = like >= ALIKE and (nearest(one) == other or nearest(other) == one)
            pair = own[one].response_id, own[other].response_id
            if (like == 1.0 or is_near) and pair[0] != pair[1] and found.are_together(*pair):
                yield _clash(own[one], own[other], like)


def _nearest(at: int, n: int, likeness: Callable[[int, int], float]) -> int:
    return max((place for place in range(n) if place != at), key=lambda place: likeness(at, place), default=at)


def _clash(one: _Example, other: _Example, likeness: float) -> Finding:
    same = "the same example" if likeness == 1.0 else f"{likeness:.2f} alike"
    detail = f"{same}: {one.message!r}, {other.message!r}"
    return Finding("clash", one.response_id, one.place, detail, other.response_id, other.place, round(likeness, 4))


def _likeness(examples: Sequence[_Example], found: Any) -> Callable[[int, int], float]:
    folded = ["".join(filter(str.isalnum, one.message.casefold())) or one.message for one in examples]
    table = (found @ found.T).tolist() if found is not None else None

    def likeness(one: int, other: int) -> float:
        return 1.0 if folded[one] == folded[other] else min(0.9999, table[one][other]) if table is not None else 0.0

    return likeness


def _examples(policy: Policy) -> list[_Example]:
    """With the line of each, where the catalog is a file."""
    catalog = policy.catalog
    report = Report(catalog.path)
    if catalog.path and catalog.is_current():
        read_document(Path(catalog.path).read_text(encoding="utf-8-sig"), report)
    found = []
    for response in catalog.responses.values():
        at: tuple[str | int, ...] = ("responses", response.id, "examples")
        tags = {canonical_tag(str(path[-1])): path for path in report.keys if path[:-1] == at}
        for locale, messages in response.examples.items():
            for index, message in enumerate(messages):
                line = report.place((*tags.get(locale, at), index)).line or response.source.line
                found.append(_Example(response.id, locale, message, _place(response.source.file, line)))
    return found


def _place(file: str, line: int) -> str:
    return f"{Path(file).name}:{line}" if file else ""
