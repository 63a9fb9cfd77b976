"""JSON log lines of a process as a person at a terminal likes to read them; everything else as it is."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from obskit.signals import consoles

__all__ = ["ReadableLines", "readable"]

MOST_HELD: Final = 1024 * 1024
"""Bytes of one JSON line that are held back until it ends; a longer one passes as it is."""

_KNOWN: Final = frozenset({"severity", "message", "time", "timestamp", "service", "logger", "traceback", "httpRequest"})


class ReadableLines:
    """Stands before a terminal; takes pieces of output, passes prompts and plain text on at once.

    Args:
        write: takes what the terminal is to show.
    """

    def __init__(self, write: Callable[[bytes], None]) -> None:
        self._write = write
        self._held = b""

    def __call__(self, piece: bytes) -> None:
        """Take the next piece of output; a line that begins like JSON waits for its end."""
        *lines, self._held = (self._held + piece).split(b"\n")
        shown = b"".join(readable(line) + b"\n" for line in lines)
        if not self._held.startswith(b"{") or len(self._held) > MOST_HELD:
            shown, self._held = shown + self._held, b""
        if shown:
            self._write(shown)

    def close(self) -> None:
        """Show what is still held back."""
        if self._held:
            self._write(self._held)
            self._held = b""


def readable(line: bytes) -> bytes:
    """Return a JSON log line in its readable form, and any other line unchanged."""
    if not line.startswith(b'{"'):
        return line
    try:
        record = json.loads(line)
        text = _shown(record) if "severity" in record and "message" in record else ""
    except (ValueError, TypeError, OverflowError):
        return line
    return text.encode("utf-8", "replace") or line


def _shown(record: dict[str, Any]) -> str:
    moment = record.get("time") or record.get("timestamp")
    time_ns = int(datetime.fromisoformat(moment).timestamp() * 1e9) if isinstance(moment, str) else 0
    fields = {
        name: value
        for name, value in record.items()
        if name not in _KNOWN and not name.startswith("logging.googleapis.com/") and value != {"input": 0, "output": 0}
    }
    return consoles.line(
        str(record["severity"]),
        str(record["message"]),
        fields,
        logger=str(record.get("logger", "")),
        time_ns=time_ns,
        stack=str(record.get("traceback", "")),
    )
