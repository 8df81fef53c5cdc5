"""``constrained keys``: makes key pairs of people who approve, lists them, and finds a person's private key for other commands."""

from __future__ import annotations

import os
import re
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from constrained.approval.keys import load_private, load_public, new_pair, password_of_environment, public_path, to_text
from constrained.approval.people import load_people
from constrained.cli.screen import line, note
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
    public = new_pair(path, password=password_of_environment())
    line(f"the private key of {person}: {path} (keep it; it is in no repository)")
    line(f"the public key, to give away: {public_path(path)}")
    if file is not None:
        line("to sign a log or customers' tokens nothing more is needed; only for a person who approves:")
    line("put this into people.toml beside the catalogs, with the roles of this person:")
    line()
    line(f'[people."{person}"]')
    line('roles = ["compliance"]')
    line(f'keys = ["{to_text(public)}"]')


@app.command("list")
def list_keys(
    people: Annotated[Path, typer.Option(help="The people.toml that says whose a key is.")] = Path("catalogs/people.toml"),
) -> None:
    """The private keys of this user, and whose each is."""
    known = _names_by_key(people)
    if not people.is_file():
        note(f"there is no {people}, so nobody's name is known; another file: --people FILE")
    for path in sorted(_key_folder().glob("*.pem")):
        if not path.name.endswith(".pub.pem"):
            public = public_path(path)
            text = to_text(load_public(public)) if public.is_file() else ""
            line(f"{known[text]}: {path}" if text in known else f"(nobody in people.toml): {path} with the public key {text}")


def _names_by_key(people: Path) -> dict[str, str]:
    """Public key, as a line of text -> person. Empty where there is no such file."""
    if not people.is_file():
        return {}
    return {key.text: name for name, person in load_people(people, "").people.items() for key in person.keys}


def read_private_key(path: Path) -> Ed25519PrivateKey:
    """The private key in a file, with the password of the environment. Raises KeyFileError."""
    return load_private(path, password=password_of_environment())


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
