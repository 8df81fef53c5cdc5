"""Keys: made once, kept closely, told apart, and never a traceback."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st

from constrained.approval.keys import from_text, load_private, load_public, new_pair, sign, to_text, verify
from constrained.errors import KeyFileError


def test_a_pair_signs_and_verifies_and_only_its_owner_may_read_it(tmp_path: Path) -> None:
    public = new_pair(tmp_path / "dana.pem")
    private = load_private(tmp_path / "dana.pem")
    assert stat.S_IMODE((tmp_path / "dana.pem").stat().st_mode) == 0o600
    assert to_text(load_public(tmp_path / "dana.pub.pem")) == to_text(public) == to_text(private.public_key())
    signature = sign(private, b"words")
    assert verify(public, signature, b"words")
    assert not verify(public, signature, b"other words")
    assert not verify(public, signature[:-1] + bytes([signature[-1] ^ 1]), b"words")
    assert not verify(public, b"", b"words")


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    new_pair(tmp_path / "a.pem")
    before = (tmp_path / "a.pem").read_bytes()
    with pytest.raises(KeyFileError, match="is there already"):
        new_pair(tmp_path / "a.pem")
    assert (tmp_path / "a.pem").read_bytes() == before


def test_an_encrypted_key_needs_its_password(tmp_path: Path) -> None:
    new_pair(tmp_path / "a.pem", password=b"secret")
    assert b"ENCRYPTED" in (tmp_path / "a.pem").read_bytes()
    for wrong in (None, b"guess"):
        with pytest.raises(KeyFileError, match=r"that can be read"):
            load_private(tmp_path / "a.pem", password=wrong)
    load_private(tmp_path / "a.pem", password=b"secret")


def test_what_is_no_ed25519_key_is_refused(tmp_path: Path) -> None:
    other = generate_private_key(SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "ec.pem").write_bytes(other)
    with pytest.raises(KeyFileError, match="not an Ed25519 key"):
        load_private(tmp_path / "ec.pem")
    (tmp_path / "none.pem").write_text("hello")
    for load in (load_private, load_public):
        with pytest.raises(KeyFileError, match=r"none\.pem is not a"):
            load(tmp_path / "none.pem")
        with pytest.raises(KeyFileError, match="cannot be read"):
            load(tmp_path / "missing.pem")


@given(st.text(max_size=60))
def test_no_other_text_is_a_public_key(text: str) -> None:
    with pytest.raises(KeyFileError):
        from_text(text)
    with pytest.raises(KeyFileError):
        from_text("ed25519:" + text)
