"""What the code under test recorded, for apps that export to memory."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from obskit.exporters.memory import STORE
from obskit.signals import lifecycle, logs
from obskit.signals.taps import baseline, since

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

    from obskit.signals.reports import ErrorReport

__all__ = ["Captured", "Point", "capture"]

_FLUSH_S: Final = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """What one series of a metric has gained.

    Attributes:
        metric: the metric's name.
        attributes: the series' labels.
        value: a counter's increase, a histogram's sum, a gauge's value.
        count: how many records a histogram has gained; None for another kind.
    """

    metric: str
    attributes: Mapping[str, Any]
    value: float
    count: int | None = None


class Captured:
    """What was recorded since the capture began. Reading it first delivers everything that still waits."""

    def __init__(self) -> None:
        _deliver()
        self._first_span = len(STORE.spans)
        self._first_error = len(STORE.errors)
        self._before = baseline(STORE.metrics)
        self._began_ns = time.time_ns()
        self._lines: list[str] = []

    @property
    def spans(self) -> tuple[ReadableSpan, ...]:
        """Finished spans, in the order in which they ended."""
        _deliver()
        return STORE.spans[self._first_span :]

    @property
    def errors(self) -> tuple[ErrorReport, ...]:
        """Error reports, in order."""
        _deliver()
        return STORE.errors[self._first_error :]

    @property
    def metrics(self) -> tuple[Point, ...]:
        """What each series has gained."""
        _deliver()
        data = STORE.metrics
        if data is None:
            return ()
        return tuple(
            _point(metric.name, point)
            for resource in since(data, self._before, self._began_ns).resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
            for point in metric.data.data_points
        )

    @property
    def logs(self) -> tuple[Mapping[str, Any], ...]:
        """The log lines, requests' included, as Cloud Logging's fields, such as ``message`` and ``severity``."""
        logs.OUTPUT.flush(0)
        return tuple(_entry(line) for line in self._lines)

    def span(self, name: str, **attributes: Any) -> ReadableSpan:
        """Return the one span of that name and with those attributes.

        Raises:
            AssertionError: there is none, or more than one; the message lists what there is.
        """
        found = [
            span
            for span in self.spans
            if span.name == name and attributes.items() <= dict(span.attributes or {}).items()
        ]
        if len(found) != 1:
            names = ", ".join(span.name for span in self.spans) or "none"
            raise AssertionError(f"{len(found)} spans are named {name!r} with {attributes}; there are: {names}")
        return found[0]

    def total(self, metric: str, **labels: Any) -> float:
        """Return what a metric has gained: records of a histogram, increase of a counter, value of a gauge.

        Args:
            metric: the metric's OpenTelemetry name.
            labels: count only series that have these; pass names with dots as ``**{"http.route": "/"}``.
        """
        points = [p for p in self.metrics if p.metric == metric and labels.items() <= dict(p.attributes).items()]
        return sum(point.value if point.count is None else point.count for point in points)

    def error(self, kind: str | type[BaseException]) -> ErrorReport:
        """Return the one error report of that exception type.

        Raises:
            AssertionError: there is none, or more than one.
        """
        name = kind if isinstance(kind, str) else kind.__name__
        found = [report for report in self.errors if report.type.rpartition(".")[2] == name]
        if len(found) != 1:
            kinds = ", ".join(report.type for report in self.errors) or "none"
            raise AssertionError(f"{len(found)} errors are of type {name!r}; there are: {kinds}")
        return found[0]


@contextmanager
def capture() -> Iterator[Captured]:
    """Collect what is recorded inside the block, by an app that exports to memory.

    Captures may nest; each sees what was recorded since it began. The result can be read after the block too.
    """
    seen = Captured()
    output, is_readable = logs.OUTPUT, logs._is_readable  # noqa: SLF001 - the same package
    output.flush(0)  # lines of before may wait to be written together
    write = output._write  # noqa: SLF001

    def tee(data: bytes) -> None:
        seen._lines.extend(f"{one}\n" for one in data.decode().split("\n")[:-1])  # noqa: SLF001 - the same module
        write(data)

    output._write = tee  # type: ignore[method-assign]  # noqa: SLF001
    logs._is_readable = False  # noqa: SLF001 - a test on a terminal sees the same fields as one in CI
    try:
        yield seen
    finally:
        output.flush(0)
        output._write = write  # type: ignore[method-assign]  # noqa: SLF001
        logs._is_readable = is_readable  # noqa: SLF001
        _deliver()


def _entry(line: str) -> Mapping[str, Any]:
    try:
        entry = json.loads(line)
    except ValueError:
        return {"message": line.rstrip("\n")}
    return entry if isinstance(entry, dict) else {"message": line.rstrip("\n")}


def _point(name: str, point: Any) -> Point:
    if hasattr(point, "value"):
        return Point(metric=name, attributes=dict(point.attributes or {}), value=point.value)
    return Point(metric=name, attributes=dict(point.attributes or {}), value=point.sum, count=point.count)


def _deliver() -> None:
    for pipeline in lifecycle.running():
        pipeline.flush(_FLUSH_S)
