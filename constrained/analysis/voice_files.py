"""Voice keys of a catalog against a folder of recordings: which are missing, and which nobody plays."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path

from constrained.catalog.response import Catalog, Response
from constrained.errors import PackError, Problem

EXTENSIONS = ("ogg", "wav", "mp3", "opus", "flac")


def voice_report(catalog: Catalog, folder: Path, extensions: Iterable[str] = EXTENSIONS) -> tuple[list[Problem], list[Problem]]:
    """Problems: a voice without a file, at the line of its response. Remarks: files that no response plays.

    A file is named as the key, with one of the extensions behind it; a key with slashes names one in a folder of the folder.

    Raises PackError where there is no such folder.
    """
    if not folder.is_dir():
        raise PackError(f"{folder} is no folder of recordings", name=str(folder), hint="--voices DIR")
    files = dict(_files(folder, tuple(f".{one.strip().lstrip('.').lower()}" for one in extensions)))
    wanted = {unicodedata.normalize("NFC", key): (response, number) for key, response, number in _voices(catalog)}
    missing = [_missing(key, *wanted[key], folder) for key in wanted if key not in files]
    hint = "name it as a voice, or take it out"
    unused = [Problem(str(path), 0, 0, "no response plays this file", hint) for key, path in files.items() if key not in wanted]
    return missing, sorted(unused)


def _voices(catalog: Catalog) -> Iterator[tuple[str, Response, int]]:
    """Every voice key, with its response and the number of the variant, from 0."""
    for response in catalog.responses.values():
        n_variants = max(len(text.each) for text in response.texts.values())
        for number in range(n_variants):
            key = response.voice_of(number)
            if key:
                yield key, response, number


def _files(folder: Path, endings: tuple[str, ...]) -> Iterator[tuple[str, Path]]:
    for path in sorted(folder.rglob("*")):
        ending = next((one for one in endings if path.name.lower().endswith(one)), "")
        if ending and path.is_file():
            name = path.relative_to(folder).as_posix()[: -len(ending)]
            yield unicodedata.normalize("NFC", name), path


def _missing(key: str, response: Response, number: int, folder: Path) -> Problem:
    whose = f"variant {number + 1} of {response.id!r}" if number else repr(response.id)
    return response.source.problem(
        f"the voice {key!r} of {whose} has no file in {folder}", f"record it as {key}.ogg, or take the voice out"
    )
