"""OpenTelemetry's providers: the app's own where it has some, else obskit's, which then serve the whole process."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider

from obskit.errors import Problem
from obskit.signals.sampling import OwnSampler
from obskit.signals.spans import HandedIds

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.metrics.export import MetricReader
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import ReadableSpan, Span

    from obskit.config import Config

__all__ = ["OwnMeterProvider", "OwnTracerProvider", "meter_provider", "tracer_provider"]


class OwnTracerProvider(TracerProvider):
    """The provider of a process that has none.

    Attributes:
        is_plain: whether obskit's processor is the only one, so that nobody else waits for a span to begin.
    """

    def __init__(self, processor: SpanProcessor, **options: Any) -> None:
        super().__init__(id_generator=HandedIds(), shutdown_on_exit=False, **options)
        super().add_span_processor(processor)
        self.is_plain = True

    def add_span_processor(self, span_processor: SpanProcessor) -> None:
        """Let another one have all spans, those of requests included: they are the SDK's from here on."""
        self.is_plain = False
        super().add_span_processor(span_processor)


class OwnMeterProvider(MeterProvider):
    """The provider of a process that has none, or one that takes no further reader."""


class _Relay(SpanProcessor):
    """Hands everything on to `next`, which can be replaced; a provider never lets a processor go."""

    def __init__(self, following: SpanProcessor) -> None:
        self.next = following

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        self.next.on_start(span, parent_context)

    def on_end(self, span: ReadableSpan) -> None:
        self.next.on_end(span)

    def shutdown(self) -> None:
        self.next.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self.next.force_flush(timeout_millis)


# obskit's own providers that are the process's global ones; they stay so for good.
_global_tracers: Final[list[tuple[OwnTracerProvider, _Relay]]] = []
_global_meters: Final[list[MeterProvider]] = []


def tracer_provider(config: Config, resource: Resource, processor: SpanProcessor) -> Any:
    """Return the provider for obskit's spans; those of the app reach the processor too.

    Args:
        config: the settings in force.
        resource: of this process, for a provider of obskit's own.
        processor: takes the finished spans.
    """
    existing = trace.get_tracer_provider()
    relay = next((relay for provider, relay in _global_tracers if provider is existing), None)
    add = getattr(existing, "add_span_processor", None)
    if relay is None and add is not None:
        add(processor)
        return existing
    if relay is not None:  # of a set-up that was shut down; what the app makes through it goes on
        relay.next = processor
    sampler = OwnSampler(config.sample_ratio, trusts_incoming=config.trust_incoming_sampling)
    if not isinstance(existing, trace.ProxyTracerProvider):
        return OwnTracerProvider(processor, sampler=sampler, resource=resource)
    relay = _Relay(processor)
    provider = OwnTracerProvider(relay, sampler=sampler, resource=resource)
    trace.set_tracer_provider(provider)
    _global_tracers.append((provider, relay))
    return provider


def meter_provider(resource: Resource, reader: MetricReader, *, tell: Callable[[Problem], None]) -> Any:
    """Return the provider for obskit's metrics; those of the app reach the reader too, where that can be.

    Args:
        resource: of this process, for a provider of obskit's own.
        reader: reads the points.
        tell: told where the app's provider cannot be shared.
    """
    existing = metrics.get_meter_provider()
    is_own = any(provider is existing for provider in _global_meters)
    add = getattr(existing, "add_metric_reader", None)
    if add is not None and not is_own:
        add(reader)
        return existing
    provider = OwnMeterProvider([reader], resource=resource, shutdown_on_exit=False)
    if type(existing).__name__ == "_ProxyMeterProvider":
        metrics.set_meter_provider(provider)
        _global_meters.append(provider)
    elif not is_own:
        tell(
            Problem(
                place="opentelemetry.metrics",
                problem=f"the app's {type(existing).__name__} takes no further reader; obskit has one of its own",
                way_out="Update opentelemetry-sdk to 1.45 or later to have the app's metrics exported by obskit too",
            )
        )
    return provider
