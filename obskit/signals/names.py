"""The names of the signals that are delivered."""

from __future__ import annotations

from typing import Final

__all__ = ["ERRORS", "METRICS", "SIGNALS", "SPANS"]

SPANS: Final = "spans"
METRICS: Final = "metrics"
ERRORS: Final = "errors"
SIGNALS: Final = (SPANS, METRICS, ERRORS)
