"""Signed checkpoints: the Merkle root of each segment of a log under an Ed25519 key, and proofs of single records.

A checkpoint is kept with the log and put into sinks, write-once stores that nobody can change. ``log_verification`` reads them.
"""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from constrained._canonical_json import canonical_json, sha256
from constrained.approval import keys
from constrained.errors import AuditError, KeyFileError
from constrained.records import chain, verifier
from constrained.records.chain import from_line
from constrained.records.log import Readable, Store
from constrained.records.record import Chained, KeyChange
from constrained.records.sinks import Sink

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    from constrained.approval.keys import Signer

T = TypeVar("T", bound=Chained)
EVERY = 1_000  # entries of a segment
FORMAT = 1


class CheckpointedLog:
    """A log that signs a checkpoint whenever a segment is full.

    Args:
        store: where the entries go. key: the private key of the desk that answers for the log.
        every: entries of a segment. The turn that fills one pays for its checkpoint: some milliseconds.
        sinks: where each checkpoint is put as well; a sink that refuses is told in the process's log, and gets it next time.

    Raises AuditError when the last checkpoint is not of this key, or the log no longer holds what it covers.
    """

    def __init__(self, store: Store, key: Signer, *, every: int = EVERY, sinks: Sequence[Sink] = ()) -> None:
        self.store, self._key, self.every, self.sinks = store, key, every, tuple(sinks)
        _go_on(store, store.checkpoints(), key)

    @property
    def name(self) -> str:
        return self.store.name

    def append(self, record: T) -> T:
        """Appends, and signs when this entry fills a segment; see ``Log.append``."""
        kept = self.store.append(record)
        if kept.sequence % self.every == 0:
            try:
                checkpoint(self.store, self._key, self.sinks, last=kept.sequence)
            except (AuditError, KeyFileError):  # the record is durable: its reply goes out, and the next checkpoint covers it too
                logging.getLogger(__name__).exception("%s: no checkpoint could be signed at record %d", self.name, kept.sequence)
        return kept


