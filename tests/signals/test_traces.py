from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, StatusCode, TraceFlags

import obskit
from obskit.signals import traces
from obskit.signals.incoming import caller_of, parent_context
from obskit.signals.redaction import Redactor
from obskit.signals.sampling import Policy
from obskit.signals.sdk import OwnSampler


@pytest.fixture
def spans() -> Any:
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    traces.use_provider(provider, Redactor())
    return exporter.get_finished_spans


def test_a_block_is_a_span(spans: Any) -> None:
    """A with block gives a span with its attributes, current inside, without their secrets."""
    with obskit.span("work", attributes={"a": 1, "password": "x", "o": object}, kind=SpanKind.CLIENT) as span:
        assert trace.get_current_span() is span
    (found,) = spans()
    assert (found.name, found.kind, found.attributes["a"]) == ("work", SpanKind.CLIENT, 1)
    assert found.attributes["password"] == "[REDACTED]"
    assert not trace.get_current_span().get_span_context().is_valid


def test_an_asynchronous_block_is_a_span(spans: Any) -> None:
    """It works with `async with` too."""

    async def work() -> None:
        async with obskit.span("work"):
            await asyncio.sleep(0)

    asyncio.run(work())
    assert [span.name for span in spans()] == ["work"]


def test_functions_of_every_kind_can_be_decorated(spans: Any) -> None:
    """Plain and coroutine functions, generators and asynchronous generators keep their kind, name and result."""

    @obskit.span
    def plain(a: int) -> int:
        return a + 1

    @obskit.span("named")
    async def coroutine() -> str:
        await asyncio.sleep(0)
        return "done"

    @obskit.span()
    def generator() -> Iterator[int]:
        got = yield 1
        yield got
        return "end"

    @obskit.span
    async def asynchronous() -> AsyncIterator[int]:
        yield 1
        yield 2

    async def collect() -> list[int]:
        return [item async for item in asynchronous()]

    assert plain(1) == 2
    assert asyncio.run(coroutine()) == "done"
    steps = generator()
    assert next(steps) == 1
    assert steps.send(7) == 7
    with pytest.raises(StopIteration) as stop:
        next(steps)
    assert stop.value.value == "end"
    assert asyncio.run(collect()) == [1, 2]
    names = [span.name.rpartition(".")[2] for span in spans()]
    assert names == ["plain", "named", "generator", "asynchronous"]
    assert plain.__name__ == "plain"


def test_a_generator_is_current_only_while_it_runs(spans: Any) -> None:
    """Between two steps the caller is not inside the generator's span; what the steps make is."""

    @obskit.span("outer")
    def generator() -> Iterator[int]:
        for number in range(2):
            with obskit.span("inner"):
                pass
            yield number

    for _ in generator():
        assert not trace.get_current_span().get_span_context().is_valid
    *inner, outer = spans()
    assert {span.parent.span_id for span in inner} == {outer.context.span_id}


def test_a_generator_that_is_left_ends_its_span(spans: Any) -> None:
    """Closing a generator early ends the span without an error; what is thrown in reaches the function."""

    @obskit.span("left")
    def generator() -> Iterator[int]:
        try:
            yield 1
        except KeyError:
            yield 2

    steps = generator()
    next(steps)
    assert steps.throw(KeyError("x")) == 2  # type: ignore[attr-defined]
    steps.close()  # type: ignore[attr-defined]
    (span,) = spans()
    assert span.status.status_code is StatusCode.UNSET


def test_an_exception_fails_the_span_and_goes_on(spans: Any) -> None:
    """The span tells the exception's kind and stack, without secrets, and the caller gets it unchanged."""
    with pytest.raises(ValueError, match="hunter2"), obskit.span("work"):
        raise ValueError("password=hunter2")
    (span,) = spans()
    assert span.status.status_code is StatusCode.ERROR
    assert span.attributes["error.type"] == "ValueError"
    (event,) = span.events
    assert "Traceback" in event.attributes["exception.stacktrace"]
    assert "hunter2" not in repr(dict(event.attributes)) + str(span.status.description)


