"""OpenTelemetry's providers: the app's own where it has some, else obskit's, which then serve the whole process."""

from __future__ import annotations

import os
import sys
import threading
import weakref
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import trace

from obskit.errors import Problem
from obskit.signals.imports import when_imported
from obskit.signals.sampling import Policy

if TYPE_CHECKING:
    from types import ModuleType

    from opentelemetry.metrics import Meter
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import MetricReader
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
    from opentelemetry.util.types import Attributes

    from obskit.config import Config
    from obskit.signals.resource import OwnResource

__all__ = ["OwnMeterProvider", "OwnTracerProvider", "meter_provider", "tracer_provider"]


class _Door:
    """A provider of the SDK's that is made when somebody first asks for something of it."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._is_held = False
        _doors.add(self)

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


class OwnTracerProvider(_Door, trace.TracerProvider):
    """The provider of a process that has none. It is the SDK's, behind a door.

    Args:
        policy: which requests' traces are exported.
        resource: returns that of this process.
        processor: returns what takes the finished spans.

    Attributes:
        policy: as given.
        processor: as given; may be replaced.
        is_plain: whether obskit's processor is the only one, so that nobody else waits for a span to begin.
    """

    def __init__(
        self, policy: Policy, resource: Callable[[], Resource], processor: Callable[[], SpanProcessor]
    ) -> None:
        super().__init__()
        self.policy = policy
        self.processor = processor
        self._resource_of = resource
        self._made: TracerProvider | None = None
        # Under OTEL_SDK_DISABLED the SDK makes no spans, so nobody may make any in its stead.
        self.is_plain = os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() != "true"

    @property
    def __class__(self) -> type:
        """The SDK's class, for those who ask whether it is one; who does has imported it."""
        sdk = sys.modules.get("opentelemetry.sdk.trace")
        return getattr(sdk, "TracerProvider", OwnTracerProvider)

    @__class__.setter
    def __class__(self, kind: type) -> None:
        raise TypeError(f"obskit's tracer provider cannot become a {kind.__name__}")

    def whole(self) -> TracerProvider:
        """Return the SDK's provider, made now if it was not before."""
        if self._made is None:
            with self._lock:
                if self._made is None:
                    from obskit.signals import sdk  # noqa: PLC0415 - takes long, and most requests do without

                    self._made = sdk.provider(self.policy, self._resource_of(), sdk.Relay(self._following))
        return self._made

    def _following(self) -> SpanProcessor:
        return self.processor()  # looked up each time: another set-up puts its own here

    def get_tracer(self, *args: Any, **options: Any) -> trace.Tracer:
        """As the SDK's."""
        return self.whole().get_tracer(*args, **options)

    def add_span_processor(self, span_processor: SpanProcessor) -> None:
        """Let another one have all spans, those of requests included: they are the SDK's from here on."""
        self.whole().add_span_processor(span_processor)
        self.is_plain = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self.whole(), name)


class OwnMeterProvider(_Door):
    """The provider of a process that has none, or one that takes no further reader.

    It is the SDK's, behind a door: the SDK's metrics are imported when somebody first asks for a meter, or for
    anything else of it; the API's, which take as long to import as those for spans, when the app or an exporter does.

    Attributes:
        when_shared: called when somebody else adds a reader; what obskit counts itself is recorded here too thereafter.

    Args:
        resource: returns that of this process.
        reader: returns what reads the points.
    """

    def __init__(self, resource: Callable[[], Resource], reader: Callable[[], MetricReader]) -> None:
        super().__init__()
        self._make: Callable[[], MeterProvider] = lambda: _sdk_provider(resource(), reader())
        self._made: MeterProvider | None = None
        self.when_shared: Callable[[], None] = lambda: None

    @property
    def __class__(self) -> type:
        """The SDK's class, or the API's, for those who ask whether it is one; who does has imported it."""
        for name in ("opentelemetry.sdk.metrics", "opentelemetry.metrics"):
            kind = getattr(sys.modules.get(name), "MeterProvider", None)
            if isinstance(kind, type):
                return kind
        return OwnMeterProvider

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
    ) -> Meter:
        """As the SDK's."""
        return self.whole().get_meter(name, version, schema_url, attributes)

    def add_metric_reader(self, metric_reader: MetricReader) -> None:
        """As the SDK's: the reader sees what is recorded from here on."""
        self.whole().add_metric_reader(metric_reader)
        self.when_shared()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.whole(), name)


