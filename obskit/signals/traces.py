"""Spans of the app's own code, and which traces are exported."""

from __future__ import annotations

import functools
import inspect
import sys
import traceback
from collections.abc import AsyncIterator, Callable, Generator, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar, overload

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.trace import SpanKind, Status, StatusCode

from obskit._version import __version__
from obskit.signals.context import leave
from obskit.signals.lines import described, plain
from obskit.signals.loops import is_cancelled
from obskit.signals.redaction import Redactor

if TYPE_CHECKING:
    from contextvars import Token

    from opentelemetry.context import Context
    from opentelemetry.trace import Span, Tracer, TracerProvider

__all__ = ["SUPPRESSING", "error_type", "fail", "is_used", "span", "tracer", "use_provider"]

_P = ParamSpec("_P")
_R = TypeVar("_R")
_MOST_CHARS: Final = 4000
_STACK_CHARS: Final = 16_000
SUPPRESSING: Final = (
    otel_context._SUPPRESS_INSTRUMENTATION_KEY,  # noqa: SLF001 - OpenTelemetry's own packages import these two
    otel_context._SUPPRESS_HTTP_INSTRUMENTATION_KEY,  # noqa: SLF001
    "suppress_instrumentation",
)
"""What in OpenTelemetry's context says that the running code is not to be recorded."""
_ENDINGS: Final = (GeneratorExit, StopIteration, StopAsyncIteration)

_tracer: Tracer | None = None
_provider: TracerProvider | None = None
_redactor = Redactor()


def use_provider(provider: TracerProvider, redactor: Redactor) -> None:
    """Make spans through this provider from here on."""
    global _tracer, _provider, _redactor
    _tracer, _provider, _redactor = None, provider, redactor


def is_used(provider: object) -> bool:
    """Return whether spans are made through this provider."""
    return provider is _provider


def tracer() -> Tracer:
    """Return the tracer of all spans that obskit makes."""
    global _tracer
    if _provider is None:
        return trace.get_tracer("obskit", __version__)
    if _tracer is None:
        _tracer = _provider.get_tracer("obskit", __version__)
    return _tracer


def error_type(error: BaseException) -> str:
    """Return `error.type` of an exception: its class's name."""
    return type(error).__qualname__


def fail(span: Span, error: BaseException) -> None:
    """Mark the span as failed and put the exception on it, without its secrets."""
    if not span.is_recording():
        return
    kind = error_type(error)
    message = _redactor.text(plain(described(error)))[:_MOST_CHARS]
    span.set_attribute("error.type", kind)
    span.set_status(Status(StatusCode.ERROR, f"{kind}: {message}"[:500]))
    stack = _redactor.text(plain("".join(traceback.format_exception(error))))
    if len(stack) > _STACK_CHARS:
        stack = f"{stack[: _STACK_CHARS // 2]}\n…\n{stack[-_STACK_CHARS // 2 :]}"
    module = type(error).__module__
    qualified = kind if module == "builtins" else f"{module}.{kind}"  # as the SDK has it
    attributes = {"exception.type": qualified, "exception.message": message, "exception.stacktrace": stack}
    span.add_event("exception", attributes)


# --------------------------------------------------------------------------- span()


class SpanBlock:
    """A span around a block or a function; made by `span`."""

    def __init__(self, name: str, attributes: Mapping[str, Any] | None, kind: SpanKind) -> None:
        self._name = name
        self._attributes = attributes
        self._kind = kind
        self._span: Span | None = None
        self._token: Token[Context] | None = None

    def __enter__(self) -> Span:
        self._span = self._start()
        self._token = otel_context.attach(trace.set_span_in_context(self._span))
        return self._span

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, stack: TracebackType | None
    ) -> None:
        if self._token is not None:
            leave(self._token)
        if self._span is not None:
            _end(self._span, error)

    async def __aenter__(self) -> Span:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, stack: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, stack)

    def __call__(self, function: Callable[_P, _R]) -> Callable[_P, _R]:
        return _decorated(function, self._name or function.__qualname__, self._attributes, self._kind)

    def _start(self) -> Span:
        return _start(self._name or sys._getframe(2).f_code.co_qualname, self._attributes, self._kind)  # noqa: SLF001


