"""What an instrumented service has said: spans, points, lines, reports, all in memory."""

from __future__ import annotations

import json
from typing import Any

import pytest
from opentelemetry.trace import SpanKind

from obskit import Handle
from obskit.exporters.memory import STORE


class Observations:
    def __init__(self, handle: Handle, capture: pytest.CaptureFixture[str]) -> None:
        self.handle = handle
        self._capture = capture
        self._text = ""

    def spans(self) -> list[Any]:
        assert self.handle.flush(5)
        return list(STORE.spans)

    def server_spans(self) -> list[Any]:
        return [span for span in self.spans() if span.kind is SpanKind.SERVER]

    def errors(self) -> list[Any]:
        assert self.handle.flush(5)
        return list(STORE.errors)

    def points(self, name: str = "http.server.request.duration") -> list[Any]:
        assert self.handle.flush(5)
        if STORE.metrics is None:
            return []
        return [
            point
            for resource in STORE.metrics.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.name == name
            for point in metric.data.data_points
        ]

    def text(self) -> str:
        self._text += self._capture.readouterr().out
        return self._text

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text().splitlines()]

    def access_lines(self) -> list[dict[str, Any]]:
        return [line for line in self.lines() if "httpRequest" in line]
