"""One suite over every HTTP library: the same headers, the same span, the same duration."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from echo_server import LIBRARIES, EchoServer
from opentelemetry import context
from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY
from opentelemetry.trace import SpanKind, StatusCode

import obskit.clients
from obskit.clients import calls
from obskit.config import Config

Get = Callable[[str], int]


@pytest.fixture(params=LIBRARIES, ids=[name.replace(" ", "-") for name in LIBRARIES])
def get(request: pytest.FixtureRequest) -> Get:
    return LIBRARIES[request.param]


def test_a_call_carries_its_span(get: Get, server: EchoServer, recorded: Any) -> None:
    """The request carries a `traceparent` that names the client span, itself a child of the current one."""
    with recorded.tracer().start_as_current_span("around") as around:
        assert get(f"{server.url}/") == 200
    span = recorded.spans[0]
    sent = server.seen[0]["traceparent"].split("-")
    assert sent[1] == f"{around.get_span_context().trace_id:032x}"
    assert sent[2] == f"{span.context.span_id:016x}"
    assert span.parent.span_id == around.get_span_context().span_id


def test_the_span_says_what_was_called(get: Get, server: EchoServer, recorded: Any) -> None:
    """The client span has the method as its name and the conventions' attributes."""
    get(f"{server.url}/items/200?page=2")
    (span,) = recorded.spans
    assert (span.name, span.kind) == ("GET", SpanKind.CLIENT)
    assert dict(span.attributes) == {
        "http.request.method": "GET",
        "server.address": "127.0.0.1",
        "server.port": server.port,
        "url.full": f"{server.url}/items/200?page=2",
        "http.response.status_code": 200,
    }
    assert span.status.status_code is StatusCode.UNSET


def test_the_duration_is_recorded_once(get: Get, server: EchoServer, recorded: Any) -> None:
    """Each request is one record with low-cardinality labels only."""
    get(f"{server.url}/")
    (point,) = recorded.durations
    assert point.count == 1
    assert 0 < point.sum < 5
    assert dict(point.attributes) == {
        "http.request.method": "GET",
        "server.address": "127.0.0.1",
        "server.port": server.port,
        "http.response.status_code": 200,
    }


def test_a_refused_request_is_an_error(get: Get, server: EchoServer, recorded: Any) -> None:
    """A status of 400 or more marks the span and the record, and the app sees the response as ever."""
    assert get(f"{server.url}/status/503") == 503
    (span,) = recorded.spans
    assert span.status.status_code is StatusCode.ERROR
    assert span.attributes["error.type"] == "503"
    assert recorded.durations[0].attributes["error.type"] == "503"


@pytest.mark.parametrize("address", ["drop", "nowhere"])
def test_an_exception_passes_untouched(get: Get, server: EchoServer, recorded: Any, address: str) -> None:
    """A broken or refused connection raises what the library raises, and the span names it."""
    url = f"{server.url}/drop" if address == "drop" else "http://127.0.0.1:9/"
    with pytest.raises(Exception) as caught:
        get(url)
    assert "obskit" not in type(caught.value).__module__
    (span,) = recorded.spans
    assert span.status.status_code is StatusCode.ERROR
    assert span.attributes["error.type"]
    assert "http.response.status_code" not in recorded.durations[0].attributes


def test_each_hop_is_a_call(get: Get, server: EchoServer, recorded: Any) -> None:
    """A redirect makes two spans, and each request carries its own."""
    assert get(f"{server.url}/to?{server.url}/") == 200
    first, second = recorded.spans
    assert first.attributes["http.response.status_code"] == 302
    sent = [seen["traceparent"].split("-")[2] for seen in server.seen]
    assert sent == [f"{first.context.span_id:016x}", f"{second.context.span_id:016x}"]


def test_only_allowed_hosts_see_the_trace(get: Get, server: EchoServer, recorded: Any) -> None:
    """With an allow-list, a redirect to a foreign host does not take the trace headers along."""
    calls.configure(Config(propagate_hosts=("127.*",)))
    get(f"{server.url}/to?http://localhost:{server.port}/")
    assert ["traceparent" in seen for seen in server.seen] == [True, False]
    assert len(recorded.spans) == 2


def test_secrets_in_the_query_are_not_kept(get: Get, server: EchoServer, recorded: Any) -> None:
    """The span's URL is without the values of secret parameters; the request itself is unchanged."""
    get(f"{server.url}/?key=hunter2&page=1")
    assert "hunter2" not in recorded.spans[0].attributes["url.full"]
    assert server.seen[0]["path"] == "/?key=hunter2&page=1"


def test_exporting_is_not_followed(get: Get, server: EchoServer, recorded: Any) -> None:
    """Under OpenTelemetry's suppression mark, as on the export thread, nothing is added or recorded."""
    token = context.attach(context.set_value(_SUPPRESS_INSTRUMENTATION_KEY, True))
    try:
        get(f"{server.url}/")
    finally:
        context.detach(token)
    assert recorded.spans == []
    assert "traceparent" not in server.seen[0]


def test_installed_twice_records_once(get: Get, server: EchoServer, recorded: Any) -> None:
    """A second install changes nothing."""
    obskit.clients.install(Config())
    get(f"{server.url}/")
    assert len(recorded.spans) == recorded.durations[0].count == 1


def test_uninstall_puts_everything_back(get: Get, server: EchoServer, recorded: Any) -> None:
    """After an uninstall calls are as if obskit had never been there."""
    obskit.clients.uninstall()
    get(f"{server.url}/")
    assert recorded.spans == []
    assert "traceparent" not in server.seen[0]


@pytest.mark.parametrize(
    ("library", "module", "name"),
    [
        ("requests", "opentelemetry.instrumentation.requests", "RequestsInstrumentor"),
        ("httpx", "opentelemetry.instrumentation.httpx", "HTTPXClientInstrumentor"),
        ("aiohttp", "opentelemetry.instrumentation.aiohttp_client", "AioHttpClientInstrumentor"),
    ],
)
def test_opentelemetrys_own_instrumentation_goes_first(
    library: str, module: str, name: str, server: EchoServer, recorded: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where OpenTelemetry's instrumentation of a library is switched on, obskit makes no second span."""
    package = ModuleType(module)
    instrumentor = SimpleNamespace(_instance=SimpleNamespace(is_instrumented_by_opentelemetry=True))
    monkeypatch.setattr(package, name, instrumentor, raising=False)
    monkeypatch.setitem(sys.modules, module, package)
    LIBRARIES[library](f"{server.url}/")
    assert recorded.spans == []
    instrumentor._instance.is_instrumented_by_opentelemetry = False
    LIBRARIES[library](f"{server.url}/")
    assert len(recorded.spans) == 1
