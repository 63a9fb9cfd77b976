"""Telemetry as plain data and back, for the way over a disk."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, fields
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Buckets,
    ExponentialHistogram,
    ExponentialHistogramDataPoint,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState

from obskit.signals.delivery import ERRORS, METRICS, SPANS
from obskit.signals.raised import Frame, Raised
from obskit.signals.reports import ErrorReport, Location

if TYPE_CHECKING:
    from obskit.signals.mending import Point

__all__ = ["packed", "unpacked"]

_KINDS: Final[dict[str, Any]] = {
    "sum": Sum,
    "gauge": Gauge,
    "histogram": Histogram,
    "exponential": ExponentialHistogram,
}
_POINTS: Final[dict[str, Any]] = {"histogram": HistogramDataPoint, "exponential": ExponentialHistogramDataPoint}
_NOT_KEPT: Final = frozenset({"exemplars"})


def packed(signal: str, batch: Sequence[Any]) -> bytes:
    """Return a batch of one signal as bytes; metrics in the form of `mending.flattened`."""
    forms: dict[str, Callable[[Any], Any]] = {SPANS: _span, METRICS: _point, ERRORS: asdict}
    pack = forms[signal]
    return json.dumps([pack(item) for item in batch], separators=(",", ":"), default=str).encode("ascii")


def unpacked(signal: str, data: bytes) -> list[Any]:
    """Return the batch that `packed` was given.

    Raises:
        ValueError: these are no such bytes.
    """
    try:
        forms: dict[str, Callable[[Any], Any]] = {SPANS: _to_span, METRICS: _Points(), ERRORS: _to_report}
        unpack = forms[signal]
        return [unpack(item) for item in json.loads(data)]
    except (TypeError, KeyError, IndexError, AttributeError) as error:
        raise ValueError(f"not a batch of {signal}: {type(error).__name__}") from error


def _plain(attributes: Any) -> dict[str, Any]:
    found = dict(attributes or {})
    return {key: repr(value) if isinstance(value, bytes) else value for key, value in found.items()}


def _frozen(attributes: dict[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in attributes.items()}


# --------------------------------------------------------------------------- what telemetry belongs to


def _owner(resource: Resource) -> list[Any]:
    return [_plain(resource.attributes), resource.schema_url]


def _to_owner(record: list[Any]) -> Resource:
    return _resource(json.dumps(record))


@lru_cache(maxsize=64)
def _resource(text: str) -> Resource:
    attributes, schema_url = json.loads(text)
    return Resource(_frozen(attributes), schema_url)


def _scope(scope: InstrumentationScope | None) -> list[Any] | None:
    return None if scope is None else [scope.name, scope.version, scope.schema_url]


def _to_scope(record: list[Any] | None) -> InstrumentationScope | None:
    return None if record is None else InstrumentationScope(*record)


# --------------------------------------------------------------------------- spans


def _context(context: SpanContext | None) -> list[Any] | None:
    if context is None:
        return None
    state = context.trace_state.to_header() if context.trace_state else ""
    return [context.trace_id, context.span_id, int(context.trace_flags), context.is_remote, state]


def _to_context(record: list[Any] | None) -> SpanContext | None:
    if record is None:
        return None
    trace_id, span_id, flags, is_remote, state = record
    return SpanContext(trace_id, span_id, is_remote, TraceFlags(flags), TraceState.from_header([state]))


def _span(span: ReadableSpan) -> dict[str, Any]:
    return {
        "name": span.name,
        "context": _context(span.context),
        "parent": _context(span.parent),
        "owner": _owner(span.resource),
        "attributes": _plain(span.attributes),
        "events": [[event.name, event.timestamp, _plain(event.attributes)] for event in span.events],
        "links": [[_context(link.context), _plain(link.attributes)] for link in span.links],
        "kind": span.kind.name,
        "status": [span.status.status_code.name, span.status.description],
        "start": span.start_time,
        "end": span.end_time,
        "scope": _scope(span.instrumentation_scope),
    }


def _to_span(record: dict[str, Any]) -> ReadableSpan:
    code, description = record["status"]
    return ReadableSpan(
        name=record["name"],
        context=_to_context(record["context"]),
        parent=_to_context(record["parent"]),
        resource=_to_owner(record["owner"]),
        attributes=_frozen(record["attributes"]),
        events=[Event(name, _frozen(values), at_ns) for name, at_ns, values in record["events"]],
        links=[Link(context, _frozen(values)) for other, values in record["links"] if (context := _to_context(other))],
        kind=SpanKind[record["kind"]],
        status=Status(StatusCode[code], description),
        start_time=record["start"],
        end_time=record["end"],
        instrumentation_scope=_to_scope(record["scope"]),
    )


# --------------------------------------------------------------------------- metrics


def _point(item: Point) -> dict[str, Any]:
    owner, scope, metric, point = item
    data = metric.data
    kind = next(name for name, kind in _KINDS.items() if isinstance(data, kind))
    values = {each.name: getattr(point, each.name) for each in fields(point) if each.name not in _NOT_KEPT}
    values["attributes"] = _plain(point.attributes)
    for sign in ("positive", "negative"):
        if sign in values:
            values[sign] = [values[sign].offset, list(values[sign].bucket_counts)]
    return {
        "owner": _owner(owner.resource),
        "scope": _scope(scope.scope),
        "metric": [metric.name, metric.description, metric.unit, kind],
        "temporality": int(getattr(data, "aggregation_temporality", AggregationTemporality.CUMULATIVE)),
        "is_monotonic": getattr(data, "is_monotonic", False),
        "point": values,
    }


class _Points:
    """Turns records into points; those that had an owner in common have one again."""

    def __init__(self) -> None:
        self._owners: dict[str, Any] = {}

    def __call__(self, record: dict[str, Any]) -> Point:
        owner = self._known("owner", record, lambda: ResourceMetrics(_to_owner(record["owner"]), [], ""))
        scope = self._known("scope", record, lambda: ScopeMetrics(_to_scope(record["scope"]), [], ""))  # type: ignore[arg-type]
        name, description, unit, kind = record["metric"]
        metric = self._known("metric", record, lambda: Metric(name, description, unit, _data(kind, record)))
        values = dict(record["point"], attributes=_frozen(record["point"]["attributes"]))
        for sign in ("positive", "negative"):
            if sign in values:
                values[sign] = Buckets(*values[sign])
        return owner, scope, metric, _POINTS.get(kind, NumberDataPoint)(**values)

    def _known(self, part: str, record: dict[str, Any], make: Callable[[], Any]) -> Any:
        parts = ("owner", "scope", "metric")[: ("owner", "scope", "metric").index(part) + 1]
        key = json.dumps([record[each] for each in parts])
        if key not in self._owners:
            self._owners[key] = make()
        return self._owners[key]


def _data(kind: str, record: dict[str, Any]) -> Any:
    if kind == "gauge":
        return Gauge([])
    temporality = AggregationTemporality(record["temporality"])
    if kind == "sum":
        return Sum([], temporality, record["is_monotonic"])
    return _KINDS[kind]([], temporality)


# --------------------------------------------------------------------------- errors


def _to_report(record: dict[str, Any]) -> ErrorReport:
    location = record["location"]
    raised = [
        Raised(**{**each, "frames": tuple(Frame(*frame) for frame in each["frames"])}) for each in record["raised"]
    ]
    return ErrorReport(**{**record, "location": Location(*location) if location else None, "raised": tuple(raised)})