def checkpoint(
    store: Readable,
    key: Signer,
    sinks: Sequence[Sink] = (),
    *,
    last: int | None = None,
    puts_all: bool = False,
    hands_over_to: Ed25519PublicKey | None = None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> dict[str, Any] | None:
    """Signs what no checkpoint covers yet, up to ``last`` or the end; returns the checkpoint's body, None when all is covered.

    Args:
        puts_all: offers the sinks every checkpoint, not only the last ones: a gap of long ago is filled.
        hands_over_to: the key that signs from the next checkpoint on; see ``rotate``.

    Raises AuditError when the new segment does not hang together, does not follow what is signed, or another key has signed
    before: what is broken is not signed, and a log has one key.
    """
    before = store.checkpoints()
    body, rest = _go_on(store, before, key)
    first = body["last"] + 1 if body else 1
    lines = list(islice(rest, None if last is None else max(0, last - first + 1)))
    if lines:
        _see_that_it_hangs_together(store, lines, first, body["head"] if body else "")
        leaves = [chain.leaf_hash(line) for line in lines]
        marks = "".join(leaf.hex()[: verifier.MARK] for leaf in leaves)
        body = {
            "format": FORMAT,
            "number": len(before) + 1,
            "first": first,
            "last": first + len(lines) - 1,
            "root": "sha256:" + chain.root(leaves).hex(),
            "head": json.loads(lines[-1])["hash"],
            "previous": sha256(before[-1]) if before else "",
            "marks": sha256(marks.encode()),
            "at": now().isoformat(),
            "key": fingerprint(key.public_key()),
        }
        if hands_over_to is not None:
            body["rotation"] = {"from": keys.to_text(key.public_key()), "to": keys.to_text(hands_over_to)}
        signature = base64.b64encode(keys.sign(key, canonical_json(body))).decode()
        line = canonical_json({"body": body, "marks": marks, "signature": signature}) + b"\n"
        if not store.keep_checkpoint(body["number"], line):
            return None  # another process was first
        before.append(line)
    _put(store, before, sinks, puts_all)
    return body if lines else None


def rotate(
    store: Store,
    key: Signer,
    successor: Signer,
    *,
    by: str,
    sinks: Sequence[Sink] = (),
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> dict[str, Any]:
    """Lets another key sign from now on: the old one signs that it hands over, the new one that it takes over.

    Either key then verifies the whole log. Returns the body of the new key's first checkpoint.

    Args:
        by: who ordered it; it stands in the log.

    Raises AuditError when ``key`` is not the one that signs now, or others keep signing meanwhile.
    """
    before, after = key.public_key(), successor.public_key()
    if before == after:
        raise AuditError("a key cannot take over from itself", hint="make another: constrained keys new")
    told = {"before": keys.to_text(before), "after": keys.to_text(after), "by": by}
    store.append(KeyChange(at=now().isoformat(), **told))
    if checkpoint(store, key, sinks, hands_over_to=after, now=now) is None:
        raise AuditError(f"{store.name}: another process signed meanwhile", file=store.name, hint="stop it, and rotate again")
    store.append(KeyChange(at=now().isoformat(), **told))
    body = checkpoint(store, successor, sinks, now=now)
    if body is None:
        raise AuditError(f"{store.name}: another process signed meanwhile", file=store.name, hint="constrained audit verify")
    return body


def fingerprint(public: Ed25519PublicKey) -> str:
    """``sha256:`` over the 32 bytes of a public key: what people compare."""
    return sha256(public.public_bytes_raw())


def prove(store: Readable, sequences: Iterable[int]) -> list[bytes]:
    """A proof for each entry, a line of JSON: the entry, the hashes beside its way up, the signed body of its checkpoint.

    Raises AuditError when no checkpoint covers one of them.
    """
    signed = [_signed(store, line) for line in store.checkpoints()]
    wanted, proofs = sorted(set(sequences)), []
    for one in signed:
        body = one["body"]
        inside = [sequence for sequence in wanted if body["first"] <= sequence <= body["last"]]
        if inside:
            lines = list(islice(store.lines(body["first"]), body["last"] - body["first"] + 1))
            leaves = [chain.leaf_hash(line) for line in lines]
            proofs += [_proof(lines[sequence - body["first"]], leaves, sequence - body["first"], one) for sequence in inside]
    if len(proofs) < len(wanted):
        reached = signed[-1]["body"]["last"] if signed else 0
        hint = "sign one first: constrained audit checkpoint LOG --key KEY"
        raise AuditError(f"{store.name}: checkpoints reach to record {reached}, not to {wanted[-1]}", file=store.name, hint=hint)
    return proofs


def check(store: Readable, proof: bytes, public: Ed25519PublicKey) -> dict[str, Any]:
    """The entry that a proof of this log proves. Raises AuditError when it proves none."""
    try:
        return verifier.check_proof(proof, public)
    except (verifier.Bad, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        number = error.record if isinstance(error, verifier.Bad) else 0
        told = str(error) if isinstance(error, verifier.Bad) else "its proof is damaged"
        raise AuditError(f"{store.name}: {told}", file=store.name, line=number, hint="verify the whole log") from error


def _proof(line: bytes, leaves: Sequence[bytes], index: int, signed: dict[str, Any]) -> bytes:
    path = [one.hex() for one in chain.path(leaves, index)]
    kept = {"line": line.decode().removesuffix("\n"), "path": path, "body": signed["body"], "signature": signed["signature"]}
    return canonical_json(kept) + b"\n"


def _go_on(store: Readable, before: Sequence[bytes], key: Signer) -> tuple[dict[str, Any] | None, Iterator[bytes]]:
    """The body of the last checkpoint, and the lines that follow it. Raises AuditError when they cannot follow."""
    if not before:
        return None, store.lines()
    signed = _signed(store, before[-1])
    body, name = signed["body"], store.name
    try:
        rotation = body.get("rotation")
        if rotation and keys.from_text(rotation["to"]) != key.public_key():
            raise verifier.Bad(f"checkpoint {len(before)} hands over to another key")
        last_key = keys.from_text(rotation["from"]) if rotation else key.public_key()
        verifier.check_signature(last_key, signed["signature"], canonical_json(body), f"checkpoint {len(before)}")
    except (verifier.Bad, KeyFileError, KeyError, TypeError) as error:
        hint = "one key signs a log at a time: take that key, or let another take over: constrained audit rotate"
        raise AuditError(f"{name}: {error}", file=name, line=body["last"], hint=hint) from error
    lines = store.lines(body["last"])
    try:
        head = verifier.fact(next(lines, b""))[2]
    except verifier.Bad:
        head = ""
    if head != body["head"]:
        message = f"{name}: record {body['last']} is not the one that was signed: the log was cut, changed or begun anew"
        raise AuditError(message, file=name, line=body["last"], hint="keep it, and compare it with a copy: constrained audit verify")
    return body, lines


def _signed(store: Readable, line: bytes) -> dict[str, Any]:
    """A checkpoint's line with the fields that everything rests on. Raises AuditError."""
    try:
        content: dict[str, Any] = json.loads(line)
        is_sound = {type(content["body"][name]) for name in ("first", "last")} == {int} and isinstance(content["signature"], str)
    except (ValueError, KeyError, TypeError, RecursionError):
        is_sound = False
    if not is_sound:
        hint = "keep it, and compare it with the sink: constrained audit verify"
        raise AuditError(f"{store.name}: a checkpoint is damaged", file=store.name, hint=hint)
    return content


def _see_that_it_hangs_together(store: Readable, lines: Sequence[bytes], first: int, head: str) -> None:
    for number, line in enumerate(lines, first):
        entry = from_line(line, store.name, number)
        if entry.sequence != number or entry.previous != head:
            hint = "constrained audit verify names the first bad record"
            raise AuditError(
                f"{store.name}:{number}: the record does not follow the one before it", file=store.name, line=number, hint=hint
            )
        head = entry.hash


def _put(store: Readable, lines: Sequence[bytes], sinks: Sequence[Sink], puts_all: bool) -> None:
    """The last checkpoint to every sink, and those before it that a sink lacks."""
    for sink in sinks:
        for number, line in reversed(list(enumerate(lines, 1))):
            try:
                if not sink.put(f"checkpoint-{number:08d}.json", line) and not puts_all:
                    break
            except AuditError:
                raise
            except Exception:  # of a host's own sink: the checkpoint is signed and kept, and goes out with the next one
                logging.getLogger(__name__).exception("%s: checkpoint %d could not be put into a sink", store.name, number)
                break
