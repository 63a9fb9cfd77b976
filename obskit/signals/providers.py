"""OpenTelemetry's providers: the app's own where it has some, else obskit's, which then serve the whole process."""

from __future__ import annotations

import os
import sys
import threading
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import metrics, trace
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider

from obskit.errors import Problem
from obskit.signals.sampling import OwnSampler
from obskit.signals.spans import HandedIds

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import MetricReader
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import ReadableSpan, Span
    from opentelemetry.util.types import Attributes

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
        # Under OTEL_SDK_DISABLED the SDK makes no spans, so nobody may make any in its stead.
        self.is_plain = not getattr(self, "_disabled", False)

    def add_span_processor(self, span_processor: SpanProcessor) -> None:
        """Let another one have all spans, those of requests included: they are the SDK's from here on."""
        self.is_plain = False
        super().add_span_processor(span_processor)


class OwnMeterProvider(metrics.MeterProvider):
    """The provider of a process that has none, or one that takes no further reader.

    It is the SDK's, behind a door: the SDK's metrics are imported when somebody first asks for a meter, or for
    anything else of it.

    Attributes:
        when_shared: called when somebody else adds a reader; what obskit counts itself is recorded here too thereafter.

    Args:
        resource: of this process.
        reader: returns what reads the points.
    """

    def __init__(self, resource: Resource, reader: Callable[[], MetricReader]) -> None:
        self._make: Callable[[], MeterProvider] = lambda: _sdk_provider(resource, reader())
        self._made: MeterProvider | None = None
        self.when_shared: Callable[[], None] = lambda: None
        self._lock = threading.RLock()
        self._is_held = False
        _doors.add(self)

    @property
    def __class__(self) -> type:
        """The SDK's class, for those who ask whether it is one; who does has imported it."""
        sdk = sys.modules.get("opentelemetry.sdk.metrics")
        return getattr(sdk, "MeterProvider", OwnMeterProvider)

    @__class__.setter
    def __class__(self, kind: type) -> None:
        raise TypeError(f"obskit's meter provider cannot become a {kind.__name__}")

    def whole(self) -> MeterProvider:
        """Return the SDK's provider, made now if it was not before."""
        if self._made is None:
            with self._lock:
                if self._made is None:
                    self._made = self._make()
        return self._made

    def get_meter(
        self,
        name: str,
        version: str | None = None,
        schema_url: str | None = None,
        attributes: Attributes = None,
    ) -> metrics.Meter:
        """As the SDK's."""
        return self.whole().get_meter(name, version, schema_url, attributes)

    def add_metric_reader(self, metric_reader: MetricReader) -> None:
        """As the SDK's: the reader sees what is recorded from here on."""
        self.whole().add_metric_reader(metric_reader)
        self.when_shared()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.whole(), name)

    def hold(self) -> None:
        """Wait for what is being made: a fork in the middle of it would leave it so in the child."""
        self._is_held = self._lock.acquire(timeout=_FORK_WAIT_S)

    def release(self) -> None:
        """Go on."""
        if self._is_held:
            self._is_held = False
            self._lock.release()

    def renew(self) -> None:
        """Replace the lock in a child."""
        self._is_held, self._lock = False, threading.RLock()


def _sdk_provider(resource: Resource, reader: MetricReader) -> MeterProvider:
    from obskit.signals.readers import Provider  # noqa: PLC0415 - takes long, and most apps never need it

    return Provider([reader], resource=resource, shutdown_on_exit=False)


_FORK_WAIT_S: Final = 1.0
_doors: Final[weakref.WeakSet[OwnMeterProvider]] = weakref.WeakSet()


def _at_fork(name: str) -> Callable[[], None]:
    def call() -> None:
        for door in tuple(_doors):
            getattr(door, name)()

    return call


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_at_fork("hold"), after_in_parent=_at_fork("release"), after_in_child=_at_fork("renew"))


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
_global_meters: Final[list[OwnMeterProvider]] = []


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


def meter_provider(resource: Resource, reader: Callable[[], MetricReader], *, tell: Callable[[Problem], None]) -> Any:
    """Return the provider for obskit's metrics; those of the app reach the reader too, where that can be.

    Args:
        resource: of this process, for a provider of obskit's own.
        reader: returns what reads the points; called when there is first something to read.
        tell: told where the app's provider cannot be shared.
    """
    existing = metrics.get_meter_provider()
    is_own = any(provider is existing for provider in _global_meters)
    add = None if is_own else getattr(existing, "add_metric_reader", None)
    if add is not None:
        add(reader())
        return existing
    provider = OwnMeterProvider(resource, reader)
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
