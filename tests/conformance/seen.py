"""What an app's own OpenTelemetry, or obskit's, has recorded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from opentelemetry.trace import SpanKind

from obskit import Handle


class Seen:
    """The finished spans and the points of the metrics.

    Args:
        handle: of the instrumented process.
        spans: returns the finished spans.
        metrics: returns the last snapshot.
    """

    def __init__(self, handle: Handle, spans: Callable[[], Any], metrics: Callable[[], Any]) -> None:
        self.handle = handle
        self._spans = spans
        self._metrics = metrics

    def spans(self) -> dict[str, Any]:
        """Return the spans by name; no test makes two of one name."""
        return {span.name: span for span in self.all_spans()}

    def all_spans(self) -> list[Any]:
        assert self.handle.flush(5)
        return list(self._spans())

    def server(self) -> Any:
        """Return the one server span."""
        found = [span for span in self.all_spans() if span.kind is SpanKind.SERVER]
        assert len(found) == 1, [span.name for span in found]
        return found[0]

    def metrics(self) -> dict[str, Any]:
        assert self.handle.flush(5)
        data = self._metrics()
        resources = data.resource_metrics if data is not None else ()
        return {m.name: m for resource in resources for scope in resource.scope_metrics for m in scope.metrics}

    def points(self, name: str = "http.server.request.duration") -> list[Any]:
        metric = self.metrics().get(name)
        return list(metric.data.data_points) if metric is not None else []
