"""Lines for people: a time, a coloured level, the message, the fields, and the stack below."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Final

from obskit.signals.lines import json_text

__all__ = ["line", "printable"]

_COLOURS: Final = {"DEBUG": "36", "INFO": "32", "WARNING": "33", "ERROR": "31", "CRITICAL": "1;31"}
_DIM: Final = "\x1b[2m"
_BOLD: Final = "\x1b[1m"
_OFF: Final = "\x1b[0m"
_MOST_CHARS: Final = 4000


def printable(text: str, *, keep_lines: bool = False) -> str:
    """Return the text with control characters made visible, so that it cannot move the cursor or change colours."""
    if text.isprintable():
        return text
    shown = "".join(char if char.isprintable() or (keep_lines and char in "\n\t") else _visible(char) for char in text)
    return shown.encode("utf-8", "replace").decode()


def _visible(char: str) -> str:
    return char.encode("unicode_escape").decode()


def line(
    severity: str, message: str, fields: Mapping[str, Any], *, logger: str = "", time_ns: int = 0, stack: str = ""
) -> str:
    """Return one record as a person would like to read it, without the last line's end.

    Args:
        severity: as Cloud Logging spells it.
        message: the text, without secrets.
        fields: JSON-safe values.
        logger: the logger's name, may be empty.
        time_ns: nanoseconds since the epoch.
        stack: of an exception, may be empty.
    """
    seconds, nanos = divmod(time_ns, 1_000_000_000)
    when = f"{time.strftime('%H:%M:%S', time.localtime(seconds))}.{nanos // 1_000_000:03d}"
    colour = _COLOURS.get(severity, "0")
    parts = [f"{_DIM}{when}{_OFF} \x1b[{colour}m{severity:<8}{_OFF} {_BOLD}{printable(message[:_MOST_CHARS])}{_OFF}"]
    for key, value in fields.items():
        if value is not None:
            shown = printable(value if isinstance(value, str) else json_text(value))
            parts.append(f"{_DIM}{printable(str(key))}={_OFF}{shown[:_MOST_CHARS]}")
    if logger:
        parts.append(f"{_DIM}[{printable(logger)}]{_OFF}")
    text = "  ".join(parts)
    return f"{text}\n{printable(stack.rstrip(), keep_lines=True)}" if stack else text
