"""A span processor whose successor can be replaced; OpenTelemetry's providers never let one go."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry.sdk.trace import SpanProcessor

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import ReadableSpan, Span

__all__ = ["Relay"]


class Relay(SpanProcessor):
    """Hands everything on to `next`."""

    def __init__(self, following: SpanProcessor) -> None:
        self.next = following

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Hand it on."""
        self.next.on_start(span, parent_context)

    def on_end(self, span: ReadableSpan) -> None:
        """Hand it on."""
        self.next.on_end(span)

    def shutdown(self) -> None:
        """Hand it on."""
        self.next.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Hand it on."""
        return self.next.force_flush(timeout_millis)
