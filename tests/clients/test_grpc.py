"""gRPC: every shape of call carries its span, blocking and asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
from opentelemetry import context
from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY
from opentelemetry.trace import SpanKind, StatusCode

from obskit.clients import calls
from obskit.config import Config

SHAPES = ["unary_unary", "unary_stream", "stream_unary", "stream_stream"]


class Echo(grpc.GenericRpcHandler):
    """Answers each method `/echo.Echo/SHAPE` with the request; `fail` as the request is refused."""

    def __init__(self) -> None:
        self.seen: list[dict[str, str]] = []

    def service(self, details: Any) -> Any:
        shape = details.method.rpartition("/")[2]
        metadata = {pair.key: pair.value for pair in details.invocation_metadata}

        def answer(request: Any, ctx: Any) -> Any:
            self.seen.append(metadata)
            items = [request] if isinstance(request, bytes) else list(request)
            if b"fail" in items:
                ctx.abort(grpc.StatusCode.NOT_FOUND, "no such thing")
            return items[0]

        def stream(request: Any, ctx: Any) -> Any:
            yield answer(request, ctx)

        return getattr(grpc, f"{shape}_rpc_method_handler")(stream if shape.endswith("stream") else answer)


@pytest.fixture
def echo() -> Iterator[tuple[Echo, str]]:
    handler = Echo()
    server = grpc.server(ThreadPoolExecutor(2))
    server.add_generic_rpc_handlers((handler,))
    address = f"localhost:{server.add_insecure_port('localhost:0')}"
    server.start()
    yield handler, address
    server.stop(0).wait()


def call(address: str, shape: str, request: bytes) -> None:
    with grpc.insecure_channel(address) as channel:
        method = getattr(channel, shape)(f"/echo.Echo/{shape}")
        argument: Any = iter([request]) if shape.startswith("stream") else request
        answer = method(argument)
        if shape.endswith("stream"):
            list(answer)


def call_async(address: str, shape: str, request: bytes) -> None:
    async def run() -> None:
        async with grpc.aio.insecure_channel(address) as channel:
            method = getattr(channel, shape)(f"/echo.Echo/{shape}")

            async def requests() -> Any:
                yield request

            answer = method(requests() if shape.startswith("stream") else request)
            if shape.endswith("stream"):
                async for _ in answer:
                    pass
            else:
                await answer
            for _ in range(5):
                await asyncio.sleep(0)

    asyncio.run(run())


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("caller", [call, call_async])
def test_a_call_carries_its_span(caller: Any, shape: str, echo: tuple[Echo, str], recorded: Any) -> None:
    """The server sees a `traceparent` that names the client span, which names service and method."""
    handler, address = echo
    with recorded.tracer().start_as_current_span("around") as around:
        caller(address, shape, b"x")
    span = recorded.spans[0]
    assert (span.name, span.kind) == (f"echo.Echo/{shape}", SpanKind.CLIENT)
    assert span.attributes["rpc.grpc.status_code"] == 0
    assert span.attributes["server.address"] == "localhost"
    assert span.parent.span_id == around.get_span_context().span_id
    assert handler.seen[0]["traceparent"].split("-")[2] == f"{span.context.span_id:016x}"


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("caller", [call, call_async])
def test_a_refusal_passes_untouched(caller: Any, shape: str, echo: tuple[Echo, str], recorded: Any) -> None:
    """The app gets gRPC's own error, and the span its code."""
    with pytest.raises(grpc.RpcError) as caught:
        caller(echo[1], shape, b"fail")
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND  # type: ignore[attr-defined]
    (span,) = recorded.spans
    assert span.status.status_code is StatusCode.ERROR
    assert span.attributes["error.type"] == "NOT_FOUND"


@pytest.mark.parametrize("caller", [call, call_async])
def test_only_allowed_hosts_see_the_trace(caller: Any, echo: tuple[Echo, str], recorded: Any) -> None:
    """A host that is not on the allow-list gets a span here and no header there."""
    calls.configure(Config(propagate_hosts=("*.example.com",)))
    caller(echo[1], "unary_unary", b"x")
    assert len(recorded.spans) == 1
    assert "traceparent" not in echo[0].seen[0]


@pytest.mark.parametrize("caller", [call, call_async])
def test_exporting_is_not_followed(caller: Any, echo: tuple[Echo, str], recorded: Any) -> None:
    """Channels and calls under OpenTelemetry's suppression mark are left alone."""
    token = context.attach(context.set_value(_SUPPRESS_INSTRUMENTATION_KEY, True))
    try:
        caller(echo[1], "unary_unary", b"x")
    finally:
        context.detach(token)
    assert recorded.spans == []
    assert "traceparent" not in echo[0].seen[0]
