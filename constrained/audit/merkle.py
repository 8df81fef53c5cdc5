"""Merkle trees over the lines of a segment, as in RFC 6962 (section 2.1): root, and the path that proves one line. Knows no record."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence


def leaf_hash(line: bytes) -> bytes:
    """Of an entry's line, without its line feed."""
    return hashlib.sha256(b"\x00" + line.removesuffix(b"\n")).digest()


def root(leaves: Sequence[bytes]) -> bytes:
    """The root of leaf hashes, at least one."""
    if len(leaves) == 1:
        return leaves[0]
    half = _half(len(leaves))
    return _node(root(leaves[:half]), root(leaves[half:]))


def path(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """The hashes beside the way from leaf ``index`` up to the root, nearest first: log2(n) of 32 bytes."""
    if len(leaves) == 1:
        return []
    half = _half(len(leaves))
    if index < half:
        return [*path(leaves[:half], index), root(leaves[half:])]
    return [*path(leaves[half:], index - half), root(leaves[:half])]


def _half(n_leaves: int) -> int:
    """The largest power of two below ``n_leaves``."""
    return 1 << (n_leaves - 1).bit_length() - 1


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()