def _start(name: str, attributes: Mapping[str, Any] | None, kind: SpanKind) -> Span:
    return tracer().start_span(plain(name)[:200], attributes=_clean(attributes), kind=kind)


def _clean(attributes: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    if not attributes:
        return None
    clean = _redactor.mapping(attributes)
    return {key: value if _is_plain(value) else plain(described(value)) for key, value in clean.items()}


def _is_plain(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(isinstance(item, str | bool | int | float) for item in value)
    return isinstance(value, str | bool | int | float)


def _end(span: Span, error: BaseException | None) -> None:
    if error is not None:
        if is_cancelled(error):
            span.set_attribute("error.type", error_type(error))
        elif not isinstance(error, _ENDINGS):
            fail(span, error)
    span.end()


@overload
def span(name: Callable[_P, _R], /) -> Callable[_P, _R]: ...


@overload
def span(
    name: str | None = None, *, attributes: Mapping[str, Any] | None = None, kind: SpanKind | None = None
) -> SpanBlock: ...


def span(
    name: str | Callable[..., Any] | None = None,
    *,
    attributes: Mapping[str, Any] | None = None,
    kind: SpanKind | None = None,
) -> Any:
    """Make a span around a ``with`` block (also ``async with``), or around each call of a decorated function.

    Coroutine functions, generators and asynchronous generators are covered to their end. An exception marks the
    span as failed and goes on.

    Args:
        name: the span's name; by default that of the function.
        attributes: put on the span, without their secrets.
        kind: internal by default.
    """
    of_kind = kind or SpanKind.INTERNAL
    if callable(name):
        return _decorated(name, name.__qualname__, attributes, of_kind)
    return SpanBlock(name or "", attributes, of_kind)


def _decorated(
    function: Callable[..., Any], name: str, attributes: Mapping[str, Any] | None, kind: SpanKind
) -> Callable[..., Any]:
    def block() -> SpanBlock:
        return SpanBlock(name, attributes, kind)

    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def call_async(*args: Any, **kwargs: Any) -> Any:
            with block():
                return await function(*args, **kwargs)

        return call_async
    if inspect.isasyncgenfunction(function):

        @functools.wraps(function)
        async def iterate_async(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
            async for item in _stepwise_async(function(*args, **kwargs), _start(name, attributes, kind)):
                yield item

        return iterate_async
    if inspect.isgeneratorfunction(function):

        @functools.wraps(function)
        def iterate(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
            return (yield from _stepwise(function(*args, **kwargs), _start(name, attributes, kind)))

        return iterate

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        with block():
            return function(*args, **kwargs)

    return call


def _stepwise(generator: Any, span: Span) -> Any:
    """Run each step inside the span, which a generator's caller must not find current between two steps."""
    context = trace.set_span_in_context(span)
    error: BaseException | None = None
    sent: Any = None
    thrown: BaseException | None = None
    try:
        while True:
            token = otel_context.attach(context)
            try:
                item = generator.send(sent) if thrown is None else generator.throw(thrown)
            except StopIteration as stop:
                return stop.value
            finally:
                leave(token)
            sent = thrown = None
            try:
                sent = yield item
            except GeneratorExit:
                generator.close()
                raise
            except BaseException as caught:  # noqa: BLE001 - what the caller throws in is the generator's to handle
                thrown = caught
    except BaseException as caught:
        error = caught
        raise
    finally:
        _end(span, error)


async def _stepwise_async(generator: Any, span: Span) -> AsyncIterator[Any]:
    context = trace.set_span_in_context(span)
    error: BaseException | None = None
    try:
        while True:
            token = otel_context.attach(context)
            try:
                item = await anext(generator)
            except StopAsyncIteration:
                return
            finally:
                leave(token)
            yield item
    except BaseException as caught:
        error = caught
        raise
    finally:
        await generator.aclose()
        _end(span, error)
