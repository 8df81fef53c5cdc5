"""Suite packed: a folder that ``constrained pack`` made (``--model FOLDER``): size, start, memory, and its turns against the library's.

Without a folder, and in a smoke run, the server is started from its source.
"""

from __future__ import annotations

import http.client
import json
import os
import random
import re
import statistics
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from benchmarks.harness import Bench
from benchmarks.measure import BenchmarkError, Spread
from benchmarks.options import PARTS
from benchmarks.suites.serve_process import PACK, Process
from constrained.analysis.explore import explore
from constrained.dialogue.dialogue import Dialogue
from constrained.dialogue.turn import Turn
from constrained.engines.loading import load_engine
from constrained.logic.policy import Policy
from constrained.pack_folders import find_pack
from constrained.packs import load_policy
from constrained.quality.golden import load_golden

N_TOP = 10  # parts of the folder that are told
WITHIN_S = 120.0  # no deadline may decide a turn here
LONGEST = 4  # turns of a conversation


@dataclass(frozen=True, slots=True)
class Size:
    """How much is done: a measurement, or a smoke run."""

    n_starts: int
    n_turns: int
    arguments: tuple[str, ...]


FULL, SMOKE = Size(5, 2_000, ("--no-watch",)), Size(1, 20, ("--rules", "--no-watch"))


def run(bench: Bench) -> None:
    size, folder = SMOKE if bench.is_smoke else FULL, Path(bench.options.model) if bench.options.model else None
    program = _program(folder) if folder else ()
    pack = Path(program[0]).stem if program else PACK
    case = "packed" if program else "from source"
    arguments = tuple(one for one in size.arguments if not (program and one == "--no-watch"))
    parts = bench.options.parts or PARTS["packed"]
    if "starts" in parts:
        if folder:
            _tell_size(bench, folder)
        _starts(bench, case, size, program, pack, arguments)
    if "turns" in parts:
        _compare(bench, case, size, program, pack, arguments)


def _program(folder: Path) -> tuple[str, ...]:
    found = [one for one in (folder / "server").iterdir() if one.is_file() and os.access(one, os.X_OK)]
    if len(found) != 1:
        raise BenchmarkError(f"{folder} is no folder that constrained pack made")
    return (str(found[0].resolve()),)


def _tell_size(bench: Bench, folder: Path) -> None:
    parts: Counter[str] = Counter()
    for file in folder.rglob("*"):
        if file.is_file() and not file.is_symlink():
            place = file.relative_to(folder).parts
            inner = place[place.index("_internal") + 1 :] if "_internal" in place else place
            is_own = inner[0] == "constrained" and len(inner) > 3
            parts["/".join(inner[:3] if is_own else inner[-1:] if len(inner) == 1 else inner[:1])] += file.stat().st_size
    bench.add("size", "all", sum(parts.values()) / 1e6, "MB", at_most=150)
    for name, n_bytes in parts.most_common(N_TOP):
        bench.add("size", name, n_bytes / 1e6, "MB")


def _starts(bench: Bench, case: str, size: Size, program: tuple[str, ...], pack: str, arguments: tuple[str, ...]) -> None:
    """From the start of the process to its port file, and to the reply to a first message; processor time besides: machines are busy."""
    found: dict[str, list[float]] = {"to ready": [], "to the first reply": [], "processor time to ready": [], "largest memory": []}
    for number in range(size.n_starts + 1):  # the first one fills the system's file cache
        start_s = time.perf_counter()
        with _serving(program, pack, arguments) as process:
            ready_s, cpu_s = time.perf_counter() - start_s, process.cpu_s()
            _post(process, {"pack": pack, "message": "Good evening.", "within": WITHIN_S})
            told = (ready_s, time.perf_counter() - start_s, cpu_s, _largest_mb(process))
        if number or size.n_starts == 1:
            for values, value in zip(found.values(), told, strict=True):
                values.append(value)
    for name, values in found.items():
        is_memory = name == "largest memory"
        asked = (250 if is_memory else 1 if name == "to ready" else None) if not bench.is_smoke else None
        bench.add(case, name, Spread.of(values), "MB" if is_memory else "s", at_most=asked)


@contextmanager
def _serving(program: tuple[str, ...], pack: str, arguments: tuple[str, ...]) -> Iterator[Process]:
    with tempfile.TemporaryDirectory() as data:
        process = Process(Path(data), arguments, pack=pack, program=program)
        process.start()
        try:
            yield process
        finally:
            process.end()