def _sdk_provider(resource: Resource, reader: MetricReader) -> MeterProvider:
    from obskit.signals.readers import Provider  # noqa: PLC0415 - takes long, and most apps never need it

    return Provider([reader], resource=resource, shutdown_on_exit=False)


_FORK_WAIT_S: Final = 10.0  # what is made imports what takes long
_doors: Final[weakref.WeakSet[_Door]] = weakref.WeakSet()


def _at_fork(name: str) -> Callable[[], None]:
    def call() -> None:
        for door in tuple(_doors):
            getattr(door, name)()

    return call


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_at_fork("hold"), after_in_parent=_at_fork("release"), after_in_child=_at_fork("renew"))


# obskit's own providers that are the process's global ones; they stay so for good.
_global_tracers: Final[list[OwnTracerProvider]] = []
_global_meters: Final[list[OwnMeterProvider]] = []


def tracer_provider(config: Config, resource: Callable[[], Resource], processor: Callable[[], SpanProcessor]) -> Any:
    """Return the provider for obskit's spans; those of the app reach the processor too.

    Args:
        config: the settings in force.
        resource: returns that of this process, for a provider of obskit's own.
        processor: returns what takes the finished spans.
    """
    existing = trace.get_tracer_provider()
    own = next((provider for provider in _global_tracers if provider is existing), None)
    add = None if own is not None else getattr(existing, "add_span_processor", None)
    if add is not None:
        add(processor())
        return existing
    if own is not None:  # of a set-up that was shut down; what the app makes through it goes on
        own.processor = processor
    provider = OwnTracerProvider(
        Policy(config.sample_ratio, trusts_incoming=config.trust_incoming_sampling), resource, processor
    )
    if isinstance(existing, trace.ProxyTracerProvider):
        trace.set_tracer_provider(provider)
        _global_tracers.append(provider)
    return provider


def meter_provider(
    resource: Callable[[], Resource], reader: Callable[[], MetricReader], *, tell: Callable[[Problem], None]
) -> Any:
    """Return the provider for obskit's metrics; those of the app reach the reader too, where that can be.

    Args:
        resource: returns that of this process, for a provider of obskit's own.
        reader: returns what reads the points; called when there is first something to read.
        tell: told where the app's provider cannot be shared.
    """
    metrics = sys.modules.get("opentelemetry.metrics")
    if metrics is None:  # then nobody has set a provider
        provider = OwnMeterProvider(resource, reader)
        when_imported("opentelemetry.metrics", partial(_become_global, provider))
        return provider
    existing = metrics.get_meter_provider()
    is_own = any(provider is existing for provider in _global_meters)
    add = None if is_own else getattr(existing, "add_metric_reader", None)
    if add is not None:
        add(reader())
        return existing
    provider = OwnMeterProvider(resource, reader)
    if type(existing).__name__ == "_ProxyMeterProvider":
        _become_global(provider, metrics)
    elif not is_own:
        tell(
            Problem(
                place="opentelemetry.metrics",
                problem=f"the app's {type(existing).__name__} takes no further reader; obskit has one of its own",
                way_out="Update opentelemetry-sdk to 1.45 or later to have the app's metrics exported by obskit too",
            )
        )
    return provider


def _become_global(provider: OwnMeterProvider, metrics: ModuleType) -> None:
    metrics.set_meter_provider(provider)
    _global_meters.append(provider)


def know_project(resource: OwnResource, tracers: Any, meters: Any, project: str) -> None:
    """Put the project's id, which became known only now, on the resource of obskit's own providers.

    Args:
        resource: of this process.
        tracers: the provider of spans, obskit's or the app's.
        meters: that of metrics, likewise.
        project: its id.
    """
    resource.add("gcp.project_id", project)
    for door in (tracers, meters):
        made = door._made if type(door) in (OwnTracerProvider, OwnMeterProvider) else None  # noqa: SLF001 - of this module
        update = getattr(made, "_update_resource", None)  # the SDK's own way, as it has itself in forked processes
        if update is not None and resource().attributes.get("gcp.project_id") == project:
            from opentelemetry.sdk.resources import Resource  # noqa: PLC0415 - there is a provider, so it is loaded

            update(Resource({"gcp.project_id": project}))
