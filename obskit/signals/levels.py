"""Severities, and the places in the code that log at them."""

from __future__ import annotations

import logging
from types import CodeType, FrameType
from typing import Final, Protocol

from obskit.signals.entries import LARGEST_QUICK_BYTES, Entries
from obskit.signals.limits import Limits

__all__ = ["LEVELS", "Level", "Site", "severity_of"]

LEVELS: Final = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "critical": logging.CRITICAL,
}
_SEVERITIES: Final = {10: "DEBUG", 20: "INFO", 30: "WARNING", 40: "ERROR", 50: "CRITICAL"}
_MOST_SITES: Final = 5000


def severity_of(level: int) -> str:
    """Return Cloud Logging's severity for a level of the standard library, in between ones included."""
    return _SEVERITIES.get(level) or _SEVERITIES[min(50, max(10, level // 10 * 10))]


class Site:
    """A place in the code that logs, with what is the same in all of its lines.

    Attributes:
        at: where in the code.
        code: kept alive, so that no other can take its address.
        logger: the name of the logger that is called; None where its lines must be counted or measured.
        event: what is said there, if it is always the same.
        head: of the line up to its time, where `event` is said.
        start: of the line up to its message.
        tail: what follows the time.
    """

    __slots__ = ("at", "code", "event", "head", "logger", "start", "tail")

    def __init__(self, code: CodeType, at: int, severity: str, logger: str | None, event: object) -> None:
        self.code = code
        self.at = at
        self.logger = logger
        self.event = event if type(event) is str and event in code.co_consts else None
        self.start = f'{{"severity":"{severity}","message":'
        self.head = self.tail = ""

    def write_down(self, entries: Entries, logger: str, line: int) -> None:
        """Make the parts of the line."""
        if self.event is not None:
            self.head = f'{self.start}{entries.message(self.event)},"time":"'
        self.tail = entries.tail(logger, (self.code.co_filename, line, self.code.co_qualname))


class Named(Protocol):
    """A logger."""

    name: str


class Level:
    """A level, with the places in the code that log at it.

    Attributes:
        severity: as Cloud Logging spells it.
        by_event: the place that says a text, where it is always the same; of several the last one that was new.
    """

    __slots__ = ("_sites", "by_event", "severity")

    def __init__(self, number: int) -> None:
        self.severity = _SEVERITIES[number]
        self.by_event: dict[object, Site] = {}
        self._sites: dict[int, Site] = {}  # by the address of the instruction that logs

    def forget(self) -> None:
        """Forget all places, as other settings hold from here on."""
        self.by_event.clear()
        self._sites.clear()

    def site(self, caller: Named, event: object, frame: FrameType, entries: Entries, limits: Limits) -> Site:
        """Return what is known of a place, also of a new one."""
        code, logger, at = frame.f_code, caller.name, frame.f_lasti
        known = self._sites.get(id(code) + at)
        if known is not None:
            return known
        is_free = not limits.is_limited(logger) and limits.max_bytes(logger) >= LARGEST_QUICK_BYTES
        site = Site(code, at, self.severity, logger if is_free else None, event)
        site.write_down(entries, logger, frame.f_lineno)
        if len(self._sites) < _MOST_SITES:
            self._sites[id(code) + at] = site
            if site.event is not None:
                self.by_event[site.event] = site
        return site
