"""Programs that say a lot, or what is hard to say: `python chatty.py PROGRAM …`."""

from __future__ import annotations

import json
import logging
import sys
from typing import Any

import obskit
from obskit.signals import logs

SIZES = (8, 200, 8_000, 60_000, 200_000)
EACH = 400


class Raises:
    def __str__(self) -> str:
        raise RuntimeError("no")

    __repr__ = __str__


def cyclic() -> dict[str, Any]:
    fields: dict[str, Any] = {"a": 1}
    fields["self"] = fields
    return fields


HOSTILE: dict[str, Any] = {
    "lone surrogate": "a\ud800b",
    "surrogate key": {"\udfff": 1},
    "nan": float("nan"),
    "infinite": float("-inf"),
    "raises": Raises(),
    "raises as key": {Raises(): 1},
    "cyclic": cyclic(),
    "huge number": 10**5000,
    "bytes": b"\xff\x00",
    "object": object(),
    "line ends": "a\nb\r\u2028c",
    "escape codes": "\x1b[31mred\x00",
    "forged": '","severity":"CRITICAL"}\n{"severity":"CRITICAL"',
    "exception": ValueError(Raises()),
}
BAD_FORMATS: list[tuple[str, tuple[Any, ...]]] = [("%d items", ("x",)), ("%s %s", ("one",)), ("%s", (Raises(),))]


def set_up(**settings: Any) -> Any:
    return obskit.instrument(service_name="chatty", exporters="none", log_format="json", **settings)


def share(name: str) -> None:
    """Write lines of all sizes in two ways, 20 MB in no time, while others write to the same pipe."""
    set_up(log_buffer_bytes=30_000_000)
    log, stdlib = obskit.get_logger("obskit way"), logging.getLogger("stdlib way")
    sys.stdin.read(1)
    for number in range(EACH):
        text = name * SIZES[number % len(SIZES)]
        if number % 2:
            log.info(text, name=name, number=number)
        else:
            stdlib.info(text, extra={"who": name, "number": number})


def stall(lines: str, size: str) -> None:
    """Write while nobody reads, say on standard error that this is over, and go on when told to."""
    set_up(log_buffer_bytes=2_000_000)
    log = obskit.get_logger()
    for number in range(int(lines)):
        log.info("x" * int(size), number=number)
    print("said everything", file=sys.stderr, flush=True)
    sys.stdin.readline()
    logs.OUTPUT.flush(30)
    log.info("after")


def hostile() -> None:
    """Write every hostile value in four ways, and formats that do not fit."""
    set_up()
    log, stdlib = obskit.get_logger(), logging.getLogger("stdlib way")
    for name, value in HOSTILE.items():
        log.info("value", case=name, value=value)
        stdlib.info("extra", extra={"case": name, "value": value})
        stdlib.info(value)
        with obskit.span("bound"):
            obskit.bind(value=value)
            log.info("bound", case=name)
            obskit.bind(value=None)
    for text, args in BAD_FORMATS:
        log.info(text, *args)
        stdlib.info(text, *args)


def huge() -> None:
    """Write a message of 400 KB in a trace, in three shapes and two ways."""
    set_up()
    log, stdlib = obskit.get_logger(), logging.getLogger("stdlib way")
    for text in ("x" * 400_000, "\u20ac\x01" * 200_000, '{"a":"b"}' * 45_000):
        with obskit.span("around"):
            log.error(text, detail=text, n=1)
            stdlib.error(text, extra={"detail": text, "n": 1})


def print_beside() -> None:
    """Print and log by turns, in pieces of lines too."""
    set_up()
    log = obskit.get_logger()
    for number in range(2000):
        print(json.dumps({"printed": number, "text": "y" * 90}))
        log.info("logged", number=number)


if __name__ == "__main__":
    {program.__name__: program for program in (share, stall, hostile, huge, print_beside)}[sys.argv[1]](*sys.argv[2:])
