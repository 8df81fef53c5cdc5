"""``constrained keys``: key pairs of the people who approve; and how every command reads a key from its file."""

from __future__ import annotations

import os
import re
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from constrained.approval.keys import load_private, new_pair, to_text
from constrained.cli.screen import line
from constrained.errors import KeyFileError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

app = typer.Typer(help="Keys of the people who approve.", no_args_is_help=True)


@app.command("new")
def new_key(
    person: Annotated[str, typer.Argument(help="Whose key: the name that stands in people.toml.")],
    file: Annotated[Path | None, typer.Option("--file", help="Where the private key goes; else among the keys of this user.")] = None,
) -> None:
    """Make a key pair, and print what goes into people.toml.

    The private key is encrypted when CONSTRAINED_KEY_PASSWORD is set.
    """
    path = file or _key_path(person)
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise KeyFileError(f"{path.parent} cannot be made: {error.strerror}", file=str(path), hint="name a file with --file") from error
    public = new_pair(path, password=_password())
    line(f"the private key of {person}: {path} (keep it; it is in no repository)")
    line("put this into people.toml beside the catalogs:")
    line()
    line(f'[people."{person}"]')
    line('roles = ["compliance"]')
    line(f'keys = ["{to_text(public)}"]')


@app.command("list")
def list_keys() -> None:
    """The private keys of this user."""
    for path in sorted(_key_folder().glob("*.pem")):
        if not path.name.endswith(".pub.pem"):
            line(str(path))


def read_private_key(path: Path) -> Ed25519PrivateKey:
    """The private key in a file, with the password of the environment. Raises KeyFileError."""
    return load_private(path, password=_password())


def read_key_of(person: str, file: Path | None) -> Ed25519PrivateKey:
    """A person's private key: of ``file``, else of the key folder. Raises KeyFileError."""
    path = file or _key_path(person)
    if not path.is_file():
        hint = f"name it with --key, or make one: constrained keys new {person!r}"
        raise KeyFileError(f"there is no private key of {person} at {path}", file=str(path), hint=hint)
    return read_private_key(path)


def _key_folder() -> Path:
    """Where private keys lie unless a file is named: the folder in CONSTRAINED_KEYS, else one in the user's configuration."""
    return Path(os.environ.get("CONSTRAINED_KEYS") or Path.home() / ".config" / "constrained" / "keys")


def _key_path(person: str) -> Path:
    """The file of a person's private key: a name in plain letters."""
    plain = unicodedata.normalize("NFKD", person).encode("ascii", "ignore").decode().lower()
    return _key_folder() / (re.sub(r"[^a-z0-9]+", "_", plain).strip("_") + ".pem")


def _password() -> bytes | None:
    """The password of private keys, from the environment: never an argument, which other users of the machine could read."""
    given = os.environ.get("CONSTRAINED_KEY_PASSWORD")
    return given.encode() if given else None
