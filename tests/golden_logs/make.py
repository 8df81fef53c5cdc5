"""Writes golden files anew, by hand: ``python -m tests.golden_logs.make logs|sealed|private|bundle``. Read the difference, then keep it.

``logs`` and ``sealed`` after a pack was edited on purpose, ``private`` after the desk of these tests was. The ``bundle`` holds its own
copy of all it needs, the stand-alone verifier of its day among it: leave it as it is. When its format changes, put a new one beside it
and test both.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from constrained import load_policy
from tests.golden_logs.names import SealedLog, SubjectKeys, existing, find_pack, open_log, write_bundle
from tests.golden_logs.normal import origin
from tests.golden_logs.play import FOLDER, SCRIPTS, logic_files, play, play_private, play_sealed

KEY = Ed25519PrivateKey.from_private_bytes(b"thrown away after this, 32 bytes")
BUNDLED = "tavern-rules.jsonl"  # the log of the bundle


def write_logs(folder: Path) -> None:
    with tempfile.TemporaryDirectory() as made:
        for script in SCRIPTS:
            path = Path(made) / script.file
            log = open_log(path)
            play(script, log)
            closing = getattr(log, "close", None)
            if closing is not None:
                closing()
            shutil.copyfile(path, folder / script.file)
    _write_origins(folder, "logs")


def write_sealed(folder: Path) -> None:
    keys, log = FOLDER / "keys", folder / "sealed.jsonl"
    shutil.rmtree(keys, ignore_errors=True)
    log.unlink(missing_ok=True)
    play_sealed(SealedLog(open_log(log), SubjectKeys(keys)))
    _write_origins(folder, "sealed")


def write_private(folder: Path) -> None:
    folder_of_keys, path = FOLDER / "keys_by_day", folder / "private.jsonl"
    shutil.rmtree(folder_of_keys, ignore_errors=True)
    path.unlink(missing_ok=True)
    keys = SubjectKeys(folder_of_keys)
    play_private(SealedLog(open_log(path), keys, by_day=True), keys)
    _write_origins(folder, "private")


def write_golden_bundle(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    pack = find_pack("tavern")
    files = {f"pack/{path.name}": path.read_bytes() for path in (pack.catalog_path, pack.logic_path)}
    files["usage.json"] = json.dumps({"responses": sorted(load_policy("tavern").catalog.responses)}).encode()
    with tempfile.TemporaryDirectory() as made:  # checkpoints are kept beside a log
        log = shutil.copy(FOLDER / "logs" / BUNDLED, made)
        write_bundle(folder, existing(log), KEY, files, now=datetime(2026, 12, 1, 12, tzinfo=UTC))


def _write_origins(folder: Path, what: str) -> None:
    """Keeps where the logic files began when these logs were made."""
    path = folder / "origins.json"
    content = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    content[what] = {logic.name: origin(logic) for logic in logic_files()}
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    logs = FOLDER / "logs"
    logs.mkdir(exist_ok=True)
    kinds = {
        "logs": (write_logs, logs),
        "sealed": (write_sealed, logs),
        "private": (write_private, logs),
        "bundle": (write_golden_bundle, FOLDER / "bundle"),
    }
    for kind in sys.argv[1:]:
        write, where = kinds[kind]
        write(where)
