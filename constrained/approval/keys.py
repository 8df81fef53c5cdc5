"""Ed25519 key pairs in PEM files, signatures, and a public key as one line of text.

The library ``cryptography`` does the work; it is imported when a key is first read or made.
"""

from __future__ import annotations

import base64
import os
import shlex
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from constrained._durable_files import sync_folder, write_new
from constrained.errors import KeyFileError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey


SCHEME = "ed25519:"  # how the text form of a public key begins; 32 bytes in base64 follow
_N_BYTES = 32
SIGNATURE_BYTES = 64
PASSWORD = "CONSTRAINED_KEY_PASSWORD"
SIGNING_S = 30.0  # for a command that signs
_P = 2**255 - 19
_ORDER_8 = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7  # y of the points of order 8, and -y
_WEAK = frozenset(  # y of the points of small order, in each way that 32 bytes can hold it; the bit of x taken out
    y.to_bytes(_N_BYTES, "little") for y in (0, 1, _P - 1, _P, _P + 1, _ORDER_8, _P - _ORDER_8)
)


def public_path(private: str | Path) -> Path:
    """Where the public key of a pair lies."""
    path = Path(private)
    return path.with_name(path.name.removesuffix(".pem") + ".pub.pem")


def new_pair(private: str | Path, *, password: bytes | None = None) -> Ed25519PublicKey:
    """Makes a key pair: the private key at ``private`` (readable by its owner only), the public one beside it as ``.pub.pem``.

    Args:
        password: encrypts the private key's file.

    Raises:
        KeyFileError: a file of that name is there (a key is never overwritten), or cannot be written.
    """
    from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat, PublicFormat

    made = _library().Ed25519PrivateKey.generate()
    hidden = BestAvailableEncryption(password) if password else NoEncryption()
    path, public = Path(private), public_path(private)
    for taken in (path, public):
        if taken.exists():
            raise KeyFileError(f"{taken} is there already; a key is never overwritten", file=str(taken), hint="choose another name")
    _write(path, made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, hidden), 0o600)
    key: Ed25519PublicKey = made.public_key()
    _write(public, key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo), 0o644)
    return key


def load_private(path: str | Path, *, password: bytes | None = None) -> Ed25519PrivateKey:
    """The private key in a PEM file. Raises KeyFileError."""
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    content = _read(path)
    try:
        key = load_pem_private_key(content, password)
    except (ValueError, TypeError) as error:  # TypeError: a password is needed, or given for nothing
        hint = "an encrypted key needs its password (CONSTRAINED_KEY_PASSWORD); make a key with: constrained keys new"
        raise KeyFileError(f"{path} is not a private key that can be read: {error}", file=str(path), hint=hint) from error
    return _of_kind(key, _library().Ed25519PrivateKey, path)  # type: ignore[no-any-return]  # the class is only known at run time


def password_of_environment() -> bytes | None:
    """The password of private keys: never an argument, which other users of the machine could read. None where it is not set."""
    found = os.environ.get(PASSWORD)
    return found.encode() if found else None


def load_signer(path: str | Path, command: str = "") -> Signer:
    """What signs: the private key in a file, or ``command`` where the file holds the public one. Raises KeyFileError."""
    return CommandSigner(command, load_public(path)) if command else load_private(path, password=password_of_environment())


def load_public(path: str | Path) -> Ed25519PublicKey:
    """The public key in a PEM file. Raises KeyFileError."""
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    content = _read(path)
    try:
        key = load_pem_public_key(content)
    except ValueError as error:
        raise KeyFileError(f"{path} is not a public key: {error}", file=str(path), hint="give the file that ends in .pub.pem") from error
    return _of_kind(key, _library().Ed25519PublicKey, path)  # type: ignore[no-any-return]  # the class is only known at run time


class Signer(Protocol):
    """What signs with Ed25519: a private key of ``cryptography``, or a ``CommandSigner`` where the key stays elsewhere."""

    def public_key(self) -> Ed25519PublicKey: ...

    def sign(self, data: bytes, /) -> bytes: ...


