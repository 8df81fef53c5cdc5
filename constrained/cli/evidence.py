"""What an examiner gets besides the records: catalog and its history, logic, approvals, tests, use, models."""

from __future__ import annotations

import json
import subprocess
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, fields
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from constrained.approval.ledger import ledger_path
from constrained.approval.people import people_path
from constrained.cli.models import load_engine, loading
from constrained.dialogue.dialogue import Dialogue
from constrained.engines.protocol import Engine, Speaker
from constrained.errors import AuditError, CalibrationError
from constrained.logic.memory import Memory
from constrained.logic.policy import Policy
from constrained.pack_folders import Pack
from constrained.packs import load_policy, load_policy_file
from constrained.quality.golden import load_golden, run_golden
from constrained.records.bundle import as_json
from constrained.records.chain import from_line
from constrained.records.record import Record
from constrained.records.redecide import Change, Comparison, Decide, Redecided, Reply, redecide
from constrained.records.report import ResponseUse

if TYPE_CHECKING:
    import pandas


_NO_MODEL = ("catalog", "policy", "library", "approvals", "people", "channel", "jurisdiction", "drafts", "suspended")
_CARD = """# Models

A model never writes what is said: it gives a probability to each response that the rules allow, and one of them is said word for
word. Every decision below was made that way; `rules` means that no model was asked, or that it was late.

{models}

## Decisions

| how | turns |
|---|---|
{modes}

Abstentions (the fallback was said because nothing was likely enough): {n_abstained} of {n_turns}.
"""


def tested_ids(pack: Pack | None) -> set[str]:
    """The responses that golden dialogues say or oblige to."""
    if pack is None or pack.dialogues_path is None:
        return set()
    turns = [turn for dialogue in load_golden(pack.dialogues_path).dialogues for turn in dialogue.turns]
    return {turn.expects for turn in turns} | {one for turn in turns for one in turn.obliged or ()}


def pack_files(pack: Pack, policy: Policy) -> Iterator[tuple[str, bytes]]:
    """The files of a pack by the name that they have in a bundle."""
    catalog = pack.catalog_path
    yield f"pack/{catalog.name}", catalog.read_bytes()
    yield f"pack/{pack.logic_path.name}", pack.logic_path.read_bytes()
    for beside in (ledger_path(catalog), people_path(catalog)):  # by name: a key or a log may lie there too
        if beside.is_file():
            yield f"pack/{beside.name}", beside.read_bytes()
    if pack.dialogues_path is not None:
        yield f"pack/{pack.dialogues_path.stem}.dialogues.yaml", pack.dialogues_path.read_bytes()
        yield "golden.json", as_json(list(_golden(policy, pack.dialogues_path)))
    history = _history([catalog, ledger_path(catalog)])
    if history:
        yield "pack/history.patch", history


def use_files(uses: Sequence[ResponseUse], n_current: int) -> Iterator[tuple[str, bytes]]:
    """The use of responses, and how far tests and use cover the catalog."""
    yield "usage.json", as_json([asdict(use) | {"n_said": use.n_said} for use in uses])
    current = [use for use in uses if use.is_current]
    coverage = {
        "responses": n_current,
        "tested": sum(use.is_tested for use in current),
        "used": sum(use.n_said > 0 for use in current),
        "never_used": [use.id for use in current if not use.n_said],
        "never_tested": [use.id for use in current if not use.is_tested],
    }
    yield "coverage.json", as_json(coverage)


def model_card(records: Iterable[Record]) -> bytes:
    """Which models chose, with all that identifies them, how often, and how."""
    models: Counter[tuple[tuple[str, str], ...]] = Counter()
    modes: Counter[str] = Counter()
    n_abstained = 0
    for record in records:
        models[tuple(sorted((name, value) for name, value in record.versions.items() if name not in _NO_MODEL))] += 1
        modes[record.decision.mode] += 1
        n_abstained += record.decision.abstained
    told = "\n\n".join(_model(identity, count) for identity, count in models.most_common()) or "No turn was taken."
    rows = "\n".join(f"| {mode} | {count} |" for mode, count in modes.most_common())
    return _CARD.format(models=told, modes=rows, n_abstained=n_abstained, n_turns=sum(modes.values())).encode()


