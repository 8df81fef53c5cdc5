"""The stand-alone verifier: it needs nothing of ours, and whatever is done to a log it names the first bad record."""

from __future__ import annotations

import ast
import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from constrained._canonical_json import canonical_json
from constrained.errors import AuditError
from constrained.records import log_verification as facts
from constrained.records import verifier
from constrained.records.chain import digest
from constrained.records.checkpoints import checkpoint
from constrained.records.log_verification import verify_log
from tests.records.evidence import OTHER_KEY, PUBLIC, signed_log

N_EDITS = int(os.environ.get("CONSTRAINED_EDITS", "10000"))
N_RECORDS = 16
FILE = Path(verifier.__file__)


def test_it_is_short_and_imports_nothing_of_ours():
    text = FILE.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 250
    imported = {
        name.split(".")[0]
        for node in ast.walk(ast.parse(text))
        for name in ([node.module or ""] if isinstance(node, ast.ImportFrom) else [one.name for one in getattr(node, "names", ())])
        if isinstance(node, ast.Import | ast.ImportFrom)
    }
    assert imported - {"cryptography"} <= set(sys.stdlib_module_names)


def first_bad(lines, checkpoints):
    """The record that is named as bad; 0 when all is good."""
    try:
        verifier.check_log(map(verifier.fact, lines), verifier.read_checkpoints(checkpoints, PUBLIC))
    except verifier.Bad as error:
        return error.record
    return 0


def chained_anew(lines, start):
    """What somebody without the key can do: every hash from there on computed again, so that the chain is whole."""
    contents = [json.loads(line) for line in lines]
    previous = contents[start - 1]["hash"] if start else ""
    for number, content in enumerate(contents[start:], start + 1):
        content.update(sequence=number, previous=previous)
        content["hash"] = previous = digest(content)
    return [canonical_json(content) + b"\n" for content in contents]


def flip(lines, chance):
    at = chance.randrange(len(lines))
    line = bytearray(lines[at])
    line[chance.randrange(len(line))] ^= chance.randrange(1, 256)
    return [*lines[:at], bytes(line), *lines[at + 1 :]]


def delete(lines, chance):
    at = chance.randrange(len(lines))
    return [*lines[:at], *lines[at + 1 :]]


def cut(lines, chance):
    return lines[: chance.randrange(len(lines))]


def insert(lines, chance):
    at = chance.randrange(len(lines))
    return [*lines[:at], chance.choice(lines[:-1]), *lines[at:]]  # the last one put in again at the end is an honest append


def reorder(lines, chance):
    first, second = sorted(chance.sample(range(len(lines)), 2))
    moved = list(lines)
    moved[first], moved[second] = moved[second], moved[first]
    return moved


def edited(lines, chance):
    """One record says something else, its own hash made right, the rest left alone."""
    at = chance.randrange(len(lines))
    content = json.loads(lines[at]) | {chance.choice(["text", "message"]): f"else {chance.random()}"}
    content["hash"] = digest(content)
    return [*lines[:at], canonical_json(content) + b"\n", *lines[at + 1 :]]


def rechained(how):
    """An edit, and every hash after it made right."""

    def edit(lines, chance):
        changed = how(lines, chance)
        return chained_anew(changed, first_difference(lines, changed) - 1)

    edit.__name__ = f"{how.__name__}, chained anew"
    return edit


def first_difference(lines, changed):
    """The place of the first line that is not what it was, from 1."""
    pairs = enumerate(zip(lines, changed, strict=False), 1)
    return next((number for number, (old, new) in pairs if old != new), min(len(lines), len(changed)) + 1)


EDITS = (flip, delete, cut, insert, reorder, edited, rechained(edited), rechained(delete), rechained(insert), rechained(reorder))


def test_every_edit_is_found_and_the_first_bad_record_named():
    log, chance = signed_log(N_RECORDS, every=5), random.Random(6)
    lines, checkpoints = list(log.lines()), verifier.read_checkpoints(log.checkpoints(), PUBLIC)
    assert first_bad(lines, log.checkpoints()) == 0
    missed = []
    for number in range(N_EDITS):
        edit = EDITS[number % len(EDITS)]
        changed = edit(lines, chance)
        try:
            verifier.check_log(map(verifier.fact, changed), checkpoints)
            found = 0
        except verifier.Bad as error:
            found = error.record
        if changed != lines and found != first_difference(lines, changed):
            missed.append((edit.__name__, first_difference(lines, changed), found))
    assert missed == []


def test_every_byte_of_a_checkpoint_counts():
    log = signed_log(20, every=7)
    lines, checkpoints = list(log.lines()), log.checkpoints()
    for number, first in ((0, 1), (1, 8), (2, 15)):
        for at in range(0, len(checkpoints[number]), 3):
            line = bytearray(checkpoints[number])
            line[at] ^= 1
            changed = [*checkpoints[:number], bytes(line), *checkpoints[number + 1 :]]
            assert first_bad(lines, changed) == first, (number, at)
    assert first_bad(lines, [checkpoints[0], checkpoints[2]]) == 8
    assert first_bad(lines, checkpoints[1:]) == 1


