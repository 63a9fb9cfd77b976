"""One bad value never costs a batch: what no backend could read is replaced, alone, before anything is encoded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.trace import Link, Status

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics.export import Metric, MetricsData, ResourceMetrics, ScopeMetrics
    from opentelemetry.sdk.trace import Event, ReadableSpan

__all__ = ["Point", "flattened", "mended_span", "rebuilt", "steadied"]

_LEAST_INT: Final = -(2**63)
_LEAST_NS: Final = 1_000_000  # between the start and the end of what a point covers; Cloud Monitoring wants some
_MOST_INT: Final = 2**63 - 1

Point = tuple["ResourceMetrics", "ScopeMetrics", "Metric", Any]
"""One metric point with all that it belongs to."""


def _text(text: str) -> str:
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace").decode()
    return text


def _value(value: Any) -> Any:
    kind = value.__class__
    if kind is str:
        return _text(value)
    if kind is bool or kind is float or value is None:
        return value
    if kind is int:
        return value if _LEAST_INT <= value <= _MOST_INT else str(value)
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, Mapping):
        return _values(value)
    if isinstance(value, Sequence) and not isinstance(value, bytes):
        found = [_value(item) for item in value]
        return value if all(new is old for new, old in zip(found, value, strict=True)) else tuple(found)
    return value


def _values(attributes: Any) -> Any:
    """Return the attributes, the same object where none is bad."""
    if not attributes:
        return attributes
    found = {_text(str(key)): _value(value) for key, value in attributes.items()}
    is_same = all(key in found and found[key] is value for key, value in attributes.items())
    return attributes if is_same else found


def _events(events: Sequence[Event]) -> Sequence[Event]:
    if all(_text(event.name) is event.name and _values(event.attributes) is event.attributes for event in events):
        return events
    from opentelemetry.sdk.trace import Event  # noqa: PLC0415 - where there is an event, it is loaded

    return [Event(_text(event.name), _values(event.attributes), event.timestamp) for event in events]


def _links(links: Sequence[Link]) -> Sequence[Link]:
    if all(_values(link.attributes) is link.attributes for link in links):
        return links
    return [Link(link.context, _values(link.attributes)) for link in links]


def mended_span(span: ReadableSpan) -> ReadableSpan:
    """Return the span with what is no text, no 64-bit number or no time replaced; the same one where all is well.

    A clock that was set back while the span was open gives it no duration instead of a negative one.
    """
    status, given, happened, linked = span.status, span.attributes, span.events, span.links
    name, description = _text(span.name), _text(status.description or "")
    attributes, events, links = _values(given), _events(happened), _links(linked)
    start_ns = span.start_time or 0
    end_ns = max(start_ns, span.end_time or 0)
    is_well = attributes is given and events is happened and links is linked and name is span.name
    if is_well and end_ns == span.end_time and description == (status.description or ""):
        return span
    from opentelemetry.sdk.trace import ReadableSpan  # noqa: PLC0415 - where there is such a span, it is loaded

    return ReadableSpan(
        name=name,
        context=span.context,
        parent=span.parent,
        resource=span.resource,
        attributes=attributes,
        events=events,
        links=links,
        kind=span.kind,
        status=Status(status.status_code, description or None),
        start_time=start_ns,
        end_time=end_ns,
        instrumentation_scope=span.instrumentation_scope,
    )


# --------------------------------------------------------------------------- metrics


def flattened(data: MetricsData) -> list[Point]:
    """Return the points of a snapshot in order."""
    return [
        (resource, scope, metric, point)
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        for point in metric.data.data_points
    ]


def rebuilt(points: Sequence[Point]) -> MetricsData:
    """Return a snapshot of these points, which are in the order of `flattened`."""
    from opentelemetry.sdk.metrics.export import MetricsData  # noqa: PLC0415 - where there is a point, it is loaded

    resources: list[ResourceMetrics] = []
    owner = scope_owner = metric_owner = None
    for resource, scope, metric, point in points:
        if resource is not owner:
            owner, scope_owner, metric_owner = resource, None, None
            resources.append(replace(resource, scope_metrics=[]))
        if scope is not scope_owner:
            scope_owner, metric_owner = scope, None
            resources[-1].scope_metrics.append(replace(scope, metrics=[]))  # type: ignore[attr-defined]
        metrics: Any = resources[-1].scope_metrics[-1].metrics
        if metric is not metric_owner:
            metric_owner = metric
            data: Any = metric.data
            metrics.append(replace(metric, data=replace(data, data_points=[])))
        metrics[-1].data.data_points.append(point)
    return MetricsData(resource_metrics=resources)


def steadied(data: MetricsData, shift_ns: int) -> MetricsData:
    """Return the snapshot with its labels readable and its times in order.

    Args:
        data: as it was read.
        shift_ns: how far the clock was set back since the last export that succeeded; points are never dated
            before one that the backend has, or it would refuse them until the clock has caught up.
    """
    points, has_changed = [], False
    for resource, scope, metric, point in flattened(data):
        attributes = _values(point.attributes)
        at_ns = point.time_unix_nano + shift_ns
        latest_ns = at_ns - _LEAST_NS
        start_ns = point.start_time_unix_nano
        changes: dict[str, Any] = {}
        if attributes is not point.attributes:
            changes["attributes"] = attributes
        if shift_ns:
            changes["time_unix_nano"] = at_ns
        if start_ns and start_ns > latest_ns:
            changes["start_time_unix_nano"] = latest_ns
        has_changed = has_changed or bool(changes)
        points.append((resource, scope, metric, replace(point, **changes) if changes else point))
    return rebuilt(points) if has_changed else data
