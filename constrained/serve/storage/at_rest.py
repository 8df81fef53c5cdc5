"""Encrypts what a server keeps of conversations between requests: it needs the whole message and what was heard, the disk does not."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import re
import secrets
from pathlib import Path

from constrained import _durable_files as files
from constrained.errors import AuditError, ConstrainedError
from constrained.serve.settings import ServerSettings

N_BYTES = 32
_HEX = re.compile(rb"[0-9a-fA-F]{64}")
_MARK = "sealed1:"  # no JSON text begins so


class RowCipher:
    """AES-256-GCM over single columns, each bound to its conversation.

    Args:
        key: 32 bytes; None writes plain text, and reads plain text only.
    """

    def __init__(self, key: bytes | None = None) -> None:
        self._key = key
        self._cipher = None
        if key is not None:
            from cryptography.hazmat.primitives.ciphers.aead import AESGCM

            self._cipher = AESGCM(key)

    @property
    def is_encrypting(self) -> bool:
        return self._cipher is not None

    def write(self, text: str, bound: str) -> str:
        if self._cipher is None:
            return text
        nonce = secrets.token_bytes(12)
        return _MARK + base64.b64encode(nonce + self._cipher.encrypt(nonce, text.encode(), bound.encode())).decode()

    def read(self, text: str, bound: str) -> str:
        """Raises AuditError where the text was written under another key, or changed."""
        if not text.startswith(_MARK):
            return text
        from cryptography.exceptions import InvalidTag

        try:
            data = base64.b64decode(text.removeprefix(_MARK), validate=True)
            if self._cipher is None:
                raise ValueError("there is no key")
            return self._cipher.decrypt(data[:12], data[12:], bound.encode()).decode()
        except (InvalidTag, ValueError) as error:
            hint = "start the server with the key of that time (serve --conversation-key), or let the conversation begin anew"
            raise AuditError("a kept conversation cannot be read: it was kept under another key, or changed", hint=hint) from error

    def digest(self, text: str) -> str:
        """A hash of a request: with a key nobody can find a short message by trying."""
        content = text.encode("utf-8", "surrogatepass")
        return hashlib.sha256(content).hexdigest() if self._key is None else hmac.new(self._key, content, hashlib.sha256).hexdigest()


def make_cipher(settings: ServerSettings, file: Path | None, *, is_masking: bool) -> RowCipher:
    """How a server's conversations are kept: in plain text, unless a pack masks or a key is named.

    Args:
        file: of the database, where it is an SQLite file. Without ``conversation_key`` the key lies in the folder ``seal``, else beside it.

    Raises ConstrainedError where several processes could share the database and no key is named.
    """
    if settings.conversation_key:
        return RowCipher(read_or_make_key(Path(settings.conversation_key)))
    if not is_masking:
        return RowCipher()
    if settings.seal:
        Path(settings.seal).mkdir(mode=0o700, parents=True, exist_ok=True)
        return RowCipher(read_or_make_key(Path(settings.seal) / "conversations.key"))
    if file is not None:
        return RowCipher(read_or_make_key(file.with_name(file.name + ".key")))
    if settings.database and not settings.database.startswith("sqlite"):
        hint = "serve --conversation-key FILE, the same for all its processes; --no-mask keeps them in plain text"
        raise ConstrainedError("conversations in a database server are encrypted, since a pack masks what users write", hint=hint)
    return RowCipher(secrets.token_bytes(N_BYTES))


def read_or_make_key(path: Path) -> bytes:
    """The key in a file: 32 bytes, or 64 hexadecimal digits; made when the file is missing, readable by its owner only.

    Raises ConstrainedError.
    """
    try:
        if not path.exists():
            with contextlib.suppress(FileExistsError):  # whoever is first makes it
                files.write_once(path, secrets.token_bytes(N_BYTES), 0o600)
        key = path.read_bytes()
    except OSError as error:
        raise ConstrainedError(f"{path}: {error.strerror or error}", hint="see that the folder is there and writable") from error
    if _HEX.fullmatch(key.strip()):
        return bytes.fromhex(key.decode())
    if len(key) != N_BYTES:
        raise ConstrainedError(
            f"{path} is no key of {N_BYTES} bytes or {2 * N_BYTES} hex digits", hint="openssl rand -hex 32; or restore the key of before"
        )
    return key
