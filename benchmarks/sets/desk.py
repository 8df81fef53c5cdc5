"""A made-up desk of as many responses as wanted, written as a pack: catalog and logic."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.sets.lines import made_lines

PER_TOPIC = 11  # with the fallback, twelve options: what a turn of the shipped packs typically allows

_HEAD = '''"""What a visitor of this desk may be told."""

from constrained import State, policy, say


class Desk(State):
    topic: int = 0
    is_open: bool = False


@policy("desk")
def desk(state: Desk):
    """A topic allows its own responses; an open desk allows all."""
'''


def write_desk(folder: Path, n_responses: int, seed: int) -> Path:
    """Writes catalogs/desk.yaml and logic/desk.py; returns the latter. JSON is YAML."""
    texts = made_lines(n_responses - 1, seed)
    responses = {f"line_{number:04d}": _response(number, text) for number, text in enumerate(texts)}
    responses["pardon"] = {"text": "I did not quite follow that.", "when": "nothing else fits"}
    catalog = {"catalog": "desk", "version": 1, "locale": "en", "speaker": "A clerk", "fallback": "pardon", "responses": responses}
    for name, text in (("catalogs/desk.yaml", json.dumps(catalog, indent=1)), ("logic/desk.py", _logic(list(responses)[:-1]))):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return folder / "logic" / "desk.py"


def _response(number: int, text: str) -> dict[str, object]:
    return {"text": text, "when": f"the visitor asks about matter {number}", "examples": [f"what about matter {number}?"]}


def _logic(ids: list[str]) -> str:
    """One branch a topic, so that a turn walks past all of them."""
    topics = [ids[start : start + PER_TOPIC] for start in range(0, len(ids), PER_TOPIC)]
    branches = [
        f"    if state.is_open or state.topic == {topic}:\n" + "".join(f'        yield say("{name}")\n' for name in names)
        for topic, names in enumerate(topics)
    ]
    return _HEAD + "".join(branches)
