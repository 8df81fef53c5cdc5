#!/usr/bin/env python3
"""Verifies an examiner's bundle, a log or the proofs of single records. Stands alone: it knows nothing of the library that wrote them.

    python verify.py [FOLDER]                             a bundle: every record, checkpoint and file in it
    python verify.py --log LOG --checkpoints FILE         a log in JSON lines, against its signed checkpoints
    python verify.py --proofs FILE                        single records, without the others
    --key PUBLIC.pem    the key that must have signed. Without it the one in the folder: compare its fingerprint.

Exit status 0: all is as it was signed. 1: it is not; the first bad record is named. 3: whole, but something could not be established:
it is said first. Needs Python 3.9 and `cryptography`.
An entry is a line of JSON, no name twice in an object; "hash" is sha256 over the line without that field, "previous" the hash before.
A checkpoint signs (Ed25519) the Merkle root of a segment of lines: leaf sha256(0x00 line), node sha256(0x01 left right), a tree
of n leaves splits at the largest power of two below n (RFC 6962). Its "marks" hold the first 6 bytes of each leaf. A checkpoint with
"rotation" is the last one of the key "from"; the key "to" signs from then on. Any of a log's keys verifies all of it: a later
checkpoint holds the hash of the one before, an earlier key has signed the one that follows it.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

MARK = 12  # hex digits of a leaf in "marks": enough to name a record; what proves it is the root
_canonical = json.JSONEncoder(ensure_ascii=False, check_circular=False, allow_nan=False, sort_keys=True, separators=(",", ":")).encode


class Bad(Exception):
    """What does not verify. ``record``: the first bad record's place in the log, 0 where it is none."""

    def __init__(self, reason: str, record: int = 0) -> None:
        self.record = record
        super().__init__(f"record {record}: {reason}" if record else reason)


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def named(digest: bytes) -> str:
    return "sha256:" + digest.hex()


def root_of(leaves: list[bytes]) -> bytes:
    """The Merkle root of leaf hashes: pairs are joined level by level, an odd last one goes up as it is."""
    while len(leaves) > 1:
        leaves = [sha256(b"\x01" + b"".join(leaves[i : i + 2])) if leaves[i + 1 :] else leaves[i] for i in range(0, len(leaves), 2)]
    return leaves[0]


def root_by_path(leaf: bytes, index: int, size: int, path: list[bytes]) -> bytes:
    """The root that a leaf and the hashes beside its way up give (RFC 6962, section 2.1.1)."""
    last, others = size - 1, iter(path)
    while last:
        if index % 2 or index < last:
            other = next(others, b"")
            leaf = sha256(b"\x01" + (other + leaf if index % 2 else leaf + other))
        index, last = index // 2, last // 2
    return b"" if any(True for _ in others) else leaf


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(content := dict(pairs)) < len(pairs):
        raise ValueError("a name stands twice: one reader would take the first value, another the last")
    return content


_read = json.JSONDecoder(object_pairs_hook=_once, parse_constant=int).decode  # int refuses NaN and Infinity


def fact(line: bytes) -> tuple[Any, Any, str, bytes]:
    """What the place of a line is judged by: sequence, previous, hash and leaf. The line has one reading, and the hash it names."""
    try:
        content = _read(line.decode())
    except (ValueError, RecursionError):
        raise Bad("the line is not JSON with one reading") from None
    if line[:1] + line[-2:] != b"{}\n" or not isinstance(content.get("hash"), str):
        raise Bad("the line is not an entry")
    if named(sha256(line[:-1].replace(b',"hash":"' + content["hash"].encode() + b'"', b"", 1))) != content["hash"]:
        raise Bad("the hash does not fit the record: it was changed after it was written")
    return content.get("sequence"), content.get("previous"), content["hash"], sha256(b"\x00" + line[:-1])


def check_signature(key: Any, signature: str, data: bytes, what: str, record: int = 0) -> None:
    from cryptography.exceptions import InvalidSignature

    try:
        key.verify(base64.b64decode(signature, validate=True), data)
    except (InvalidSignature, ValueError):
        raise Bad(f"{what} was not signed with this key", record) from None


