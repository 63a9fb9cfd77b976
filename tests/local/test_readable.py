"""Output of a process at a terminal."""

from __future__ import annotations

import json

from obskit.local.readable import ReadableLines, readable


def shown(*pieces):
    seen = []
    lines = ReadableLines(seen.append)
    for piece in pieces:
        lines(piece)
    lines.close()
    return seen


def test_a_json_log_line_is_readable_however_it_is_cut():
    """Severity, message, fields and stack are shown; the platform's own fields are not."""
    record = {
        "severity": "ERROR",
        "message": "GET /crash 500",
        "time": "2026-11-21T07:02:28.279329Z",
        "endpoint": "/crash",
        "logging.googleapis.com/spanId": "7bb1f2a38edc72d6",
        "traceback": "Traceback:\n  here\n",
    }
    line = json.dumps(record).encode() + b"\n"
    whole = b"".join(shown(line)).decode()
    assert "ERROR" in whole
    assert "GET /crash 500" in whole
    assert "/crash" in whole
    assert "7bb1f2a38edc72d6" not in whole
    assert whole.endswith("Traceback:\n  here\n")
    assert b"".join(shown(line[:7], line[7:60], line[60:])).decode() == whole


def test_anything_else_passes_at_once_and_unchanged():
    """Prompts without an end of line, plain lines, other JSON and broken JSON are what they were."""
    pieces = (
        b"(Pdb) ",
        b"plain\n",
        b'{"a": 1}\n',
        b'{"severity": 1\n',
        b'{"severity":"INFO","message":"m","time":"x"}\n',
    )
    assert shown(*pieces) == list(pieces)
    assert shown(b'{"severity": ') == [b'{"severity": ']
    assert readable(b"") == b""
