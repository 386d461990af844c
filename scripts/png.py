"""Owns what is asked of a PNG as browsers write it: fewer colours, and a line of text; never what it shows.

Source: PNG, third edition, https://www.w3.org/TR/png-3/.
"""

from __future__ import annotations

import struct
import zlib
from collections import Counter
from collections.abc import Iterator
from functools import partial

MOST_COLOURS = 256  # of a palette; text in two or three colours has many shades, of which few are seen
CHANNELS = 3

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_RGB = (8, 2, 0, 0, 0)  # bits, colour type, compression, filter method, no interlacing
_PALETTE = (8, 3, 0, 0, 0)

Colour = tuple[int, int, int]


def with_palette(png: bytes) -> bytes:
    """Return an RGB picture with at most 256 colours, the rarest as the nearest; raises ValueError for any other."""
    chunks = list(_chunks(png))
    width, height, *kind = struct.unpack(">IIBBBBB", chunks[0][1])
    if tuple(kind) != _RGB:
        raise ValueError("no PNG of 8-bit RGB")
    packed = b"".join(body for name, body in chunks if name == b"IDAT")
    rows = [list(zip(*(row[at::CHANNELS] for at in range(CHANNELS)), strict=True)) for row in _rows(packed, width)]
    colours = Counter(colour for row in rows for colour in row)
    palette = [colour for colour, _ in colours.most_common(MOST_COLOURS)]
    index = {colour: at for at, colour in enumerate(palette)}
    for colour in colours.keys() - index.keys():
        index[colour] = index[min(palette, key=partial(_distance, colour))]
    lines = b"".join(b"\0" + bytes(index[colour] for colour in row) for row in rows)
    return _SIGNATURE + b"".join(
        (
            _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, *_PALETTE)),
            _chunk(b"PLTE", bytes(value for colour in palette for value in colour)),
            _chunk(b"IDAT", zlib.compress(lines, level=9)),
            _chunk(b"IEND", b""),
        )
    )


def with_text(png: bytes, keyword: str, text: str) -> bytes:
    """Return the picture with a text of ASCII under a keyword."""
    (header, *others) = _chunks(png)
    said = (b"tEXt", f"{keyword}\0{text}".encode("ascii"))
    return _SIGNATURE + b"".join(_chunk(*each) for each in (header, said, *others))


def text_of(png: bytes, keyword: str) -> str:
    """Return the text under a keyword, '' where there is none."""
    start = f"{keyword}\0".encode("ascii")
    found = (body for name, body in _chunks(png) if name == b"tEXt" and body.startswith(start))
    return next(found, start)[len(start) :].decode("ascii")


def _chunks(png: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = len(_SIGNATURE)
    while at < len(png):
        length, name = struct.unpack_from(">I4s", png, at)
        yield name, png[at + 8 : at + 8 + length]
        at += length + 12


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I4s", len(body), name) + body + struct.pack(">I", zlib.crc32(name + body))


def _rows(packed: bytes, width: int) -> Iterator[bytes]:
    """Yield the rows of pixels without their filters. Source: section 9.2."""
    data, size = zlib.decompress(packed), width * CHANNELS
    above = bytes(size)
    for start in range(0, len(data), size + 1):
        row = bytearray(data[start + 1 : start + 1 + size])
        match data[start]:
            case 1:
                for at in range(CHANNELS, size):
                    row[at] = row[at] + row[at - CHANNELS] & 255
            case 2:
                row = bytearray(a + b & 255 for a, b in zip(row, above, strict=True))
            case 3:
                for at in range(size):
                    left = row[at - CHANNELS] if at >= CHANNELS else 0
                    row[at] = row[at] + (left + above[at]) // 2 & 255
            case 4:
                for at in range(size):
                    left, corner = (row[at - CHANNELS], above[at - CHANNELS]) if at >= CHANNELS else (0, 0)
                    row[at] = row[at] + _nearest(left, above[at], corner) & 255
        above = bytes(row)
        yield above


def _nearest(left: int, above: int, corner: int) -> int:
    return min((left, above, corner), key=lambda each: abs(left + above - corner - each))


def _distance(one: Colour, other: Colour) -> int:
    return sum((a - b) ** 2 for a, b in zip(one, other, strict=True))
