"""Spans of requests straight to Cloud Trace's messages: what is alike in all requests of one kind is made once.

Google's exporter makes a span's message field by field, which takes twenty times as long, more than serving did.
It makes the parts here too, and all spans that are not a request's, or have more than is usual.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from google.cloud.trace_v2 import BatchWriteSpansRequest
from opentelemetry.exporter.cloud_trace import CloudTraceSpanExporter
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.trace import SpanContext, TraceFlags

from obskit.exporters.google_calls import quietly
from obskit.signals.ended import KIND, OF_KIND, OWN, RECORDS, EndedSpans, Record, scope
from obskit.signals.pace import SpanBatch

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource

__all__ = ["TraceRequests"]

_MOST_KNOWN: Final = 2000
_RESOURCE: Final = r"service\.(name|version|instance\.id)$|deployment\.environment(\.name)?$|faas\."
_OF_EACH: Final = ("name", "span_id", "parent_span_id", "start_time", "end_time")


class _Catcher:
    """What `CloudTraceSpanExporter` needs of a client: keeps the request that it would send."""

    def __init__(self) -> None:
        self.request: Any = None

    def batch_write_spans(self, request: Any) -> None:
        self.request = BatchWriteSpansRequest.pb(request)


class TraceRequests:
    """Makes the requests that write spans to Cloud Trace.

    Args:
        project: id of the project to write to.
    """

    def __init__(self, project: str) -> None:
        self._project = project
        self._catcher = _Catcher()
        self._exporter: Any = quietly(
            CloudTraceSpanExporter, project_id=project, client=self._catcher, resource_regex=_RESOURCE
        )
        self._known: dict[Record, Any] = {}
        self._owner: Resource | None = None

    def of(self, spans: Sequence[ReadableSpan]) -> BatchWriteSpansRequest:
        """Return the request that writes these spans.

        Raises:
            ValueError: one of them cannot be encoded.
        """
        own = BatchWriteSpansRequest.pb(BatchWriteSpansRequest())
        own.MergeFrom(self._made(self._others(spans, own)))
        request: BatchWriteSpansRequest = BatchWriteSpansRequest.wrap(own)
        return request

    def _others(self, spans: Sequence[ReadableSpan], own: Any) -> Iterator[ReadableSpan]:
        """Add to `own` what can be made of records, and yield what Google's exporter has to make."""
        ended = spans.ended if isinstance(spans, SpanBatch) else None
        resource = ended.resource() if ended is not None else None
        if resource is not self._owner:
            self._known.clear()
            self._owner = resource
        items: Iterable[Any] = spans.items() if isinstance(spans, SpanBatch) else spans
        for item in items:
            if type(item) not in RECORDS or ended is None or resource is None:
                yield _exact(item)
            elif item[-1] is not None:  # attributes of the user's
                yield _exact(ended.built(item, resource))
            else:
                self._add(own.spans, item, ended)

    def _made(self, spans: Iterator[ReadableSpan]) -> Any:
        """Return the request that Google's exporter makes; it takes one span after the other."""
        # It still uses an SDK class that warns of its age at every span. Where the app has turned warnings into errors
        # that would lose the spans. Set at every export, because test runners restore the filters.
        warnings.filterwarnings("ignore", category=DeprecationWarning, module=r"opentelemetry\.exporter\.cloud_trace")
        if self._exporter.export(spans) is not SpanExportResult.SUCCESS:
            raise ValueError("what was recorded cannot be encoded")
        return self._catcher.request

    def _add(self, spans: Any, record: Record, ended: EndedSpans) -> None:
        trace_id, span_id, _, parent_id, _, _, start_ns, elapsed_s = record[:8]
        key = record[OF_KIND]
        alike = self._known.get(key)
        if alike is None:
            alike = self._learn(key, ended)
        span = spans.add()
        span.MergeFromString(alike)
        span.name = f"projects/{self._project}/traces/{trace_id}/spans/{span_id}"
        span.span_id = span_id
        if parent_id:
            span.parent_span_id = parent_id
        start, end = span.start_time, span.end_time
        start.seconds, start.nanos = divmod(start_ns, 1_000_000_000)
        end.seconds, end.nanos = divmod(start_ns + int(elapsed_s * 1e9), 1_000_000_000)
        texts: dict[str, str] = {}
        ended.add_own(texts, *record[OWN])
        attributes = span.attributes.attribute_map
        for name, text in texts.items():
            attributes[name].string_value.value = text

    def _learn(self, key: Record, ended: EndedSpans) -> bytes:
        """Make what is the same for all requests of that kind."""
        name, attributes, status = ended.common(key)
        whole = ReadableSpan(
            name,
            SpanContext(1, 1, is_remote=True, trace_flags=TraceFlags(0)),
            None,
            ended.resource(),
            attributes,
            kind=KIND,
            status=status,
            start_time=1,
            end_time=1,
            instrumentation_scope=scope(),
        )
        message = self._made(iter((_exact(whole),))).spans[0]
        for field in _OF_EACH:
            message.ClearField(field)
        if len(self._known) >= _MOST_KNOWN:
            self._known.clear()
        known: bytes = message.SerializeToString()
        self._known[key] = known
        return known


def _exact(span: ReadableSpan) -> ReadableSpan:
    """Return the span with its fractions as text: the exporter would round them to four places, cost and all."""
    attributes = span.attributes or {}
    if not any(isinstance(value, float) for value in attributes.values()):
        return span
    return ReadableSpan(
        name=span.name,
        context=span.context,
        parent=span.parent,
        resource=span.resource,
        attributes={key: repr(value) if isinstance(value, float) else value for key, value in attributes.items()},
        events=span.events,
        links=span.links,
        kind=span.kind,
        status=span.status,
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )
