"""Readers of what forwarders write, by the formats' own descriptions."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

BLOCK = 32768
FILE_HEADER = 7
RECORD_HEADER = 7
LAST_PARTS = {1, 4}  # whole, and the last part of several


def tf_records(path: Path) -> Iterator[bytes]:
    """TFRecord: length (8 bytes), its checksum (4), data, checksum (4)."""
    content, at = path.read_bytes(), 0
    while at < len(content):
        (length,) = struct.unpack_from("<Q", content, at)
        yield content[at + 12 : at + 12 + length]
        at += 16 + length


def leveldb_records(path: Path) -> Iterator[bytes]:
    """LevelDB's log: blocks of 32 KiB; each part has a checksum (4), length (2) and kind (1)."""
    content, at, parts = path.read_bytes(), FILE_HEADER, b""
    while at + RECORD_HEADER <= len(content):
        if BLOCK - at % BLOCK < RECORD_HEADER:
            at += BLOCK - at % BLOCK
            continue
        _, length, kind = struct.unpack_from("<IHB", content, at)
        parts += content[at + RECORD_HEADER : at + RECORD_HEADER + length]
        at += RECORD_HEADER + length
        if kind in LAST_PARTS:
            yield parts
            parts = b""
