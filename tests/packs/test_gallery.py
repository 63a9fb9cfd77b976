"""The gallery shows every pack as it is today."""

from __future__ import annotations

import re
import struct
import sys
from pathlib import Path

import pytest

from obskit.packs import pack_named
from obskit.packs.registry import pack_names

DOCS = Path(__file__).resolve().parents[2] / "docs"
PICTURES = DOCS / "images" / "packs"
PAGE = (DOCS / "gallery.md").read_text()


@pytest.mark.parametrize("name", pack_names())
def test_every_pack_has_a_picture_and_an_entry(name):
    """A picture of a whole dashboard, and beside it each of the pack's alerts."""
    picture = (PICTURES / f"{name}.png").read_bytes()
    width, height = struct.unpack(">II", picture[16:24])
    assert picture.startswith(b"\x89PNG")
    assert width > 900
    assert height > 300
    entry = re.search(rf"^## {name}\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)[1]
    assert f"images/packs/{name}.png" in entry
    for policy in pack_named(name).example_objects().alerts:
        assert f"| {policy.display_name} |" in entry


def test_the_gallery_is_small_and_has_nothing_else():
    """No picture of a pack that is gone; less than 3 MB in all."""
    files = sorted(PICTURES.iterdir())
    assert [file.stem for file in files] == sorted(pack_names())
    assert sum(file.stat().st_size for file in files) < 3_000_000


def test_a_picture_keeps_its_size_and_colours_when_it_is_made_smaller():
    """Up to 256 colours nothing is lost but the last two bits of each channel."""
    sys.path.insert(0, str(DOCS))
    try:
        from pictures import _chunk, _pixels, smaller
    finally:
        sys.path.remove(str(DOCS))
    import zlib

    rows = [bytes([kind, *([kind * 10, 100, 200] * 4)]) for kind in range(5)]
    header = struct.pack(">IIBBBBB", 4, 5, 8, 2, 0, 0, 0)
    chunks = _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(b"".join(rows))) + _chunk(b"IEND", b"")
    png = b"\x89PNG\r\n\x1a\n" + chunks
    width, height, channels, pixels = _pixels(png)
    assert (width, height, channels, len(pixels)) == (4, 5, 3, 5)
    made = smaller(png)
    palette = made[made.index(b"PLTE") + 4 :]
    body = zlib.decompress(made[made.index(b"IDAT") + 4 : made.index(b"IEND") - 8])
    for place, row in enumerate(pixels):
        shown = body[place * 5 + 1 : place * 5 + 5]
        for at, index in enumerate(shown):
            wanted = row[at * 3 : at * 3 + 3]
            assert all(abs(a - b) <= 3 for a, b in zip(palette[index * 3 : index * 3 + 3], wanted, strict=True))
