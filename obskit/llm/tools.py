"""Functions of the app that an SDK calls for the model: a span each, also for one whose failure the SDK swallows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from opentelemetry import context as otel_context
from opentelemetry.trace import set_span_in_context

from obskit.llm.record import is_suppressed
from obskit.signals.traces import fail, tracer

__all__ = ["follow", "follow_async"]


def follow(original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap the SDK's invocation of a function: (arguments, function)."""

    def invoke(arguments: Any, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        with _span(function):
            return original(arguments, function, *args, **kwargs)

    return invoke


def follow_async(original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap the SDK's invocation of a coroutine function: (arguments, function)."""

    async def invoke(arguments: Any, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        with _span(function):
            return await original(arguments, function, *args, **kwargs)

    return invoke


@contextmanager
def _span(function: Callable[..., Any]) -> Iterator[None]:
    if is_suppressed():
        yield
        return
    name = getattr(function, "__name__", type(function).__name__)
    attributes = {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": name,
        "gen_ai.tool.type": "function",
    }
    span = tracer().start_span(f"execute_tool {name}", attributes=attributes)
    token = otel_context.attach(set_span_in_context(span))
    try:
        yield
    except BaseException as error:
        # The SDK's own error quotes the arguments, which are the model's words; what the function raised is behind it.
        fail(span, error.__context__ or error)
        raise
    finally:
        otel_context.detach(token)
        span.end()
