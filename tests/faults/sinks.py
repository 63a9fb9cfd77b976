"""Every sink at once, on loopback: OTLP, Sentry and Google's APIs; and what they have of one trace."""

from __future__ import annotations

import json
import secrets
from typing import Any, Self

from collector import Collector
from google_twin import GoogleTwin
from wire import environment, eventually

SERVER = 2  # SPAN_KIND_SERVER


class Sinks:
    """The three receivers, and the environment that sends an app's telemetry to all of them."""

    def __init__(self) -> None:
        self.collector, self.google = Collector(), GoogleTwin()

    def environment(self, **settings: str) -> dict[str, str]:
        return environment(
            OBSKIT_EXPORTERS="otlp,gcp",
            OTEL_EXPORTER_OTLP_ENDPOINT=self.collector.url,
            OBSKIT_LOCAL_ENDPOINT=self.google.address,
            GOOGLE_CLOUD_PROJECT="p1",
            OBSKIT_SENTRY_DSN=self.collector.url.replace("://", "://key@") + "/1",
            **settings,
        )

    def spans(self, trace_id: str) -> list[Any]:
        """Return what OTLP has of a trace, each with its attributes as plain values."""
        return [span for span in self.collector.spans if span.trace_id.hex() == trace_id]

    def server_spans(self, trace_id: str, *, count: int = 1) -> list[Any]:
        """Return the trace's server spans, once there are `count` of them."""

        def found() -> list[Any]:
            return [span for span in self.spans(trace_id) if span.kind == SERVER]

        eventually(lambda: len(found()) >= count)
        return found()

    def server_span(self, trace_id: str) -> Any:
        """Return the trace's only server span."""
        spans = self.server_spans(trace_id)
        assert len(spans) == 1, [span.name for span in self.spans(trace_id)]
        return spans[0]

    def sentry_events(self, trace_id: str) -> list[dict[str, Any]]:
        """Return the events of a trace that Sentry got."""
        events = []
        for path, body in zip(list(self.collector.paths), list(self.collector.bodies), strict=False):
            if not path.endswith("/envelope/"):
                continue
            events += [json.loads(line) for line in body.splitlines() if b'"exception"' in line]
        return [event for event in events if event["contexts"]["trace"]["trace_id"] == trace_id]

    def google_events(self, message: str) -> list[Any]:
        """Return the events with this text in them that Error Reporting got."""
        return [event for event in self.google.events if message in event.message]

    def __enter__(self) -> Self:
        self.collector.__enter__()
        self.google.__enter__()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.google.__exit__(*exc_info)
        self.collector.__exit__(*exc_info)


def attributes(span: Any) -> dict[str, Any]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in span.attributes}


def new_trace() -> tuple[str, dict[str, str]]:
    """Return a trace id, and the headers of a request that belongs to it."""
    trace_id = secrets.token_hex(16)
    return trace_id, {"traceparent": f"00-{trace_id}-{secrets.token_hex(8)}-01"}
