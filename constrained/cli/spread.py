"""Recorded turns decided anew on many machines, by Ray Data: for logs that outgrow one. Knows no screen.

Each worker loads the pack (and the model) once. The turns of a conversation stay together and in their order, since
a model reads what was said before; records are checked by their own hash, the chain by ``constrained audit verify``.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from constrained.audit.chain import from_line
from constrained.audit.record import Record
from constrained.audit.redecide import Change, Comparison, Redecided, Reply, redecide
from constrained.errors import AuditError
from constrained.packs import load_policy, load_policy_file

if TYPE_CHECKING:
    import pandas

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
            from constrained.cli.redeciding import engine_for

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
        from constrained.cli.redeciding import deciding

        return list(redecide(self._policy, records, decide=deciding(self._policy, self._engine, self._threshold)))

    @staticmethod
    def _row(one: Redecided) -> dict[str, Any]:
        now = {"id": one.now.id, "text": one.now.text, "effects": one.now.effects, "why_not": one.now.why_not}
        told = {"change": one.change, "line": one.record.model_dump_json(), "now": json.dumps(now), "unscored": json.dumps(one.unscored)}
        return {"conversation": one.record.conversation, **told}


def compared_by_ray(
    logs: Sequence[str | Path], pack: str, *, logic: str = "", model: str = "", threshold: float | None = None, n_workers: int = 2
) -> Comparison:
    """What ``redecide.compared`` tells of the turns of one pack in many files of JSON lines.

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
