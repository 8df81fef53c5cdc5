"""The end of an SQLite write-ahead log: did a crash leave something unfinished? Knows no record.

The format is that of the SQLite documentation, "The WAL file format": a header of 32 bytes, then frames of 24 bytes and a
page. A frame is valid when its salts are the header's and its checksum, which runs on from frame to frame, is right.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path

_HEADER, _FRAME = 32, 24
N_FRAMES = 1_100  # SQLite starts from the front after 1,000 and the rest of a transaction
_MAGIC = {0x377F0682: "<", 0x377F0683: ">"}  # of checksums over little and over big endian words


def unfinished(path: Path) -> int:
    """Bytes of the present round after its last finished transaction; 0 where there is no such file."""
    content = path.read_bytes() if path.exists() else b""
    if not content:
        return 0
    if len(content) < _HEADER or struct.unpack_from(">I", content)[0] not in _MAGIC:
        return len(content)
    order, page = _MAGIC[struct.unpack_from(">I", content)[0]], struct.unpack_from(">I", content, 8)[0]
    content = _written(content, _FRAME + page)
    finished, present, sums = _HEADER, _HEADER, _checksum(order, content[:24], (0, 0))
    if sums != struct.unpack_from(">2I", content, 24):
        return len(content)
    while _is_of_this_round(content, present):
        frame = content[present : present + _FRAME + page]
        sums = _checksum(order, frame[:8] + frame[_FRAME:], sums) if len(frame) == _FRAME + page else (-1, -1)
        if sums != struct.unpack_from(">2I", frame.ljust(_FRAME, b"\0"), 16) or frame[8:16] != content[16:24]:
            break
        present += len(frame)
        if struct.unpack_from(">I", frame, 4)[0]:  # the size of the database: only a transaction's last frame has one
            finished = present
    while _is_of_this_round(content, present):
        present += _FRAME + page
    return min(present, len(content)) - finished


def grow(path: Path) -> None:
    """Writes zeros behind the end, up to the size that the file comes to anyway: a flush then changes no metadata of the disk.

    Call it while nobody else may write to the database. SQLite ends at the zeros as at any frame that is not valid.
    """
    handle = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        size, header = os.fstat(handle).st_size, os.pread(handle, _HEADER, 0)
        if len(header) < _HEADER:
            return  # SQLite has written nothing yet
        rest = _HEADER + N_FRAMES * (_FRAME + int(struct.unpack_from(">I", header, 8)[0])) - size
        if rest > 0:
            os.pwrite(handle, bytes(rest), size)
            os.fsync(handle)
    finally:
        os.close(handle)


def _written(content: bytes, frame: int) -> bytes:
    """Without the whole frames of zeros at the end: nothing was ever written there. An end within a frame was torn, and stays."""
    if (len(content) - _HEADER) % frame:
        return content
    n_bytes = len(content.rstrip(b"\0"))
    n_frames = -(-(max(n_bytes, _HEADER) - _HEADER) // frame)
    return content[: _HEADER + n_frames * frame]


def _is_of_this_round(content: bytes, start: int) -> bool:
    """Whether the frame there was written since SQLite last started from the front.

    With each start it adds one to the first salt and to the count in the header, and leaves the frames of earlier rounds.
    """
    if start >= len(content):
        return False
    n_rounds, salt = struct.unpack_from(">2I", content, 12)
    behind = (salt - struct.unpack_from(">I", content[start : start + 12].ljust(12, b"\0"), 8)[0]) & 0xFFFFFFFF
    return not 1 <= behind <= n_rounds


def _checksum(order: str, data: bytes, sums: tuple[int, int]) -> tuple[int, int]:
    first, second = sums
    words = struct.unpack(f"{order}{len(data) // 4}I", data)
    for index in range(0, len(words), 2):
        first = (first + words[index] + second) & 0xFFFFFFFF
        second = (second + words[index + 1] + first) & 0xFFFFFFFF
    return first, second
