"""Where a test was written, and which tests a value is or holds."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from obskit.testing.alerts import AlertTest

__all__ = ["caller", "items"]


def caller() -> str:
    """Return ``path:line`` of the nearest frame that is not this package's."""
    frame = sys._getframe(1)  # noqa: SLF001 - the documented way to a caller's line
    while frame.f_back is not None:
        module = str(frame.f_globals.get("__name__", ""))
        if (
            not module.startswith("obskit.testing")
            and frame.f_code.co_filename != "<string>"
            and module != "dataclasses"
        ):
            break
        frame = frame.f_back
    path = Path(frame.f_code.co_filename)
    shown = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
    return f"{shown}:{frame.f_lineno}"


def items(value: object) -> Iterator[tuple[str, AlertTest]]:
    """Yield the tests that a value is or holds, each with what follows the value's name in the test's name."""
    from obskit.testing.alerts import AlertTest  # noqa: PLC0415 - which needs this module for its places

    if isinstance(value, AlertTest):
        yield "", value
    elif isinstance(value, list | tuple):
        yield from ((f"[{index}]", each) for index, each in enumerate(value) if isinstance(each, AlertTest))
    elif isinstance(value, Mapping):
        yield from ((f"[{key}]", each) for key, each in value.items() if isinstance(each, AlertTest))
