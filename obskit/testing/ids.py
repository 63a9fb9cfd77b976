"""Ids that count up."""

from __future__ import annotations

import itertools

from opentelemetry.sdk.trace.id_generator import IdGenerator

__all__ = ["SequentialIds"]


class SequentialIds(IdGenerator):
    """Trace and span ids 1, 2, 3, … for expectations that can be written down.

    Give it to a tracer provider: ``TracerProvider(id_generator=SequentialIds())``.
    """

    def __init__(self) -> None:
        self._traces = itertools.count(1)
        self._spans = itertools.count(1)

    def generate_span_id(self) -> int:
        """Return the next span id."""
        return next(self._spans)

    def generate_trace_id(self) -> int:
        """Return the next trace id."""
        return next(self._traces)