def test_a_log_signed_anew_with_another_key_is_found():
    log = signed_log(10)
    log._checkpoints.clear()
    checkpoint(log, OTHER_KEY)
    assert first_bad(log.lines(), log.checkpoints()) == 1


def test_records_after_the_last_checkpoint_are_told_apart():
    log = signed_log(10)
    bare = signed_log(12)
    assert verifier.check_log(map(verifier.fact, bare.lines()), verifier.read_checkpoints(log.checkpoints(), PUBLIC)).endswith(
        "signed up to record 10"
    )
    assert verifier.check_log(map(verifier.fact, bare.lines()), []).endswith("none of them signed")


@pytest.fixture
def folder(tmp_path):
    """What an examiner has: two files, a key, and the verifier."""
    log = signed_log(30)
    (tmp_path / "log.jsonl").write_bytes(b"".join(log.lines()))
    (tmp_path / "checkpoints.jsonl").write_bytes(b"".join(log.checkpoints()))
    (tmp_path / "public_key.pem").write_bytes(PUBLIC.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    shutil.copy(FILE, tmp_path / "verify.py")
    return tmp_path


def run(folder, *arguments):
    command = [sys.executable, "-I", "verify.py", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_it_runs_alone_and_its_exit_status_tells(folder):
    asked = ("--log", "log.jsonl", "--checkpoints", "checkpoints.jsonl", "--key", "public_key.pem")
    assert run(folder, *asked[:-2]).returncode == 3, "the key in the folder is anybody's"
    assert run(folder, "--log", "log.jsonl").stdout.startswith("NOT ESTABLISHED: ")
    done = run(folder, *asked)
    assert (done.returncode, done.stderr) == (0, "")
    assert "good: 30 records in an unbroken chain, signed up to record 30" in done.stdout
    log = folder / "log.jsonl"
    log.write_bytes(log.read_bytes().replace(b'"turn-17"', b'"turn-71"'))
    done = run(folder, *asked)
    assert (done.returncode, done.stderr) == (1, "")
    assert "BAD: record 17: the hash does not fit the record" in done.stdout


@pytest.mark.parametrize("name", ["log.jsonl", "checkpoints.jsonl", "public_key.pem"])
@pytest.mark.parametrize(
    "content", [b"", b"\x00\xff\n", b"{}\n", b"[1]\n", b'{"body":1,"marks":2,"signature":3}\n', b"[" * 100_000 + b"\n"]
)
def test_garbage_is_bad_and_never_a_traceback(folder, name, content):
    (folder / name).write_bytes(content)
    done = run(folder, "--log", "log.jsonl", "--checkpoints", "checkpoints.jsonl")
    assert done.stderr == ""
    assert ("BAD: " in done.stdout, done.returncode) == (True, 1)


# -- many processes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("edit", [flip, delete, cut, insert, reorder, edited, rechained(edited)], ids=lambda edit: edit.__name__)
def test_many_processes_find_what_one_finds(monkeypatch, edit):
    monkeypatch.setattr(facts, "BLOCK", 3)
    monkeypatch.setattr(facts, "WORTH", 4)
    log, chance = signed_log(N_RECORDS, every=5), random.Random(8)
    lines, checkpoints = list(log.lines()), log.checkpoints()
    assert verify_log(log, PUBLIC, processes=2) == verify_log(log, PUBLIC)
    changed = log._lines = edit(lines, chance)
    with pytest.raises(AuditError) as many:
        verify_log(log, PUBLIC, processes=2)
    assert many.value.line == first_bad(changed, checkpoints) == first_difference(lines, changed)


@pytest.mark.parametrize(
    "line",
    [b'{"a":1,"a":2,"hash":"x"}', b'{"a":NaN,"hash":"x"}', b'["hash"]', b"[" * 100_000, b' {"hash":"x"}', b'{"hash":1}', b"\xff"],
)
def test_a_line_with_two_readings_or_none_is_refused(line):
    with pytest.raises(verifier.Bad):
        verifier.fact(line + b"\n")


def test_a_name_that_stands_twice_is_found_though_the_hash_fits():
    line = next(iter(signed_log(1).lines()))
    twice = line.replace(b'"text":', b'"text":"else","text":', 1)
    body = twice[:-1].replace(b',"hash":"' + json.loads(line)["hash"].encode() + b'"', b"", 1)
    twice = twice.replace(json.loads(line)["hash"].encode(), b"sha256:" + hashlib.sha256(body).hexdigest().encode(), 1)
    with pytest.raises(verifier.Bad, match="one reading"):
        verifier.fact(twice)
