"""What spans of obskit's own have in common that are a few fields until somebody wants more of them.

The first call that changes such a span replaces it, behind the same object, by a span of the SDK with the same ids,
which then has every rule of the SDK.
"""

from __future__ import annotations

import sys
from abc import abstractmethod
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any, Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import SpanContext, SpanKind

from obskit.signals.ended import scope

__all__ = ["LightSpan", "handed_ids", "started_as"]

_EMPTY: Final = Context()
_handed: Final[ContextVar[tuple[int, int] | None]] = ContextVar("obskit_handed_ids", default=None)


handed_ids: Final = _handed.get
"""Return the trace id and the span id that the next span of the SDK is to have, if any."""


def started_as(
    tracer: trace.Tracer,
    span: LightSpan,
    name: str,
    *,
    kind: SpanKind,
    attributes: Mapping[str, Any],
    start_ns: int,
) -> Any:
    """Return a running span of the SDK with the ids and the parent of this one.

    Args:
        tracer: of obskit's own provider.
        span: the one whose place it takes.
        name: of the span.
        kind: of the span.
        attributes: that it has so far.
        start_ns: when it began, in nanoseconds since the epoch.
    """
    own, parent = span.get_span_context(), span.parent
    context = _EMPTY if parent is None else trace.set_span_in_context(trace.NonRecordingSpan(parent), _EMPTY)
    token = _handed.set((own.trace_id, own.span_id))
    try:
        return tracer.start_span(name, context=context, kind=kind, attributes=attributes, start_time=start_ns)
    finally:
        _handed.reset(token)


class LightSpan(trace.Span):
    """A span that is replaced by one of the SDK as soon as it is touched."""

    _is_ended = False
    _live: Any = None

    @property
    def __class__(self) -> type:
        """The SDK's class of spans that can be read, for those who ask whether it is one; who does has imported it."""
        sdk = sys.modules.get("opentelemetry.sdk.trace")
        return getattr(sdk, "ReadableSpan", LightSpan)

    @__class__.setter
    def __class__(self, kind: type) -> None:
        raise TypeError(f"a span cannot become a {kind.__name__}")

    @abstractmethod
    def full(self) -> Any:
        """Return the SDK's span that has taken, or takes now, this one's place; what has ended is read-only."""

    @abstractmethod
    def _parent_context(self) -> SpanContext | None: ...

    def is_recording(self) -> bool:
        """Return whether it runs on."""
        return not self._is_ended if self._live is None else self._live.is_recording()

    @property
    def is_untouched(self) -> bool:
        """Whether nobody has changed it."""
        return self._live is None

    def _changed(self) -> Any:
        return trace.INVALID_SPAN if self._live is None and self._is_ended else self.full()

    def set_attribute(self, key: str, value: Any) -> None:
        """As the SDK's."""
        self._changed().set_attribute(key, value)

    def set_attributes(self, attributes: Mapping[str, Any]) -> None:
        """As the SDK's."""
        self._changed().set_attributes(attributes)

    def add_event(self, name: str, attributes: Any = None, timestamp: int | None = None) -> None:
        """As the SDK's."""
        self._changed().add_event(name, attributes, timestamp)

    def add_link(self, context: SpanContext, attributes: Any = None) -> None:
        """As the SDK's."""
        self._changed().add_link(context, attributes)

    def update_name(self, name: str) -> None:
        """As the SDK's; a route's name does not replace it."""
        self._changed().update_name(name)

    def set_status(self, status: Any, description: str | None = None) -> None:
        """As the SDK's."""
        self._changed().set_status(status, description)

    def record_exception(
        self,
        exception: BaseException,
        attributes: Any = None,
        timestamp: int | None = None,
        escaped: bool = False,  # noqa: FBT001, FBT002 - the API's
    ) -> None:
        """As the SDK's."""
        self._changed().record_exception(exception, attributes, timestamp, escaped)

    def end(self, end_time: int | None = None) -> None:
        """End it before its time."""
        self._changed().end(end_time)

    # ------------------------------------------------------------------ reading, as of a `ReadableSpan`

    context = property(lambda self: self.get_span_context())
    parent = property(lambda self: self._parent_context())
    name = property(lambda self: self.full().name)
    start_time = property(lambda self: self.full().start_time)
    end_time = property(lambda self: self.full().end_time)
    status = property(lambda self: self.full().status)
    attributes = property(lambda self: self.full().attributes)
    events = property(lambda self: self.full().events)
    links = property(lambda self: self.full().links)
    instrumentation_scope = property(lambda _: scope())
    instrumentation_info = property(lambda self: self.full().instrumentation_info)
    dropped_attributes = property(lambda self: self.full().dropped_attributes)
    dropped_events = property(lambda self: self.full().dropped_events)
    dropped_links = property(lambda self: self.full().dropped_links)

    def to_json(self, indent: int | None = 4) -> str:
        """As the SDK's."""
        return str(self.full().to_json(indent))
