"""An examiner's bundle: a log or a slice of it with its proofs, what belongs to it, and the verifier."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from constrained._canonical_json import canonical_json
from constrained._durable_files import flush_file, sync_folder, write_new
from constrained.approval import keys
from constrained.errors import AuditError
from constrained.records import verifier
from constrained.records.checkpoints import check, checkpoint, fingerprint, prove
from constrained.records.log import Readable
from constrained.records.log_verification import verify_log

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


_README = """\
An examiner's bundle
====================

    python verify.py

checks every record, every checkpoint and every file here. It needs Python 3.9 and the package `cryptography`, and nothing
of the library that wrote the records. It names the first bad record.

Signed with the key  {key}
Compare this fingerprint with the one that you were given by another way; then run  python verify.py --key THAT_KEY.pem
Whoever could change the records could change verify.py too: run a copy of it that you have from elsewhere,  python VERIFY.py FOLDER

{records}

{files}
"""
_WHOLE = """log.jsonl          the whole log, one entry a line, as it was written
checkpoints.jsonl  the signed checkpoints that cover it"""
_SLICE = """proofs.jsonl       {n} records of a longer log; each with the proof that it is the one that was signed in its place.
                   The others are not shown. The record itself is the text in "line"."""


def write_bundle(
    folder: Path,
    store: Readable,
    key: Ed25519PrivateKey,
    files: Mapping[str, bytes],
    *,
    only: Iterable[int] | None = None,
    now: datetime | None = None,
) -> int:
    """Writes a bundle into an empty folder; returns how many records it holds.

    Args:
        key: signs the manifest, and a checkpoint for what none covers yet.
        files: what goes with it, by name. only: sequences of the slice; None for the whole log.

    Raises AuditError when the folder holds something, or the log does not verify: a broken log is not exported.
    """
    checkpoint(store, key)
    proofs = None if only is None else prove(store, only)
    _verify(store, key, proofs)
    try:
        return _written(folder, store, key, dict(files), proofs, now or datetime.now(UTC))
    except OSError as error:
        raise AuditError(f"{folder}: {error.strerror or error}", file=str(folder), hint="name a folder that can be made") from error


def _verify(store: Readable, key: Ed25519PrivateKey, proofs: Sequence[bytes] | None) -> None:
    """As the examiner will. Raises AuditError: a broken log is not exported."""
    if proofs is None:
        verify_log(store, key.public_key())
    for proof in proofs or ():
        check(store, proof, key.public_key())


def _written(
    folder: Path, store: Readable, key: Ed25519PrivateKey, content: dict[str, bytes], proofs: Sequence[bytes] | None, now: datetime
) -> int:
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise AuditError(f"{folder} is not empty", file=str(folder), hint="name a folder that is not there yet")
    if proofs is None:
        n_records = _write_log(folder, store)
        content |= {"checkpoints.jsonl": b"".join(store.checkpoints())}
        told = _WHOLE
    else:
        content["proofs.jsonl"], n_records = b"".join(proofs), len(proofs)
        told = _SLICE.format(n=n_records)
    content["verify.py"] = Path(verifier.__file__).read_bytes()
    content["public_key.pem"] = _pem(key)
    listed = "\n".join(f"{name:<34} {_told(name)}".rstrip() for name in sorted(content))
    content["README.txt"] = _README.format(key=fingerprint(key.public_key()), records=told, files=listed).encode()
    for name, data in content.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        write_new(folder / name, data, 0o666)
    _sign(folder, key, sorted([*content, *(["log.jsonl"] if proofs is None else [])]), now)
    return n_records


def _write_log(folder: Path, store: Readable) -> int:
    n_lines = 0
    with open(folder / "log.jsonl", "wb") as file:
        for line in store.lines():
            file.write(line)
            n_lines += 1
    flush_file(folder / "log.jsonl")
    return n_lines


def _sign(folder: Path, key: Ed25519PrivateKey, names: Sequence[str], now: datetime) -> None:
    files = {name: _hash(folder / name) for name in names}
    manifest = canonical_json({"files": files, "at": now.isoformat(), "key": fingerprint(key.public_key())}) + b"\n"
    write_new(folder / "manifest.json", manifest, 0o666)
    write_new(folder / "manifest.sig", base64.b64encode(keys.sign(key, manifest)), 0o666)
    for inside in {folder.parent, folder, *((folder / name).parent for name in names)}:
        sync_folder(inside)


def _hash(path: Path) -> str:
    with open(path, "rb") as file:
        return "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()


def _pem(key: Ed25519PrivateKey) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


_NAMES = {
    "verify.py": "the verifier",
    "public_key.pem": "the key that signed",
    "report.html": "coverage, use, approvals, close calls, abstentions",
    "model_card.md": "which models chose, and how",
    "usage.json": "first and last use of every response",
    "golden.json": "what the golden dialogues gave when this was exported",
}


def _told(name: str) -> str:
    return _NAMES.get(name, "")


def as_json(value: object) -> bytes:
    """A file of the bundle that people read too."""
    return json.dumps(value, ensure_ascii=False, indent=1, sort_keys=True).encode() + b"\n"
