"""One figure from two sources that know nothing of each other."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

__all__ = ["Check"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One figure from two sources.

    Attributes:
        what: the figure.
        expected: by the source that caused it.
        found: in what was observed.
    """

    what: str
    expected: Any
    found: Any

    @property
    def is_equal(self) -> bool:
        """Whether both say the same; sums of floats may differ in their last digits."""
        if isinstance(self.expected, float):
            return math.isclose(self.expected, self.found, rel_tol=1e-9, abs_tol=1e-12)
        return bool(self.expected == self.found)
