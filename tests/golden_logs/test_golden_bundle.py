"""An examiner's bundle that was written before verifies with the verifier it carries and with today's; a changed byte does not."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import constrained
from tests.golden_logs.names import read_log
from tests.golden_logs.play import FOLDER

pytest.importorskip("cryptography", reason="cryptography is not installed: pip install 'constrained[evidence]'")

(TODAY,) = Path(constrained.__file__).parent.rglob("verifier.py")
CARRIED = "verify.py"
FINGERPRINT = "sha256:873789bd112bb6429c3861c2fd67c70fdab83db87ae181bca63cc1fbc713b0df"
each_verifier = pytest.mark.parametrize("verifier", [CARRIED, TODAY], ids=["carried", "today"])


@pytest.fixture
def bundle(tmp_path):
    return shutil.copytree(FOLDER / "bundle", tmp_path / "bundle")


def run(bundle, verifier):
    """Exit status and output of a verifier that runs alone: no package of ours is on its path."""
    alone = shutil.copy(bundle / CARRIED if verifier == CARRIED else verifier, bundle.parent / "alone.py")
    command = [sys.executable, "-I", alone, bundle]
    done = subprocess.run(command, cwd=bundle.parent, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    return done.returncode, done.stdout


@each_verifier
def test_the_old_bundle_verifies(bundle, verifier):
    status, told = run(bundle, verifier)
    n_records = len((bundle / "log.jsonl").read_bytes().splitlines())
    assert status == (0 if verifier == CARRIED else 3), told  # 3: whose the key in the folder is cannot be established from it alone
    assert f"key {FINGERPRINT}" in told
    assert f"good: {n_records} records in an unbroken chain, signed up to record {n_records}; 8 files as they were exported" in told


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@each_verifier
@pytest.mark.parametrize("name", ["log.jsonl", "checkpoints.jsonl", "manifest.json", "manifest.sig", "public_key.pem", "pack/tavern.py"])
def test_a_flipped_byte_is_found(bundle, verifier, name):
    flip(bundle / name)
    status, told = run(bundle, verifier)
    assert (status, "BAD:" in told) == (1, True), told


def test_the_library_reads_the_log_of_the_old_bundle():
    assert len(list(read_log(FOLDER / "bundle" / "log.jsonl"))) == 12  # and 6 outcomes