def test_a_cancelled_block_is_no_failure(spans: Any) -> None:
    """Cancelling a task is not an error of the code that is cancelled."""

    async def work() -> None:
        with obskit.span("work"):
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(work())
    assert spans()[0].status.status_code is StatusCode.UNSET


# --------------------------------------------------------------------------- sampling


def parent(*, is_remote: bool, is_sampled: bool) -> Any:
    flags = TraceFlags(TraceFlags.SAMPLED if is_sampled else 0)
    span = NonRecordingSpan(SpanContext(trace_id=1, span_id=2, is_remote=is_remote, trace_flags=flags))
    return trace.set_span_in_context(span)


@pytest.mark.parametrize(
    ("ratio", "trusts", "context", "decision"),
    [
        (1.0, False, None, Decision.RECORD_AND_SAMPLE),
        (0.0, False, None, Decision.RECORD_ONLY),
        (1.0, False, parent(is_remote=True, is_sampled=False), Decision.RECORD_AND_SAMPLE),
        (0.0, False, parent(is_remote=True, is_sampled=True), Decision.RECORD_ONLY),
        (0.0, True, parent(is_remote=True, is_sampled=True), Decision.RECORD_AND_SAMPLE),
        (1.0, True, parent(is_remote=True, is_sampled=False), Decision.RECORD_ONLY),
        (0.0, False, parent(is_remote=False, is_sampled=True), Decision.RECORD_AND_SAMPLE),
        (1.0, False, parent(is_remote=False, is_sampled=False), Decision.DROP),
    ],
)
def test_the_service_decides_for_itself(ratio: float, trusts: bool, context: Any, decision: Decision) -> None:
    """A stranger's flag counts only where it is trusted; inside a request the request's decision holds."""
    sampler = OwnSampler(Policy(ratio, trusts_incoming=trusts))
    assert sampler.should_sample(context, (1 << 127) + 12345, "x").decision is decision


def test_a_ratio_keeps_about_that_share() -> None:
    """Of traces with evenly spread ids the ratio's share is kept, and the same ones everywhere."""
    sampler, step = OwnSampler(Policy(0.25)), (1 << 64) // 1000 + 1
    kept = [
        number
        for number in range(1000)
        if sampler.should_sample(None, number * step + 1_000_000, "x").decision is Decision.RECORD_AND_SAMPLE
    ]
    assert len(kept) == 250


# --------------------------------------------------------------------------- incoming headers

ID = "0af7651916cd43dd8448eb211c80319c"


def test_a_later_version_of_traceparent_is_read_as_far_as_known() -> None:
    """A version above 00 may have more fields, which are passed over."""
    found = caller_of(f"cc-{ID}-b7ad6b7169203331-01-more", "", "")
    assert found is not None
    assert parent_context(found).trace_flags.sampled


@pytest.mark.parametrize(
    "header",
    ["", "x", f"00-{ID}-0000000000000000-01", f"00-{ID}-b7ad6b7169203331-01-more", f"00-{ID}-b7ad6b7169203331"],
)
def test_a_malformed_traceparent_is_none(header: str) -> None:
    """What is not a traceparent starts a new trace."""
    assert caller_of(header, "", "") is None


def test_a_cloud_header_without_a_span_keeps_the_trace() -> None:
    """The trace's id alone is enough to join, and the parent gets some id."""
    found = caller_of("", "", ID)
    assert found is not None
    assert f"{parent_context(found).trace_id:032x}" == ID
    assert not parent_context(found).trace_flags.sampled


@pytest.mark.parametrize("header", [f"{ID}/18446744073709551616", f"{ID}/-1", "0" * 32 + "/1", "zz", f"{ID}/1;o=1;x"])
def test_a_malformed_cloud_header_is_none(header: str) -> None:
    """Ids that do not fit start a new trace."""
    assert caller_of("", "", header) is None
