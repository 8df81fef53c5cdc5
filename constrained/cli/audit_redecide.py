"""``constrained audit re-decide``: takes recorded turns anew, by other logic or another model, on one machine or many."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import fields
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from constrained.approval.in_force import NO_LEDGER, Approvals, ApprovalSnapshot, snapshot_at
from constrained.cli.models import load_engine, loading
from constrained.cli.screen import LOG, PACK, SUBJECT_KEYS, catalog_of, first_catalog, line, new_table, note, show, write
from constrained.dialogue.dialogue import Dialogue
from constrained.engines.protocol import Engine, Speaker
from constrained.errors import AuditError, CalibrationError
from constrained.logic.policy import Policy
from constrained.logic.state import Memory
from constrained.packs import load_policy, load_policy_file
from constrained.records.chain import from_line
from constrained.records.log import read_log
from constrained.records.record import Record
from constrained.records.redecide import CHANGES, Change, Comparison, Decide, Redecided, Reply, compare, sign_off_page, workbook
from constrained.records.redecide import redecide as decide_anew
from constrained.records.sealing import SubjectKeys, unsealed

if TYPE_CHECKING:
    import pandas

PARTITIONS = 4  # of the conversations, for each worker
COLUMNS = ("conversation", "n_same", "n_unreadable", "n_unscored", "change", "line", "now", "unscored")


def redecide(
    log: LOG,
    pack: PACK = "",
    logic: Annotated[Path | None, typer.Option(help="A logic file, with its catalog in ../catalogs, in place of the pack's.")] = None,
    model: Annotated[str, typer.Option(help="Ask this model anew; without it the recorded answers choose.")] = "",
    calibration: Annotated[Path | None, typer.Option(help="A JSON file with the calibration of --model.")] = None,
    threshold: Annotated[float | None, typer.Option(help="In place of the recorded ones.")] = None,
    approvals: Annotated[str, typer.Option(help="Which count: none, now, or then (as each turn had them).")] = "none",
    html: Annotated[Path | None, typer.Option(help="Write a page for sign-off.")] = None,
    xlsx: Annotated[Path | None, typer.Option(help="Write a workbook with every turn that changes.")] = None,
    keys: SUBJECT_KEYS = None,
    ray: Annotated[int, typer.Option(help="Spread a log in JSON lines over so many workers of Ray Data.")] = 0,
) -> None:
    """Decide recorded turns anew: who would now get which other reply?

    By the logic and the catalog as they are now, or by other ones.
    """
    policy = load_policy_file(logic) if logic else load_policy(pack or first_catalog(log))
    what = f"{policy.catalog.name} version {policy.catalog.version}, {policy.catalog.path}; {policy.file}" + (f"; {model}" if model else "")
    if ray:
        if keys or calibration or approvals != "none":
            raise AuditError("--ray decides without --keys, --calibration and --approvals", hint="leave them out, or leave out --ray")
        spread = compared_by_ray([log], policy.catalog.name, logic=policy.file, model=model, threshold=threshold, n_workers=ray)
        return _show_and_write(spread, html, xlsx, what)
    decide = None
    if model:
        decide = decider(policy, engine_for(model, calibration), threshold)
    readable = ReadableRecords(read_log(log), policy.catalog.name, keys)
    found = compare(decide_anew(policy, readable, threshold=threshold, decide=decide, standing=_approvals(policy, approvals)))
    found.n_unreadable = readable.n_unreadable
    if readable.n_others:
        note(f"{readable.n_others} turns are of other catalogs; name one with --pack")
    _show_and_write(found, html, xlsx, what)
    return None


def _show_and_write(found: Comparison, html: Path | None, xlsx: Path | None, what: str) -> None:
    _show_comparison(found)
    if html:
        write(html, sign_off_page(found, what=what).encode())
    if xlsx:
        write(xlsx, workbook(found, what=what))


class ReadableRecords:
    """The records of one catalog that can be read, counting the others and those that cannot be read."""

    def __init__(self, records: Iterable[Record], catalog: str, keys: Path | None) -> None:
        self._records, self._catalog, self._keys = records, catalog, SubjectKeys(keys) if keys else None
        self.n_unreadable = self.n_others = 0

    def __iter__(self) -> Iterator[Record]:
        for record in self._records:
            if catalog_of(record) != self._catalog:
                self.n_others += 1
                continue
            found = unsealed(record, self._keys) if self._keys else None if record.sealed else record
            self.n_unreadable += found is None
            if found is not None:
                yield found


def _approvals(policy: Policy, approvals: str) -> Callable[[Record], ApprovalSnapshot]:
    if approvals == "then":
        return lambda record: snapshot_at(policy.catalog, record.versions)
    if approvals == "now":
        return lambda record: Approvals(
            policy.catalog, channel=record.versions.get("channel"), jurisdiction=record.versions.get("jurisdiction")
        ).now()
    if approvals != "none":
        raise AuditError(f"there are no approvals {approvals!r}", hint="--approvals none, now or then")
    return lambda record: NO_LEDGER


def _show_comparison(found: Comparison) -> None:
    n_changed = len(found.changed)
    line(f"{found.n_turns} turns decided anew: {found.n_turns - n_changed} the same, {n_changed} not", "bold")
    for change in CHANGES:
        if found.n_by_change(change):
            line(f"{change}: {found.n_by_change(change)}")
    table = new_table("turns", "change", "said then", "said now")
    for (then, now, what), count in found.moves.most_common(20):
        table.add_row(*map(Text, (str(count), what, then, now or "nothing")))
    if found.moves:
        show(table)
    line(f"{len(found.affected)} of {len(found.conversations)} conversations are affected")
    if found.n_unscored:
        note(f"in {found.n_unscored} turns something is allowed now that no model has scored; --model asks one")
    if found.n_unreadable:
        note(f"{found.n_unreadable} turns cannot be read: their content is sealed; give --keys, unless it was erased")


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


def decider(policy: Policy, engine: Engine, threshold: float | None) -> Decide:
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
        drawn = {name: record.memory[name] for name in ("seed", "times") if name in record.memory}  # of variants: as they were said
        dialogue.resume(Memory(said=record.said, history=tuple(history), number=record.number - 1, **drawn))
        state = policy.state_type.from_json(record.state)
        history += [("user", record.message), ("reply", record.text)]
        turn = dialogue.reply(record.message, state)
        return Reply(turn.response_id, turn.text, tuple(map(str, turn.effects)))

    return decide


class ConversationDecider:
    """Decides the turns of one conversation. Made once in each worker.

    Args:
        pack: a pack's name. logic: a logic file in its place. model: asked anew; empty: the recorded answers choose.
        threshold: in place of the recorded ones.
    """

    def __init__(self, pack: str, logic: str = "", model: str = "", threshold: float | None = None) -> None:
        self._policy = load_policy_file(Path(logic)) if logic else load_policy(pack)
        self._threshold, self._engine = threshold, None
        if model:
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
            return list(decide_anew(self._policy, records, threshold=self._threshold))
        return list(decide_anew(self._policy, records, decide=decider(self._policy, self._engine, self._threshold)))

    @staticmethod
    def _row(one: Redecided) -> dict[str, Any]:
        now = {"id": one.now.id, "text": one.now.text, "effects": one.now.effects, "why_not": one.now.why_not}
        row = {"change": one.change, "line": one.record.model_dump_json(), "now": json.dumps(now), "unscored": json.dumps(one.unscored)}
        return {"conversation": one.record.conversation, **row}


def compared_by_ray(
    logs: Sequence[str | Path], pack: str, *, logic: str = "", model: str = "", threshold: float | None = None, n_workers: int = 2
) -> Comparison:
    """What ``redecide.compare`` tells of the turns of one pack in many files of JSON lines.

    Raises AuditError without Ray, or where the workers would leave no processor to read the logs.
    """
    ray = _ray()
    n_processors = int(ray.cluster_resources().get("CPU", 0))
    if n_workers >= n_processors:
        message = f"{n_workers} workers leave none of {n_processors} processors to read the logs"
        raise AuditError(message, hint="ask for fewer, or give Ray more")
    turns = ray.data.read_text([str(Path(one).resolve()) for one in logs]).flat_map(_turn, fn_kwargs={"pack": pack})
    options = {"pack": pack, "logic": logic, "model": model, "threshold": threshold}
    found = turns.groupby("conversation", num_partitions=PARTITIONS * n_workers).map_groups(
        ConversationDecider, fn_constructor_kwargs=options, batch_format="pandas", concurrency=n_workers
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
        now, change = json.loads(row["now"]), _as_change(row["change"])
        reply = Reply(now["id"], now["text"], tuple(now["effects"]), now["why_not"])
        comparison.add(Redecided(Record.model_validate_json(row["line"]), reply, change, tuple(json.loads(row["unscored"]))))


def _as_change(name: str) -> Change:
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