def key_of(text: str) -> Any:
    """The public key of a line ``ed25519:`` and base64. Raises ValueError."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    return Ed25519PublicKey.from_public_bytes(base64.b64decode(text.partition("ed25519:")[2], validate=True))


def fingerprint(key: Any) -> str:
    return named(sha256(key.public_bytes_raw()))


def _first_key(lines: list[bytes], key: Any) -> Any:
    """The key that signed first: the one that the first rotation takes over from, else the given one."""
    for line in lines:
        try:
            rotation = json.loads(line)["body"].get("rotation")
            if rotation:
                return key_of(rotation["from"])
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            break  # it is judged where it stands
    return key


def read_checkpoints(lines: Iterable[bytes], key: Any) -> list[tuple[dict[str, Any], str]]:
    """Bodies and marks, each signed, each following the one before it. A bad one names the first record that it would cover.

    ``key`` must be one of those that signed: the first, or one that took over.
    """
    lines = list(lines)
    found, previous, last = list[tuple[dict[str, Any], str]](), "", 0
    signing, is_known = _first_key(lines, key), False
    for number, line in enumerate(lines, 1):
        try:
            body, marks, signature = map(json.loads(line).__getitem__, ("body", "marks", "signature"))
            rotation = body.get("rotation")
            after = key_of(rotation["to"]) if rotation else signing
            is_own = not rotation or key_of(rotation["from"]) == signing
            is_sound = _canonical({"body": body, "marks": marks, "signature": signature}).encode() + b"\n" == line
            is_sound = is_sound and is_own and (body["previous"], body["number"], body["first"]) == (previous, number, last + 1)
            is_sound = is_sound and body["marks"] == named(sha256(marks.encode())) and len(marks) == (body["last"] - last) * MARK > 0
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            is_sound = False
        if not is_sound:
            raise Bad(f"checkpoint {number} is damaged or out of its place", last + 1)
        check_signature(signing, signature, _canonical(body).encode(), f"checkpoint {number}", last + 1)
        is_known = is_known or signing == key
        found.append((body, marks))
        previous, last, signing = named(sha256(line)), body["last"], after
    if key and not found:
        raise Bad("there is no checkpoint: nothing here is signed")
    if key and not is_known:
        raise Bad("no checkpoint was signed with this key", 1)
    return found


def check_log(facts: Iterable[Any], checkpoints: list[tuple[dict[str, Any], str]]) -> str:
    """The ``fact`` of each line from the first: place, mark and root. Says how many there are, and how many are signed."""
    body, marks = next(segments := iter(checkpoints), ({}, ""))
    leaves, previous, number = list[bytes](), "", 0
    try:
        for number, (sequence, before, head, leaf) in enumerate(facts, 1):
            if sequence != number:
                raise Bad(f"sequence {sequence} stands here: records were taken out, moved or put in", number)
            if before != previous:
                raise Bad("it does not follow the record before it", number)
            previous = head
            if body:
                leaves.append(leaf)
                if marks[len(leaves) * MARK - MARK : len(leaves) * MARK] != leaf.hex()[:MARK]:
                    raise Bad("it is not the record that was signed: the log was written anew from here", number)
                if number == body["last"]:
                    if named(root_of(leaves)) != body["root"] or head != body["head"]:
                        raise Bad(f"its segment, to record {number}, does not have the signed root", body["first"])
                    leaves, (body, marks) = [], next(segments, ({}, ""))
    except Bad as bad:
        raise bad if bad.record else Bad(str(bad), number + 1) from None
    if body:
        raise Bad(f"it is missing: the log was cut; checkpoint {body['number']} reaches to record {body['last']}", number + 1)
    signed = f"signed up to record {checkpoints[-1][0]['last']}" if checkpoints else "none of them signed"
    return f"{number} records in an unbroken chain, {signed}"


def check_proof(line: bytes, key: Any) -> dict[str, Any]:
    """One record by its proof: the record's line, the hashes beside its way up, the signed body of its checkpoint."""
    proof = json.loads(line)
    entry, body = proof["line"].encode(), proof["body"]
    number = fact(entry + b"\n")[0]
    check_signature(key, proof["signature"], _canonical(body).encode(), f"the checkpoint of record {number}")
    path, index, size = [bytes.fromhex(one) for one in proof["path"]], number - body["first"], body["last"] - body["first"] + 1
    if not 0 <= index < size or named(root_by_path(sha256(b"\x00" + entry), index, size, path)) != body["root"]:
        raise Bad("it is not the record that was signed, or the proof is not its own", number)
    return dict(json.loads(entry))


def check_bundle(folder: Path, key: Any) -> str:
    """The records of a bundle, a whole log or a slice with a proof for each; then all its files by the signed manifest."""
    if (folder / "log.jsonl").exists():
        with open(folder / "log.jsonl", "rb") as lines, open(folder / "checkpoints.jsonl", "rb") as signed:
            result = check_log(map(fact, lines), read_checkpoints(signed, key))
    else:
        with open(folder / "proofs.jsonl", "rb") as lines:
            result = f"{sum(1 for line in lines if check_proof(line, key))} records, each proved against a signed checkpoint"
    manifest = (folder / "manifest.json").read_bytes()
    check_signature(key, (folder / "manifest.sig").read_text(), manifest, "the manifest")
    files = json.loads(manifest)["files"]
    present = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir() or path.is_symlink()}
    for name in sorted((present | set(files)) - {"manifest.json", "manifest.sig"}):
        if name not in files or name not in present or named(sha256((folder / name).read_bytes())) != files[name]:
            raise Bad(f"the file {name} was {'added' if name not in files else 'taken out' if name not in present else 'changed'}")
    return f"{result}; {len(files)} files as they were exported"


def main(arguments: list[str] | None = None) -> int:
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", default=Path("."), type=Path)
    for name in ("log", "checkpoints", "proofs", "key"):
        parser.add_argument(f"--{name}", type=Path)
    asked = parser.parse_args(arguments)
    try:
        key = load_pem_public_key((asked.key or asked.folder / "public_key.pem").read_bytes())
        open_points = [] if asked.key else [f"whose key {fingerprint(key)} is: compare it with the one you know, and give it with --key"]
        if asked.proofs:
            result = f"{sum(1 for line in asked.proofs.read_bytes().splitlines() if check_proof(line, key))} records, each proved"
        elif asked.log:
            lines = asked.checkpoints.read_bytes().splitlines(keepends=True) if asked.checkpoints else []
            open_points += [] if asked.checkpoints else ["who wrote the log, and whether it was written anew or cut: give --checkpoints"]
            with open(asked.log, "rb") as log:
                result = check_log(map(fact, log), read_checkpoints(lines, key) if asked.checkpoints else [])
        else:
            result = check_bundle(asked.folder, key)
    except (Bad, OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        print("BAD:", error if isinstance(error, Bad) else f"{type(error).__name__}: {error}")
        return 1
    if open_points:
        print("NOT ESTABLISHED:", "; ".join(open_points))
    print("good:", result, "" if open_points else f"under the key {fingerprint(key)}")
    return 3 if open_points else 0


if __name__ == "__main__":
    sys.exit(main())
