"""Make a picture of a screen small: at most 256 colours, which a chart on a plain ground hardly shows."""

from __future__ import annotations

import struct
import zlib
from collections import Counter

_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def smaller(png: bytes) -> bytes:
    """Return a PNG of 8 bits a channel without interlacing as one with a palette."""
    width, height, channels, rows = _pixels(png)
    counts: Counter[bytes] = Counter()
    pixels = []
    for row in rows:
        # The last two bits of a colour are given up first: they tell most shades of smoothed edges apart.
        kept = bytes(value & 0xFC for value in row)
        line = [kept[at : at + 3] for at in range(0, width * channels, channels)]
        counts.update(line)
        pixels.append(line)
    palette = [color for color, _ in counts.most_common(256)]
    place = {color: index for index, color in enumerate(palette)}
    for color in counts:
        if color not in place:
            place[color] = min(range(len(palette)), key=lambda index: _distance(palette[index], color))
    body = b"".join(b"\0" + bytes([place[color] for color in line]) for line in pixels)
    shown = b"".join(bytes(channel | channel >> 6 for channel in color) for color in palette)
    header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"PLTE", shown), (b"IDAT", zlib.compress(body, 9)), (b"IEND", b""))
    return _SIGNATURE + b"".join(_chunk(kind, data) for kind, data in chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _distance(one: bytes, other: bytes) -> int:
    return sum((a - b) ** 2 for a, b in zip(one, other, strict=True))


def _pixels(png: bytes) -> tuple[int, int, int, list[bytearray]]:
    """Return width, height, bytes a pixel, and the rows without their filters."""
    at, data, header = len(_SIGNATURE), b"", b""
    while at < len(png):
        length, kind = struct.unpack(">I4s", png[at : at + 8])
        body = png[at + 8 : at + 8 + length]
        header, data = (body if kind == b"IHDR" else header), (data + body if kind == b"IDAT" else data)
        at += length + 12
    width, height, depth, color, _, _, interlaced = struct.unpack(">IIBBBBB", header)
    if depth != 8 or color not in (2, 6) or interlaced:
        raise ValueError("only pictures of 8 bits a channel without interlacing are understood")
    channels = 4 if color == 6 else 3
    raw, stride = zlib.decompress(data), width * channels
    rows: list[bytearray] = []
    above = bytearray(stride)
    for start in range(0, height * (stride + 1), stride + 1):
        row = _unfiltered(raw[start], bytearray(raw[start + 1 : start + 1 + stride]), above, channels)
        rows.append(row)
        above = row
    return width, height, channels, rows


def _unfiltered(kind: int, row: bytearray, above: bytearray, channels: int) -> bytearray:
    """Source: "Filter Algorithms" of the PNG specification."""
    for at in range(len(row) if kind else 0):
        left = row[at - channels] if at >= channels else 0
        up, corner = above[at], above[at - channels] if at >= channels else 0
        if kind == 1:
            add = left
        elif kind == 2:
            add = up
        elif kind == 3:
            add = (left + up) // 2
        else:
            guess = left + up - corner
            near = (abs(guess - left), abs(guess - up), abs(guess - corner))
            add = left if near[0] <= near[1] and near[0] <= near[2] else up if near[1] <= near[2] else corner
        row[at] = (row[at] + add) & 0xFF
    return row