class CommandSigner:
    """Signs by a command, so that the private key may stay in an HSM, a KMS or on a card.

    Args:
        command: split like a shell line, run without a shell. It gets the data on standard input and writes the signature to
            standard output: 64 bytes, or their base64.
        public: the key that its signatures must verify with.

    Raises KeyFileError when the command cannot be split.
    """

    def __init__(self, command: str, public: Ed25519PublicKey) -> None:
        try:
            self._command, self._public = shlex.split(command), public
        except ValueError as error:
            raise KeyFileError(f"the signer {command!r} is no command: {error}", hint="write it as in a shell") from error

    def public_key(self) -> Ed25519PublicKey:
        return self._public

    def sign(self, data: bytes, /) -> bytes:
        """Raises KeyFileError when the command fails, or its signature is not of the key."""
        hint = "it gets the data on standard input and writes the signature, 64 bytes or their base64, to standard output"
        try:
            done = subprocess.run(self._command, input=data, capture_output=True, timeout=SIGNING_S, check=True)  # the operator's own
        except (OSError, IndexError, ValueError, subprocess.SubprocessError) as error:
            raise KeyFileError(f"the signer failed: {type(error).__name__}: {_told(error)}", hint=hint) from error
        signature = done.stdout
        if len(signature) != SIGNATURE_BYTES:
            try:
                signature = base64.b64decode(signature.strip(), validate=True)
            except ValueError:
                signature = b""
        if len(signature) != SIGNATURE_BYTES or not verify(self._public, signature, data):
            raise KeyFileError("what the signer wrote is no signature of this key", hint=hint)
        return signature


def _told(error: Exception) -> str:
    """The last line that a command wrote to standard error, else the error itself."""
    written = (getattr(error, "stderr", None) or b"").decode(errors="replace").strip().splitlines()
    return written[-1][:200] if written else str(error)[:200]


def sign(private: Signer, data: bytes) -> bytes:
    """The signature of ``data``: 64 bytes, the same each time."""
    return private.sign(data)


def verify(public: Ed25519PublicKey, signature: bytes, data: bytes) -> bool:
    """Whether ``signature`` was made over ``data`` with the private key that belongs to ``public``."""
    from cryptography.exceptions import InvalidSignature

    try:
        public.verify(signature, data)
    except InvalidSignature:
        return False
    return True


def to_text(public: Ed25519PublicKey) -> str:
    """A public key as one line: ``ed25519:`` and base64."""
    return SCHEME + base64.b64encode(public.public_bytes_raw()).decode()


def from_text(text: str) -> Ed25519PublicKey:
    """The public key of such a line. Raises KeyFileError."""
    try:
        raw = base64.b64decode(text.removeprefix(SCHEME), validate=True) if text.startswith(SCHEME) else b""
    except ValueError:
        raw = b""
    if len(raw) != _N_BYTES or SCHEME + base64.b64encode(raw).decode() != text:  # the last character can be written in four ways
        raise KeyFileError(f"{text[:60]!r} is not a public key", hint="copy the line that constrained keys new printed: ed25519:...")
    if raw[:-1] + bytes([raw[-1] & 0x7F]) in _WEAK:
        raise KeyFileError(f"{text[:60]!r} is a key that anybody can sign with", hint="make one: constrained keys new")
    return _library().Ed25519PublicKey.from_public_bytes(raw)  # type: ignore[no-any-return]  # the class is only known at run time


def _library() -> Any:
    """The module with the Ed25519 classes. Raises KeyFileError where ``cryptography`` is not installed."""
    try:
        from cryptography.hazmat.primitives.asymmetric import ed25519
    except ImportError as error:
        raise KeyFileError("signatures need the package cryptography", hint="pip install 'constrained[evidence]'") from error
    return ed25519


def _of_kind(key: Any, kind: type, path: str | Path) -> Any:
    if not isinstance(key, kind):
        raise KeyFileError(
            f"{path} holds a {type(key).__name__}, not an Ed25519 key", file=str(path), hint="make one: constrained keys new"
        )
    return key


def _read(path: str | Path) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise KeyFileError(f"{path} cannot be read: {error.strerror or error}", file=str(path), hint="check the path of the key") from error


def _write(path: Path, content: bytes, mode: int) -> None:
    try:
        write_new(path, content, mode)
        sync_folder(path.parent)
    except OSError as error:
        raise KeyFileError(f"{path} cannot be written: {error.strerror or error}", file=str(path), hint="choose another folder") from error