def _largest_mb(process: Process) -> float:
    """Largest resident memory so far; the server has no children."""
    pid = process.child.pid if process.child else 0
    children = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False).stdout.split()
    if children:
        raise BenchmarkError(f"the server has children: {children}")
    return int(re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{pid}/status").read_text(encoding="utf-8"))[1]) / 1e3  # type: ignore[index]  # every status has it


def _compare(bench: Bench, case: str, size: Size, program: tuple[str, ...], pack: str, arguments: tuple[str, ...]) -> None:
    policy = load_policy(pack)
    engine = None if "--rules" in arguments else load_engine("small")
    counts: Counter[str] = Counter()
    times_s: list[float] = []
    furthest = 0.0
    with _serving(program, pack, arguments) as process:
        for number, asked in enumerate(islice(_random_turns(policy, bench.seed), size.n_turns)):
            if asked["is_new"]:
                dialogue, name = Dialogue(policy, engine=engine), f"talk-{number}"
            turn = dialogue.reply(asked["message"], policy.state_type.from_json(asked["state"]), within=WITHIN_S)
            body = {"pack": pack, "conversation": name, "effects": "hand_over", "within": WITHIN_S}
            start_s = time.perf_counter()
            reply = _post(process, body | {key: asked[key] for key in ("message", "state")})
            times_s.append(time.perf_counter() - start_s)
            furthest = max(furthest, _count(counts, turn, reply))
        bench.add(case, "largest memory after all turns", _largest_mb(process), "MB")
    n = counts["turns"]
    bench.add(case, "random turns", n, "turns")
    for what in ("options", "text", "pick", "effects", "versions"):
        bench.add(case, f"same {what}", counts[what], "turns", reference="the library, in this process", at_least=n)
    bench.add(case, "largest difference of a probability", furthest, "probability")
    bench.add(case, "a turn over HTTP", Spread.of(times_s), "s")
    bench.add(case, "a turn over HTTP, p95", statistics.quantiles(times_s, n=20)[-1], "s")
    bench.check("texts that differ from the library's", n - counts["text"], 0)


def _count(counts: Counter[str], turn: Turn, reply: Mapping[str, Any]) -> float:
    """Counts what agrees; returns the largest difference of a probability."""
    options = [(one["id"], one["text"]) for one in reply["decision"]["options"]]
    counts["turns"] += 1
    counts["options"] += options == [(one.id, one.text) for one in turn.decision.options]
    counts["text"] += reply["text"] == turn.text
    counts["pick"] += reply["response_id"] == turn.response_id
    counts["effects"] += [one["name"] for one in reply["effects"]] == [one.name for one in turn.effects]
    counts["versions"] += reply["record"]["versions"] == dict(turn.record.versions)
    ours = [one.probability for one in turn.record.options]
    theirs = [one["probability"] for one in reply["decision"]["options"]]
    pairs = zip(ours, theirs, strict=False)
    return max((abs(one - other) for one, other in pairs if one is not None and other is not None), default=0.0)


def _random_turns(policy: Policy, seed: int) -> Iterator[dict[str, Any]]:
    """Messages of the pack, whole, torn, mistyped and mixed, and random characters, in sampled states, in short conversations."""
    chance = random.Random(seed)
    found = find_pack(policy.catalog.name)
    known = [turn.says for one in (load_golden(found.dialogues_path).dialogues if found.dialogues_path else ()) for turn in one.turns]
    known += [text for one in policy.catalog.responses.values() for texts in one.examples.values() for text in texts]
    states = [one.state.model_dump(mode="json") for one in islice(explore(policy, 500), 500) if not one.is_made_up]
    while True:
        for number in range(chance.randint(1, LONGEST)):
            yield {"is_new": number == 0, "message": _message(chance, known), "state": chance.choice(states)}


def _message(chance: random.Random, known: list[str]) -> str:
    kind, text = chance.random(), chance.choice(known)
    if kind < 0.3:
        return text
    if kind < 0.5:
        at = chance.randrange(len(text) + 1)
        return text[:at] + chance.choice("aeiou rstn.?!") + text[at + chance.randrange(2) :]
    if kind < 0.7:
        words = text.split()
        chance.shuffle(words)
        return " ".join(words[: chance.randint(1, len(words))])
    if kind < 0.9:
        return f"{text} {chance.choice(('And', 'But first:', 'No, wait.', 'Sorry,', ''))} {chance.choice(known)}"
    ranges = ((32, 127), (160, 0x24F), (0x370, 0x52F), (0x3040, 0x30FF), (0x1F300, 0x1F64F))
    return "".join(chr(chance.randrange(*chance.choice(ranges))) for _ in range(chance.randint(1, 60)))


def _post(process: Process, body: Mapping[str, Any]) -> dict[str, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", process.port, timeout=WITHIN_S)
    headers = {"Authorization": f"Bearer {process.token}", "Content-Type": "application/json"}
    connection.request("POST", "/v1/turns", json.dumps(body), headers)
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    if answer.status != 200:
        raise BenchmarkError(f"{answer.status}: {content[:300]!r} to {json.dumps(body)[:300]}")
    return dict(json.loads(content))