def _model(identity: tuple[tuple[str, str], ...], count: int) -> str:
    values = dict(identity)
    name = "No model: the rules alone" if values.get("engine") == "none" else values.get("model", "a model without a name")
    rows = "\n".join(f"| {key} | `{value}` |" for key, value in identity)
    return f"## {name}\n\n{count} turns.\n\n| | |\n|---|---|\n{rows}"


def _golden(policy: Policy, path: Path) -> Iterator[dict[str, object]]:
    for dialogue in load_golden(path).dialogues:
        for number, result in enumerate(run_golden(policy, dialogue), 1):
            said = result.reply.text if result.reply else None
            yield {
                "dialogue": dialogue.name,
                "turn": number,
                "message": result.golden.says,
                "expects": result.golden.expects,
                "said": said,
                "problems": list(result.problems),
            }


def _history(paths: Sequence[Path]) -> bytes:
    """Every change of these files, newest first, where git keeps them; empty elsewhere."""
    names = [str(path.resolve()) for path in paths]
    command = ["git", "-C", str(paths[0].resolve().parent), "log", "-p", "--date=iso-strict", "--", *names]
    try:
        return subprocess.run(command, capture_output=True, check=True, timeout=60).stdout
    except (OSError, subprocess.SubprocessError):
        return b""


# -- Decides recorded turns with a model: each in a conversation that goes on from the turns recorded before it. --


def engine_for(model: str, calibration: Path | None) -> Engine:
    """The engine of a model, with the calibration of a JSON file in place of its own."""
    if calibration is None:
        return load_engine(model)
    load_engine(model)  # tells what is missing, with the command that gets it
    from constrained.engines.decoding.rules import ProbabilityMap
    from constrained.engines.transformers import TransformersEngine

    try:
        values = json.loads(calibration.read_text(encoding="utf-8"))
        given = ProbabilityMap(**{name: float(value) for name, value in values.items()})
    except (OSError, ValueError, TypeError, AttributeError) as error:
        names = ", ".join(field.name for field in fields(ProbabilityMap))
        raise CalibrationError(f"{calibration} is no calibration: {error}", hint=f"a JSON object of {names}") from error
    with loading(f"loading {model}"):
        return TransformersEngine(model, probability_map=given)


def deciding(policy: Policy, engine: Engine, threshold: float | None) -> Decide:
    """Asks the model anew: what it hears as well. The records must come in the order of the log."""
    histories: dict[str, list[tuple[Speaker, str]]] = defaultdict(list)

    def decide(record: Record) -> Reply:
        history = histories[record.conversation]
        dialogue = Dialogue(
            policy,
            engine=engine,
            locale=record.locale,
            threshold=record.decision.threshold if threshold is None else threshold,
            conversation=record.conversation,
            drafts=True,
            now=lambda: datetime.fromisoformat(record.at),
        )
        dialogue.resume(Memory(said=record.said, history=tuple(history), number=record.number - 1))
        state = policy.state_type.from_json(record.state)
        history += [("user", record.message), ("reply", record.text)]
        turn = dialogue.reply(record.message, state)
        return Reply(turn.response_id, turn.text, tuple(map(str, turn.effects)))

    return decide


# -- Recorded turns decided anew on many machines, by Ray Data: for logs that outgrow one. --

PARTITIONS = 4  # of the conversations, for each worker
COLUMNS = ("conversation", "n_same", "n_unreadable", "n_unscored", "change", "line", "now", "unscored")


