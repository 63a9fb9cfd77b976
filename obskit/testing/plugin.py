"""Alert tests as tests of pytest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from obskit.testing.alerts import AlertTest
from obskit.testing.collecting import items

__all__ = ["AlertItem", "collected"]


class AlertItem(pytest.Item):
    """An `AlertTest` at the top level of a test module."""

    def __init__(self, *, test: AlertTest, **options: Any) -> None:
        super().__init__(**options)
        self._test = test

    def runtest(self) -> None:
        """Run it."""
        self._test.check()

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> str:
        """Return the reasons and the timeline, without this module's frames."""
        del style
        return str(excinfo.value)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Return where the test stands."""
        line = self._test.source.rpartition(":")[2]
        return self.path, int(line) - 1 if line.isdigit() else None, self._test.name


def collected(collector: Any, name: str, obj: object) -> list[AlertItem] | None:
    """Return the items of a module's name: one for each alert test that it is or holds, None where it holds none."""
    found = [] if name.startswith("_") else list(items(obj))
    return [AlertItem.from_parent(collector, name=f"{name}{key}", test=test) for key, test in found] or None
