"""gRPC: every channel that the app opens gets an interceptor with the trace headers and a client span."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from types import ModuleType
from typing import Any, Final

from opentelemetry.trace import Span, SpanKind, Status, StatusCode

from obskit.clients.calls import is_suppressed, trace_headers
from obskit.clients.patches import is_left_to_opentelemetry, replace
from obskit.signals.traces import tracer

__all__ = ["patch"]

_DETAILS: Final = ("method", "timeout", "credentials", "wait_for_ready", "compression")
_SHAPES: Final = ("unary_unary", "unary_stream", "stream_unary", "stream_stream")


def patch(library: ModuleType) -> None:
    """Follow every call on the channels that are opened from now on, except those of obskit's own exporters."""
    for name in ("insecure_channel", "secure_channel"):
        replace(library, name, lambda original: _open(original, library))
        replace(library.aio, name, lambda original: _open_aio(original, library))


def _open(original: Callable[..., Any], library: ModuleType) -> Callable[..., Any]:
    def open_channel(target: str, *args: Any, **kwargs: Any) -> Any:
        channel = original(target, *args, **kwargs)
        if is_suppressed() or is_left_to_opentelemetry("grpc"):
            return channel
        return library.intercept_channel(channel, _interceptor(library, _host(target)))

    return open_channel


def _open_aio(original: Callable[..., Any], library: ModuleType) -> Callable[..., Any]:
    def open_channel(target: str, *args: Any, interceptors: Sequence[Any] | None = None, **kwargs: Any) -> Any:
        own = [] if is_suppressed() or is_left_to_opentelemetry("grpc") else _aio_interceptors(library, _host(target))
        return original(target, *args, interceptors=[*(interceptors or ()), *own], **kwargs)

    return open_channel


def _host(target: str) -> str:
    """Return the host of a target such as ``dns:///host:443``, ``host:443`` or ``[::1]:443``."""
    address = target.rpartition("/")[2]
    if address.startswith("["):
        return address[1:].partition("]")[0]
    return address.rpartition(":")[0] if address.count(":") == 1 else address


def _begin(details: Any, host: str) -> Span:
    method = details.method.decode() if isinstance(details.method, bytes) else details.method
    service, _, name = method.lstrip("/").partition("/")
    attributes = {"rpc.system": "grpc", "rpc.service": service, "rpc.method": name, "server.address": host}
    return tracer().start_span(f"{service}/{name}", kind=SpanKind.CLIENT, attributes=attributes)


def _end(span: Span, code: Any) -> None:
    number, name = code.value[0], code.name
    span.set_attribute("rpc.grpc.status_code", number)
    if number:
        span.set_attribute("error.type", name)
        span.set_status(Status(StatusCode.ERROR, name))
    span.end()


def _fail(span: Span, error: BaseException) -> None:
    span.set_attribute("error.type", type(error).__qualname__)
    span.set_status(Status(StatusCode.ERROR))
    span.end()


def _interceptor(library: ModuleType, host: str) -> Any:
    def follow(_self: Any, continuation: Callable[..., Any], details: Any, request: Any) -> Any:
        if is_suppressed():
            return continuation(details, request)
        span = _begin(details, host)
        try:
            call = continuation(_with_headers(library, details, span, host), request)
        except BaseException as error:
            _fail(span, error)
            raise
        on_done = getattr(call, "add_done_callback", None)
        if on_done is None:  # a stream that is read by the caller's own thread
            call.add_callback(lambda: _end(span, call.code()))
        else:
            on_done(lambda done: _end(span, done.code()))
        return call

    bases = (
        library.UnaryUnaryClientInterceptor,
        library.UnaryStreamClientInterceptor,
        library.StreamUnaryClientInterceptor,
        library.StreamStreamClientInterceptor,
    )
    return type("Interceptor", bases, {f"intercept_{shape}": follow for shape in _SHAPES})()


def _with_headers(library: ModuleType, details: Any, span: Span, host: str) -> Any:
    """Return a copy of the call's details with more metadata; gRPC has no way of its own to make one."""
    copied = {
        name: getattr(details, name, None)
        for name in ("method", "timeout", "credentials", "wait_for_ready", "compression")
    }
    metadata = [*(details.metadata or ()), *trace_headers(span, host).items()]
    return type("Details", (library.ClientCallDetails,), {**copied, "metadata": metadata})()


def _aio_interceptors(library: ModuleType, host: str) -> list[Any]:
    aio = library.aio

    async def follow(_self: Any, continuation: Callable[..., Awaitable[Any]], details: Any, request: Any) -> Any:
        if is_suppressed():
            return await continuation(details, request)
        span = _begin(details, host)
        metadata = aio.Metadata(*(details.metadata or ()), *trace_headers(span, host).items())
        try:
            call = await continuation(details._replace(metadata=metadata), request)
        except BaseException as error:
            _fail(span, error)
            raise
        call.add_done_callback(lambda done: _end_aio(library, span, done))
        return call

    return [
        type("Interceptor", (base,), {f"intercept_{shape}": follow})()
        for base, shape in (
            (aio.UnaryUnaryClientInterceptor, "unary_unary"),
            (aio.UnaryStreamClientInterceptor, "unary_stream"),
            (aio.StreamUnaryClientInterceptor, "stream_unary"),
            (aio.StreamStreamClientInterceptor, "stream_stream"),
        )
    ]


def _end_aio(library: ModuleType, span: Span, call: Any) -> None:
    # The callback runs when the call is over, where its coroutine for the code has nothing to wait for.
    coroutine = call.code()
    try:
        coroutine.send(None)
    except StopIteration as finished:
        _end(span, finished.value)
    else:
        coroutine.close()
        _end(span, library.StatusCode.UNKNOWN)