class Conversation:
    """Decides the turns of one conversation. Made once in each worker.

    Args:
        pack: a pack's name. logic: a logic file in its place. model: asked anew; empty: the recorded answers choose.
        threshold: in place of the recorded ones.
    """

    def __init__(self, pack: str, logic: str = "", model: str = "", threshold: float | None = None) -> None:
        self._policy = load_policy_file(Path(logic)) if logic else load_policy(pack)
        self._threshold, self._engine = threshold, None
        if model:
            pass

            self._engine = engine_for(model, None)

    def __call__(self, group: pandas.DataFrame) -> pandas.DataFrame:
        import pandas

        lines = [line.encode() + b"\n" for line in group.sort_values("sequence")["line"]]
        entries = [from_line(line, "log", 0) for line in lines]
        records = [one for one in entries if isinstance(one, Record)]
        readable = [one for one in records if one.sealed is None]
        decided = self._decided(readable)
        same = [one for one in decided if one.change == "same"]
        counts = {"n_same": len(same), "n_unreadable": len(records) - len(readable), "n_unscored": sum(bool(one.unscored) for one in same)}
        rows = [{"conversation": records[0].conversation, **counts}, *(self._row(one) for one in decided if one.change != "same")]
        return pandas.DataFrame([{**dict.fromkeys(COLUMNS[1:4], 0), **dict.fromkeys(COLUMNS[4:], ""), **row} for row in rows])

    def _decided(self, records: Sequence[Record]) -> list[Redecided]:
        if self._engine is None:
            return list(redecide(self._policy, records, threshold=self._threshold))
        pass

        return list(redecide(self._policy, records, decide=deciding(self._policy, self._engine, self._threshold)))

    @staticmethod
    def _row(one: Redecided) -> dict[str, Any]:
        now = {"id": one.now.id, "text": one.now.text, "effects": one.now.effects, "why_not": one.now.why_not}
        told = {"change": one.change, "line": one.record.model_dump_json(), "now": json.dumps(now), "unscored": json.dumps(one.unscored)}
        return {"conversation": one.record.conversation, **told}


def compared_by_ray(
    logs: Sequence[str | Path], pack: str, *, logic: str = "", model: str = "", threshold: float | None = None, n_workers: int = 2
) -> Comparison:
    """What ``redecide.compare`` tells of the turns of one pack in many files of JSON lines.

    Raises AuditError without Ray, or where the workers would leave no processor to read the logs.
    """
    ray = _ray()
    n_processors = int(ray.cluster_resources().get("CPU", 0))
    if n_workers >= n_processors:
        told = f"{n_workers} workers leave none of {n_processors} processors to read the logs"
        raise AuditError(told, hint="ask for fewer, or give Ray more")
    turns = ray.data.read_text([str(Path(one).resolve()) for one in logs]).flat_map(_turn, fn_kwargs={"pack": pack})
    options = {"pack": pack, "logic": logic, "model": model, "threshold": threshold}
    found = turns.groupby("conversation", num_partitions=PARTITIONS * n_workers).map_groups(
        Conversation, fn_constructor_kwargs=options, batch_format="pandas", concurrency=n_workers
    )
    comparison = Comparison()
    for row in found.iter_rows():
        _add(comparison, row)
    return comparison


def _turn(row: dict[str, Any], pack: str) -> list[dict[str, Any]]:
    """A line of a log, if it is a turn of the pack: by which it is grouped and ordered, and itself."""
    content = json.loads(row["text"])
    if content.get("kind", "turn") != "turn" or content["versions"]["catalog"].split()[0] != pack:
        return []
    return [{"conversation": content["conversation"], "sequence": content["sequence"], "line": row["text"]}]


def _add(comparison: Comparison, row: dict[str, Any]) -> None:
    comparison.conversations.add(row["conversation"])
    comparison.n_turns += int(row["n_same"])
    comparison.n_unreadable += int(row["n_unreadable"])
    comparison.n_unscored += int(row["n_unscored"])
    if row["change"]:
        now, change = json.loads(row["now"]), _changes(row["change"])
        reply = Reply(now["id"], now["text"], tuple(now["effects"]), now["why_not"])
        comparison.add(Redecided(Record.model_validate_json(row["line"]), reply, change, tuple(json.loads(row["unscored"]))))


def _changes(name: str) -> Change:
    found: Change = name  # type: ignore[assignment]  # it was one when the row was written
    return found


def _ray() -> Any:
    try:
        import ray.data
    except ImportError as error:
        raise AuditError("deciding on many machines needs Ray Data", hint="pip install 'constrained[ray]'") from error
    if not ray.is_initialized():
        ray.init(log_to_driver=False)
    return ray
